//! Reasons for dropping, counted.

/// Why a unit, or a part of one, does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// All of them, in the order of [`DropCounts`].
    pub const ALL: [Self; 26] = [
        Self::TooLarge,
        Self::TooManyNals,
        Self::BadFraming,
        Self::BadNalHeader,
        Self::ForbiddenBytes,
        Self::TrailingBytes,
        Self::Sei,
        Self::Delimiter,
        Self::EndOfSequence,
        Self::Filler,
        Self::DataPartition,
        Self::UnknownNal,
        Self::OtherParameterSet,
        Self::UnlawfulParameters,
        Self::IncompatibleParameters,
        Self::BadSlice,
        Self::NoPicture,
        Self::AwaitingRandomAccess,
        Self::JpegSegment,
        Self::JpegTrailing,
        Self::BadJpeg,
        Self::AacFill,
        Self::AacData,
        Self::AacTrailing,
        Self::BadAac,
        Self::BadSamples,
    ];

    /// The stable metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooManyNals => "too_many_nals",
            Self::BadFraming => "bad_framing",
            Self::BadNalHeader => "bad_nal_header",
            Self::ForbiddenBytes => "forbidden_bytes",
            Self::TrailingBytes => "trailing_bytes",
            Self::Sei => "sei",
            Self::Delimiter => "delimiter",
            Self::EndOfSequence => "end_of_sequence",
            Self::Filler => "filler",
            Self::DataPartition => "data_partition",
            Self::UnknownNal => "unknown_nal",
            Self::OtherParameterSet => "other_parameter_set",
            Self::UnlawfulParameters => "unlawful_parameters",
            Self::IncompatibleParameters => "incompatible_parameters",
            Self::BadSlice => "bad_slice",
            Self::NoPicture => "no_picture",
            Self::AwaitingRandomAccess => "awaiting_random_access",
            Self::JpegSegment => "jpeg_segment",
            Self::JpegTrailing => "jpeg_trailing",
            Self::BadJpeg => "bad_jpeg",
            Self::AacFill => "aac_fill",
            Self::AacData => "aac_data",
            Self::AacTrailing => "aac_trailing",
            Self::BadAac => "bad_aac",
            Self::BadSamples => "bad_samples",
        }
    }
}

/// How often each [`DropReason`] occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DropCounts([u64; DropReason::ALL.len()]);

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
        DropReason::ALL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_label() {
        for (i, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
            let same = DropReason::ALL.iter().filter(|r| r.label() == reason.label()).count();
            assert_eq!(same, 1, "{}", reason.label());
            let mut counts = DropCounts::default();
            counts.add(reason);
            assert!(counts.iter().all(|(r, n)| n == u64::from(r == reason)));
        }
    }

    #[test]
    fn the_reasons_are_these() {
        assert_surface!("media-drops", DropReason::ALL.map(DropReason::label).join("\n"));
    }
}
