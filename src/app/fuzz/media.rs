//! The media policy with its parsers, and the packets made of what passes.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Input, now};
use crate::media::{
    AacParameters, AccessUnit, Codec, DropReason, H264Parameters, H265Parameters, JpegHead,
    JpegParameters, Policy, Published, Track, TrackId,
};
use crate::ops::limits;
use crate::wire::rtp;

/// Parameter sets of real encoders, one a line: codec, name, size, format, sets in base64.
const SETS: &str = include_str!("../../../tests/fixtures/media/parameter_sets.txt");

/// What the policy writes before the slices of an H.264 picture that is no IDR and can be started at: the one SEI
/// message that goes on, in these bytes and no other.
const RECOVERY_POINT: [u8; 5] = [6, 6, 1, 0x84, 0x80];

/// A video track with the parameter sets of an encoder, or from 128 on with those of the first piece; then
/// what a camera sends on it. Each piece is a byte that says how it is framed, and data: an access unit as
/// it is, or a byte stream with start codes, or parameter sets that come beside the units.
pub fn nal_policy(data: &[u8]) {
    let mut input = Input::new(data);
    let first = usize::from(input.byte());
    let codec = if first < 128 {
        let line = SETS.lines().nth(first % SETS.lines().count()).unwrap();
        let sets: Vec<_> = line.rsplit(' ').next().unwrap().split(',').map(decode).collect();
        Some(parse(&sets).expect("encoders make valid sets"))
    } else {
        input.piece().and_then(|piece| parse(&split(piece)))
    };
    let Some(codec) = codec else { return };
    let mut policy = Policy::new(track(codec));
    while let Some(piece) = input.piece() {
        let (kind, data) = piece.split_first().unwrap_or((&0, &[]));
        match kind % 4 {
            0 => video(&mut policy, &Bytes::copy_from_slice(data)),
            1 | 2 => video(&mut policy, &framed(&split(data))),
            _ => {
                if let Some(codec) = parse(&split(data)) {
                    replace(&mut policy, &codec);
                }
            }
        }
    }
}

fn decode(set: &str) -> Vec<u8> {
    STANDARD.decode(set).unwrap()
}

fn track(codec: Codec) -> Arc<Track> {
    Arc::new(Track { id: TrackId(0), codec, clock_rate: 90_000 })
}

/// Of two parameter sets H.264, of three H.265. What was parsed is exactly what is kept.
fn parse(sets: &[impl AsRef<[u8]>]) -> Option<Codec> {
    match sets {
        [sps, pps] => {
            let read = H264Parameters::new(sps.as_ref(), pps.as_ref()).ok()?;
            assert_eq!(H264Parameters::new(&read.sps, &read.pps).as_ref(), Ok(&read));
            check_sets(&[&read.sps, &read.pps], read.width, read.height);
            Some(Codec::H264(read))
        }
        [vps, sps, pps] => {
            let read = H265Parameters::new(vps.as_ref(), sps.as_ref(), pps.as_ref()).ok()?;
            let again = H265Parameters::new(&read.vps, &read.sps, &read.pps);
            assert_eq!(again.as_ref(), Ok(&read));
            check_sets(&[&read.vps, &read.sps, &read.pps], read.width, read.height);
            Some(Codec::H265(read))
        }
        _ => None,
    }
}

fn check_sets(sets: &[&Bytes], width: u16, height: u16) {
    for set in sets {
        assert!((1..=limits::PARAMETER_SET_BYTES).contains(&set.len()));
        assert_lawful(set);
    }
    assert!(width > 0 && height > 0);
    let side = limits::PICTURE_SIDE;
    assert!(u32::from(width) <= side && u32::from(height) <= side);
    assert!(u64::from(width) * u64::from(height) <= limits::PICTURE_SAMPLES);
}

/// No start code in it, nothing that a decoder could take for one, no zeros at its end.
fn assert_lawful(nal: &[u8]) {
    assert!(nal.windows(3).all(|w| !matches!(w, [0, 0, 0..=2])), "{nal:02x?}");
    assert_ne!(nal.last(), Some(&0), "{nal:02x?}");
}

/// A byte stream cut at its start codes.
fn split(stream: &[u8]) -> Vec<&[u8]> {
    let mut nals = Vec::new();
    let mut start = 0;
    for at in memchr::memmem::find_iter(stream, &[0, 0, 1]) {
        nals.push(&stream[start..at]);
        start = at + 3;
    }
    nals.push(&stream[start..]);
    nals.retain(|nal| !nal.is_empty());
    nals
}

