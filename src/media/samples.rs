//! Sound without frames of its own: every group of whole octets stands alone (RFC 3551 4.5).

use super::Codec;
use crate::ops::limits;

/// G.726 at 8 kHz, one channel (RFC 3551 4.5.4): how many bits a sample has, and how they lie in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct G726 {
    /// Bit rate.
    pub rate: G726Rate,
    /// Order of the samples within an octet.
    pub packing: G726Packing,
}

/// Bit rate of G.726: 2 to 5 bits a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum G726Rate {
    Kbit16,
    Kbit24,
    Kbit32,
    Kbit40,
}

/// Order of the samples within an octet. A decoder that is told the wrong one plays noise, so the name
/// that the camera gave is kept; the gateway cannot hear whether it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum G726Packing {
    /// `G726-32`: the first sample in the least significant bits.
    Rfc3551,
    /// `AAL2-G726-32`, ITU-T I.366.2 annex E: the first sample in the most significant bits.
    Aal2,
}

impl G726 {
    const ALL: [Self; 8] = [
        Self { rate: G726Rate::Kbit16, packing: G726Packing::Rfc3551 },
        Self { rate: G726Rate::Kbit24, packing: G726Packing::Rfc3551 },
        Self { rate: G726Rate::Kbit32, packing: G726Packing::Rfc3551 },
        Self { rate: G726Rate::Kbit40, packing: G726Packing::Rfc3551 },
        Self { rate: G726Rate::Kbit16, packing: G726Packing::Aal2 },
        Self { rate: G726Rate::Kbit24, packing: G726Packing::Aal2 },
        Self { rate: G726Rate::Kbit32, packing: G726Packing::Aal2 },
        Self { rate: G726Rate::Kbit40, packing: G726Packing::Aal2 },
    ];

    /// The encoding name of the RTP payload format registry.
    pub fn encoding_name(self) -> &'static str {
        match (self.packing, self.rate) {
            (G726Packing::Rfc3551, G726Rate::Kbit16) => "G726-16",
            (G726Packing::Rfc3551, G726Rate::Kbit24) => "G726-24",
            (G726Packing::Rfc3551, G726Rate::Kbit32) => "G726-32",
            (G726Packing::Rfc3551, G726Rate::Kbit40) => "G726-40",
            (G726Packing::Aal2, G726Rate::Kbit16) => "AAL2-G726-16",
            (G726Packing::Aal2, G726Rate::Kbit24) => "AAL2-G726-24",
            (G726Packing::Aal2, G726Rate::Kbit32) => "AAL2-G726-32",
            (G726Packing::Aal2, G726Rate::Kbit40) => "AAL2-G726-40",
        }
    }

    /// The coding with this name, in any case.
    pub fn from_encoding_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|g726| g726.encoding_name().eq_ignore_ascii_case(name))
    }

    /// The least number of samples that ends with an octet.
    pub fn group(self) -> SampleGroup {
        match self.rate {
            G726Rate::Kbit16 => SampleGroup { bytes: 1, ticks: 4 },
            G726Rate::Kbit24 => SampleGroup { bytes: 3, ticks: 8 },
            G726Rate::Kbit32 => SampleGroup { bytes: 1, ticks: 2 },
            G726Rate::Kbit40 => SampleGroup { bytes: 5, ticks: 8 },
        }
    }
}

/// The least piece of sound that a packet may begin or end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleGroup {
    /// Its octets, all channels; never 0.
    pub bytes: usize,
    /// Its time in ticks of the track's clock.
    pub ticks: u32,
}

impl SampleGroup {
    /// The groups of a codec; none if its units are not made of any, or its channels are not 1 or 2.
    pub fn of(codec: &Codec) -> Option<Self> {
        let of_one = |sample: usize, channels: u8| {
            let bytes = sample.saturating_mul(usize::from(channels));
            matches!(channels, 1 | 2).then_some(Self { bytes, ticks: 1 })
        };
        match codec {
            Codec::H264(_) | Codec::H265(_) | Codec::Jpeg(_) | Codec::Aac(_) => None,
            Codec::Pcma { channels } | Codec::Pcmu { channels } => of_one(1, *channels),
            Codec::G726(g726) => Some(g726.group()),
            Codec::L16 { channels } => of_one(2, *channels),
        }
    }

    /// The most bytes of a unit of `codec`.
    pub(super) fn unit_bytes(codec: &Codec) -> usize {
        match codec {
            Codec::H264(_) | Codec::H265(_) | Codec::Jpeg(_) | Codec::Aac(_) => 0,
            Codec::Pcma { .. } | Codec::Pcmu { .. } => limits::G711_FRAME_BYTES,
            Codec::G726(_) => limits::G726_FRAME_BYTES,
            Codec::L16 { .. } => limits::L16_FRAME_BYTES,
        }
    }

    /// Whether `length` bytes are whole groups, and at least one.
    pub fn fits(self, length: usize) -> bool {
        length > 0 && length.is_multiple_of(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_g726_has_its_own_name_and_whole_octets() {
        for g726 in G726::ALL {
            let name = g726.encoding_name();
            assert_eq!(G726::from_encoding_name(&name.to_lowercase()), Some(g726));
            let bits: usize = name.rsplit('-').next().unwrap().parse::<usize>().unwrap() / 8;
            let SampleGroup { bytes, ticks } = g726.group();
            assert_eq!(bytes * 8, usize::try_from(ticks).unwrap() * bits, "{name}");
        }
        for other in ["", "G726", "G726-48", "AAL2-G726", "G721", "G726-32 "] {
            assert_eq!(G726::from_encoding_name(other), None);
        }
    }

    #[test]
    fn a_group_holds_a_sample_of_each_channel() {
        let bytes = |codec| SampleGroup::of(&codec).map(|group| group.bytes);
        assert_eq!(bytes(Codec::Pcma { channels: 2 }), Some(2));
        assert_eq!(bytes(Codec::L16 { channels: 1 }), Some(2));
        assert_eq!(bytes(Codec::L16 { channels: 2 }), Some(4));
        for channels in [0, 3, 255] {
            assert_eq!(bytes(Codec::L16 { channels }), None);
            assert_eq!(bytes(Codec::Pcmu { channels }), None);
        }
        let stereo = SampleGroup { bytes: 4, ticks: 1 };
        assert!(stereo.fits(4) && !stereo.fits(0) && !stereo.fits(2) && !stereo.fits(5));
    }
}
