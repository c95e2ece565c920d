//! Requests: the depacketiser's, taken; ours to the camera, written.

use std::time::Instant;

use subtle::ConstantTimeEq as _;

use super::login::Refusals;
use super::player::later;
use super::{Asked, EndReason, Exchange, KeepAliveMethod, Phase, Rewriter};
use crate::ops::limits;
use crate::wire::rtsp::{Method, Request, Response, Transport};

impl Rewriter {
    /// A request of the depacketiser: DESCRIBE, SETUP and PLAY become ours, the rest is answered here.
    pub(super) fn consumer_request(
        &mut self,
        request: &Request,
        now: Instant,
    ) -> Result<(), EndReason> {
        let cseq = request.cseq().ok_or(EndReason::Door)?;
        let place = self.behind_door(&request.uri).ok_or(EndReason::Door)?;
        let asked = match request.method {
            Method::Describe => Asked::Describe,
            Method::Setup => {
                let index = place.parse().map_err(|_| EndReason::Door)?;
                let transports = request.headers.get("Transport").map(Transport::parse_all);
                let wanted = transports.and_then(|all| all.first().and_then(|t| t.interleaved));
                Asked::Setup { index, channels: wanted.ok_or(EndReason::Door)? }
            }
            Method::Play => Asked::Play,
            // retina's keep-alives. The camera gets ours.
            Method::Options | Method::GetParameter | Method::SetParameter | Method::Teardown => {
                let mut answer = Response::new(200);
                answer.headers.push("CSeq", cseq.to_string());
                answer.headers.push("Public", "OPTIONS, GET_PARAMETER");
                self.to_consumer.extend_from_slice(&answer.encode());
                return Ok(());
            }
            Method::Announce
            | Method::Pause
            | Method::Record
            | Method::Redirect
            | Method::Other => return Err(EndReason::Door),
        };
        if self.exchange.is_some() || self.url_of(asked).is_none() {
            return Err(EndReason::Door);
        }
        self.exchange = Some(Exchange {
            asked,
            consumer_cseq: cseq,
            cseq: 0,
            refusals: Refusals::Never,
            deadline: now,
        });
        if asked == Asked::Play {
            self.phase = Phase::Early(bytes::BytesMut::new());
        }
        self.ask(now);
        Ok(())
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

    /// What a URL says behind the door's prefix, the token compared in constant time.
    fn behind_door<'a>(&self, uri: &'a str) -> Option<&'a str> {
        let (prefix, place) = uri.split_at_checked(self.door.len())?;
        bool::from(prefix.as_bytes().ct_eq(self.door.as_bytes())).then_some(place)
    }
}
