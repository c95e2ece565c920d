//! When nobody looked: times without a heartbeat.

use crate::ops::limits;

/// A time without a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(super) struct Gap {
    /// From, ms of the UNIX epoch.
    pub(super) from_ms: u64,
    /// To.
    pub(super) to_ms: u64,
    /// Whether the service was stopped as it should be.
    pub(super) stopped: bool,
}

/// The gaps between `start` and `end`; `beats`: when there was a sign of life, and whether it was a stop.
pub(super) fn gaps(mut beats: Vec<(u64, bool)>, start: u64, end: u64) -> Vec<Gap> {
    beats.sort_unstable();
    let most = u64::try_from(limits::LEDGER_GAP.as_millis()).unwrap_or(u64::MAX);
    let mut gaps = Vec::new();
    let mut last = (0, false);
    for (at, stop) in beats.into_iter().chain([(end.max(start), false)]) {
        let (from, stopped) = last;
        let gap = Gap { from_ms: from.max(start), to_ms: at.min(end), stopped };
        // Between the last beat and the end of what is looked at nothing is missing yet.
        if gap.from_ms < gap.to_ms && (stopped || at - from > most) {
            gaps.push(gap);
        }
        last = (at, stop);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn time_without_a_beat_is_a_gap() {
        let beat = |minute: u64| (minute * MINUTE, false);
        let gap = |from, to, stopped| Gap { from_ms: from * MINUTE, to_ms: to * MINUTE, stopped };
        let (start, end) = (100 * MINUTE, 200 * MINUTE);
        let all: Vec<_> = (90..210).map(beat).collect();
        assert_eq!(gaps(all.clone(), start, end), []);
        assert_eq!(gaps(Vec::new(), start, end), [gap(100, 200, false)]);
        let some: Vec<_> =
            all.iter().copied().filter(|(at, _)| !(120..140).contains(&(at / MINUTE))).collect();
        assert_eq!(gaps(some, start, end), [gap(119, 140, false)]);
        let late: Vec<_> = (110..150).map(beat).collect();
        assert_eq!(gaps(late, start, end), [gap(100, 110, false), gap(149, 200, false)]);
        // A stop is one at once.
        let stopped = [beat(99), (110 * MINUTE, true), beat(111), (198 * MINUTE, true)];
        assert_eq!(
            gaps(stopped.to_vec(), start, end),
            [gap(100, 110, false), gap(110, 111, true), gap(111, 198, false), gap(198, 200, true)]
        );
    }
}
