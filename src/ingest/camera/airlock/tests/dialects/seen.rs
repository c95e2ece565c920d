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
use retina::codec::{CodecItem, FrameFormat};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::super::{no_redial, request};
use super::peer::Script;
use crate::ingest::camera::airlock::{
    Counts, EndReason, LoginMemory, OpenedTrack, ReportedTime, Request, Session as OurSession,
    Sink, Unit, open,
};
use crate::ingest::camera::depacketise::{Encoding, Format, codec};
use crate::media::{Codec, G726, Refused, TrackKind};
use crate::wire::rtsp::Method;

/// All that must not change on the way through the airlock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Observed {
    /// Tracks that were set up, as described.
    pub(super) described: Vec<Track>,
    /// The same at the end, when parameter sets in the media have been read.
    pub(super) played: Vec<Track>,
    pub(super) items: Vec<Item>,
    /// Method and URI of each request but TEARDOWN.
    pub(super) wire: Vec<String>,
}

/// A track as described, or as the media changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track {
    pub(super) media: String,
    pub(super) encoding: String,
    pub(super) clock_rate: u32,
    pub(super) parameters: Option<Result<Codec, Refused>>,
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
    pub(super) result: Result<Observed, EndReason>,
    pub(super) counts: Counts,
    /// Requests as the camera got them.
    pub(super) requests: Vec<crate::wire::rtsp::Request>,
}

/// How a session of bare retina went.
#[derive(Debug)]
pub(super) struct Bare {
    /// Or retina's words.
    pub(super) result: Result<Observed, String>,
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
        Ok(Ok(seen)) => Ok(Observed { wire: wire(&requests, &port), ..seen }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(PANICKED.to_owned()),
    };
    Bare { result, left }
}

async fn play_bare(
    url: Url,
    until: Until,
    left: &mut Vec<Track>,
) -> Result<Observed, retina::Error> {
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
    let mut seen =
        Observed { described: tracks(session.streams(), &indices), ..Observed::default() };
    let options = PlayOptions::default()
        .initial_timestamp(InitialTimestampPolicy::Permissive)
        .unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::DropPackets);
    let mut demuxed = session.play(options).await?.demuxed()?;
    let encodings: Vec<_> = seen.described.iter().map(|track| track.encoding.clone()).collect();
    while !until.reached(seen.items.len()) {
        match demuxed.next().await {
            Some(item) => seen.items.push(Item::of(item?, &encodings, &indices)),
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

/// The product's way: the scripted camera's socket, the airlock, its depacketisers.
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
    let result = result.map(|seen| Observed { wire: wire(&requests, &port), ..seen });
    Through { result, counts, requests }
}

async fn play_through<S>(
    mut session: OurSession<S>,
    until: Until,
) -> (Result<Observed, EndReason>, Counts)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let opened = session.tracks().to_vec();
    let described: Vec<_> = opened.iter().map(Track::opened).collect();
    let seen = Observed { played: described.clone(), described, ..Observed::default() };
    let mut watcher = Watcher { seen, opened };
    let mut ended = None;
    while !until.reached(watcher.seen.items.len()) && ended.is_none() {
        ended = session.step(&mut watcher).await.err();
    }
    if let Until::Items(count) = until {
        watcher.seen.items.truncate(count);
    }
    let counts = session.close().await.counts;
    let result = match (ended, until) {
        (Some(EndReason::CameraClosed), Until::End) | (None, Until::Items(_)) => Ok(watcher.seen),
        (ended, _) => Err(ended.unwrap()),
    };
    (result, counts)
}

/// Writes down what comes out of the airlock.
struct Watcher {
    seen: Observed,
    opened: Vec<OpenedTrack>,
}

impl Sink for Watcher {
    fn unit(&mut self, unit: Unit) {
        let encoding = self.opened[unit.stream].encoding;
        let frame = unit.frame;
        if let Some(parameters) = &frame.parameters {
            self.seen.played[unit.stream].set(Some(parameters.clone()));
        }
        self.seen.items.push(Item {
            track: unit.stream,
            timestamp: frame.timestamp,
            start: u32::try_from(unit.start.unwrap()).unwrap(),
            lost: frame.lost,
            content: match encoding.kind() {
                TrackKind::Video => {
                    picture(encoding.names().1.as_str(), frame.parameters.is_some(), &frame.data)
                }
                TrackKind::Audio => format!("audio {:02x?}", &frame.data[..]),
            },
        });
    }

