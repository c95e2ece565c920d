//! A bound on how often something may happen.

use std::time::{Duration, Instant};

/// At most `per_second` events in each second that begins with an event.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: u32,
    since: Instant,
    seen: u32,
}

impl Rate {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, since: now, seen: 0 }
    }

    /// Counts one event; whether it is within the bound.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.seen = 0;
        }
        self.seen = self.seen.saturating_add(1);
        self.seen <= self.per_second
    }
}
