//! The airlock: the only code that reads a camera's bytes before they are checked.
//!
//! It is an RTSP client of our own ([`client`], pure): it asks the camera to play, signs requests, keeps the session
//! alive, and parses answers within limits. Media packets are checked and counted, and their payloads go to the
//! depacketiser of their track ([`super::depacketise`]), which knows the formats of many cameras but is no match for
//! a hostile one. What comes out goes to a [`Sink`]: access units, and the times of sender reports.
//!
//! What does *not* belong here: dialling and back-off (the caller's), codec syntax beyond packet
//! framing (`media`), time lines (`camera::retime`).

#[doc(hidden)]
pub mod bench;
mod client;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod open;
mod reason;
mod received;
mod session;
#[cfg(test)]
mod tests;

use std::time::Instant;

use secrecy::SecretString;
use url::Url;

use super::depacketise::Frame;
use crate::media::{Codec, Kinds, Refused};
use crate::wire::digest::Algorithm;

pub use super::depacketise::Encoding;
pub use client::{Counts, Oddities};
pub use open::open;
pub use reason::{EndReason, Fault, JpegForm};
pub use session::{Closed, Session};

/// What to ask a camera for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The URL on the wire: `rtsp://literal:port/path?query` (over TLS `rtsps://`), without user and password. Never dialled:
    /// the caller hands in the connected socket.
    pub url: Url,
    /// The camera's account, if it has one.
    pub login: Option<Login>,
    /// Whether the password may go out in the clear.
    pub basic: BasicPolicy,
    /// `User-Agent`; some cameras refuse to talk without one. Printable ASCII.
    pub user_agent: String,
    /// Kinds of tracks to set up. Others are left alone.
    pub kinds: Kinds,
}

/// Account of a camera. `Debug` shows neither part.
#[derive(Clone)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(MASKED)")
    }
}

/// Whether Basic may answer a challenge. Digest is always preferred; after Digest was seen once,
/// Basic is refused whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BasicPolicy {
    /// Never: the password does not leave in the clear.
    #[default]
    Refuse,
    /// If the camera offers nothing better, and never did.
    Allow,
}

/// What is known about a camera's login from earlier sessions. The caller keeps it across reconnects,
/// so that a camera cannot ask for the clear password by starting anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginMemory {
    /// Nothing that binds.
    #[default]
    Nothing,
    /// It offered Digest before: Basic is refused from now on.
    DigestSeen,
}

/// How a camera had its requests signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginUsed {
    /// Not at all: it never asked.
    #[default]
    None,
    /// Basic: the password went out readable.
    Basic,
    /// Digest with this hash.
    Digest(Algorithm),
}

/// Where the media of a session goes. Nothing in it may wait: the camera is not read meanwhile.
pub trait Sink {
    /// An access unit.
    fn unit(&mut self, unit: Unit);
    /// The times of a sender report.
    fn report(&mut self, report: ReportedTime);
}

/// An access unit of a track.
#[derive(Debug)]
pub struct Unit {
    /// [`OpenedTrack::stream`].
    pub stream: usize,
    pub(super) frame: Frame,
    /// RTP timestamp of the track's start, unwrapped as the unit's is; with [`Starts::Announced`] the same moment on
    /// all tracks.
    pub start: Option<i64>,
    /// When its last packet was read.
    pub at: Instant,
}

/// A sender report: this NTP time is this RTP time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedTime {
    /// [`OpenedTrack::stream`].
    pub stream: usize,
    /// In units of 2^-32 s.
    pub ntp: u64,
    /// RTP timestamp, unwrapped as those of the units are.
    pub timestamp: i64,
    /// When it was read.
    pub at: Instant,
}

/// What the answer to PLAY said about where the tracks begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starts {
    /// `RTP-Info` has a timestamp for each: these are the same moment.
    Announced,
    /// It has not; each track counts from its first packet.
    Unknown,
}

/// A track that was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedTrack {
    /// Its number among the tracks that were set up: what [`Unit::stream`] says.
    pub stream: usize,
    /// Index of the section in the camera's session description.
    pub media: usize,
    /// Coding.
    pub encoding: Encoding,
    /// RTP clock rate.
    pub clock_rate: u32,
    /// The parameters in the session description, or why they are refused.
    pub codec: Option<Result<Codec, Refused>>,
}

/// A session that did not come to play, or what a failed one leaves.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// Why.
    pub reason: EndReason,
    /// What to pass into the next [`open()`].
    pub memory: LoginMemory,
    /// What was dropped, by reason.
    pub counts: Counts,
}
