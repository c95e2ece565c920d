#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::media::{
    AacParameters, Codec, G726, G726Packing, G726Rate, H264Parameters, H265Parameters, Track,
    TrackId,
};
use crate::ops::limits::{RTSP_URI_BYTES, SDP_BYTES, SDP_FORMAT_PARAMETERS, SDP_MEDIA};

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn section(text: &str) -> MediaSection {
    let mut media = parse(text).media;
    assert_eq!(media.len(), 1, "{text}");
    media.pop().unwrap()
}

#[test]
fn a_broken_description_gives_what_can_be_read() {
    let d = SessionDescription::parse(
        b"\xff\xfe\0\nv=0\ro=broken\r\n=\r\n\ts=\xe4\r\na=control: rtsp://h/a b?x=1 \r\nno line\r\n\
          m=video 0 RTP/AVP 96 97 \t\r\n  a=rtpmap:96  h264 / 90000 \r\na=rtpmap:97 H265/90000\r\n\
          A=control:x\r\na=Control:trackID=1\r\na=fmtp:97 a=b\r\na=fmtp:96 X ; Config = AB== ;;y=;\r\n\
          a=rtpmap:broken\r\na=fmtp:96\r\na=framerate:0S\r\n\
          m=audio 5004/2 RTP/AVP 8\t \r\n\
          m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\n\
          m=\r\nm=video 70000 RTP/AVP 128\0\0",
    )
    .unwrap();
    assert_eq!(d.control.as_deref(), Some("rtsp://h/a b?x=1"));
    let [video, audio, foreign, empty, over] = d.media.as_slice() else { panic!("{d:?}") };
    assert_eq!((video.payload_type, video.clock_rate), (Some(96), Some(90_000)));
    assert_eq!(video.encoding.as_deref(), Some("H264"));
    assert_eq!(video.control.as_deref(), Some("trackID=1"));
    assert_eq!(
        video.format,
        [("x", ""), ("config", "AB=="), ("y", "")].map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
    assert_eq!(video.format_value("config"), Some("AB=="));
    assert_eq!((audio.port, audio.payload_type), (5004, Some(8)));
    assert_eq!(audio.encoding.as_deref(), Some("PCMA"));
    assert_eq!((foreign.payload_type, foreign.media.as_str()), (None, "application/tp-link"));
    assert_eq!(*empty, MediaSection::default());
    assert_eq!((over.port, over.payload_type), (0, None));
}

#[test]
fn the_last_valid_attribute_wins() {
    let s = section(
        "m=audio 0 RTP/AVP 0\na=rtpmap:0 PCMA/1/1\na=rtpmap:0 MPEG4-GENERIC/16000/2\n\
         a=fmtp:0 a=1\na=fmtp:0 config=1408\na=framerate:25\na=framerate:-1\na=control:a\na=control:b",
    );
    assert_eq!(s.encoding.as_deref(), Some("MPEG4-GENERIC"));
    assert_eq!((s.clock_rate, s.channels), (Some(16_000), Some(2)));
    assert_eq!(s.format_value("config"), Some("1408"));
    assert_eq!(s.format_value("a"), None);
    assert_eq!((s.control.as_deref(), s.frame_rate_milli), (Some("b"), Some(25_000)));
}

#[test]
fn numbers_are_checked() {
    let map = |text: &str| {
        let s = section(&format!("m=video 0 RTP/AVP 96\na=rtpmap:96 {text}"));
        (s.encoding, s.clock_rate, s.channels)
    };
    let h264 = || Some("H264".to_owned());
    assert_eq!(map("H264"), (h264(), None, None));
    assert_eq!(map("H264/0/0"), (h264(), None, None));
    assert_eq!(map("H264/+1/256"), (h264(), None, None));
    assert_eq!(map("H264/4294967296"), (h264(), None, None));
    assert_eq!(map("/90000").0, None);
    assert_eq!(map(&format!("{}/1", "A".repeat(33))).0, None);
    let rate = |text: &str| section(&format!("m=v 0 R 96\na=framerate:{text}")).frame_rate_milli;
    for (text, milli) in [
        ("29.97", Some(29_970)),
        ("15.000000", Some(15_000)),
        ("12.34567", Some(12_345)),
        ("4294967.295", Some(u32::MAX)),
        ("4294967.296", None),
        ("0", None),
        ("0.0004", None),
        ("1.+5", None),
        ("nan", None),
        ("", None),
    ] {
        assert_eq!(rate(text), milli, "{text}");
    }
}

#[test]
fn a_backchannel_is_told_apart() {
    let receives = |text: &str| parse(text).media.iter().map(|m| m.receives).collect::<Vec<_>>();
    let onvif = "m=video 0 RTP/AVP 96\na=recvonly\nm=audio 0 RTP/AVP 0\na=recvonly\n\
                 m=audio 0 RTP/AVP 0\na=sendonly\n";
    assert_eq!(receives(onvif), [false, false, true]);
    let own_view = "m=video 0 RTP/AVP 96\na=sendonly\nm=audio 0 RTP/AVP 0\na=sendonly\n";
    assert_eq!(receives(own_view), [false, false]);
}

#[test]
fn each_limit_holds_and_one_over_fails() {
    let mut text = b"m=video 0 RTP/AVP 96\n".to_vec();
    text.resize(SDP_BYTES, b'a');
    assert_eq!(SessionDescription::parse(&text).unwrap().media.len(), 1);
    text.push(b'a');
    assert_eq!(SessionDescription::parse(&text), Err(BadDescription::TooLong));
    let media = |n: usize| SessionDescription::parse("m=\n".repeat(n).as_bytes());
    assert_eq!(media(SDP_MEDIA).unwrap().media.len(), SDP_MEDIA);
    assert_eq!(media(SDP_MEDIA + 1), Err(BadDescription::TooManyMedia));
    let format =
        |n: usize| section(&format!("m=v 0 R 96\na=fmtp:96 {}", "a=b;".repeat(n))).format.len();
    assert_eq!(format(SDP_FORMAT_PARAMETERS), SDP_FORMAT_PARAMETERS);
    assert_eq!(format(SDP_FORMAT_PARAMETERS + 1), SDP_FORMAT_PARAMETERS);
    let control = |text: &str| {
        let s = section(&format!("m=video 0 RTP/AVP 96\na=control:{text}"));
        (s.control.map(|c| c.len()), s.payload_type)
    };
    let long = "c".repeat(RTSP_URI_BYTES);
    assert_eq!(control(&long), (Some(RTSP_URI_BYTES), Some(96)));
    assert_eq!(control(&format!("{long}c")), (None, None));
    assert_eq!(control("h\u{e4}"), (None, None));
    assert_eq!(parse(&format!("a=control:{long}c\nm=video 0 R 96")).control, None);
}

fn tracks() -> [Track; 8] {
    let bytes = Bytes::from_static;
    let h264 = H264Parameters {
        sps: bytes(b"\x67\x4d\x40\x1f\x95\xa0"),
        pps: bytes(b"\x68\xee\x3c\x80"),
        profile: 0x4d,
        constraints: 0x40,
        level: 0x1f,
        width: 1280,
        height: 720,
        bit_depth: 8,
        chroma_format_idc: 1,
    };
    let h265 = H265Parameters {
        vps: bytes(b"\x40\x01\x0c"),
        sps: bytes(b"\x42\x01\x01"),
        pps: bytes(b"\x44\x01"),
        profile: 1,
        level: 93,
        width: 1280,
        height: 720,
        bit_depth: 8,
        chroma_format_idc: 1,
    };
    let aac = AacParameters {
        config: bytes(b"\x11\x88"),
        object_type: 2,
        sample_rate: 48_000,
        channels: 1,
        frame_length: 1024,
    };
    let codecs = [
        (Codec::H264(h264), 90_000),
        (Codec::H265(h265), 90_000),
        (Codec::Aac(aac), 48_000),
        (Codec::Pcma { channels: 1 }, 8000),
        (Codec::Pcmu { channels: 2 }, 16_000),
        (Codec::G726(G726 { rate: G726Rate::Kbit32, packing: G726Packing::Aal2 }), 8000),
        (Codec::L16 { channels: 2 }, 44_100),
        (Codec::L16 { channels: 1 }, 16_000),
    ];
    let mut id = 0..;
    codecs.map(|(codec, clock_rate)| Track { id: TrackId(id.next().unwrap()), codec, clock_rate })
}

#[test]
fn our_description_is_exact() {
    let tracks = tracks();
    let described = [(0, 96), (1, 97), (2, 98), (3, 8), (4, 99), (5, 101), (6, 10), (7, 103)]
        .map(|(at, payload_type)| DescribedTrack { track: &tracks[at], payload_type });
    let text = describe(7, 9, &described);
    let lines = [
        "v=0",
        "o=- 7 9 IN IP4 0.0.0.0",
        "s=Camlock",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 packetization-mode=1;profile-level-id=4D401F;sprop-parameter-sets=Z01AH5Wg,aO48gA==",
        "a=control:trackID=0",
        "m=video 0 RTP/AVP 97",
        "a=rtpmap:97 H265/90000",
        "a=fmtp:97 profile-id=1;level-id=93;sprop-vps=QAEM;sprop-sps=QgEB;sprop-pps=RAE=",
        "a=control:trackID=1",
        "m=audio 0 RTP/AVP 98",
        "a=rtpmap:98 mpeg4-generic/48000/1",
        "a=fmtp:98 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
         indexdeltalength=3;config=1188",
        "a=control:trackID=2",
        "m=audio 0 RTP/AVP 8",
        "a=rtpmap:8 PCMA/8000",
        "a=control:trackID=3",
        "m=audio 0 RTP/AVP 99",
        "a=rtpmap:99 PCMU/16000/2",
        "a=control:trackID=4",
        "m=audio 0 RTP/AVP 101",
        "a=rtpmap:101 AAL2-G726-32/8000",
        "a=control:trackID=5",
        "m=audio 0 RTP/AVP 10",
        "a=rtpmap:10 L16/44100/2",
        "a=control:trackID=6",
        "m=audio 0 RTP/AVP 103",
        "a=rtpmap:103 L16/16000",
        "a=control:trackID=7",
        "",
    ];
    assert_eq!(text, lines.join("\r\n"));
    let read = parse(&text);
    assert_eq!(read.control.as_deref(), Some("*"));
    let sections: Vec<_> = read.media.iter().map(|m| m.payload_type.unwrap()).collect();
    assert_eq!(sections, [96, 97, 98, 8, 99, 101, 10, 103]);
    for (section, described) in read.media.iter().zip(&described) {
        assert_eq!(section.clock_rate, Some(described.track.clock_rate));
        assert_eq!(section.control, Some(format!("trackID={}", described.track.id.0)));
        let name = described.track.codec.encoding_name().to_ascii_uppercase();
        assert_eq!(section.encoding.as_deref(), Some(name.as_str()));
    }
}

#[test]
fn jpeg_is_described_by_its_name_alone() {
    let codec = Codec::Jpeg(crate::media::JpegParameters { width: 640, height: 480 });
    let track = Track { id: TrackId(0), codec, clock_rate: 90_000 };
    let text = describe(7, 9, &[DescribedTrack { track: &track, payload_type: 26 }]);
    let section = "m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\na=control:trackID=0\r\n";
    assert!(text.ends_with(section), "{text}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_within_the_limits(
        lines in prop::collection::vec(
            (
                prop_oneof![
                    Just("m=video 0 RTP/AVP 96"), Just("m="), Just("a=rtpmap:96 "), Just("a=fmtp:96 "),
                    Just("a=control:"), Just("a=framerate:"), Just("a="), Just("")
                ],
                prop::collection::vec(any::<u8>(), 0..24),
            ),
            0..24,
        )
    ) {
        let text: Vec<u8> =
            lines.iter().flat_map(|(a, b)| [a.as_bytes(), b, b"\r\n"].concat()).collect();
        if let Ok(read) = SessionDescription::parse(&text) {
            prop_assert!(read.media.len() <= SDP_MEDIA);
            for section in read.media {
                prop_assert!(section.payload_type.is_none_or(|pt| pt < 128));
                prop_assert!(section.control.is_none_or(|c| !c.contains(char::is_control)));
                prop_assert!(section.encoding.is_none_or(|e| e.is_ascii()));
                prop_assert_ne!(section.clock_rate, Some(0));
            }
        }
    }
}
