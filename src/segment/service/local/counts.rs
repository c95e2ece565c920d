//! What the services did, as numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of all services, from their start.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "said where it is not plain")]
pub struct Counts {
    pub dns_answered: Count,
    /// Over a device's or the common pace.
    pub dns_over_pace: Count,
    /// Nothing that has an answer, or it could not be sent.
    pub dns_ignored: Count,
    pub ntp_answered: Count,
    /// See `dns_over_pace`.
    pub ntp_over_pace: Count,
    /// See `dns_ignored`.
    pub ntp_ignored: Count,
    pub sink_recognised: Count,
    /// Silent, or nobody knows what was said.
    pub sink_unrecognised: Count,
    /// TCP connections of any service that were reset at once: too many were open.
    pub no_place: Count,
}

/// A number that grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
