//! The camera's answers: checked, and written anew for the depacketiser.

use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};

use super::describe::{self, Described, Media};
use super::player::{Player, Slot, later, overhead};
use super::track::Track;
use super::{Asked, EndReason, Exchange, KeepAliveMethod, Phase, Redial, Rewriter, Setup, Starts};
use crate::ops::limits;
use crate::wire::rtsp::{Method, Response, RtpInfo, SessionHeader, Transport, TransportMode};

impl Rewriter {
    /// An answer of the camera. One without number belongs to the one open request.
    pub(super) fn camera_response(
        &mut self,
        response: &Response,
        size: usize,
        now: Instant,
    ) -> Result<(), EndReason> {
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
        overhead(size, now, &mut self.meter, &mut self.counts)
    }

    fn answered(
        &mut self,
        mut exchange: Exchange,
        response: &Response,
        now: Instant,
    ) -> Result<(), EndReason> {
        if response.status == 401 {
            let challenges = response.headers.all("WWW-Authenticate");
            exchange.refusals = self.login.challenged(challenges, exchange.refusals)?;
            self.exchange = Some(exchange);
            let closes =
                response.headers.all("Connection").any(|v| v.eq_ignore_ascii_case("close"));
            if closes && self.setups.is_empty() && self.redial == Redial::Unused {
                self.redial = Redial::Wanted;
            } else {
                self.ask(now);
            }
            return Ok(());
        }
        if !(200..300).contains(&response.status) {
            return Err(refusal(response.status));
        }
        let mut answer = Response::new(200);
        answer.headers.push("CSeq", exchange.consumer_cseq.to_string());
        match exchange.asked {
            Asked::Describe => self.describe_answered(response, &mut answer)?,
            Asked::Setup { index, channels } => {
                self.setup_answered(index, channels, response, &mut answer)?;
            }
            Asked::Play => return self.play_answered(response, answer, now),
        }
        self.to_consumer.extend_from_slice(&answer.encode());
        Ok(())
    }

    fn describe_answered(
        &mut self,
        response: &Response,
        answer: &mut Response,
    ) -> Result<(), EndReason> {
        let described = Described::read(&self.url, response, self.kinds)?;
        self.counts.dropped_sections = super::wide(described.dropped);
        self.counts.odd.other_host = described.other_host;
        self.counts.odd.base_without_scheme = described.base_without_scheme;
        answer.headers.push("Content-Type", "application/sdp");
        answer.body = Bytes::from(described.write());
        self.described = Some(described);
        Ok(())
    }

    fn setup_answered(
        &mut self,
        index: usize,
        own: (u8, u8),
        response: &Response,
        answer: &mut Response,
    ) -> Result<(), EndReason> {
        let transports = response.headers.get("Transport").map(Transport::parse_all);
        let transport = transports.and_then(|all| all.into_iter().next()).unwrap_or_default();
        if transport.secure || transport.mode != TransportMode::Tcp {
            return Err(EndReason::NotInterleaved);
        }
        let camera = transport.interleaved.unwrap_or(own);
        let taken = |setup: &Setup| setup.hears(camera.0) || setup.camera.0 == camera.1;
        if self.setups.iter().any(|setup| setup.index == index || taken(setup)) {
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
        self.counts.odd.other_channels |= camera != own;
        self.setups.push(Setup { index, own, camera, source: transport.ssrc });
        answer.headers.push("Session", "1;timeout=60");
        let (rtp, rtcp) = own;
        answer.headers.push("Transport", format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}"));
        Ok(())
    }

    fn play_answered(
        &mut self,
        response: &Response,
        mut answer: Response,
        now: Instant,
    ) -> Result<(), EndReason> {
        let infos: Vec<_> = response.headers.all("RTP-Info").flat_map(RtpInfo::parse_all).collect();
        let mut own_infos = Vec::new();
        let mut slots = Vec::new();
        for setup in &self.setups {
            let info = self.info_of(setup, &infos);
            own_infos.push(RtpInfo {
                url: format!("{}{}", self.door, setup.index),
                seq: Some(Track::FIRST_SEQUENCE),
                rtp_time: info.and_then(|info| info.rtp_time),
            });
            slots.extend(self.slot(setup, info, now));
        }
        let announced = own_infos.iter().all(|info| info.rtp_time.is_some());
        self.starts = Some(if announced { Starts::Announced } else { Starts::Unknown });
        answer.headers.push("Session", "1");
        answer.headers.push("RTP-Info", RtpInfo::encode_all(&own_infos));
        self.to_consumer.extend_from_slice(&answer.encode());
        self.keep_alive.next = Some(later(now, self.keep_alive_pause()));
        let playing = Phase::Playing(Box::new(Player::new(slots, now)));
        match std::mem::replace(&mut self.phase, playing) {
            Phase::Early(held) => self.release(held, now),
            Phase::Opening | Phase::Playing(_) => Ok(()),
        }
    }

    /// The entry of `RTP-Info` for a track: by its URL, or the only one there can be.
    fn info_of<'a>(&self, setup: &Setup, infos: &'a [RtpInfo]) -> Option<&'a RtpInfo> {
        let described = self.described.as_ref()?;
        let media = described.media.get(setup.index)?;
        let is_its = |info: &&RtpInfo| {
            describe::join(&described.base, &info.url).is_some_and(|url| url == media.url)
        };
        match infos {
            [only] if self.setups.len() == 1 => Some(only),
            several => several.iter().find(is_its),
        }
    }

    fn slot(&self, setup: &Setup, info: Option<&RtpInfo>, now: Instant) -> Option<Slot> {
        let media = self.described.as_ref()?.media.get(setup.index)?;
        let index = u8::try_from(setup.index).ok()?;
        let Media { encoding, declared, .. } = *media;
        let mut track = Track::new(index, setup.own.0, encoding, declared, setup.source, now);
        track.expect(info.and_then(|info| info.seq));
        Some(Slot {
            index: setup.index,
            rtp: setup.camera.0,
            rtcp: setup.camera.1,
            kind: media.encoding.kind(),
            track,
            owes_since: None,
            units: 0,
            last_unit: None,
        })
    }

    /// Passes on what came before the answer to PLAY.
    fn release(&mut self, mut held: BytesMut, now: Instant) -> Result<(), EndReason> {
        while held.len() >= 4 {
            held.advance(1);
            let channel = held.get_u8();
            let length = usize::from(held.get_u16()).min(held.len());
            let payload = held.split_to(length);
            self.frame(channel, &payload, now)?;
        }
        Ok(())
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
