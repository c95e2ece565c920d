//! What must hold of the client whatever the camera sends: checks for `crate::app::fuzz`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "as in tests: a panic is the verdict"
)]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use memchr::memmem;
use url::Url;

pub use super::client::fuzz::depacketise;
use super::client::{Client, Next};
use super::{BasicPolicy, EndReason, Login, LoginMemory, ReportedTime, Request, Sink, Unit};
use crate::media::Kinds;
use crate::ops::limits;
use crate::wire::rtsp::{self, Decoder, Item, Method, Response};

const URL: &str = "rtsp://192.0.2.7:554/live?channel=1";
/// `viewer` and `secret` as Basic writes them.
const BASIC: &str = "dmlld2VyOnNlY3JldA==";
/// One track of each kind of framing.
const SDP: &str = "v=0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:a\r\n\
    m=video 0 RTP/AVP 97\r\na=rtpmap:97 H265/90000\r\na=control:b\r\n\
    m=audio 0 RTP/AVP 98\r\na=rtpmap:98 mpeg4-generic/16000/1\r\na=control:c\r\n\
    a=fmtp:98 mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3\r\n\
    m=audio 0 RTP/AVP 8\r\na=control:d\r\n";
/// JPEG stands alone beside sound.
const SDP_JPEG: &str = "v=0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 26\r\na=control:a\r\n\
    m=audio 0 RTP/AVP 11\r\na=control:b\r\n\
    m=audio 0 RTP/AVP 98\r\na=rtpmap:98 G726-32/8000\r\na=control:c\r\n";

/// What a camera says. The first byte picks the settings and how the bytes are cut; blank lines let time pass.
pub fn airlock_response(data: &[u8]) {
    let Some((how, stream)) = data.split_first() else { return };
    let run = |piece| {
        let mut bench = Bench::new(*how);
        let ended = bench.camera_stream(stream, piece);
        bench.finish(ended, memmem::find(stream, b"secret").is_some())
    };
    assert_eq!(run(usize::MAX), run(usize::from(how >> 3) + 1), "however the bytes are cut");
}

/// Media of a camera that plays all kinds of tracks. The first byte says which, and whether what follows is a byte
/// stream, or pieces that each become a packet. Each packet that the checks let through is taken by the depacketiser
/// of its track, or counted as dropped; none makes it panic.
pub fn interleaved(data: &[u8]) {
    let Some((how, stream)) = data.split_first() else { return };
    let packets = if how & 1 == 0 { stream.to_vec() } else { packets(stream) };
    let run = |piece| {
        let mut bench = Bench::new(0);
        bench.sdp = if how & 2 == 0 { SDP } else { SDP_JPEG };
        bench.camera_plays();
        let ended = bench.camera_stream(&packets, piece);
        bench.finish(ended, false)
    };
    assert_eq!(run(usize::MAX), run(usize::from(how >> 2) + 1), "however the bytes are cut");
}

/// Pieces of `length, channel and marker, step in sequence, step in time, payload` as interleaved frames.
fn packets(mut input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut sequence, mut timestamp) = ([0_u16; 8], [0_u32; 8]);
    while let Some(([length, kind, step, time], rest)) = input.split_first_chunk() {
        let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        input = rest;
        let track = usize::from(kind & 7);
        sequence[track] = sequence[track].wrapping_add_signed(i16::from(step.cast_signed()));
        timestamp[track] = timestamp[track].wrapping_add_signed(i32::from(time.cast_signed()));
        match kind >> 4 & 3 {
            // Time passes.
            3 => out.extend(b"\r\n".repeat(usize::from(time & 7) + 1)),
            // Not an RTP packet.
            2 => frame(kind & 7, payload, &mut out),
            marker => {
                let mut packet = vec![0x80, marker << 7 | 96];
                packet.extend(sequence[track].to_be_bytes());
                packet.extend(timestamp[track].to_be_bytes());
                packet.extend([0, 0, 0, 9]);
                packet.extend(payload);
                frame(kind & 7, &packet, &mut out);
            }
        }
    }
    out
}

