//! Valid sessions: what is on the wire, what comes out.

use super::*;
use crate::ingest::camera::airlock::JpegForm;
use crate::ingest::camera::depacketise::{Encoding, Format};
use crate::media::G726;

/// The formats of the tracks that the described session would set up.
fn formats(bench: &Bench) -> Vec<Format> {
    let described = bench.client.described.as_ref().unwrap();
    described.media.iter().map(|media| media.format.clone()).collect()
}

#[test]
fn a_plain_session() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.wire(),
        "DESCRIBE rtsp://192.0.2.7:554/live?channel=1&sub=0 RTSP/1.0\r\nCSeq: 1\r\n\
         User-Agent: Camlock\r\nAccept: application/sdp\r\n\r\n"
    );
    let head =
        "Content-Base: rtsp://192.0.2.7/live/\r\nContent-Type: application/sdp; charset=utf-8";
    let sdp = &SDP[..SDP.find("m=audio").unwrap()];
    let answer =
        format!("RTSP/1.0 200 OK\nCSeq: 1\n{head}\nContent-Length: {}\n\n{sdp}", sdp.len());
    bench.says(answer.as_bytes()).unwrap();
    assert_eq!(
        bench.wire(),
        "SETUP rtsp://192.0.2.7/live/trackID=1 RTSP/1.0\r\nCSeq: 2\r\nUser-Agent: Camlock\r\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    // Odd channels, and a session id of its own.
    let odd =
        "Transport: RTP/AVP/TCP;unicast;interleaved=5-7;ssrc= 9\r\nSession:  abc ; timeout=10\r\n";
    bench.answers(200, odd).unwrap();
    assert_eq!(
        bench.wire(),
        "PLAY rtsp://192.0.2.7/live/ RTSP/1.0\r\nCSeq: 3\r\nUser-Agent: Camlock\r\n\
         Range: npt=0.000-\r\nSession: abc\r\n\r\n"
    );
    let tracks = bench.client.tracks();
    assert_eq!(tracks.len(), 1);
    assert_eq!((tracks[0].stream, tracks[0].media), (0, 0));
    assert_eq!((tracks[0].encoding, tracks[0].clock_rate), (Encoding::H264, 90_000));
    assert_eq!(tracks[0].codec, None, "the description has none");
    // Media before the answer is held.
    bench.says(&media(5, 700, 90, b"\x65early")).unwrap();
    let answer = "RTP-Info: url=trackID=1;seq=699;rtptime=90\r\n";
    assert_eq!(bench.play(answer), Ok(Next::Play));
    assert_eq!(bench.client.starts(), Some(Starts::Announced));
    assert!(bench.hears().is_empty(), "nobody has looked at the tracks yet");
    bench.says(&media(5, 701, 180, b"\x41more")).unwrap();
    let heard = bench.hears();
    let frames: Vec<_> = heard.iter().map(|unit| (unit.start, &unit.frame)).collect();
    assert_eq!((frames[0].0, frames[0].1.timestamp, frames[0].1.lost), (Some(90), 90, true));
    assert_eq!(&frames[0].1.data[..], b"\0\0\0\x06\x65early");
    assert_eq!((frames[1].0, frames[1].1.timestamp, frames[1].1.lost), (Some(90), 180, false));
    assert_eq!(&frames[1].1.data[..], b"\0\0\0\x05\x41more");
}

/// Starts are the same moment on all tracks only if the camera says them of all.
#[test]
fn starts_are_those_of_the_answer_to_play() {
    let start = |headers: &str| {
        let mut bench = Bench::new();
        bench.described(SDP).unwrap();
        bench.set_up().unwrap();
        bench.set_up().unwrap();
        bench.play(headers).unwrap();
        bench.says(&media(0, 1, 5, b"\x65picture")).unwrap();
        (bench.client.starts().unwrap(), bench.hears()[0].start, bench.heard.units.len())
    };
    let both = "RTP-Info: url=trackID=1;rtptime=4294967290,url=trackID=2;rtptime=9\r\n";
    assert_eq!(start(both), (Starts::Announced, Some(4_294_967_290), 0));
    let one = "RTP-Info: url=trackID=1;rtptime=4294967290\r\n";
    assert_eq!(start(one), (Starts::Unknown, Some(5), 0));
    assert_eq!(start(""), (Starts::Unknown, Some(5), 0));
}

