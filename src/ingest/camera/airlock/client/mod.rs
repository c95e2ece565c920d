//! The RTSP client: bytes of the camera in; requests, access units and deadlines out. Pure: no sockets, no clock.
//!
//! This is what a camera can attack. Messages are parsed within limits; of media packets only payloads that were
//! checked, and numbers that were parsed, reach the depacketiser. No index, no unchecked arithmetic.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod answers;
mod budget;
mod counts;
mod describe;
mod framing;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod login;
mod meter;
mod packet;
mod player;
mod requests;
#[cfg(test)]
mod tests;
mod track;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use url::Url;

pub use counts::{Counts, Oddities};

use self::describe::{Described, printable};
use self::login::{Authenticator, Refusals};
use self::meter::{FRAME_COST, Meter, wide};
use self::player::{Player, later, overhead};
use super::{
    EndReason, LoginMemory, LoginUsed, OpenedTrack, ReportedTime, Request, Sink, Starts, Unit,
};
use crate::ingest::camera::depacketise::Depacketiser;
use crate::media::Kinds;
use crate::ops::limits;
use crate::wire::rtsp::{Decoder, Item, Method};

/// The state machine of one session with a camera.
#[derive(Debug)]
pub(super) struct Client {
    url: Url,
    user_agent: String,
    kinds: Kinds,
    login: Authenticator,
    from_camera: Decoder,
    to_camera: BytesMut,
    last_cseq: u32,
    exchange: Option<Exchange>,
    keep_alive: KeepAlive,
    dialled_again: bool,
    described: Option<Described>,
    /// Tracks that are to be set up, by their place among those described.
    waiting: VecDeque<(usize, Depacketiser)>,
    setups: Vec<Setup>,
    tracks: Vec<OpenedTrack>,
    session: Option<String>,
    timeout: Duration,
    phase: Phase,
    unfinished: Option<Unfinished>,
    starts: Option<Starts>,
    meter: Meter,
    counts: Counts,
}

/// What is to be done after input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Send what there is to send.
    GoOn,
    /// Connect to the camera again, call [`Client::redialled`], then go on.
    Redial,
    /// The camera plays. What is left of its bytes is media: call [`Client::camera_bytes`] again.
    Play,
}

#[derive(Debug)]
enum Phase {
    Opening,
    /// PLAY was sent: media may come before its answer, and is held, framed as it came.
    Early(BytesMut),
    /// What was held is the first to be looked at.
    Playing(Box<Player>, BytesMut),
}

/// A request on its way to the camera.
#[derive(Debug)]
struct Exchange {
    asked: Asked,
    cseq: u32,
    refusals: Refusals,
    deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Describe,
    Setup { index: usize, channels: (u8, u8) },
    Play,
}

/// A track the camera set up.
#[derive(Debug)]
struct Setup {
    /// Its place among those described.
    index: usize,
    /// Of RTP and RTCP.
    channels: (u8, u8),
    source: Option<u32>,
    depacketiser: Depacketiser,
}

#[derive(Debug)]
struct KeepAlive {
    next: Option<Instant>,
    sent: Option<u32>,
    method: KeepAliveMethod,
    refusals: Refusals,
}

/// What keeps the camera's session alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeepAliveMethod {
    /// OPTIONS, until it says whether GET_PARAMETER is known: some do not count OPTIONS.
    Ask,
    GetParameter,
    /// OPTIONS for good.
    Options,
}

/// An item of the camera that is not whole.
#[derive(Debug, Clone, Copy)]
struct Unfinished {
    since: Instant,
    may_take: Duration,
}