fn framed(nals: &[&[u8]]) -> Bytes {
    let mut unit = BytesMut::new();
    for nal in nals {
        unit.put_u32(u32::try_from(nal.len()).unwrap());
        unit.put_slice(nal);
    }
    unit.freeze()
}

fn replace(policy: &mut Policy, codec: &Codec) {
    let before = Arc::clone(policy.track());
    let replaced = policy.replace(codec.clone());
    assert!(before.is_compatible(policy.track()), "readers go on with the description they have");
    match replaced {
        Ok(()) => assert_eq!(policy.track().codec, *codec),
        Err(_) => assert!(Arc::ptr_eq(&before, policy.track())),
    }
}

fn video(policy: &mut Policy, data: &Bytes) {
    let before = Arc::clone(policy.track());
    let total = |policy: &Policy| policy.counts().iter().map(|(_, n)| n).sum::<u64>();
    let dropped = total(policy);
    let cleaned = policy.clean(data.clone());
    assert!(before.is_compatible(policy.track()), "readers go on with the description they have");
    let Ok(clean) = cleaned else {
        assert!(total(policy) > dropped, "a refusal is counted");
        return;
    };
    assert!(Arc::ptr_eq(&clean.track, policy.track()));
    let nals = nals(&clean.data);
    assert!((1..=limits::ACCESS_UNIT_NALS).contains(&nals.len()));
    let slices = match (&clean.track.codec, nals.as_slice()) {
        (Codec::H264(_), [first, slices @ ..]) if *first == RECOVERY_POINT => {
            assert!(clean.random_access, "a recovery point where no decoder may start");
            slices
        }
        (_, slices) => slices,
    };
    assert!(!slices.is_empty());
    // Each start code within a unit becomes a length of one byte more.
    let most = data.len() + nals.len() + 4 + RECOVERY_POINT.len();
    assert!(clean.data.len() <= most, "{} of {}", clean.data.len(), data.len());
    for nal in slices {
        assert_lawful(nal);
        assert!(is_slice(&clean.track.codec, nal), "{nal:02x?}");
    }
    let counts = policy.counts().clone();
    let again = policy.clean(clean.data.clone()).expect("what passed once passes");
    assert_eq!(again.data.as_ptr(), clean.data.as_ptr(), "nothing is left to take out");
    assert_eq!(again.random_access, clean.random_access);
    assert_eq!(*policy.counts(), counts, "nothing is left to drop");
    packets(clean.track, clean.random_access, clean.data);
}

fn nals(unit: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut nals) = (unit, Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (nal, next) = behind.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
        nals.push(nal);
        rest = next;
    }
    assert!(rest.is_empty(), "lengths add up");
    nals
}

/// Coded slices of the base layer and nothing else: no SEI, no parameter sets, no unknown types.
fn is_slice(codec: &Codec, nal: &[u8]) -> bool {
    match (codec, nal) {
        (Codec::H264(_), [header, ..]) => header & 0x80 == 0 && matches!(header & 31, 1 | 5),
        (Codec::H265(_), [first, second, ..]) => {
            first & 0x81 == 0
                && matches!(first >> 1, 0..=9 | 16..=21)
                && second >> 3 == 0
                && second & 7 != 0
        }
        _ => false,
    }
}

/// What the plan says is what is built, in packets that a player takes.
fn packets(track: Arc<Track>, random_access: bool, data: Bytes) {
    let (received, wallclock) = (now(), SystemTime::UNIX_EPOCH);
    let bytes = data.len();
    let unit = AccessUnit { track, ticks: 0, received, wallclock, random_access, data };
    let plan = rtp::plan(&unit).expect("what passes can be sent");
    let (unit, media) = unit.split();
    let published = Published {
        unit,
        index: 0,
        first_seq: 65_535,
        packets: plan.packets,
        octets: plan.octets,
        rtp_time: 7,
        ssrc: 9,
        payload_type: 96,
        packets_before: 0,
        octets_before: 0,
        media,
    };
    let form = rtp::interleaved(&published);
    assert_eq!(form.len(), plan.wire_bytes());
    let (mut rest, mut sequence, mut octets) = (&form[..], 65_535_u16, 0);
    for packet in 1..=plan.packets {
        let (head, behind) = rest.split_at(4);
        assert_eq!(head[..2], [b'$', 0]);
        let (body, next) = behind.split_at(usize::from(u16::from_be_bytes([head[2], head[3]])));
        assert!((13..=limits::RTP_PACKET_BYTES).contains(&body.len()));
        assert_eq!((body[0], body[1] & 0x7f), (0x80, 96));
        assert_eq!(body[2..4], sequence.to_be_bytes());
        if packet == plan.packets {
            assert_eq!(body[1] >> 7, 1, "the last packet of a unit has the marker");
        }
        sequence = sequence.wrapping_add(1);
        octets += body.len() - 12;
        rest = next;
    }
    assert!(rest.is_empty());
    assert_eq!(octets, usize::try_from(plan.octets).unwrap());
    // Of a JPEG picture the packets carry tables in place of the head.
    assert!(form.len() + 1024 >= bytes, "the unit is in it");
}

