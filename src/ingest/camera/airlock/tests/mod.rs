//! The airlock whole, with a scripted camera.

mod dialects;

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use tokio::task::JoinHandle;

use super::*;
use crate::ops::limits;
use crate::wire::digest::{Algorithm, Authorization, Ha1, parse_authorization};
use crate::wire::rtsp::{Decoder, Item, Method, Request as Asked};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=cam\r\nt=0 0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n\
    m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:trackID=2\r\n";

fn request() -> Request {
    Request {
        url: Url::parse("rtsp://192.0.2.7:554/live").unwrap(),
        login: Some(Login { user: "viewer".into(), password: "secret".to_owned().into() }),
        basic: BasicPolicy::Refuse,
        user_agent: "Camlock".into(),
        kinds: Kinds::ALL,
    }
}

/// What the scripted camera does once it plays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plays {
    /// Pictures and sound until the peer is gone.
    Media,
    /// So many pictures, then it closes.
    Pictures(u16),
    /// Pictures, but its own request comes between.
    Asking,
    /// Pictures, and between them a packet no depacketiser takes but every check passes.
    BadParameterSet,
    /// Pictures and sound, and an answer to TEARDOWN only after this time.
    SlowGoodbye(Duration),
}

/// How the scripted camera asks for a login.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    Digest(Algorithm),
    /// Closes the connection with its `401`.
    DigestAndCloses,
}

struct Camera {
    /// Headers and body of its answer to DESCRIBE.
    described: String,
    asks: Asks,
    plays: Plays,
}

/// What the camera saw: requests in order.
type Observed = Vec<Asked>;

impl Camera {
    fn plain(plays: Plays) -> Self {
        Self { described: with_length(SDP), asks: Asks::Nothing, plays }
    }

    /// Serves one connection to its end.
    async fn serve(self, mut socket: impl AsyncRead + AsyncWrite + Unpin) -> Observed {
        let (mut seen, mut buffer, mut decoder) = (Vec::new(), BytesMut::new(), Decoder::new());
        loop {
            while let Some(item) = decoder.decode(&mut buffer).unwrap() {
                let Item::Request(asked) = item else { panic!("{item:?}") };
                let (answer, closes) = self.answer(&asked);
                let method = asked.method;
                seen.push(asked);
                if socket.write_all(answer.as_bytes()).await.is_err() || closes {
                    return seen;
                }
                if method == Method::Play {
                    return self.play(socket, decoder, buffer, seen).await;
                }
            }
            if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return seen;
            }
        }
    }

    fn answer(&self, asked: &Asked) -> (String, bool) {
        let cseq = asked.cseq().unwrap();
        let algorithm = match self.asks {
            Asks::Nothing => None,
            Asks::Digest(algorithm) => Some(algorithm),
            Asks::DigestAndCloses => Some(Algorithm::Md5),
        };
        if let Some(algorithm) = algorithm
            && !proves(asked, "cam", algorithm)
        {
            let closes = self.asks == Asks::DigestAndCloses;
            let connection = if closes { "Connection: close\r\n" } else { "" };
            let name = if algorithm == Algorithm::Md5 { "MD5" } else { "SHA-256" };
            let challenge =
                format!("Digest realm=\"cam\", nonce=\"n\", algorithm={name}, qop=\"auth\"");
            let head = format!("RTSP/1.0 401 No\r\nCSeq: {cseq}\r\n{connection}");
            return (format!("{head}WWW-Authenticate: {challenge}\r\n\r\n"), closes);
        }
        let rest = if asked.method == Method::Describe {
            self.described.clone()
        } else if let Some(transport) = asked.headers.get("Transport") {
            format!("Transport: {transport}\r\nSession: 5;timeout=60\r\n\r\n")
        } else {
            "\r\n".to_owned()
        };
        (format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n{rest}"), false)
    }

    async fn play(
        self,
        mut socket: impl AsyncRead + AsyncWrite + Unpin,
        mut decoder: Decoder,
        mut buffer: BytesMut,
        mut seen: Observed,
    ) -> Observed {
        let mut tick = tokio::time::interval(Duration::from_millis(40));
        let mut n = 0_u16;
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let mut bytes = rtp(0, n, u32::from(n) * 3600, &picture(n));
                    bytes.extend(rtp(2, n, u32::from(n) * 320, &[n.to_be_bytes()[1]; 320]));
                    match self.plays {
                        Plays::Media => {}
                        Plays::Pictures(count) if n == count => return seen,
                        Plays::Pictures(_) => {}
                        Plays::Asking => bytes.extend(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n"),
                        Plays::BadParameterSet if n == 3 => {
                            bytes = rtp(0, n, 1, b"\x18\0\x02\x67\xff\0\x02\x68\xff\0\x02\x65a");
                        }
                        Plays::BadParameterSet | Plays::SlowGoodbye(_) => {}
                    }
                    n += 1;
                    if socket.write_all(&bytes).await.is_err() {
                        return seen;
                    }
                }
                read = socket.read_buf(&mut buffer) => {
                    if read.unwrap_or(0) == 0 {
                        return seen;
                    }
                    while let Some(Item::Request(asked)) = decoder.decode(&mut buffer).unwrap() {
                        let answer = self.answer(&asked).0;
                        if let (Plays::SlowGoodbye(time), Method::Teardown) =
                            (self.plays, asked.method)
                        {
                            tokio::time::sleep(time).await;
                        }
                        seen.push(asked);
                        let _gone = socket.write_all(answer.as_bytes()).await.is_err();
                    }
                }
            }
        }
    }
}

