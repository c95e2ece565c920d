//! Whole access units of real encoders, and what must not pass.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::media::{
    AacParameters, G726, G726Packing, G726Rate, H264Parameters, H265Parameters, JpegParameters,
    TrackId,
};

const SETS: &str = include_str!("../../../tests/fixtures/media/parameter_sets.txt");
const H264: &[u8] = include_bytes!("../../../tests/fixtures/media/two_slices.h264");
const JPEG: &[u8] = include_bytes!("../../../tests/fixtures/media/jpeg_420.jpg");
const H265: &[u8] = include_bytes!("../../../tests/fixtures/media/two_slices.h265");

/// Two lawful PPS for the baseline SPS below, of id 0, and slices for them.
const PPS: [&[u8]; 2] = [&[0x68, 0xce, 0x0f, 0xc8], &[0x68, 0xce, 0x3c, 0x80]];
const IDR: &[u8] = &[0x65, 0x88, 0x80, 0x1f];
const P: &[u8] = &[0x41, 0x9a, 0x1f];
const SEI: &[u8] = &[6, 5, 1, 7, 0x80];

fn sets(name: &str) -> Vec<Vec<u8>> {
    let line = SETS.lines().find(|l| l.split(' ').nth(1) == Some(name)).unwrap();
    line.split(' ').next_back().unwrap().split(',').map(|s| STANDARD.decode(s).unwrap()).collect()
}

fn sps() -> Vec<u8> {
    sets("x264-baseline").swap_remove(0)
}

fn policy(codec: Codec) -> Policy {
    Policy::new(Arc::new(Track { id: TrackId(0), codec, clock_rate: 90_000 }))
}

fn h264() -> Policy {
    policy(Codec::H264(H264Parameters::new(&sps(), PPS[0]).unwrap()))
}

fn h265() -> Policy {
    let s = sets("x265-ctu16");
    policy(Codec::H265(H265Parameters::new(&s[0], &s[1], &s[2]).unwrap()))
}

fn jpeg(width: u16, height: u16) -> Codec {
    Codec::Jpeg(JpegParameters { width, height })
}

fn g726(rate: G726Rate) -> Codec {
    Codec::G726(G726 { rate, packing: G726Packing::Rfc3551 })
}

fn unit(nals: &[&[u8]]) -> Bytes {
    nals.iter()
        .flat_map(|n| [&u32::try_from(n.len()).unwrap().to_be_bytes(), *n].concat())
        .collect()
}

fn dropped(policy: &Policy) -> Vec<(DropReason, u64)> {
    policy.counts().iter().filter(|(_, n)| *n > 0).collect()
}

/// NAL units of a byte stream, in access units, each from its delimiter on.
fn pictures(stream: &[u8], delimiter: impl Fn(&[u8]) -> bool) -> Vec<Vec<&[u8]>> {
    let starts: Vec<_> = memchr::memmem::find_iter(stream, &[0, 0, 1]).map(|at| at + 3).collect();
    let ends = starts[1..].iter().map(|at| at - 3).chain([stream.len()]);
    let mut units: Vec<Vec<&[u8]>> = Vec::new();
    for (start, end) in starts.iter().zip(ends) {
        let nal = &stream[*start..end];
        let nal = &nal[..nal.iter().rposition(|b| *b != 0).unwrap() + 1];
        if delimiter(nal) {
            units.push(Vec::new());
        }
        units.last_mut().unwrap().push(nal);
    }
    units
}

#[test]
fn of_an_h264_stream_only_slices_go_on() {
    let units = pictures(H264, |nal| nal[0] & 31 == 9);
    let find = |kind| *units[0].iter().find(|n| n[0] & 31 == kind).unwrap();
    let mut policy = policy(Codec::H264(H264Parameters::new(find(7), find(8)).unwrap()));
    let mut entries = 0;
    for nals in &units {
        let clean = policy.clean(unit(nals)).unwrap();
        let slices: Vec<_> = nals.iter().copied().filter(|n| matches!(n[0] & 31, 1 | 5)).collect();
        assert_eq!(slices.len(), 2);
        assert_eq!(clean.data, unit(&slices));
        assert_eq!(clean.random_access, slices[0][0] & 31 == 5);
        assert!(Arc::ptr_eq(&clean.track, policy.track()));
        entries += u32::from(clean.random_access);
        let again = policy.clean(clean.data.clone()).unwrap();
        assert_eq!(again.data.as_ptr(), clean.data.as_ptr(), "nothing to copy");
    }
    assert_eq!((units.len(), entries), (9, 3));
    assert_eq!(dropped(&policy), [(DropReason::Sei, 1), (DropReason::Delimiter, 9)]);
}

