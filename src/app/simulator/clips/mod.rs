//! The clips in the binary, made by `make.py` beside this file: raw H.264 and H.265 byte streams, one slice a
//! picture, an ADTS stream, and one second of A-law. All are checked whole by the tests below, so that the
//! readers need no error.

use std::sync::OnceLock;

use bytes::{BufMut, Bytes, BytesMut};

use crate::media::{AacParameters, Codec, H264Parameters, H265Parameters};

/// A clip of 24 s at 25 pictures a second, a key frame each second. It loops without a seam; the bar code
/// shows the picture's place in the clip, 0 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClipName {
    /// H.264 high profile, 640 x 360.
    Door,
    /// H.265 main profile, 640 x 360.
    Yard,
    /// H.264 high profile, 320 x 180: the small profile of [`Self::Yard`].
    YardSub,
}

/// Pictures a second of every clip.
pub(super) const FPS: u32 = 25;
/// Pictures from key frame to key frame in every clip.
pub(super) const GOP: u64 = 25;

/// A clip cut into pictures.
#[derive(Debug)]
pub(super) struct Clip {
    pub(super) codec: Codec,
    /// NAL units behind 4-byte lengths.
    pub(super) pictures: Vec<Bytes>,
}

impl ClipName {
    /// The clip, cut at first use.
    pub(super) fn clip(self) -> &'static Clip {
        static DOOR: OnceLock<Clip> = OnceLock::new();
        static YARD: OnceLock<Clip> = OnceLock::new();
        static YARD_SUB: OnceLock<Clip> = OnceLock::new();
        match self {
            Self::Door => DOOR.get_or_init(|| h264(include_bytes!("door.h264"), 640, 360)),
            Self::Yard => YARD.get_or_init(|| h265(include_bytes!("yard.h265"), 640, 360)),
            Self::YardSub => {
                YARD_SUB.get_or_init(|| h264(include_bytes!("yard-sub.h264"), 320, 180))
            }
        }
    }
}

/// A beep each second, cut into frames; it loops without a seam.
#[derive(Debug)]
pub(super) struct Beep {
    pub(super) codec: Codec,
    pub(super) clock_rate: u32,
    /// Samples of one frame.
    pub(super) frame_samples: u32,
    pub(super) frames: Vec<Bytes>,
}

/// AAC-LC, 48 kHz, mono: 1,125 frames are 24 s.
pub(super) fn aac() -> &'static Beep {
    static BEEP: OnceLock<Beep> = OnceLock::new();
    BEEP.get_or_init(|| Beep {
        codec: Codec::Aac(AacParameters {
            // Object type 2, sampling index 3, one channel.
            config: Bytes::from_static(&[0x11, 0x88]),
            object_type: 2,
            sample_rate: 48_000,
            channels: 1,
            frame_length: 1024,
        }),
        clock_rate: 48_000,
        frame_samples: 1024,
        frames: adts_frames(include_bytes!("beep.aac")),
    })
}

/// G.711 A-law, 8 kHz, mono: 50 frames of 20 ms.
pub(super) fn pcma() -> &'static Beep {
    static BEEP: OnceLock<Beep> = OnceLock::new();
    BEEP.get_or_init(|| Beep {
        codec: Codec::Pcma { channels: 1 },
        clock_rate: 8_000,
        frame_samples: 160,
        frames: include_bytes!("beep.alaw").chunks_exact(160).map(Bytes::from_static).collect(),
    })
}

fn h264(stream: &'static [u8], width: u16, height: u16) -> Clip {
    let nals = nal_units(stream);
    let kind = |nal: &Bytes| nal.first().map_or(0, |byte| byte & 0x1F);
    let set = |wanted| nals.iter().find(|nal| kind(nal) == wanted).cloned().unwrap_or_default();
    let (sps, pps) = (set(7), set(8));
    let byte = |at| sps.get(at).copied().unwrap_or(0);
    Clip {
        codec: Codec::H264(H264Parameters {
            profile: byte(1),
            constraints: byte(2),
            level: byte(3),
            width,
            height,
            bit_depth: 8,
            chroma_format_idc: 1,
            pps,
            sps: sps.clone(),
        }),
        pictures: nals.iter().filter(|nal| matches!(kind(nal), 1 | 5)).map(picture).collect(),
    }
}

