//! Our packets against their own plan, and against retina's depacketisers (an independent oracle).

mod jpeg;
mod oracle;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use self::jpeg::{JPEG_420, jpeg, jpeg_of};
use super::*;
use crate::media::{
    AacParameters, G726, G726Packing, G726Rate, H264Parameters, H265Parameters, Track,
};

// Of x264 and x265 at 320 x 240, made with ffmpeg.
const H264_SPS: &str = "6764000cacd94141fb011000000300100000030140f1429960";
const H264_PPS: &str = "68ebe3cb22c0";
const H265_VPS: &str = "40010c01ffff01600000030090000003000003003c959809";
const H265_SPS: &str =
    "42010101600000030090000003000003003ca00a080f165959a4932bc05a020000030002000003001410";
const H265_PPS: &str = "4401c172b46240";

fn hex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn h264() -> Codec {
    Codec::H264(H264Parameters {
        sps: hex(H264_SPS),
        pps: hex(H264_PPS),
        profile: 100,
        constraints: 0,
        level: 12,
        width: 320,
        height: 240,
        bit_depth: 8,
        chroma_format_idc: 1,
    })
}

fn h265() -> Codec {
    Codec::H265(H265Parameters {
        vps: hex(H265_VPS),
        sps: hex(H265_SPS),
        pps: hex(H265_PPS),
        profile: 1,
        level: 60,
        width: 320,
        height: 240,
        bit_depth: 8,
        chroma_format_idc: 1,
    })
}

fn aac() -> Codec {
    Codec::Aac(AacParameters {
        config: Bytes::from_static(&[0x11, 0x90]),
        object_type: 2,
        sample_rate: 48_000,
        channels: 2,
        frame_length: 1024,
    })
}

fn clock_rate(codec: &Codec) -> u32 {
    match codec {
        Codec::H264(_) | Codec::H265(_) | Codec::Jpeg(_) => 90_000,
        Codec::Aac(_) => 48_000,
        Codec::Pcma { .. } | Codec::Pcmu { .. } | Codec::G726(_) => 8_000,
        Codec::L16 { .. } => 44_100,
    }
}

fn g726(rate: G726Rate) -> Codec {
    Codec::G726(G726 { rate, packing: G726Packing::Rfc3551 })
}

fn unit(codec: Codec, random_access: bool, data: Bytes) -> AccessUnit {
    let clock_rate = clock_rate(&codec);
    AccessUnit {
        track: Arc::new(Track { id: TrackId(0), codec, clock_rate }),
        ticks: 0,
        received: tokio::time::Instant::now().into_std(),
        wallclock: UNIX_EPOCH,
        random_access,
        data,
    }
}

fn published(unit: AccessUnit, first_seq: u16, rtp_time: u32) -> Published {
    let plan = plan(&unit).unwrap_or_default();
    let (unit, media) = unit.split();
    Published {
        payload_type: payload_type(unit.track.id, &unit.track.codec, unit.track.clock_rate),
        index: 0,
        first_seq,
        packets: plan.packets,
        octets: plan.octets,
        rtp_time,
        ssrc: 0x0123_4567,
        packets_before: 7,
        octets_before: 4711,
        media,
        unit,
    }
}

/// Samples that count up.
fn unit_of(codec: Codec, length: usize) -> AccessUnit {
    unit(codec, true, (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect())
}

/// NAL units with these headers and lengths; no byte is 0, so that nothing looks like a start code.
fn picture(codec: &Codec, random_access: bool, lengths: &[usize]) -> Bytes {
    let mut data = BytesMut::new();
    for (n, length) in lengths.iter().enumerate() {
        let header: &[u8] = match (codec, random_access) {
            (Codec::H264(_), true) => &[0x65],
            (Codec::H264(_), false) => &[0x41],
            (_, true) => &[0x26, 0x01],
            (_, false) => &[0x02, 0x01],
        };
        data.put_u32(u32::try_from(*length).unwrap());
        data.put_slice(header);
        data.extend((header.len()..*length).map(|i| u8::try_from((i * 7 + n) % 255 + 1).unwrap()));
    }
    data.freeze()
}

/// The RTP packets of a form, after a check of its framing.
fn packets(form: &[u8]) -> Vec<&[u8]> {
    let mut rest = form;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        assert_eq!(rest[0], b'$');
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        packets.push(&rest[4..4 + length]);
        rest = &rest[4 + length..];
    }
    packets
}