#[test]
fn urls_on_the_wire_are_joined_as_cameras_expect() {
    let url = |base: &str, control: &str| {
        let base = format!("Content-Base: {base}\r\n");
        let sdp = SDP.replace("trackID=1", control);
        let mut bench = Bench::new();
        bench.wire();
        let text = format!("RTSP/1.0 200 OK\r\n{base}Content-Length: {}\r\n\r\n{sdp}", sdp.len());
        bench.says(text.as_bytes()).unwrap();
        bench.wire().split(' ').nth(1).unwrap().to_owned()
    };
    for (base, control, wanted) in [
        ("rtsp://a/b/", "trackID=1", "rtsp://a/b/trackID=1"),
        ("rtsp://a/b", "trackID=1", "rtsp://a/b/trackID=1"),
        ("rtsp://a/b?x=1&proto=Onvif", "t=0", "rtsp://a/b?x=1&proto=Onvif/t=0"),
        ("192.0.2.9:554/b", "t", "rtsp://192.0.2.9:554/b/t"),
        ("rtsp://a/b/", "video:1", "rtsp://a/b/video:1"),
        ("rtsp://a/b/", "rtsp://203.0.113.5/x/t", "rtsp://203.0.113.5/x/t"),
        ("rtsp://a/b/", "http://203.0.113.5/x", "rtsp://a/b/http://203.0.113.5/x"),
        ("rtsp://a/b/", "*", "rtsp://a/b/"),
        ("rtsps://a/b/", "trackID=1", "rtsps://a/b/trackID=1"),
        ("rtsps://a/b/", "rtsps://203.0.113.5/x/t", "rtsps://203.0.113.5/x/t"),
    ] {
        assert_eq!(url(base, control), wanted);
    }
}

#[test]
fn only_what_has_a_depacketiser_is_taken() {
    let sdp = "v=0\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n\
        m=video 0 RTP/AVP  \r\n\
        m=video 0 RTP/AVP 28\r\n\
        m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\n\
        m=video 0 RTP/AVP 97\r\na=rtpmap:97 H265/90000\r\na=control:v\r\na=framerate:12.5\r\n\
        a=fmtp:97 sprop-vps=QAEM; sprop-sps=QgEB ;sprop-pps=!;x\r\n\
        m=audio 0 RTP/AVP 98\r\na=rtpmap:98 mpeg4-generic/16000/1\r\na=control:a\r\n\
        a=fmtp:98 mode=AAC-hbr; config=1408; SizeLength=13; IndexLength=3; IndexDeltaLength=3;\r\n\
        m=audio 0 RTP/AVP 0\r\na=sendonly\r\na=control:back\r\n";
    let mut bench = Bench::new();
    bench.described(sdp).unwrap();
    let taken = formats(&bench);
    let h265 = Format {
        encoding: Encoding::H265,
        clock_rate: 90_000,
        channels: None,
        parameters: Some("sprop-vps=QAEM;sprop-sps=QgEB".into()),
    };
    let aac = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408";
    let aac = Format {
        encoding: Encoding::Aac,
        clock_rate: 16_000,
        channels: Some(1),
        parameters: Some(aac.into()),
    };
    assert_eq!(taken, [h265, aac]);
    let described = bench.client.described.as_ref().unwrap();
    let sections: Vec<_> = described.media.iter().map(|media| media.section).collect();
    assert_eq!(sections, [4, 5]);
    assert_eq!(bench.client.counts().dropped_sections, 5);
    let kinds = Kinds { video: true, audio: false };
    let mut bench = Bench::with(&Request { kinds, ..request() }, LoginMemory::Nothing);
    bench.described(sdp).unwrap();
    assert_eq!(formats(&bench).len(), 1);
    let none = "v=0\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n";
    assert_eq!(Bench::new().described(none), Err(EndReason::NoUsableMedia));
    let first = sdp.replace("H265/90000", "VP8/90000").replace("AAC-hbr", "AAC-lbr");
    assert_eq!(Bench::new().described(&first), Err(EndReason::NoUsableMedia));
}

