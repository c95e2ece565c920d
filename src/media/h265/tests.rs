//! Against x265 and cameras; and every refusal.
#![allow(clippy::unusual_byte_groupings, reason = "grouped by syntax element")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::ops::limits;

const FIXTURES: &str = include_str!("../../../tests/fixtures/media/parameter_sets.txt");

/// VPS, SPS, PPS as cameras sent them, with their sizes by ffprobe.
const CAMERAS: &[(&str, &str, (u16, u16))] = &[
    (
        "dahua",
        "QAEMAf//AWAAAAMAsAAAAwAAAwBarAwAAAMABAAAAwAyqA==,\
         QgEBAWAAAAMAsAAAAwAAAwBaoAWCAeFja5JFL83BQYFBAAADAAEAAAMADKE=,RAHA8saNA7NA",
        (704, 480),
    ),
    (
        "tp-link",
        "QAEMAf//AWAAAAMAAAMAAAMAAAMAlqwJ,\
         QgEBAWAAAAMAAAMAAAMAAAMAlqABQCAFof4qtO6JLuaAgA27oADN/mAE,RAHAcvAbJA==",
        (2560, 1440),
    ),
    (
        "xiaomi yi",
        "QAEMAf//AWAAAAMAAAMAAAMAAAMAuqwJ,\
         QgEBAWAAAAMAAAMAAAMAAAMAuqABICAFEf5a7kSIi/Lc1AQEBAI=,RAHA8oSJAzJA",
        (2304, 1296),
    ),
    (
        "anjvision",
        "QAEMAf//AUAAAAMAAAMAAAMAAAMAmawJ,\
         QgEBAUAAAAMAAAMAAAMAAAMAmaACgIAsH+Wu5Gwa5VE1BQYFAIA=,RAHAc8BBgwk=",
        (1280, 704),
    ),
    (
        "tenda",
        "QAEMAf//AWAAAAMAkAAAAwAAAwA/LAwAAgAAAwAoAAIAAgACgA==,\
         QgEBAWAAAAMAkAAAAwAAAwA/oAUCAXFlLkkyS7I=,RAHA8vAzJA==",
        (640, 368),
    ),
];

fn decode(text: &str) -> Vec<Vec<u8>> {
    text.split(',').map(|set| STANDARD.decode(set).unwrap()).collect()
}

fn sets(name: &str) -> Vec<Vec<u8>> {
    let line = FIXTURES.lines().find(|l| l.split(' ').nth(1) == Some(name)).unwrap();
    decode(line.split(' ').next_back().unwrap())
}

