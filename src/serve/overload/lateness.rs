//! How late a task of the runtime is woken: the median of some seconds. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ops::limits::{LATENESS_TICKS, LATENESS_WINDOW};

/// The ticks of the last [`LATENESS_WINDOW`], at most [`LATENESS_TICKS`].
#[derive(Debug, Default)]
pub(super) struct Lateness(VecDeque<(Instant, Duration)>);

impl Lateness {
    /// A tick came at `now`, `late` after its time.
    pub(super) fn tick(&mut self, late: Duration, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > LATENESS_WINDOW;
        while self.0.len() >= LATENESS_TICKS || self.0.front().is_some_and(|(at, _)| is_old(*at)) {
            self.0.pop_front();
        }
        self.0.push_back((now, late));
    }

    /// Half of the ticks were at least so late. A machine that stands still, however long, makes one tick late
    /// and the median of the others is kept: it takes a second half of late ones.
    pub(super) fn median(&self) -> Duration {
        let mut late: Vec<Duration> = self.0.iter().map(|(_, late)| *late).collect();
        late.sort_unstable();
        // The lower one of two: a single late tick among few is no median.
        late.len().checked_sub(1).and_then(|last| late.get(last / 2)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = crate::ops::limits::LATENESS_TICK;

    /// What a task sees that sleeps for a tick and is woken so late, again and again.
    fn of(late: impl IntoIterator<Item = u64>) -> Lateness {
        let mut lateness = Lateness::default();
        let mut now = tokio::time::Instant::now().into_std();
        for late in late.into_iter().map(Duration::from_millis) {
            now += TICK + late;
            lateness.tick(late, now);
        }
        lateness
    }

    #[test]
    fn a_machine_that_stands_still_now_and_then_is_not_late() {
        assert_eq!(of([]).median(), Duration::ZERO);
        assert_eq!(of([0, 500]).median(), Duration::ZERO);
        // Half a second, and again after each second of work: a third of the time.
        let halting = (0..100).map(|tick| if tick % 10 == 9 { 500 } else { 1 });
        assert_eq!(of(halting).median(), Duration::from_millis(1));
        // Four seconds at once, right after and a while later.
        let mut ticks = vec![1; 60];
        ticks.push(4000);
        for _ in 0..20 {
            assert_eq!(of(ticks.iter().copied()).median(), Duration::from_millis(1));
            ticks.push(1);
        }
    }

    #[test]
    fn one_that_is_late_all_the_time_is_and_recovers() {
        let mut ticks = vec![1; 60];
        ticks.extend([300; 20]);
        assert_eq!(of(ticks.clone()).median(), Duration::from_millis(300));
        ticks.extend([1; 20]);
        assert_eq!(of(ticks).median(), Duration::from_millis(1));
    }

    #[test]
    fn no_more_ticks_are_kept_than_allowed() {
        let now = tokio::time::Instant::now().into_std();
        let mut lateness = Lateness::default();
        for _ in 0..=LATENESS_TICKS {
            lateness.tick(Duration::ZERO, now);
        }
        assert_eq!(lateness.0.len(), LATENESS_TICKS);
        lateness.tick(Duration::ZERO, now + LATENESS_WINDOW);
        assert_eq!(lateness.0.len(), LATENESS_TICKS);
        lateness.tick(Duration::ZERO, now + LATENESS_WINDOW + Duration::from_millis(1));
        assert_eq!(lateness.0.len(), 2, "older than the window");
    }
}
