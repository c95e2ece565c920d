//! The subscriptions of one connection's sessions, and how their units become chunks.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::hub::{Interrupt, Subscription};
use crate::media::{Published, TrackId};
use crate::ops::limits::{SENDER_REPORT, SESSIONS_PER_CONNECTION};
use crate::ops::metrics::{RtspReader, Up};
use crate::serve::overload::Behind;
use crate::serve::rtsp_server::machine::{Channels, SessionId};
use crate::trust::audit::{self, Event};
use crate::trust::auth::Permit;
use crate::wire::rtp::{self, ReportPoint};

/// A report goes before the first unit that comes this long after the last one. Where none comes, it goes
/// alone after [`SENDER_REPORT`].
const REPORT_AFTER: Duration = SENDER_REPORT.saturating_sub(Duration::from_secs(1));

/// One place for each session that a connection may have.
#[derive(Debug, Default)]
pub(super) struct Readers {
    places: [Option<Live>; SESSIONS_PER_CONNECTION],
    /// Whose unit came last: the others are asked first.
    last: usize,
}

/// A session with its subscription.
#[derive(Debug)]
struct Live {
    id: SessionId,
    subscription: Subscription,
    pace: Pace,
    _counted: Up,
}

#[derive(Debug)]
enum Pace {
    Paused,
    Playing(Playing),
}

#[derive(Debug)]
struct Playing {
    channels: Vec<Channels>,
    /// The tracks that were reported, each once at least.
    reported: Vec<Reported>,
    meter: RtspReader,
    behind: Arc<Behind>,
}

/// A track's last report, and what the next one would say.
#[derive(Debug)]
struct Reported {
    track: TrackId,
    at: Instant,
    /// After the last unit.
    point: ReportPoint,
    /// When that unit came.
    received: Instant,
}

/// What the connection can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// Units.
    Media,
    /// Only the news that a permit is gone: something waits to be written.
    Revocation,
}

/// The chunks of one unit, in order.
#[derive(Debug)]
pub(super) struct Chunks {
    /// A sender report, if one is due.
    pub(super) report: Option<Bytes>,
    /// The unit: the shared form, unless the client asked for unusual channels.
    pub(super) unit: Bytes,
}

impl Readers {
    /// Gives a session its subscription. There is a place: the machine holds sessions to the same limit.
    pub(super) fn attach(&mut self, id: SessionId, subscription: Subscription, counted: Up) {
        if let Some(place) = self.places.iter_mut().find(|place| place.is_none()) {
            *place = Some(Live { id, subscription, pace: Pace::Paused, _counted: counted });
        }
    }

    pub(super) fn subscription(&mut self, id: SessionId) -> Option<&mut Subscription> {
        self.find(id).map(|live| &mut live.subscription)
    }

    pub(super) fn start(
        &mut self,
        id: SessionId,
        channels: Vec<Channels>,
        meter: RtspReader,
        behind: Arc<Behind>,
    ) {
        if let Some(live) = self.find(id) {
            live.pace = Pace::Playing(Playing { channels, reported: Vec::new(), meter, behind });
        }
    }

    pub(super) fn stop(&mut self, id: SessionId) {
        if let Some(live) = self.find(id) {
            live.pace = Pace::Paused;
        }
    }

    pub(super) fn end(&mut self, id: SessionId) {
        for place in &mut self.places {
            if place.as_ref().is_some_and(|live| live.id == id) {
                *place = None;
            }
        }
    }

    /// The permits of the sessions that play.
    pub(super) fn playing(&self) -> impl Iterator<Item = &Permit> {
        let live = self.places.iter().flatten();
        live.filter(|live| live.playing().is_some()).map(|live| live.subscription.permit())
    }

