//! Pictures of foreign encoders, what is left out of them, and what is refused by name.

use proptest::prelude::*;

use super::*;

const YUV_420: &[u8] = include_bytes!("../../../tests/fixtures/media/jpeg_420.jpg");
const YUV_422: &[u8] = include_bytes!("../../../tests/fixtures/media/jpeg_422.jpg");
/// Three slices, in which ffmpeg puts restart markers.
const RESTARTS: &[u8] = include_bytes!("../../../tests/fixtures/media/jpeg_restarts.jpg");
/// With Huffman tables made for the picture.
const OWN_TABLES: &[u8] = include_bytes!("../../../tests/fixtures/media/jpeg_own_tables.jpg");
const MARK: &[u8] = b"MARKMARKMARKMARK";

fn read(picture: &[u8]) -> Result<(JpegHead, Bytes, Stripped), Fault> {
    clean(Bytes::copy_from_slice(picture))
}

fn contains(picture: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(picture, text).is_some()
}

/// Where the segment with this marker begins.
fn place(picture: &[u8], marker: u8) -> usize {
    memchr::memmem::find(picture, &[0xff, marker]).unwrap()
}

/// The picture with other bytes from `at` on.
fn with(picture: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = picture.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    changed
}

/// The picture with these bytes put in at `at`.
fn inserted(picture: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&picture[..at], bytes, &picture[at..]].concat()
}

/// A picture in the written form with this coded data.
fn made(head: &JpegHead, coded: &[u8]) -> Vec<u8> {
    [head.write().as_slice(), coded, &[0xff, EOI]].concat()
}

fn head() -> JpegHead {
    read(YUV_420).unwrap().0
}

#[test]
fn pictures_of_foreign_encoders_are_written_anew() {
    for (picture, sampling, interval, text) in [
        (YUV_420, JpegSampling::Yuv420, 0, &b"JFIF"[..]),
        (YUV_422, JpegSampling::Yuv422, 0, b"JFIF"),
        (RESTARTS, JpegSampling::Yuv420, 4, b"Lavc"),
    ] {
        let (head, written, stripped) = read(picture).unwrap();
        assert_eq!(head.size, JpegParameters { width: 64, height: 48 });
        assert_eq!((head.sampling, head.restart_interval), (sampling, interval));
        assert!(contains(picture, text) && !contains(&written, text));
        assert!(stripped.segments > 0 && !stripped.trailing);
        let coded = &picture[place(picture, SOS) + 14..];
        assert!(written.ends_with(coded));
        assert_eq!(JpegHead::split(&written), Some((head, coded)));
        // Nothing is left to do, and nothing is copied.
        let (again, same, stripped) = clean(written.clone()).unwrap();
        assert_eq!((again, stripped), (head, Stripped::default()));
        assert_eq!(same.as_ptr(), written.as_ptr());
    }
    assert!(head().write().len() + 6 <= limits::JPEG_HEAD_BYTES);
}

#[test]
fn a_marker_in_what_no_decoder_needs_is_left_out_and_counted() {
    let before = read(YUV_420).unwrap();
    let kinds = (0xe0..=0xef).chain([0xfe, 0x02, 0xbf, 0xde, 0xdf, 0xf0, 0xfd]);
    for marker in kinds {
        let mut segment = vec![0xff, marker, 0, 18];
        segment.extend(MARK);
        for at in [2, place(YUV_420, SOF0), place(YUV_420, SOS)] {
            let (head, written, stripped) = read(&inserted(YUV_420, at, &segment)).unwrap();
            assert_eq!((head, &written), (before.0, &before.1), "{marker:#x}");
            assert_eq!(stripped.segments, before.2.segments + 1);
        }
    }
    // Behind the end, and before it.
    let end = YUV_420.len() - 2;
    for (at, hidden) in [(end + 2, MARK), (end + 2, &[0][..]), (end, &[0xff, 0xff])] {
        let (_, written, stripped) = read(&inserted(YUV_420, at, hidden)).unwrap();
        assert_eq!(written, before.1);
        assert!(stripped.trailing);
    }
    // Fill bytes before a segment, a quantisation table that nobody uses, a second picture behind the first.
    let filled = inserted(YUV_420, place(YUV_420, SOF0), &[0xff; 40]);
    assert_eq!(read(&filled).unwrap().1, before.1);
    let mut unused = vec![0xff, DQT, 0, 67, 3];
    unused.extend(MARK.repeat(4));
    let (_, written, _) = read(&inserted(YUV_420, 2, &unused)).unwrap();
    assert_eq!(written, before.1);
    let (_, written, stripped) = read(&[YUV_420, YUV_422].concat()).unwrap();
    assert_eq!((written, stripped.trailing), (before.1, true));
}

#[test]
fn a_missing_end_is_put_there() {
    let whole = read(YUV_420).unwrap().1;
    let open = &whole[..whole.len() - 2];
    assert_eq!(read(open).unwrap().1, whole);
    // Half of it, or fill bytes in its place: two of them are as long as it is.
    for fill in 1..4 {
        let half = [open, &[0xff].repeat(fill)].concat();
        let (_, written, stripped) = read(&half).unwrap();
        assert_eq!((written, stripped.trailing), (whole.clone(), true), "{fill}");
    }
}