fn frame(channel: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend([b'$', channel]);
    out.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    out.extend(payload);
}

/// A client with a camera.
struct Bench {
    client: Client,
    allows_basic: bool,
    /// What the camera describes, if it is one that says yes.
    sdp: &'static str,
    now: Instant,
    from_camera: BytesMut,
    given: Given,
    taken_from_camera: usize,
    /// Everything that went out, so that two runs can be compared.
    wire: Vec<u8>,
    answered: usize,
}

/// Everything that came out, likewise.
#[derive(Debug, Default, PartialEq, Eq)]
struct Given {
    media: Vec<(usize, i64, bool, bytes::Bytes)>,
    reports: Vec<(usize, u64, i64)>,
    bytes: usize,
}

impl Sink for Given {
    fn unit(&mut self, unit: Unit) {
        let Unit { stream, frame, start, at: _ } = unit;
        assert!(stream < limits::TRACKS && start.is_some());
        self.bytes += frame.data.len();
        self.media.push((stream, frame.timestamp, frame.lost, frame.data));
    }

    fn report(&mut self, report: ReportedTime) {
        assert!(report.stream < limits::TRACKS);
        self.reports.push((report.stream, report.ntp, report.timestamp));
    }
}

/// What is left of a run.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    wire: String,
    given: Given,
    ended: Option<EndReason>,
    counts: super::Counts,
}