#[test]
fn of_an_h265_stream_only_slices_go_on() {
    let units = pictures(H265, |nal| nal[0] >> 1 == 35);
    let find = |kind| *units[0].iter().find(|n| n[0] >> 1 == kind).unwrap();
    let parameters = H265Parameters::new(find(32), find(33), find(34)).unwrap();
    let mut policy = policy(Codec::H265(parameters));
    let mut entries = 0;
    for nals in &units {
        let clean = policy.clean(unit(nals)).unwrap();
        let slices: Vec<_> = nals.iter().copied().filter(|n| n[0] >> 1 < 32).collect();
        assert_eq!(slices.len(), 2);
        assert_eq!(clean.data, unit(&slices));
        assert_eq!(clean.random_access, slices[0][0] >> 1 >= 16);
        entries += u32::from(clean.random_access);
        let again = policy.clean(clean.data.clone()).unwrap();
        assert_eq!(again.data.as_ptr(), clean.data.as_ptr(), "nothing to copy");
    }
    assert_eq!(units.len(), 9);
    assert!(entries >= 2, "{entries}");
    assert_eq!(policy.counts().get(DropReason::Delimiter), 9);
    assert!(policy.counts().get(DropReason::Sei) >= 1);
    assert_eq!(policy.counts().get(DropReason::BadSlice), 0);
}

#[test]
fn an_intra_picture_behind_a_recovery_point_is_a_random_access_point() {
    // first_mb 0, slice_type 7 (I), PPS 0; the second slice at macroblock 3.
    let (intra, second): (&[u8], &[u8]) = (&[0x61, 0x88, 0x80, 0x42], &[0x61, 0x20, 0x88, 0x42]);
    let predicted: &[u8] = &[0x61, 0x9a, 0x20];
    let at_once: &[u8] = &[6, 5, 3, b'X', b'Y', b'Z', 6, 1, 0xc4, 0x80];
    let ours: &[u8] = &[6, 6, 1, 0x84, 0x80];
    let clean = |nals: &[&[u8]]| h264().clean(unit(nals)).unwrap();
    let start = clean(&[at_once, intra, second]);
    assert!(start.random_access);
    assert_eq!(start.data, unit(&[ours, intra, second]), "our words, not the camera's");
    assert!(clean(&[ours, intra]).random_access, "what was cleaned is clean");
    // No recovery point; a gradual one; a picture that needs another.
    let gradual: &[u8] = &[6, 6, 1, 0x50, 0x80];
    for nals in [
        &[intra][..],
        &[gradual, intra],
        &[at_once, predicted],
        &[at_once, intra, &[0x61, 0x21, 0xa0, 0x42]],
    ] {
        let clean = h264().clean(unit(nals));
        assert!(!clean.unwrap().random_access, "{nals:?}");
    }
    // An IDR picture needs none, and one is enough.
    assert_eq!(clean(&[at_once, IDR]).data, unit(&[IDR]));
    assert_eq!(clean(&[ours, IDR]).data, unit(&[IDR]));
    assert_eq!(clean(&[ours, ours, intra, ours]).data, unit(&[ours, intra]));
}

#[test]
fn every_h264_type_but_slices_is_dropped_by_its_reason() {
    for kind in 0..32_u8 {
        let reason = match kind {
            1 | 5 => continue,
            2..=4 => DropReason::DataPartition,
            6 => DropReason::Sei,
            7 | 8 => DropReason::UnlawfulParameters,
            9 => DropReason::Delimiter,
            10 | 11 => DropReason::EndOfSequence,
            12 => DropReason::Filler,
            _ => DropReason::UnknownNal,
        };
        let mut policy = h264();
        let clean = policy.clean(unit(&[&[kind, 0xf0, 1], IDR]));
        if matches!(kind, 7 | 8) {
            assert_eq!(clean, Err(reason));
        } else {
            assert_eq!(clean.unwrap().data, unit(&[IDR]), "{kind}");
        }
        assert_eq!(dropped(&policy), [(reason, 1)], "{kind}");
    }
}

#[test]
fn every_h265_type_but_slices_is_dropped_by_its_reason() {
    let idr: &[u8] = &[0x26, 1, 0xaf, 0x1f];
    for kind in 0..64_u8 {
        let reason = match kind {
            0..=9 | 16..=21 => continue,
            32..=34 => DropReason::UnlawfulParameters,
            35 => DropReason::Delimiter,
            36 | 37 => DropReason::EndOfSequence,
            38 => DropReason::Filler,
            39 | 40 => DropReason::Sei,
            _ => DropReason::UnknownNal,
        };
        let mut policy = h265();
        let clean = policy.clean(unit(&[&[kind << 1, 1, 0xf0, 1], idr]));
        if matches!(kind, 32..=34) {
            assert_eq!(clean, Err(reason));
        } else {
            assert_eq!(clean.unwrap().data, unit(&[idr]), "{kind}");
        }
        assert_eq!(dropped(&policy), [(reason, 1)], "{kind}");
    }
}

