//! Drives retina through the airlock to a playing session.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use retina::client::{
    Demuxed, InitialTimestampPolicy, PlayOptions, Session, SessionIdPolicy, SessionOptions,
    SetupOptions, TcpTransportOptions, TeardownPolicy, Transport, UnassignedChannelDataPolicy,
    UnknownRtcpSsrcPolicy,
};
use retina::codec::FrameFormat;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use super::door::{Door, random_hex};
use super::rewrite::Rewriter;
use super::session::{Report, Running, Shared, Verdict};
use super::{Counts, EndReason, Failure, Items, LoginMemory, Opened, OpenedTrack, Request};
use crate::media::TrackKind;

/// Opens a session over `camera`, an already connected byte stream, and plays it.
///
/// `redial` is called at most once, if the camera closes the connection with its first `401`; it must
/// connect to the same address. Each step has its limit, so it returns; so it does once `stop` has, with TEARDOWN
/// said if there was a session. Dropping the future ends the session too, but nobody waits for its TEARDOWN. The
/// failure's reason is the airlock's own, never retina's text.
pub async fn open<S, R, F>(
    camera: S,
    redial: R,
    request: &Request,
    memory: LoginMemory,
    stop: impl Future<Output = ()>,
) -> Result<Opened, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    R: FnOnce() -> F + Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let failure = |reason| Failure { reason, memory, counts: Counts::default() };
    let door = Door::open().map_err(|_| failure(EndReason::Door))?;
    let client_nonce = random_hex().map_err(|_| failure(EndReason::Door))?;
    let url = Url::parse(door.url()).map_err(|_| failure(EndReason::Door))?;
    let now = tokio::time::Instant::now().into_std();
    let rewriter = Rewriter::new(request, memory, door.url().to_owned(), client_nonce, now)
        .map_err(failure)?;
    let shared = Arc::new(Shared::new(memory));
    let mut running = Running::start(camera, redial, door, rewriter, Arc::clone(&shared));

    let driven = tokio::select! {
        biased;
        () = stop => None,
        driven = AssertUnwindSafe(Box::pin(drive(url, &shared))).catch_unwind() => Some(driven),
    };
    let Some(driven) = driven else {
        let Report { reason, memory, counts } = running.stop().await;
        return Err(Failure { reason, memory, counts });
    };
    let verdict = match driven {
        Ok(Ok((demuxed, tracks))) => {
            let starts = shared.starts();
            return Ok(Opened { items: Items::new(demuxed, shared), tracks, starts, running });
        }
        Ok(Err(Refused)) => Verdict::Refused,
        Err(_) => Verdict::Panicked,
    };
    shared.judge(verdict);
    // retina hung up, or saw the airlock do so: the task ends by itself and knows why.
    let report = running.ended().await;
    Err(Failure { reason: report.reason, memory: report.memory, counts: report.counts })
}

/// retina did not come to play. Its text quotes the camera, and is dropped.
struct Refused;

impl From<retina::Error> for Refused {
    fn from(_: retina::Error) -> Self {
        Self
    }
}

async fn drive(url: Url, shared: &Shared) -> Result<(Demuxed, Vec<OpenedTrack>), Refused> {
    let options = SessionOptions::default()
        // The airlock says goodbye itself; retina would dial where the description points.
        .teardown(TeardownPolicy::Never)
        .session_id(SessionIdPolicy::UseFirst)
        .unassigned_channel_data(UnassignedChannelDataPolicy::Ignore);
    let mut session = Session::describe(url, options).await?;
    let presented = shared.presented();
    if session.streams().len() != presented.len() {
        return Err(Refused);
    }
    let mut tracks = Vec::new();
    for track in presented {
        // Sound whose configuration cannot be read would fail the whole session.
        let readable =
            session.streams().get(track.stream).is_some_and(|s| s.parameters().is_some());
        if track.encoding.kind() == TrackKind::Audio && !readable {
            continue;
        }
        let options = SetupOptions::default()
            .transport(Transport::Tcp(TcpTransportOptions::default()))
            .frame_format(FrameFormat::MP4);
        session.setup(track.stream, options).await?;
        tracks.push(track.clone());
    }
    let options = PlayOptions::default()
        .initial_timestamp(InitialTimestampPolicy::Permissive)
        .unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::DropPackets);
    let demuxed = session.play(options).await?.demuxed()?;
    Ok((demuxed, tracks))
}
