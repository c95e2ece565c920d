//! What each payload counts as, and what is dropped.

use super::*;

fn check(encoding: Encoding, packets: &[(&[u8], u32, bool)]) -> Vec<Result<Checked, Bad>> {
    let mut framing = Framing::new(encoding);
    packets.iter().map(|(payload, ts, marker)| framing.check(payload, *ts, *marker)).collect()
}

fn ok(units: u32, marker: bool, torn: bool) -> Result<Checked, Bad> {
    Ok(Checked { units, marker, torn })
}

#[test]
fn h264_counts_start_codes_inside_payloads() {
    let h264 = |p: &[u8]| check(Encoding::H264, &[(p, 0, true)]).remove(0);
    assert_eq!(h264(b"\x65abc"), ok(1, true, false));
    assert_eq!(h264(b"\x65a\0\0\x01\x41b\0\0\0\x01\x41"), ok(3, true, false));
    assert_eq!(h264(b"\x65a\0\0\x03b\0\0"), ok(1, true, false));
    assert_eq!(h264(b"\x65a\0\0\x02"), Err(Bad::Broken));
    assert_eq!(h264(b"\x65a\0\0\0\x03"), Err(Bad::Broken));
    assert_eq!(h264(b"\x65a\0\0\x01\x80"), Err(Bad::Broken));
    assert_eq!(h264(b""), Err(Bad::Broken));
    assert_eq!(h264(b"\xe5abc"), Err(Bad::Broken));
    assert_eq!(h264(b"\x7eabc"), Err(Bad::Broken));
}

#[test]
fn h264_fragments_keep_their_order() {
    let results = check(
        Encoding::H264,
        &[
            (b"\x7c\x05mid", 1, false),
            (b"\x7c\x85a\0", 1, false),
            (b"\x7c\x05\0\x01", 1, false),
            (b"\x7c\x45\x41b", 1, true),
            (b"\x7c\x85a", 2, false),
            (b"\x41 other", 2, true),
            (b"\x7c\x85a", 3, false),
            (b"\x7c\x05b", 4, false),
            (b"\x7c\x05b", 4, true),
            (b"\x7c", 4, true),
        ],
    );
    assert_eq!(
        results,
        [
            Err(Bad::Orphan),
            ok(1, false, false),
            ok(0, false, false),
            ok(1, true, false),
            ok(1, false, false),
            ok(1, true, true),
            ok(1, false, false),
            Err(Bad::Orphan),
            Err(Bad::Broken),
            Err(Bad::Broken),
        ]
    );
}

#[test]
fn aggregates_must_add_up() {
    let h264 = |p: &[u8]| check(Encoding::H264, &[(p, 0, true)]).remove(0);
    assert_eq!(h264(b"\x18\0\x02\x67a\0\x02\x68b"), ok(2, true, false));
    for bad in [&b"\x18"[..], b"\x18\0", b"\x18\0\x03\x67a", b"\x18\0\x02\x67a\0"] {
        assert_eq!(h264(bad), Err(Bad::Broken), "{bad:?}");
    }
    let h265 = |p: &[u8]| check(Encoding::H265, &[(p, 0, true)]).remove(0);
    assert_eq!(h265(b"\x60\x01\0\x02\x40\x01\0\x03\x42\x01a"), ok(2, true, false));
    for bad in
        [&b"\x60\x01"[..], b"\x60\x01\0\x01\x40", b"\x26", b"\x26\0a", b"\xa6\x01a", b"\x64\x01a"]
    {
        assert_eq!(h265(bad), Err(Bad::Broken), "{bad:?}");
    }
    assert_eq!(h265(b"\x62\x01\x53orphan"), Err(Bad::Orphan));
}

#[test]
fn jpeg_pictures_have_no_holes() {
    let packet = |offset: u8, width: u8| [0, 0, 0, offset, 1, 80, width, 6, 1, 2, 3];
    let results = check(
        Encoding::Jpeg,
        &[
            (&packet(3, 8), 1, false),
            (&packet(0, 8), 1, false),
            (&packet(3, 8), 1, false),
            (&packet(6, 8), 1, true),
            (&packet(9, 8), 1, true),
            (&packet(0, 8), 2, false),
            (&packet(6, 8), 2, true),
            (&packet(0, 8), 3, false),
            (&packet(3, 9), 3, true),
            (&packet(0, 8), 4, false),
            (&packet(0, 8), 4, false),
            (&packet(0, 8), 5, true),
            (&packet(3, 8)[..7], 5, true),
        ],
    );
    assert_eq!(
        results,
        [
            Err(Bad::Orphan),
            ok(1, false, false),
            ok(0, false, false),
            ok(0, true, false),
            Err(Bad::Orphan),
            ok(1, false, false),
            Err(Bad::Orphan),
            ok(1, false, false),
            Err(Bad::Broken),
            ok(1, false, false),
            ok(1, false, true),
            ok(1, true, true),
            Err(Bad::Broken),
        ]
    );
}

#[test]
fn one_over_the_bytes_of_a_jpeg_picture() {
    let most = limits::JPEG_BYTES - limits::JPEG_HEAD_BYTES;
    let mut framing = Framing::new(Encoding::Jpeg);
    let mut send = |offset: usize, length: usize| {
        let mut payload = u32::try_from(offset).unwrap().to_be_bytes().to_vec();
        payload.extend([1, 80, 80, 45]);
        payload.resize(8 + length, 1);
        framing.check(&payload, 1, false)
    };
    for offset in (0..most).step_by(50_000) {
        assert!(send(offset, 50_000.min(most - offset)).is_ok());
    }
    assert_eq!(send(most, 0), ok(0, false, false));
    assert_eq!(send(most, 1), Err(Bad::Form(JpegForm::Bytes)));
}

#[test]
fn samples_come_in_whole_octet_groups() {
    let g726 = |name| Encoding::G726(crate::media::G726::from_encoding_name(name).unwrap());
    for (encoding, least) in [
        (Encoding::Pcma, 1),
        (g726("G726-16"), 1),
        (g726("G726-24"), 3),
        (g726("AAL2-G726-32"), 1),
        (g726("G726-40"), 5),
        (Encoding::L16, 2),
    ] {
        for length in 0..=31 {
            let whole = length > 0 && length % least == 0;
            let expected = if whole { ok(1, false, false) } else { Err(Bad::Broken) };
            assert_eq!(check(encoding, &[(&[0; 31][..length], 0, false)]), [expected]);
        }
    }
}

#[test]
fn aac_frames_get_the_marker_they_must_have() {
    let aac = |p: &[u8], marker| check(Encoding::Aac, &[(p, 0, marker)]).remove(0);
    assert_eq!(aac(b"\0\x10\0\x18abc", false), ok(1, true, false));
    assert_eq!(aac(b"\0\x20\0\x10\0\x08abc", true), ok(2, true, false));
    for bad in
        [&b""[..], b"\0\0", b"\0\x10\0", b"\0\x10\0\x19abc", b"\0\x10\0\0", b"\0\x10\0\x10abc"]
    {
        assert_eq!(aac(bad, true), Err(Bad::Broken), "{bad:?}");
    }
    let results = check(
        Encoding::Aac,
        &[
            (b"\0\x10\0\x28ab", 5, false),
            (b"\0\x10\0\x28cde", 5, false),
            (b"\0\x10\0\x28ab", 6, true),
        ],
    );
    assert_eq!(results, [ok(1, false, false), ok(0, true, false), Err(Bad::Broken)]);
}