impl Bench {
    fn new(how: u8) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let memory = if how & 2 == 0 { LoginMemory::Nothing } else { LoginMemory::DigestSeen };
        let basic = if how & 1 == 0 { BasicPolicy::Refuse } else { BasicPolicy::Allow };
        let login = Login { user: "viewer".into(), password: "secret".to_owned().into() };
        let request = Request {
            url: Url::parse(URL).unwrap(),
            login: (how & 4 == 0).then_some(login),
            basic,
            user_agent: "Camlock".into(),
            kinds: Kinds::ALL,
        };
        let mut client = Client::new(&request, memory, "c".into(), now).unwrap();
        client.start(now);
        let mut bench = Self {
            client,
            allows_basic: how & 3 == 1,
            sdp: SDP,
            now,
            from_camera: BytesMut::new(),
            given: Given::default(),
            taken_from_camera: 0,
            wire: Vec::new(),
            answered: 0,
        };
        bench.check_wire(1);
        bench
    }

    /// The camera's bytes, item by item, each in pieces.
    fn camera_stream(&mut self, stream: &[u8], piece: usize) -> Result<(), EndReason> {
        for (item, bytes) in items(stream) {
            for piece in bytes.chunks(piece) {
                self.camera_says(piece)?;
            }
            if let Some(Item::Blank(count)) = item {
                self.wait(count)?;
            }
            self.check_wire(2);
        }
        Ok(())
    }

    fn camera_says(&mut self, bytes: &[u8]) -> Result<(), EndReason> {
        self.taken_from_camera += bytes.len();
        self.from_camera.extend_from_slice(bytes);
        let mut fresh = bytes.len();
        loop {
            let (buffer, given) = (&mut self.from_camera, &mut self.given);
            match self.client.camera_bytes(buffer, fresh, self.now, given)? {
                Next::GoOn => return Ok(()),
                Next::Redial => {
                    self.from_camera.clear();
                    self.client.redialled(self.now);
                    return Ok(());
                }
                // What is left is media.
                Next::Play => fresh = 0,
            }
        }
    }

    /// A quarter of a second for each byte.
    fn wait(&mut self, blanks: usize) -> Result<(), EndReason> {
        for _ in 0..blanks.min(400) {
            self.now += Duration::from_millis(250);
            self.client.on_time(self.now)?;
            let due = self.client.deadline();
            assert!(due.is_none_or(|due| due > self.now), "never due at once");
        }
        Ok(())
    }

    /// A camera that says yes until it plays.
    fn camera_plays(&mut self) {
        while self.client.starts().is_none() {
            let mut asked = BytesMut::from(&self.wire[self.answered..]);
            self.answered = self.wire.len();
            let Some(Item::Request(request)) = Decoder::new().decode(&mut asked).unwrap() else {
                panic!("nothing is asked")
            };
            let mut answer = Response::new(200);
            answer.headers.push("CSeq", request.cseq().unwrap().to_string());
            match request.method {
                Method::Describe => answer.body = self.sdp.into(),
                Method::Setup => {
                    answer.headers.push("Session", "77");
                    answer.headers.push("Transport", request.headers.get("Transport").unwrap());
                }
                _ => {}
            }
            self.camera_says(&answer.encode()).unwrap();
            self.check_wire(1);
        }
    }

    /// What goes to the camera: our requests and nothing else, at most so many since the last look.
    fn check_wire(&mut self, most: usize) {
        let bytes = self.client.take_for_camera();
        self.wire.extend_from_slice(&bytes);
        let (mut rest, mut count) = (BytesMut::from(&bytes[..]), 0);
        while let Some(item) = Decoder::new().decode(&mut rest).expect("what we write can be read")
        {
            let Item::Request(request) = item else { panic!("{item:?}") };
            count += 1;
            self.check_request(&request);
        }
        assert!(rest.is_empty() && count <= most, "{count} requests");
    }

    fn check_request(&self, request: &rtsp::Request) {
        const HEADERS: [&str; 7] =
            ["CSeq", "Authorization", "User-Agent", "Accept", "Transport", "Range", "Session"];
        assert!(request.headers.iter().all(|(name, _)| HEADERS.contains(&name)), "{request:?}");
        assert!(request.body.is_empty() && request.cseq().is_some());
        assert_eq!(request.headers.get("User-Agent"), Some("Camlock"));
        match request.method {
            Method::Describe => assert_eq!(request.uri, URL),
            Method::Setup
            | Method::Play
            | Method::Options
            | Method::GetParameter
            | Method::Teardown => {}
            _ => panic!("{request:?}"),
        }
        let basic = request.headers.get("Authorization").is_some_and(|v| v.starts_with("Basic"));
        assert!(self.allows_basic || !basic, "{request:?}");
    }

    fn finish(mut self, ended: Result<(), EndReason>, knows: bool) -> Outcome {
        let tear_down = self.client.teardown();
        if let Some((bytes, cseq)) = &tear_down {
            let mut bytes = BytesMut::from(&bytes[..]);
            let Ok(Some(Item::Request(request))) = Decoder::new().decode(&mut bytes) else {
                panic!("{tear_down:?}")
            };
            assert_eq!((request.method, request.cseq()), (Method::Teardown, Some(*cseq)));
            self.check_request(&request);
        }
        assert!(self.client.teardown().is_none(), "once");
        let wire = String::from_utf8(self.wire).expect("our requests are text");
        assert!(knows || !wire.contains("secret"), "{wire}");
        assert!(self.allows_basic || knows || !wire.contains(BASIC), "{wire}");
        // How much had come when it ended depends on the cuts.
        let counts = super::Counts { bytes: 0, ..self.client.counts() };
        assert_eq!(counts.panics, 0, "of the depacketiser");
        // A JPEG picture gets its headers back.
        let grown = self.given.media.len() * limits::JPEG_HEAD_BYTES;
        assert!(self.given.bytes <= self.taken_from_camera + grown, "nothing grows on its way");
        Outcome { wire, given: self.given, ended: ended.err(), counts }
    }
}

/// The items of a byte stream with their bytes, and what is left as the last.
fn items(stream: &[u8]) -> Vec<(Option<Item>, &[u8])> {
    let (mut decoder, mut buffer, mut items) = (Decoder::new(), BytesMut::from(stream), Vec::new());
    let mut rest = stream;
    while let Ok(Some(item)) = decoder.decode(&mut buffer) {
        let (bytes, behind) = rest.split_at(rest.len() - buffer.len());
        items.push((Some(item), bytes));
        rest = behind;
    }
    items.push((None, rest));
    items
}
