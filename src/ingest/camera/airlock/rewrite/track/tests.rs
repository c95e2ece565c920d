//! Numbers, sources and bounds of one track.

use std::time::Duration;

use super::*;

fn track(now: Instant) -> Track {
    Track::new(0, 0, Encoding::H264, 96, None, now)
}

fn packet(sequence: u16, timestamp: u32, source: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Rtp { marker: true, payload_type: 33, sequence, timestamp, source, payload }.write(0, &mut out);
    out[4..].to_vec()
}

fn numbers(out: &[u8]) -> Vec<u16> {
    let (mut numbers, mut rest) = (Vec::new(), out);
    while let [b'$', _, l0, l1, body @ ..] = rest {
        let (packet, tail) = body.split_at(usize::from(u16::from_be_bytes([*l0, *l1])));
        assert_eq!(packet[1] & 0x7f, 96);
        assert_eq!(packet[8..12], [0, 0, 0, 1]);
        numbers.push(u16::from_be_bytes([packet[2], packet[3]]));
        rest = tail;
    }
    numbers
}

#[test]
fn sequence_numbers_are_our_own_and_a_loss_is_one_gap() {
    let now = tokio::time::Instant::now().into_std();
    let (mut track, mut out, mut counts) = (track(now), BytesMut::new(), Counts::default());
    track.expect(Some(50));
    for (i, s) in [50, 51, 60, 59, 61, 5, 6, 7].into_iter().enumerate() {
        let timestamp = u32::try_from(i).unwrap();
        let _fate =
            track.media(&packet(s, timestamp, 7, b"\x41x"), now, &mut out, &mut counts).unwrap();
    }
    assert_eq!(numbers(&out), [1000, 1001, 1003, 1004, 1006, 1007]);
    assert_eq!((counts.lost, counts.dropped_sequence), (9, 2));
}

#[test]
fn leftovers_of_another_session_are_dropped_until_ours_is_silent() {
    let start = tokio::time::Instant::now().into_std();
    let (mut out, mut counts) = (BytesMut::new(), Counts::default());
    let mut track = Track::new(0, 0, Encoding::H264, 96, Some(8), start);
    let mut send = |sequence, source, ms| {
        let now = start + Duration::from_millis(ms);
        let ts = u32::try_from(ms).unwrap();
        track.media(&packet(sequence, ts, source, b"\x41x"), now, &mut out, &mut counts).unwrap()
    };
    assert_eq!(send(1, 7, 0), Fate::Passed);
    assert_eq!(send(100, 8, 10), Fate::Passed, "the announced source takes over");
    assert_eq!(send(2, 7, 20), Fate::Dropped);
    assert_eq!(send(101, 8, 30), Fate::Passed);
    assert_eq!(send(3, 9, 1000), Fate::Dropped);
    assert_eq!(send(4, 9, 1030), Fate::Passed);
    assert_eq!(counts.dropped_source, 2);
    assert_eq!(numbers(&out), [1000, 1002, 1003, 1005]);
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
        let result = track.media(&packet, now, &mut BytesMut::new(), &mut counts);
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
        track(now).media(
            &packet(1, 1, 7, &aggregate),
            now,
            &mut BytesMut::new(),
            &mut Counts::default(),
        )
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
        track.acknowledged();
        track.media(&packet(sequence, ts, 7, b"\x41x"), now, &mut BytesMut::new(), &mut counts)
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

#[test]
fn one_over_the_nals_that_become_nothing() {
    let start = tokio::time::Instant::now().into_std();
    let (mut track, mut counts) = (track(start), Counts::default());
    for i in 0..=limits::UNACKNOWLEDGED_NALS {
        // Slow enough for the unit rate, and each with marker and timestamp of its own.
        let now = start + Duration::from_millis(u64::try_from(i).unwrap() * 3);
        let (sequence, ts) = (u16::try_from(i & 0xffff).unwrap(), u32::try_from(i).unwrap());
        let payload = b"\x06 SEI";
        let result =
            track.media(&packet(sequence, ts, 7, payload), now, &mut BytesMut::new(), &mut counts);
        let over = i >= limits::UNACKNOWLEDGED_NALS;
        assert_eq!(result.is_err(), over, "{i}");
        if over {
            assert_eq!(result, Err(EndReason::Unacknowledged));
            return;
        }
    }
    unreachable!()
}

/// Fragments of a picture count as packets and as no NAL units, whatever their timestamps say.
#[test]
fn one_over_the_packets_of_pictures_that_never_end() {
    let now = tokio::time::Instant::now().into_std();
    let (mut track, mut counts) = (track(now), Counts::default());
    let mut send = |i: usize| {
        let half = limits::UNACKNOWLEDGED_PACKETS / 2;
        let begins = i.is_multiple_of(half);
        let fragment = [0x7c, if begins { 0x85 } else { 0x05 }];
        let (sequence, ts) = (u16::try_from(i).unwrap(), u32::try_from(i / half).unwrap());
        let mut packet = packet(sequence, ts, 7, &fragment);
        packet[1] &= 0x7f;
        track.media(&packet, now, &mut BytesMut::new(), &mut counts)
    };
    for i in 0..limits::UNACKNOWLEDGED_PACKETS {
        assert_eq!(send(i), Ok(Fate::Passed), "{i}");
    }
    assert_eq!(send(limits::UNACKNOWLEDGED_PACKETS), Err(EndReason::Unacknowledged));
}

#[test]
fn sender_reports_are_rebuilt_bounded_and_of_the_right_source() {
    let now = tokio::time::Instant::now().into_std();
    let (mut track, mut out, mut counts) = (track(now), BytesMut::new(), Counts::default());
    let report = |source| {
        let mut out = BytesMut::new();
        SenderReport { source, ntp: 1, timestamp: 2, packets: 3, octets: 4 }.write(0, &mut out);
        let mut compound = out[4..].to_vec();
        compound.extend(b"\x81\xca\0\x02MARKMARK");
        compound
    };
    track.control(&report(7), now, &mut out, &mut counts);
    assert!(out.is_empty(), "held until the first packet");
    track.media(&packet(1, 1, 7, b"\x41x"), now, &mut out, &mut counts).unwrap();
    assert_eq!(&out[..4], b"$\x01\0\x1c");
    assert_eq!(out[8..12], [0, 0, 0, 1], "our source");
    out.clear();
    track.control(&report(8), now, &mut out, &mut counts);
    assert!(out.is_empty());
    for _ in 0..20 {
        track.control(&report(7), now, &mut out, &mut counts);
    }
    assert_eq!(out.len(), 8 * 32, "ten a second, two were taken before");
    assert!(memchr::memmem::find(&out, b"MARK").is_none());
    assert_eq!((counts.sender_reports, counts.dropped_rtcp), (9, 13));
}