#[test]
fn sets_of_encoders_agree_with_ffprobe() {
    let mut seen = 0;
    for line in FIXTURES.lines().filter(|l| l.starts_with("h265 ")) {
        let fields: Vec<_> = line.split(' ').collect();
        let [_, name, size, pixels, sets] = fields[..] else { panic!("{line}") };
        let s = decode(sets);
        let p = H265Parameters::new(&s[0], &s[1], &s[2]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(format!("{}x{}", p.width, p.height), size, "{name}");
        let depth = [("10le", 10), ("12le", 12)].iter().find(|(end, _)| pixels.ends_with(end));
        assert_eq!(p.bit_depth, depth.map_or(8, |d| d.1), "{name}");
        let chroma = match &pixels[..4] {
            "gray" => 0,
            _ if pixels.contains("422") => 2,
            _ if pixels.contains("444") => 3,
            _ => 1,
        };
        assert_eq!(p.chroma_format_idc, chroma, "{name}");
        assert_eq!([&p.vps[..], &p.sps[..], &p.pps[..]], [&s[0][..], &s[1], &s[2]], "{name}");
        seen += 1;
    }
    assert!(seen >= 17, "{seen}");
}

#[test]
fn sets_of_cameras_pass() {
    for (name, text, size) in CAMERAS {
        let s = decode(text);
        let p = H265Parameters::new(&s[0], &s[1], &s[2]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((p.width, p.height), *size, "{name}");
        assert_eq!([&p.vps[..], &p.sps[..], &p.pps[..]], [&s[0][..], &s[1], &s[2]], "{name}");
    }
}

#[test]
fn hidden_bytes_go_no_further() {
    let clean = sets("x265-main");
    let mut dirty = clean.clone();
    for set in &mut dirty {
        set.extend([0x80, 0, 0, 0, 1, 0x26, 1, 7, 7]);
    }
    let parse = |s: &[Vec<u8>]| H265Parameters::new(&s[0], &s[1], &s[2]).unwrap();
    assert_eq!(parse(&dirty), parse(&clean));
}

/// The bits behind the header, to set single ones and put the emulation prevention back.
fn edit(nal: &[u8], edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut rbsp = crate::media::bits::unescape(&nal[2..]).unwrap();
    edit(&mut rbsp);
    crate::media::bits::escape(&nal[..2], &rbsp).to_vec()
}

#[test]
fn what_policy_or_standard_forbid_is_refused() {
    let s = sets("x265-main");
    let why =
        |vps: &[u8], sps: &[u8], pps: &[u8]| H265Parameters::new(vps, sps, pps).unwrap_err().why;
    let vps = |e: fn(&mut Vec<u8>)| why(&edit(&s[0], e), &s[1], &s[2]);
    let sps = |e: fn(&mut Vec<u8>)| why(&s[0], &edit(&s[1], e), &s[2]);
    assert_eq!(why(&[], &s[1], &s[2]), Fault::Truncated);
    assert_eq!(why(&s[1], &s[1], &s[2]), Fault::WrongHeader);
    assert_eq!(why(&[&[0x40, 9], &s[0][2..]].concat(), &s[1], &s[2]), Fault::WrongHeader, "layer");
    assert_eq!(vps(|b| b[0] ^= 0x08), Fault::Unsupported("vps_base_layer_internal_flag"));
    assert_eq!(vps(|b| b[0] |= 1), Fault::Unsupported("vps_max_layers_minus1"));
    assert_eq!(vps(|b| b[2] = 0), Fault::OutOfRange("vps_reserved_0xffff_16bits"));
    assert_eq!(vps(|b| b[4] |= 0x40), Fault::Unsupported("profile_space"));
    assert_eq!(vps(|b| b[4] = 9), Fault::Unsupported("profile_idc"));
    assert_eq!(vps(|b| b[12] = 7), Fault::Unsupported("reserved_zero_35bits"));
    assert_eq!(vps(|b| b[15] = 31), Fault::OutOfRange("general_level_idc"));
    assert_eq!(vps(|b| *b.last_mut().unwrap() = 0), Fault::Truncated);
    assert_eq!(sps(|b| b[0] |= 0x10), Fault::Dangling("VPS"));
    assert_eq!(sps(|b| b.truncate(20)), Fault::Truncated);
    let long = [&s[2][..], &[0x80; limits::PARAMETER_SET_BYTES]].concat();
    assert_eq!(why(&s[0], &s[1], &long), Fault::TooLong);
}

#[test]
fn one_over_the_picture_size() {
    let s = sets("x265-matrices");
    let before = H265Parameters::new(&s[0], &s[1], &s[2]).unwrap();
    let bits = bits_of(&s[1]);
    let coded = ue(before.width.into()) + &ue(before.height.into());
    assert_eq!(bits.matches(&coded).count(), 1);
    let sized = |width: u32, height: u32| {
        let sps = from_bits(&s[1][..2], &bits.replace(&coded, &(ue(width) + &ue(height))));
        H265Parameters::new(&s[0], &sps, &s[2])
    };
    let why = |width, height| sized(width, height).unwrap_err().why;
    let side = limits::PICTURE_SIDE;
    let most = u32::try_from(limits::PICTURE_SAMPLES / u64::from(side)).unwrap();
    let p = sized(side, most).unwrap();
    assert_eq!((u32::from(p.width), u32::from(p.height)), (side, most));
    assert_eq!(why(side, most + 1), Fault::OutOfRange("the picture size"));
    assert_eq!(why(side + 1, 64), Fault::OutOfRange("pic_width_in_luma_samples"));
    assert_eq!(why(64, side + 1), Fault::OutOfRange("pic_height_in_luma_samples"));
}

#[test]
fn one_over_the_reference_pictures() {
    let s = sets("x265-matrices");
    let p = H265Parameters::new(&s[0], &s[1], &s[2]).unwrap();
    let bits = bits_of(&s[1]);
    let size = ue(p.width.into()) + &ue(p.height.into());
    let mut at = bits.find(&size).unwrap() + size.len();
    // Window, two bit depths, order count bits, sub-layer flag; then the pictures held.
    assert_eq!(&bits[at..at + 3], "011", "no window, 8 bits");
    at += 3;
    read_ue(&bits, &mut at);
    at += 1;
    let begin = at;
    read_ue(&bits, &mut at);
    let held = |pictures: u32| {
        let changed = [&bits[..begin], &ue(pictures - 1), &bits[at..]].concat();
        H265Parameters::new(&s[0], &from_bits(&s[1][..2], &changed), &s[2])
    };
    assert!(held(limits::REFERENCE_PICTURES).is_ok());
    assert_eq!(
        held(limits::REFERENCE_PICTURES + 1).unwrap_err().why,
        Fault::OutOfRange("max_dec_pic_buffering_minus1")
    );
}

/// ue(v), H.265 9.2.
fn ue(value: u32) -> String {
    let code = format!("{:b}", u64::from(value) + 1);
    "0".repeat(code.len() - 1) + &code
}

fn read_ue(bits: &str, at: &mut usize) {
    let zeros = bits[*at..].bytes().take_while(|b| *b == b'0').count();
    *at += 2 * zeros + 1;
}

/// A small PPS whose last flags can be set: segment header extension, then extension and its 8 bits.
fn pps(extra_bits: u64, header_extension: u64, extension: Option<u64>) -> Vec<u8> {
    let mut bits = String::from("1100"); // ids 0 0, dependent, output flag
    bits += &format!("{extra_bits:03b}00"); // extra bits, sign hiding, cabac init
    bits += "11100011"; // reference counts, init_qp, three flags, offsets
    bits += "0000"; // chroma offsets present, weighted, bipred, bypass
    bits += "00"; // tiles, sync
    bits += "0000"; // across slices, deblocking control, scaling list, lists modification
    bits += "1"; // log2_parallel_merge_level_minus2
    bits += &format!("{header_extension:b}");
    bits += &extension.map_or_else(|| "0".into(), |e| format!("1{e:08b}"));
    bits += "1";
    while bits.len() % 8 != 0 {
        bits.push('0');
    }
    let bytes = bits.as_bytes().chunks(8).map(|b| b.iter().fold(0, |v, c| v << 1 | (c & 1)));
    crate::media::bits::escape(&[0x44, 1], &bytes.collect::<Vec<u8>>()).to_vec()
}

#[test]
fn extensions_are_refused() {
    let s = sets("x265-main");
    let with = |pps: &[u8]| H265Parameters::new(&s[0], &s[1], pps).map_err(|e| e.why);
    assert!(with(&pps(0, 0, None)).is_ok());
    assert_eq!(with(&pps(1, 0, None)), Err(Fault::Unsupported("num_extra_slice_header_bits")));
    assert!(with(&pps(0, 1, None)).is_ok(), "Dahua sets it; then each slice is checked");
    for kind in [1, 0x10, 0x20, 0x40] {
        assert_eq!(with(&pps(0, 0, Some(kind))), Err(Fault::Unsupported("pps_extension")));
    }
    assert!(with(&pps(0, 0, Some(0))).is_ok());
}

#[test]
fn slices_must_be_of_the_set_and_in_order() {
    let s = sets("x265-ctu16"); // 320x180: 20 x 12 blocks
    let (_, rules) = H265Parameters::with_rules(&s[0], &s[1], &s[2]).unwrap();
    let check = |nal: &[u8], previous| rules.check(nal, previous);
    assert_eq!(check(&[2, 1, 0b1_1_000000], None), Ok(0));
    assert_eq!(check(&[2, 1, 0b1_010_0000], None), Err(Fault::Dangling("PPS")));
    assert_eq!(check(&[2, 1, 0b0_1_111011, 0b11_000000], Some(0)), Ok(239));
    let off = Err(Fault::OutOfRange("slice_segment_address"));
    assert_eq!(check(&[2, 1, 0b0_1_111100, 0], Some(0)), off, "behind the picture");
    assert_eq!(check(&[2, 1, 0b0_1_111011, 0b11_000000], Some(239)), off, "the same again");
    assert_eq!(check(&[2, 1, 0b1_1_000000], Some(0)), off, "the first again");
    assert_eq!(check(&[38, 1, 0b1_0_1_00000], None), Ok(0), "IDR has one flag more");
    assert_eq!(check(&[2, 1], None), Err(Fault::Truncated));
}

#[test]
fn a_slice_header_extension_must_be_empty() {
    let stream = include_bytes!("../../../tests/fixtures/media/two_slices.h265");
    assert_eq!(extend_slices(stream), 18);
}

#[test]
#[ignore = "walks every .h265 file of CAMLOCK_HEVC_DIR"]
fn slice_headers_of_many_streams_are_walked_to_their_end() {
    let Some(dir) = option_env!("CAMLOCK_HEVC_DIR") else { return };
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "h265") {
            let slices = extend_slices(&std::fs::read(&path).unwrap());
            assert!(slices >= 10, "{}", path.display());
        }
    }
}

