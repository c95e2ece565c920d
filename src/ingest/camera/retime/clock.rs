//! How a stream's media time lies to the gateway's clocks, learnt from arrivals.
//!
//! Media arrives late by a varying time, never early, so the least delay of the last seconds tells most.
//! Two values follow it: a *reference* that judges whether a camera's clock jumped, and the *wall* mapping
//! that readers see, which must be smooth. All times are nanoseconds.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ops::limits;

/// The least delay is taken over one to two of these.
const WINDOW: i64 = 10 * SECOND;
/// For so long after the start of a pull the reference takes the least delay over at once: cameras begin
/// with a burst, whose first pictures are the oldest.
const START: i64 = 5 * SECOND;
/// The wall mapping follows no faster: 500 parts in a million.
const WALL_SLEW: (i64, i64) = (500, 1_000_000);
/// ... and where it is off by more than [`WALL_NEAR`], as after a first picture that came late: 3,000. Players
/// that take a sender report at its word, as ffmpeg does, then go back by 15 ms from one to the next at most:
/// less than a picture lasts, up to 60 a second.
const WALL_SLEW_FAR: (i64, i64) = (3_000, 1_000_000);
const WALL_NEAR: i64 = SECOND / 20;
/// ... unless it is off by more: then either clock was set, and the mapping steps.
const WALL_STEP: i64 = SECOND;
/// The reference follows no faster: a camera whose clock runs that wrong is not followed.
const REFERENCE_SLEW: (i64, i64) = (5, 100);

pub(super) const SECOND: i64 = 1_000_000_000;

/// When something arrived, by both clocks of the gateway.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingest::camera) struct Arrival {
    /// Monotonic clock.
    pub(in crate::ingest::camera) at: Instant,
    /// UTC.
    pub(in crate::ingest::camera) utc: SystemTime,
}

/// The clocks of one stream, across pulls.
#[derive(Debug)]
pub(super) struct Clock {
    epoch: Instant,
    /// Monotonic time of the first unit of this pull.
    started: i64,
    updated: i64,
    /// Arrival minus media time, as used to judge jumps.
    reference: i64,
    /// The same for the first unit of this pull.
    initial: i64,
    least: Least,
    /// UTC minus media time.
    wall: i64,
}

/// The least value of the last window or two.
#[derive(Debug, Clone, Copy)]
struct Least {
    since: i64,
    current: i64,
    previous: i64,
}

impl Clock {
    /// Media time begins now.
    pub(super) fn new(arrival: Arrival) -> Self {
        Self {
            epoch: arrival.at,
            started: 0,
            updated: 0,
            reference: 0,
            initial: 0,
            least: Least { since: 0, current: 0, previous: 0 },
            wall: utc_ns(arrival.utc),
        }
    }

    /// Monotonic time of an arrival since the stream began.
    pub(super) fn mono(&self, arrival: Arrival) -> i64 {
        ns(arrival.at.saturating_duration_since(self.epoch))
    }

    /// The media time at which something arriving now belongs.
    pub(super) fn expected(&self, mono: i64) -> i64 {
        mono.saturating_sub(self.reference)
    }

    /// How much later than expected something of this media time arrives; negative: earlier.
    pub(super) fn lateness(&self, mono: i64, media: i64) -> i64 {
        mono.saturating_sub(media).saturating_sub(self.reference)
    }

    /// Whether something of this media time may arrive now, if the camera's clock is sound.
    pub(super) fn is_lawful(&self, mono: i64, media: i64) -> bool {
        let delay = mono.saturating_sub(media);
        let least = if self.is_starting(mono) {
            self.initial.saturating_sub(ns(limits::CLOCK_AHEAD_AT_START))
        } else {
            self.reference.saturating_sub(ns(limits::CLOCK_AHEAD))
        };
        (least..=self.reference.saturating_add(ns(limits::CLOCK_BEHIND))).contains(&delay)
    }

    /// A new pull begins with a unit of this media time.
    pub(super) fn start(&mut self, arrival: Arrival, media: i64) {
        let mono = self.mono(arrival);
        let delay = mono.saturating_sub(media);
        self.started = mono;
        self.updated = mono;
        self.reference = delay;
        self.initial = delay;
        self.least = Least { since: mono, current: delay, previous: delay };
        self.wall = utc_ns(arrival.utc).saturating_sub(media);
    }

    /// Learns from a unit, and gives the UTC of its media time.
    pub(super) fn observe(&mut self, arrival: Arrival, media: i64) -> SystemTime {
        let mono = self.mono(arrival);
        let delay = mono.saturating_sub(media);
        let least = self.least.add(mono, delay);
        let target = least.saturating_add(utc_ns(arrival.utc).saturating_sub(mono));
        let passed = mono.saturating_sub(self.updated).max(0);
        if self.is_starting(mono) {
            self.reference = self.reference.min(delay);
        } else {
            self.reference = slew(self.reference, least, passed, REFERENCE_SLEW);
        }
        self.wall = match target.saturating_sub(self.wall).saturating_abs() {
            off if off > WALL_STEP => target,
            off if off > WALL_NEAR => slew(self.wall, target, passed, WALL_SLEW_FAR),
            _ => slew(self.wall, target, passed, WALL_SLEW),
        };
        self.updated = self.updated.max(mono);
        utc(self.wall.saturating_add(media))
    }

    /// A track was moved forward by `shift`: what arrives is that much ahead from now on, lawfully.
    pub(super) fn moved(&mut self, shift: i64) {
        self.reference = self.reference.saturating_sub(shift);
        self.initial = self.initial.saturating_sub(shift);
        self.least.current = self.least.current.saturating_sub(shift);
        self.least.previous = self.least.previous.saturating_sub(shift);
    }
}

impl Clock {
    /// Whether the pull is so young that a burst is lawful.
    fn is_starting(&self, mono: i64) -> bool {
        mono.saturating_sub(self.started) < START
    }
}

impl Least {
    fn add(&mut self, mono: i64, value: i64) -> i64 {
        if mono.saturating_sub(self.since) >= WINDOW {
            *self = Self { since: mono, current: value, previous: self.current };
        }
        self.current = self.current.min(value);
        self.current.min(self.previous)
    }
}

/// `value` moved towards `target` by at most `passed` times `rate`.
fn slew(value: i64, target: i64, passed: i64, rate: (i64, i64)) -> i64 {
    // Multiply late: `passed` may be long, and a rate in integers must not lose the short ones.
    let most = i128::from(passed) * i128::from(rate.0) / i128::from(rate.1);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    value.saturating_add(target.saturating_sub(value).clamp(most.saturating_neg(), most))
}

/// A duration in nanoseconds; 292 years are enough.
pub(super) fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn utc_ns(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => ns(since),
        Err(before) => ns(before.duration()).saturating_neg(),
    }
}

fn utc(ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    let time =
        if ns < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}