fn with_length(sdp: &str) -> String {
    format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len())
}

fn proves(asked: &Asked, realm: &str, algorithm: Algorithm) -> bool {
    let ha1 = Ha1::new(algorithm, "viewer", realm, &"secret".to_owned().into());
    asked.headers.get("Authorization").and_then(parse_authorization).is_some_and(
        |given| match given {
            Authorization::Digest(response) => {
                response.uri == asked.uri && ha1.verify(&response, asked.method.token())
            }
            Authorization::Basic { .. } => panic!("the password in the clear"),
        },
    )
}

/// A coded picture: any bytes with the header of one.
fn picture(n: u16) -> Vec<u8> {
    let mut nal = vec![if n.is_multiple_of(10) { 0x65 } else { 0x41 }];
    nal.extend(b"picture ".repeat(200));
    nal.extend((n | 0x8080).to_be_bytes());
    nal
}

fn rtp(channel: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 12).unwrap();
    let mut out = vec![b'$', channel];
    out.extend(length.to_be_bytes());
    out.extend([0x80, 0x80 | 96]);
    out.extend(sequence.to_be_bytes());
    out.extend(timestamp.to_be_bytes());
    out.extend([0, 0, 0, 9]);
    out.extend(payload);
    out
}

/// Starts a camera; the other end of its connection.
fn start(camera: Camera) -> (DuplexStream, JoinHandle<Observed>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    (near, tokio::spawn(camera.serve(far)))
}

/// For sessions that must not dial again.
async fn no_redial<S>() -> io::Result<S> {
    panic!("dialled again")
}

async fn open_plain(
    camera: Camera,
) -> (Result<Session<DuplexStream>, Failure>, JoinHandle<Observed>) {
    let (near, seen) = start(camera);
    (open(near, no_redial, &request(), LoginMemory::Nothing, pending()).await, seen)
}

fn methods(seen: &Observed) -> Vec<Method> {
    seen.iter().map(|asked| asked.method).collect()
}

/// What came of a session.
#[derive(Default)]
struct Got {
    units: Vec<Unit>,
}

impl Sink for Got {
    fn unit(&mut self, unit: Unit) {
        self.units.push(unit);
    }
    fn report(&mut self, _: ReportedTime) {}
}

/// Plays until so many units came.
async fn units(session: &mut Session<DuplexStream>, count: usize) -> Vec<Unit> {
    let mut got = Got::default();
    while got.units.len() < count {
        session.step(&mut got).await.unwrap();
    }
    got.units
}