    /// The next unit of any session that plays, if media is wanted; or that a permit no longer holds, or
    /// a stream ended.
    pub(super) fn poll_next(
        &mut self,
        take: Take,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Chunks, Interrupt>> {
        for step in 1..=SESSIONS_PER_CONNECTION {
            let index = (self.last + step) % SESSIONS_PER_CONNECTION;
            let Some(Some(live)) = self.places.get_mut(index) else { continue };
            if let Poll::Ready(next) = live.poll_next(take, cx) {
                self.last = index;
                return Poll::Ready(next);
            }
        }
        Poll::Pending
    }

    /// When a report is due, whether a unit comes or not.
    pub(super) fn report_deadline(&self) -> Option<Instant> {
        let playing = self.places.iter().flatten().filter_map(Live::playing);
        playing
            .flat_map(|playing| &playing.reported)
            .map(|reported| reported.at + SENDER_REPORT)
            .min()
    }

    /// The reports that are due now.
    pub(super) fn overdue_reports(&mut self, now: Instant) -> Vec<Bytes> {
        let mut reports = Vec::new();
        for live in self.places.iter_mut().flatten() {
            if let Pace::Playing(playing) = &mut live.pace {
                reports.extend(playing.overdue(live.subscription.permit().stream().as_str(), now));
            }
        }
        reports
    }

    fn find(&mut self, id: SessionId) -> Option<&mut Live> {
        self.places.iter_mut().flatten().find(|live| live.id == id)
    }
}

impl Live {
    fn playing(&self) -> Option<&Playing> {
        match &self.pace {
            Pace::Playing(playing) => Some(playing),
            Pace::Paused => None,
        }
    }

    fn poll_next(&mut self, take: Take, cx: &mut Context<'_>) -> Poll<Result<Chunks, Interrupt>> {
        let next = match (&mut self.pace, take) {
            (Pace::Playing(playing), Take::Media) => playing.poll_next(&mut self.subscription, cx),
            (Pace::Playing(_), Take::Revocation) | (Pace::Paused, _) => {
                self.subscription.poll_revoked(cx).map(|()| Err(Interrupt::Revoked))
            }
        };
        if let Poll::Ready(Err(Interrupt::Revoked)) = next {
            let permit = self.subscription.permit();
            let principal = permit.principal().name();
            audit::record(Event::PermitRevoked { principal, stream: permit.stream() });
        }
        next
    }
}

impl Playing {
    fn poll_next(
        &mut self,
        subscription: &mut Subscription,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Chunks, Interrupt>> {
        loop {
            match ready!(subscription.poll_next(cx)) {
                Ok(published) => {
                    let cname = subscription.permit().stream().as_str();
                    if let Some(chunks) = self.chunks(&published, cname, Instant::now()) {
                        return Poll::Ready(Ok(chunks));
                    }
                }
                Err(Interrupt::Lagged { skipped }) => {
                    self.meter.lagged(skipped);
                    self.behind.lagged(skipped, Instant::now().into_std());
                }
                Err(end @ (Interrupt::Ended(_) | Interrupt::Revoked)) => {
                    return Poll::Ready(Err(end));
                }
            }
        }
    }

    fn chunks(&mut self, published: &Published, cname: &str, now: Instant) -> Option<Chunks> {
        let track = published.unit.track.id;
        let channels = *self.channels.iter().find(|channels| channels.track == track)?;
        let form = rtp::interleaved(published);
        let is_usual = track.0.checked_mul(2) == Some(channels.rtp);
        let unit = if is_usual { form } else { rtp::on_channel(&form, channels.rtp) };
        let report = self
            .is_report_due(published, now)
            .then(|| rtp::sender_report(&ReportPoint::before(published), channels.rtcp, cname));
        self.meter.sent(unit.len());
        Some(Chunks { report, unit })
    }

    fn is_report_due(&mut self, published: &Published, now: Instant) -> bool {
        let track = published.unit.track.id;
        let (point, received) =
            (ReportPoint::after(published), Instant::from_std(published.unit.received));
        match self.reported.iter_mut().find(|reported| reported.track == track) {
            Some(reported) => {
                let is_due = now.saturating_duration_since(reported.at) >= REPORT_AFTER;
                let at = if is_due { now } else { reported.at };
                *reported = Reported { track, at, point, received };
                is_due
            }
            None => {
                self.reported.push(Reported { track, at: now, point, received });
                true
            }
        }
    }

    /// Reports of the tracks that had no unit to go before in time: slow ones, or a camera that is away.
    fn overdue(&mut self, cname: &str, now: Instant) -> Vec<Bytes> {
        let mut reports = Vec::new();
        for reported in &mut self.reported {
            let channels = self.channels.iter().find(|channels| channels.track == reported.track);
            if let Some(channels) = channels.filter(|_| now >= reported.at + SENDER_REPORT) {
                let point = reported.point.later(now.saturating_duration_since(reported.received));
                reports.push(rtp::sender_report(&point, channels.rtcp, cname));
                reported.at = now;
            }
        }
        reports
    }
}
