//! One over each bound of the connection: each ends with its own reason. Those of a unit are tested
//! beside [`super::super::track`].

use super::*;
use crate::wire::rtsp::Violation;

/// A picture every tenth of a second, while `each` says more.
fn played(seconds: u32, mut each: impl FnMut(&mut Bench) -> Result<(), EndReason>) -> EndReason {
    let mut bench = Bench::playing(SDP);
    for tick in 0..seconds * 10 {
        let sequence = u16::try_from(tick).unwrap();
        let result = bench
            .says(&media(0, sequence, tick, [0x41; 1000].as_slice()))
            .map(|_| ())
            .and_then(|()| each(&mut bench))
            .and_then(|()| bench.wait(Duration::from_millis(100)));
        if let Err(reason) = result {
            return reason;
        }
    }
    EndReason::Stopped
}

#[test]
fn a_lawful_session_goes_on() {
    assert_eq!(played(120, |_| Ok(())), EndReason::Stopped);
}

#[test]
fn what_is_not_media_has_a_budget() {
    let blanks = limits::OVERHEAD_BYTES_PER_SECOND / 10 - 100;
    let say = |bytes: Vec<u8>| move |bench: &mut Bench| bench.says(&bytes).map(|_| ());
    assert_eq!(played(20, say(b"\r\n".repeat(blanks / 2))), EndReason::Stopped);
    assert_eq!(played(20, say(b"\r\n".repeat(blanks))), EndReason::Overhead);
    let request = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n";
    assert_eq!(played(20, say(request.repeat(blanks / request.len()))), EndReason::Stopped);
    assert_eq!(played(20, say(request.repeat(blanks / request.len() * 2))), EndReason::Overhead);
    let stray = b"RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n";
    assert_eq!(played(20, say(stray.repeat(blanks / stray.len() * 2))), EndReason::Overhead);
    assert_eq!(played(20, say(frame(1, &[0; 1000]).repeat(blanks / 500))), EndReason::Overhead);
    assert_eq!(played(20, say(frame(200, &[0; 1000]).repeat(blanks / 500))), EndReason::Overhead);
    // Before PLAY only their number costs.
    let mut bench = Bench::new();
    for _ in 0..400 {
        bench.says(&frame(200, &[0; 1000])).unwrap();
    }
    let mut flood = (0..100_000).map(|_| bench.says(&frame(200, b"")));
    assert!(flood.any(|said| said == Err(EndReason::Overhead)));
}

#[test]
fn leftovers_of_an_old_session_do_not_end_a_new_one() {
    let mut sequence = 0;
    let reason = played(20, |bench| {
        for _ in 0..40 {
            sequence += 1;
            let mut packet = media(0, sequence, 1, &[0x41; 1300]);
            packet[12..16].copy_from_slice(b"old!");
            bench.says(&packet)?;
        }
        Ok(())
    });
    assert_eq!(reason, EndReason::Stopped);
}

#[test]
fn broken_packets_are_counted_out() {
    let mut bench = Bench::playing(SDP);
    for _ in 0..limits::STRIKES {
        bench.says(&frame(0, b"short")).unwrap();
    }
    assert_eq!(bench.says(&frame(0, b"short")), Err(EndReason::BadPackets));
    assert_eq!(bench.client.counts().dropped_header, u64::from(limits::STRIKES) + 1);
    // One a second is forgiven.
    let mut ticks = 0;
    let reason = played(200, |bench| {
        ticks += 1;
        if ticks % 10 == 0 { bench.says(&frame(0, b"short")).map(|_| ()) } else { Ok(()) }
    });
    assert_eq!(reason, EndReason::Stopped);
}

#[test]
fn bytes_a_second_are_bounded() {
    let mut bench = Bench::playing(SDP);
    let chunk = media(2, 1, 1, &[0; 50_000]);
    let mut sent = 0;
    let reason = loop {
        sent += chunk.len();
        let mut chunk = media(
            2,
            u16::try_from(sent / chunk.len()).unwrap(),
            u32::try_from(sent).unwrap(),
            &[0; 50_000],
        );
        chunk[2] = 0xc3;
        chunk[3] = 0x5c;
        if let Err(reason) = bench.says(&chunk) {
            break reason;
        }
        bench.hears();
    };
    assert_eq!(reason, EndReason::ByteRate);
    let cap = limits::CAMERA_BYTES_PER_SECOND;
    assert!(sent > cap - 60_000 && sent < cap + 60_000, "{sent}");
}