/// Plays to the end: what came, and why it ended.
async fn to_the_end(session: &mut Session<DuplexStream>) -> (Vec<Unit>, EndReason) {
    let mut got = Got::default();
    loop {
        if let Err(reason) = session.step(&mut got).await {
            return (got.units, reason);
        }
    }
}

#[tokio::test]
async fn pictures_and_sound_come_through_and_the_session_is_torn_down() {
    let (opened, seen) = open_plain(Camera::plain(Plays::Media)).await;
    let mut session = opened.unwrap();
    assert_eq!(session.starts(), Starts::Unknown);
    let kinds: Vec<_> =
        session.tracks().iter().map(|t| (t.stream, t.media, t.encoding, t.clock_rate)).collect();
    assert_eq!(kinds, [(0, 0, Encoding::H264, 90_000), (1, 1, Encoding::Pcma, 8_000)]);
    assert!(session.tracks()[0].codec.is_none() && session.tracks()[1].codec.is_some());
    let (mut pictures, mut sounds) = (0, 0);
    for unit in units(&mut session, 40).await {
        let data = unit.frame.data;
        if unit.stream == 0 {
            let nal = picture(pictures);
            let length = u32::try_from(nal.len()).unwrap().to_be_bytes();
            assert_eq!(data[..], [&length[..], &nal].concat());
            pictures += 1;
        } else {
            assert_eq!(data[..], [u8::try_from(sounds).unwrap(); 320]);
            sounds += 1;
        }
    }
    assert!(pictures.abs_diff(sounds) <= 1, "{pictures} {sounds}");
    let closed = session.close().await;
    assert!(closed.counts.packets >= 40);
    assert_eq!((closed.counts.lost, closed.counts.overhead_bytes), (0, 0));
    let seen = seen.await.unwrap();
    use Method::{Describe, Play, Setup, Teardown};
    assert_eq!(methods(&seen), [Describe, Setup, Setup, Play, Teardown]);
    let uris: Vec<_> = seen.iter().map(|asked| asked.uri.as_str()).collect();
    assert_eq!(uris[1], "rtsp://192.0.2.7:554/live/trackID=1");
    assert!(seen.iter().all(|asked| asked.headers.get("User-Agent") == Some("Camlock")));
    assert_eq!(seen[4].headers.get("Session"), Some("5"));
}

#[tokio::test]
async fn a_session_that_is_dropped_closes_its_connection() {
    let (opened, seen) = open_plain(Camera::plain(Plays::Media)).await;
    let mut session = opened.unwrap();
    units(&mut session, 1).await;
    drop(session);
    assert_eq!(seen.await.unwrap().last().unwrap().method, Method::Play);
}

#[tokio::test]
async fn the_camera_hangs_up() {
    let (opened, _seen) = open_plain(Camera::plain(Plays::Pictures(5))).await;
    let (units, reason) = to_the_end(&mut opened.unwrap()).await;
    assert_eq!(units.iter().filter(|unit| unit.stream == 0).count(), 5);
    assert_eq!((reason, reason.fault()), (EndReason::CameraClosed, Fault::Gone));
}

#[tokio::test]
async fn a_request_of_the_camera_stalls_nothing() {
    let (opened, _seen) = open_plain(Camera::plain(Plays::Asking)).await;
    let mut session = opened.unwrap();
    tokio::time::timeout(Duration::from_secs(10), units(&mut session, 40)).await.unwrap();
    assert!(session.close().await.counts.camera_requests >= 10);
}

/// It costs a picture, not the session; sound goes on as if nothing was.
#[tokio::test]
async fn what_the_depacketiser_refuses_is_dropped_and_counted() {
    let (opened, _seen) = open_plain(Camera::plain(Plays::BadParameterSet)).await;
    let mut session = opened.unwrap();
    let units = units(&mut session, 19).await;
    let of = |stream: usize| units.iter().filter(move |unit| unit.stream == stream);
    let after: Vec<_> = of(0).map(|unit| unit.frame.after_drop).collect();
    assert_eq!(after[..4], [false, false, false, true], "the fourth picture was refused");
    assert!(of(1).all(|unit| !unit.frame.after_drop));
    assert_eq!(session.close().await.counts.dropped_payload, 1);
}