#[test]
fn bad_headers_are_dropped() {
    let mut policy = h264();
    assert_eq!(policy.clean(unit(&[&[0xe5, 0x88, 0x80], IDR])).unwrap().data, unit(&[IDR]));
    assert_eq!(dropped(&policy), [(DropReason::BadNalHeader, 1)]);
    let mut policy = h265();
    let idr: &[u8] = &[0x26, 1, 0xaf, 0x1f];
    for bad in [
        &[0xa6_u8, 1, 0xaf][..],
        &[0x27, 1, 0xaf],
        &[0x26, 9, 0xaf],
        &[0x26, 0],
        &[0x26],
        &[0x26, 2, 0xaf],
    ] {
        assert_eq!(policy.clean(unit(&[idr, bad])).unwrap().data, unit(&[idr]), "{bad:?}");
    }
    assert_eq!(dropped(&policy), [(DropReason::BadNalHeader, 6), (DropReason::TrailingBytes, 1)]);
}

#[test]
fn slices_nobody_decodes_are_dropped() {
    let mut policy = h264();
    let other_pps: &[u8] = &[0x65, 0x88, 0x40, 1];
    assert_eq!(policy.clean(unit(&[IDR, other_pps])).unwrap().data, unit(&[IDR]));
    assert_eq!(policy.clean(unit(&[IDR, IDR])).unwrap().data, unit(&[IDR]), "same place again");
    assert_eq!(policy.clean(unit(&[other_pps])), Err(DropReason::NoPicture));
    assert_eq!(policy.clean(unit(&[SEI])), Err(DropReason::NoPicture));
    assert_eq!(
        dropped(&policy),
        [(DropReason::Sei, 1), (DropReason::BadSlice, 3), (DropReason::NoPicture, 2)]
    );
}

#[test]
fn a_picture_that_only_begins_as_key_picture_is_no_entry() {
    let mut policy = h264();
    // first_mb_in_slice 1.
    let second: &[u8] = &[0x41, 0b0100_0110, 0b1000_0001];
    let clean = policy.clean(unit(&[IDR, second])).unwrap();
    assert_eq!((clean.random_access, clean.data), (false, unit(&[IDR, second])));
}

#[test]
fn parameters_in_band_make_a_new_track() {
    let mut policy = h264();
    let before = Arc::clone(policy.track());
    let clean = policy.clean(unit(&[&sps(), PPS[0], IDR])).unwrap();
    assert!(Arc::ptr_eq(&clean.track, &before), "the same again");
    let clean = policy.clean(unit(&[&sps(), PPS[1], IDR])).unwrap();
    assert!(!Arc::ptr_eq(&clean.track, &before));
    let Codec::H264(p) = &clean.track.codec else { panic!("codec changed") };
    assert_eq!((&p.sps[..], &p.pps[..]), (&sps()[..], PPS[1]));
    assert!(before.is_compatible(&clean.track));
    assert_eq!(clean.data, unit(&[IDR]));
    assert!(Arc::ptr_eq(&policy.clean(unit(&[P])).unwrap().track, &clean.track));
    assert_eq!(dropped(&policy), []);
}

#[test]
fn bytes_hidden_behind_parameters_in_band_are_counted() {
    let mut policy = h264();
    let before = Arc::clone(policy.track());
    let hiding = [&sps()[..], b"message"].concat();
    let clean = policy.clean(unit(&[&hiding, IDR])).unwrap();
    assert!(Arc::ptr_eq(&clean.track, &before));
    assert_eq!(clean.data, unit(&[IDR]));
    assert_eq!(dropped(&policy), [(DropReason::TrailingBytes, 1)]);
}

#[test]
fn of_several_picture_parameter_sets_the_one_in_force_stays() {
    let mut policy = h264();
    let before = Arc::clone(policy.track());
    let other: &[u8] = &[0x68, 0x53, 0x8f, 0x20]; // id 1
    for order in [[PPS[0], other], [other, PPS[0]]] {
        let clean = policy.clean(unit(&[order[0], order[1], IDR])).unwrap();
        assert!(Arc::ptr_eq(&clean.track, &before));
    }
    assert_eq!(dropped(&policy), [(DropReason::OtherParameterSet, 2)]);
}