    fn report(&mut self, report: ReportedTime) {
        // As retina has it: the start of the track, which the units say.
        self.seen.items.push(Item {
            track: report.stream,
            timestamp: report.timestamp,
            start: 0,
            lost: false,
            content: format!("report {}", report.ntp),
        });
    }
}

/// A picture in words: whether it is a key picture, whether it brought new parameters, and its bytes.
fn picture(encoding: &str, new_parameters: bool, data: &[u8]) -> String {
    let (mut rest, mut is_key) = (data, true);
    while let Some((length, nal)) = rest.split_first_chunk::<4>() {
        let (nal, tail) = nal.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
        is_key &= match encoding {
            "h264" => !matches!(nal[0] & 0x1f, 1..=4),
            _ => !matches!(nal[0] >> 1 & 0x3f, 0..=15),
        };
        rest = tail;
    }
    format!("video {:?} {data:02x?}", (is_key, new_parameters))
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
        let channels = stream.channels().map(|n| u8::try_from(u16::from(n)).unwrap());
        let encoding = match stream.encoding_name() {
            "h264" => Some(Encoding::H264),
            "h265" => Some(Encoding::H265),
            "mpeg4-generic" => Some(Encoding::Aac),
            "pcma" => Some(Encoding::Pcma),
            "pcmu" => Some(Encoding::Pcmu),
            "l16" => Some(Encoding::L16),
            other => G726::from_encoding_name(&other.to_uppercase()).map(Encoding::G726),
        };
        let clock_rate = stream.clock_rate_hz();
        let format =
            encoding.map(|encoding| Format { encoding, clock_rate, channels, parameters: None });
        Self::new(
            stream.media(),
            stream.encoding_name(),
            clock_rate,
            format.and_then(|format| codec(&format, stream.parameters()?)),
        )
    }

    fn opened(opened: &OpenedTrack) -> Self {
        let (media, name) = opened.encoding.names();
        Self::new(media, &name, opened.clock_rate, opened.codec.clone())
    }

    fn new(
        media: &str,
        encoding: &str,
        clock_rate: u32,
        parameters: Option<Result<Codec, Refused>>,
    ) -> Self {
        let (media, encoding) = (media.to_owned(), encoding.to_owned());
        let mut track = Self { media, encoding, clock_rate, parameters: None, size: None };
        track.set(parameters);
        track
    }

    fn set(&mut self, parameters: Option<Result<Codec, Refused>>) {
        self.size = match &parameters {
            Some(Ok(Codec::H264(p))) => Some((p.width.into(), p.height.into())),
            Some(Ok(Codec::H265(p))) => Some((p.width.into(), p.height.into())),
            _ => None,
        };
        self.parameters = parameters;
    }
}

impl Item {
    fn of(item: CodecItem, encodings: &[String], indices: &[usize]) -> Self {
        let at = |stream| indices.iter().position(|index| *index == stream).unwrap();
        match item {
            CodecItem::VideoFrame(frame) => {
                let track = at(frame.stream_id());
                let new = frame.has_new_parameters();
                let (timestamp, start) = (frame.timestamp().timestamp(), frame.timestamp().start());
                let content = picture(&encodings[track], new, frame.data());
                Self { track, timestamp, start, lost: frame.loss() > 0, content }
            }
            CodecItem::AudioFrame(frame) => {
                let track = at(frame.stream_id());
                let (timestamp, start) = (frame.timestamp().timestamp(), frame.timestamp().start());
                let content = format!("audio {:02x?}", frame.data());
                Self { track, timestamp, start, lost: frame.loss() > 0, content }
            }
            CodecItem::Rtcp(packet) => {
                let report = packet.pkts().next().unwrap().as_sender_report().unwrap().unwrap();
                let content = format!("report {}", report.ntp_timestamp().0);
                let timestamp = packet.rtp_timestamp().unwrap().timestamp();
                Self { track: at(packet.stream_id()), timestamp, start: 0, lost: false, content }
            }
            other @ (CodecItem::MessageFrame(_) | _) => panic!("{other:?}"),
        }
    }
}