#[tokio::test]
async fn a_step_that_is_cut_off_loses_nothing() {
    let (opened, _seen) = open_plain(Camera::plain(Plays::Media)).await;
    let (mut session, mut got) = (opened.unwrap(), Got::default());
    while got.units.len() < 40 {
        tokio::select! {
            biased;
            stepped = session.step(&mut got) => stepped.unwrap(),
            () = tokio::task::yield_now() => {}
        }
    }
    let pictures = got.units.iter().filter(|unit| unit.stream == 0);
    for (n, unit) in (0..).zip(pictures) {
        assert_eq!(unit.frame.data[4..], picture(n));
    }
}

#[tokio::test]
async fn logins_open_and_wrong_ones_say_so() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let camera = Camera { asks: Asks::Digest(algorithm), ..Camera::plain(Plays::Media) };
        let (opened, _seen) = open_plain(camera).await;
        let mut session = opened.unwrap();
        units(&mut session, 1).await;
        assert_eq!(session.login(), LoginUsed::Digest(algorithm));
        assert_eq!(session.close().await.memory, LoginMemory::DigestSeen);
    }
    let wrong = Login { user: "viewer".into(), password: "guess".to_owned().into() };
    for (login, reason) in
        [(Some(wrong), EndReason::LoginRefused), (None, EndReason::LoginRequired)]
    {
        let camera = Camera { asks: Asks::Digest(Algorithm::Md5), ..Camera::plain(Plays::Media) };
        let (near, _seen) = start(camera);
        let request = Request { login, ..request() };
        let failure =
            open(near, no_redial, &request, LoginMemory::Nothing, pending()).await.unwrap_err();
        assert_eq!((failure.reason, failure.reason.fault()), (reason, Fault::Login));
        assert_eq!(failure.memory, LoginMemory::DigestSeen);
    }
}

#[tokio::test]
async fn a_camera_that_closes_with_its_401_is_dialled_once() {
    let camera = || Camera { asks: Asks::DigestAndCloses, ..Camera::plain(Plays::Media) };
    let (near, _first) = start(camera());
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dials);
    let redial = async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(start(camera()).0)
    };
    let opened = open(near, redial, &request(), LoginMemory::Nothing, pending()).await;
    units(&mut opened.unwrap(), 1).await;
    assert_eq!(dials.load(Ordering::Relaxed), 1);

    let (near, _seen) = start(camera());
    let failing = async || Err(io::ErrorKind::ConnectionRefused.into());
    let failure =
        open(near, failing, &request(), LoginMemory::Nothing, pending()).await.unwrap_err();
    assert_eq!(failure.reason, EndReason::RedialFailed);
}

