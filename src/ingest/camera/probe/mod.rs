//! A look at one camera: through the airlock and the media policy, measured, and given to nobody.

#[cfg(test)]
mod tests;
mod watched;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use tokio::time::{Instant, timeout};

use super::airlock::{
    BasicPolicy, Counts, EndReason, Login, LoginMemory, LoginUsed, Request, Session, Starts,
};
use super::certificate_book::{CertificateBook, Certificates};
use super::dialer::{CameraLine, Connected, Identity, NotOpened, Way};
use super::pull::Ending;
use crate::ingest::camera::supervisor::USER_AGENT;
use crate::ingest::segment::{self, Segment};
use crate::media::{DropCounts, Kinds, Refused, Track, TrackKind};
use crate::ops::limits;
use crate::trust::tls::client::{Peer, Trust};

use watched::{AllWatched, Watched};

/// What to look at.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The camera's name; the segment's service knows it by that.
    pub name: String,
    /// Where it is.
    pub segment: segment::Mode,
    /// Its address.
    pub address: SocketAddr,
    /// Path and query of the request, beginning with `/`.
    pub path: String,
    /// Account, if the camera wants one.
    pub login: Option<Login>,
    /// Whether the password may go out in the clear.
    pub basic: BasicPolicy,
    /// RTSP over TLS, and how the camera is known; [`Trust::FirstUse`] takes any certificate.
    pub tls: Option<Trust>,
    /// How long to watch, at most [`limits::PROBE_WATCH`].
    pub watch: Duration,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Probed {
    /// How the camera had its requests signed.
    pub login: LoginUsed,
    /// Who the camera said it is, over TLS.
    pub peer: Option<Peer>,
    /// Time from the answer to PLAY.
    pub watched: Duration,
    /// The tracks, pictures first.
    pub tracks: Vec<ProbedTrack>,
    /// What the airlock passed and dropped.
    pub counts: Counts,
    /// What is odd about this camera.
    pub quirks: Vec<Quirk>,
    /// Why the session ended before its time, if it did.
    pub ended: Option<EndReason>,
}

/// One track, as it came out of the media policy.
#[derive(Debug, Clone)]
pub struct ProbedTrack {
    /// Picture or sound.
    pub kind: TrackKind,
    /// Codec and parameters as they were last; `None` if none came that are lawful.
    pub track: Option<Arc<Track>>,
    /// Why parameters were refused, if they were.
    pub refused: Option<Refused>,
    /// Access units that passed.
    pub units: u64,
    /// Access units a second; `None` below three units.
    pub rate: Option<f64>,
    /// Bits a second of what passed; `None` below three units.
    pub bit_rate: Option<f64>,
    /// Random access points among the units.
    pub random_access: u64,
    /// Pictures from one random access point to the next, least and most; `None` if there were fewer than two.
    pub interval: Option<(u64, u64)>,
    /// What the policy dropped, by reason.
    pub dropped: DropCounts,
}

/// Something odd, or good to know, about a camera. Told from counts and times alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Quirk {
    /// `RTP-Info` does not say where the tracks begin.
    #[error("its RTP-Info does not say where the tracks begin")]
    NoStarts,
    /// No RTCP sender report came.
    #[error("it sends no RTCP sender reports: sound is placed by its arrival")]
    NoSenderReports,
    /// Timestamps of pictures go back: B-pictures, or a clock that jumps.
    #[error("timestamps of pictures go back: B-pictures, or a clock that jumps")]
    OutOfOrder,
    /// The camera's RTP clock and the arrival of its media differ by more than a fifth.
    #[error("its RTP clock does not run with the arrival of its media")]
    ClockDisagrees,
    /// The session description has no parameter sets; they came with the pictures.
    #[error("parameter sets come only with the pictures")]
    ParametersInBand,
    /// The format changed while it was watched.
    #[error("its format changed meanwhile: readers are sent away each time")]
    FormatChanged,
    /// Fewer than two random access points came.
    #[error(
        "fewer than two key frames came: readers wait long for the first picture; shorten the interval"
    )]
    LongInterval,
    /// The distance of the random access points varies (a "smart" codec, or key pictures on demand).
    #[error("the key-frame interval varies: switch the smart codec (H.264+, Zipstream ...) off")]
    VaryingInterval,
    /// A group of pictures is larger than a ring: who joins waits for the next random access point.
    #[error(
        "a group of pictures is larger than the ring of a stream: readers wait for the next key frame; shorten the interval or set ring_mib"
    )]
    LargeGroup,
    /// Packets were missing although they come over TCP: the camera drops them itself.
    #[error("it leaves packets out although it sends over TCP: it is overloaded")]
    LostPackets,
    /// Media of an older session came.
    #[error("media of an older session came")]
    OldSession,
    /// Data came on channels that were never set up.
    #[error("data came on channels that were never set up")]
    ForeignChannels,
    /// The camera asked us things.
    #[error("it sends requests of its own")]
    CameraRequests,
    /// Answers came to questions nobody asked.
    #[error("it answers questions nobody asked")]
    StrayAnswers,
    /// The session description has sections that are not taken (metadata, other codecs, talk-back).
    #[error(
        "its session description has sections that are not taken (metadata, other codecs, talk-back)"
    )]
    OtherSections,
    /// Its URLs name another host.
    #[error("its URLs name another host: an old address, or NAT; it is never dialled")]
    OtherHost,
    /// Its `Content-Base` has no scheme.
    #[error("its Content-Base has no scheme")]
    BaseWithoutScheme,
    /// Its answers have no `CSeq`.
    #[error("its answers have no CSeq")]
    NoCseq,
    /// It sends on other channels than asked for.
    #[error("it sends on other channels than it was asked to")]
    OtherChannels,
    /// Its packets have another payload type than the session description says.
    #[error("its packets have another payload type than its session description says")]
    OtherPayloadType,
    /// Its packets have another source than announced.
    #[error("its packets have another source (SSRC) than it announced")]
    OtherSource,
    /// Its sound has no markers.
    #[error("its frames of sound have no marker: they are given one")]
    NoMarkers,
}

