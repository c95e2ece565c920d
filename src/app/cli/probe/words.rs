//! Codecs in words.

use crate::ingest::camera::airlock::LoginUsed;
use crate::media::{Codec, H264Parameters, H265Parameters};
use crate::wire::digest::Algorithm;

/// What a track is, for people and for JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) codec: &'static str,
    pub(super) profile: Option<&'static str>,
    pub(super) level: Option<String>,
    pub(super) size: Option<(u16, u16)>,
    pub(super) sample_rate: Option<u32>,
    pub(super) channels: Option<u8>,
}

impl Words {
    pub(super) fn new(codec: &Codec, clock_rate: u32) -> Self {
        match codec {
            Codec::H264(p) => {
                let (profile, level) = (h264_profile(p), h264_level(p));
                Self::video("H.264", profile, level, (p.width, p.height))
            }
            Codec::H265(p) => {
                let (profile, level) = (h265_profile(p), tenths(u32::from(p.level) / 3));
                Self::video("H.265", profile, level, (p.width, p.height))
            }
            Codec::Jpeg(p) => Self {
                codec: "MJPEG",
                profile: None,
                level: None,
                size: Some((p.width, p.height)),
                sample_rate: None,
                channels: None,
            },
            Codec::Aac(p) => Self::audio("AAC-LC", p.sample_rate, p.channels),
            Codec::Pcma { channels } => Self::audio("G.711 A-law", clock_rate, *channels),
            Codec::Pcmu { channels } => Self::audio("G.711 µ-law", clock_rate, *channels),
            Codec::G726(g726) => Self::audio(g726.encoding_name(), clock_rate, 1),
            Codec::L16 { channels } => Self::audio("L16", clock_rate, *channels),
        }
    }

    fn video(codec: &'static str, profile: &'static str, level: String, size: (u16, u16)) -> Self {
        let (profile, level) = (Some(profile), Some(level));
        Self { codec, profile, level, size: Some(size), sample_rate: None, channels: None }
    }

    fn audio(codec: &'static str, sample_rate: u32, channels: u8) -> Self {
        let (sample_rate, channels) = (Some(sample_rate), Some(channels));
        Self { codec, profile: None, level: None, size: None, sample_rate, channels }
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.codec)?;
        if let (Some(profile), Some(level)) = (self.profile, &self.level) {
            write!(f, " {profile}, level {level}")?;
        }
        if let Some((width, height)) = self.size {
            write!(f, ", {width}x{height}")?;
        }
        if let (Some(rate), Some(channels)) = (self.sample_rate, self.channels) {
            write!(f, ", {rate} Hz, {}", if channels == 1 { "mono" } else { "stereo" })?;
        }
        Ok(())
    }
}

/// The login scheme that the camera took.
pub(super) fn login(used: LoginUsed) -> &'static str {
    match used {
        LoginUsed::None => "none",
        LoginUsed::Basic => "basic",
        LoginUsed::Digest(Algorithm::Md5) => "digest-md5",
        LoginUsed::Digest(Algorithm::Sha256) => "digest-sha256",
    }
}

/// ITU-T H.264 A.2.
fn h264_profile(p: &H264Parameters) -> &'static str {
    match (p.profile, p.constraints & 0x40 != 0) {
        (66, true) => "Constrained Baseline",
        (66, false) => "Baseline",
        (77, _) => "Main",
        (88, _) => "Extended",
        (100, _) => "High",
        (110, _) => "High 10",
        (122, _) => "High 4:2:2",
        (244, _) => "High 4:4:4 Predictive",
        (44, _) => "CAVLC 4:4:4 Intra",
        (_, _) => "unknown profile",
    }
}

/// ITU-T H.264 A.3.1: level 1b is 9, or 11 with constraint_set3_flag in the old profiles.
fn h264_level(p: &H264Parameters) -> String {
    match (p.level, p.profile) {
        (9, _) => "1b".to_owned(),
        (11, 66 | 77 | 88) if p.constraints & 0x10 != 0 => "1b".to_owned(),
        (level, _) => tenths(level.into()),
    }
}

/// ITU-T H.265 A.3.
fn h265_profile(p: &H265Parameters) -> &'static str {
    match p.profile {
        1 => "Main",
        2 => "Main 10",
        3 => "Main Still Picture",
        4 => "Range Extensions",
        _ => "unknown profile",
    }
}

fn tenths(level: u32) -> String {
    format!("{}.{}", level / 10, level % 10)
}
