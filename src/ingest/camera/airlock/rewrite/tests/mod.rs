//! The re-writer from both sides, without sockets.

mod bounds;
mod login;
mod mutations;
mod sessions;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use memchr::memmem;

use super::packet::{Rtp, SenderReport};
use super::*;
use crate::ingest::camera::airlock::{BasicPolicy, Login};

const DOOR: &str = "rtsp://127.0.0.1:1/0123456789abcdef0123456789abcdef/";

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=cam\r\nt=0 0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n\
    m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:trackID=2\r\n";

fn request() -> Request {
    Request {
        url: Url::parse("rtsp://192.0.2.7:554/live?channel=1&sub=0").unwrap(),
        login: Some(Login { user: "viewer".into(), password: "secret".to_owned().into() }),
        basic: BasicPolicy::Refuse,
        user_agent: "Camlock".into(),
        kinds: Kinds::ALL,
    }
}

/// A re-writer between a depacketiser and a camera that the test plays.
struct Bench {
    rewriter: Rewriter,
    now: Instant,
    asked: u32,
    buffer: BytesMut,
}

impl Bench {
    fn new() -> Self {
        Self::with(&request(), LoginMemory::Nothing)
    }

    fn with(request: &Request, memory: LoginMemory) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let rewriter = Rewriter::new(request, memory, DOOR.into(), "c".into(), now).unwrap();
        Self { rewriter, now, asked: 0, buffer: BytesMut::new() }
    }

    /// Described, set up and playing on the channels asked for.
    fn playing(sdp: &str) -> Self {
        let mut bench = Self::new();
        bench.described(sdp).unwrap();
        for index in 0..bench.rewriter.presented().len() {
            bench.set_up(index).unwrap();
        }
        bench.play("").unwrap();
        bench.hears();
        bench
    }

    fn described(&mut self, sdp: &str) -> Result<Next, EndReason> {
        self.asks("DESCRIBE", "", "")?;
        let headers = format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len());
        self.says(format!("RTSP/1.0 200 OK\r\n{headers}").as_bytes())
    }

    fn set_up(&mut self, index: usize) -> Result<Next, EndReason> {
        let transport = format!("RTP/AVP/TCP;unicast;interleaved={}-{}", index * 2, index * 2 + 1);
        self.asks("SETUP", &index.to_string(), &format!("Transport: {transport}\r\n"))?;
        self.answers(200, &format!("Session: 77;timeout=30\r\nTransport: {transport}\r\n"))
    }

    fn play(&mut self, headers: &str) -> Result<Next, EndReason> {
        self.asks("PLAY", "", "Session: 1\r\n")?;
        self.answers(200, headers)
    }

    /// The depacketiser asks.
    fn asks(&mut self, method: &str, place: &str, headers: &str) -> Result<(), EndReason> {
        self.asked += 1;
        let text =
            format!("{method} {DOOR}{place} RTSP/1.0\r\nCSeq: {}\r\n{headers}\r\n", self.asked);
        self.rewriter.consumer_bytes(&mut BytesMut::from(text.as_bytes()), self.now)
    }

    /// The camera answers the last request on the wire.
    fn answers(&mut self, status: u16, headers: &str) -> Result<Next, EndReason> {
        let cseq = self.rewriter.last_cseq;
        self.says(format!("RTSP/1.0 {status} X\r\nCSeq: {cseq}\r\n{headers}\r\n").as_bytes())
    }

    /// The camera says.
    fn says(&mut self, bytes: &[u8]) -> Result<Next, EndReason> {
        self.buffer.extend_from_slice(bytes);
        self.rewriter.camera_bytes(&mut self.buffer, bytes.len(), self.now)
    }

    /// What the camera gets.
    fn wire(&mut self) -> String {
        String::from_utf8(self.rewriter.take_for_camera().to_vec()).unwrap()
    }

    /// What the depacketiser gets.
    fn hears(&mut self) -> Vec<u8> {
        self.rewriter.for_consumer().split().to_vec()
    }

    fn hears_text(&mut self) -> String {
        String::from_utf8(self.hears()).unwrap()
    }

    /// Time passes, in steps of a tenth of a second.
    fn wait(&mut self, time: Duration) -> Result<(), EndReason> {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(100);
            self.rewriter.on_time(self.now)?;
        }
        Ok(())
    }
}

/// An interleaved frame.
fn frame(channel: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![b'$', channel];
    frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame
}

/// A media packet in a frame.
fn media(channel: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Rtp { marker: true, payload_type: 96, sequence, timestamp, source: 9, payload }
        .write(channel, &mut out);
    out.to_vec()
}

fn contains(haystack: impl AsRef<[u8]>, needle: &str) -> bool {
    memmem::find(haystack.as_ref(), needle.as_bytes()).is_some()
}