#[test]
fn jpeg_is_the_only_video_beside_it() {
    let jpeg = "m=video 0 RTP/AVP 26\r\na=control:j\r\n";
    let mapped = "m=video 0 RTP/AVP 98\r\na=rtpmap:98 jpeg/90000\r\na=control:m\r\n";
    let h264 = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:h\r\n";
    let sound = "m=audio 0 RTP/AVP 8\r\na=control:a\r\n";
    let taken = |sections: &[&str]| {
        let mut bench = Bench::new();
        bench.described(&format!("v=0\r\n{}", sections.concat())).unwrap();
        let encodings: Vec<_> = formats(&bench).iter().map(|format| format.encoding).collect();
        (encodings, bench.client.counts().dropped_sections)
    };
    let alone = vec![Encoding::Jpeg, Encoding::Pcma];
    assert_eq!(taken(&[jpeg, sound]), (alone.clone(), 0));
    assert_eq!(taken(&[mapped, h264, sound, jpeg]), (alone, 2));
    let others = vec![Encoding::Pcma, Encoding::H264, Encoding::H264];
    assert_eq!(taken(&[sound, h264, jpeg, h264]), (others, 1));
}

#[test]
fn a_jpeg_picture_that_rtp_cannot_tell_ends_the_session_by_name() {
    let mut bench = Bench::playing("v=0\r\nm=video 0 RTP/AVP 26\r\na=control:j\r\n");
    bench.says(&media(0, 1, 1, &[0, 0, 0, 0, 1, 80, 255, 135, 1, 2])).unwrap();
    let wide = bench.says(&media(0, 2, 2, &[0, 0, 0, 0, 1, 80, 0, 135, 1, 2]));
    let Err(reason) = wide else { panic!("taken") };
    assert_eq!(reason, EndReason::Jpeg(JpegForm::Side));
    assert!(reason.to_string().contains("over 2040 pixels"), "{reason}");
}

#[test]
fn samples_are_taken_at_known_rates_and_channels() {
    let taken = |map: &str, payload_type: u8| {
        let sdp = format!("v=0\r\nm=audio 0 RTP/AVP {payload_type}\r\n{map}a=control:a\r\n");
        let mut bench = Bench::new();
        bench.described(&sdp).ok()?;
        let format = formats(&bench).remove(0);
        assert!(bench.set_up().is_ok(), "it has a depacketiser");
        Some((format.encoding, format.clock_rate, format.channels))
    };
    let mapped = |name: &str| taken(&format!("a=rtpmap:97 {name}\r\n"), 97);
    let g726 = |name| Encoding::G726(G726::from_encoding_name(name).unwrap());
    for (name, format) in [
        ("G726-32/8000", (g726("G726-32"), 8_000, None)),
        ("g726-40/8000/1", (g726("G726-40"), 8_000, Some(1))),
        ("AAL2-G726-32/8000", (g726("AAL2-G726-32"), 8_000, None)),
        ("L16/48000/2", (Encoding::L16, 48_000, Some(2))),
        ("L16/8000", (Encoding::L16, 8_000, None)),
    ] {
        assert_eq!(mapped(name), Some(format), "{name}");
    }
    assert_eq!(taken("", 10), Some((Encoding::L16, 44_100, Some(2))));
    assert_eq!(taken("", 11), Some((Encoding::L16, 44_100, Some(1))));
    for refused in [
        "G726-32/16000",
        "G726-32/8000/2",
        "G726-48/8000",
        "L16/96000",
        "L16/44000",
        "L16/44100/3",
        "L24/48000/2",
    ] {
        assert_eq!(mapped(refused), None, "{refused}");
    }
    // Payload type 2 has no meaning of its own (RFC 3551 6).
    assert_eq!(taken("", 2), None);
}