#[test]
fn what_rtp_cannot_carry_is_refused_by_name() {
    let sof = place(YUV_420, SOF0);
    let sos = place(YUV_420, SOS);
    let dqt = place(YUV_420, DQT);
    let unsupported = |picture: &[u8], name: &str| match read(picture) {
        Err(Fault::Unsupported(what)) => assert_eq!(what, name),
        other => panic!("{name}: {other:?}"),
    };
    unsupported(OWN_TABLES, "a Huffman table that is not the typical one");
    for marker in [0xc2, 0xc6, 0xca, 0xce] {
        unsupported(&with(YUV_420, sof + 1, &[marker]), "progressive coding");
    }
    for marker in [0xc9, 0xcb, 0xcc, 0xcd, 0xcf] {
        unsupported(&with(YUV_420, sof + 1, &[marker]), "arithmetic coding");
    }
    for marker in [0xc1, 0xc3, 0xc5, 0xc7] {
        unsupported(&with(YUV_420, sof + 1, &[marker]), "a coding but baseline");
    }
    unsupported(&with(YUV_420, sof + 4, &[12]), "a depth but 8 bits");
    unsupported(&with(YUV_420, sof + 9, &[1]), "a number of components but 3");
    for sampling in [0x11, 0x12, 0x41, 0x00] {
        unsupported(&with(YUV_420, sof + 11, &[sampling]), "a sampling but 4:2:0 and 4:2:2");
    }
    unsupported(&with(YUV_420, dqt + 4, &[0x10]), "a quantisation table of 16 bits");
    unsupported(&with(YUV_420, sos + 4, &[1]), "a scan of some components");
    unsupported(&with(YUV_420, sos + 5, &[9]), "a scan of some components");
    unsupported(&with(YUV_420, sos + 11, &[1]), "a scan of some coefficients");
    unsupported(&with(YUV_420, sos + 6, &[0x11]), "another Huffman table than the typical one");
    unsupported(&with(YUV_420, sos + 6, &[0xf0]), "another Huffman table than the typical one");
    let twice = inserted(YUV_420, sof, &YUV_420[sof..sof + 19]);
    unsupported(&twice, "a second frame");
    unsupported(
        &inserted(YUV_420, sos, &[0xff, 0xdc, 0, 4, 0, 48]),
        "a number of lines behind the picture",
    );
    // A table of its own for the second colour.
    let mut third = vec![0xff, DQT, 0, 67, 2];
    third.extend([7; 64]);
    let third = inserted(&with(YUV_420, sof + 18, &[2]), sof, &third);
    unsupported(&third, "a quantisation table for each colour");
    let scan = sos + 14;
    unsupported(&inserted(YUV_420, scan + 2, &[0xff, 0xfe]), "a marker within the coded data");
    unsupported(
        &inserted(YUV_420, scan + 2, &[0xff, 0xff, 0xd0]),
        "fill bytes within the coded data",
    );
}

#[test]
fn broken_heads_are_refused_by_name() {
    let sof = place(YUV_420, SOF0);
    let sos = place(YUV_420, SOS);
    let dqt = place(YUV_420, DQT);
    let dht = place(YUV_420, DHT);
    let range = |picture: &[u8], name: &str| match read(picture) {
        Err(Fault::OutOfRange(what)) => assert_eq!(what, name),
        other => panic!("{name}: {other:?}"),
    };
    range(&with(YUV_420, dqt + 5 + 63, &[0]), "a quantisation value");
    range(&with(YUV_420, dqt + 4, &[4]), "the number of a quantisation table");
    range(&with(YUV_420, dht + 4, &[0x20]), "the class of a Huffman table");
    range(&with(YUV_420, dht + 4, &[0x04]), "the number of a Huffman table");
    range(&with(YUV_420, dqt + 2, &[0, 1]), "the length of a segment");
    range(&with(YUV_420, sof + 13, &[1]), "the number of a component");
    range(&inserted(YUV_420, sof, &[0xff, DRI, 0, 5, 0, 1, 0]), "the length of a segment");
    for marker in [0x00, 0x01, 0xd0, 0xd7, SOI, EOI] {
        range(&with(YUV_420, sof + 1, &[marker]), "a marker before the coded data");
    }
    let without_frame = [&YUV_420[..sof], &YUV_420[sof + 19..]].concat();
    range(&without_frame, "a scan without a frame");
    assert_eq!(read(&with(YUV_420, sof + 12, &[3])), Err(Fault::Dangling("quantisation table")));
    assert_eq!(read(&YUV_420[2..]), Err(Fault::WrongHeader));
    assert_eq!(read(&inserted(YUV_420, sof, &[0])), Err(Fault::WrongHeader));
    assert_eq!(read(&made(&head(), &[])), Err(Fault::Truncated));
    for end in 0..sos + 14 {
        assert!(read(&YUV_420[..end]).is_err(), "{end}");
    }
}

