//! The media policy of one track: what of a camera's access unit goes on, and why the rest does not.
//!
//! Coded slices, JPEG pictures and coded sound go on; parameter sets are taken out and checked; everything else is
//! dropped. What slices, samples and timing may still carry is for the threat model to say.

mod counts;
mod nals;
mod video;

pub use counts::{DropCounts, DropReason};

use std::sync::Arc;

use bytes::Bytes;

use self::video::{Video, VideoCodec};
use super::aac::{Trailing, Walker};
use super::jpeg::clean as clean_jpeg;
use super::{Codec, JpegParameters, SampleGroup, Track};
use crate::ops::limits;

/// The policy of one track. Keeps the current parameters and the counts.
#[derive(Debug)]
pub struct Policy {
    track: Arc<Track>,
    rules: Rules,
    counts: DropCounts,
}

/// What is left of an access unit, lawful to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clean {
    /// The track it was coded with: another `Arc` than before if parameters came in band and changed.
    pub track: Arc<Track>,
    /// Whether a decoder may start here; every JPEG picture and audio frame.
    pub random_access: bool,
    /// As [`crate::media::AccessUnit::data`]; the same memory as came in if nothing was dropped.
    pub data: Bytes,
}

/// How units of a codec are checked.
#[derive(Debug)]
enum Rules {
    Video(Video),
    Jpeg(JpegParameters),
    Aac(Walker),
    /// Whole groups of samples, at most so many bytes.
    Samples {
        group: SampleGroup,
        most: usize,
    },
    /// The track's own parameters were not made by the parser: nothing passes.
    Nothing,
}

impl Policy {
    /// A policy for `track`, whose parameters were checked when it was made. Should they be unlawful
    /// all the same, every unit is refused.
    pub fn new(track: Arc<Track>) -> Self {
        let rules = match &track.codec {
            Codec::H264(_) | Codec::H265(_) => {
                VideoCodec::new(&track.codec).map(|codec| Rules::Video(Video::new(codec)))
            }
            Codec::Jpeg(size) => (JpegParameters::new(size.width, size.height) == Ok(*size))
                .then_some(Rules::Jpeg(*size)),
            Codec::Aac(parameters) => Walker::new(parameters).map(Rules::Aac),
            Codec::Pcma { .. } | Codec::Pcmu { .. } | Codec::G726(_) | Codec::L16 { .. } => {
                let most = SampleGroup::unit_bytes(&track.codec);
                SampleGroup::of(&track.codec).map(|group| Rules::Samples { group, most })
            }
        };
        Self { track, rules: rules.unwrap_or(Rules::Nothing), counts: DropCounts::default() }
    }

    /// The track as it now is.
    pub fn track(&self) -> &Arc<Track> {
        &self.track
    }

    /// What was dropped so far, and why. Only grows.
    pub fn counts(&self) -> &DropCounts {
        &self.counts
    }

    /// Cleans one access unit: NAL units behind 4-byte lengths, a JPEG picture, or one audio frame. A refusal is already
    /// counted; the unit is then lost, the session may go on.
    /// [`DropReason::IncompatibleParameters`] means that the stream needs a new description.
    pub fn clean(&mut self, data: Bytes) -> Result<Clean, DropReason> {
        let cleaned = match &mut self.rules {
            Rules::Video(video) => video.clean(&mut self.track, data, &mut self.counts),
            Rules::Jpeg(size) => {
                jpeg(*size, data, &mut self.counts).map(|data| alone(&self.track, data))
            }
            Rules::Aac(walker) => {
                aac(walker, &data, &mut self.counts).map(|data| alone(&self.track, data))
            }
            Rules::Samples { group, most } => {
                let lawful = group.fits(data.len()) && data.len() <= *most;
                lawful.then(|| alone(&self.track, data)).ok_or(DropReason::BadSamples)
            }
            Rules::Nothing => Err(DropReason::UnlawfulParameters),
        };
        cleaned.inspect_err(|reason| self.counts.add(*reason))
    }

    /// Takes parameters that came beside the access units, e.g. from retina's `parameters()` after a
    /// frame with new ones: the same check as for those in band. On refusal nothing passes until a
    /// random access point with lawful parameters.
    pub fn replace(&mut self, codec: Codec) -> Result<(), DropReason> {
        let replaced = match &mut self.rules {
            Rules::Video(video) => video.replace(&mut self.track, codec),
            Rules::Jpeg(_) | Rules::Aac(_) | Rules::Samples { .. } | Rules::Nothing => {
                if codec == self.track.codec {
                    Ok(())
                } else {
                    Err(DropReason::IncompatibleParameters)
                }
            }
        };
        replaced.inspect_err(|reason| self.counts.add(*reason))
    }
}

/// A unit that needs no other.
fn alone(track: &Arc<Track>, data: Bytes) -> Clean {
    Clean { track: Arc::clone(track), random_access: true, data }
}

/// Another size needs a new description, as with any other codec.
fn jpeg(
    size: JpegParameters,
    picture: Bytes,
    counts: &mut DropCounts,
) -> Result<Bytes, DropReason> {
    if picture.len() > limits::JPEG_BYTES {
        return Err(DropReason::TooLarge);
    }
    let (head, picture, stripped) = clean_jpeg(picture).map_err(|_| DropReason::BadJpeg)?;
    for _ in 0..stripped.segments {
        counts.add(DropReason::JpegSegment);
    }
    if stripped.trailing {
        counts.add(DropReason::JpegTrailing);
    }
    if head.size == size { Ok(picture) } else { Err(DropReason::IncompatibleParameters) }
}

fn aac(walker: &Walker, data: &Bytes, counts: &mut DropCounts) -> Result<Bytes, DropReason> {
    if data.len() > limits::AAC_FRAME_BYTES {
        return Err(DropReason::TooLarge);
    }
    let frame = walker.strip(data).map_err(|_| DropReason::BadAac)?;
    for _ in 0..frame.fills {
        counts.add(DropReason::AacFill);
    }
    for _ in 0..frame.data_elements {
        counts.add(DropReason::AacData);
    }
    match frame.trailing {
        Trailing::None => {}
        Trailing::Dropped => counts.add(DropReason::AacTrailing),
    }
    Ok(frame.data)
}

#[cfg(test)]
mod tests;