fn h265(stream: &'static [u8], width: u16, height: u16) -> Clip {
    let nals = nal_units(stream);
    let kind = |nal: &Bytes| nal.first().map_or(0, |byte| byte >> 1 & 0x3F);
    let set = |wanted| nals.iter().find(|nal| kind(nal) == wanted).cloned().unwrap_or_default();
    Clip {
        codec: Codec::H265(H265Parameters {
            vps: set(32),
            sps: set(33),
            pps: set(34),
            profile: 1,
            level: 63,
            width,
            height,
            bit_depth: 8,
            chroma_format_idc: 1,
        }),
        pictures: nals.iter().filter(|nal| kind(nal) < 32).map(picture).collect(),
    }
}

fn picture(nal: &Bytes) -> Bytes {
    let mut data = BytesMut::with_capacity(nal.len() + 4);
    data.put_u32(u32::try_from(nal.len()).unwrap_or(0));
    data.extend_from_slice(nal);
    data.freeze()
}

/// The NAL units of a byte stream (H.264 annex B).
fn nal_units(stream: &'static [u8]) -> Vec<Bytes> {
    let codes: Vec<usize> = memchr::memmem::find_iter(stream, &[0, 0, 1]).collect();
    let ends = codes.iter().skip(1).copied().chain([stream.len()]);
    let cut = |(code, end): (&usize, usize)| {
        let unit = stream.get(code + 3..end).unwrap_or_default();
        // A unit ends in a stop bit: zeros behind it belong to the next start code.
        let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Bytes::from_static(unit.get(..length).unwrap_or_default())
    };
    codes.iter().zip(ends).map(cut).collect()
}

/// The raw frames of an ADTS stream (ISO/IEC 14496-3 1.A.3).
fn adts_frames(mut stream: &'static [u8]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let [0xFF, _, _, high, middle, low, _, ..] = stream {
        let length = u16::from_be_bytes([high & 3, *middle]) << 3 | u16::from(low >> 5);
        let Some((frame, rest)) = stream.split_at_checked(length.into()) else { break };
        frames.push(Bytes::from_static(frame.get(7..).unwrap_or_default()));
        stream = rest;
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clips_are_whole() {
        for (name, idr) in
            [(ClipName::Door, 0x65), (ClipName::Yard, 0x28), (ClipName::YardSub, 0x65)]
        {
            let clip = name.clip();
            assert_eq!(clip.pictures.len(), 600);
            for (n, picture) in clip.pictures.iter().enumerate() {
                assert_eq!(picture[4] == idr, n % 25 == 0, "{name:?} {n}");
            }
            let total: usize = clip.pictures.iter().map(Bytes::len).sum();
            assert!((100_000..500_000).contains(&total), "{total}");
            match &clip.codec {
                Codec::H264(p) => assert_eq!((p.sps[0], p.pps[0], p.profile), (0x67, 0x68, 100)),
                Codec::H265(p) => assert_eq!((p.vps[0], p.sps[0], p.pps[0]), (0x40, 0x42, 0x44)),
                Codec::Jpeg(_)
                | Codec::Aac(_)
                | Codec::Pcma { .. }
                | Codec::Pcmu { .. }
                | Codec::G726(_)
                | Codec::L16 { .. } => panic!("no video"),
            }
        }
    }

    #[test]
    fn the_sound_is_as_long_as_the_pictures() {
        assert_eq!(aac().frames.len() * 1024, 24 * 48_000);
        assert!(aac().frames.iter().all(|frame| frame.len() > 3));
        assert_eq!(pcma().frames.len() * 160, 8_000);
    }
}
