//! One publisher, many subscribers per stream: numbering at publish, the ring, the lag policy, demand.
//! Knows no camera and no protocol.

use std::sync::Arc;

use tokio::sync::watch;

use crate::auth::Permit;
use crate::media::{AccessUnit, Published, StreamName, Track, TrackId};

/// All streams of the gateway.
#[derive(Debug)]
pub struct Hub {}

impl Hub {
    /// An empty hub.
    pub fn new() -> Arc<Self> {
        todo!()
    }

    /// Declares a stream. The publisher's drop ends it and its readers.
    pub fn declare(&self, name: StreamName) -> Result<Publisher, CannotDeclare> {
        let _ = name;
        todo!()
    }

    /// Attaches a reader to the permit's own stream: there is no other way in. Counts as demand at once;
    /// the tracks may not be known yet.
    pub fn subscribe(&self, permit: Permit) -> Result<Subscription, NotPublished> {
        let _ = permit;
        todo!()
    }
}

/// The one writer of a stream. Survives reconnects of the camera: numbering goes on.
#[derive(Debug)]
pub struct Publisher {}

impl Publisher {
    /// Says which tracks the stream has, at first and after each (re)connect or change of parameters.
    /// Incompatible tracks end the sessions of present readers.
    pub fn set_tracks(&self, tracks: Vec<Arc<Track>>) {
        let _ = tracks;
        todo!()
    }

    /// Publishes a unit. Never waits.
    pub fn push(&self, unit: AccessUnit) {
        let _ = unit;
        todo!()
    }

    /// The camera is away; readers stay, nothing is removed.
    pub fn pause(&self) {
        todo!()
    }

    /// The number of readers, now and later: what on-demand cameras wait for.
    pub fn demand(&self) -> watch::Receiver<usize> {
        todo!()
    }
}

/// A reader's place in a stream.
#[derive(Debug)]
pub struct Subscription {}

impl Subscription {
    /// The tracks that the permit covers, as soon as they are known.
    pub async fn tracks(&mut self) -> Result<Vec<Arc<Track>>, Interrupt> {
        todo!()
    }

    /// SSRC, payload type and the RTP position (next sequence number and timestamp) each track would start at now.
    pub fn position(&self, track: TrackId) -> Option<Position> {
        let _ = track;
        todo!()
    }

    /// Takes only these tracks from now on (those set up); the permit's kinds bound them anyway.
    pub fn select(&mut self, tracks: &[TrackId]) {
        let _ = tracks;
        todo!()
    }

    /// Positions the reader at the newest random access point (PLAY, and PLAY after PAUSE).
    pub fn start(&mut self) {
        todo!()
    }

    /// The next unit of the selected tracks. Cancel-safe.
    pub async fn next(&mut self) -> Result<Arc<Published>, Interrupt> {
        todo!()
    }

    /// The permit it was made with.
    pub fn permit(&self) -> &Permit {
        todo!()
    }
}

/// Where a track of a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Synchronisation source.
    pub ssrc: u32,
    /// RTP payload type.
    pub payload_type: u8,
    /// First sequence number it will be given.
    pub seq: u16,
    /// First RTP timestamp it will be given.
    pub rtp_time: u32,
}

/// Why a reader got no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupt {
    /// It was too far behind and now stands at the newest random access point.
    #[error("reader fell behind; {skipped} units skipped")]
    Lagged {
        /// Units passed over.
        skipped: u64,
    },
    /// The stream ended or changed its format.
    #[error("{0}")]
    Ended(EndReason),
    /// The permit no longer holds.
    #[error("permit revoked")]
    Revoked,
}

/// Why a stream ended for its readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// Configuration took it away, or the gateway stops.
    #[error("stream removed")]
    Removed,
    /// Codec, profile, size, bit depth, chroma or the list of tracks changed.
    #[error("stream changed its format")]
    FormatChanged,
}

/// No such stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such stream")]
pub struct NotPublished;

/// The stream cannot be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotDeclare {
    /// Somebody publishes it already.
    #[error("stream is already published")]
    Taken,
    /// Over [`crate::limits::STREAMS`].
    #[error("more than {} streams", crate::limits::STREAMS)]
    TooMany,
}
