//! The camera's answers, and what each lets us ask next.

use std::time::Instant;

use bytes::BytesMut;

use super::describe::{self, Described};
use super::player::{Player, Slot, later, overhead};
use super::track::{Announced, Track};
use super::{
    Asked, Client, EndReason, Exchange, KeepAliveMethod, Next, OpenedTrack, Phase, Setup, Starts,
};
use crate::ingest::camera::depacketise::Depacketiser;
use crate::ops::limits;
use crate::wire::rtsp::{Method, Response, RtpInfo, SessionHeader, Transport, TransportMode};

impl Client {
    /// An answer of the camera. One without number belongs to the one open request.
    pub(super) fn camera_response(
        &mut self,
        response: &Response,
        size: usize,
        now: Instant,
    ) -> Result<Next, EndReason> {
        let belongs = |cseq: u32| response.cseq().is_none_or(|theirs| theirs == cseq);
        if let Some(exchange) = self.exchange.take_if(|e| belongs(e.cseq) && response.status >= 200)
        {
            self.counts.odd.no_cseq |= response.cseq().is_none();
            return self.answered(exchange, response, now);
        }
        if self.keep_alive.sent.take_if(|cseq| belongs(*cseq)).is_some() {
            self.kept_alive(response, now);
        } else {
            self.counts.stray_answers = self.counts.stray_answers.saturating_add(1);
        }
        overhead(size, now, &mut self.meter, &mut self.counts)?;
        Ok(Next::GoOn)
    }

    fn answered(
        &mut self,
        mut exchange: Exchange,
        response: &Response,
        now: Instant,
    ) -> Result<Next, EndReason> {
        if response.status == 401 {
            let challenges = response.headers.all("WWW-Authenticate");
            exchange.refusals = self.login.challenged(challenges, exchange.refusals)?;
            self.exchange = Some(exchange);
            let closes =
                response.headers.all("Connection").any(|v| v.eq_ignore_ascii_case("close"));
            if closes && self.may_redial() {
                return Ok(Next::Redial);
            }
            self.ask(now);
            return Ok(Next::GoOn);
        }
        if !(200..300).contains(&response.status) {
            return Err(refusal(response.status));
        }
        match exchange.asked {
            Asked::Describe => self.describe_answered(response)?,
            Asked::Setup { index, channels } => self.setup_answered(index, channels, response)?,
            Asked::Play => {
                self.play_answered(response, now);
                return Ok(Next::Play);
            }
        }
        self.ask_next(now);
        Ok(Next::GoOn)
    }

    fn describe_answered(&mut self, response: &Response) -> Result<(), EndReason> {
        let described = Described::read(&self.url, response, self.kinds)?;
        self.counts.dropped_sections = super::wide(described.dropped);
        self.counts.odd.other_host = described.other_host;
        self.counts.odd.base_without_scheme = described.base_without_scheme;
        // Sound whose configuration cannot be read is left alone; the pictures go on without it.
        let formats = described.media.iter().map(|media| media.format.clone()).enumerate();
        self.waiting = formats
            .filter_map(|(index, format)| Some((index, Depacketiser::new(format)?)))
            .collect();
        self.described = Some(described);
        if self.waiting.is_empty() { Err(EndReason::NoUsableMedia) } else { Ok(()) }
    }

    fn setup_answered(
        &mut self,
        index: usize,
        asked: (u8, u8),
        response: &Response,
    ) -> Result<(), EndReason> {
        let transports = response.headers.get("Transport").map(Transport::parse_all);
        let transport = transports.and_then(|all| all.into_iter().next()).unwrap_or_default();
        if transport.secure || transport.mode != TransportMode::Tcp {
            return Err(EndReason::NotInterleaved);
        }
        let channels = transport.interleaved.unwrap_or(asked);
        let taken = |setup: &Setup| setup.hears(channels.0) || setup.channels.0 == channels.1;
        if self.setups.iter().any(taken) {
            return Err(EndReason::ChannelConflict);
        }
        if let Some(session) = response.headers.get("Session").and_then(SessionHeader::parse) {
            let timeout = session.timeout.unwrap_or(super::DEFAULT_TIMEOUT);
            if self.session.is_none() {
                self.session = Some(session.id);
                self.timeout =
                    timeout.clamp(limits::SESSION_TIMEOUT_MIN, limits::SESSION_TIMEOUT_MAX);
            }
        }
        self.counts.odd.other_channels |= channels != asked;
        let Some((_, depacketiser)) = self.waiting.pop_front() else { return Ok(()) };
        let media = self.described.as_ref().and_then(|described| described.media.get(index));
        self.tracks.extend(media.map(|media| OpenedTrack {
            stream: self.setups.len(),
            media: media.section,
            encoding: media.format.encoding,
            clock_rate: media.format.clock_rate,
            codec: depacketiser.codec(),
        }));
        self.setups.push(Setup { index, channels, source: transport.ssrc, depacketiser });
        Ok(())
    }

