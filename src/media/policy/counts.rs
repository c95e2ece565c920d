//! Reasons for dropping, counted.

use strum::{IntoStaticStr, VariantArray};

/// Why a unit, or a part of one, does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum DropReason {
    /// Access unit, NAL unit or frame above its limit of bytes.
    TooLarge,
    /// More NAL units than [`crate::ops::limits::ACCESS_UNIT_NALS`].
    TooManyNals,
    /// Lengths do not add up, or an empty unit.
    BadFraming,
    /// NAL header with forbidden bit, another layer, or no temporal id.
    BadNalHeader,
    /// A start code or other byte sequence that no NAL unit may hold.
    ForbiddenBytes,
    /// Zero bytes behind the end of a NAL unit.
    TrailingBytes,
    /// Supplemental enhancement information.
    Sei,
    /// Access unit delimiter.
    Delimiter,
    /// End of sequence or of bit stream.
    EndOfSequence,
    /// Filler data.
    Filler,
    /// Data partitions (H.264 types 2 to 4).
    DataPartition,
    /// Any other NAL unit type.
    UnknownNal,
    /// A parameter set with another id than the track's.
    OtherParameterSet,
    /// A parameter set that was refused.
    UnlawfulParameters,
    /// A parameter set that was lawful but changes size, profile or format.
    IncompatibleParameters,
    /// A slice header out of range, for another parameter set, or out of order.
    BadSlice,
    /// No coded picture is left.
    NoPicture,
    /// Dropped because an earlier unit with parameters was refused; ends at the next random access point.
    AwaitingRandomAccess,
    /// Application data, a comment or another segment of a JPEG picture that no decoder needs.
    JpegSegment,
    /// Bytes behind the end of a JPEG picture.
    JpegTrailing,
    /// JPEG picture whose syntax is broken, or that RFC 2435 cannot carry.
    BadJpeg,
    /// AAC fill element.
    AacFill,
    /// AAC data stream element.
    AacData,
    /// Bytes behind the end of an AAC frame.
    AacTrailing,
    /// AAC frame whose syntax cannot be walked.
    BadAac,
    /// A unit of G.711, G.726 or L16 that is too long, or no whole number of sample groups.
    BadSamples,
}

impl DropReason {
    /// The stable metric label.
    pub fn label(self) -> &'static str {
        self.into()
    }
}

/// How often each [`DropReason`] occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DropCounts([u64; DropReason::VARIANTS.len()]);

impl DropCounts {
    /// Counts one.
    pub fn add(&mut self, reason: DropReason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How often `reason` occurred.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Adds what another policy counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }

    /// Every reason with its count, also zeros.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::VARIANTS.iter().copied().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_these() {
        let labels: Vec<_> = DropReason::VARIANTS.iter().map(|reason| reason.label()).collect();
        assert_surface!("media-drops", labels.join("\n"));
    }
}
