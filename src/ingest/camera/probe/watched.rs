//! One track under watch: policy, and what is measured of what passes. Its state has a fixed size.

use std::sync::Arc;
use std::time::Instant;

use super::{ProbedTrack, Quirk};
use crate::hub;
use crate::ingest::camera::airlock::{Encoding, OpenedTrack, ReportedTime, Sink, Unit};
use crate::ingest::camera::feed::{Fed, OnChange, TrackFeed};
use crate::media::{Clean, Refused, TrackId, TrackKind};
use crate::ops::limits;

/// A track, its parameters and policy, and its measures.
#[derive(Debug)]
pub(super) struct Watched {
    feed: TrackFeed,
    described: Described,
    format_changes: u64,
    seen: Measures,
}

/// Where the first lawful parameters came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Described {
    /// The session description.
    Before,
    /// The media itself.
    InBand,
}

/// What passed.
#[derive(Debug, Default)]
struct Measures {
    units: u64,
    bytes: u64,
    /// First and last arrival.
    arrivals: Option<(Instant, Instant)>,
    /// Lowest and highest timestamp.
    timestamps: Option<(i64, i64)>,
    latest: i64,
    backwards: u64,
    random_access: u64,
    since_random_access: u64,
    interval: Option<(u64, u64)>,
    /// What the pictures since the last random access point take in a ring, and the most that they took.
    group_bytes: usize,
    largest_group: usize,
}

/// All tracks of a session.
pub(super) struct AllWatched(pub(super) Vec<Watched>);

impl Sink for AllWatched {
    fn unit(&mut self, unit: Unit) {
        let stream = unit.stream;
        if let Some(track) = self.0.iter_mut().find(|t| t.feed.opened().stream == stream) {
            track.unit(unit);
        }
    }

    /// Counted by the airlock.
    fn report(&mut self, _: ReportedTime) {}
}

impl Watched {
    pub(super) fn new(opened: OpenedTrack) -> Self {
        let feed = TrackFeed::new(opened, TrackId(0), None);
        let described = match feed.track() {
            Some(_) => Described::Before,
            None => Described::InBand,
        };
        Self { feed, described, format_changes: 0, seen: Measures::default() }
    }

    /// Pictures first, then the camera's order.
    pub(super) fn order(&self) -> (bool, usize) {
        (self.kind() == TrackKind::Audio, self.feed.opened().media)
    }

    pub(super) fn units(&self) -> u64 {
        self.seen.units
    }

    pub(super) fn refused(&self) -> Option<Refused> {
        self.feed.refused()
    }

    pub(super) fn quirks(&self) -> Vec<Quirk> {
        let (seen, video) = (&self.seen, self.kind() == TrackKind::Video);
        // JPEG has none: each picture brings its tables.
        let has_sets = self.feed.opened().encoding != Encoding::Jpeg;
        let in_band = self.described == Described::InBand && seen.units > 0 && has_sets;
        let varies = seen.interval.is_some_and(|(least, most)| least != most);
        [
            (video && seen.backwards > 0, Quirk::OutOfOrder),
            (seen.clock_disagrees(self.feed.opened().clock_rate), Quirk::ClockDisagrees),
            (video && in_band, Quirk::ParametersInBand),
            (self.format_changes > 0, Quirk::FormatChanged),
            (video && seen.units > 0 && seen.random_access < 2, Quirk::LongInterval),
            (video && varies, Quirk::VaryingInterval),
            (video && seen.largest_group > limits::RING_BYTES, Quirk::LargeGroup),
        ]
        .into_iter()
        .filter_map(|(is, quirk)| is.then_some(quirk))
        .collect()
    }

    pub(super) fn finish(self) -> ProbedTrack {
        let rate = self.seen.rate(self.feed.opened().clock_rate);
        ProbedTrack {
            kind: self.kind(),
            track: self.feed.track().map(Arc::clone),
            refused: self.feed.refused(),
            units: self.seen.units,
            rate,
            bit_rate: rate.map(|rate| 8.0 * float(self.seen.bytes) * rate / float(self.seen.units)),
            random_access: self.seen.random_access,
            interval: self.seen.interval,
            dropped: self.feed.counts(),
        }
    }

    fn kind(&self) -> TrackKind {
        self.feed.kind()
    }

    /// As the gateway takes it. Where that would end its session, a change is counted, and the new format watched.
    fn unit(&mut self, unit: Unit) {
        let timestamp = unit.frame.timestamp;
        let has_parameters = self.feed.track().is_some();
        let restarts = self.feed.restarts();
        let fed = self.feed.take(unit.frame, OnChange::Restart);
        if has_parameters && self.seen.units > 0 {
            self.format_changes += self.feed.restarts() - restarts;
        }
        if let Fed::Clean(clean) = fed {
            self.seen.add(timestamp, unit.at, &clean);
        }
    }
}

