//! A way through the airlock without sockets and clock, for `benches/`: what media costs here, and nothing else.

use std::time::Instant;

use bytes::BytesMut;
use url::Url;

use super::client::Client;
use super::{BasicPolicy, EndReason, LoginMemory, ReportedTime, Request, Sink, Unit};
use crate::media::Kinds;
use crate::wire::rtsp::{Decoder, Item, Response};

const CAMERA: &str = "rtsp://192.0.2.7:554/live";

/// A session that plays one track, on channel 0, of a camera that behaves.
#[derive(Debug)]
pub struct Passage {
    client: Client,
    given: Given,
}

/// Access units, counted by their bytes.
#[derive(Debug, Default)]
struct Given(usize);

impl Sink for Given {
    fn unit(&mut self, unit: Unit) {
        self.0 += unit.frame.data.len();
    }

    fn report(&mut self, _: ReportedTime) {}
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
        let mut client = Client::new(&request, LoginMemory::Nothing, "c".to_owned(), now)?;
        client.start(now);
        let mut passage = Self { client, given: Given::default() };
        passage.answer(description, now)?;
        passage.answer("", now)?;
        passage.answer("", now)?;
        Ok(passage)
    }

    /// Takes the interleaved frames of one access unit; how many bytes of access units came out.
    pub fn unit(&mut self, frames: &mut BytesMut, now: Instant) -> Result<usize, EndReason> {
        let (fresh, before) = (frames.len(), self.given.0);
        self.client.camera_bytes(frames, fresh, now, &mut self.given)?;
        Ok(self.given.0 - before)
    }

    /// The camera's answer to the request that is open.
    fn answer(&mut self, body: &str, now: Instant) -> Result<(), EndReason> {
        let mut wire = BytesMut::from(&self.client.take_for_camera()[..]);
        let item = Decoder::new().decode(&mut wire).map_err(EndReason::Grammar)?;
        let Some(Item::Request(request)) = item else { return Err(EndReason::BadRequest) };
        let mut answer = Response::new(200);
        answer.headers.push("Session", "1");
        for name in ["CSeq", "Transport"] {
            if let Some(value) = request.headers.get(name) {
                answer.headers.push(name, value);
            }
        }
        answer.body = body.to_owned().into();
        let mut answer = BytesMut::from(&answer.encode()[..]);
        let fresh = answer.len();
        self.client.camera_bytes(&mut answer, fresh, now, &mut self.given)?;
        Ok(())
    }
}
