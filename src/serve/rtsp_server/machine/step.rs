//! What the machine asks of its shell, and what it is told.

use std::sync::Arc;

use super::rules::PlayFrom;
use super::session::{Channels, SessionId};
use super::target::{StreamUrl, Target};
use crate::hub::Position;
use crate::media::{StreamName, Track, TrackId};
use crate::serve::overload::Resource;
use crate::trust::auth::{Denial, Principal};
use crate::wire::rtsp::{Request, Response};

/// What a request needs next. Each value but the answer goes back into the machine with its outcome.
#[derive(Debug)]
pub enum Step {
    /// Ask the authenticator who sends it, then [`super::Machine::login`].
    Login(NeedsLogin),
    /// Ask for a permit and a subscription with it, then [`super::Machine::opened`].
    Open(Open),
    /// Ask for a permit again; the session's subscription stays. Then [`super::Machine::joined`].
    Join(Join),
    /// Ask for a permit again and start the session's subscription, then [`super::Machine::played`].
    Play(Play),
    /// The request is done.
    Answer(Answer),
}

/// A request that needs a login.
#[derive(Debug)]
pub struct NeedsLogin {
    pub(super) request: Request,
    pub(super) cseq: u32,
    pub(super) target: Target,
}

impl NeedsLogin {
    /// The request, for its method, URI and `Authorization`.
    pub fn request(&self) -> &Request {
        &self.request
    }
}

/// Why the authenticator did not name a principal.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The reason.
    pub denial: Denial,
    /// `WWW-Authenticate` values.
    pub challenges: Vec<String>,
}

/// DESCRIBE, or the SETUP that makes a session.
#[derive(Debug)]
pub struct Open {
    pub(super) cseq: u32,
    pub(super) principal: Arc<Principal>,
    pub(super) url: StreamUrl,
    pub(super) purpose: Purpose,
}

#[derive(Debug)]
pub(super) enum Purpose {
    Describe,
    /// The channels that the client wants.
    SetUp(Option<(u8, u8)>),
}

impl Open {
    /// Who asks.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// For what.
    pub fn stream(&self) -> &StreamName {
        &self.url.stream
    }

    /// Whether it is a DESCRIBE: it may find another format than the one before it.
    pub fn describes(&self) -> bool {
        match self.purpose {
            Purpose::Describe => true,
            Purpose::SetUp(_) => false,
        }
    }
}

/// The SETUP of one more track.
#[derive(Debug)]
pub struct Join {
    pub(super) cseq: u32,
    pub(super) principal: Arc<Principal>,
    pub(super) session: SessionId,
    pub(super) url: StreamUrl,
    pub(super) wanted: Option<(u8, u8)>,
}

impl Join {
    /// Who asks.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The session it joins.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// For what.
    pub fn stream(&self) -> &StreamName {
        &self.url.stream
    }
}

/// PLAY.
#[derive(Debug)]
pub struct Play {
    pub(super) cseq: u32,
    pub(super) principal: Arc<Principal>,
    pub(super) session: SessionId,
    pub(super) url: StreamUrl,
    pub(super) tracks: Vec<TrackId>,
    pub(super) from: PlayFrom,
    pub(super) action: PlayAction,
}

/// What PLAY means for the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayAction {
    /// Select the tracks and start at the newest random access point.
    Start,
    /// It plays already: leave it alone.
    GoOn,
}

impl Play {
    /// Who asks.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The session that plays.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// For what.
    pub fn stream(&self) -> &StreamName {
        &self.url.stream
    }

    /// The tracks that were set up.
    pub fn tracks(&self) -> &[TrackId] {
        &self.tracks
    }

    /// What to do.
    pub fn action(&self) -> PlayAction {
        self.action
    }
}

/// A track that the permit covers.
#[derive(Debug, Clone)]
pub struct Offered {
    /// The track.
    pub track: Arc<Track>,
    /// Its synchronisation source, if the stream has one yet.
    pub ssrc: Option<u32>,
}

/// Where a track begins, if the stream knows it.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    /// The track.
    pub track: TrackId,
    /// Of its first packet.
    pub position: Option<Position>,
}

/// Why the shell got no subscription, or no permit any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No such stream, or no grant for it: 404, not told apart.
    NoStream,
    /// The camera did not come in time: 503.
    NotReady,
    /// The stream has all the readers that it may have: 453. Waiting is no cure, another stream is.
    Full,
    /// The gateway is short of this: 503, until there is room again.
    Overloaded(Resource),
    /// Nobody is served, for want of proof that the cameras are kept in: 503.
    Unproven,
}

/// An answer, and what goes with it.
#[derive(Debug)]
pub struct Answer {
    /// To write.
    pub response: Response,
    /// To do once it is queued for writing.
    pub effect: Effect,
}

/// What an answer means for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Keep the described subscription for the SETUP that follows.
    Keep,
    /// The opened subscription is this session's from now on.
    Attach(SessionId),
    /// Send its media.
    Start {
        /// The session.
        session: SessionId,
        /// Where each of its tracks goes.
        channels: Vec<Channels>,
    },
    /// Send no more media, keep the subscription.
    Stop(SessionId),
    /// Let the subscription go.
    End(SessionId),
    /// Close the connection behind the answer.
    Close(CloseReason),
}

/// Why the machine closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CloseReason {
    /// Over [`crate::ops::limits::REQUESTS_PER_SECOND`].
    #[error("more than {} requests in a second", crate::ops::limits::REQUESTS_PER_SECOND)]
    TooManyRequests,
    /// Over [`crate::ops::limits::CLIENT_STRAYS_PER_SECOND`].
    #[error(
        "more than {} items in a second that are no requests",
        crate::ops::limits::CLIENT_STRAYS_PER_SECOND
    )]
    TooManyStrays,
    /// No session, and no request for a session timeout.
    #[error("no session and no request")]
    Idle,
}