#[tokio::test]
async fn who_stops_while_it_opens_says_goodbye_for_what_was_set_up() {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let (asked_to_play, stop) = tokio::sync::oneshot::channel();
    // Takes all but PLAY, which it never answers.
    let camera = tokio::spawn(async move {
        let camera = Camera::plain(Plays::Media);
        let (mut seen, mut buffer, mut decoder) = (Vec::new(), BytesMut::new(), Decoder::new());
        let mut asked_to_play = Some(asked_to_play);
        while far.read_buf(&mut buffer).await.unwrap() > 0 {
            while let Some(Item::Request(asked)) = decoder.decode(&mut buffer).unwrap() {
                if asked.method == Method::Play {
                    asked_to_play.take().unwrap().send(()).unwrap();
                } else {
                    far.write_all(camera.answer(&asked).0.as_bytes()).await.unwrap();
                }
                seen.push(asked);
            }
        }
        seen
    });
    let stop = async { stop.await.unwrap() };
    let failure = open(near, no_redial, &request(), LoginMemory::Nothing, stop).await.unwrap_err();
    assert_eq!(failure.reason, EndReason::Stopped);
    let seen = camera.await.unwrap();
    assert_eq!(methods(&seen).last(), Some(&Method::Teardown), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_says_nothing_or_takes_nothing_is_left() {
    let (near, _far) = tokio::io::duplex(64 * 1024);
    let failure =
        open(near, no_redial, &request(), LoginMemory::Nothing, pending()).await.unwrap_err();
    assert_eq!(failure.reason, EndReason::NoAnswer);
    let (near, _far) = tokio::io::duplex(16);
    let failure =
        open(near, no_redial, &request(), LoginMemory::Nothing, pending()).await.unwrap_err();
    assert_eq!(failure.reason, EndReason::CameraNotReading);
}

/// A TLS connection on which a record does not verify.
#[derive(Debug)]
struct Forged;

impl AsyncRead for Forged {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
    }
}

impl AsyncWrite for Forged {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn broken_tls_is_no_lost_connection() {
    let never = pending::<io::Result<Forged>>;
    let failure =
        open(Forged, never, &request(), LoginMemory::Nothing, pending()).await.unwrap_err();
    assert_eq!(failure.reason, EndReason::BrokenTls);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_waited_for_only_so_long() {
    let ms = Duration::from_millis(1);
    for (answers_after, waited) in [
        (limits::CAMERA_TEARDOWN - 5 * ms, limits::CAMERA_TEARDOWN - 5 * ms),
        (limits::CAMERA_TEARDOWN + 5 * ms, limits::CAMERA_TEARDOWN),
        (limits::CAMERA_TEARDOWN * 1000, limits::CAMERA_TEARDOWN),
    ] {
        let (opened, _seen) = open_plain(Camera::plain(Plays::SlowGoodbye(answers_after))).await;
        let mut session = opened.unwrap();
        units(&mut session, 1).await;
        let began = tokio::time::Instant::now();
        session.close().await;
        let took = began.elapsed();
        assert!(took >= waited && took < waited + 4 * ms, "{took:?} for {answers_after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_connection_is_waited_for_only_so_long() {
    let camera = Camera { asks: Asks::DigestAndCloses, ..Camera::plain(Plays::Media) };
    let (near, _seen) = start(camera);
    let began = tokio::time::Instant::now();
    let never = pending::<io::Result<DuplexStream>>;
    let failure = open(near, never, &request(), LoginMemory::Nothing, pending()).await.unwrap_err();
    assert_eq!(failure.reason, EndReason::RedialFailed);
    assert_eq!(began.elapsed(), limits::CAMERA_CONNECT + limits::CAMERA_HANDSHAKE);
}

#[tokio::test]
async fn what_makes_retinas_client_panic_has_a_name_here() {
    for (sdp, reason) in [
        ("v=0\r\nm=video 0 RTP/AVP  \r\n", EndReason::NoUsableMedia),
        ("v=0\r\nbroken line\r\nm=video\r\n", EndReason::NoUsableMedia),
        ("", EndReason::NoUsableMedia),
    ] {
        let camera = Camera { described: with_length(sdp), ..Camera::plain(Plays::Media) };
        let failure = open_plain(camera).await.0.unwrap_err();
        assert_eq!(failure.reason, reason, "{sdp:?}");
        assert!(!failure.to_string().is_empty());
    }
}

#[tokio::test]
async fn sound_that_cannot_be_read_costs_no_pictures() {
    let aac = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000/1\r\na=control:trackID=2\r\n\
        a=fmtp:97 mode=AAC-hbr;config=ffff;sizelength=13;indexlength=3;indexdeltalength=3\r\n";
    let sdp =
        SDP.split_inclusive("m=audio").next().unwrap().trim_end_matches("m=audio").to_owned() + aac;
    let (opened, _seen) =
        open_plain(Camera { described: with_length(&sdp), ..Camera::plain(Plays::Media) }).await;
    let mut session = opened.unwrap();
    assert_eq!(session.tracks().len(), 1);
    units(&mut session, 1).await;
}
