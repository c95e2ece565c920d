//! What a consumer sees of a scripted camera: with retina alone, and through the airlock.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use retina::client::{
    Credentials, InitialTimestampPolicy, PlayOptions, Session, SessionIdPolicy, SessionOptions,
    SetupOptions, Stream, TcpTransportOptions, TeardownPolicy, Transport,
    UnassignedChannelDataPolicy, UnknownRtcpSsrcPolicy,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::super::{no_redial, request};
use super::peer::Script;
use crate::ingest::camera::airlock::{Counts, EndReason, LoginMemory, Opened, Request, open};
use crate::wire::rtsp::Method;

/// All that must not change on the way through the airlock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// Tracks that were set up, as described.
    pub(super) described: Vec<Track>,
    /// The same at the end, when parameter sets in the media have been read.
    pub(super) played: Vec<Track>,
    pub(super) items: Vec<Item>,
    /// Method and URI of each request but TEARDOWN.
    pub(super) wire: Vec<String>,
}

/// A track as retina has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track {
    pub(super) media: String,
    pub(super) encoding: String,
    pub(super) clock_rate: u32,
    pub(super) channels: Option<u16>,
    pub(super) frame_rate_milli: Option<u32>,
    /// Codec string, size, aspect, frame rate, and the sets themselves.
    pub(super) parameters: Option<String>,
    pub(super) size: Option<(u32, u32)>,
}

/// A unit of media, or a sender report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Place among the tracks that were set up.
    pub(super) track: usize,
    pub(super) timestamp: i64,
    pub(super) start: u32,
    /// Whether packets were missing before it. Not how many: the airlock makes every gap one wide.
    pub(super) lost: bool,
    /// Random access point, new parameters, and the bytes; a report's NTP time.
    pub(super) content: String,
}

/// How a session through the airlock went.
#[derive(Debug)]
pub(super) struct Through {
    pub(super) result: Result<Seen, EndReason>,
    pub(super) counts: Counts,
    /// Requests as the camera got them.
    pub(super) requests: Vec<crate::wire::rtsp::Request>,
}

/// How a session of bare retina went.
#[derive(Debug)]
pub(super) struct Bare {
    /// Or retina's words.
    pub(super) result: Result<Seen, String>,
    /// Tracks it lists and nobody sets up.
    pub(super) left: Vec<Track>,
}

/// Where a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// With the camera's end.
    End,
    /// After so many items.
    Items(usize),
}

/// In place of retina's words.
pub(super) const PANICKED: &str = "panicked";

/// Longest time for one session, far over what any takes.
const BOUND: Duration = Duration::from_secs(600);

/// retina alone, with the policies that the airlock sets.
pub(super) async fn bare(script: Script, until: Until) -> Bare {
    let (url, port, camera) = start(script).await;
    let mut left = Vec::new();
    let playing = AssertUnwindSafe(play_bare(url, until, &mut left)).catch_unwind();
    let played = tokio::time::timeout(BOUND, playing).await.unwrap();
    let requests = camera.await.unwrap();
    let result = match played {
        Ok(Ok(seen)) => Ok(Seen { wire: wire(&requests, &port), ..seen }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(PANICKED.to_owned()),
    };
    Bare { result, left }
}

async fn play_bare(url: Url, until: Until, left: &mut Vec<Track>) -> Result<Seen, retina::Error> {
    let login = Credentials { username: "viewer".into(), password: "secret".into() };
    let options = SessionOptions::default()
        .creds(Some(login))
        .user_agent("Camlock".into())
        .teardown(TeardownPolicy::Never)
        .session_id(SessionIdPolicy::UseFirst)
        .unassigned_channel_data(UnassignedChannelDataPolicy::Ignore);
    let mut session = Session::describe(url, options).await?;
    let mut indices = Vec::new();
    for index in 0..session.streams().len() {
        if !takes(&session.streams()[index]) {
            left.push(Track::of(&session.streams()[index]));
            continue;
        }
        let options = SetupOptions::default()
            .transport(Transport::Tcp(TcpTransportOptions::default()))
            .frame_format(FrameFormat::MP4);
        session.setup(index, options).await?;
        indices.push(index);
    }
    let mut seen = Seen { described: tracks(session.streams(), &indices), ..Seen::default() };
    let options = PlayOptions::default()
        .initial_timestamp(InitialTimestampPolicy::Permissive)
        .unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::DropPackets);
    let mut demuxed = session.play(options).await?.demuxed()?;
    while !until.reached(seen.items.len()) {
        match demuxed.next().await {
            Some(item) => seen.items.push(Item::of(item?, &indices)),
            None => break,
        }
    }
    seen.played = tracks(demuxed.streams(), &indices);
    Ok(seen)
}

/// Whether the airlock is to take a track that bare retina lists: pictures, and sound that retina can unpack.
/// Metadata (a camera's own text) is never taken.
fn takes(stream: &Stream) -> bool {
    match stream.media() {
        "video" => matches!(stream.encoding_name(), "h264" | "h265"),
        "audio" => stream.parameters().is_some(),
        _ => false,
    }
}

