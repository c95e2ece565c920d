//! Who plays, how far behind each is, and who has to go.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Lack, Resource};
use crate::ops::limits::{LAGGED_KEPT, READER_LAG, SHED_SHARE};

/// A connection that plays, known to the load of the process until it is dropped.
#[derive(Debug)]
pub struct Reader {
    readers: Arc<Readers>,
    id: u64,
    behind: Arc<Behind>,
    /// `None` once it came.
    end: Option<oneshot::Receiver<Lack>>,
}

/// How far a reader is behind. One that keeps up costs a store for each unit.
#[derive(Debug)]
pub struct Behind {
    begun: Instant,
    /// Since when what it was given waits to be taken: ms after `begun`, and one; 0: nothing waits.
    waits_since: AtomicU64,
    /// When it was last moved on for being too late, likewise.
    lagged_at: AtomicU64,
    /// The units it missed by that, again and again within [`LAGGED_KEPT`].
    skipped: AtomicU64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    behind: Arc<Behind>,
    end: oneshot::Sender<Lack>,
}

/// How slow a reader is; one that is none is not to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slowness {
    waits: Duration,
    skipped: u64,
}

impl Reader {
    /// Where its pace is told.
    pub fn behind(&self) -> &Arc<Behind> {
        &self.behind
    }

    /// Ready, once, when it has to go, with the reason.
    pub fn poll_shed(&mut self, cx: &mut Context<'_>) -> Poll<Lack> {
        let Some(end) = &mut self.end else { return Poll::Pending };
        let told = ready!(Pin::new(end).poll(cx));
        self.end = None;
        told.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.table().entries.remove(&self.id);
    }
}

