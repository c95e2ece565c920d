//! Failed logins and what they cost: a bounded table, sans-IO.
//!
//! Counted per source, account and kind of credential. The same wrong credential again tells its sender
//! nothing new, so it is refused but not counted: a recorder left with an old password does not lock out
//! its neighbours behind the same address. There is no reset on success either: it would give whoever
//! shares the address free guesses. Entries are forgotten after quiet time instead.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::source::Source;
use crate::ops::limits;

/// A keyed hash that stands for an account or a credential; the table holds no client text.
pub(super) type Tag = [u8; 32];

/// Whose failures are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) source: Source,
    /// Stands for the account and the kind of credential.
    pub(super) account: Tag,
}

/// What the table says of an attempt before it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Judge it.
    Free,
    /// It failed before and nothing changed since: it is wrong.
    KnownBad,
    /// Too many failures; not before the given time has passed.
    Penalised(Duration),
}

#[derive(Debug)]
pub(super) struct PenaltyTable {
    entries: HashMap<Key, Entry>,
    /// The same entries by the time they are forgotten.
    by_end: BTreeSet<(Instant, Key)>,
    capacity: usize,
}

#[derive(Debug)]
struct Entry {
    failures: u32,
    last: Tag,
    until: Instant,
    forget: Instant,
}

impl PenaltyTable {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), by_end: BTreeSet::new(), capacity }
    }

    pub(super) fn standing(&self, key: &Key, credential: &Tag, now: Instant) -> Standing {
        match self.entries.get(key) {
            Some(entry) if now >= entry.forget => Standing::Free,
            Some(entry) if entry.last == *credential => Standing::KnownBad,
            Some(entry) if now < entry.until => {
                Standing::Penalised(entry.until.saturating_duration_since(now))
            }
            Some(_) | None => Standing::Free,
        }
    }

    /// Counts a failure and returns the penalty that it brings.
    pub(super) fn failed(&mut self, key: Key, credential: Tag, now: Instant) -> Duration {
        self.forget(now);
        let old = self.remove(&key);
        let failures = match &old {
            Some(entry) if entry.last == credential => entry.failures,
            Some(entry) => entry.failures.saturating_add(1),
            None => 1,
        };
        let penalty = penalty(failures);
        // A repeated credential must not move the end: whoever repeats it would hold others out for ever.
        let until = match &old {
            Some(entry) if entry.failures == failures => entry.until,
            Some(_) | None => now + penalty,
        };
        let forget = until.max(now) + limits::PENALTY_MAX;
        self.make_room();
        self.entries.insert(key, Entry { failures, last: credential, until, forget });
        self.by_end.insert((forget, key));
        until.saturating_duration_since(now)
    }

    /// Entries held.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&(end, key)) = self.by_end.first()
            && end <= now
        {
            self.remove(&key);
        }
    }

    /// Those soonest forgotten go first: a flood of fresh failures pushes out itself, not long penalties.
    fn make_room(&mut self) {
        while self.entries.len() >= self.capacity
            && let Some(&(_, key)) = self.by_end.first()
        {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.by_end.remove(&(entry.forget, *key));
        Some(entry)
    }
}

fn penalty(failures: u32) -> Duration {
    match failures.checked_sub(limits::FREE_FAILURES) {
        None | Some(0) => Duration::ZERO,
        Some(counted) => limits::PENALTY_MIN
            .saturating_mul(1_u32.checked_shl(counted - 1).unwrap_or(u32::MAX))
            .min(limits::PENALTY_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> Key {
        let address = std::net::IpAddr::from([192, 0, 2, last]);
        Key { source: address.into(), account: [7; 32] }
    }

    fn tag(n: u32) -> Tag {
        let mut tag = [0; 32];
        tag[..4].copy_from_slice(&n.to_be_bytes());
        tag
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary start; time is passed in from here"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn three_failures_are_free_then_the_penalty_doubles_to_ten_minutes() {
        let mut table = PenaltyTable::new(10);
        let now = start();
        let penalties: Vec<u64> =
            (0..12).map(|n| table.failed(key(1), tag(n), now).as_secs()).collect();
        assert_eq!(penalties, [0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(
            table.standing(&key(1), &tag(99), now + Duration::from_secs(599)),
            Standing::Penalised(Duration::from_secs(1))
        );
        let after = now + Duration::from_secs(600);
        assert_eq!(table.standing(&key(1), &tag(99), after), Standing::Free);
        assert_eq!(table.standing(&key(2), &tag(99), now), Standing::Free, "another source");
    }

    #[test]
    fn the_same_wrong_credential_counts_once_and_does_not_move_the_end() {
        let mut table = PenaltyTable::new(10);
        let now = start();
        for _ in 0..100 {
            assert_eq!(table.failed(key(1), tag(1), now), Duration::ZERO);
        }
        assert_eq!(table.standing(&key(1), &tag(1), now), Standing::KnownBad);
        assert_eq!(table.standing(&key(1), &tag(2), now), Standing::Free);
        for n in 2..=4 {
            table.failed(key(1), tag(n), now);
        }
        let later = now + Duration::from_secs(3);
        assert_eq!(table.failed(key(1), tag(4), later), Duration::from_secs(2));
    }

    #[test]
    fn quiet_time_forgets() {
        let mut table = PenaltyTable::new(10);
        let now = start();
        for n in 0..4 {
            table.failed(key(1), tag(n), now);
        }
        let quiet = now + Duration::from_secs(5) + limits::PENALTY_MAX;
        assert_eq!(table.standing(&key(1), &tag(3), quiet), Standing::Free);
        assert_eq!(table.failed(key(1), tag(3), quiet), Duration::ZERO);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_full_table_keeps_the_long_penalties() {
        let mut table = PenaltyTable::new(limits::PENALTIES.min(100));
        let now = start();
        for n in 0..8 {
            table.failed(key(1), tag(n), now);
        }
        for n in 0..1000 {
            let flood = Key { account: tag(n), ..key(2) };
            table.failed(flood, tag(n), now + Duration::from_millis(n.into()));
            assert!(table.len() <= 100);
            assert_eq!(table.by_end.len(), table.entries.len());
        }
        assert!(matches!(
            table.standing(&key(1), &tag(99), now + Duration::from_secs(2)),
            Standing::Penalised(_)
        ));
    }

    #[test]
    fn many_failures_do_not_overflow() {
        assert_eq!(penalty(u32::MAX), limits::PENALTY_MAX);
        assert_eq!(penalty(limits::FREE_FAILURES + 33), limits::PENALTY_MAX);
    }
}
