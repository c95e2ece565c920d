//! Why a parameter set or an audio configuration is not taken from a camera.

/// A parameter set or configuration was refused. The camera's fault, or a feature left out by policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{set}: {why}")]
pub struct Refused {
    /// Which one.
    pub set: ParameterSet,
    /// What is wrong with it.
    pub why: Fault,
}

/// The kinds of decoder configuration a camera sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterSet {
    /// H.264 sequence parameter set.
    H264Sps,
    /// H.264 picture parameter set.
    H264Pps,
    /// H.265 video parameter set.
    H265Vps,
    /// H.265 sequence parameter set.
    H265Sps,
    /// H.265 picture parameter set.
    H265Pps,
    /// JPEG frame header.
    JpegFrame,
    /// AudioSpecificConfig.
    AudioSpecificConfig,
}

impl ParameterSet {
    /// The name in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264Sps => "H.264 SPS",
            Self::H264Pps => "H.264 PPS",
            Self::H265Vps => "H.265 VPS",
            Self::H265Sps => "H.265 SPS",
            Self::H265Pps => "H.265 PPS",
            Self::JpegFrame => "JPEG frame header",
            Self::AudioSpecificConfig => "AudioSpecificConfig",
        }
    }

    pub(super) fn refuse(self, why: Fault) -> Refused {
        Refused { set: self, why }
    }
}

impl std::fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a parameter set; elements are named as the standards name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More bytes than [`crate::ops::limits::PARAMETER_SET_BYTES`].
    #[error("larger than any real one")]
    TooLong,
    /// The bytes end before the syntax does.
    #[error("ends early")]
    Truncated,
    /// Not the NAL unit type (or header) it should be.
    #[error("wrong NAL unit header")]
    WrongHeader,
    /// An element is outside the standard's range or the gateway's limits.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
    /// Lawful, but not let through by policy.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Something other than the trailing bits stands behind the last known element.
    #[error("unknown data behind the last element")]
    Behind,
    /// It refers to another parameter set than the one it came with.
    #[error("refers to another {0}")]
    Dangling(&'static str),
}
