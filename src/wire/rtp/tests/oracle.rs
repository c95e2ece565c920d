//! retina as the oracle: a server of the forms, what retina makes of them, and wrong packetisers that it must tell.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::StreamExt as _;
use retina::client::{PlayOptions, Session, SessionOptions, SetupOptions, Transport};
use retina::codec::{CodecItem, FrameFormat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::media::SampleGroup;

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
pub(super) async fn through_retina(
    codec: &Codec,
    units: &[AccessUnit],
    step: u32,
) -> Vec<(i64, Vec<u8>)> {
    through_retina_with(codec, units, step, |_, form| form).await.unwrap()
}

/// The same, with each form as `spoil` leaves it. `Err`: retina met a loss, other parameters, or an error.
pub(super) async fn through_retina_with(
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
pub(super) fn framed(packet: impl AsRef<[u8]>) -> Vec<u8> {
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
