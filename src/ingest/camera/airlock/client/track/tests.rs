//! Numbers, sources and bounds of one track.

use std::time::Duration;

use super::*;
use crate::ingest::camera::airlock::client::tests::{Heard, report, rtp as packet};
use crate::ingest::camera::depacketise::{Encoding, Format};

const ROOM: usize = limits::ACCESS_UNIT_BYTES;

fn track(now: Instant) -> Track {
    announced(None, None, now)
}

fn announced(source: Option<u32>, sequence: Option<u16>, now: Instant) -> Track {
    let format =
        Format { encoding: Encoding::H264, clock_rate: 90_000, channels: None, parameters: None };
    let announced = Announced { payload_type: 96, source, sequence, timestamp: None };
    Track::new(0, Depacketiser::new(format).unwrap(), announced, now)
}

/// Of each unit, its timestamp, and whether packets were missing before it.
fn units(heard: &Heard) -> Vec<(i64, bool)> {
    heard.units.iter().map(|unit| (unit.frame.timestamp, unit.frame.lost)).collect()
}

#[test]
fn a_loss_is_told_once_and_what_goes_back_is_dropped() {
    let now = tokio::time::Instant::now().into_std();
    let (mut track, mut heard) = (announced(None, Some(50), now), Heard::default());
    let mut counts = Counts::default();
    for (i, s) in [50, 51, 60, 59, 61, 5, 6, 7].into_iter().enumerate() {
        let timestamp = u32::try_from(i).unwrap();
        let packet = packet(s, timestamp, 7, b"\x41x");
        track.media(&packet, ROOM, now, &mut heard, &mut counts).unwrap();
    }
    let expected = [(0, false), (1, false), (2, true), (4, false), (6, true), (7, false)];
    assert_eq!(units(&heard), expected);
    assert_eq!((counts.lost, counts.dropped_sequence), (9, 2));
}

#[test]
fn leftovers_of_another_session_are_dropped_until_ours_is_silent() {
    let start = tokio::time::Instant::now().into_std();
    let (mut heard, mut counts) = (Heard::default(), Counts::default());
    let mut track = announced(Some(8), None, start);
    let mut send = |sequence, source, ms| {
        let now = start + Duration::from_millis(ms);
        let packet = packet(sequence, u32::try_from(ms).unwrap(), source, b"\x41x");
        track.media(&packet, ROOM, now, &mut heard, &mut counts).unwrap()
    };
    assert_eq!(send(1, 7, 0), Fate::Passed);
    assert_eq!(send(100, 8, 10), Fate::Passed, "the announced source takes over");
    assert_eq!(send(2, 7, 20), Fate::Dropped);
    assert_eq!(send(101, 8, 30), Fate::Passed);
    assert_eq!(send(3, 9, 1000), Fate::Dropped);
    assert_eq!(send(4, 9, 1030), Fate::Passed);
    assert_eq!(counts.dropped_source, 2);
    assert_eq!(units(&heard), [(0, false), (10, true), (30, false), (1030, true)]);
}

#[test]
fn timestamps_wrap_and_go_back_and_reports_do_not_move_them() {
    let mut clock = RtpClock::new(None);
    assert_eq!(clock.advance(0xffff_fff0), 0xffff_fff0);
    assert_eq!(clock.advance(0x10), 0x1_0000_0010);
    assert_eq!(clock.place(0xffff_fff0), 0xffff_fff0);
    assert_eq!(clock.advance(0x20), 0x1_0000_0020);
    assert_eq!(clock.advance(0xffff_fff1), 0xffff_fff1);
    assert_eq!(clock.start, Some(0xffff_fff0));
    let mut clock = RtpClock::new(Some(5));
    assert_eq!((clock.advance(0xffff_fffe), clock.start), (-2, Some(5)));
}