#[test]
fn no_text_of_the_camera_reaches_the_depacketiser() {
    const MARK: &str = "MARKMARKMARK";
    let mut bench = Bench::new();
    let sdp = format!(
        "v=0\r\no={MARK} 1 1 IN IP4 {MARK}\r\ns={MARK}\r\ni={MARK}\r\nu={MARK}\r\na=tool:{MARK}\r\n\
         a=control:{MARK}\r\nm=video 0 RTP/AVP 96\r\ni={MARK}\r\na=rtpmap:96 H264/90000\r\n\
         a=fmtp:96 x={MARK};packetization-mode=1;{MARK}\r\na=x-{MARK}:1\r\na=control:{MARK}\r\n\
         m={MARK} 0 RTP/AVP 97\r\na=rtpmap:97 {MARK}/90000\r\n"
    );
    let headers = format!(
        "Server: {MARK}\r\nContent-Base: rtsp://{MARK}/\r\nContent-Type: {MARK}\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    bench.says(format!("RTSP/1.0 200 {MARK}\r\nCSeq: 1\r\n{headers}").as_bytes()).unwrap();
    assert!(contains(bench.wire(), MARK), "the control URL goes back to the camera");
    let transport = format!("RTP/AVP/TCP;interleaved=0-1;source={MARK};{MARK}");
    bench.answers(200, &format!("Session: {MARK};x={MARK}\r\nTransport: {transport}\r\n")).unwrap();
    bench
        .play(&format!("RTP-Info: url={MARK};seq=5;rtptime=5;{MARK}\r\nRange: {MARK}\r\n"))
        .unwrap();

    let mut packet = vec![0x80 | 0x20 | 0x10 | 3, 0x80 | 96, 0, 5, 0, 0, 0, 9, 0, 0, 0, 9];
    packet.extend(MARK.bytes());
    packet.extend([0xbe, 0xde, 0, 3]);
    packet.extend(MARK.bytes());
    packet.extend(b"\x41picture");
    packet.extend(MARK.bytes());
    packet.push(13);
    bench.says(&frame(0, &packet)).unwrap();
    let names = [&[0x81, 202, 0, 5, 0, 0, 0, 9, 1, 12], MARK.as_bytes()].concat();
    bench.says(&frame(1, &report(9, 1, 9, &names))).unwrap();
    bench.says(&frame(1, format!("\u{81}\u{cc}{MARK}").as_bytes())).unwrap();
    bench.says(&frame(77, MARK.as_bytes())).unwrap();
    bench.says(format!("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: {MARK}\r\n\r\n").as_bytes()).unwrap();
    bench.says(format!("RTSP/1.0 200 {MARK}\r\nCSeq: 99\r\n\r\n").as_bytes()).unwrap();

    assert_eq!(formats(&bench)[0].parameters.as_deref(), Some("packetization-mode=1"));
    let heard = bench.hears();
    assert_eq!(&heard[0].frame.data[..], b"\0\0\0\x08\x41picture");
    assert_eq!((heard.len(), bench.heard.reports.len()), (1, 1));
    let counts = bench.client.counts();
    assert_eq!((counts.packets, counts.sender_reports, counts.dropped_rtcp), (1, 1, 1));
    assert_eq!((counts.dropped_channel, counts.camera_requests, counts.stray_answers), (1, 1, 1));
    assert!(bench.wire().split("\r\n\r\n").all(|r| !r.starts_with("RTSP/")), "no answer to it");
}

#[test]
fn payload_types_do_not_matter_and_missing_markers_are_ours() {
    let sdp = "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 mpeg4-generic/16000/1\r\n\
        a=fmtp:98 mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3\r\n";
    let mut bench = Bench::playing(sdp);
    let mut packet = media(0, 1, 1, b"\0\x10\0\x18abc");
    packet[5] = 33;
    bench.says(&packet).unwrap();
    assert_eq!(&bench.hears()[0].frame.data[..], b"abc");
    packet[5] = 50;
    bench.says(&packet).unwrap();
    assert!(bench.hears().is_empty(), "GeoVision's type 50");
}

#[test]
fn keep_alives_are_ours_and_need_no_answer() {
    let mut bench = Bench::playing(SDP);
    bench.wire();
    let mut sent = Vec::new();
    for second in 0..60_u32 {
        for (channel, payload) in [(0, b"\x41x"), (2, b"pc")] {
            let sequence = u16::try_from(second).unwrap();
            bench.says(&media(channel, sequence, second, payload.repeat(8000).as_slice())).unwrap();
        }
        bench.wait(Duration::from_secs(1)).unwrap();
        sent.push(bench.wire());
        if second == 30 {
            bench.answers(200, "Public: OPTIONS, PLAY,GET_PARAMETER\r\n").unwrap();
        }
    }
    let sent: Vec<_> = sent.iter().filter(|text| !text.is_empty()).collect();
    assert_eq!(sent.len(), 4, "half of the camera's 30 s");
    assert!(sent[0].starts_with("OPTIONS rtsp://192.0.2.7:554/live?channel=1&sub=0 RTSP/1.0\r\n"));
    assert!(sent[0].contains("Session: 77\r\n"));
    assert!(sent[3].starts_with("GET_PARAMETER "));
    let (teardown, _) = bench.client.teardown().unwrap();
    assert!(contains(&teardown, "TEARDOWN rtsp://192.0.2.7:554/live?channel=1&sub=0 RTSP/1.0\r\n"));
    assert!(contains(&teardown, "Session: 77\r\n"));
    assert!(bench.client.teardown().is_none());
}

#[test]
fn a_session_timeout_out_of_range_is_clamped() {
    let (min, max) = (limits::SESSION_TIMEOUT_MIN.as_secs(), limits::SESSION_TIMEOUT_MAX.as_secs());
    let longest = limits::KEEP_ALIVE_MAX.as_secs();
    for (says, timeout, pause) in [
        (0, min, min / 2),
        (min - 1, min, min / 2),
        (min + 2, min + 2, min / 2 + 1),
        (longest * 2 - 2, longest * 2 - 2, longest - 1),
        (longest * 2 + 2, longest * 2 + 2, longest),
        (max - 1, max - 1, longest),
        (max + 1, max, longest),
        (u64::from(u32::MAX), max, longest),
    ] {
        let mut bench = Bench::new();
        bench.described(SDP).unwrap();
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
        bench.answers(200, &format!("Session: 77;timeout={says}\r\n{transport}")).unwrap();
        assert_eq!(bench.client.timeout.as_secs(), timeout, "{says}");
        assert_eq!(bench.client.keep_alive_pause().as_secs(), pause, "{says}");
    }
}

#[test]
fn urls_with_accounts_and_odd_agents_are_refused() {
    let new = |url: &str, user_agent: &str| {
        let url = Url::parse(url).unwrap();
        let request = Request { url, user_agent: user_agent.into(), ..request() };
        let now = tokio::time::Instant::now().into_std();
        Client::new(&request, LoginMemory::Nothing, "c".into(), now).err()
    };
    assert_eq!(new("rtsp://a/b", "Camlock 1"), None);
    assert_eq!(new("rtsps://a/b", "Camlock 1"), None);
    for (url, agent) in [
        ("rtsp://user:pass@a/b", "x"),
        ("rtsp://user@a/b", "x"),
        ("http://a/b", "x"),
        ("rtsp://a/b", "x\r\nInjected: y"),
        (&format!("rtsp://a/{}", "b".repeat(limits::RTSP_URI_BYTES)), "x"),
    ] {
        assert_eq!(new(url, agent), Some(EndReason::BadRequest), "{url}");
    }
}
