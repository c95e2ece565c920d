//! What the depacketisers of the pinned version do, codec by codec, as `golden.txt` has it. A new version of retina
//! that does something else shows here first: read its changes, then `CAMLOCK_WRITE_TABLES=1 cargo test depacketise`.

use std::fmt::Write as _;

use super::*;

/// Base64 of x264's SPS and PPS (64x48), as in `tests/fixtures/media/parameter_sets.txt`.
const H264_SETS: &str = "sprop-parameter-sets=Z0LACtoR7ARAAAADAEAAAAyDxImo,aM4PyA==";
const H264_SPS: &[u8] =
    b"\x67\x42\xc0\x0a\xda\x11\xec\x04\x40\0\0\x03\0\x40\0\0\x0c\x83\xc4\x89\xa8";
const H264_PPS: &[u8] = b"\x68\xce\x0f\xc8";
/// x265's (1920x1080).
const H265_SETS: &str = "sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwB4lZQJ;\
    sprop-sps=QgEBAWAAAAMAkAAAAwAAAwB4oAPAgBEHy5ZWVKTC8BaAgAAAAwCAAAAMhA==;sprop-pps=RAHAc8GJ";
const AAC: &str = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408";

const ROOM: usize = limits::ACCESS_UNIT_BYTES;

fn format(encoding: Encoding, clock_rate: u32, parameters: Option<&str>) -> Format {
    Format { encoding, clock_rate, channels: None, parameters: parameters.map(str::to_owned) }
}

fn packet(timestamp: i64, marker: bool, payload: &[u8]) -> Packet<'_> {
    Packet { timestamp, marker, lost: false, begins: 1, payload }
}

