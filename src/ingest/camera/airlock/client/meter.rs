//! Bounds on what one camera connection may cost, whatever it sends.

use std::time::Instant;

use super::budget::Budget;
use crate::ingest::camera::airlock::EndReason;
use crate::ops::limits;

/// Budgets of one camera connection.
#[derive(Debug)]
pub(super) struct Meter {
    bytes: Budget,
    overhead: Budget,
    strikes: Budget,
}

/// What a dropped frame costs beside its bytes.
pub(super) const FRAME_COST: usize = 16;

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        let bytes = wide(limits::CAMERA_BYTES_PER_SECOND);
        let overhead = wide(limits::OVERHEAD_BYTES_PER_SECOND);
        Self {
            bytes: Budget::new(bytes, bytes, now),
            overhead: Budget::new(overhead, overhead.saturating_mul(2), now),
            // One bad packet a second is forgiven, so that a long session outlives rare ones.
            strikes: Budget::new(1, u64::from(limits::STRIKES), now),
        }
    }

    pub(super) fn bytes(&mut self, count: usize, now: Instant) -> Result<(), EndReason> {
        take(&mut self.bytes, wide(count), now, EndReason::ByteRate)
    }

    pub(super) fn overhead(&mut self, count: usize, now: Instant) -> Result<(), EndReason> {
        take(&mut self.overhead, wide(count), now, EndReason::Overhead)
    }

    pub(super) fn strike(&mut self, now: Instant) -> Result<(), EndReason> {
        take(&mut self.strikes, 1, now, EndReason::BadPackets)
    }
}

fn take(budget: &mut Budget, cost: u64, now: Instant, reason: EndReason) -> Result<(), EndReason> {
    if budget.take(cost, now) { Ok(()) } else { Err(reason) }
}

/// A length as a counter.
pub(super) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
