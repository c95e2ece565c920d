//! The rows of one device.

use std::collections::HashMap;
use std::time::Duration;

use crate::ops::limits;
use crate::segment::service::observe::vendors::Vendor;
use crate::segment::{Attempt, Destination, Protocol, Sighting};

/// The rows of one device, by what it tried.
#[derive(Debug, Default)]
pub(super) struct Rows {
    counts: HashMap<Attempt, Count>,
    /// Rows with a destination of their own, of each protocol.
    of_protocol: HashMap<Protocol, usize>,
    own: usize,
    many: usize,
}

/// The pool that all devices share, by the rows that are in it.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) pool: usize,
}

/// How often something was tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub(super) vendor: Option<Vendor>,
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
    /// How often, when the row was last taken; 0: it never was.
    told: u64,
    told_ms: u64,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Counts a sighting, in the row of its own if there is one or room for it. Says whether it was so.
    pub(super) fn count(
        &mut self,
        sighting: &Sighting,
        vendor: Option<Vendor>,
        room: &mut Room,
        now_ms: u64,
    ) -> bool {
        let attempt = &sighting.attempt;
        if let Some(count) = self.counts.get_mut(attempt) {
            count.add(sighting, now_ms);
            return attempt.destination != Destination::Many;
        }
        if self.has_room(attempt.protocol, room) {
            *self.of_protocol.entry(attempt.protocol).or_default() += 1;
            room.pool += usize::from(self.own >= limits::OBSERVED_ROWS_OWN);
            self.own += 1;
            self.counts.insert(attempt.clone(), Count::new(sighting, vendor, now_ms));
            return true;
        }
        let many =
            Attempt { destination: Destination::Many, port: None, name: None, ..attempt.clone() };
        if let Some(count) = self.counts.get_mut(&many) {
            count.add(sighting, now_ms);
        } else if self.many < limits::OBSERVED_ROWS_MANY {
            self.many += 1;
            self.counts.insert(many, Count::new(sighting, None, now_ms));
        }
        false
    }

    fn has_room(&self, protocol: Protocol, room: &Room) -> bool {
        let of_protocol = self.of_protocol.get(&protocol).copied().unwrap_or(0);
        of_protocol < limits::OBSERVED_ROWS_PROTOCOL
            && self.own < limits::OBSERVED_ROWS_DEVICE
            && (self.own < limits::OBSERVED_ROWS_OWN || room.pool < limits::OBSERVED_ROWS_SHARED)
    }

    /// The rows that are due, with the time they were last taken at; `None`: never.
    pub(super) fn due(&self, now_ms: u64) -> impl Iterator<Item = (Option<u64>, &Attempt)> {
        let due = self.counts.iter().filter(move |(_, count)| count.is_due(now_ms));
        due.map(|(attempt, count)| ((count.told > 0).then_some(count.told_ms), attempt))
    }

    pub(super) fn changed(&self) -> impl Iterator<Item = (&Attempt, Count)> {
        let changed = self.counts.iter().filter(|(_, count)| count.count != count.told);
        changed.map(|(attempt, count)| (attempt, *count))
    }

    /// Takes one row.
    pub(super) fn tell(&mut self, attempt: &Attempt, now_ms: u64) -> Option<Count> {
        let count = self.counts.get_mut(attempt)?;
        count.tell(now_ms);
        Some(*count)
    }

    pub(super) fn tell_all(&mut self, now_ms: u64) {
        let changed = self.counts.values_mut().filter(|count| count.count != count.told);
        changed.for_each(|count| count.tell(now_ms));
    }

    /// Begins another day. Says whether there was anything in the one that ended.
    pub(super) fn begin(&mut self) -> bool {
        let seen = !self.counts.is_empty();
        *self = Self::default();
        seen
    }
}

impl Count {
    fn new(sighting: &Sighting, vendor: Option<Vendor>, now_ms: u64) -> Self {
        Self {
            vendor,
            count: 1,
            bytes: sighting.bytes.into(),
            first_ms: now_ms,
            last_ms: now_ms,
            told: 0,
            told_ms: 0,
        }
    }

    fn add(&mut self, sighting: &Sighting, now_ms: u64) {
        self.count += 1;
        self.bytes += u64::from(sighting.bytes);
        self.last_ms = now_ms;
    }

    fn tell(&mut self, now_ms: u64) {
        (self.told, self.told_ms) = (self.count, now_ms);
    }

    fn is_due(&self, now_ms: u64) -> bool {
        let waits = Duration::from_millis(now_ms.abs_diff(self.told_ms));
        self.count != self.told
            && (self.count >= self.told.saturating_mul(2) || waits >= limits::OBSERVED_ROW_EVERY)
    }
}
