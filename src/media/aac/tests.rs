//! Frames of real encoders, and what hides in frames.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::ops::limits;

/// Files of `tests/fixtures/media`, with the fill elements that their encoders wrote.
const FILES: &[(&str, &[u8])] = &[
    ("clicks", include_bytes!("../../../tests/fixtures/media/aac_clicks.aac")),
    ("no_tns", include_bytes!("../../../tests/fixtures/media/aac_no_tns.aac")),
    ("noise", include_bytes!("../../../tests/fixtures/media/aac_noise.aac")),
    ("noise_loud", include_bytes!("../../../tests/fixtures/media/aac_noise_loud.aac")),
    ("sine", include_bytes!("../../../tests/fixtures/media/aac_sine.aac")),
    ("stereo", include_bytes!("../../../tests/fixtures/media/aac_stereo.aac")),
    ("stereo_fast", include_bytes!("../../../tests/fixtures/media/aac_stereo_fast.aac")),
    ("tones_8k", include_bytes!("../../../tests/fixtures/media/aac_tones_8k.aac")),
    ("voaacenc", include_bytes!("../../../tests/fixtures/media/aac_voaacenc.aac")),
];

/// ADTS headers without CRC, and the raw frames behind them.
fn frames(adts: &[u8]) -> Vec<([u8; 7], Bytes)> {
    let mut frames = Vec::new();
    let mut rest = adts;
    while rest.len() >= 7 {
        let length =
            usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5] >> 5);
        frames.push((rest[..7].try_into().unwrap(), Bytes::copy_from_slice(&rest[7..length])));
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
    frames
}

fn walker(header: &[u8; 7]) -> Walker {
    let rate = header[2] >> 2 & 15;
    let channels = (header[2] & 1) << 2 | header[3] >> 6;
    let config = [2 << 3 | rate >> 1, rate << 7 | channels << 3];
    Walker::new(&AacParameters::new(&config).unwrap()).unwrap()
}

/// A header for `frame` instead of the one it had.
fn with_header(mut header: [u8; 7], frame: &[u8]) -> Vec<u8> {
    // 13 bits, from the last two of byte 3 to the first three of byte 5.
    let [_, high, middle, low] = (u32::try_from(frame.len() + 7).unwrap() << 5).to_be_bytes();
    header[3] = header[3] & 0xfc | high;
    header[4] = middle;
    header[5] = header[5] & 0x1f | low;
    [&header[..], frame].concat()
}

#[test]
fn every_frame_is_walked_to_its_end() {
    let mut fills = 0;
    for (name, adts) in FILES {
        let frames = frames(adts);
        assert!(frames.len() >= 4, "{name}");
        for (i, (header, frame)) in frames.iter().enumerate() {
            let walker = walker(header);
            let clean = walker.strip(frame).unwrap_or_else(|e| panic!("{name} {i}: {e}"));
            assert_eq!(clean.trailing, Trailing::None, "{name} {i}");
            fills += clean.fills;
            let again = walker.strip(&clean.data).unwrap();
            assert_eq!((again.fills, again.data_elements), (0, 0), "{name} {i}");
            assert_eq!(again.data.as_ptr(), clean.data.as_ptr(), "nothing to copy");
            if clean.fills == 0 {
                assert_eq!(clean.data.as_ptr(), frame.as_ptr(), "nothing to copy");
            } else {
                assert!(clean.data.len() < frame.len(), "{name} {i}");
            }
        }
    }
    assert!(fills > 5, "{fills}");
}

/// Bits of a frame as text, to put elements anywhere.
fn bits(frame: &[u8]) -> String {
    frame.iter().map(|b| format!("{b:08b}")).collect()
}

fn bytes(bits: &str) -> Bytes {
    let bits = format!("{bits}{}", "0".repeat((8 - bits.len() % 8) % 8));
    bits.as_bytes().chunks(8).map(|b| b.iter().fold(0, |v, c| v << 1 | (c & 1))).collect()
}

/// A frame without extras, as bits up to the end element, and that frame.
fn plain() -> (Walker, String, Bytes) {
    let (header, frame) = frames(FILES[2].1).swap_remove(2);
    let walker = walker(&header);
    let frame = walker.strip(&frame).unwrap().data;
    let mut text = bits(&frame);
    text.truncate(text.rfind("111").unwrap());
    (walker, text, frame)
}

const FILL: &str = "1100010_0110100001101001";
const LONG_FILL: &str = "110_1111_00000010";
const DATA: &str = "100_0000_0_00000001_01101000";
const ALIGNED_DATA: &str = "100_0000_1_00000001";

