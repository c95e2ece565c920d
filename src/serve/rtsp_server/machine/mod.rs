//! The protocol machine of one client connection (RFC 2326): methods, states, status codes, sessions.
//!
//! It never holds media, a permit or a subscription: it says what the shell has to ask for, and is told
//! the outcome. A session exists only after the shell got a subscription, and it plays only after the
//! shell was given a permit again.

mod answer;
mod methods;
#[cfg(test)]
mod property;
mod rate;
mod rules;
mod session;
mod step;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ops::limits;
use crate::trust::auth::{Denial, Principal};
use crate::wire::rtsp::{Method, Request, SessionHeader};

use answer::Reply;
use rate::Rate;
use rules::unsupported;
use session::Session;
use target::{Malformed, Target};

pub use session::{Channels, SessionId};
pub use step::{
    Answer, Begin, CloseReason, Effect, Join, NeedsLogin, Offered, Open, Play, PlayAction, Refusal,
    Refused, Step,
};

/// One connection's protocol state.
#[derive(Debug)]
pub struct Machine {
    session_timeout: Duration,
    sessions: Vec<Session>,
    requests: Rate,
    strays: Rate,
    seen: Instant,
}

/// Which session a request names.
enum Named {
    /// No `Session` header.
    None,
    /// One of this connection and principal: its place.
    Own(usize),
    /// None of them.
    Foreign,
}

impl Machine {
    /// A machine for a new connection.
    pub fn new(session_timeout: Duration, now: Instant) -> Self {
        Self {
            session_timeout,
            sessions: Vec::new(),
            requests: Rate::new(limits::REQUESTS_PER_SECOND, now),
            strays: Rate::new(limits::CLIENT_STRAYS_PER_SECOND, now),
            seen: now,
        }
    }

    /// Takes a request: what can be answered without knowing the sender is answered.
    pub fn receive(&mut self, request: Request, now: Instant) -> Step {
        let reply = request.cseq().map_or_else(Reply::without_cseq, Reply::new);
        if !self.requests.take(now) {
            return reply.close(503, CloseReason::TooManyRequests);
        }
        let Some(cseq) = request.cseq() else {
            return reply.status(400);
        };
        self.touch(now);
        match request.method {
            Method::Options
            | Method::Describe
            | Method::Setup
            | Method::Play
            | Method::Pause
            | Method::GetParameter
            | Method::SetParameter
            | Method::Teardown => {}
            // RFC 2326 10: a method the server does not have at all is 501; 405 is for the resource.
            Method::Announce | Method::Record | Method::Redirect | Method::Other => {
                return reply.not_implemented();
            }
        }
        if let Some(tags) = unsupported(&request.headers) {
            return reply.option_not_supported(tags);
        }
        let target = match Target::parse(&request.uri) {
            Ok(target) => target,
            Err(Malformed) => return reply.status(400),
        };
        match request.method {
            Method::Options => self.options(reply, &request),
            Method::Describe
            | Method::Setup
            | Method::Play
            | Method::Pause
            | Method::GetParameter
            | Method::SetParameter
            | Method::Teardown
            | Method::Announce
            | Method::Record
            | Method::Redirect
            | Method::Other => Step::Login(NeedsLogin { request, cseq, target }),
        }
    }

    /// Goes on with a request whose sender is known, or is not.
    pub fn login(&mut self, arrived: NeedsLogin, who: Result<Arc<Principal>, Refusal>) -> Step {
        let reply = Reply::new(arrived.cseq);
        let principal = match who {
            Ok(principal) => principal,
            Err(refusal) => match self.vouched(&arrived.request, refusal.denial) {
                Some(principal) => principal,
                None => return reply.refuse(refusal),
            },
        };
        let named = match self.named(&arrived.request, &principal) {
            Named::None => None,
            Named::Own(index) => Some(index),
            Named::Foreign => return reply.status(454),
        };
        self.dispatch(reply, arrived, principal, named)
    }