fn lost(packet: Packet<'_>) -> Packet<'_> {
    Packet { lost: true, ..packet }
}

/// One line for each packet: what came of it.
fn story(format: Format, packets: &[Packet<'_>]) -> String {
    let mut depacketiser = Depacketiser::new(format).unwrap();
    let mut text = String::new();
    for packet in packets {
        let mut frames = Vec::new();
        let pushed = depacketiser.push(*packet, ROOM, &mut |frame| frames.push(frame));
        for Frame { timestamp, lost, after_drop, parameters, data } in frames {
            let data = data.escape_ascii();
            write!(text, "{timestamp} {data}").unwrap();
            let notes = [(lost, "lost"), (after_drop, "after drop")];
            notes.iter().filter(|(is, _)| *is).for_each(|(_, note)| text += &format!(" [{note}]"));
            if let Some(parameters) = parameters {
                text += &format!(" [{}]", brief(parameters));
            }
            text += "; ";
        }
        if let Err(dropped) = pushed {
            text += &format!("{dropped:?}; ");
        }
        text += &format!("holds {}\n", depacketiser.pending.bytes);
    }
    text
}

fn brief(parameters: Result<Codec, Refused>) -> String {
    match parameters {
        Ok(Codec::H264(p)) => format!("H.264 {}x{}", p.width, p.height),
        Ok(Codec::H265(p)) => format!("H.265 {}x{}", p.width, p.height),
        Ok(Codec::Jpeg(p)) => format!("JPEG {}x{}", p.width, p.height),
        other => format!("{other:?}"),
    }
}

/// Formats the parameters that the session description brings.
fn described(format: Format) -> String {
    let depacketiser = Depacketiser::new(format).unwrap();
    depacketiser.codec().map_or_else(|| "none".to_owned(), brief)
}

fn h264() -> String {
    let text = described(format(Encoding::H264, 90_000, Some(H264_SETS)));
    let stap = [b"\x18", &[0, 21][..], H264_SPS, &[0, 4], H264_PPS, b"\0\x03\x06se"].concat();
    let packets = [
        packet(0, false, &stap),
        packet(0, false, b"\x7c\x85first"),
        packet(0, false, b"\x7c\x05middle"),
        packet(0, true, b"\x7c\x45last"),
        // A byte stream in a packet; zeros at the end of a NAL unit go.
        packet(1, true, b"\x41one\0\0\x01\x41two\0\0"),
        // Without a marker, ended by the next timestamp.
        packet(2, false, b"\x41slice"),
        packet(3, false, b"\x41slice"),
        // A marker on what cannot end a picture.
        packet(4, true, b"\x06sei"),
        packet(4, true, b"\x41slice"),
        // A loss within a picture, and one before it.
        packet(5, false, b"\x7c\x81first"),
        lost(packet(5, true, b"\x7c\x41last")),
        lost(packet(6, true, b"\x41after")),
        packet(7, false, b"\x7c\x81never ends"),
        packet(8, true, b"\x41"),
        packet(9, true, b"\x41"),
        packet(10, true, b"\x18\0\x02\x67\xff\0\x02\x68\xff\0\x02\x65a"),
        packet(11, true, b"\x7c\x41orphan"),
        packet(12, true, b"\x41again"),
        packet(13, true, b"\xc1forbidden"),
        packet(14, true, &stap),
        packet(15, true, b"\x65picture"),
    ];
    text + "\n" + &story(format(Encoding::H264, 90_000, None), &packets)
}

fn h265() -> String {
    let text = described(format(Encoding::H265, 90_000, Some(H265_SETS)));
    let packets = [
        packet(0, false, b"\x60\x01\0\x05\x4e\x01sei\0\x05\x26\x01idr"),
        packet(0, true, b"\x26\x01second"),
        packet(1, false, b"\x62\x01\x81first"),
        packet(1, false, b"\x62\x01\x01middle"),
        packet(1, true, b"\x62\x01\x41last"),
        packet(2, false, b"\x02\x01slice"),
        packet(3, true, b"\x02\x01slice\0\0"),
        packet(4, false, b"\x62\x01\x81first"),
        lost(packet(4, true, b"\x62\x01\x41last")),
        packet(5, false, b"\x62\x01\x81never ends"),
        packet(6, true, b"\x02\x01slice"),
        packet(7, true, b"\x02\x01slice"),
        packet(8, true, b"\x62\x01\x41orphan"),
        packet(9, true, b"\x02"),
    ];
    text + "\n" + &story(format(Encoding::H265, 90_000, Some(H265_SETS)), &packets)
}

fn jpeg() -> String {
    let picture = |marker, offset: u8, q: u8, width: u8, data: &'static [u8]| {
        let payload = [&[0, 0, 0, offset, 1, q, width, 6], data].concat();
        (marker, payload)
    };
    let pieces = [
        (0, picture(false, 0, 50, 8, b"first")),
        (0, picture(true, 5, 50, 8, b"last")),
        (1, picture(true, 0, 50, 10, b"other size")),
        (2, picture(true, 5, 50, 10, b"orphan")),
        (3, picture(false, 0, 50, 10, b"first")),
        (3, picture(true, 9, 50, 10, b"gap")),
    ];
    let packets: Vec<_> = pieces.iter().map(|(ts, (m, p))| packet(*ts, *m, p)).collect();
    story(format(Encoding::Jpeg, 90_000, None), &packets)
}

fn aac() -> String {
    let text = described(format(Encoding::Aac, 16_000, Some(AAC)));
    let packets = [
        packet(0, true, b"\0\x10\0\x18abc"),
        packet(1024, true, b"\0\x20\0\x10\0\x08deF"),
        packet(4096, false, b"\0\x10\0\x30abc"),
        packet(4096, true, b"\0\x10\0\x30def"),
        packet(5120, false, b"\0\x10\0\x30abc"),
        lost(packet(6144, true, b"\0\x10\0\x10gh")),
        packet(7168, false, b"\0\x10\0\x10no"),
        packet(8192, true, b"\0\x10\0\x10ok"),
        packet(9216, true, b"\0\x10\0\x11ix"),
    ];
    text + "\n" + &story(format(Encoding::Aac, 16_000, Some(AAC)), &packets)
}

fn samples() -> String {
    let g726 = |name| Encoding::G726(G726::from_encoding_name(name).unwrap());
    let mut text = String::new();
    for (encoding, rate) in [
        (Encoding::Pcma, 8_000),
        (Encoding::Pcmu, 8_000),
        (g726("G726-16"), 8_000),
        (g726("G726-24"), 8_000),
        (g726("AAL2-G726-32"), 8_000),
        (g726("G726-40"), 8_000),
        (Encoding::L16, 48_000),
    ] {
        let packets = [
            packet(0, false, b"15 bytes, odd. "),
            packet(160, true, b"\x0116 bytes, even."),
            lost(packet(7, true, b"12")),
        ];
        text += &format!("{:?} {}\n", encoding, described(format(encoding, rate, None)));
        text += &story(format(encoding, rate, None), &packets);
    }
    text
}

#[test]
fn every_codec_does_what_it_did() {
    const FILE: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/ingest/camera/depacketise/golden.txt");
    let stories = [("H.264", h264()), ("H.265", h265()), ("JPEG", jpeg()), ("AAC", aac())];
    let stories = stories.into_iter().chain([("Samples", samples())]);
    let text: String = stories.map(|(codec, story)| format!("# {codec}\n{story}\n")).collect();
    if std::env::var_os("CAMLOCK_WRITE_TABLES").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(FILE).unwrap());
}

