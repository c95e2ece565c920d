//! Against x264, OpenH264 and cameras; and every refusal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::ops::limits;

const FIXTURES: &str = include_str!("../../../tests/fixtures/media/parameter_sets.txt");

/// `sprop-parameter-sets` as cameras sent them (named as in retina's test data), with their sizes by ffprobe.
const CAMERAS: &[(&str, &str, (u16, u16))] = &[
    ("dahua", "Z2QAHqwsaoLA9puCgIKgAAADACAAAAMD0IAA,aO4xshsA", (704, 480)),
    ("unnamed", "Z00AKpWoHgCJ+WEAAAMAAQAAAwAyhA==,aO48gA==", (1920, 1080)),
    ("unnamed", "Z2QAM6wVFKCgL/lQ,aO48sA==", (640, 360)),
    ("gw, start code behind", "Z00AHpWoLQ9puAgICBAAAAAB,aO48gAAAAAE=", (720, 480)),
    ("gw, start code behind", "Z00AKpWoHgCJ+WbgICAgQAAAAAE=,aO48gAAAAAE=", (1920, 1080)),
    ("h264dvr", "Z0IAKZY1QPAET8s3AQEBQAAAAwBAAAAHoQ==,aM4xsg==", (1920, 1080)),
    ("hikvision", "Z00AKZpkA8ARPyzUBAQFAAADA+gAAOpgBA==,aO48gA==", (1920, 1080)),
    ("anpviz", "Z01AH5WgLASabAQ=,aO48gA==", (704, 576)),
    ("geovision", "Z01AMpWgCoAwfiZuAgICgAAB9AAAdTBC,aO48gA==", (2688, 1520)),
    ("unnamed", "Z2QADazZQUGfnwEQAAADABAAAAMDwPFCmWA=,aOvjyyLA", (320, 180)),
    ("ipcam", "J00AII1qBQB5oQAAAwABAAADACiE,KO48gA==", (1280, 960)),
    ("macrovideo", "J03gKI1oBQBboQAAAwABAAADACgPFCKg,KO4BNJI=", (1280, 720)),
];

fn decode(text: &str) -> Vec<Vec<u8>> {
    text.split(',').map(|set| STANDARD.decode(set).unwrap()).collect()
}

fn sets(name: &str) -> Vec<Vec<u8>> {
    let line = FIXTURES.lines().find(|l| l.split(' ').nth(1) == Some(name)).unwrap();
    decode(line.split(' ').next_back().unwrap())
}

fn why(sps: &[u8], pps: &[u8]) -> Fault {
    H264Parameters::new(sps, pps).unwrap_err().why
}