/// x265 writes no header extension: says in the PPS that it does, and puts a length into every slice.
fn extend_slices(stream: &[u8]) -> usize {
    let (mut vps, mut sps, mut pps, mut slices) = (&[][..], &[][..], vec![], 0);
    for nal in nals(stream) {
        match nal[0] >> 1 {
            32 => vps = nal,
            33 => sps = nal,
            34 => pps = with_extension_flag(nal),
            0..=31 => {
                let (_, rules) = H265Parameters::with_rules(vps, sps, &pps).unwrap();
                let at = slice::extension_at(&rules, nal).unwrap();
                // byte_alignment() stands where the extension's length would: the header ends there.
                let bits = bits_of(nal);
                assert_eq!(bits[at..(at + 1).next_multiple_of(8)].trim_end_matches('0'), "1");
                let put = |code: &str| insert_bits(nal, at, code);
                assert!(rules.check(&put("1"), None).is_ok(), "empty");
                assert_eq!(
                    rules.check(&put("01000000000"), None),
                    Err(Fault::Unsupported("slice_segment_header_extension")),
                );
                slices += 1;
            }
            _ => {}
        }
    }
    slices
}

fn nals(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<_> = memchr::memmem::find_iter(stream, &[0, 0, 1]).map(|at| at + 3).collect();
    let ends = starts[1..].iter().map(|at| at - 3).chain([stream.len()]);
    starts.iter().zip(ends).map(|(a, b)| stream[*a..b].trim_suffix_zeros()).collect()
}

