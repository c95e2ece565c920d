//! A token bucket.

use std::time::{Duration, Instant};

/// So many a second, and so many at once.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    per_second: u64,
    burst: u64,
    left: u64,
    filled: Instant,
}

impl Budget {
    pub(super) fn new(per_second: u64, burst: u64, now: Instant) -> Self {
        Self { per_second, burst, left: burst, filled: now }
    }

    /// Takes `cost`; `false` if the budget does not hold it.
    pub(super) fn take(&mut self, cost: u64, now: Instant) -> bool {
        self.fill(now);
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn fill(&mut self, now: Instant) {
        let micros = now.saturating_duration_since(self.filled).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        let earned = self.per_second.saturating_mul(micros).checked_div(1_000_000).unwrap_or(0);
        if earned == 0 {
            return;
        }
        self.left = self.left.saturating_add(earned).min(self.burst);
        // Advance only by the time that was paid out, so that frequent calls lose nothing.
        let paid = earned.saturating_mul(1_000_000).checked_div(self.per_second).unwrap_or(micros);
        self.filled = self.filled.checked_add(Duration::from_micros(paid)).unwrap_or(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_small_calls_earn_as_much_as_rare_ones() {
        let start = tokio::time::Instant::now().into_std();
        let mut budget = Budget::new(10, 5, start);
        assert!(budget.take(5, start));
        for ms in 1..100 {
            assert!(!budget.take(1, start + Duration::from_millis(ms)));
        }
        assert!(budget.take(1, start + Duration::from_millis(100)));
        assert!(!budget.take(1, start + Duration::from_millis(199)));
        assert!(budget.take(1, start + Duration::from_millis(200)));
        // Never more than the burst.
        let late = start + Duration::from_secs(3600);
        assert!(!budget.take(6, late));
        assert!(budget.take(5, late));
    }
}
