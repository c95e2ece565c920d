//! Our packets against retina's depacketisers (an independent oracle), and against their own plan.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use retina::client::{PlayOptions, Session, SessionOptions, SetupOptions, Transport};
use retina::codec::{CodecItem, FrameFormat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::media::{
    AacParameters, G726, G726Packing, G726Rate, H264Parameters, H265Parameters, JpegParameters,
    Policy, SampleGroup, SharedForm, Track,
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
    Published {
        payload_type: payload_type(unit.track.id, &unit.track.codec, unit.track.clock_rate),
        index: 0,
        first_seq,
        packets: plan(&unit).map_or(0, |plan| plan.packets),
        octets: plan(&unit).map_or(0, |plan| plan.octets),
        rtp_time,
        ssrc: 0x0123_4567,
        packets_before: 7,
        octets_before: 4711,
        interleaved: SharedForm::default(),
        unit,
    }
}

const JPEG_420: &[u8] = include_bytes!("../../tests/fixtures/media/jpeg_420.jpg");
const JPEG_422: &[u8] = include_bytes!("../../tests/fixtures/media/jpeg_422.jpg");
const JPEG_RESTARTS: &[u8] = include_bytes!("../../tests/fixtures/media/jpeg_restarts.jpg");

fn jpeg() -> Codec {
    Codec::Jpeg(JpegParameters { width: 64, height: 48 })
}

/// A foreign picture as the policy lets it through.
fn jpeg_unit(picture: &'static [u8]) -> AccessUnit {
    let track = Arc::new(Track { id: TrackId(0), codec: jpeg(), clock_rate: 90_000 });
    let clean = Policy::new(track).clean(Bytes::from_static(picture)).unwrap();
    unit(jpeg(), true, clean.data)
}

/// A picture with so much coded data, the end marker counted in, and no marker within.
fn jpeg_of(coded: usize) -> AccessUnit {
    let whole = jpeg_unit(JPEG_420).data;
    let (_, old) = crate::media::JpegHead::split(&whole).unwrap();
    let mut data = whole[..whole.len() - old.len()].to_vec();
    data.extend((0..coded - 2).map(|i| u8::try_from(i % 251).unwrap()));
    data.extend([0xff, 0xd9]);
    unit(jpeg(), true, data.into())
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
    assert_eq!(form.len(), plan.wire_bytes);
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

// ---- retina as the oracle -------------------------------------------------------------------

/// Describes the track, answers what a client asks, then writes the forms.
async fn respond(mut socket: TcpStream, sdp: String, first: (u16, u32), media: Vec<Bytes>) {
    let mut read = Vec::new();
    for _ in 0..10 {
        let end = loop {
            if let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            if socket.read_buf(&mut read).await.unwrap() == 0 {
                return;
            }
        };
        let request = String::from_utf8(read.drain(..end).collect()).unwrap();
        let cseq = request.lines().find(|line| line.starts_with("CSeq")).unwrap();
        let method = request.split(' ').next().unwrap();
        let more = match method {
            "DESCRIBE" => format!(
                "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            ),
            "SETUP" => {
                "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n".into()
            }
            "PLAY" => format!(
                "Session: 1\r\nRTP-Info: url=trackID=0;seq={};rtptime={}\r\n\r\n",
                first.0, first.1
            ),
            _ => "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n".into(),
        };
        let answer = format!("RTSP/1.0 200 OK\r\n{cseq}\r\n{more}");
        socket.write_all(answer.as_bytes()).await.unwrap();
        if method == "PLAY" {
            for form in &media {
                socket.write_all(form).await.unwrap();
            }
        }
    }
}

fn describe(codec: &Codec) -> String {
    let media = match codec {
        Codec::H264(p) => format!(
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
             a=fmtp:96 packetization-mode=1;sprop-parameter-sets={},{}\r\n",
            BASE64.encode(&p.sps),
            BASE64.encode(&p.pps)
        ),
        Codec::H265(p) => format!(
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n\
             a=fmtp:96 sprop-vps={};sprop-sps={};sprop-pps={}\r\n",
            BASE64.encode(&p.vps),
            BASE64.encode(&p.sps),
            BASE64.encode(&p.pps)
        ),
        Codec::Jpeg(_) => "m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\n".into(),
        Codec::Aac(_) => "m=audio 0 RTP/AVP 96\r\na=rtpmap:96 mpeg4-generic/48000/2\r\n\
             a=fmtp:96 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
             indexdeltalength=3;config=1190\r\n"
            .into(),
        Codec::G726(g726) => {
            format!("m=audio 0 RTP/AVP 96\r\na=rtpmap:96 {}/8000\r\n", g726.encoding_name())
        }
        Codec::L16 { channels } => {
            let payload_type = if *channels == 2 { 10 } else { 11 };
            format!(
                "m=audio 0 RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} L16/44100/{channels}\r\n"
            )
        }
        Codec::Pcma { .. } => "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n".into(),
        Codec::Pcmu { .. } => "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n".into(),
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
         {media}a=control:trackID=0\r\n"
    )
}

/// What retina makes of the units: the data of each of its frames and its RTP time since the first.
async fn through_retina(codec: &Codec, units: &[AccessUnit], step: u32) -> Vec<(i64, Vec<u8>)> {
    through_retina_with(codec, units, step, |_, form| form).await.unwrap()
}

/// The same, with each form as `spoil` leaves it. `Err`: retina met a loss, other parameters, or an error.
async fn through_retina_with(
    codec: &Codec,
    units: &[AccessUnit],
    step: u32,
    spoil: impl Fn(usize, Bytes) -> Bytes,
) -> Result<Vec<(i64, Vec<u8>)>, String> {
    let first = (65_000_u16, u32::MAX - step);
    let (mut seq, mut time) = first;
    let mut media = Vec::new();
    for (n, unit) in units.iter().enumerate() {
        let published = published(unit.clone(), seq, time);
        seq = seq.wrapping_add(u16::try_from(published.packets).unwrap());
        time = time.wrapping_add(step);
        media.push(spoil(n, interleaved(&published)));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/", listener.local_addr().unwrap());
    let sdp = describe(codec);
    let server = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        respond(socket, sdp, first, media).await;
    });
    let mut session =
        Session::describe(url.parse().unwrap(), SessionOptions::default()).await.unwrap();
    let options = SetupOptions::default()
        .transport(Transport::Tcp(Default::default()))
        .frame_format(FrameFormat::MP4);
    session.setup(0, options).await.unwrap();
    let mut frames = session.play(PlayOptions::default()).await.unwrap().demuxed().unwrap();
    let expected: usize = units.iter().map(|unit| frames_of(codec, unit)).sum();
    let mut got = Vec::new();
    while got.len() < expected {
        let item = tokio::time::timeout(Duration::from_secs(5), frames.next()).await;
        let item = item.map_err(|_| "nothing more")?.ok_or("the end")?;
        match item.map_err(|error| error.to_string())? {
            CodecItem::VideoFrame(frame) => {
                // The session description says nothing of JPEG pictures; the first does.
                let first = matches!(codec, Codec::Jpeg(_)) && got.is_empty();
                if frame.loss() != 0 || frame.has_new_parameters() != first {
                    return Err(format!("loss {} or new parameters", frame.loss()));
                }
                got.push((frame.timestamp().elapsed(), frame.into_data()));
            }
            CodecItem::AudioFrame(frame) => {
                if frame.loss() != 0 {
                    return Err(format!("loss {}", frame.loss()));
                }
                got.push((frame.timestamp().elapsed(), frame.data().to_vec()));
            }
            other @ (CodecItem::MessageFrame(_) | CodecItem::Rtcp(_) | _) => {
                panic!("got {other:?}")
            }
        }
    }
    server.abort();
    Ok(got)
}

/// Wrong packetisers, each of which retina must tell from ours.
#[derive(Debug, Clone, Copy)]
enum Bug {
    PacketLeftOut,
    PacketsSwapped,
    SequenceSkipsOne,
    TimestampOff,
    FragmentHasNoStart,
    FragmentTypeChanged,
    PayloadByteChanged,
    PayloadByteLeftOut,
    ParameterSetChanged,
}

const BUGS: [Bug; 9] = [
    Bug::PacketLeftOut,
    Bug::PacketsSwapped,
    Bug::SequenceSkipsOne,
    Bug::TimestampOff,
    Bug::FragmentHasNoStart,
    Bug::FragmentTypeChanged,
    Bug::PayloadByteChanged,
    Bug::PayloadByteLeftOut,
    Bug::ParameterSetChanged,
];

/// The form that a packetiser with `bug` would make. The first packet holds parameter sets, the second
/// and third begin the first slice. `fu` is where the FU header stands in a packet.
fn seeded(bug: Bug, form: &Bytes, fu: usize) -> Bytes {
    let mut packets: Vec<Vec<u8>> = packets(form).into_iter().map(<[u8]>::to_vec).collect();
    match bug {
        Bug::PacketLeftOut => drop(packets.remove(2)),
        Bug::PacketsSwapped => packets.swap(1, 2),
        Bug::SequenceSkipsOne => packets.iter_mut().skip(2).for_each(|packet| packet[3] ^= 0x80),
        Bug::TimestampOff => packets.iter_mut().for_each(|packet| packet[7] ^= 1),
        Bug::FragmentHasNoStart => packets[1][fu] &= 0x7f,
        Bug::FragmentTypeChanged => packets[1][fu] ^= 3,
        Bug::PayloadByteChanged => *packets[2].last_mut().unwrap() ^= 1,
        Bug::PayloadByteLeftOut => drop(packets[2].pop()),
        Bug::ParameterSetChanged => packets[0][fu + 12] ^= 1,
    }
    packets.into_iter().flat_map(framed).collect()
}

/// A packet in an interleaved frame.
fn framed(packet: impl AsRef<[u8]>) -> Vec<u8> {
    let packet = packet.as_ref();
    let [high, low] = u16::try_from(packet.len()).unwrap().to_be_bytes();
    [&[b'$', 0, high, low], packet].concat()
}

#[tokio::test]
async fn retina_tells_every_wrong_packetiser() {
    for (codec, fu) in [(h264(), 13), (h265(), 14)] {
        let key = unit(codec.clone(), true, picture(&codec, true, &[9000]));
        let units = vec![key; 4];
        for bug in BUGS {
            let spoil = |n, form| if n == 2 { seeded(bug, &form, fu) } else { form };
            let got = through_retina_with(&codec, &units, 3600, spoil).await;
            let right = got.is_ok_and(|got| {
                got.iter()
                    .zip(0_i64..)
                    .all(|((time, data), n)| *time == 3600 * n && units[0].data == data)
            });
            assert!(!right, "{bug:?} of {} goes unnoticed", codec.encoding_name());
        }
    }
}

/// retina gives one frame for each packet of plain samples, one for each unit else.
fn frames_of(codec: &Codec, unit: &AccessUnit) -> usize {
    match codec {
        Codec::Pcma { .. } | Codec::Pcmu { .. } | Codec::G726(_) | Codec::L16 { .. } => {
            unit.data.len().div_ceil(packet_bytes(codec))
        }
        Codec::H264(_) | Codec::H265(_) | Codec::Jpeg(_) | Codec::Aac(_) => 1,
    }
}

/// What a packet of plain samples holds at most.
fn packet_bytes(codec: &Codec) -> usize {
    let group = SampleGroup::of(codec).unwrap().bytes;
    1388 / group * group
}

/// Lengths around everything that matters, then some far away. Deterministic: an LCG.
fn lengths(seed: &mut u64) -> usize {
    let mut next = |below: u64| {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((*seed >> 33) % below).unwrap()
    };
    match next(5) {
        0 => 3 + next(20),
        1 => 1380 + next(20),
        2 => 2765 + next(20),
        3 => 4140 + next(40),
        _ => 3 + next(60_000),
    }
}

#[tokio::test]
async fn retina_reads_back_pictures() {
    let mut seed = 42;
    for codec in [h264(), h265()] {
        let units: Vec<_> = (0..120_usize)
            .map(|n| {
                let random_access = n % 8 == 0;
                let count = if n % 13 == 0 { 60 } else { n % 4 + 1 };
                let nals: Vec<_> = (0..count).map(|_| lengths(&mut seed)).collect();
                unit(codec.clone(), random_access, picture(&codec, random_access, &nals))
            })
            .collect();
        let got = through_retina(&codec, &units, 3600).await;
        for (n, (unit, (time, data))) in units.iter().zip(got).enumerate() {
            assert_eq!(time, 3600 * i64::try_from(n).unwrap());
            assert!(unit.data == data, "{} unit {n} differs", codec.encoding_name());
        }
    }
}

#[test]
fn jpeg_packets_read_as_rfc_2435_says() {
    for (picture, kind, restart) in
        [(JPEG_422, 0, &[][..]), (JPEG_420, 1, &[]), (JPEG_RESTARTS, 65, &[0, 4, 0xff, 0xff])]
    {
        let unit = jpeg_unit(picture);
        let (head, coded) = crate::media::JpegHead::split(&unit.data).unwrap();
        let form = checked_form(&unit).unwrap();
        let main = [kind, 255, 8, 6];
        let tables = [&[0, 0, 0, 128], &head.tables[0][..], &head.tables[1]].concat();
        let (mut seen, mut behind) = (Vec::<u8>::new(), tables.as_slice());
        for packet in packets(&form) {
            let offset = u32::try_from(seen.len()).unwrap().to_be_bytes();
            let expected = [&offset, &main, restart, behind].concat();
            assert_eq!(&packet[12..12 + expected.len()], expected);
            seen.extend(&packet[12 + expected.len()..]);
            behind = &[];
        }
        assert_eq!(seen, coded);
    }
}

#[tokio::test]
async fn retina_reads_back_jpeg_pictures() {
    let mut units: Vec<_> = [JPEG_420, JPEG_422, JPEG_RESTARTS].map(jpeg_unit).into();
    units.extend([3, 1248, 1249, 1248 + 1380, 1248 + 1381, 60_000, 1_500_000].map(jpeg_of));
    let got = through_retina(&jpeg(), &units, 3600).await;
    for (n, (unit, (time, data))) in units.iter().zip(got).enumerate() {
        assert_eq!(time, 3600 * i64::try_from(n).unwrap());
        assert!(unit.data == data, "picture {n} differs");
    }
}

/// A fault of a packetiser, in the packets of one picture.
type Spoil = fn(&mut Vec<Vec<u8>>);

#[tokio::test]
async fn retina_tells_wrong_jpeg_packets() {
    let bugs: [(&str, Spoil); 14] = [
        ("packet left out", |packets| drop(packets.remove(1))),
        ("packets swapped", |packets| packets.swap(0, 1)),
        ("number skipped", |packets| packets[1][3] ^= 0x80),
        ("timestamp off", |packets| packets.iter_mut().for_each(|packet| packet[7] ^= 1)),
        ("coded byte changed", |packets| *packets[1].last_mut().unwrap() ^= 1),
        ("coded byte left out", |packets| packets[0].truncate(1000)),
        ("no marker", |packets| packets.iter_mut().for_each(|packet| packet[1] &= 0x7f)),
        ("first has an offset", |packets| packets[0][12 + 3] = 1),
        ("second has none", |packets| packets[1][12 + 1..12 + 4].fill(0)),
        ("another type", |packets| packets[0][12 + 4] = 64),
        ("tables not said", |packets| packets[0][12 + 5] = 80),
        ("another width", |packets| packets[0][12 + 6] += 1),
        ("another restart interval", |packets| packets[0][12 + 9] += 1),
        ("a table changed", |packets| packets[0][12 + 8 + 4 + 4 + 70] ^= 1),
    ];
    let right = jpeg_unit(JPEG_RESTARTS);
    assert_eq!(plan(&right).unwrap().packets, 2);
    let units = vec![right.clone(); 4];
    for (name, bug) in bugs {
        let spoil = |n, form: Bytes| {
            let mut packets: Vec<_> = packets(&form).into_iter().map(<[u8]>::to_vec).collect();
            if n == 1 {
                bug(&mut packets);
            }
            packets.into_iter().flat_map(framed).collect()
        };
        let got = through_retina_with(&jpeg(), &units, 3600, spoil).await;
        let same = got.is_ok_and(|got| {
            got.iter().zip(0_i64..).all(|((time, data), n)| *time == 3600 * n && right.data == data)
        });
        assert!(!same, "{name}: unnoticed");
    }
}

#[tokio::test]
async fn retina_reads_back_aac_frames() {
    let mut seed = 43;
    let units: Vec<_> = (0..200)
        .map(|n| {
            let length = lengths(&mut seed) % 8191 + 1;
            unit(aac(), true, vec![u8::try_from(n).unwrap(); length].into())
        })
        .collect();
    let got = through_retina(&aac(), &units, 1024).await;
    for (n, (unit, (time, data))) in units.iter().zip(got).enumerate() {
        assert_eq!(time, 1024 * i64::try_from(n).unwrap());
        assert!(unit.data == data, "frame {n} differs");
    }
}

#[tokio::test]
async fn retina_reads_back_samples() {
    for codec in [
        Codec::Pcma { channels: 1 },
        Codec::Pcmu { channels: 1 },
        g726(G726Rate::Kbit16),
        g726(G726Rate::Kbit24),
        g726(G726Rate::Kbit32),
        g726(G726Rate::Kbit40),
        Codec::L16 { channels: 1 },
        Codec::L16 { channels: 2 },
    ] {
        let SampleGroup { bytes: group, ticks } = SampleGroup::of(&codec).unwrap();
        let most = packet_bytes(&codec);
        let units: Vec<_> = [group, 160, most, most + group, 2400, 2400, 2400]
            .into_iter()
            .map(|length: usize| {
                let length = length.next_multiple_of(group);
                let samples = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
                unit(codec.clone(), true, samples)
            })
            .collect();
        let got = through_retina(&codec, &units, 8000).await;
        let packet_ticks = i64::try_from(most / group).unwrap() * i64::from(ticks);
        let expected: Vec<(i64, Vec<u8>)> = units
            .iter()
            .zip(0_i64..)
            .flat_map(|(unit, n)| {
                let parts = unit.data.chunks(most).zip(0_i64..);
                parts.map(move |(part, i)| (8000 * n + packet_ticks * i, part.to_vec()))
            })
            .collect();
        assert!(got == expected, "{codec:?}");
    }
}

#[tokio::test]
async fn retina_tells_wrong_samples() {
    for codec in [g726(G726Rate::Kbit24), Codec::L16 { channels: 2 }] {
        let most = packet_bytes(&codec);
        let units = vec![unit_of(codec.clone(), most * 3); 3];
        for bug in [
            Bug::PacketLeftOut,
            Bug::PacketsSwapped,
            Bug::SequenceSkipsOne,
            Bug::TimestampOff,
            Bug::PayloadByteChanged,
            Bug::PayloadByteLeftOut,
        ] {
            let spoil = |n, form| if n == 1 { seeded(bug, &form, 12) } else { form };
            let got = through_retina_with(&codec, &units, 20_000, spoil).await;
            let group = SampleGroup::of(&codec).unwrap();
            let step = i64::try_from(most / group.bytes).unwrap() * i64::from(group.ticks);
            let right = got.is_ok_and(|got| {
                got.iter().zip(0_i64..).all(|((time, data), n)| {
                    let (unit, part) = (n / 3, n % 3);
                    let from = usize::try_from(part).unwrap() * most;
                    *time == 20_000 * unit + step * part
                        && data == &units[0].data[from..from + most]
                })
            });
            assert!(!right, "{bug:?} of {} goes unnoticed", codec.encoding_name());
        }
    }
}