/// Width and height in eighths, then pictures: what passes is in one form, with nothing beside the picture.
pub fn jpeg(data: &[u8]) {
    let mut input = Input::new(data);
    let (width, height) = (u16::from(input.byte()) * 8, u16::from(input.byte()) * 8);
    let Ok(size) = JpegParameters::new(width, height) else { return };
    let mut policy = Policy::new(track(Codec::Jpeg(size)));
    while let Some(picture) = input.piece() {
        let picture = Bytes::copy_from_slice(picture);
        let Ok(clean) = policy.clean(picture.clone()) else { continue };
        assert!(clean.random_access);
        // The Huffman tables may have been left out; they are always written.
        assert!(clean.data.len() <= picture.len() + 1024);
        let (head, coded) = JpegHead::split(&clean.data).expect("what passed can be split");
        assert_eq!(head.size, size);
        assert_segments(&clean.data[..clean.data.len() - coded.len()]);
        let scan = coded.strip_suffix(&[0xff, 0xd9]).expect("ends with the end of the image");
        let follows = |w: &[u8]| w[0] != 0xff || matches!(w[1], 0 | 0xd0..=0xd7);
        assert!(scan.windows(2).all(follows) && scan.last() != Some(&0xff));
        let counts = policy.counts().clone();
        let again = policy.clean(clean.data.clone()).expect("what passed once passes");
        assert_eq!(again.data.as_ptr(), clean.data.as_ptr(), "nothing is left to take out");
        assert_eq!(*policy.counts(), counts, "nothing is left to drop");
        packets(clean.track, true, clean.data);
    }
}

/// Start of image, and only segments that a decoder needs.
fn assert_segments(head: &[u8]) {
    let mut rest = head.strip_prefix(&[0xff, 0xd8]).expect("begins with the start of the image");
    while let Some((&[0xff, marker, high, low], behind)) = rest.split_first_chunk() {
        assert!(matches!(marker, 0xdb | 0xdd | 0xc0 | 0xc4 | 0xda), "{marker:02x}");
        rest = &behind[usize::from(u16::from_be_bytes([high, low])) - 2..];
    }
    assert!(rest.is_empty());
}

/// An AudioSpecificConfig behind its length in one byte, then AAC frames.
pub fn aac(data: &[u8]) {
    let mut input = Input::new(data);
    let length = usize::from(input.byte());
    let (config, rest) =
        data[data.len().min(1)..].split_at(length.min(data.len().saturating_sub(1)));
    let Ok(parameters) = AacParameters::new(config) else { return };
    assert_eq!(AacParameters::new(&parameters.config).as_ref(), Ok(&parameters), "ours is valid");
    assert!(matches!(parameters.channels, 1 | 2) && parameters.config.len() == 2);
    let mut policy = Policy::new(track(Codec::Aac(parameters)));
    let mut input = Input::new(rest);
    while let Some(frame) = input.piece() {
        let frame = Bytes::copy_from_slice(frame);
        let Ok(clean) = policy.clean(frame.clone()) else { continue };
        assert!(clean.random_access && (1..=frame.len()).contains(&clean.data.len()));
        let counts = policy.counts().clone();
        let again = policy.clean(clean.data.clone()).expect("what passed once passes");
        assert_eq!(again.data.as_ptr(), clean.data.as_ptr(), "nothing is left to take out");
        assert_eq!(*policy.counts(), counts, "nothing is left to drop");
        let changed = clean.data.as_ptr() != frame.as_ptr();
        let reasons = [DropReason::AacFill, DropReason::AacData, DropReason::AacTrailing];
        assert!(!changed || reasons.iter().any(|reason| counts.get(*reason) > 0));
        packets(clean.track, true, clean.data);
    }
}
