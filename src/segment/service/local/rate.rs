//! How many answers each device, and all together, may have.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::ops::limits;

/// Answers a second, and how many more at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) per_second: u32,
    pub(super) burst: u32,
}

/// Counts answers by source and in all. Holds at most [`limits::SERVICE_SOURCES`] sources; while there are more, the
/// others share one pace: who invents addresses takes nothing from those that were there.
#[derive(Debug)]
pub(super) struct Rates {
    pace: Pace,
    sources: HashMap<Ipv4Addr, Bucket>,
    others: Bucket,
    all: (Pace, Bucket),
    /// When sources that had come to rest were last forgotten.
    swept: Instant,
}

/// What is left, in billionths of an answer.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    at: Instant,
}

const ONE: u64 = 1_000_000_000;
/// Looking for sources at rest goes through all of them.
const SWEEP: Duration = Duration::from_secs(1);

impl Rates {
    pub(super) fn new(each: Pace, all: Pace, now: Instant) -> Self {
        Self {
            pace: each,
            sources: HashMap::new(),
            others: Bucket::full(each, now),
            all: (all, Bucket::full(all, now)),
            swept: now,
        }
    }

    /// Whether this source may have another answer now; it is counted if so.
    pub(super) fn take(&mut self, source: Ipv4Addr, now: Instant) -> bool {
        if !self.sources.contains_key(&source) {
            self.make_room(now);
        }
        let room = self.sources.len() < limits::SERVICE_SOURCES;
        let bucket = match self.sources.get_mut(&source) {
            Some(bucket) => bucket,
            None if room => {
                self.sources.entry(source).or_insert_with(|| Bucket::full(self.pace, now))
            }
            None => &mut self.others,
        };
        let (pace, all) = &mut self.all;
        bucket.take(self.pace, now) && all.take(*pace, now)
    }

    fn make_room(&mut self, now: Instant) {
        let full = self.sources.len() >= limits::SERVICE_SOURCES;
        if full && now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            let pace = self.pace;
            self.sources.retain(|_, bucket| !bucket.is_full(pace, now));
        }
    }
}

impl Bucket {
    fn full(pace: Pace, now: Instant) -> Self {
        Self { left: u64::from(pace.burst) * ONE, at: now }
    }

    fn fill(&mut self, pace: Pace, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_nanos();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let filled = passed.saturating_mul(u64::from(pace.per_second));
        self.left = self.left.saturating_add(filled).min(u64::from(pace.burst) * ONE);
        self.at = self.at.max(now);
    }

    fn take(&mut self, pace: Pace, now: Instant) -> bool {
        self.fill(pace, now);
        match self.left.checked_sub(ONE) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn is_full(&mut self, pace: Pace, now: Instant) -> bool {
        self.fill(pace, now);
        self.left == u64::from(pace.burst) * ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Pace = Pace { per_second: 2, burst: 3 };
    const ALL: Pace = Pace { per_second: 1_000_000, burst: 1_000_000 };

    fn source(n: usize) -> Ipv4Addr {
        Ipv4Addr::from(u32::try_from(0x0a4d_0000 + n).unwrap())
    }

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_pace() {
        let begin = now();
        let mut rates = Rates::new(EACH, ALL, begin);
        let taken = |rates: &mut Rates, at| (0..10).filter(|_| rates.take(source(1), at)).count();
        assert_eq!(taken(&mut rates, begin), 3);
        assert!(rates.take(source(2), begin), "another has its own");
        assert_eq!(taken(&mut rates, begin + Duration::from_millis(499)), 0);
        assert_eq!(taken(&mut rates, begin + Duration::from_millis(500)), 1);
        assert_eq!(taken(&mut rates, begin + Duration::from_secs(1_000_000_000)), 3);
        assert_eq!(taken(&mut rates, begin), 0, "a clock that went back gives nothing");
    }

    #[test]
    fn all_together_have_a_pace_too() {
        let begin = now();
        let mut rates = Rates::new(EACH, Pace { per_second: 1, burst: 5 }, begin);
        assert_eq!((0..10).filter(|n| rates.take(source(*n), begin)).count(), 5);
        assert!(!rates.take(source(99), begin + Duration::from_millis(999)));
        assert!(rates.take(source(99), begin + Duration::from_secs(1)));
    }

    #[test]
    fn one_source_too_many_shares_with_the_others_until_some_rest() {
        let begin = now();
        let mut rates = Rates::new(EACH, ALL, begin);
        for n in 0..limits::SERVICE_SOURCES {
            assert!(rates.take(source(n), begin));
        }
        let beyond = limits::SERVICE_SOURCES..100 * limits::SERVICE_SOURCES;
        assert_eq!(beyond.clone().filter(|n| rates.take(source(*n), begin)).count(), 3);
        assert_eq!(rates.sources.len(), limits::SERVICE_SOURCES);
        assert!(rates.take(source(0), begin), "who was there keeps its own");
        let later = begin + SWEEP;
        assert_eq!(beyond.take(10).filter(|n| rates.take(source(*n), later)).count(), 10);
        assert!(rates.sources.len() <= limits::SERVICE_SOURCES);
    }
}