trait TrimZeros {
    fn trim_suffix_zeros(&self) -> &Self;
}

impl TrimZeros for [u8] {
    fn trim_suffix_zeros(&self) -> &Self {
        &self[..self.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1)]
    }
}

fn bits_of(nal: &[u8]) -> String {
    let rbsp = crate::media::bits::unescape_all(&nal[2..]);
    rbsp.iter().map(|b| format!("{b:08b}")).collect()
}

fn from_bits(header: &[u8], bits: &str) -> Vec<u8> {
    let mut bits = bits.trim_end_matches('0').to_owned();
    bits += &"0".repeat((8 - bits.len() % 8) % 8);
    let bytes = bits.as_bytes().chunks(8).map(|b| b.iter().fold(0, |v, c| v << 1 | (c & 1)));
    crate::media::bits::escape(header, &bytes.collect::<Vec<u8>>()).to_vec()
}

fn with_extension_flag(pps: &[u8]) -> Vec<u8> {
    let bits = bits_of(pps);
    let end = bits.rfind('1').unwrap();
    // The last two elements are both flags and zero here.
    assert_eq!(&bits[end - 2..end], "00");
    from_bits(&pps[..2], &format!("{}101", &bits[..end - 2]))
}

fn insert_bits(nal: &[u8], at: usize, code: &str) -> Vec<u8> {
    let bits = bits_of(nal);
    from_bits(&nal[..2], &format!("{}{code}{}", &bits[..at], &bits[at..]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn mutations_never_panic_and_what_passes_is_stable(
        which in 0..17_usize, set in 0..3_usize, at in 0..64_usize, bit in 0..8_u32, more: Vec<u8>
    ) {
        let line = FIXTURES.lines().filter(|l| l.starts_with("h265 ")).nth(which).unwrap();
        let mut s = decode(line.split(' ').next_back().unwrap());
        let n = s[set].len();
        s[set][at % n] ^= 1 << bit;
        s[set].extend(&more);
        if let Ok(p) = H265Parameters::new(&s[0], &s[1], &s[2]) {
            prop_assert_eq!(H265Parameters::new(&p.vps, &p.sps, &p.pps), Ok(p));
        }
    }
}