/// Sends one unit of `packets` fragments with `body` each.
fn one_unit(body: usize, packets: usize) -> Result<Fate, EndReason> {
    let now = tokio::time::Instant::now().into_std();
    let (mut track, mut counts) = (track(now), Counts::default());
    let mut fragment = vec![0x41; body];
    fragment[0] = 0x7c;
    for i in 0..packets {
        fragment[1] = if i == 0 { 0x85 } else { 0x05 };
        let sequence = u16::try_from(i & 0xffff).unwrap();
        let mut packet = packet(sequence, 1, 7, &fragment);
        packet[1] &= 0x7f;
        let result = track.media(&packet, ROOM, now, &mut Heard::default(), &mut counts);
        if result.is_err() || i == packets - 1 {
            assert_eq!(i, packets - 1);
            return result;
        }
    }
    unreachable!()
}

#[test]
fn one_over_the_bytes_packets_and_nals_of_a_unit() {
    let (bytes, packets) = (limits::ACCESS_UNIT_BYTES, limits::ACCESS_UNIT_PACKETS);
    assert_eq!(one_unit(1024 - OVERHEAD, bytes / 1024), Ok(Fate::Passed));
    assert_eq!(one_unit(1024 - OVERHEAD, bytes / 1024 + 1), Err(EndReason::UnitBytes));
    assert_eq!(one_unit(2, packets), Ok(Fate::Passed));
    assert_eq!(one_unit(2, packets + 1), Err(EndReason::UnitPackets));

    let now = tokio::time::Instant::now().into_std();
    let unit = |nals: usize| {
        let mut aggregate = vec![0x18];
        aggregate.extend(b"\0\x01\x41".repeat(nals));
        let packet = packet(1, 1, 7, &aggregate);
        track(now).media(&packet, ROOM, now, &mut Heard::default(), &mut Counts::default())
    };
    assert_eq!(unit(512), Ok(Fate::Passed));
    assert_eq!(unit(513), Err(EndReason::UnitNals));
}

#[test]
fn one_over_the_units_a_second() {
    let now = tokio::time::Instant::now().into_std();
    let (mut track, mut counts) = (track(now), Counts::default());
    let mut send = |ts: u32, now| {
        let sequence = u16::try_from(ts).unwrap();
        let packet = packet(sequence, ts, 7, b"\x41x");
        track.media(&packet, ROOM, now, &mut Heard::default(), &mut counts)
    };
    for ts in 0..limits::UNITS_BURST {
        assert_eq!(send(ts, now), Ok(Fate::Passed));
    }
    assert_eq!(send(limits::UNITS_BURST, now), Err(EndReason::UnitRate));
    let later = now + Duration::from_secs(1);
    for ts in 0..limits::UNITS_PER_SECOND {
        assert_eq!(send(limits::UNITS_BURST + 1 + ts, later), Ok(Fate::Passed));
    }
    let next = limits::UNITS_BURST + 1 + limits::UNITS_PER_SECOND;
    assert_eq!(send(next, later), Err(EndReason::UnitRate));
}

/// What a track does with packets of which no unit comes: the fate of the last, how many were dropped, and whether the
/// next picture comes, marked as the first after it.
fn pending(packets: impl Iterator<Item = (u32, Vec<u8>)>) -> (Fate, u64, bool) {
    let start = tokio::time::Instant::now().into_std();
    let (mut track, mut counts, mut heard) = (track(start), Counts::default(), Heard::default());
    let (mut last, mut sequence, mut now) = (Fate::Passed, 0, start);
    let mut send = |ts, payload: &[u8], marker: u8, heard: &mut Heard, counts: &mut Counts| {
        // Slow enough for the unit rate.
        now += Duration::from_millis(3);
        let mut packet = packet(sequence, ts, 7, payload);
        packet[1] &= marker;
        sequence = sequence.wrapping_add(1);
        track.media(&packet, ROOM, now, heard, counts).unwrap()
    };
    let mut ts = 0;
    for (at, payload) in packets {
        ts = at;
        last = send(at, &payload, 0x7f, &mut heard, &mut counts);
    }
    assert!(heard.units.is_empty());
    send(ts + 1, b"\x65whole", 0xff, &mut heard, &mut counts);
    let after_drop = heard.units.iter().any(|unit| unit.frame.after_drop && unit.frame.lost);
    (last, counts.dropped_payload, after_drop)
}

