//! From frames to published units: parameters and policy of each track, timeline, hub.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::hub::Publisher;
use crate::media::{AccessUnit, Clean, DropCounts, Refused, StreamName, Track, TrackId, TrackKind};
use crate::ops::limits;
use crate::ops::metrics::{CameraMetrics, CameraStreamMetrics};

use super::airlock::{OpenedTrack, ReportedTime, Sink, Starts, Unit};
use super::feed::{Fed, OnChange, TrackFeed};
use super::retime::{Arrival, Placed, Stamp, Timeline, TrackClock};

/// What a stream keeps from one pull to the next, so that its readers see one stream.
#[derive(Debug, Default)]
pub(super) struct Carry {
    timeline: Timeline,
    /// As last given to the hub. The same parameters after a reconnect are the same `Arc`s.
    tracks: Vec<Arc<Track>>,
}

/// Where the units of one pull go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlet<'a> {
    pub(super) stream: &'a StreamName,
    pub(super) publisher: &'a Publisher,
    pub(super) metrics: &'a CameraStreamMetrics,
    pub(super) all_metrics: &'a CameraMetrics,
}

/// The media of one pull. Video tracks come first, in the camera's order, then audio.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    outlet: Outlet<'a>,
    carry: &'a mut Carry,
    slots: Vec<Slot>,
    starts: Starts,
    phase: Phase,
    /// When something valid was last published (video, if there is any), or the pull began.
    progress: Instant,
    has_changed_format: bool,
    clock_resets: u64,
}

/// Whether the hub knows the tracks of this pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Parameters, or the first random access point, are still to come.
    Collecting,
    /// Units go to the hub; the first did at this time.
    Publishing {
        /// That time.
        since: Instant,
    },
}

#[derive(Debug)]
struct Slot {
    feed: TrackFeed,
    counted: DropCounts,
}

impl Sink for Intake<'_> {
    fn unit(&mut self, unit: Unit) {
        if !self.has_changed_format {
            self.take(unit);
        }
    }

    fn report(&mut self, report: ReportedTime) {
        let Some(slot) = self.slot(report.stream) else { return };
        self.carry.timeline.report(slot, report.ntp, report.timestamp, arrival(report.at));
    }
}

impl<'a> Intake<'a> {
    /// A new pull with the tracks that were set up.
    pub(super) fn new(
        outlet: Outlet<'a>,
        carry: &'a mut Carry,
        opened: Vec<OpenedTrack>,
        starts: Starts,
    ) -> Self {
        let (mut tracks, audio): (Vec<_>, Vec<_>) =
            opened.into_iter().partition(|track| track.encoding.kind() == TrackKind::Video);
        tracks.sort_by_key(|track| track.media);
        // Sound whose parameters are not valid is left out; the pictures go on without it.
        let (audio, refused): (Vec<_>, Vec<_>) =
            audio.into_iter().partition(|track| matches!(track.codec, Some(Ok(_))));
        tracks.extend(audio);
        let over = tracks.len().saturating_sub(limits::TRACKS) + refused.len();
        tracks.truncate(limits::TRACKS);
        if over > 0 {
            outlet.all_metrics.dropped(outlet.stream.as_str(), "track", over as u64);
        }
        carry.timeline.begin(
            tracks.iter().map(|t| TrackClock { kind: t.encoding.kind(), clock_rate: t.clock_rate }),
        );
        let slots = (0_u8..)
            .zip(tracks)
            .map(|(id, opened)| {
                let known = carry.tracks.get(usize::from(id)).cloned();
                let feed = TrackFeed::new(opened, TrackId(id), known);
                Slot { feed, counted: DropCounts::default() }
            })
            .collect();
        let clock_resets = carry.timeline.set_anew_count();
        Self {
            outlet,
            carry,
            slots,
            starts,
            phase: Phase::Collecting,
            progress: Instant::now(),
            has_changed_format: false,
            clock_resets,
        }
    }

    /// The camera changed its format in mid-session: readers need a new description, and the camera a pause. Nothing
    /// more is published.
    pub(super) fn has_changed_format(&self) -> bool {
        self.has_changed_format
    }

    /// Whether units go to the hub.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// When something valid was last published, or the pull began.
    pub(super) fn progress(&self) -> Instant {
        self.progress
    }

