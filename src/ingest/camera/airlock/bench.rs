//! A way through the re-writer without sockets and clock, for `benches/`: what media costs here, and nothing else.

use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use url::Url;

use super::rewrite::Rewriter;
use super::{BasicPolicy, EndReason, LoginMemory, Request};
use crate::media::Kinds;
use crate::ops::limits;
use crate::wire::rtsp::{Decoder, Item, Response};

const DOOR: &str = "rtsp://127.0.0.1:1/0123456789abcdef0123456789abcdef/";
const CAMERA: &str = "rtsp://192.0.2.7:554/live";

/// A session that plays one track, on channel 0, between a camera and a depacketiser that behave.
#[derive(Debug)]
pub struct Passage {
    rewriter: Rewriter,
    units: u64,
}

impl Passage {
    /// Opens the session of a camera that sends `description`.
    pub fn open(description: &str, now: Instant) -> Result<Self, EndReason> {
        let request = Request {
            url: Url::parse(CAMERA).map_err(|_| EndReason::BadRequest)?,
            login: None,
            basic: BasicPolicy::Refuse,
            user_agent: "Camlock".to_owned(),
            kinds: Kinds::ALL,
        };
        let rewriter =
            Rewriter::new(&request, LoginMemory::Nothing, DOOR.to_owned(), "c".to_owned(), now)?;
        let mut passage = Self { rewriter, units: 0 };
        passage.ask("DESCRIBE", "", 1, description, now)?;
        passage.ask("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", 2, "", now)?;
        passage.ask("PLAY", "", 3, "", now)?;
        Ok(passage)
    }

    /// Passes on the interleaved frames of one access unit, for which the depacketiser gives a unit; how many bytes it
    /// gets.
    pub fn unit(&mut self, frames: &mut BytesMut, now: Instant) -> Result<usize, EndReason> {
        let fresh = frames.len();
        self.rewriter.acknowledge(&[self.units; limits::TRACKS], now);
        self.rewriter.camera_bytes(frames, fresh, now)?;
        self.units += 1;
        let out = self.rewriter.for_consumer();
        let passed = out.len();
        out.advance(passed);
        Ok(passed)
    }

    /// A request of the depacketiser's, and the camera's answer to it.
    fn ask(
        &mut self,
        method: &str,
        header: &str,
        cseq: u32,
        body: &str,
        now: Instant,
    ) -> Result<(), EndReason> {
        let place = if method == "SETUP" { "0" } else { "" };
        let asked = format!("{method} {DOOR}{place} RTSP/1.0\r\nCSeq: {cseq}\r\n{header}\r\n");
        self.rewriter.consumer_bytes(&mut BytesMut::from(asked.as_bytes()), now)?;
        let mut wire = BytesMut::from(&self.rewriter.take_for_camera()[..]);
        let item = Decoder::new().decode(&mut wire).map_err(EndReason::Grammar)?;
        let Some(Item::Request(request)) = item else { return Err(EndReason::Door) };
        let mut answer = Response::new(200);
        answer.headers.push("Session", "1");
        for name in ["CSeq", "Transport"] {
            if let Some(value) = request.headers.get(name) {
                answer.headers.push(name, value);
            }
        }
        answer.body = body.to_owned().into();
        let answer = answer.encode();
        self.rewriter.camera_bytes(&mut BytesMut::from(&answer[..]), answer.len(), now)?;
        self.rewriter.for_consumer().clear();
        Ok(())
    }
}