#[test]
fn one_over_the_nals_that_become_nothing() {
    let sei = |n: usize| (0..n).map(|i| (u32::try_from(i).unwrap(), b"\x06 SEI".to_vec()));
    let most = limits::DEPACKETISER_NALS;
    assert_eq!(pending(sei(most - 1)), (Fate::Passed, 0, false));
    assert_eq!(pending(sei(most)), (Fate::Passed, 1, false), "the picture is one too many");
    assert_eq!(pending(sei(most + 1)), (Fate::Struck, 1, true));
}

/// Fragments of a picture count as packets and as no NAL units, whatever their timestamps say.
#[test]
fn one_over_the_packets_of_pictures_that_never_end() {
    let half = limits::DEPACKETISER_PACKETS / 2;
    let fragments = |n: usize| {
        (0..n).map(move |i| {
            let header = if i.is_multiple_of(half) { 0x85 } else { 0x05 };
            (u32::try_from(i / half).unwrap(), vec![0x7c, header])
        })
    };
    let (last, dropped, _) = pending(fragments(limits::DEPACKETISER_PACKETS));
    assert_eq!((last, dropped), (Fate::Passed, 1), "the next packet is one too many");
    let (last, dropped, _) = pending(fragments(limits::DEPACKETISER_PACKETS + 1));
    assert_eq!((last, dropped), (Fate::Struck, 1));
}

#[test]
fn what_the_depacketiser_refuses_costs_one_unit() {
    let now = tokio::time::Instant::now().into_std();
    let (mut track, mut counts, mut heard) = (track(now), Counts::default(), Heard::default());
    let mut send = |sequence, payload: &[u8]| {
        let packet = packet(sequence, u32::from(sequence), 7, payload);
        track.media(&packet, ROOM, now, &mut heard, &mut counts).unwrap()
    };
    assert_eq!(send(1, b"\x41x"), Fate::Passed);
    // Every check passes, and retina takes no such parameter sets.
    assert_eq!(send(2, b"\x18\0\x02\x67\xff\0\x02\x68\xff\0\x02\x65a"), Fate::Struck);
    assert_eq!(send(3, b"\x41y"), Fate::Passed);
    assert_eq!((counts.dropped_payload, counts.packets, counts.panics), (1, 2, 0));
    assert_eq!(units(&heard), [(1, false), (3, true)]);
    assert!(heard.units[1].frame.after_drop);
}

#[test]
fn sender_reports_are_bounded_and_of_the_right_source() {
    let now = tokio::time::Instant::now().into_std();
    let (mut track, mut heard, mut counts) = (track(now), Heard::default(), Counts::default());
    let report = |source| report(source, 1, 2, b"\x81\xca\0\x02MARKMARK");
    track.control(&report(7), now, &mut heard, &mut counts);
    assert!(heard.reports.is_empty(), "held until the first packet");
    let first = packet(1, 3, 7, b"\x41x");
    track.media(&first, ROOM, now, &mut heard, &mut counts).unwrap();
    assert_eq!(heard.reports, [ReportedTime { stream: 0, ntp: 1, timestamp: 2, at: now }]);
    track.control(&report(8), now, &mut heard, &mut counts);
    assert_eq!(heard.reports.len(), 1);
    for _ in 0..20 {
        track.control(&report(7), now, &mut heard, &mut counts);
    }
    assert_eq!(heard.reports.len(), 1 + 8, "ten a second, two were taken before");
    assert_eq!((counts.sender_reports, counts.dropped_rtcp), (9, 13));
}