#[test]
fn fill_and_data_elements_are_taken_out_wherever_they_stand() {
    let (walker, sound, frame) = plain();
    let long = format!("{LONG_FILL}{}", "01101000".repeat(16));
    let element = |text: &str| text.replace('_', "");
    // Aligned data: as many bits as are missing to the next byte.
    let aligned = |before: usize| {
        let head = element(ALIGNED_DATA);
        let pad = (8 - (before + head.len()) % 8) % 8;
        format!("{head}{}01101000", "1".repeat(pad))
    };
    let (fill, data, long) = (element(FILL), element(DATA), element(&long));
    let (a, d) = (aligned(0), aligned(sound.len()));
    for (text, fills, data_elements) in [
        (format!("{fill}{sound}111"), 1, 0),
        (format!("{sound}{fill}111"), 1, 0),
        (format!("{data}{sound}{long}{fill}111"), 2, 1),
        (format!("{a}{sound}{d}{data}111"), 0, 3),
    ] {
        let clean = walker.strip(&bytes(&text)).unwrap();
        assert_eq!((clean.fills, clean.data_elements), (fills, data_elements));
        assert_eq!(clean.data, frame);
    }
}

#[test]
fn nothing_follows_the_end() {
    let (walker, sound, frame) = plain();
    for behind in ["101010", "0000000000000000", "111111111111111111"] {
        let clean = walker.strip(&bytes(&format!("{sound}111{behind}"))).unwrap();
        assert_eq!((clean.data, clean.trailing), (frame.clone(), Trailing::Dropped));
    }
}

#[test]
fn other_elements_are_refused() {
    let (walker, sound, _) = plain();
    let strip = |text: String| walker.strip(&bytes(&text)).map(|f| f.data);
    for id in ["001", "010", "011", "101"] {
        let text = format!("{id}{}", &sound[3..]);
        assert_eq!(strip(text + "111"), Err(Fault::Unsupported("id_syn_ele")), "{id}");
    }
    assert_eq!(strip(format!("{sound}{sound}111")), Err(Fault::Unsupported("id_syn_ele")), "twice");
    assert_eq!(strip("111".into()), Err(Fault::Unsupported("a frame without sound")));
    assert!(strip(sound).is_err(), "no end");
    let fills = "1100000".repeat(limits::AAC_ELEMENTS + 1);
    assert_eq!(strip(fills), Err(Fault::OutOfRange("the count of elements")));
    let gain = "000_0000_11111111_0_00_0_000000_0_0_0_1".replace('_', "");
    assert_eq!(strip(gain), Err(Fault::Unsupported("gain_control_data_present")));
    let predictor = "000_0000_11111111_0_00_0_000000_1".replace('_', "");
    assert_eq!(strip(predictor), Err(Fault::Unsupported("predictor_data_present")));
    let book = "000_0000_11111111_0_00_0_000001_0_1100".replace('_', "");
    assert_eq!(strip(book), Err(Fault::OutOfRange("sect_cb")));
    let empty = "000_0000_11111111_0_00_0_000001_0_0001_00000".replace('_', "");
    assert_eq!(strip(empty), Err(Fault::OutOfRange("sect_len")));
    let bands = "000_0000_11111111_0_00_0_111111_0".replace('_', "");
    assert_eq!(strip(bands), Err(Fault::OutOfRange("max_sfb")));
}

/// Decoded samples, by ffmpeg.
fn decode(adts: &[u8]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "aac", "-i", "pipe:0", "-f", "s16le", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let adts = adts.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&adts));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(out.status.success());
    out.stdout
}

#[test]
#[ignore = "needs ffmpeg; with CAMLOCK_AAC_DIR also walks every .aac file there"]
fn stripped_frames_sound_the_same() {
    let mut files: Vec<(String, Vec<u8>)> =
        FILES.iter().map(|(name, adts)| ((*name).to_owned(), adts.to_vec())).collect();
    if let Some(dir) = option_env!("CAMLOCK_AAC_DIR") {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "aac") {
                files.push((path.display().to_string(), std::fs::read(path).unwrap()));
            }
        }
    }
    for (name, adts) in files {
        let (mut stripped, mut fills) = (Vec::new(), 0);
        for (i, (header, frame)) in frames(&adts).into_iter().enumerate() {
            let clean = walker(&header).strip(&frame).unwrap_or_else(|e| panic!("{name} {i}: {e}"));
            assert_eq!(clean.trailing, Trailing::None, "{name} {i}");
            fills += clean.fills;
            stripped.extend(with_header(header, &clean.data));
        }
        let (before, after) = (decode(&adts), decode(&stripped));
        assert!(before.len() > 1000, "{name}");
        assert!(before == after, "{name}: {fills} fills");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn mutations_never_panic_and_what_passes_is_stable(
        file in 0..9_usize, pick: usize, at: usize, flips: u8, cut in 0..20_usize
    ) {
        let frames = frames(FILES[file].1);
        let (header, frame) = &frames[pick % frames.len()];
        let mut frame = frame.to_vec();
        let n = frame.len();
        frame[at % n] ^= flips;
        frame.truncate(n - cut.saturating_sub(15).min(n));
        let walker = walker(header);
        if let Ok(clean) = walker.strip(&frame.into()) {
            let again = walker.strip(&clean.data).unwrap();
            prop_assert_eq!((again.fills, again.data_elements), (0, 0));
            prop_assert_eq!(again.trailing, Trailing::None);
            prop_assert_eq!(again.data, clean.data);
        }
    }
}