impl Behind {
    fn new(begun: Instant) -> Self {
        let (waits_since, lagged_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { begun, waits_since, lagged_at, skipped: AtomicU64::new(0) }
    }

    /// What it was given waits to be taken, from now on if it did not before.
    pub fn waits(&self, now: Instant) {
        if self.waits_since.load(Ordering::Relaxed) == 0 {
            self.waits_since.store(self.stamp(now), Ordering::Relaxed);
        }
    }

    /// It has taken all.
    pub fn took_all(&self) {
        self.waits_since.store(0, Ordering::Relaxed);
    }

    /// It was moved on for being too late, and missed `units`.
    pub fn lagged(&self, units: u64, now: Instant) {
        let goes_on = self.since(&self.lagged_at, now).is_some_and(|since| since <= LAGGED_KEPT);
        let before = if goes_on { self.skipped.load(Ordering::Relaxed) } else { 0 };
        self.skipped.store(before.saturating_add(units), Ordering::Relaxed);
        self.lagged_at.store(self.stamp(now), Ordering::Relaxed);
    }

    /// `None`: it keeps up.
    fn slowness(&self, now: Instant) -> Option<Slowness> {
        let waits = self.since(&self.waits_since, now).filter(|waits| *waits >= READER_LAG);
        let lagged = self.since(&self.lagged_at, now).filter(|since| *since <= LAGGED_KEPT);
        let skipped = lagged.map(|_| self.skipped.load(Ordering::Relaxed));
        (waits.is_some() || skipped.is_some()).then(|| Slowness {
            waits: waits.unwrap_or_default(),
            skipped: skipped.unwrap_or_default(),
        })
    }

    fn stamp(&self, now: Instant) -> u64 {
        let after = now.saturating_duration_since(self.begun).as_millis();
        u64::try_from(after).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn since(&self, stamp: &AtomicU64, now: Instant) -> Option<Duration> {
        let stamp = stamp.load(Ordering::Relaxed);
        (stamp > 0).then(|| Duration::from_millis(self.stamp(now).saturating_sub(stamp)))
    }
}

impl Readers {
    pub(super) fn reader(self: &Arc<Self>, now: Instant) -> Reader {
        let behind = Arc::new(Behind::new(now));
        let (end, ended) = oneshot::channel();
        let mut table = self.table();
        let id = table.next;
        table.next += 1;
        table.entries.insert(id, Entry { behind: Arc::clone(&behind), end });
        Reader { readers: Arc::clone(self), id, behind, end: Some(ended) }
    }

    /// Tells the slowest that they have to go: at most one of [`SHED_SHARE`], or one if there are fewer. Gives
    /// how many were told.
    pub(super) fn shed(&self, resource: Resource, now: Instant) -> u64 {
        let mut table = self.table();
        let most = (table.entries.len() / SHED_SHARE).max(1);
        let slowness = |(id, entry): (&u64, &Entry)| Some((entry.behind.slowness(now)?, *id));
        let mut slow: Vec<_> = table.entries.iter().filter_map(slowness).collect();
        slow.sort_unstable();
        let slowest = slow.into_iter().rev().take(most);
        let entries = slowest.filter_map(|(_, id)| table.entries.remove(&id));
        // One that ended by itself meanwhile was not told.
        entries
            .map(|entry| entry.end.send(Lack::Of(resource)))
            .filter(Result::is_ok)
            .map(|_| 1)
            .sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table().entries.is_empty()
    }

    /// Tells all that they have to go. Gives how many were told.
    pub(super) fn end_all(&self, lack: Lack) -> u64 {
        let entries = std::mem::take(&mut self.table().entries).into_values();
        entries.map(|entry| entry.end.send(lack)).filter(Result::is_ok).map(|_| 1).sum()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn went(reader: &mut Reader) -> Option<Resource> {
        match reader.poll_shed(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Lack::Of(resource)) => Some(resource),
            Poll::Ready(Lack::Proof) => panic!("nobody said so"),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_slowest_go_first_and_who_keeps_up_never() {
        let readers = Arc::new(Readers::default());
        let from = now();
        let [mut stuck, mut lags, mut lags_more, mut late, mut keeps_up] =
            [(); 5].map(|()| readers.reader(from));
        stuck.behind().waits(from);
        stuck.behind().waits(from + MS);
        let at = from + READER_LAG;
        late.behind().waits(from + MS);
        keeps_up.behind().waits(from);
        keeps_up.behind().took_all();
        lags.behind().lagged(10, at);
        lags_more.behind().lagged(6, from);
        lags_more.behind().lagged(6, at);
        for slowest in [&mut stuck, &mut lags_more, &mut lags] {
            assert_eq!(readers.shed(Resource::Memory, at), 1);
            assert_eq!(went(slowest), Some(Resource::Memory));
            assert_eq!(went(slowest), None, "reported once");
        }
        assert_eq!(readers.shed(Resource::Memory, at), 0);
        assert_eq!((went(&mut late), went(&mut keeps_up)), (None, None), "a millisecond short");
        assert_eq!(readers.shed(Resource::Cpu, at + MS), 1);
        assert_eq!((went(&mut late), went(&mut keeps_up)), (Some(Resource::Cpu), None));
    }

    #[test]
    fn who_lagged_long_ago_keeps_up_again() {
        let readers = Arc::new(Readers::default());
        let from = now();
        let reader = readers.reader(from);
        reader.behind().lagged(7, from);
        assert!(reader.behind.slowness(from + LAGGED_KEPT).is_some());
        assert_eq!(reader.behind.slowness(from + LAGGED_KEPT + MS), None);
        // And begins anew.
        reader.behind().lagged(1, from + LAGGED_KEPT + MS);
        assert_eq!(reader.behind.slowness(from + LAGGED_KEPT + MS).unwrap().skipped, 1);
    }

    #[test]
    fn no_more_go_at_once_than_their_share() {
        for (all, share) in [(1, 1), (SHED_SHARE, 1), (2 * SHED_SHARE - 1, 1), (2 * SHED_SHARE, 2)]
        {
            let readers = Arc::new(Readers::default());
            let from = now();
            let held: Vec<_> = (0..all).map(|_| readers.reader(from)).collect();
            for reader in &held {
                reader.behind().waits(from);
            }
            assert_eq!(readers.shed(Resource::Cpu, from + READER_LAG), share, "of {all}");
        }
    }

    #[test]
    fn who_left_is_neither_counted_nor_kept() {
        let readers = Arc::new(Readers::default());
        let from = now();
        let reader = readers.reader(from);
        reader.behind().waits(from);
        drop(reader);
        assert!(readers.table().entries.is_empty());
        assert_eq!(readers.shed(Resource::Cpu, from + READER_LAG), 0);
    }
}