    /// The parameters that were refused last.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.slots.iter().rev().find_map(|slot| slot.feed.refused())
    }

    /// Brings the metrics up to date; once a second and at the end.
    pub(super) fn count(&mut self) {
        for slot in &mut self.slots {
            slot.count(&self.outlet);
        }
        let resets = self.carry.timeline.set_anew_count();
        self.outlet.metrics.clock_resets.inc_by(resets.saturating_sub(self.clock_resets));
        self.clock_resets = resets;
    }

    fn take(&mut self, unit: Unit) {
        let Some(index) = self.slot(unit.stream) else { return };
        let start = match self.starts {
            Starts::Announced => unit.start,
            Starts::Unknown => None,
        };
        let stamp = Stamp { camera: unit.frame.timestamp, start };
        let arrival = arrival(unit.at);
        // Also units that are then dropped teach the timeline when their track began.
        let Some(placed) = self.carry.timeline.place(index, stamp, arrival) else { return };
        let on_change = match self.phase {
            Phase::Collecting => OnChange::Restart,
            Phase::Publishing { .. } => OnChange::Refuse,
        };
        let Some(slot) = self.slots.get_mut(index) else { return };
        match slot.feed.take(unit.frame, on_change) {
            Fed::Clean(clean) => self.publish(index, clean, placed, arrival),
            Fed::NoParameters => self.dropped("no_parameters"),
            Fed::BeforeRandomAccess => self.dropped("before_start"),
            Fed::Dropped => {}
            Fed::FormatChanged => self.has_changed_format = true,
        }
    }

    fn publish(&mut self, slot: usize, clean: Clean, placed: Placed, arrival: Arrival) {
        match self.phase {
            Phase::Collecting if self.is_first(slot, clean.random_access) => {
                self.phase = Phase::Publishing { since: Instant::now() };
                self.publish_tracks();
            }
            Phase::Collecting => return self.dropped("before_start"),
            Phase::Publishing { .. } => {
                let told = self.carry.tracks.get(slot);
                if !told.is_some_and(|told| Arc::ptr_eq(told, &clean.track)) {
                    self.publish_tracks();
                }
            }
        }
        let kind = clean.track.kind();
        let counted = match kind {
            TrackKind::Video => &self.outlet.metrics.video,
            TrackKind::Audio => &self.outlet.metrics.audio,
        };
        counted.units.inc();
        counted.bytes.inc_by(clean.data.len() as u64);
        if kind == self.leading_kind() {
            self.progress = Instant::now();
        }
        self.outlet.publisher.push(AccessUnit {
            track: clean.track,
            ticks: placed.ticks,
            received: arrival.at,
            wallclock: placed.wallclock,
            random_access: clean.random_access,
            data: clean.data,
        });
    }

    fn dropped(&self, reason: &'static str) {
        self.outlet.all_metrics.dropped(self.outlet.stream.as_str(), reason, 1);
    }

    fn publish_tracks(&mut self) {
        self.carry.tracks =
            self.slots.iter().filter_map(|slot| slot.feed.track()).cloned().collect();
        self.outlet.publisher.set_tracks(self.carry.tracks.clone());
    }

    /// Whether a unit can be the first that is published.
    fn is_first(&self, slot: usize, random_access: bool) -> bool {
        let leads =
            self.slots.get(slot).is_some_and(|slot| slot.feed.kind() == self.leading_kind());
        random_access && leads && self.slots.iter().all(|slot| slot.feed.track().is_some())
    }

    /// Pictures, if there are any.
    fn leading_kind(&self) -> TrackKind {
        self.slots.first().map_or(TrackKind::Video, |slot| slot.feed.kind())
    }

    fn slot(&self, stream: usize) -> Option<usize> {
        self.slots.iter().position(|slot| slot.feed.opened().stream == stream)
    }
}

impl Slot {
    fn count(&mut self, outlet: &Outlet<'_>) {
        let counts = self.feed.counts();
        for (reason, count) in counts.iter() {
            let new = count.saturating_sub(self.counted.get(reason));
            if new > 0 {
                outlet.all_metrics.dropped(outlet.stream.as_str(), reason.label(), new);
            }
        }
        self.counted = counts;
    }
}

/// An arrival a moment ago: the wall clock is asked only now.
fn arrival(at: std::time::Instant) -> Arrival {
    Arrival { at, utc: SystemTime::now() }
}