/// Builds the form and holds it against the plan.
fn checked_form(unit: &AccessUnit) -> Option<Bytes> {
    let plan = plan(unit)?;
    let published = published(unit.clone(), 65_530, 1_000);
    let form = interleaved(&published);
    assert_eq!(form.len(), plan.wire_bytes());
    let packets = packets(&form);
    assert_eq!(packets.len(), usize::try_from(plan.packets).unwrap());
    let octets: usize = packets.iter().map(|packet| packet.len() - 12).sum();
    assert_eq!(octets, usize::try_from(plan.octets).unwrap());
    let mut seq = 65_530_u16;
    for packet in &packets {
        assert!(packet.len() <= limits::RTP_PACKET_BYTES && packet.len() > 12);
        assert_eq!(packet[0], 0x80);
        assert_eq!(u16::from_be_bytes([packet[2], packet[3]]), seq);
        assert_eq!(packet[8..12], 0x0123_4567_u32.to_be_bytes());
        seq = seq.wrapping_add(1);
    }
    if unit.track.kind() == crate::media::TrackKind::Video {
        let marked: Vec<bool> = packets.iter().map(|packet| packet[1] & 0x80 != 0).collect();
        assert!(marked[marked.len() - 1] && !marked[..marked.len() - 1].contains(&true));
    }
    Some(form)
}

#[test]
fn plan_and_form_agree_on_any_bytes() {
    let length = prop_oneof![0_usize..6, 1380_usize..1400, 2760_usize..2790, 0_usize..20_000];
    let input = (
        prop_oneof![
            Just(h264()),
            Just(h265()),
            Just(aac()),
            Just(jpeg()),
            Just(Codec::Pcma { channels: 2 }),
            Just(Codec::Pcmu { channels: 1 }),
            Just(g726(G726Rate::Kbit40)),
            Just(Codec::L16 { channels: 2 })
        ],
        any::<bool>(),
        prop::collection::vec(length, 0..6),
        prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    );
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(256) });
    runner
        .run(&input, |(codec, random_access, lengths, damage)| {
            let min = if matches!(codec, Codec::H265(_)) { 2 } else { 1 };
            let lengths: Vec<usize> = lengths.into_iter().map(|length| length.max(min)).collect();
            let mut data = picture(&codec, random_access, &lengths).to_vec();
            if matches!(codec, Codec::Jpeg(_)) {
                data = jpeg_of(lengths.iter().sum::<usize>() + 2).data.to_vec();
            }
            if let Some((at, with)) = damage
                && !data.is_empty()
            {
                let at = at.index(data.len());
                data[at] = with;
            }
            checked_form(&unit(codec, random_access, data.into()));
            Ok(())
        })
        .unwrap();
}

#[test]
fn packets_end_at_the_limit() {
    for (codec, fits) in [(h264(), 1388), (h265(), 1388)] {
        for (length, count) in [(fits, 1), (fits + 1, 2)] {
            let data = picture(&codec, false, &[length]);
            assert_eq!(plan(&unit(codec.clone(), false, data)).unwrap().packets, count);
        }
    }
    // The first packet has 8 bytes of header and 132 of tables, each other 8.
    for (length, count) in [(1248, 1), (1249, 2), (1248 + 1380, 2), (1248 + 1381, 3)] {
        assert_eq!(plan(&jpeg_of(length)).unwrap().packets, count);
    }
    for (length, count) in [(1384, 1), (1385, 2), (8191, 6)] {
        let unit = unit(aac(), true, vec![1; length].into());
        assert_eq!(plan(&unit).unwrap().packets, count);
    }
    for (codec, length, count) in [
        (Codec::Pcma { channels: 2 }, 1388, 1),
        (Codec::Pcma { channels: 2 }, 1390, 2),
        (g726(G726Rate::Kbit32), 1388, 1),
        (g726(G726Rate::Kbit32), 1389, 2),
        (g726(G726Rate::Kbit24), 1386, 1),
        (g726(G726Rate::Kbit24), 1389, 2),
        (g726(G726Rate::Kbit40), 1385, 1),
        (g726(G726Rate::Kbit40), 1390, 2),
        (Codec::L16 { channels: 2 }, 1388, 1),
        (Codec::L16 { channels: 2 }, 1392, 2),
    ] {
        let unit = unit(codec.clone(), true, vec![1; length].into());
        assert_eq!(plan(&unit).unwrap().packets, count, "{codec:?}, {length} bytes");
    }
}