#[test]
fn sets_of_encoders_agree_with_ffprobe() {
    let mut seen = 0;
    for line in FIXTURES.lines().filter(|l| l.starts_with("h264 ")) {
        let fields: Vec<_> = line.split(' ').collect();
        let [_, name, size, pixels, sets] = fields[..] else { panic!("{line}") };
        let sets = decode(sets);
        let p = H264Parameters::new(&sets[0], &sets[1]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(format!("{}x{}", p.width, p.height), size, "{name}");
        assert_eq!(p.bit_depth, if pixels.contains("10") { 10 } else { 8 }, "{name}");
        let chroma = match pixels {
            _ if name.ends_with("gray") => 0,
            _ if pixels.contains("422") => 2,
            _ if pixels.contains("444") => 3,
            _ => 1,
        };
        assert_eq!(p.chroma_format_idc, chroma, "{name}");
        assert_eq!((&p.sps[..], &p.pps[..]), (&sets[0][..], &sets[1][..]), "{name}: not as it was");
        seen += 1;
    }
    assert!(seen >= 16, "{seen}");
}

#[test]
fn sets_of_cameras_pass_without_what_stands_behind() {
    for (name, text, size) in CAMERAS {
        let sets = decode(text);
        let p = H264Parameters::new(&sets[0], &sets[1]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((p.width, p.height), *size, "{name} {text}");
        assert!(sets[0].starts_with(&p.sps) && sets[1].starts_with(&p.pps), "{name}");
        assert!(p.sps.last() != Some(&0) && p.pps.last() != Some(&0), "{name}");
        let again = H264Parameters::new(&p.sps, &p.pps).unwrap();
        assert_eq!(again, p, "{name}");
    }
}

#[test]
fn hidden_bytes_go_no_further() {
    let main = sets("x264-main");
    let clean = H264Parameters::new(&main[0], &main[1]).unwrap();
    let mut sps = main[0].clone();
    sps.extend(b"message");
    let mut pps = main[1].clone();
    pps.extend(b"message");
    assert_eq!(H264Parameters::new(&sps, &pps).unwrap(), clean);
    // High PPS: extensions are told by the trailing bits, so that garbage is refused.
    let high = sets("x264-matrices");
    let mut pps = high[1].clone();
    pps.extend(b"message");
    assert_eq!(H264Parameters::new(&high[0], &pps).unwrap_err().set, ParameterSet::H264Pps);
}

#[test]
fn what_policy_or_standard_forbid_is_refused() {
    let [sps, pps] = [sets("x264-baseline")[0].clone(), sets("x264-baseline")[1].clone()];
    let with = |at: usize, value: u8| {
        let mut sps = sps.clone();
        sps[at] = value;
        sps
    };
    assert_eq!(why(&[], &pps), Fault::Truncated);
    assert_eq!(why(&sps[..6], &pps), Fault::Truncated);
    assert_eq!(why(&pps, &pps), Fault::WrongHeader);
    assert_eq!(why(&sps, &sps), Fault::WrongHeader);
    assert_eq!(why(&with(0, 0xe7), &pps), Fault::WrongHeader, "forbidden_zero_bit");
    for profile in [0, 83, 86, 118, 128, 255] {
        assert_eq!(why(&with(1, profile), &pps), Fault::Unsupported("profile_idc"));
    }
    assert_eq!(why(&with(2, 0xc1), &pps), Fault::Unsupported("reserved_zero_2bits"));
    assert_eq!(why(&with(3, 63), &pps), Fault::OutOfRange("level_idc"));
    let long = [&sps[..], &[0x80; limits::PARAMETER_SET_BYTES]].concat();
    assert_eq!(why(&long, &pps), Fault::TooLong);
    assert!(H264Parameters::new(&long[..=limits::PARAMETER_SET_BYTES], &pps).is_ok());
}

/// Writes sets bit by bit, so that each element can be put out of range.
struct Writer(Vec<u8>, usize);

impl Writer {
    fn new(header: &[u8]) -> Self {
        Self(header.to_vec(), header.len() * 8)
    }

    fn bits(mut self, value: u64, n: usize) -> Self {
        for i in (0..n).rev() {
            if self.1.is_multiple_of(8) {
                self.0.push(0);
            }
            let last = self.0.last_mut().unwrap();
            *last |= u8::from(value >> i & 1 == 1) << (7 - self.1 % 8);
            self.1 += 1;
        }
        self
    }

    fn ue(self, value: u32) -> Self {
        let code = u64::from(value) + 1;
        let n = 64 - code.leading_zeros() as usize;
        self.bits(code, 2 * n - 1)
    }

    fn end(self) -> Vec<u8> {
        let nal = self.bits(1, 1);
        escape_all(&nal.0)
    }
}

fn escape_all(nal: &[u8]) -> Vec<u8> {
    crate::media::bits::escape(&nal[..1], &nal[1..]).to_vec()
}

/// A Main profile SPS of these elements: id, log2 frame num, order type and log2, references, size.
fn main_sps(e: [u32; 7]) -> Vec<u8> {
    let w = Writer::new(&[0x67, 77, 0, 40]).ue(e[0]).ue(e[1]).ue(e[2]);
    let w = if e[2] == 0 { w.ue(e[3]) } else { w };
    w.ue(e[4]).bits(0, 1).ue(e[5]).ue(e[6]).bits(0b11, 2).bits(0, 2).end()
}

fn main_pps(id: u32, sps: u32, groups: u32, redundant: u64) -> Vec<u8> {
    let w = Writer::new(&[0x68]).ue(id).ue(sps).bits(0, 2).ue(groups).ue(0).ue(0).bits(0, 3);
    w.ue(0).ue(0).ue(0).bits(redundant, 3).end()
}

#[test]
fn every_element_has_its_range() {
    let pps = main_pps(0, 0, 0, 0);
    let good = [0, 0, 2, 0, 16, 119, 67];
    let p = H264Parameters::new(&main_sps(good), &pps).unwrap();
    assert_eq!((p.width, p.height), (1920, 1088));
    for (at, value, name) in [
        (0, 32, "seq_parameter_set_id"),
        (1, 13, "log2_max_frame_num_minus4"),
        (2, 3, "pic_order_cnt_type"),
        (4, limits::REFERENCE_PICTURES + 1, "max_num_ref_frames"),
        (5, limits::PICTURE_SIDE / 16, "pic_width_in_mbs_minus1"),
        (6, limits::PICTURE_SIDE / 16, "pic_height_in_map_units_minus1"),
    ] {
        let mut e = good;
        e[at] = value;
        assert_eq!(why(&main_sps(e), &pps), Fault::OutOfRange(name));
    }
    assert_eq!(
        why(&main_sps([0, 0, 0, 13, 1, 1, 1]), &pps),
        Fault::OutOfRange("log2_max_pic_order_cnt_lsb_minus4")
    );
    // 8192 x 4352 is the most, one row more is too much.
    assert!(H264Parameters::new(&main_sps([0, 0, 2, 0, 1, 511, 271]), &pps).is_ok());
    assert_eq!(
        why(&main_sps([0, 0, 2, 0, 1, 511, 272]), &pps),
        Fault::OutOfRange("the picture size")
    );
    let sps = main_sps(good);
    assert_eq!(why(&sps, &main_pps(256, 0, 0, 0)), Fault::OutOfRange("pic_parameter_set_id"));
    assert_eq!(why(&sps, &main_pps(0, 1, 0, 0)), Fault::Dangling("SPS"));
    assert_eq!(why(&sps, &main_pps(0, 0, 1, 0)), Fault::Unsupported("num_slice_groups_minus1"));
    assert_eq!(
        why(&sps, &main_pps(0, 0, 0, 1)),
        Fault::Unsupported("redundant_pic_cnt_present_flag")
    );
}

#[test]
fn slices_must_be_of_the_set_and_in_order() {
    let (_, rules) =
        H264Parameters::with_rules(&main_sps([0, 0, 2, 0, 1, 3, 2]), &main_pps(5, 0, 0, 0))
            .unwrap();
    let slice = |first, kind, pps| Writer::new(&[0x65]).ue(first).ue(kind).ue(pps).end();
    assert_eq!(rules.check(&slice(0, 7, 5), None), Ok(0));
    assert_eq!(rules.check(&slice(11, 7, 5), Some(0)), Ok(11));
    assert_eq!(rules.check(&slice(12, 7, 5), None), Err(Fault::OutOfRange("first_mb_in_slice")));
    assert_eq!(rules.check(&slice(3, 7, 5), Some(3)), Err(Fault::OutOfRange("first_mb_in_slice")));
    assert_eq!(rules.check(&slice(0, 10, 5), None), Err(Fault::OutOfRange("slice_type")));
    assert_eq!(rules.check(&slice(0, 7, 4), None), Err(Fault::Dangling("PPS")));
    assert_eq!(rules.check(&[], None), Err(Fault::Truncated));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn mutations_never_panic_and_what_passes_is_stable(
        which in 0..16_usize, at in 0..64_usize, bit in 0..8_u32, cut in 0..64_usize, more: Vec<u8>
    ) {
        let line = FIXTURES.lines().filter(|l| l.starts_with("h264 ")).nth(which).unwrap();
        let mut sets = decode(line.split(' ').next_back().unwrap());
        for set in &mut sets {
            let n = set.len();
            set[at % n] ^= 1 << bit;
            set.truncate(n - cut.saturating_sub(40) % n);
            set.extend(&more);
        }
        if let Ok(p) = H264Parameters::new(&sets[0], &sets[1]) {
            prop_assert_eq!(H264Parameters::new(&p.sps, &p.pps), Ok(p));
        }
    }
}
