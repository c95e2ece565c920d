//! The airlock: the only code that reads a camera's bytes before they are checked.
//!
//! The depacketiser (retina) copes with many cameras but not with hostile ones, and cannot be given a
//! socket. So it talks to a one-shot listener on loopback ([`door`]), and between that and the camera's
//! socket stands a pure state machine ([`rewrite`]): requests get the real URL, the credentials and our
//! own numbers; answers are parsed within limits and written anew from typed values; media packets are
//! checked, counted and given a new header. Keep-alives, TEARDOWN, timeouts and caps are the airlock's own.
//!
//! What does *not* belong here: dialling and back-off (the caller's), codec syntax beyond packet
//! framing (`media`), time lines (`camera::retime`).

#[doc(hidden)]
pub mod bench;
mod door;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod items;
mod open;
mod reason;
mod received;
mod rewrite;
mod session;
#[cfg(test)]
mod tests;

use secrecy::SecretString;
use url::Url;

use crate::media::{G726, Kinds, TrackKind};
use crate::wire::digest::Algorithm;

pub use items::Items;
pub use open::open;
pub use reason::{EndReason, Fault, JpegForm};
pub use rewrite::{Counts, Oddities};
pub use session::{Report, Running};

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

/// A playing session. Drop `items`, or `running`, to end it.
#[derive(Debug)]
pub struct Opened {
    /// Depacketised media.
    pub items: Items,
    /// The tracks that were set up.
    pub tracks: Vec<OpenedTrack>,
    /// Whether `retina::Timestamp::start` is the same moment on all tracks.
    pub starts: Starts,
    /// The airlock's task: counts, and the reason of the end.
    pub running: Running,
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
    /// Index of retina's streams: what `VideoFrame::stream_id()` and `AudioFrame::stream_id()` say.
    pub stream: usize,
    /// Index of the section in the camera's session description.
    pub media: usize,
    /// Coding.
    pub encoding: Encoding,
    /// RTP clock rate.
    pub clock_rate: u32,
    /// Channels of sound, if the camera said.
    pub channels: Option<u8>,
}

/// The codings that pass the airlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// H.264, RFC 6184.
    H264,
    /// H.265, RFC 7798.
    H265,
    /// JPEG, RFC 2435.
    Jpeg,
    /// AAC, RFC 3640 mode AAC-hbr.
    Aac,
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// G.726, RFC 3551 4.5.4.
    G726(G726),
    /// L16, RFC 3551 4.5.11.
    L16,
}

impl Encoding {
    /// Picture or sound.
    pub fn kind(self) -> TrackKind {
        match self {
            Self::H264 | Self::H265 | Self::Jpeg => TrackKind::Video,
            Self::Aac | Self::Pcma | Self::Pcmu | Self::G726(_) | Self::L16 => TrackKind::Audio,
        }
    }
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
