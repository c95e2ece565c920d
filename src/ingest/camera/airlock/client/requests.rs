//! Our requests to the camera.

use std::time::Instant;

use super::login::Refusals;
use super::player::later;
use super::{Asked, Client, Exchange, KeepAliveMethod, Phase};
use crate::ops::limits;
use crate::wire::rtsp::{Method, Request};

impl Client {
    /// Begins the conversation.
    pub(in crate::ingest::camera::airlock) fn start(&mut self, now: Instant) {
        self.begin(Asked::Describe, now);
    }

    /// Sets the next track up; PLAY, if there is none.
    pub(super) fn ask_next(&mut self, now: Instant) {
        let number = u8::try_from(self.setups.len()).unwrap_or(u8::MAX);
        let rtp = number.saturating_mul(2);
        let asked = match self.waiting.front() {
            Some((index, _)) => {
                Asked::Setup { index: *index, channels: (rtp, rtp.saturating_add(1)) }
            }
            None => {
                self.phase = Phase::Early(bytes::BytesMut::new());
                Asked::Play
            }
        };
        self.begin(asked, now);
    }

    fn begin(&mut self, asked: Asked, now: Instant) {
        let refusals = Refusals::Never;
        self.exchange = Some(Exchange { asked, cseq: 0, refusals, deadline: now });
        self.ask(now);
    }

    /// Sends the open request to the camera, for the first time or again.
    pub(super) fn ask(&mut self, now: Instant) {
        let Some(asked) = self.exchange.as_ref().map(|exchange| exchange.asked) else { return };
        let Some(url) = self.url_of(asked) else { return };
        let cseq = match asked {
            Asked::Describe => self.send(Method::Describe, &url, &[("Accept", "application/sdp")]),
            Asked::Setup { channels: (rtp, rtcp), .. } => {
                let transport = format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}");
                self.send(Method::Setup, &url, &[("Transport", &transport)])
            }
            Asked::Play => self.send(Method::Play, &url, &[("Range", "npt=0.000-")]),
        };
        if let Some(exchange) = &mut self.exchange {
            exchange.cseq = cseq;
            exchange.deadline = later(now, limits::CAMERA_ANSWER);
        }
    }

    /// Keeps the camera's session alive. That it goes unanswered is no fault while media flows.
    pub(super) fn send_keep_alive(&mut self, now: Instant, refusals: Refusals) {
        let Some(described) = &self.described else { return };
        let url = described.aggregate.clone();
        let method = match self.keep_alive.method {
            KeepAliveMethod::Ask | KeepAliveMethod::Options => Method::Options,
            KeepAliveMethod::GetParameter => Method::GetParameter,
        };
        let cseq = self.send(method, &url, &[]);
        self.keep_alive.sent = Some(cseq);
        self.keep_alive.refusals = refusals;
        self.keep_alive.next = Some(later(now, self.keep_alive_pause()));
        self.counts.keep_alives = self.counts.keep_alives.saturating_add(1);
    }

    /// Half the session's timeout, and not long enough for a NAT to forget us.
    pub(super) fn keep_alive_pause(&self) -> std::time::Duration {
        self.timeout.checked_div(2).unwrap_or(self.timeout).min(limits::KEEP_ALIVE_MAX)
    }

    /// Writes a request to the camera: our number, its session, the credentials it asked for.
    pub(super) fn send(&mut self, method: Method, url: &str, headers: &[(&str, &str)]) -> u32 {
        self.last_cseq = self.last_cseq.wrapping_add(1).max(1);
        let mut request = Request::new(method, url);
        request.headers.push("CSeq", self.last_cseq.to_string());
        if let Some(authorization) = self.login.authorization(method.token(), url) {
            request.headers.push("Authorization", authorization);
        }
        request.headers.push("User-Agent", self.user_agent.clone());
        for (name, value) in headers {
            request.headers.push(name, *value);
        }
        if let Some(session) = &self.session {
            request.headers.push("Session", session.clone());
        }
        self.to_camera.extend_from_slice(&request.encode());
        self.last_cseq
    }

    fn url_of(&self, asked: Asked) -> Option<String> {
        match asked {
            Asked::Describe => Some(self.url.as_str().to_owned()),
            Asked::Setup { index, .. } => {
                Some(self.described.as_ref()?.media.get(index)?.url.clone())
            }
            Asked::Play => Some(self.described.as_ref()?.aggregate.clone()),
        }
    }
}
