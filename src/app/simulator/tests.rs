use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures_util::StreamExt;
use retina::client::{Credentials, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions};
use retina::codec::{CodecItem, FrameFormat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::media::TrackId;
use crate::wire::digest::Algorithm;

const PATTERN: PatternSettings = PatternSettings {
    codec: PatternCodec::H264,
    width: 640,
    height: 360,
    fps: 25,
    gop: 10,
    bit_rate: 4_000_000,
};

fn camera(login: Login, source: Source, audio: Audio) -> CameraSettings {
    let profiles = vec![ProfileSettings { path: "/main".to_owned(), source, audio }];
    CameraSettings { listen: (Ipv4Addr::LOCALHOST, 0).into(), login, profiles }
}

fn start(cameras: Vec<CameraSettings>) -> Simulator {
    Simulator::start(Settings { cameras }).unwrap()
}

fn account() -> Account {
    Account { user: "admin".to_owned(), password: "s3cret word".into() }
}

/// A foreign client: DESCRIBE, SETUP of all tracks, PLAY.
async fn play(url: &str, password: Option<&str>) -> Result<Demuxed, retina::Error> {
    let creds =
        password.map(|p| Credentials { username: "admin".to_owned(), password: p.to_owned() });
    let options = SessionOptions::default().creds(creds);
    let mut session = Session::describe(url.parse().unwrap(), options).await?;
    for track in 0..session.streams().len() {
        let options = SetupOptions::default().frame_format(FrameFormat::MP4);
        session.setup(track, options).await?;
    }
    session.play(PlayOptions::default()).await?.demuxed()
}

/// Plays a source over a socket and compares what a foreign client gets with what the feed holds.
async fn compare(source: Source, audio: Audio) {
    let simulator = start(vec![camera(Login::None, source, audio)]);
    let camera = &simulator.cameras()[0];
    let mut session = play(&camera.url(0).unwrap(), None).await.unwrap();
    let mut expected: Vec<Unit> =
        Feed::new(source, audio, Duration::ZERO).unwrap().take(400).collect();
    let (mut pictures, mut sounds) = (0, 0);
    let mut last = [None, None];
    while pictures < 60 {
        let (data, timestamp, track) = match session.next().await.unwrap().unwrap() {
            CodecItem::VideoFrame(f) => {
                assert_eq!(f.loss(), 0);
                pictures += 1;
                (f.data().to_vec(), f.timestamp(), f.stream_id())
            }
            CodecItem::AudioFrame(f) => {
                assert_eq!(f.loss(), 0);
                sounds += 1;
                (f.data().to_vec(), f.timestamp(), f.stream_id())
            }
            CodecItem::Rtcp(_) => continue,
            CodecItem::MessageFrame(_) | _ => panic!("a third kind of track"),
        };
        let id = TrackId(u8::try_from(track).unwrap());
        let at = expected.iter().position(|unit| unit.track.id == id).unwrap();
        let unit = expected.remove(at);
        assert_eq!(data, unit.data, "unit {} of track {track}", unit.number);
        if let Some((ticks, rtp)) = last[track] {
            assert_eq!(unit.ticks - ticks, timestamp.timestamp() - rtp);
        }
        last[track] = Some((unit.ticks, timestamp.timestamp()));
    }
    assert_eq!(sounds > 20, audio != Audio::None);
    assert_eq!(camera.counts().sessions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_client_plays_h264_and_aac() {
    compare(Source::Clip(ClipName::Door), Audio::Aac).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_client_plays_h265_and_pcma() {
    compare(Source::Clip(ClipName::Yard), Audio::Pcma).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_client_plays_the_small_profile() {
    compare(Source::Clip(ClipName::YardSub), Audio::None).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_client_plays_the_h264_pattern() {
    compare(Source::Pattern(PATTERN), Audio::None).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_client_plays_the_h265_pattern() {
    let settings = PatternSettings { codec: PatternCodec::H265, ..PATTERN };
    compare(Source::Pattern(settings), Audio::Aac).await;
}

#[tokio::test(start_paused = true)]
async fn every_login_lets_the_right_password_in_and_no_other() {
    for login in [
        Login::Basic(account()),
        Login::Digest(Algorithm::Md5, account()),
        Login::Digest(Algorithm::Sha256, account()),
    ] {
        let source = Source::Clip(ClipName::YardSub);
        let simulator = start(vec![camera(login.clone(), source, Audio::None)]);
        let camera = &simulator.cameras()[0];
        let url = camera.url(0).unwrap();
        let mut session = play(&url, Some("s3cret word")).await.unwrap();
        session.next().await.unwrap().unwrap();
        assert_eq!(camera.counts().refused_logins, 0, "{login:?}");
        assert!(play(&url, Some("s3cret word ")).await.is_err());
        assert!(camera.counts().refused_logins > 0);
        assert!(play(&url, None).await.is_err());
        assert_eq!(camera.counts().sessions, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn several_clients_play_at_once_each_from_a_key_frame() {
    let source = Source::Clip(ClipName::Door);
    let simulator = start(vec![camera(Login::None, source, Audio::None)]);
    let url = simulator.cameras()[0].url(0).unwrap();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let mut session = play(&url, None).await.unwrap();
        loop {
            if let CodecItem::VideoFrame(frame) = session.next().await.unwrap().unwrap() {
                assert!(frame.is_random_access_point());
                break;
            }
        }
        sessions.push(session);
    }
    for session in &mut sessions {
        for _ in 0..30 {
            session.next().await.unwrap().unwrap();
        }
    }
    assert_eq!(simulator.cameras()[0].counts().sessions, 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_dropped() {
    let settings = PatternSettings { bit_rate: 30_000_000, ..PATTERN };
    let simulator = start(vec![camera(Login::None, Source::Pattern(settings), Audio::None)]);
    let camera = &simulator.cameras()[0];
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(camera.address()).await.unwrap();
    let url = camera.url(0).unwrap();
    let answer = ask(&mut stream, &format!("SETUP {url}/trackID=0"), TCP).await;
    let play = format!("PLAY {url} RTSP/1.0\r\n{}\r\n", session_line(&answer));
    stream.write_all(play.as_bytes()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), async {
        while camera.counts().slow_clients == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(camera.counts().sessions, 1);
}

const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=4-5\r\n";

/// Sends a request and gives the head of its answer.
async fn ask(stream: &mut TcpStream, start: &str, headers: &str) -> String {
    let request = format!("{start} RTSP/1.0\r\nCSeq: 7\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

fn session_line(answer: &str) -> String {
    let id = answer.split("Session: ").nth(1).unwrap().split(';').next().unwrap();
    format!("Session: {id}\r\n")
}

#[tokio::test(start_paused = true)]
async fn requests_out_of_place_are_answered_with_their_status() {
    let simulator = start(vec![camera(Login::None, Source::Clip(ClipName::Door), Audio::Aac)]);
    let camera = &simulator.cameras()[0];
    let url = camera.url(0).unwrap();
    let mut stream = TcpSocket::new_v4().unwrap().connect(camera.address()).await.unwrap();
    let udp = "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n";
    let (video, sound) = (format!("SETUP {url}/trackID=0"), format!("SETUP {url}/trackID=1"));
    for (start, headers, status) in [
        (format!("OPTIONS {url}"), "", 200),
        (format!("DESCRIBE {url}x"), "", 404),
        (format!("SETUP {url}/trackID=2"), TCP, 404),
        (format!("SETUP {url}"), TCP, 404),
        (video.clone(), udp, 461),
        (format!("PLAY {url}"), "", 454),
        (format!("PAUSE {url}"), "", 501),
        (format!("GET_PARAMETER {url}"), "", 200),
    ] {
        let answer = ask(&mut stream, &start, headers).await;
        assert!(answer.starts_with(&format!("RTSP/1.0 {status} ")), "{start}: {answer}");
        assert!(answer.contains("CSeq: 7\r\n"), "{answer}");
    }
    let answer = ask(&mut stream, &video, TCP).await;
    assert!(answer.contains("interleaved=4-5"), "{answer}");
    let session = session_line(&answer);
    assert!(ask(&mut stream, &sound, TCP).await.contains(" 454 "));
    let other = format!("{TCP}Session: another\r\n");
    assert!(ask(&mut stream, &sound, &other).await.contains(" 454 "));
    assert!(ask(&mut stream, &format!("TEARDOWN {url}"), &session).await.contains(" 200 "));
    assert!(ask(&mut stream, &format!("PLAY {url}"), &session).await.contains(" 454 "));
    assert_eq!(camera.counts().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn a_camera_goes_off_and_comes_back_at_its_address() {
    let source = Source::Clip(ClipName::Door);
    let simulator = start(vec![camera(Login::None, source, Audio::None)]);
    let camera = &simulator.cameras()[0];
    let url = camera.url(0).unwrap();
    let mut session = play(&url, None).await.unwrap();
    session.next().await.unwrap().unwrap();
    camera.stop().await;
    while let Some(Ok(_)) = session.next().await {}
    assert!(play(&url, None).await.is_err());
    camera.start().unwrap();
    camera.start().unwrap();
    let mut session = play(&url, None).await.unwrap();
    session.next().await.unwrap().unwrap();
    assert_eq!(camera.counts().sessions, 2);
}

#[tokio::test(start_paused = true)]
async fn a_held_camera_sends_nothing_and_then_goes_on() {
    let source = Source::Clip(ClipName::Door);
    let simulator = start(vec![camera(Login::None, source, Audio::None)]);
    let camera = &simulator.cameras()[0];
    let mut session = play(&camera.url(0).unwrap(), None).await.unwrap();
    session.next().await.unwrap().unwrap();
    camera.pause();
    let quiet = tokio::time::timeout(Duration::from_secs(5), async {
        // What was under way before the pause.
        for _ in 0..3 {
            session.next().await.unwrap().unwrap();
        }
    });
    assert!(quiet.await.is_err());
    camera.resume();
    loop {
        if let CodecItem::VideoFrame(frame) = session.next().await.unwrap().unwrap() {
            // Time was lost, packets were not.
            assert_eq!(frame.loss(), 0);
            assert!(frame.timestamp().elapsed_secs() > 4.0);
            break;
        }
    }
}

/// The next picture's timestamp in seconds, by the camera's clock.
async fn picture(session: &mut Demuxed) -> f64 {
    loop {
        if let CodecItem::VideoFrame(frame) = session.next().await.unwrap().unwrap() {
            assert_eq!(frame.loss(), 0);
            return frame.timestamp().elapsed_secs();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_on_credit_sends_no_more_and_no_less_and_at_once() {
    let simulator = start(vec![camera(Login::None, Source::Pattern(PATTERN), Audio::None)]);
    let camera = &simulator.cameras()[0];
    camera.grant(2);
    let mut session = play(&camera.url(0).unwrap(), None).await.unwrap();
    let first = picture(&mut session).await;
    // Far less than the 40 ms of two pictures at their own pace, but never the same.
    let second = picture(&mut session).await;
    assert!(second > first && second < first + 0.02, "{first} {second}");
    let quiet = tokio::time::timeout(Duration::from_secs(10), picture(&mut session)).await;
    assert!(quiet.is_err(), "one over its credit");
    assert_eq!(camera.counts().units, 2);

    camera.grant(52);
    let mut last = second;
    for n in 0..50 {
        let at = picture(&mut session).await;
        // The clock's time, and not that of two seconds of pictures.
        let since = at - second;
        assert!(at > last && (9.9..10.5).contains(&since), "picture {n}: {since}");
        last = at;
    }
    assert_eq!(camera.counts().units, 52);

    camera.resume();
    for _ in 0..5 {
        let at = picture(&mut session).await;
        assert!((at - last - 0.04).abs() < 0.001, "its own pace again: {last} {at}");
        last = at;
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_camera_share_its_credit() {
    let simulator = start(vec![camera(Login::None, Source::Pattern(PATTERN), Audio::None)]);
    let camera = &simulator.cameras()[0];
    camera.grant(0);
    let url = camera.url(0).unwrap();
    let (mut one, mut other) = (play(&url, None).await.unwrap(), play(&url, None).await.unwrap());
    camera.grant(7);
    let mut pictures = 0;
    let both = async {
        loop {
            tokio::select! {
                _ = picture(&mut one) => pictures += 1,
                _ = picture(&mut other) => pictures += 1,
            }
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), both).await.is_err());
    assert_eq!((pictures, camera.counts().units), (7, 7));
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for ip in [
        IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::from([192, 168, 1, 2]),
        IpAddr::from(Ipv6Addr::UNSPECIFIED),
    ] {
        let source = Source::Clip(ClipName::Door);
        let listen = (ip, 0).into();
        let camera = CameraSettings { listen, ..camera(Login::None, source, Audio::None) };
        let started = Simulator::start(Settings { cameras: vec![camera] });
        assert!(matches!(started, Err(Error::NotLoopback(at)) if at == listen));
    }
}

#[tokio::test]
async fn paths_are_clean_and_different() {
    let profile = |path: &str| ProfileSettings {
        path: path.to_owned(),
        source: Source::Clip(ClipName::Door),
        audio: Audio::None,
    };
    let long = format!("/{}", "a".repeat(65));
    for bad in [&["main"][..], &["/"], &["/ma in"], &["/main/"], &["/a", "/a"], &[&long]] {
        let profiles = bad.iter().map(|path| profile(path)).collect();
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let cameras = vec![CameraSettings { listen, login: Login::None, profiles }];
        assert!(matches!(Simulator::start(Settings { cameras }), Err(Error::Path(_))), "{bad:?}");
    }
}

#[tokio::test]
async fn a_watcher_hears_of_each_unit_before_it_is_read() {
    let simulator = start(vec![camera(Login::None, Source::Pattern(PATTERN), Audio::None)]);
    let camera = &simulator.cameras()[0];
    let mut sent = camera.watch_sent(4);
    let mut session = play(&camera.url(0).unwrap(), None).await.unwrap();
    let mut read = 0;
    while read < 6 {
        let Some(Ok(CodecItem::VideoFrame(frame))) = session.next().await else { continue };
        read += 1;
        // The news that found no room is lost, and the camera goes on.
        if read <= 4 {
            let news = sent.try_recv().unwrap();
            let tail = frame.data().last_chunk::<16>().unwrap();
            assert!(news.bytes.ends_with(tail) && news.at.elapsed() < Duration::from_secs(5));
        }
    }
}