impl Measures {
    fn add(&mut self, timestamp: i64, at: Instant, clean: &Clean) {
        if self.units > 0 && timestamp < self.latest {
            self.backwards = self.backwards.saturating_add(1);
        }
        self.latest = timestamp;
        self.units = self.units.saturating_add(1);
        self.bytes = self.bytes.saturating_add(clean.data.len() as u64);
        self.arrivals = Some(self.arrivals.map_or((at, at), |(first, _)| (first, at)));
        let (low, high) = self.timestamps.unwrap_or((timestamp, timestamp));
        self.timestamps = Some((low.min(timestamp), high.max(timestamp)));
        if clean.random_access {
            if self.random_access > 0 {
                let now = self.since_random_access;
                let (least, most) = self.interval.unwrap_or((now, now));
                self.interval = Some((least.min(now), most.max(now)));
            }
            self.random_access = self.random_access.saturating_add(1);
            self.since_random_access = 0;
            self.group_bytes = 0;
        }
        self.group_bytes = self.group_bytes.saturating_add(hub::unit_bytes(clean.data.len()));
        self.largest_group = self.largest_group.max(self.group_bytes);
        self.since_random_access = self.since_random_access.saturating_add(1);
    }

    /// Units a second: by the camera's clock, or by their arrival if that says something quite different.
    fn rate(&self, clock_rate: u32) -> Option<f64> {
        let (by_clock, by_arrival) = self.rates(clock_rate);
        if self.clock_disagrees(clock_rate) { by_arrival } else { by_clock.or(by_arrival) }
    }

    fn clock_disagrees(&self, clock_rate: u32) -> bool {
        let arrived = self
            .arrivals
            .map_or(0.0, |(first, last)| last.saturating_duration_since(first).as_secs_f64());
        match self.rates(clock_rate) {
            // Bursts at the start and jitter say nothing of a short time.
            (Some(clock), Some(arrival)) if arrived >= 1.0 => {
                (clock / arrival - 1.0).abs() > 0.2 + 0.5 / arrived
            }
            (None, Some(_)) => arrived >= 1.0,
            (_, None) | (Some(_), Some(_)) => false,
        }
    }

    fn rates(&self, clock_rate: u32) -> (Option<f64>, Option<f64>) {
        let steps = (self.units >= 3).then(|| float(self.units - 1));
        let per = |span: f64| steps.filter(|_| span > 0.0).map(|steps| steps / span);
        let ticks = self.timestamps.map_or(0, |(low, high)| high.saturating_sub(low));
        let clock = float(u64::try_from(ticks).unwrap_or(0)) / f64::from(clock_rate.max(1));
        let arrived = self
            .arrivals
            .map_or(0.0, |(first, last)| last.saturating_duration_since(first).as_secs_f64());
        (per(clock), per(arrived))
    }
}

/// Good to 53 bits, which is more than is ever counted here.
#[allow(clippy::cast_precision_loss, reason = "a measure for people")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::media::{Codec, Track};

    /// Units of one byte at these ticks of 90 kHz and these milliseconds, each 25th a random access point.
    fn seen(units: impl Iterator<Item = (i64, u64)>) -> Measures {
        let begin = tokio::time::Instant::now().into_std();
        let codec = Codec::Pcma { channels: 1 };
        let track = Arc::new(Track { id: TrackId(0), codec, clock_rate: 90_000 });
        let mut seen = Measures::default();
        for (n, (ticks, ms)) in units.enumerate() {
            let data = Bytes::from_static(&[0]);
            let random_access = n % 25 == 0;
            let clean = Clean { track: Arc::clone(&track), random_access, data };
            seen.add(ticks, begin + Duration::from_millis(ms), &clean);
        }
        seen
    }

    #[test]
    fn the_rate_is_the_cameras_unless_its_clock_lies() {
        let good = seen((0..100).map(|n: i64| (n * 3600, n.unsigned_abs() * 40)));
        assert!(!good.clock_disagrees(90_000));
        assert_eq!(good.rate(90_000), Some(25.0));
        assert_eq!(good.interval, Some((25, 25)));
        assert_eq!(good.backwards, 0);
        let double = seen((0..100).map(|n: i64| (n * 7200, n.unsigned_abs() * 40)));
        assert!(double.clock_disagrees(90_000));
        assert!((double.rate(90_000).unwrap() - 25.0).abs() < 0.01);
        let stands = seen((0..100).map(|n: u64| (0, n * 40)));
        assert!(stands.clock_disagrees(90_000) && stands.rate(90_000).is_some());
        let extreme = seen([(i64::MIN, 0), (i64::MAX, 700), (0, 2000)].into_iter());
        assert!(extreme.clock_disagrees(1) && extreme.backwards == 1);
    }

    #[test]
    fn too_few_units_have_no_rate() {
        assert_eq!(seen([(0, 0), (3600, 40)].into_iter()).rate(90_000), None);
        assert_eq!(seen(std::iter::empty()).rate(90_000), None);
        assert_eq!(seen([(0, 0), (0, 0), (0, 0)].into_iter()).rate(0), None);
    }
}