/// A unit on one track that never ends, and pictures on the other: all tracks together hold one unit, and no more.
#[test]
fn what_becomes_no_unit_is_bounded_by_bytes() {
    let second = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=2\r\n";
    let (first, _sound) = SDP.split_at(SDP.find("m=audio").unwrap());
    let mut bench = Bench::playing(&format!("{first}{second}"));
    let fragment = |header: u8, length: usize, sequence| {
        let mut packet =
            media(2, sequence, 1, &[&[0x7c, header], &vec![0x41; length - 2][..]].concat());
        packet[5] &= 0x7f;
        packet
    };
    bench.says(&fragment(0x85, 50_000, 0)).unwrap();
    for n in 1..limits::ACCESS_UNIT_BYTES / 50_000 {
        bench.says(&fragment(0x05, 50_000, u16::try_from(n).unwrap())).unwrap();
    }
    let room = limits::ACCESS_UNIT_BYTES % 50_000;
    bench.says(&media(0, 1, 1, &vec![0x41; room])).unwrap();
    assert_eq!(bench.hears().len(), 1);
    // One over: it costs this picture, and the session goes on.
    bench.says(&media(0, 2, 2, &vec![0x41; room + 1])).unwrap();
    assert_eq!((bench.hears().len(), bench.client.counts().dropped_payload), (0, 1));
    bench.says(&media(0, 3, 3, &vec![0x41; room])).unwrap();
    let after = bench.hears();
    assert!(after[0].frame.after_drop && after[0].frame.lost);
}

/// Without markers a picture ends where the next begins. What never is a picture (SEI) costs a depacketiser now and then.
#[test]
fn ten_minutes_without_a_marker_hold_no_more_than_one_unit() {
    for (header, units, drops) in [(0x41, 5_999, 0..1), (0x06, 0, 150..200)] {
        let mut bench = Bench::playing(SDP);
        let mut given = 0;
        for n in 0..6_000_u16 {
            let mut packet = media(0, n, u32::from(n) * 9_000, &[header; 60_000]);
            packet[5] &= 0x7f;
            bench.says(&packet).unwrap();
            given += bench.hears().len();
            assert!(bench.held() <= limits::ACCESS_UNIT_BYTES, "{}", bench.held());
            bench.now += Duration::from_millis(100);
        }
        let dropped = bench.client.counts().dropped_payload;
        assert_eq!((given, drops.contains(&dropped)), (units, true), "{dropped}");
    }
}

#[test]
fn early_media_is_held_only_so_far() {
    let mut bench = Bench::new();
    bench.described(SDP).unwrap();
    bench.set_up().unwrap();
    bench.says(&media(0, 1, 1, b"\x41too early")).unwrap();
    assert_eq!(bench.client.counts().dropped_channel, 1);
    bench.set_up().unwrap();
    let size = 32 * 1024 - 16;
    for n in 2..12 {
        bench.says(&media(0, n, n.into(), &vec![0x41; size])).unwrap();
    }
    assert_eq!(bench.client.counts().dropped_early, 3);
    bench.play("").unwrap();
    assert!(bench.hears().is_empty());
    bench.says(b"").unwrap();
    assert_eq!(bench.client.counts().packets, 7);
    assert_eq!(bench.hears().len(), 7);
}

