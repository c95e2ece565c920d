//! The media policy of one track: what of a camera's access unit goes on, and why the rest does not.

mod counts;

pub use counts::{DropCounts, DropReason};

use std::sync::Arc;

use bytes::Bytes;

use super::{Codec, Track};

/// The policy of one track. Keeps the current parameters and the counts.
#[derive(Debug)]
pub struct Policy {
    track: Arc<Track>,
    counts: DropCounts,
}

/// What is left of an access unit, lawful to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clean {
    /// The track it was coded with: another `Arc` than before if parameters came in band and changed.
    pub track: Arc<Track>,
    /// Whether a decoder may start here; every audio frame.
    pub random_access: bool,
    /// As [`crate::media::AccessUnit::data`]; the same memory as came in if nothing was dropped.
    pub data: Bytes,
}

impl Policy {
    /// A policy for `track`, whose parameters were checked when it was made.
    pub fn new(track: Arc<Track>) -> Self {
        Self { track, counts: DropCounts::default() }
    }

    /// The track as it now is.
    pub fn track(&self) -> &Arc<Track> {
        &self.track
    }

    /// What was dropped so far, and why. Only grows.
    pub fn counts(&self) -> &DropCounts {
        &self.counts
    }

    /// Cleans one access unit: NAL units behind 4-byte lengths, or one audio frame. A refusal is already
    /// counted; the unit is then lost, the session may go on.
    /// [`DropReason::IncompatibleParameters`] means that the stream needs a new description.
    pub fn clean(&mut self, data: Bytes) -> Result<Clean, DropReason> {
        let _ = data;
        todo!()
    }

    /// Takes parameters that came beside the access units, e.g. from retina's `parameters()` after a
    /// frame with new ones: the same check as for those in band.
    pub fn replace(&mut self, codec: Codec) -> Result<(), DropReason> {
        let _ = codec;
        todo!()
    }
}
