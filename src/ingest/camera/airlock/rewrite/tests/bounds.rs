//! One over each bound of the connection: each ends with its own reason. Those of a unit are tested
//! beside [`super::super::track`].

use super::*;
use crate::wire::rtsp::Violation;

/// A lawful picture a tenth of a second, acknowledged, while `each` says more.
fn played(seconds: u32, mut each: impl FnMut(&mut Bench) -> Result<(), EndReason>) -> EndReason {
    let mut bench = Bench::playing(SDP);
    for tick in 0..seconds * 10 {
        let sequence = u16::try_from(tick).unwrap();
        let result = bench
            .says(&media(0, sequence, tick, [0x41; 1000].as_slice()))
            .map(|_| ())
            .and_then(|()| each(&mut bench))
            .and_then(|()| bench.wait(Duration::from_millis(100)));
        bench.rewriter.acknowledge(&[u64::from(tick) + 1; limits::TRACKS], bench.now);
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
    assert_eq!(bench.rewriter.counts().dropped_header, u64::from(limits::STRIKES) + 1);
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
        bench.rewriter.acknowledge(&[u64::try_from(sent).unwrap(); limits::TRACKS], bench.now);
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

#[test]
fn what_becomes_no_unit_is_bounded_by_bytes() {
    // Track 1 opens a unit and leaves it; track 0 streams lawfully: the open one pins the ring.
    let mut bench = Bench::playing(SDP);
    bench.says(&media(2, 1, 1, b"never given")).unwrap();
    let mut passed = 0;
    let reason = (1..).find_map(|n: u16| {
        let ahead = passed > limits::UNACKNOWLEDGED_PAUSE_BYTES;
        assert_eq!(bench.rewriter.is_ahead(), ahead, "{passed}");
        passed += 60_016;
        bench.rewriter.acknowledge(&[u64::from(n), 0, 0, 0], bench.now);
        let said = bench.says(&media(0, n, n.into(), &[0x41; 60_000]));
        bench.hears();
        said.err()
    });
    assert_eq!(reason, Some(EndReason::Unacknowledged));
    assert!((passed - limits::UNACKNOWLEDGED_BYTES) <= 60_016, "{passed}");
}

#[test]
fn early_media_is_held_only_so_far() {
    let mut bench = Bench::new();
    bench.described(SDP).unwrap();
    bench.set_up(0).unwrap();
    bench.says(&media(0, 1, 1, b"\x41too early")).unwrap();
    assert_eq!(bench.rewriter.counts().dropped_channel, 1);
    bench.asks("PLAY", "", "").unwrap();
    bench.hears();
    let size = 32 * 1024 - 16;
    for n in 2..12 {
        bench.says(&media(0, n, n.into(), &vec![0x41; size])).unwrap();
    }
    assert_eq!(bench.rewriter.counts().dropped_early, 3);
    bench.answers(200, "").unwrap();
    assert_eq!(bench.rewriter.counts().packets, 7);
    assert!(bench.hears().len() > limits::EARLY_MEDIA_BYTES);
}

#[test]
fn silence_and_slowness_have_names() {
    let mut bench = Bench::new();
    bench.asks("DESCRIBE", "", "").unwrap();
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
    bench.rewriter.acknowledge(&[1, 1, 0, 0], bench.now);
    let mut sound = 1;
    let stalled = loop {
        sound += 1;
        bench.rewriter.acknowledge(&[1, sound, 0, 0], bench.now);
        if let Err(reason) = bench.wait(Duration::from_millis(100)) {
            break reason;
        }
    };
    assert_eq!(stalled, EndReason::Stalled);

    // A frame in progress may pause as long as video may.
    let mut bench = Bench::playing(SDP);
    bench.says(&media(0, 1, 1, b"\x41whole")[..9]).unwrap();
    let began = bench.now;
    assert_eq!(bench.wait(Duration::from_secs(60)), Err(EndReason::SlowMessage));
    assert_eq!(bench.now - began, limits::CAMERA_STALL);
}

#[test]
fn a_trickle_of_lawful_units_is_no_stream() {
    let mut bench = Bench::playing(SDP);
    let began = bench.now;
    let reason = (1..).find_map(|n: u16| {
        let said = bench.says(&media(0, n, n.into(), b"\x41tiny"));
        bench.rewriter.acknowledge(&[n.into(); limits::TRACKS], bench.now);
        said.map(|_| ()).and_then(|()| bench.wait(Duration::from_millis(500))).err()
    });
    assert_eq!(reason, Some(EndReason::TooSlow));
    assert!(bench.now - began < limits::CAMERA_FLOOR_WINDOW + Duration::from_secs(1));
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
        bench.asks("DESCRIBE", "", "").unwrap();
        bench.wire();
        let location = "Location: rtsp://203.0.113.5/\r\n";
        assert_eq!(bench.answers(status, location), Err(reason));
        assert_eq!(bench.wire(), "", "never followed");
        assert!(bench.rewriter.teardown().is_none());
    }
}

#[test]
fn grammar_and_description_limits_end_the_session() {
    let say = |bytes: &[u8]| {
        let mut bench = Bench::new();
        bench.asks("DESCRIBE", "", "").unwrap();
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
        bench.set_up(0).unwrap();
        bench.asks("SETUP", "1", "Transport: RTP/AVP/TCP;interleaved=2-3\r\n").unwrap();
        bench.answers(200, &format!("Transport: {transport}\r\n")).err()
    };
    assert_eq!(set_up("RTP/AVP/TCP;interleaved=2-3"), None);
    assert_eq!(set_up("RTP/AVP/TCP;unicast"), None, "then those asked for");
    assert_eq!(set_up("RTP/AVP/TCP;interleaved=0-1"), Some(EndReason::ChannelConflict));
    assert_eq!(set_up("RTP/AVP/TCP;interleaved=1-2"), Some(EndReason::ChannelConflict));
    assert_eq!(set_up("RTP/AVP;unicast;client_port=4-5"), Some(EndReason::NotInterleaved));
    assert_eq!(set_up("RTP/SAVP/TCP;interleaved=2-3"), Some(EndReason::NotInterleaved));
}