#[test]
fn silence_and_slowness_have_names() {
    let mut bench = Bench::new();
    assert_eq!(bench.wait(limits::CAMERA_ANSWER * 2), Err(EndReason::NoAnswer));

    let mut bench = Bench::new();
    bench.says(b"RTSP/1.0 20").unwrap();
    let began = bench.now;
    let slow = loop {
        bench.says(b"0").unwrap();
        if let Err(reason) = bench.wait(Duration::from_millis(500)) {
            break reason;
        }
    };
    assert_eq!((slow, bench.now - began), (EndReason::SlowMessage, limits::CAMERA_MESSAGE));

    let mut bench = Bench::playing(SDP);
    let began = bench.now;
    assert_eq!(bench.wait(Duration::from_secs(60)), Err(EndReason::NoFirstUnit));
    assert!(bench.now - began <= limits::CAMERA_FIRST_UNIT + Duration::from_millis(300));

    // Sound alone does not keep video alive.
    let mut bench = Bench::playing(SDP);
    bench.says(&media(0, 1, 1, b"\x41picture")).unwrap();
    let stalled = (1..).find_map(|n: u16| {
        bench.says(&media(2, n, n.into(), b"sound")).unwrap();
        bench.wait(Duration::from_millis(100)).err()
    });
    assert_eq!(stalled, Some(EndReason::Stalled));

    // A frame in progress may pause as long as video may.
    let mut bench = Bench::playing(SDP);
    bench.says(&media(0, 1, 1, b"\x41whole")[..9]).unwrap();
    let began = bench.now;
    assert_eq!(bench.wait(Duration::from_secs(60)), Err(EndReason::SlowMessage));
    assert_eq!(bench.now - began, limits::CAMERA_STALL);
}

#[test]
fn answers_that_are_no_consent_have_names() {
    for (status, reason) in [
        (301, EndReason::Redirected),
        (302, EndReason::Redirected),
        (403, EndReason::Forbidden),
        (404, EndReason::NotFound),
        (453, EndReason::Busy),
        (461, EndReason::NotInterleaved),
        (500, EndReason::Status(500)),
        (503, EndReason::Busy),
    ] {
        let mut bench = Bench::new();
        bench.wire();
        let location = "Location: rtsp://203.0.113.5/\r\n";
        assert_eq!(bench.answers(status, location), Err(reason));
        assert_eq!(bench.wire(), "", "never followed");
        assert!(bench.client.teardown().is_none());
    }
}

#[test]
fn grammar_and_description_limits_end_the_session() {
    let say = |bytes: &[u8]| {
        let mut bench = Bench::new();
        bench.says(bytes).err()
    };
    let endless = format!("RTSP/1.0 200 OK\r\nX: {}", "x".repeat(limits::RTSP_HEAD_BYTES));
    assert_eq!(say(endless.as_bytes()), Some(EndReason::Grammar(Violation::HeadTooLong)));
    let many = format!("RTSP/1.0 200 OK\r\n{}", "A: b\r\n".repeat(limits::RTSP_HEADERS + 1));
    assert_eq!(say(many.as_bytes()), Some(EndReason::Grammar(Violation::TooManyHeaders)));
    let huge = b"RTSP/1.0 200 OK\r\nContent-Length: 4000000000\r\n\r\n";
    assert_eq!(say(huge), Some(EndReason::Grammar(Violation::BodyTooLong)));
    assert_eq!(say(b"HTTP/1.1 200 OK\r\n\r\n"), Some(EndReason::Grammar(Violation::NotRtsp)));
    let media = "m=video 0 RTP/AVP 96\r\n".repeat(limits::SDP_MEDIA + 1);
    assert_eq!(Bench::new().described(&media), Err(EndReason::Description));
}

#[test]
fn channels_must_be_interleaved_and_apart() {
    let set_up = |transport: &str| {
        let mut bench = Bench::new();
        bench.described(SDP).unwrap();
        bench.set_up().unwrap();
        bench.answers(200, &format!("Transport: {transport}\r\n")).err()
    };
    assert_eq!(set_up("RTP/AVP/TCP;interleaved=2-3"), None);
    assert_eq!(set_up("RTP/AVP/TCP;unicast"), None, "then those asked for");
    assert_eq!(set_up("RTP/AVP/TCP;interleaved=0-1"), Some(EndReason::ChannelConflict));
    assert_eq!(set_up("RTP/AVP/TCP;interleaved=1-2"), Some(EndReason::ChannelConflict));
    assert_eq!(set_up("RTP/AVP;unicast;client_port=4-5"), Some(EndReason::NotInterleaved));
    assert_eq!(set_up("RTP/SAVP/TCP;interleaved=2-3"), Some(EndReason::NotInterleaved));
}
