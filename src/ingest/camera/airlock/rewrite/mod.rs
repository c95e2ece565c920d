//! The re-writer: bytes in from both sides, bytes and deadlines out. Pure: no sockets, no clock.
//!
//! This is what a camera can attack. Nothing of the camera's is copied to the depacketiser but payloads
//! that were checked and numbers that were parsed; no index, no unchecked arithmetic.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod answers;
mod budget;
mod counts;
mod describe;
mod framing;
mod jpeg;
mod login;
mod meter;
mod packet;
mod player;
mod requests;
#[cfg(test)]
mod tests;
mod track;

use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use url::Url;

pub use counts::{Counts, Oddities};
pub(super) use player::Totals;

use self::describe::{Described, Media, printable};
use self::login::{Authenticator, Refusals};
use self::meter::{FRAME_COST, Meter, wide};
use self::player::{Player, later, overhead};
use super::{EndReason, LoginMemory, LoginUsed, OpenedTrack, Request, Starts};
use crate::media::Kinds;
use crate::ops::limits;
use crate::wire::rtsp::{Decoder, Item, Method};

/// The state machine between a camera and the depacketiser.
#[derive(Debug)]
pub(super) struct Rewriter {
    url: Url,
    user_agent: String,
    kinds: Kinds,
    door: String,
    login: Authenticator,
    from_camera: Decoder,
    from_consumer: Decoder,
    to_camera: BytesMut,
    to_consumer: BytesMut,
    last_cseq: u32,
    exchange: Option<Exchange>,
    keep_alive: KeepAlive,
    redial: Redial,
    described: Option<Described>,
    setups: Vec<Setup>,
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
    /// Connect to the camera anew, call [`Rewriter::redialled`], then go on.
    Redial,
}

#[derive(Debug)]
enum Phase {
    Opening,
    /// PLAY was sent: media may come before its answer, and is held, framed as it came.
    Early(BytesMut),
    Playing(Box<Player>),
}

