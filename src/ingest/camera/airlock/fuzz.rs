//! What must hold of the re-writer whatever either side sends: checks for `crate::app::fuzz`.
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

use super::rewrite::{Next, Rewriter};
use super::{BasicPolicy, EndReason, Login, LoginMemory, Request};
use crate::media::Kinds;
use crate::ops::limits;
use crate::wire::rtsp::{self, Decoder, Item, Method, Response, RtpInfo, SessionDescription};

const DOOR: &str = "rtsp://127.0.0.1:1/0123456789abcdef0123456789abcdef/";
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

/// What a camera says to a depacketiser that behaves. The first byte picks the settings and how the bytes are
/// cut; blank lines let time pass.
pub fn airlock_response(data: &[u8]) {
    let Some((how, stream)) = data.split_first() else { return };
    let run = |piece| {
        let mut bench = Bench::new(*how);
        bench.ask_next();
        let ended = bench.camera_stream(stream, piece);
        bench.finish(ended, memmem::find(stream, b"secret").is_some())
    };
    assert_eq!(run(usize::MAX), run(usize::from(how >> 3) + 1), "however the bytes are cut");
}

/// What a depacketiser, or whoever came to its door, says to a camera that behaves. The first byte picks how
/// far the session is and how the bytes are cut.
pub fn airlock_request(data: &[u8]) {
    let Some((how, stream)) = data.split_first() else { return };
    let run = |piece| {
        let mut bench = Bench::new(0);
        for _ in 0..how & 7 {
            bench.ask_next();
            bench.camera_answers().unwrap();
        }
        let asked = bench.wire.len();
        let ended = bench.consumer_stream(stream, piece);
        if memmem::find(stream, DOOR.as_bytes()).is_none() {
            assert_eq!(bench.wire.len(), asked, "nothing goes out for a guest without the token");
        }
        bench.finish(ended, false)
    };
    assert_eq!(run(usize::MAX), run(usize::from(how >> 3) + 1), "however the bytes are cut");
}

