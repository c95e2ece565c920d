//! RTSP messages as clients and cameras write them.

use bytes::BytesMut;
use camlock::wire::rtsp::{Decoder, Item};

use super::{Result, Step};

const LOGIN: &str = "Digest username=\"viewer\", realm=\"camlock\", \
    nonce=\"7f3c1b9a0d5e4f62817c3a9b5d0e6f41\", uri=\"rtsps://gateway.example:322/door/main\", \
    response=\"0f3a6c1d9b2e4785a1c3d5e7f9021436\", algorithm=\"MD5\"";

/// A session of ffmpeg's up to PLAY, and its keep-alive.
pub(super) fn requests() -> Result<Box<dyn Step>> {
    let request = |method: &str, place: &str, headers: &str| {
        format!(
            "{method} rtsps://gateway.example:322/door/main{place} RTSP/1.0\r\n{headers}CSeq: 3\r\n\
             User-Agent: Lavf60.16.100\r\nAuthorization: {LOGIN}\r\n\r\n"
        )
    };
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    Messages::step(&[
        request("OPTIONS", "", ""),
        request("DESCRIBE", "", "Accept: application/sdp\r\n"),
        request("SETUP", "/trackID=0", transport),
        request("PLAY", "/", "Range: npt=0.000-\r\nSession: 5d0e6f417f3c1b9a\r\n"),
        request("GET_PARAMETER", "/", "Session: 5d0e6f417f3c1b9a\r\n"),
    ])
}

/// The answers of a camera to the same.
pub(super) fn responses() -> Result<Box<dyn Step>> {
    let response = |headers: &str, body: &str| {
        format!(
            "RTSP/1.0 200 OK\r\nCSeq: 3\r\nServer: Rtsp Server/3.0\r\n\
             Date: Tue, 03 Nov 2026 11:22:33 GMT\r\n{headers}\r\n{body}"
        )
    };
    let body = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=Media Server\r\nt=0 0\r\na=control:*\r\n\
        m=video 0 RTP/AVP 96\r\na=control:trackID=0\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1;profile-level-id=64001F\r\n";
    let length = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", body.len());
    Messages::step(&[
        response("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n", ""),
        response(&length, body),
        response(
            "Session: 1894537926;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;\
             ssrc=0A1B2C3D;mode=\"play\"\r\n",
            "",
        ),
        response(
            "Session: 1894537926\r\nRTP-Info: url=rtsp://192.0.2.7/live/trackID=0;seq=4711;\
             rtptime=2893746112\r\n",
            "",
        ),
        response("Session: 1894537926\r\n", ""),
    ])
}

struct Messages {
    bytes: Vec<u8>,
    count: usize,
    decoder: Decoder,
    ready: BytesMut,
    read: Vec<Item>,
}

impl Messages {
    fn step(messages: &[String]) -> Result<Box<dyn Step>> {
        Ok(Box::new(Self {
            bytes: messages.concat().into_bytes(),
            count: messages.len(),
            decoder: Decoder::new(),
            ready: BytesMut::new(),
            read: Vec::with_capacity(messages.len()),
        }))
    }
}

impl Step for Messages {
    fn units(&self) -> usize {
        self.count
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn prepare(&mut self) -> Result<()> {
        self.read.clear();
        self.ready = BytesMut::from(&self.bytes[..]);
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        while let Some(item) = self.decoder.decode(&mut self.ready)? {
            self.read.push(item);
        }
        if self.read.len() == self.count { Ok(()) } else { Err("a message was not read".into()) }
    }
}
