use super::*;

fn one(value: &str) -> Transport {
    let all = Transport::parse_all(value);
    assert_eq!(all.len(), 1, "{value}");
    all.into_iter().next().unwrap_or_default()
}

#[test]
fn transports_of_cameras_are_read() {
    let t = one("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= d6d6627");
    assert_eq!(
        t,
        Transport { interleaved: Some((0, 1)), ssrc: Some(0x0d6d_6627), ..Transport::default() }
    );
    assert_eq!(one("RTP/AVP/TCP;interleaved=0-1;ssrc=4cacc3d1").ssrc, Some(0x4cac_c3d1));
    assert_eq!(one("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=A046").ssrc, None);
    assert_eq!(one("RTP/AVP/TCP;ssrc=0x6f7c;interleaved=0-1;mode=\"PLAY\"").ssrc, None);
    assert_eq!(one("RTP/AVP/TCP;ssrc=0xFFFFEF2D").ssrc, Some(0xffff_ef2d));
    assert_eq!(one("RTP/AVP/TCP;ssrc=123456789").ssrc, None);
    assert_eq!(one("RTP/AVP/TCP;ssrc=+1234567").ssrc, None);
    assert_eq!(one("rtp/avp/tcp ; Interleaved = 6").interleaved, Some((6, 7)));
    assert_eq!(one("RTP/AVP/TCP;interleaved=7-").interleaved, Some((7, 8)));
    for broken in ["255", "0-256", "256-257", "a-b", "", "-1", "0-+1"] {
        assert_eq!(one(&format!("RTP/AVP/TCP;interleaved={broken}")).interleaved, None);
    }
}

#[test]
fn the_lower_transport_is_told_apart() {
    let mode = |v: &str| one(v).mode;
    assert_eq!(mode("RTP/AVP/TCP;unicast;interleaved=0-1;mode=\"PLAY\""), TransportMode::Tcp);
    assert_eq!(mode("RTP/AVP;unicast;interleaved=0-1"), TransportMode::Tcp);
    assert_eq!(mode("RTP/AVP;unicast;client_port=18714-18715;ssrc=0"), TransportMode::Udp);
    assert_eq!(mode("RTP/AVP/UDP;unicast;client_port=1-2"), TransportMode::Udp);
    assert_eq!(mode("RTP/AVP;multicast;port=1-2"), TransportMode::Multicast);
    assert!(one("RTP/SAVP/TCP;unicast").secure);
    assert!(!one("RTP/AVPF/TCP;unicast;mode=play").records);
    assert!(one("RTP/AVP/TCP;unicast;mode=record").records);
    assert!(one("RTP/AVP/TCP;unicast;mode=\"PLAY,RECORD\"").records);
}

#[test]
fn alternatives_keep_their_order_and_are_bounded() {
    let all = Transport::parse_all(
        "RAW/RAW/UDP;unicast,RTP/AVP;unicast;client_port=1-2;mode=\"PLAY,PLAY\",RTP/AVP/TCP",
    );
    let modes: Vec<_> = all.iter().map(|t| t.mode).collect();
    assert_eq!(modes, [TransportMode::Udp, TransportMode::Tcp]);
    let many = ["RTP/AVP"; TRANSPORTS + 1].join(",");
    assert_eq!(Transport::parse_all(&many).len(), TRANSPORTS);
    for nothing in ["", ";;;", "RTP", "RTP/", "RTP/AVP/SCTP", "\"", ",,,"] {
        assert_eq!(Transport::parse_all(nothing), [], "{nothing}");
    }
}

#[test]
fn a_written_transport_reads_back() {
    for mode in [TransportMode::Tcp, TransportMode::Udp, TransportMode::Multicast] {
        for secure in [false, true] {
            let interleaved = (mode == TransportMode::Tcp).then_some((4, 5));
            let t = Transport { mode, secure, interleaved, ssrc: Some(0x2a), records: secure };
            let t = Transport { ssrc: t.ssrc.map(|s| s | 0xA000_0000), ..t };
            assert_eq!(one(&t.encode()), t);
        }
    }
    let t = Transport { interleaved: Some((0, 1)), ssrc: Some(0xab), ..Transport::default() };
    assert_eq!(t.encode(), "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=000000AB");
    assert_eq!(one(&t.encode()), t);
}

