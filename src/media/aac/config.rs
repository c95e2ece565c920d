//! AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).

use bytes::Bytes;

use crate::media::bits::BitReader;
use crate::media::{AacParameters, Fault, ParameterSet, Refused};
use crate::ops::limits;

/// Samples a second by `samplingFrequencyIndex` (table 1.18).
pub(super) const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
const LOW_COMPLEXITY: u32 = 2;
const SBR: u32 = 5;
const PARAMETRIC_STEREO: u32 = 29;
/// Index that is followed by 24 bits of frequency.
const EXPLICIT: u32 = 15;

impl AacParameters {
    /// Parses an AudioSpecificConfig. Signalled SBR and PS are left off, so that the result names the
    /// AAC-LC core: sample rate and channels are those of the core.
    pub fn new(config: &[u8]) -> Result<Self, Refused> {
        parse(config).map_err(|why| ParameterSet::AudioSpecificConfig.refuse(why))
    }

    /// `samplingFrequencyIndex` of the core.
    pub(super) fn rate_index(&self) -> Option<usize> {
        RATES.iter().position(|rate| *rate == self.sample_rate)
    }
}

fn parse(config: &[u8]) -> Result<AacParameters, Fault> {
    if config.len() > limits::PARAMETER_SET_BYTES {
        return Err(Fault::TooLong);
    }
    let mut r = BitReader::new(config);
    let mut object_type = r.bits(5)?;
    let rate = rate(&mut r)?;
    let channels = r.bits(4)?;
    if matches!(object_type, SBR | PARAMETRIC_STEREO) {
        self::rate(&mut r)?; // of the extension
        object_type = r.bits(5)?;
    }
    if object_type != LOW_COMPLEXITY {
        return Err(Fault::Unsupported("audioObjectType"));
    }
    if !matches!(channels, 1 | 2) {
        return Err(Fault::Unsupported("channelConfiguration"));
    }
    // GASpecificConfig
    r.zeros(1, "frameLengthFlag")?;
    r.zeros(1, "dependsOnCoreCoder")?;
    r.zeros(1, "extensionFlag")?;
    // What may follow signals SBR and PS in the backward compatible way; nothing of it is kept.
    let index =
        RATES.iter().position(|r| *r == rate).ok_or(Fault::Unsupported("samplingFrequency"))?;
    let index = u16::try_from(index).map_err(|_| Fault::Unsupported("samplingFrequency"))?;
    let channels =
        u8::try_from(channels).map_err(|_| Fault::Unsupported("channelConfiguration"))?;
    let written = 2_u16 << 11 | index << 7 | u16::from(channels) << 3;
    Ok(AacParameters {
        config: Bytes::copy_from_slice(&written.to_be_bytes()),
        object_type: 2,
        sample_rate: rate,
        channels,
        frame_length: 1024,
    })
}

/// By index, or written out.
fn rate(r: &mut BitReader<'_>) -> Result<u32, Fault> {
    let index = r.bits(4)?;
    if index == EXPLICIT {
        return r.bits(24);
    }
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    RATES.get(index).copied().ok_or(Fault::OutOfRange("samplingFrequencyIndex"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_encoders_and_cameras() {
        for (config, written, rate, channels) in [
            (&[0x11, 0x90][..], [0x11, 0x90], 48_000, 2),
            (&[0x12, 0x10], [0x12, 0x10], 44_100, 2),
            (&[0x14, 0x08], [0x14, 0x08], 16_000, 1),
            (&[0x14, 0x90], [0x14, 0x90], 12_000, 2),
            (&[0x11, 0x88], [0x11, 0x88], 48_000, 1),
            // ffmpeg: extension written behind, SBR absent.
            (&[0x11, 0x90, 0x56, 0xe5, 0x00], [0x11, 0x90], 48_000, 2),
            // HE-AAC: 24 kHz core, 48 kHz extension.
            (&[0x2b, 0x11, 0x88, 0x00], [0x13, 0x10], 24_000, 2),
            // 44100 written out.
            (&[0x17, 0x80, 0x56, 0x22, 0x08], [0x12, 0x08], 44_100, 1),
        ] {
            let p = AacParameters::new(config).unwrap();
            assert_eq!(&p.config[..], written, "{config:02x?}");
            assert_eq!((p.sample_rate, p.channels, p.frame_length), (rate, channels, 1024));
        }
    }

    #[test]
    fn what_is_not_low_complexity_of_1024_is_refused() {
        for (config, why) in [
            (&[][..], Fault::Truncated),
            (&[0x12], Fault::Truncated),
            (&[0x0a, 0x10], Fault::Unsupported("audioObjectType")),
            (&[0x16, 0x90], Fault::OutOfRange("samplingFrequencyIndex")),
            (&[0x12, 0x00], Fault::Unsupported("channelConfiguration")),
            (&[0x12, 0x18], Fault::Unsupported("channelConfiguration")),
            (&[0x12, 0x14], Fault::Unsupported("frameLengthFlag")),
            (&[0x12, 0x12], Fault::Unsupported("dependsOnCoreCoder")),
            (&[0x12, 0x11], Fault::Unsupported("extensionFlag")),
            // 40000 written out.
            (&[0x17, 0x80, 0x4e, 0x20, 0x08], Fault::Unsupported("samplingFrequency")),
            (&[0; limits::PARAMETER_SET_BYTES + 1], Fault::TooLong),
        ] {
            assert_eq!(AacParameters::new(config).map_err(|r| r.why), Err(why), "{config:02x?}");
        }
    }
}