/// A request of the depacketiser on its way to the camera.
#[derive(Debug)]
struct Exchange {
    asked: Asked,
    consumer_cseq: u32,
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
    index: usize,
    /// Towards the depacketiser.
    own: (u8, u8),
    /// Towards the camera.
    camera: (u8, u8),
    source: Option<u32>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redial {
    Unused,
    Wanted,
    Used,
}

/// An item of the camera that is not whole.
#[derive(Debug, Clone, Copy)]
struct Unfinished {
    since: Instant,
    may_take: Duration,
}

impl Rewriter {
    /// `door` is what every URL of the depacketiser begins with, its token included; it ends with `/`.
    pub(super) fn new(
        request: &Request,
        memory: LoginMemory,
        door: String,
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
            door,
            login: Authenticator::new(login, basic, memory, client_nonce),
            from_camera: Decoder::new(),
            from_consumer: Decoder::new(),
            to_camera: BytesMut::new(),
            to_consumer: BytesMut::new(),
            last_cseq: 0,
            exchange: None,
            keep_alive: KeepAlive {
                next: None,
                sent: None,
                method: KeepAliveMethod::Ask,
                refusals: Refusals::Never,
            },
            redial: Redial::Unused,
            described: None,
            setups: Vec::new(),
            session: None,
            timeout: DEFAULT_TIMEOUT,
            phase: Phase::Opening,
            unfinished: None,
            starts: None,
            meter: Meter::new(now),
            counts: Counts::default(),
        })
    }

    /// Takes what can be taken of the camera's bytes; `fresh` of them are new.
    pub(super) fn camera_bytes(
        &mut self,
        buffer: &mut BytesMut,
        fresh: usize,
        now: Instant,
    ) -> Result<Next, EndReason> {
        self.counts.bytes = self.counts.bytes.saturating_add(wide(fresh));
        self.meter.bytes(fresh, now)?;
        let mut taken_any = false;
        loop {
            let before = buffer.len();
            let item = self.from_camera.decode(buffer).map_err(EndReason::Grammar)?;
            let Some(item) = item else { break };
            taken_any = true;
            self.camera_item(item, before.saturating_sub(buffer.len()), now)?;
            if self.redial == Redial::Wanted {
                return Ok(Next::Redial);
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
    pub(super) fn camera_closed(&mut self) -> Result<Next, EndReason> {
        let asks_login = self.exchange.as_ref().is_some_and(|e| e.refusals != Refusals::Never);
        if asks_login && self.redial == Redial::Unused && self.setups.is_empty() {
            self.redial = Redial::Wanted;
            return Ok(Next::Redial);
        }
        Err(EndReason::CameraClosed)
    }

    /// A new connection to the camera stands: asks again on it. What the old one left is to be thrown away.
    pub(super) fn redialled(&mut self, now: Instant) {
        self.redial = Redial::Used;
        self.from_camera = Decoder::new();
        self.unfinished = None;
        self.to_camera.clear();
        self.ask(now);
    }

    /// Takes what can be taken of the depacketiser's bytes.
    pub(super) fn consumer_bytes(
        &mut self,
        buffer: &mut BytesMut,
        now: Instant,
    ) -> Result<(), EndReason> {
        while let Some(item) = self.from_consumer.decode(buffer).map_err(|_| EndReason::Door)? {
            match item {
                Item::Request(request) => self.consumer_request(&request, now)?,
                // retina sends no receiver reports, and nothing of it is for the camera.
                Item::Interleaved { .. } | Item::Response(_) | Item::Blank(_) => {}
            }
        }
        Ok(())
    }

    /// The items the depacketiser gave so far, per track.
    pub(super) fn acknowledge(&mut self, totals: &Totals, now: Instant) {
        if let Phase::Playing(player) = &mut self.phase {
            player.acknowledge(totals, now);
        }
    }

    /// Whether the depacketiser should give a unit before more of the camera is read.
    pub(super) fn is_ahead(&self) -> bool {
        match &self.phase {
            Phase::Playing(player) => player.is_ahead(),
            Phase::Opening | Phase::Early(_) => false,
        }
    }

    /// When [`Self::on_time`] wants to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let look = match &self.phase {
            Phase::Playing(player) => Some(player.deadline()),
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
            Phase::Playing(player) => player.on_time(now),
            Phase::Opening | Phase::Early(_) => Ok(()),
        }
    }

    /// Bytes for the camera.
    pub(super) fn take_for_camera(&mut self) -> Bytes {
        self.to_camera.split().freeze()
    }

    /// Bytes for the depacketiser. Take from its front what was written.
    pub(super) fn for_consumer(&mut self) -> &mut BytesMut {
        &mut self.to_consumer
    }

    /// The TEARDOWN for a session the camera may hold, and its `CSeq`.
    pub(super) fn teardown(&mut self) -> Option<(Bytes, u32)> {
        if self.setups.is_empty() {
            return None;
        }
        let uri = self.described.as_ref()?.aggregate.clone();
        self.to_camera.clear();
        let cseq = self.send(Method::Teardown, &uri, &[]);
        self.setups.clear();
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

    pub(super) fn intruders(&mut self, count: u64) {
        self.counts.intruders = count;
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

    /// The tracks presented to the depacketiser, in its order.
    pub(super) fn presented(&self) -> Vec<OpenedTrack> {
        let media = self.described.as_ref().map(|d| d.media.as_slice()).unwrap_or_default();
        let track = |(stream, media): (usize, &Media)| OpenedTrack {
            stream,
            media: media.section,
            encoding: media.encoding,
            clock_rate: media.clock_rate,
            channels: media.channels,
        };
        media.iter().enumerate().map(track).collect()
    }

    fn camera_item(&mut self, item: Item, size: usize, now: Instant) -> Result<(), EndReason> {
        match item {
            Item::Interleaved { channel, payload } => self.frame(channel, &payload, now),
            Item::Response(response) => self.camera_response(&response, size, now),
            Item::Request(_) => {
                // Not answered: nothing of the camera's own asking is served.
                self.counts.camera_requests = self.counts.camera_requests.saturating_add(1);
                overhead(size, now, &mut self.meter, &mut self.counts)
            }
            Item::Blank(_) => overhead(size, now, &mut self.meter, &mut self.counts),
        }
    }

    fn frame(&mut self, channel: u8, payload: &[u8], now: Instant) -> Result<(), EndReason> {
        let Self { meter, counts, .. } = self;
        match &mut self.phase {
            Phase::Playing(player) => {
                return player.frame(channel, payload, now, &mut self.to_consumer, meter, counts);
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
        self.camera.0 == channel || self.camera.1 == channel
    }
}

/// RFC 2326 12.37.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