#[test]
fn session_ids_are_trimmed_and_bounded() {
    let parsed = |v: &str| SessionHeader::parse(v).map(|s| (s.id, s.timeout.map(|t| t.as_secs())));
    let ok = |id: &str, timeout| Some((id.to_owned(), timeout));
    assert_eq!(parsed("abc ;timeout=60"), ok("abc", Some(60)));
    assert_eq!(parsed("       708345999;timeout=60"), ok("708345999", Some(60)));
    assert_eq!(parsed("9b0d0e54; Timeout = 120"), ok("9b0d0e54", Some(120)));
    assert_eq!(parsed("l0TtlUFSR"), ok("l0TtlUFSR", None));
    for unreadable in ["x", "", "-1", "+60", "4294967296", "6 0"] {
        assert_eq!(parsed(&format!("a;timeout={unreadable}")), ok("a", None));
    }
    assert_eq!(parsed(";timeout=60"), None);
    assert_eq!(parsed("  "), None);
    assert_eq!(parsed("h\u{e4}"), None);
    let longest = "s".repeat(SESSION_ID_BYTES);
    assert_eq!(parsed(&longest), ok(&longest, None));
    assert_eq!(parsed(&format!("{longest}s")), None);
    let header = SessionHeader { id: "a1".into(), timeout: Some(Duration::from_secs(60)) };
    assert_eq!(header.encode(), "a1;timeout=60");
    assert_eq!(SessionHeader::parse(&header.encode()), Some(header));
}

fn info(url: &str, seq: Option<u16>, rtp_time: Option<u32>) -> RtpInfo {
    RtpInfo { url: url.to_owned(), seq, rtp_time }
}

#[test]
fn rtp_info_of_cameras_is_read() {
    assert_eq!(
        RtpInfo::parse_all(
            "url=trackID=0;seq=47121;rtptime=3475222385,url=trackID=1;seq=45186;rtptime=2234446919"
        ),
        [
            info("trackID=0", Some(47121), Some(3_475_222_385)),
            info("trackID=1", Some(45186), Some(2_234_446_919)),
        ]
    );
    assert_eq!(
        RtpInfo::parse_all("url=trackID=0;seq=13210;rtptime=1067824145;ssrc=4294962989"),
        [info("trackID=0", Some(13210), Some(1_067_824_145))]
    );
    assert_eq!(
        RtpInfo::parse_all("url=rtsp://h/v?a=b&c=d,e;f;seq=1;rtptime=-1, seq=65536;rtptime=7;"),
        [info("rtsp://h/v?a=b&c=d,e;f", Some(1), None), info("", None, Some(7))]
    );
    assert_eq!(RtpInfo::parse_all("nonsense;,;;"), []);
}

#[test]
fn rtp_info_is_bounded() {
    let many = ["url=a;seq=1"; SDP_MEDIA + 1].join(",");
    assert_eq!(RtpInfo::parse_all(&many).len(), SDP_MEDIA);
    let long = "u".repeat(RTSP_URI_BYTES);
    assert_eq!(RtpInfo::parse_all(&format!("url={long}")).len(), 1);
    assert_eq!(RtpInfo::parse_all(&format!("url={long}u")), []);
}

#[test]
fn written_rtp_info_reads_back() {
    let entries = [info("rtsp://h/a/trackID=0", Some(1), Some(u32::MAX)), info("b", None, None)];
    let value = RtpInfo::encode_all(&entries);
    assert_eq!(value, "url=rtsp://h/a/trackID=0;seq=1;rtptime=4294967295,url=b");
    assert_eq!(RtpInfo::parse_all(&value), entries);
}

#[test]
fn any_text_is_read_without_a_panic() {
    use proptest::prelude::*;
    let words = prop::sample::select(vec![
        "RTP/AVP",
        "/TCP",
        ";",
        ",",
        "=",
        "\"",
        "-",
        "interleaved=",
        "ssrc=",
        "0x",
        "mode=",
        "url=",
        "seq=",
        "rtptime=",
        "timeout=",
        "7",
        " ",
        "\u{e4}",
        "\0",
        "a",
    ]);
    proptest!(|(words in prop::collection::vec(words, 0..30), text in "\\PC{0,20}")| {
        let value = words.concat() + &text;
        for transport in Transport::parse_all(&value) {
            let again = Transport::parse_all(&transport.encode());
            prop_assert_eq!(again, [transport]);
        }
        if let Some(session) = SessionHeader::parse(&value) {
            prop_assert_eq!(SessionHeader::parse(&session.encode()), Some(session));
        }
        let info = RtpInfo::parse_all(&value);
        prop_assert!(info.len() <= SDP_MEDIA && info.iter().all(|i| i.url.len() <= RTSP_URI_BYTES));
    });
}