/// Why nothing was seen.
#[derive(Debug, Clone, Copy)]
pub struct Failed(Ending);

impl Failed {
    /// A stable word for machines.
    pub fn label(self) -> &'static str {
        self.0.label()
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

/// Connects to the camera, plays for the time asked, and says good-bye. Takes at most
/// [`limits::CAMERA_CONNECT`], [`limits::CAMERA_HANDSHAKE`], [`limits::PROBE_OPEN`], the time asked and [`limits::CAMERA_TEARDOWN`].
pub async fn probe(settings: &Settings) -> Result<Probed, Failed> {
    let (mut session, peer) = open(settings).await.map_err(Failed)?;
    let (starts, begin) = (session.starts(), Instant::now());
    let mut tracks: Vec<_> = session.tracks().iter().cloned().map(Watched::new).collect();
    tracks.sort_by_key(Watched::order);
    let mut tracks = AllWatched(tracks);
    let end = begin + settings.watch.min(limits::PROBE_WATCH);
    let early = watch(&mut session, &mut tracks, end).await;
    let tracks = tracks.0;
    let login = session.login();
    let watched = Instant::now().saturating_duration_since(begin);
    let counts = session.close().await.counts;
    if tracks.iter().all(|track| track.units() == 0) {
        let refused = tracks.iter().find_map(Watched::refused);
        let nothing = refused.map_or(Ending::NothingLawful, Ending::Parameters);
        return Err(Failed(early.map_or(nothing, Ending::Session)));
    }
    let quirks = quirks(&counts, starts, watched, &tracks);
    let tracks = tracks.into_iter().map(Watched::finish).collect();
    Ok(Probed { login, peer, watched, tracks, counts, quirks, ended: early })
}

/// Watches until `end`, or until the session ends before, for this reason.
async fn watch(
    session: &mut Session<CameraLine>,
    tracks: &mut AllWatched,
    end: Instant,
) -> Option<EndReason> {
    let mut over = std::pin::pin!(tokio::time::sleep_until(end));
    loop {
        tokio::select! {
            biased;
            () = &mut over => return None,
            stepped = session.step(tracks) => if let Err(reason) = stepped {
                return Some(reason);
            }
        }
    }
}

async fn open(settings: &Settings) -> Result<(Session<CameraLine>, Option<Peer>), Ending> {
    let bad = Ending::Session(EndReason::BadRequest);
    let cameras = [(settings.name.clone(), settings.address)].into();
    let segment = Segment::new(segment::Settings {
        mode: settings.segment.clone(),
        cameras,
        ..segment::Settings::default()
    })
    .map_err(|_| bad)?;
    let segment = Arc::new(segment);
    let address = segment.address(&settings.name).ok_or(bad)?;
    let identity = settings.tls.clone().map(|trust| Identity {
        camera: settings.name.clone(),
        trust,
        // For this look alone: a second connection must find the same camera.
        book: CertificateBook::new(Some(Certificates::new()), |_| Ok(())),
    });
    let way = Way { segment, address, identity };
    let request = Request {
        url: way.url(&settings.path).ok_or(bad)?,
        login: settings.login.clone(),
        basic: settings.basic,
        user_agent: USER_AGENT.to_owned(),
        kinds: Kinds::ALL,
    };
    let Connected { line, peer, first_use: _ } = way.connect().await?;
    let opened = way.open(line, &request, LoginMemory::Nothing, std::future::pending());
    match timeout(limits::PROBE_OPEN, opened).await {
        Ok(Ok(opened)) => Ok((opened, peer)),
        Ok(Err(NotOpened { ending, .. })) => Err(ending),
        Err(_) => Err(Ending::Session(EndReason::NoAnswer)),
    }
}

fn quirks(counts: &Counts, starts: Starts, watched: Duration, tracks: &[Watched]) -> Vec<Quirk> {
    // Sender reports come every five seconds or so.
    let patient = watched >= Duration::from_secs(6);
    let odd = counts.odd;
    let whole = [
        (starts == Starts::Unknown, Quirk::NoStarts),
        (patient && counts.sender_reports == 0, Quirk::NoSenderReports),
        (counts.lost > 0, Quirk::LostPackets),
        (counts.dropped_source > 0, Quirk::OldSession),
        (counts.dropped_channel > 0, Quirk::ForeignChannels),
        (counts.camera_requests > 0, Quirk::CameraRequests),
        (counts.stray_answers > 0, Quirk::StrayAnswers),
        (counts.dropped_sections > 0, Quirk::OtherSections),
        (odd.other_host, Quirk::OtherHost),
        (odd.base_without_scheme, Quirk::BaseWithoutScheme),
        (odd.no_cseq, Quirk::NoCseq),
        (odd.other_channels, Quirk::OtherChannels),
        (odd.other_payload_type, Quirk::OtherPayloadType),
        (odd.other_source, Quirk::OtherSource),
        (odd.no_markers, Quirk::NoMarkers),
    ];
    let mut found: Vec<_> = whole.into_iter().filter_map(|(is, q)| is.then_some(q)).collect();
    for quirk in tracks.iter().flat_map(Watched::quirks) {
        if !found.contains(&quirk) {
            found.push(quirk);
        }
    }
    found
}

impl Quirk {
    /// A stable word for machines.
    pub fn label(self) -> &'static str {
        self.into()
    }
}