    /// An interleaved frame of the client on `channel`. RTCP of a session keeps it alive (any content:
    /// it is not read); all else is counted.
    pub fn interleaved(&mut self, channel: u8, now: Instant) -> Result<(), CloseReason> {
        for session in &mut self.sessions {
            if session.tracks.iter().any(|track| track.uses(channel)) {
                session.seen = now;
            }
        }
        self.stray(now)
    }

    /// Something from the client that is neither request nor frame: an answer, blank lines.
    pub fn stray(&mut self, now: Instant) -> Result<(), CloseReason> {
        if self.strays.take(now) { Ok(()) } else { Err(CloseReason::TooManyStrays) }
    }

    /// When [`Self::expire`] has something to do next.
    pub fn deadline(&self) -> Option<Instant> {
        let of_sessions = self.sessions.iter().filter_map(Session::expires_from).min();
        let from = if self.sessions.is_empty() { Some(self.seen) } else { of_sessions };
        from.and_then(|from| from.checked_add(self.session_timeout))
    }

    /// Ends the sessions that nobody keeps alive. A session that plays is not among them: its reader
    /// takes its data, or the write stall ends the connection.
    pub fn expire(&mut self, now: Instant) -> Result<Vec<SessionId>, CloseReason> {
        let is_over = |from: Instant| now.saturating_duration_since(from) >= self.session_timeout;
        if self.sessions.is_empty() && is_over(self.seen) {
            return Err(CloseReason::Idle);
        }
        let expired: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|session| session.expires_from().is_some_and(is_over))
            .map(|session| session.id)
            .collect();
        self.sessions.retain(|session| !expired.contains(&session.id));
        if !expired.is_empty() {
            self.seen = now;
        }
        Ok(expired)
    }

    /// The shell ended a session on its own.
    pub fn ended(&mut self, id: SessionId) {
        self.sessions.retain(|session| session.id != id);
    }

    /// Any request keeps all sessions of its connection alive: they have one and the same peer.
    fn touch(&mut self, now: Instant) {
        self.seen = now;
        for session in &mut self.sessions {
            session.seen = now;
        }
    }

    /// Requests that only tend a session of this very connection need no fresh credential: the session
    /// was opened with one, and its id never left the connection. A wrong password is refused all the same.
    fn vouched(&self, request: &Request, denial: Denial) -> Option<Arc<Principal>> {
        match denial {
            Denial::LoginNeeded | Denial::StaleNonce | Denial::Throttled => {}
            Denial::WrongCredential | Denial::NoGrant => return None,
        }
        match request.method {
            Method::Pause | Method::GetParameter | Method::SetParameter | Method::Teardown => {}
            Method::Options
            | Method::Describe
            | Method::Setup
            | Method::Play
            | Method::Announce
            | Method::Record
            | Method::Redirect
            | Method::Other => return None,
        }
        let id = named_id(request)??;
        let session = self.sessions.iter().find(|session| session.id == id)?;
        Some(Arc::clone(&session.principal))
    }

    fn named(&self, request: &Request, principal: &Principal) -> Named {
        match named_id(request) {
            None => Named::None,
            Some(None) => Named::Foreign,
            Some(Some(id)) => self
                .sessions
                .iter()
                .position(|session| session.id == id && *session.principal == *principal)
                .map_or(Named::Foreign, Named::Own),
        }
    }
}

impl Session {
    /// From when its timeout counts; `None` while it plays.
    fn expires_from(&self) -> Option<Instant> {
        match self.state {
            session::State::Ready => Some(self.seen),
            session::State::Playing => None,
        }
    }
}

/// The `Session` header: absent, no id of ours, or an id.
fn named_id(request: &Request) -> Option<Option<SessionId>> {
    let value = request.headers.get("Session")?;
    Some(SessionHeader::parse(value).and_then(|header| SessionId::parse(&header.id)))
}