#[test]
fn refused_parameters_close_the_gate_until_the_next_entry() {
    let small = sets("x264-intra").swap_remove(0);
    for (sps, reason) in [
        (&small[..], DropReason::IncompatibleParameters),
        (&[0x67, 99, 0, 40, 0x80], DropReason::UnlawfulParameters),
    ] {
        let mut policy = h264();
        assert_eq!(policy.clean(unit(&[sps, PPS[0], IDR])), Err(reason));
        assert_eq!(policy.clean(unit(&[P])), Err(DropReason::AwaitingRandomAccess));
        assert_eq!(policy.clean(unit(&[sps, PPS[0], IDR])), Err(reason));
        assert!(policy.clean(unit(&[IDR])).is_ok());
        assert!(policy.clean(unit(&[P])).is_ok());
        assert_eq!(policy.counts().get(reason), 2);
    }
}

#[test]
fn parameters_beside_the_units_are_checked_alike() {
    let mut policy = h264();
    let before = policy.track().codec.clone();
    assert_eq!(policy.replace(before), Ok(()));
    let new = Codec::H264(H264Parameters::new(&sps(), PPS[1]).unwrap());
    assert_eq!(policy.replace(new.clone()), Ok(()));
    assert_eq!(policy.track().codec, new);
    let s = sets("x264-intra");
    let other = Codec::H264(H264Parameters::new(&s[0], &s[1]).unwrap());
    assert_eq!(policy.replace(other), Err(DropReason::IncompatibleParameters));
    assert_eq!(policy.clean(unit(&[P])), Err(DropReason::AwaitingRandomAccess));
    assert_eq!(policy.replace(Codec::Pcma { channels: 1 }), Err(DropReason::UnlawfulParameters));
}

#[test]
fn a_track_made_by_hand_lets_nothing_through() {
    let mut made = H264Parameters::new(&sps(), PPS[0]).unwrap();
    made.width += 16;
    assert_eq!(policy(Codec::H264(made)).clean(unit(&[IDR])), Err(DropReason::UnlawfulParameters));
}

#[test]
fn limits_of_audio() {
    let mut mono = policy(Codec::Pcma { channels: 1 });
    let mut stereo = policy(Codec::Pcmu { channels: 2 });
    let frame = |n| Bytes::from(vec![0x55; n]);
    assert!(mono.clean(frame(limits::G711_FRAME_BYTES)).unwrap().random_access);
    assert_eq!(mono.clean(frame(limits::G711_FRAME_BYTES + 1)), Err(DropReason::BadSamples));
    assert_eq!(mono.clean(frame(0)), Err(DropReason::BadSamples));
    assert!(stereo.clean(frame(320)).is_ok());
    assert_eq!(stereo.clean(frame(321)), Err(DropReason::BadSamples));
    for (codec, most, group) in [
        (g726(G726Rate::Kbit16), limits::G726_FRAME_BYTES, 1),
        (g726(G726Rate::Kbit24), limits::G726_FRAME_BYTES - 1, 3),
        (g726(G726Rate::Kbit40), limits::G726_FRAME_BYTES, 5),
        (Codec::L16 { channels: 1 }, limits::L16_FRAME_BYTES, 2),
        (Codec::L16 { channels: 2 }, limits::L16_FRAME_BYTES, 4),
    ] {
        let mut samples = policy(codec);
        assert_eq!(samples.clean(frame(most)).unwrap().data, frame(most));
        assert!(samples.clean(frame(group)).unwrap().random_access);
        for bad in [0, most + group, group * 7 - 1, group * 7 + 1] {
            let lawful = group == 1 && bad <= most && bad > 0;
            assert_eq!(
                samples.clean(frame(bad)).is_ok(),
                lawful,
                "{bad} bytes in groups of {group}"
            );
        }
    }
    let mut aac = policy(Codec::Aac(AacParameters::new(&[0x12, 0x10]).unwrap()));
    assert_eq!(aac.clean(frame(limits::AAC_FRAME_BYTES + 1)), Err(DropReason::TooLarge));
    assert_eq!(aac.clean(frame(limits::AAC_FRAME_BYTES)), Err(DropReason::BadAac));
}