/// Media of a camera that plays all kinds of tracks. The first byte says which, and whether what follows is a byte
/// stream, or pieces that each become a packet.
pub fn interleaved(data: &[u8]) {
    let Some((how, stream)) = data.split_first() else { return };
    let packets = if how & 1 == 0 { stream.to_vec() } else { packets(stream) };
    let run = |piece| {
        let mut bench = Bench::new(0);
        bench.sdp = if how & 2 == 0 { SDP } else { SDP_JPEG };
        while bench.stage != Stage::Playing {
            bench.ask_next();
            bench.camera_answers().unwrap();
        }
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
            // Time passes, and the depacketiser gives what it has.
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

/// How far the depacketiser is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Describing,
    SettingUp(usize),
    Starting,
    Playing,
}

/// A re-writer between a depacketiser and a camera.
struct Bench {
    rewriter: Rewriter,
    allows_basic: bool,
    /// What the camera describes, if it is one that says yes.
    sdp: &'static str,
    now: Instant,
    stage: Stage,
    tracks: usize,
    cseq: u32,
    units: u64,
    from_camera: BytesMut,
    from_consumer: BytesMut,
    to_consumer: Decoder,
    /// The number that the next packet of each track may have at least.
    sequence: [Option<u16>; limits::TRACKS],
    taken_from_camera: usize,
    media_to_consumer: usize,
    /// Everything that went out, so that two runs can be compared.
    wire: Vec<u8>,
    heard: Vec<u8>,
    answered: usize,
}

/// What is left of a run.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    wire: String,
    heard: Vec<u8>,
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
        Self {
            rewriter: Rewriter::new(&request, memory, DOOR.into(), "c".into(), now).unwrap(),
            allows_basic: how & 3 == 1,
            sdp: SDP,
            now,
            stage: Stage::Describing,
            tracks: 0,
            cseq: 0,
            units: 0,
            from_camera: BytesMut::new(),
            from_consumer: BytesMut::new(),
            to_consumer: Decoder::new(),
            sequence: [None; limits::TRACKS],
            taken_from_camera: 0,
            media_to_consumer: 0,
            wire: Vec::new(),
            heard: Vec::new(),
            answered: 0,
        }
    }

    /// The next request of a depacketiser.
    fn ask_next(&mut self) {
        let (method, place, header) = match self.stage {
            Stage::Describing => ("DESCRIBE", String::new(), String::new()),
            Stage::SettingUp(index) => {
                let channels = format!("{}-{}", index * 2, index * 2 + 1);
                let header = format!("Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n");
                ("SETUP", index.to_string(), header)
            }
            Stage::Starting => ("PLAY", String::new(), String::new()),
            Stage::Playing => return,
        };
        self.cseq += 1;
        let text =
            format!("{method} {DOOR}{place} RTSP/1.0\r\nCSeq: {}\r\n{header}\r\n", self.cseq);
        self.from_consumer.extend_from_slice(text.as_bytes());
        self.rewriter.consumer_bytes(&mut self.from_consumer, self.now).unwrap();
        self.check_wire(1);
    }

    /// The camera's bytes, item by item, each in pieces: after an item the depacketiser goes on.
    fn camera_stream(&mut self, stream: &[u8], piece: usize) -> Result<(), EndReason> {
        for (item, bytes) in items(stream) {
            for piece in bytes.chunks(piece) {
                self.camera_says(piece)?;
            }
            if let Some(Item::Blank(count)) = item {
                self.wait(count)?;
            }
            self.check_wire(2);
            if self.check_heard() {
                self.ask_next();
            }
        }
        Ok(())
    }

    fn camera_says(&mut self, bytes: &[u8]) -> Result<(), EndReason> {
        self.taken_from_camera += bytes.len();
        self.from_camera.extend_from_slice(bytes);
        match self.rewriter.camera_bytes(&mut self.from_camera, bytes.len(), self.now)? {
            Next::GoOn => {}
            Next::Redial => {
                self.from_camera.clear();
                self.rewriter.redialled(self.now);
            }
        }
        Ok(())
    }

    /// A quarter of a second for each byte; the depacketiser gives a unit of each track.
    fn wait(&mut self, blanks: usize) -> Result<(), EndReason> {
        for _ in 0..blanks.min(400) {
            self.now += Duration::from_millis(250);
            self.rewriter.on_time(self.now)?;
            let due = self.rewriter.deadline();
            assert!(due.is_none_or(|due| due > self.now), "never due at once");
        }
        self.units += 1;
        self.rewriter.acknowledge(&[self.units; limits::TRACKS], self.now);
        Ok(())
    }

    /// The depacketiser's bytes; the camera answers each request that reaches it.
    fn consumer_stream(&mut self, stream: &[u8], piece: usize) -> Result<(), EndReason> {
        for (_, bytes) in items(stream) {
            for piece in bytes.chunks(piece) {
                self.from_consumer.extend_from_slice(piece);
                let taken = self.rewriter.consumer_bytes(&mut self.from_consumer, self.now);
                assert!(matches!(taken, Ok(()) | Err(EndReason::Door)), "{taken:?}");
                taken?;
            }
            self.check_wire(1);
            self.camera_answers()?;
        }
        Ok(())
    }

    /// A camera that says yes.
    fn camera_answers(&mut self) -> Result<(), EndReason> {
        let mut asked = BytesMut::from(&self.wire[self.answered..]);
        self.answered = self.wire.len();
        while let Some(Item::Request(request)) = Decoder::new().decode(&mut asked).unwrap() {
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
            self.camera_says(&answer.encode())?;
            self.check_heard();
        }
        Ok(())
    }

    /// What goes to the camera: our requests and nothing else, at most so many since the last look.
    fn check_wire(&mut self, most: usize) {
        let bytes = self.rewriter.take_for_camera();
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

    /// What the depacketiser gets. Whether its request was answered, and it goes on.
    fn check_heard(&mut self) -> bool {
        let mut bytes = self.rewriter.for_consumer().split();
        self.heard.extend_from_slice(&bytes);
        let mut goes_on = false;
        while let Some(item) =
            self.to_consumer.decode(&mut bytes).expect("what we write can be read")
        {
            match item {
                Item::Response(answer) => {
                    // The others answer the depacketiser's own keep-alives.
                    goes_on |= answer.headers.get("Public").is_none();
                    self.check_answer(&answer);
                }
                Item::Interleaved { channel, payload } => {
                    self.media_to_consumer += payload.len() + 4;
                    self.check_media(channel, &payload);
                }
                Item::Request(_) | Item::Blank(_) => panic!("{item:?}"),
            }
        }
        assert!(bytes.is_empty(), "whole items only");
        assert!(self.media_to_consumer <= self.taken_from_camera, "nothing grows on its way");
        goes_on
    }

    fn check_answer(&mut self, answer: &Response) {
        const HEADERS: [&str; 7] = [
            "CSeq",
            "Content-Type",
            "Content-Length",
            "Session",
            "Transport",
            "RTP-Info",
            "Public",
        ];
        assert!(answer.headers.iter().all(|(name, _)| HEADERS.contains(&name)), "{answer:?}");
        assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"));
        let session = answer.headers.get("Session").unwrap_or("1");
        assert!(matches!(session, "1" | "1;timeout=60"), "{session}");
        if let Some(info) = answer.headers.get("RTP-Info") {
            let infos = RtpInfo::parse_all(info);
            assert!(infos.iter().all(|info| info.url.starts_with(DOOR)), "{info}");
        }
        if answer.headers.get("Content-Type").is_some() {
            self.tracks = check_description(&answer.body);
            self.stage = Stage::SettingUp(0);
            return;
        }
        assert!(answer.body.is_empty());
        if answer.headers.get("RTP-Info").is_some() {
            self.stage = Stage::Playing;
        } else if let (Some(_), Stage::SettingUp(index)) =
            (answer.headers.get("Transport"), self.stage)
        {
            let is_last = index + 1 >= self.tracks;
            self.stage = if is_last { Stage::Starting } else { Stage::SettingUp(index + 1) };
        }
    }

    fn check_media(&mut self, channel: u8, packet: &[u8]) {
        let index = usize::from(channel / 2);
        let source = u32::from(channel / 2) + 1;
        if channel % 2 == 1 {
            assert_eq!((packet.len(), packet[..4].to_vec()), (28, vec![0x80, 200, 0, 6]));
            return assert_eq!(packet[4..8], source.to_be_bytes());
        }
        assert!(packet.len() > 12 && packet[0] == 0x80, "a plain header and a payload");
        assert_eq!(packet[1] & 0x7f, 96 + channel / 2);
        assert_eq!(packet[8..12], source.to_be_bytes());
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        if let Some(expected) = self.sequence[index] {
            // A gap is one number wide, however much was lost.
            assert!(
                matches!(sequence.wrapping_sub(expected), 0 | 1),
                "{sequence} after {expected}"
            );
        }
        self.sequence[index] = Some(sequence.wrapping_add(1));
    }

    fn finish(mut self, ended: Result<(), EndReason>, knows: bool) -> Outcome {
        let tear_down = self.rewriter.teardown();
        if let Some((bytes, cseq)) = &tear_down {
            let mut bytes = BytesMut::from(&bytes[..]);
            let Ok(Some(Item::Request(request))) = Decoder::new().decode(&mut bytes) else {
                panic!("{tear_down:?}")
            };
            assert_eq!((request.method, request.cseq()), (Method::Teardown, Some(*cseq)));
            self.check_request(&request);
        }
        assert!(self.rewriter.teardown().is_none(), "once");
        let wire = String::from_utf8(self.wire).expect("our requests are text");
        assert!(knows || !wire.contains("secret"), "{wire}");
        assert!(self.allows_basic || knows || !wire.contains(BASIC), "{wire}");
        // How much had come when it ended depends on the cuts.
        let counts = super::Counts { bytes: 0, ..self.rewriter.counts() };
        Outcome { wire, heard: self.heard, ended: ended.err(), counts }
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

/// Nothing of the camera's in it but numbers and codec configuration. How many tracks it has.
fn check_description(body: &[u8]) -> usize {
    const HEAD: &str =
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\nm=";
    let text = std::str::from_utf8(body).unwrap();
    assert!(text.starts_with(HEAD), "{text}");
    let description = SessionDescription::parse(body).expect("what we write can be read");
    let media = &description.media;
    assert!((1..=limits::TRACKS).contains(&media.len()));
    for (index, section) in media.iter().enumerate() {
        assert_eq!(section.control, Some(index.to_string()));
        assert_eq!(section.payload_type.map(usize::from), Some(96 + index));
        for (_, value) in &section.format {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/=,-".contains(&b);
            assert!(value.bytes().all(plain), "{value}");
        }
    }
    media.len()
}