#[test]
fn sides_are_what_rtp_can_tell() {
    for side in [8, 16, 1080, limits::JPEG_SIDE] {
        assert!(JpegParameters::new(side, 8).is_ok() && JpegParameters::new(8, side).is_ok());
    }
    for side in [0, 7, 12, limits::JPEG_SIDE + 1, limits::JPEG_SIDE + 8, u16::MAX] {
        let refused = JpegParameters::new(side, 48).unwrap_err().to_string();
        assert!(refused.starts_with("JPEG frame header: width"), "{refused}");
        let refused = JpegParameters::new(48, side).unwrap_err().to_string();
        assert!(refused.starts_with("JPEG frame header: height"), "{refused}");
        let sof = place(YUV_420, SOF0);
        assert!(read(&with(YUV_420, sof + 5, &side.to_be_bytes())).is_err());
    }
}

#[test]
fn restart_markers_are_all_there_and_in_order() {
    // 64 x 48 in 4:2:0 is 12 blocks.
    let pieces = |interval, markers: &[u8]| {
        let head = JpegHead { restart_interval: interval, ..head() };
        let mut coded = vec![1];
        for marker in markers {
            coded.extend([0xff, *marker, 2]);
        }
        read(&made(&head, &coded)).map(|(head, _, _)| head.restart_interval)
    };
    assert_eq!(pieces(0, &[]), Ok(0));
    assert_eq!(pieces(12, &[]), Ok(12));
    assert_eq!(pieces(u16::MAX, &[]), Ok(u16::MAX));
    assert_eq!(pieces(6, &[0xd0]), Ok(6));
    assert_eq!(pieces(5, &[0xd0, 0xd1]), Ok(5));
    let every: Vec<u8> = (0..11).map(|n| 0xd0 + n % 8).collect();
    assert_eq!(pieces(1, &every), Ok(1));
    let wrong: [(u16, &[u8]); 6] = [
        (0, &[0xd0]),
        (6, &[]),
        (6, &[0xd1]),
        (5, &[0xd0, 0xd0]),
        (5, &[0xd0, 0xd1, 0xd2]),
        (1, &every[..10]),
    ];
    for (interval, markers) in wrong {
        assert!(pieces(interval, markers).is_err(), "{interval} {markers:?}");
    }
    let head = JpegHead { restart_interval: 6, ..head() };
    for empty in [&[0xff, 0xd0, 1][..], &[1, 0xff, 0xd0]] {
        assert!(read(&made(&head, empty)).is_err(), "{empty:?}");
    }
    let tall = JpegHead { sampling: JpegSampling::Yuv422, ..head };
    assert_eq!((head.blocks(), tall.blocks()), (12, 24));
}

#[test]
fn one_over_the_bytes_and_the_segments() {
    let empty = made(&head(), &[]).len();
    for (length, fits) in [(limits::JPEG_BYTES, true), (limits::JPEG_BYTES + 1, false)] {
        let picture = made(&head(), &vec![1; length - empty]);
        assert_eq!(picture.len(), length);
        assert_eq!(read(&picture).is_ok(), fits);
    }
    // Two for the tables, one for the frame, four for the codes, one for the scan.
    let written = made(&head(), &[1]);
    let comments = |count: usize| inserted(&written, 2, &[0xff, 0xfe, 0, 2].repeat(count));
    let room = limits::JPEG_SEGMENTS - 8;
    assert_eq!(read(&comments(room)).unwrap().2.segments, u64::try_from(room).unwrap());
    assert_eq!(read(&comments(room + 1)), Err(Fault::TooLong));
}

proptest! {
    /// Whatever passes is in the one form, and holds no marker but those of its restarts.
    #[test]
    fn what_passes_a_mutation_is_clean(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in 0..30_usize,
    ) {
        let mut picture = [YUV_420, YUV_422, RESTARTS][which].to_vec();
        for (at, byte) in changes {
            let at = at.index(picture.len());
            picture[at] = byte;
        }
        picture.truncate(picture.len() - cut);
        if let Ok((head, written, _)) = read(&picture) {
            let coded = written.strip_prefix(head.write().as_slice()).unwrap();
            let markers: Vec<u8> =
                coded.windows(2).filter(|w| w[0] == 0xff && w[1] != 0).map(|w| w[1]).collect();
            prop_assert_eq!(markers.last(), Some(&EOI));
            prop_assert_eq!(u32::try_from(markers.len() - 1).unwrap(), head.restarts());
            prop_assert_eq!(read(&written), Ok((head, written, Stripped::default())));
        }
    }

    #[test]
    fn noise_behind_a_start_never_panics(bytes: Vec<u8>) {
        drop(read(&[&[0xff, SOI], bytes.as_slice()].concat()));
        let _ = JpegHead::split(&bytes);
        let _ = scan::walk(&bytes, 3);
    }
}