#[test]
fn what_has_no_form_has_no_plan() {
    let truncated = picture(&h264(), false, &[10]).slice(..12);
    for (codec, data) in [
        (h264(), Bytes::new()),
        (h264(), truncated),
        (h264(), Bytes::from_static(&[0, 0, 0, 0])),
        (h264(), Bytes::from_static(&[0, 0, 0, 1, 0x41, 0])),
        (h265(), Bytes::from_static(&[0, 0, 0, 1, 0x02])),
        (jpeg(), Bytes::new()),
        (jpeg(), Bytes::from_static(&JPEG_420[..600])),
        (aac(), Bytes::new()),
        (aac(), vec![1; 8192].into()),
        (Codec::Pcma { channels: 1 }, Bytes::new()),
        (Codec::Pcma { channels: 2 }, Bytes::from_static(&[1, 2, 3])),
        (g726(G726Rate::Kbit24), Bytes::from_static(&[1, 2])),
        (g726(G726Rate::Kbit40), Bytes::from_static(&[1, 2, 3, 4, 5, 6])),
        (Codec::L16 { channels: 1 }, Bytes::from_static(&[1])),
        (Codec::L16 { channels: 2 }, Bytes::from_static(&[1, 2])),
    ] {
        assert_eq!(plan(&unit(codec.clone(), true, data)), None, "{codec:?}");
    }
}

#[test]
fn payload_types_are_static_only_where_rfc_3551_says_so() {
    let pcma = |channels| Codec::Pcma { channels };
    assert_eq!(payload_type(TrackId(1), &pcma(1), 8_000), 8);
    assert_eq!(payload_type(TrackId(1), &Codec::Pcmu { channels: 1 }, 8_000), 0);
    assert_eq!(payload_type(TrackId(1), &pcma(2), 8_000), 97);
    assert_eq!(payload_type(TrackId(1), &pcma(1), 16_000), 97);
    assert_eq!(payload_type(TrackId(0), &h264(), 90_000), 96);
    assert_eq!(payload_type(TrackId(0), &jpeg(), 90_000), 26);
    let l16 = |channels| Codec::L16 { channels };
    assert_eq!(payload_type(TrackId(1), &l16(2), 44_100), 10);
    assert_eq!(payload_type(TrackId(1), &l16(1), 44_100), 11);
    assert_eq!(payload_type(TrackId(1), &l16(1), 48_000), 97);
    // 2 was G.721 once and is reserved now (RFC 3551 6).
    assert_eq!(payload_type(TrackId(1), &g726(G726Rate::Kbit32), 8_000), 97);
}

#[test]
fn a_split_block_of_samples_advances_its_timestamps() {
    let unit = unit(Codec::Pcmu { channels: 2 }, true, vec![1; 3000].into());
    let form = interleaved(&published(unit, 0, u32::MAX));
    let times: Vec<_> = packets(&form)
        .iter()
        .map(|packet| u32::from_be_bytes(packet[4..8].try_into().unwrap()))
        .collect();
    assert_eq!(times, [u32::MAX, 693, 1387]);
    // Eight samples of 3 bits are 3 octets; 1,386 octets are 3,696 samples.
    let unit = unit_of(g726(G726Rate::Kbit24), 1389);
    let form = interleaved(&published(unit, 0, 0));
    let last = packets(&form)[1];
    assert_eq!(last[4..8], 3696_u32.to_be_bytes());
    assert_eq!(last.len(), 12 + 3);
}

#[test]
fn another_channel_changes_nothing_else() {
    let unit = unit(h264(), true, picture(&h264(), true, &[5000, 3]));
    let form = interleaved(&published(unit, 0, 0));
    let patched = on_channel(&form, 9);
    assert_eq!(packets(&form), packets(&patched));
    let channels: Vec<_> = packets(&patched)
        .iter()
        .scan(0, |at, packet| {
            let channel = patched[*at + 1];
            *at += 4 + packet.len();
            Some(channel)
        })
        .collect();
    assert_eq!(channels, [9; 6]);
    assert_eq!(on_channel(&patched, 0), form);
}

#[test]
fn a_sender_report_reads_as_rfc_3550_says() {
    let mut unit = unit(h264(), false, picture(&h264(), false, &[5]));
    unit.wallclock = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    let published = published(unit, 0, 0xaabb_ccdd);
    let report = sender_report(&ReportPoint::before(&published), 1, "gw");
    let expected = "2401002c\
        80c80006 01234567 e8fe6f80 80000000 aabbccdd 00000007 00001267\
        81ca0003 01234567 01026777 00000000";
    assert_eq!(report, hex(&expected.replace(' ', "")));
    for length in 0..300 {
        let report = sender_report(&ReportPoint::before(&published), 1, &"é".repeat(length));
        assert_eq!(report.len() % 4, 0);
        assert_eq!(usize::from(u16::from_be_bytes([report[2], report[3]])), report.len() - 4);
        let words = usize::from(u16::from_be_bytes([report[34], report[35]]));
        assert_eq!(32 + 4 + words * 4, report.len());
        assert_eq!(usize::from(report[41]), (2 * length).min(254));
    }
}