    fn play_answered(&mut self, response: &Response, now: Instant) {
        let infos: Vec<_> = response.headers.all("RTP-Info").flat_map(RtpInfo::parse_all).collect();
        let setups: Vec<_> = std::mem::take(&mut self.setups);
        let alone = setups.len() == 1;
        let infos: Vec<_> =
            setups.iter().map(|setup| self.info_of(setup.index, alone, &infos)).collect();
        let announced = infos.iter().all(|info| info.is_some_and(|i| i.rtp_time.is_some()));
        self.starts = Some(if announced { Starts::Announced } else { Starts::Unknown });
        let mut slots = Vec::new();
        for (stream, (setup, info)) in setups.into_iter().zip(infos).enumerate() {
            let media = self.described.as_ref().and_then(|d| d.media.get(setup.index));
            let announced = Announced {
                payload_type: media.map_or(0, |media| media.declared),
                source: setup.source,
                sequence: info.and_then(|info| info.seq),
                // One track alone begins with its first packet.
                timestamp: info.and_then(|info| info.rtp_time).filter(|_| announced && !alone),
            };
            let (rtp, rtcp) = setup.channels;
            let kind = setup.depacketiser.encoding().kind();
            let track = Track::new(stream, setup.depacketiser, announced, now);
            slots.push(Slot { rtp, rtcp, kind, track });
        }
        self.keep_alive.next = Some(later(now, self.keep_alive_pause()));
        let held = match std::mem::replace(&mut self.phase, Phase::Opening) {
            Phase::Early(held) => held,
            Phase::Opening | Phase::Playing(..) => BytesMut::new(),
        };
        self.phase = Phase::Playing(Box::new(Player::new(slots, now)), held);
    }

    /// The entry of `RTP-Info` for a track: by its URL, or the only one there can be.
    fn info_of<'a>(&self, index: usize, alone: bool, infos: &'a [RtpInfo]) -> Option<&'a RtpInfo> {
        let described = self.described.as_ref()?;
        let media = described.media.get(index)?;
        let is_its = |info: &&RtpInfo| {
            describe::join(&described.base, &info.url).is_some_and(|url| url == media.url)
        };
        match infos {
            [only] if alone => Some(only),
            several => several.iter().find(is_its),
        }
    }

    fn kept_alive(&mut self, response: &Response, now: Instant) {
        let keep_alive = &mut self.keep_alive;
        match response.status {
            401 => {
                let challenges = response.headers.all("WWW-Authenticate");
                // A refusal here is none of the session: media goes on, or the camera ends it.
                if let Ok(refusals) = self.login.challenged(challenges, keep_alive.refusals) {
                    self.send_keep_alive(now, refusals);
                }
            }
            200..300 if keep_alive.method == KeepAliveMethod::Ask => {
                let mut known = response.headers.all("Public").flat_map(|all| all.split(','));
                if known.any(|method| method.trim() == Method::GetParameter.token()) {
                    keep_alive.method = KeepAliveMethod::GetParameter;
                }
            }
            200..300 => {}
            // It names GET_PARAMETER and refuses it.
            _ => keep_alive.method = KeepAliveMethod::Options,
        }
    }
}

/// What a final status other than 2xx and 401 means.
fn refusal(status: u16) -> EndReason {
    match status {
        300..400 => EndReason::Redirected,
        403 => EndReason::Forbidden,
        404 | 410 => EndReason::NotFound,
        453 | 503 => EndReason::Busy,
        461 => EndReason::NotInterleaved,
        other => EndReason::Status(other),
    }
}
