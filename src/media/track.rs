//! Tracks and codecs: immutable descriptions. A new `Arc<Track>` means new parameters.

use bytes::Bytes;

use super::G726;

/// One elementary stream of a camera profile. Immutable: changed parameters make a new `Arc<Track>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Position within the stream, from 0, in the order that the gateway's SDP lists.
    pub id: TrackId,
    /// Codec and its parameters.
    pub codec: Codec,
    /// Ticks a second of [`crate::media::AccessUnit::ticks`] and of RTP timestamps.
    pub clock_rate: u32,
}

impl Track {
    /// Picture or sound.
    pub fn kind(&self) -> TrackKind {
        self.codec.kind()
    }

    /// Whether a reader of `self` can go on with `other` without a new session description: same
    /// codec, profile, size, bit depth and chroma (or sample rate and channels).
    pub fn is_compatible(&self, other: &Self) -> bool {
        self.id == other.id
            && self.clock_rate == other.clock_rate
            && match (&self.codec, &other.codec) {
                (Codec::H264(a), Codec::H264(b)) => {
                    (a.profile, a.constraints, a.width, a.height, a.bit_depth, a.chroma_format_idc)
                        == (
                            b.profile,
                            b.constraints,
                            b.width,
                            b.height,
                            b.bit_depth,
                            b.chroma_format_idc,
                        )
                }
                (Codec::H265(a), Codec::H265(b)) => {
                    (a.profile, a.width, a.height, a.bit_depth, a.chroma_format_idc)
                        == (b.profile, b.width, b.height, b.bit_depth, b.chroma_format_idc)
                }
                (a, b) => a == b,
            }
    }
}

/// Position of a track within its stream, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u8);

/// Picture or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Coded pictures; a grant says `view`.
    Video,
    /// Coded sound; a grant says `listen`.
    Audio,
}

/// A set of [`TrackKind`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds {
    /// Pictures (`view`).
    pub video: bool,
    /// Sound (`listen`).
    pub audio: bool,
}

impl Kinds {
    /// Neither.
    pub const NONE: Self = Self { video: false, audio: false };
    /// Both.
    pub const ALL: Self = Self { video: true, audio: true };

    /// Whether `kind` is in the set.
    pub fn contains(self, kind: TrackKind) -> bool {
        match kind {
            TrackKind::Video => self.video,
            TrackKind::Audio => self.audio,
        }
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { video: self.video || other.video, audio: self.audio || other.audio }
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }
}

/// A codec with what a decoder must know beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codec {
    /// ITU-T H.264.
    H264(H264Parameters),
    /// ITU-T H.265.
    H265(H265Parameters),
    /// JPEG pictures (MJPEG), RFC 2435; each stands alone.
    Jpeg(JpegParameters),
    /// MPEG-4 AAC, RFC 3640 mode AAC-hbr; access units are raw AAC frames.
    Aac(AacParameters),
    /// G.711 A-law, 8 bit a sample, interleaved channels.
    Pcma {
        /// 1 or 2.
        channels: u8,
    },
    /// G.711 µ-law, 8 bit a sample, interleaved channels.
    Pcmu {
        /// 1 or 2.
        channels: u8,
    },
    /// G.726, 2 to 5 bits a sample, one channel at 8 kHz; units end with a whole [`crate::media::SampleGroup`].
    G726(G726),
    /// Linear PCM, 16 bit a sample, big-endian, interleaved channels (RFC 3551 4.5.11), at one of
    /// [`crate::ops::limits::L16_RATES`].
    L16 {
        /// 1 or 2.
        channels: u8,
    },
}

impl Codec {
    /// Picture or sound.
    pub fn kind(&self) -> TrackKind {
        match self {
            Self::H264(_) | Self::H265(_) | Self::Jpeg(_) => TrackKind::Video,
            Self::Aac(_)
            | Self::Pcma { .. }
            | Self::Pcmu { .. }
            | Self::G726(_)
            | Self::L16 { .. } => TrackKind::Audio,
        }
    }

    /// The encoding name of the RTP payload format registry, as it stands in `a=rtpmap`.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Self::H264(_) => "H264",
            Self::H265(_) => "H265",
            Self::Jpeg(_) => "JPEG",
            Self::Aac(_) => "mpeg4-generic",
            Self::Pcma { .. } => "PCMA",
            Self::Pcmu { .. } => "PCMU",
            Self::G726(g726) => g726.encoding_name(),
            Self::L16 { .. } => "L16",
        }
    }
}

/// A checked pair of H.264 parameter sets. Made by `media`'s parser only from sets it understood whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H264Parameters {
    /// Sequence parameter set: the NAL unit with its header, without start code.
    pub sps: Bytes,
    /// Picture parameter set: the NAL unit with its header, without start code.
    pub pps: Bytes,
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint-set byte behind `profile_idc`.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// Picture width in luma samples, cropped.
    pub width: u16,
    /// Picture height in luma samples, cropped.
    pub height: u16,
    /// Luma bit depth.
    pub bit_depth: u8,
    /// 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
}

/// A checked set of H.265 parameter sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H265Parameters {
    /// Video parameter set: the NAL unit with its header.
    pub vps: Bytes,
    /// Sequence parameter set: the NAL unit with its header.
    pub sps: Bytes,
    /// Picture parameter set: the NAL unit with its header.
    pub pps: Bytes,
    /// `general_profile_idc`.
    pub profile: u8,
    /// `general_level_idc`.
    pub level: u8,
    /// Picture width in luma samples, cropped.
    pub width: u16,
    /// Picture height in luma samples, cropped.
    pub height: u16,
    /// Luma bit depth.
    pub bit_depth: u8,
    /// 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
}

/// What the pictures of an MJPEG track have in common; each brings its tables itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JpegParameters {
    /// Picture width in pixels, a multiple of 8.
    pub width: u16,
    /// Picture height in pixels, a multiple of 8.
    pub height: u16,
}

/// A checked AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacParameters {
    /// The AudioSpecificConfig, re-written by us from the typed values below (2 bytes).
    pub config: Bytes,
    /// Audio object type; 2 is AAC-LC.
    pub object_type: u8,
    /// Samples a second.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Samples of one frame: 1024.
    pub frame_length: u16,
}
