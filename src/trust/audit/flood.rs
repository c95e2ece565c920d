//! At most so many events of a kind a minute; the others are counted.

use std::time::{Duration, Instant};

use crate::ops::limits;

const WINDOW: Duration = Duration::from_secs(60);

/// Counts of `N` kinds of events.
#[derive(Debug)]
pub(super) struct Flood<const N: usize>([Window; N]);

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Write it.
    Write,
    /// It was counted instead.
    Suppress,
}

/// Events of a kind that were not written in a minute now over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suppressed {
    /// Place of the kind.
    pub(super) kind: usize,
    /// How many.
    pub(super) count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Option<Instant>,
    written: u32,
    suppressed: u64,
}

impl<const N: usize> Flood<N> {
    pub(super) const fn new() -> Self {
        Self([Window { since: None, written: 0, suppressed: 0 }; N])
    }

    /// Judges one event of a kind, and says what the minutes now over held back.
    pub(super) fn admit(&mut self, kind: usize, now: Instant) -> (Admission, Vec<Suppressed>) {
        let mut over = Vec::new();
        for (kind, window) in self.0.iter_mut().enumerate() {
            if window.since.is_some_and(|since| now.saturating_duration_since(since) >= WINDOW) {
                if window.suppressed > 0 {
                    over.push(Suppressed { kind, count: window.suppressed });
                }
                *window = Window { since: None, written: 0, suppressed: 0 };
            }
        }
        let Some(window) = self.0.get_mut(kind) else { return (Admission::Write, over) };
        window.since.get_or_insert(now);
        if window.written < limits::AUDIT_PER_MINUTE {
            window.written += 1;
            (Admission::Write, over)
        } else {
            window.suppressed = window.suppressed.saturating_add(1);
            (Admission::Suppress, over)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_over_the_share_is_counted_and_told_a_minute_later() {
        let now = tokio::time::Instant::now().into_std();
        let mut flood = Flood::<2>::new();
        for _ in 0..limits::AUDIT_PER_MINUTE {
            assert_eq!(flood.admit(0, now), (Admission::Write, vec![]));
        }
        let late = now + WINDOW - Duration::from_millis(1);
        assert_eq!(flood.admit(0, late), (Admission::Suppress, vec![]));
        // Another kind has its own share, and its events tell of the first.
        assert_eq!(flood.admit(1, late), (Admission::Write, vec![]));
        assert_eq!(
            flood.admit(1, now + WINDOW),
            (Admission::Write, vec![Suppressed { kind: 0, count: 1 }])
        );
        assert_eq!(flood.admit(0, now + WINDOW), (Admission::Write, vec![]));
    }
}
