//! How many connections are taken at once, in all and from one device.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of one listener. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Places {
    most: usize,
    most_of_one: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// No more entries than places taken.
    by_source: HashMap<Ipv4Addr, usize>,
}

/// One connection's place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct TakenPlace {
    source: Ipv4Addr,
    places: Places,
}

impl Places {
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self { most, most_of_one, taken: Arc::default() }
    }

    /// A place for this source, if there is one now.
    pub(super) fn enter(&self, source: Ipv4Addr) -> Option<TakenPlace> {
        let mut taken = self.lock();
        let of_one = taken.by_source.get(&source).copied().unwrap_or(0);
        if taken.all >= self.most || of_one >= self.most_of_one {
            return None;
        }
        taken.all += 1;
        taken.by_source.insert(source, of_one + 1);
        Some(TakenPlace { source, places: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by_source.get(&self.source).map_or(0, |of_one| of_one.saturating_sub(1));
        if left == 0 {
            taken.by_source.remove(&self.source);
        } else {
            taken.by_source.insert(self.source, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_of_one_source_or_of_all_has_no_place() {
        let places = Places::new(3, 2);
        let [a, b, c] = [1, 2, 3].map(|n| Ipv4Addr::new(10, 77, 0, n));
        let first = places.enter(a).unwrap();
        let _second = places.enter(a).unwrap();
        assert!(places.enter(a).is_none());
        let third = places.enter(b).unwrap();
        assert!(places.enter(c).is_none());
        drop(first);
        let again = places.enter(a).unwrap();
        drop((again, third));
        assert!(places.enter(c).is_some());
        assert_eq!(places.lock().by_source.len(), 1, "nothing is kept of those who left");
    }
}
