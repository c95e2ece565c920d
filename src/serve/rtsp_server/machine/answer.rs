//! Answers: status and headers, in one place.

use bytes::Bytes;

use super::rules::METHODS;
use super::session::SessionId;
use super::step::{Answer, CloseReason, Effect, Refusal, Refused, Step};
use crate::ops::limits::OVERLOAD_EASES;
use crate::serve::overload::Resource;
use crate::trust::auth::Denial;
use crate::wire::rtsp::Response;

/// `Server`: the product, and no version for scanners to collect.
const SERVER: &str = "Camlock";
/// `Retry-After`, seconds.
const RETRY_AFTER: &str = "5";
/// What a player shows of a 453.
const TOO_MANY_READERS: &str = "Too many readers of this stream";
/// Said when the canary's verdict is needed to serve, and does not allow it.
const UNPROVEN: &str = "Service unavailable: camera isolation not verified";

/// Builds the one answer of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    cseq: Option<u32>,
}

impl Reply {
    pub(super) fn new(cseq: u32) -> Self {
        Self { cseq: Some(cseq) }
    }

    pub(super) fn without_cseq() -> Self {
        Self { cseq: None }
    }

    /// A response to fill.
    pub(super) fn response(self, status: u16) -> Response {
        let mut response = Response::new(status);
        if let Some(cseq) = self.cseq {
            response.headers.push("CSeq", cseq.to_string());
        }
        response.headers.push("Server", SERVER);
        response
    }

    pub(super) fn status(self, status: u16) -> Step {
        done(self.response(status))
    }

    pub(super) fn not_implemented(self) -> Step {
        self.with(501, "Public", METHODS)
    }

    pub(super) fn not_allowed(self, allow: &str) -> Step {
        self.with(405, "Allow", allow)
    }

    pub(super) fn option_not_supported(self, tags: String) -> Step {
        let mut response = self.response(551);
        response.headers.push("Unsupported", tags);
        done(response)
    }

    pub(super) fn close(self, status: u16, reason: CloseReason) -> Step {
        let mut response = self.response(status);
        response.headers.push("Connection", "close");
        Step::Answer(Answer { response, effect: Effect::Close(reason) })
    }

    /// 401 with the challenges; a throttled login is told to wait, whatever it presented.
    pub(super) fn refuse(self, refusal: Refusal) -> Step {
        match refusal.denial {
            Denial::LoginNeeded | Denial::WrongCredential | Denial::StaleNonce => {
                let mut response = self.response(401);
                for challenge in refusal.challenges {
                    response.headers.push("WWW-Authenticate", challenge);
                }
                done(response)
            }
            Denial::Throttled => self.retry_later(),
            Denial::NoGrant => self.status(404),
        }
    }

    /// The shell could not get what the request needs.
    pub(super) fn refused(self, refused: Refused) -> Step {
        match refused {
            Refused::NoStream => self.status(404),
            Refused::NotReady => self.retry_later(),
            Refused::Full => {
                let mut response = self.response(453);
                response.reason = TOO_MANY_READERS.to_owned();
                done(response)
            }
            Refused::Overloaded(resource) => self.overloaded(resource),
            Refused::Unproven => {
                let mut response = self.response(503);
                response.reason = UNPROVEN.to_owned();
                response.headers.push("Retry-After", RETRY_AFTER);
                done(response)
            }
        }
    }

    pub(super) fn retry_later(self) -> Step {
        self.with(503, "Retry-After", RETRY_AFTER)
    }

    /// The reason phrase is ours to choose (RFC 2326 7.1.1), and what players show.
    fn overloaded(self, resource: Resource) -> Step {
        let mut response = self.response(503);
        let seconds = OVERLOAD_EASES.as_secs();
        let what = match resource {
            Resource::Cpu => "CPU",
            Resource::Memory => "memory",
        };
        response.reason = format!("Gateway is short of {what}, try again in {seconds} s");
        response.headers.push("Retry-After", seconds.to_string());
        done(response)
    }

    /// 200 for a request on a session.
    pub(super) fn ok(self, session: Option<SessionId>, effect: Effect) -> Step {
        let mut response = self.response(200);
        if let Some(session) = session {
            response.headers.push("Session", session.to_string());
        }
        Step::Answer(Answer { response, effect })
    }

    pub(super) fn described(self, base: String, text: String) -> Step {
        let mut response = self.response(200);
        response.headers.push("Content-Base", base);
        response.headers.push("Content-Type", "application/sdp");
        response.body = Bytes::from(text);
        Step::Answer(Answer { response, effect: Effect::Keep })
    }

    fn with(self, status: u16, name: &str, value: &str) -> Step {
        let mut response = self.response(status);
        response.headers.push(name, value);
        done(response)
    }
}

fn done(response: Response) -> Step {
    Step::Answer(Answer { response, effect: Effect::None })
}