#[test]
fn of_a_jpeg_picture_only_the_picture_goes_on() {
    const MARK: &[u8] = b"MARKMARKMARKMARK";
    let mut ours = policy(jpeg(64, 48));
    let (head, rest) = JPEG.split_at(2);
    let comment = [&[0xff, 0xfe, 0, 18], MARK].concat();
    let planted = [head, &comment, rest, MARK].concat();
    let clean = ours.clean(planted.into()).unwrap();
    assert!(clean.random_access && Arc::ptr_eq(&clean.track, ours.track()));
    assert_eq!(memchr::memmem::find(&clean.data, MARK), None);
    // The encoder's own APP0 is one, too.
    assert_eq!(dropped(&ours), [(DropReason::JpegSegment, 2), (DropReason::JpegTrailing, 1)]);
    let again = ours.clean(clean.data.clone()).unwrap();
    assert_eq!(again.data.as_ptr(), clean.data.as_ptr());

    let mut other = policy(jpeg(64, 56));
    assert_eq!(other.clean(clean.data.clone()), Err(DropReason::IncompatibleParameters));
    assert_eq!(other.replace(jpeg(64, 48)), Err(DropReason::IncompatibleParameters));
    assert_eq!(other.replace(jpeg(64, 56)), Ok(()));
    assert_eq!(ours.clean(clean.data.slice(1..)), Err(DropReason::BadJpeg));
    let large = [&clean.data[..], &vec![0; limits::JPEG_BYTES]].concat();
    assert_eq!(ours.clean(large.into()), Err(DropReason::TooLarge));
    let by_hand = &mut policy(jpeg(65, 48));
    assert_eq!(by_hand.clean(clean.data), Err(DropReason::UnlawfulParameters));
}

#[test]
fn aac_fill_data_and_trailing_bytes_are_dropped_and_counted() {
    // A channel pair of silence.
    let pair = "001_0000_1_0_00_0_000000_0_00_00000000_000_00000000_000";
    let fill = "110_0001_01101000";
    let data = "100_0000_0_00000001_01101000";
    let frame = |text: String| -> Bytes {
        let bits: Vec<u8> = text.bytes().filter(|b| *b != b'_').map(|b| b - b'0').collect();
        bits.chunks(8).map(|c| (0..8).fold(0, |v, i| v << 1 | c.get(i).unwrap_or(&0))).collect()
    };
    let mut aac = policy(Codec::Aac(AacParameters::new(&[0x12, 0x10]).unwrap()));
    let clean = frame(format!("{pair}111"));
    let dirty = frame(format!("{data}{fill}{pair}{fill}111_1111111111111111"));
    assert_eq!(aac.clean(clean.clone()).unwrap().data.as_ptr(), clean.as_ptr());
    assert_eq!(aac.clean(dirty).unwrap().data, clean);
    assert_eq!(
        dropped(&aac),
        [(DropReason::AacFill, 2), (DropReason::AacData, 1), (DropReason::AacTrailing, 1)]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn what_passes_is_clean(
        codec in 0..2_usize, at: usize, flips: u8, first in 0..9_usize, cut in 0..3_usize
    ) {
        let (stream, units) = if codec == 0 {
            (h264_of_stream(), pictures(H264, |nal| nal[0] & 31 == 9))
        } else {
            (h265_of_stream(), pictures(H265, |nal| nal[0] >> 1 == 35))
        };
        let mut policy = policy(stream);
        let mut bytes = unit(&units[first]).to_vec();
        let n = bytes.len();
        bytes[at % n] ^= flips;
        bytes.truncate(n - cut);
        if let Ok(clean) = policy.clean(bytes.into()) {
            let before = dropped(&policy);
            let again = policy.clean(clean.data.clone()).unwrap();
            prop_assert_eq!(&again.data, &clean.data);
            prop_assert_eq!(again.random_access, clean.random_access);
            prop_assert_eq!(dropped(&policy), before);
        }
    }

    #[test]
    fn noise_never_panics(codec in 0..5_usize, bytes: Vec<u8>) {
        let codec = match codec {
            0 => h264_of_stream(),
            1 => h265_of_stream(),
            3 => jpeg(64, 48),
            2 => Codec::Aac(AacParameters::new(&[0x12, 0x10]).unwrap()),
            _ => Codec::Pcma { channels: 1 },
        };
        drop(policy(codec).clean(bytes.into()));
    }
}

fn h264_of_stream() -> Codec {
    let units = pictures(H264, |nal| nal[0] & 31 == 9);
    let find = |kind| *units[0].iter().find(|n| n[0] & 31 == kind).unwrap();
    Codec::H264(H264Parameters::new(find(7), find(8)).unwrap())
}

fn h265_of_stream() -> Codec {
    let units = pictures(H265, |nal| nal[0] >> 1 == 35);
    let find = |kind| *units[0].iter().find(|n| n[0] >> 1 == kind).unwrap();
    Codec::H265(H265Parameters::new(find(32), find(33), find(34)).unwrap())
}