impl Client {
    /// [`Self::start`] asks the first thing.
    pub(super) fn new(
        request: &Request,
        memory: LoginMemory,
        client_nonce: String,
        now: Instant,
    ) -> Result<Self, EndReason> {
        let Request { url, login, basic, user_agent, kinds } = request.clone();
        let plain = matches!(url.scheme(), "rtsp" | "rtsps")
            && url.username().is_empty()
            && url.password().is_none()
            && printable(url.as_str());
        if !plain || !user_agent.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(EndReason::BadRequest);
        }
        Ok(Self {
            url,
            user_agent,
            kinds,
            login: Authenticator::new(login, basic, memory, client_nonce),
            from_camera: Decoder::new(),
            to_camera: BytesMut::new(),
            last_cseq: 0,
            exchange: None,
            keep_alive: KeepAlive {
                next: None,
                sent: None,
                method: KeepAliveMethod::Ask,
                refusals: Refusals::Never,
            },
            dialled_again: false,
            described: None,
            waiting: VecDeque::new(),
            setups: Vec::new(),
            tracks: Vec::new(),
            session: None,
            timeout: DEFAULT_TIMEOUT,
            phase: Phase::Opening,
            unfinished: None,
            starts: None,
            meter: Meter::new(now),
            counts: Counts::default(),
        })
    }

    /// Takes what can be taken of the camera's bytes; `fresh` of them are new. Access units go to `sink`.
    pub(super) fn camera_bytes(
        &mut self,
        buffer: &mut BytesMut,
        fresh: usize,
        now: Instant,
        sink: &mut dyn Sink,
    ) -> Result<Next, EndReason> {
        self.counts.bytes = self.counts.bytes.saturating_add(wide(fresh));
        self.meter.bytes(fresh, now)?;
        self.release(now, sink)?;
        let mut taken_any = false;
        loop {
            // Nearly all of it: taken where it lies.
            if let Some((channel, payload)) = self.from_camera.peek_frame(buffer) {
                let size = payload.len().saturating_add(4);
                self.frame(channel, payload, now, sink)?;
                buffer.advance(size);
                taken_any = true;
                continue;
            }
            let before = buffer.len();
            let item = self.from_camera.decode(buffer).map_err(EndReason::Grammar)?;
            let Some(item) = item else { break };
            taken_any = true;
            let next = self.camera_item(item, before.saturating_sub(buffer.len()), now, sink)?;
            if next != Next::GoOn {
                return Ok(next);
            }
        }
        self.unfinished = match (buffer.first(), self.unfinished) {
            (None, _) => None,
            (Some(_), Some(unfinished)) if !taken_any => Some(unfinished),
            // Wi-Fi stalls of seconds within a media frame are normal; a slow message is not.
            (Some(b'$'), _) => Some(Unfinished { since: now, may_take: limits::CAMERA_STALL }),
            (Some(_), _) => Some(Unfinished { since: now, may_take: limits::CAMERA_MESSAGE }),
        };
        Ok(Next::GoOn)
    }

    /// The camera closed the connection.
    pub(super) fn camera_closed(&self) -> Result<Next, EndReason> {
        let asks_login = self.exchange.as_ref().is_some_and(|e| e.refusals != Refusals::Never);
        if asks_login && self.may_redial() {
            Ok(Next::Redial)
        } else {
            Err(EndReason::CameraClosed)
        }
    }

    /// A new connection to the camera stands: asks again on it. What the old one left is to be thrown away.
    pub(super) fn redialled(&mut self, now: Instant) {
        self.dialled_again = true;
        self.from_camera = Decoder::new();
        self.unfinished = None;
        self.to_camera.clear();
        self.ask(now);
    }

    /// When [`Self::on_time`] wants to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let look = match &self.phase {
            Phase::Playing(player, _) => Some(player.deadline()),
            Phase::Opening | Phase::Early(_) => None,
        };
        let answer = self.exchange.as_ref().map(|exchange| exchange.deadline);
        let finish = self.unfinished.map(|u| later(u.since, u.may_take));
        [look, answer, finish, self.keep_alive.next].into_iter().flatten().min()
    }

    /// Judges what did not come, and sends keep-alives.
    pub(super) fn on_time(&mut self, now: Instant) -> Result<(), EndReason> {
        if self.exchange.as_ref().is_some_and(|exchange| now >= exchange.deadline) {
            return Err(EndReason::NoAnswer);
        }
        if self.unfinished.is_some_and(|u| now >= later(u.since, u.may_take)) {
            return Err(EndReason::SlowMessage);
        }
        if self.keep_alive.next.is_some_and(|next| now >= next) {
            self.send_keep_alive(now, Refusals::Never);
        }
        match &mut self.phase {
            Phase::Playing(player, _) => player.on_time(now, &self.counts),
            Phase::Opening | Phase::Early(_) => Ok(()),
        }
    }

    /// Bytes for the camera.
    pub(super) fn take_for_camera(&mut self) -> Bytes {
        self.to_camera.split().freeze()
    }

    /// The TEARDOWN for a session the camera may hold, and its `CSeq`; once.
    pub(super) fn teardown(&mut self) -> Option<(Bytes, u32)> {
        if self.tracks.is_empty() {
            return None;
        }
        let uri = self.described.take()?.aggregate;
        self.to_camera.clear();
        let cseq = self.send(Method::Teardown, &uri, &[]);
        Some((self.take_for_camera(), cseq))
    }

    /// Whether what came after TEARDOWN answers it, or never will.
    pub(super) fn is_farewell(&mut self, buffer: &mut BytesMut, cseq: u32) -> bool {
        loop {
            match self.from_camera.decode(buffer) {
                Ok(Some(Item::Response(answer))) if answer.cseq().is_none_or(|c| c == cseq) => {
                    return true;
                }
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn login_used(&self) -> LoginUsed {
        self.login.used()
    }

    pub(super) fn memory(&self) -> LoginMemory {
        self.login.memory()
    }

    /// What the answer to PLAY said of the tracks' starts, once it came.
    pub(super) fn starts(&self) -> Option<Starts> {
        self.starts
    }

    /// The tracks that are set up, in that order, with the parameters of the session description.
    pub(super) fn tracks(&self) -> &[OpenedTrack] {
        &self.tracks
    }

    /// Once, and only while there is no session to lose.
    fn may_redial(&self) -> bool {
        !self.dialled_again && self.tracks.is_empty()
    }

    fn camera_item(
        &mut self,
        item: Item,
        size: usize,
        now: Instant,
        sink: &mut dyn Sink,
    ) -> Result<Next, EndReason> {
        match item {
            Item::Interleaved { channel, payload } => self.frame(channel, &payload, now, sink)?,
            Item::Response(response) => return self.camera_response(&response, size, now),
            Item::Request(_) => {
                // Not answered: nothing of the camera's own asking is served.
                self.counts.camera_requests = self.counts.camera_requests.saturating_add(1);
                overhead(size, now, &mut self.meter, &mut self.counts)?;
            }
            Item::Blank(_) => overhead(size, now, &mut self.meter, &mut self.counts)?,
        }
        Ok(Next::GoOn)
    }

    /// Takes what came before the answer to PLAY.
    fn release(&mut self, now: Instant, sink: &mut dyn Sink) -> Result<(), EndReason> {
        let Phase::Playing(_, held) = &mut self.phase else { return Ok(()) };
        let mut held = std::mem::take(held);
        while held.len() >= 4 {
            held.advance(1);
            let channel = held.get_u8();
            let length = usize::from(held.get_u16()).min(held.len());
            let payload = held.split_to(length);
            self.frame(channel, &payload, now, sink)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        channel: u8,
        payload: &[u8],
        now: Instant,
        sink: &mut dyn Sink,
    ) -> Result<(), EndReason> {
        let Self { meter, counts, .. } = self;
        match &mut self.phase {
            Phase::Playing(player, _) => {
                return player.frame(channel, payload, now, sink, meter, counts);
            }
            Phase::Early(held) if self.setups.iter().any(|setup| setup.hears(channel)) => {
                let size = payload.len().saturating_add(4);
                if held.len().saturating_add(size) <= limits::EARLY_MEDIA_BYTES {
                    held.put_slice(&[b'$', channel]);
                    held.put_u16(u16::try_from(payload.len()).unwrap_or(u16::MAX));
                    held.put_slice(payload);
                    return Ok(());
                }
                counts.dropped_early = counts.dropped_early.saturating_add(1);
            }
            Phase::Opening | Phase::Early(_) => {
                counts.dropped_channel = counts.dropped_channel.saturating_add(1);
            }
        }
        overhead(FRAME_COST, now, meter, counts)
    }
}

impl Setup {
    fn hears(&self, channel: u8) -> bool {
        self.channels.0 == channel || self.channels.1 == channel
    }
}

/// RFC 2326 12.37.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