/// The product's way: the scripted camera's socket, the airlock, the loopback door, retina.
pub(super) async fn through(script: Script, until: Until) -> Through {
    let (url, port, camera) = start(script).await;
    let address = url.socket_addrs(|| None).unwrap()[0];
    #[allow(clippy::disallowed_methods, reason = "the test's own camera")]
    let socket = TcpStream::connect(address).await.unwrap();
    let request = Request { url, ..request() };
    let opening = open(socket, no_redial, &request, LoginMemory::Nothing, pending());
    let (result, counts) = match tokio::time::timeout(BOUND, opening).await.unwrap() {
        Ok(opened) => tokio::time::timeout(BOUND, play_through(opened, until)).await.unwrap(),
        Err(failure) => (Err(failure.reason), failure.counts),
    };
    let requests = camera.await.unwrap();
    let result = result.map(|seen| Seen { wire: wire(&requests, &port), ..seen });
    Through { result, counts, requests }
}

async fn play_through(opened: Opened, until: Until) -> (Result<Seen, EndReason>, Counts) {
    let Opened { mut items, tracks, mut running, .. } = opened;
    let indices: Vec<_> = tracks.iter().map(|track| track.stream).collect();
    let now = |items: &super::super::Items| -> Vec<Track> {
        indices.iter().filter_map(|i| items.stream(*i)).map(Track::of).collect()
    };
    let mut seen = Seen { described: now(&items), ..Seen::default() };
    seen.played = seen.described.clone();
    while !until.reached(seen.items.len()) {
        let Some(item) = items.next().await else { break };
        // Asked for after each change: nothing can be asked of a session that ended.
        if matches!(&item, CodecItem::VideoFrame(frame) if frame.has_new_parameters()) {
            seen.played = now(&items);
        }
        seen.items.push(Item::of(item, &indices));
    }
    let expected = match until {
        Until::End => EndReason::CameraClosed,
        Until::Items(_) => EndReason::Stopped,
    };
    let report = if until == Until::End { running.ended().await } else { running.stop().await };
    let result = if report.reason == expected { Ok(seen) } else { Err(report.reason) };
    (result, report.counts)
}

async fn start(
    script: Script,
) -> (Url, String, tokio::task::JoinHandle<Vec<crate::wire::rtsp::Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let url = Url::parse(&format!("rtsp://127.0.0.1:{port}/live?a=b")).unwrap();
    let camera =
        tokio::spawn(async move { script.serve(listener.accept().await.unwrap().0).await });
    (url, port, camera)
}

fn wire(requests: &[crate::wire::rtsp::Request], port: &str) -> Vec<String> {
    let lines = requests.iter().filter(|asked| asked.method != Method::Teardown);
    lines
        .map(|asked| format!("{} {}", asked.method.token(), asked.uri.replace(port, "PORT")))
        .collect()
}

fn tracks(streams: &[Stream], indices: &[usize]) -> Vec<Track> {
    indices.iter().map(|index| Track::of(&streams[*index])).collect()
}

impl Until {
    fn reached(self, items: usize) -> bool {
        match self {
            Self::End => false,
            Self::Items(count) => items >= count,
        }
    }
}

impl Track {
    fn of(stream: &Stream) -> Self {
        let (parameters, size) = match stream.parameters() {
            Some(ParametersRef::Video(p)) => {
                let shape = (p.pixel_dimensions(), p.pixel_aspect_ratio(), p.frame_rate());
                let sets = (p.codec_params(), p.extra_data());
                (Some(format!("{} {shape:?} {sets:?}", p.rfc6381_codec())), Some(shape.0))
            }
            Some(ParametersRef::Audio(p)) => (Some(format!("{p:?} {:?}", p.extra_data())), None),
            Some(ParametersRef::Message(p)) => (Some(format!("{p:?}")), None),
            None => (None, None),
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "of a frame rate"
        )]
        let frame_rate_milli = stream.framerate().map(|rate| (rate * 1000.0).round() as u32);
        Self {
            media: stream.media().to_owned(),
            encoding: stream.encoding_name().to_owned(),
            clock_rate: stream.clock_rate_hz(),
            channels: stream.channels().map(Into::into),
            frame_rate_milli,
            parameters,
            size,
        }
    }
}

impl Item {
    fn of(item: CodecItem, indices: &[usize]) -> Self {
        let (stream, timestamp, loss, content) = match item {
            CodecItem::VideoFrame(frame) => {
                let kind = (frame.is_random_access_point(), frame.has_new_parameters());
                let content = format!("video {kind:?} {:02x?}", frame.data());
                (frame.stream_id(), Some(frame.timestamp()), frame.loss(), content)
            }
            CodecItem::AudioFrame(frame) => {
                let content = format!("audio {} {:02x?}", frame.frame_length(), frame.data());
                (frame.stream_id(), Some(frame.timestamp()), frame.loss(), content)
            }
            CodecItem::Rtcp(packet) => {
                let report = packet.pkts().next().unwrap().as_sender_report().unwrap().unwrap();
                let content = format!("report {}", report.ntp_timestamp().0);
                (packet.stream_id(), packet.rtp_timestamp(), 0, content)
            }
            other @ (CodecItem::MessageFrame(_) | _) => panic!("{other:?}"),
        };
        let track = indices.iter().position(|index| *index == stream).unwrap();
        let timestamp = timestamp.unwrap();
        let (timestamp, start) = (timestamp.timestamp(), timestamp.start());
        Self { track, timestamp, start, lost: loss > 0, content }
    }
}
