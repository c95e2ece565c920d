use super::*;

fn settings(codec: PatternCodec) -> PatternSettings {
    PatternSettings { codec, width: 640, height: 360, fps: 25, gop: 10, bit_rate: 4_000_000 }
}

#[test]
fn key_frames_come_as_asked_and_numbers_run_on() {
    for codec in [PatternCodec::H264, PatternCodec::H265] {
        let mut pattern = Pattern::new(settings(codec), u32::MAX - 4).unwrap();
        for n in 0..30 {
            let picture = pattern.next_picture();
            assert_eq!(picture.number, (u32::MAX - 4).wrapping_add(n));
            assert_eq!(picture.key, n % 10 == 0);
            let length = u32::from_be_bytes(picture.data[..4].try_into().unwrap());
            assert_eq!(usize::try_from(length).unwrap(), picture.data.len() - 4);
            let kind = picture.data[4];
            let (key, other) = match codec {
                PatternCodec::H264 => (0x65, 0x61),
                PatternCodec::H265 => (0x28, 0x02),
            };
            assert_eq!(kind, if picture.key { key } else { other });
        }
    }
}

#[test]
fn the_bit_rate_is_kept() {
    for codec in [PatternCodec::H264, PatternCodec::H265] {
        for bit_rate in [1_500_000, 4_000_000, 6_000_000] {
            let mut pattern =
                Pattern::new(PatternSettings { bit_rate, gop: 50, ..settings(codec) }, 0).unwrap();
            let pictures: Vec<Picture> = (0..250).map(|_| pattern.next_picture()).collect();
            let bits: usize = pictures.iter().map(|p| p.data.len() * 8).sum();
            let off = (bits as f64 / 10.0 / f64::from(bit_rate) - 1.0).abs();
            assert!(off < 0.02, "{codec:?} {bit_rate}: {} bit/s", bits / 10);
            assert!(pictures[50].data.len() > pictures[51].data.len());
        }
    }
}

#[test]
fn no_start_code_stands_inside_a_picture() {
    for codec in [PatternCodec::H264, PatternCodec::H265] {
        let mut pattern = Pattern::new(settings(codec), 0).unwrap();
        for _ in 0..50 {
            let data = pattern.next_picture().data;
            assert!(!data[4..].windows(3).any(|w| w[..2] == [0, 0] && w[2] < 3));
        }
    }
}

#[test]
fn each_bound_is_held() {
    let good = settings(PatternCodec::H264);
    good.check().unwrap();
    for bad in [
        PatternSettings { width: 318, ..good },
        PatternSettings { width: 4098, ..good },
        PatternSettings { width: 641, ..good },
        PatternSettings { height: 174, ..good },
        PatternSettings { height: 2306, ..good },
        PatternSettings { height: 361, ..good },
        PatternSettings { fps: 0, ..good },
        PatternSettings { fps: 121, ..good },
        PatternSettings { gop: 0, ..good },
        PatternSettings { gop: 3001, ..good },
        PatternSettings { bit_rate: 63_999, ..good },
        PatternSettings { bit_rate: 100_000_000, ..good },
    ] {
        assert!(matches!(bad.check(), Err(Error::Pattern { .. })), "{bad:?}");
    }
}
