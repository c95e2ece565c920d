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

/// Writes Annex B files for a foreign decoder: `CARGO_TARGET_TMPDIR` is not set for unit tests, so the
/// folder is fixed. Run by hand: `cargo test --lib simulator::pattern -- --ignored`.
#[test]
#[ignore = "writes files for a foreign decoder"]
fn write_files() {
    for (name, codec, width, height, bit_rate) in [
        ("a.h264", PatternCodec::H264, 640, 360, 4_000_000),
        ("b.h264", PatternCodec::H264, 1920, 1080, 8_000_000),
        ("c.h264", PatternCodec::H264, 320, 180, 64_000),
        ("a.h265", PatternCodec::H265, 640, 360, 4_000_000),
        ("b.h265", PatternCodec::H265, 1920, 1080, 8_000_000),
        ("c.h265", PatternCodec::H265, 320, 180, 64_000),
    ] {
        let settings = PatternSettings { codec, width, height, fps: 25, gop: 30, bit_rate };
        let mut pattern = Pattern::new(settings, 65_500).unwrap();
        let mut file = Vec::new();
        let sets = match pattern.codec() {
            Codec::H264(p) => vec![p.sps, p.pps],
            Codec::H265(p) => vec![p.vps, p.sps, p.pps],
            Codec::Aac(_) | Codec::Pcma { .. } | Codec::Pcmu { .. } => unreachable!(),
        };
        for set in sets {
            file.extend_from_slice(&[0, 0, 0, 1]);
            file.extend_from_slice(&set);
        }
        for _ in 0..200 {
            file.extend_from_slice(&[0, 0, 0, 1]);
            file.extend_from_slice(&pattern.next_picture().data[4..]);
        }
        std::fs::create_dir_all("target/pattern").unwrap();
        std::fs::write(format!("target/pattern/{name}"), file).unwrap();
    }
}