#[test]
fn formats_that_cannot_be_read_have_no_depacketiser() {
    for (encoding, rate, parameters) in [
        (Encoding::Aac, 48_000, Some(AAC)),
        (Encoding::Aac, 16_000, None),
        (Encoding::H264, 8_000, None),
        (Encoding::Pcma, 0, None),
    ] {
        let made = Depacketiser::new(format(encoding, rate, parameters));
        assert!(made.is_none(), "{encoding:?} {rate}");
    }
    // Parameter sets that cannot be read are as if absent: they come in band.
    let bad = format(Encoding::H264, 90_000, Some("sprop-parameter-sets=Z/8=,aP8="));
    assert_eq!(Depacketiser::new(bad).unwrap().codec(), None);
}

#[test]
fn a_payload_over_16_bits_is_refused_unseen() {
    let mut depacketiser = Depacketiser::new(format(Encoding::H264, 90_000, None)).unwrap();
    let mut none = |frame: Frame| panic!("{frame:?}");
    for (length, pushed) in [(65_535, Ok(())), (65_536, Err(Dropped::Refused))] {
        let payload = vec![0x41; length];
        assert_eq!(depacketiser.push(packet(0, false, &payload), ROOM, &mut none), pushed);
    }
    assert_eq!(depacketiser.pending.bytes, 0);
}

/// retina's own faults: it counts the samples of a payload in 16 bits, one short.
#[test]
fn a_panic_costs_one_depacketiser() {
    let mut depacketiser = Depacketiser::new(format(Encoding::Pcma, 8_000, None)).unwrap();
    let mut frames = Vec::new();
    let mut push = |payload: &[u8]| {
        depacketiser.push(packet(0, true, payload), ROOM, &mut |frame| frames.push(frame))
    };
    assert_eq!(push(&[1; 65_535]), Err(Dropped::Panicked));
    assert_eq!(push(b"next"), Ok(()));
    assert!(frames.len() == 1 && frames[0].after_drop && frames[0].lost);
}

/// A buffer as large as a key frame is given back; that of common pictures stays.
#[test]
fn large_buffers_go_with_their_picture() {
    let mut depacketiser = Depacketiser::new(format(Encoding::H264, 90_000, None)).unwrap();
    let kept = limits::DEPACKETISER_BUFFER_KEPT_BYTES;
    let mut buffered = |sizes: &[usize], marked: bool| {
        for (n, size) in sizes.iter().enumerate() {
            let header = if n == 0 {
                0x85
            } else if n + 1 == sizes.len() {
                0x45
            } else {
                0x05
            };
            let payload = [&[0x7c, header], &vec![0x41; size - 2][..]].concat();
            let marker = marked && n + 1 == sizes.len();
            depacketiser.push(packet(0, marker, &payload), ROOM, &mut |_| {}).unwrap();
        }
        (depacketiser.buffered, depacketiser.buffer.is_some())
    };
    assert_eq!(buffered(&[kept / 2, kept / 2], true), (kept, true));
    assert_eq!(buffered(&[kept / 2, kept / 2, 10], true), (0, false));
    assert_eq!(buffered(&[1000, 1000], true), (2000, true));
}
