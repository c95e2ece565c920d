//! How a stream tells its readers that there is something new.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// Wakes all who listen. Readers come and go seldom and are woken often: listening again costs a reader no
/// lock that others want.
#[derive(Debug, Default)]
pub(super) struct Wakers(Mutex<Listeners>);

/// No more than a stream has subscriptions.
#[derive(Debug, Default)]
struct Listeners {
    next: u64,
    by_key: BTreeMap<u64, Arc<AtomicWaker>>,
}

/// One listener, known to the wakers until [`Wakers::forget`].
#[derive(Debug)]
pub(super) struct ReaderWaker {
    key: u64,
    waker: Arc<AtomicWaker>,
}

impl Wakers {
    pub(super) fn listener(&self) -> ReaderWaker {
        let waker = Arc::new(AtomicWaker::new());
        let mut listeners = self.listeners();
        let key = listeners.next;
        listeners.next += 1;
        listeners.by_key.insert(key, Arc::clone(&waker));
        ReaderWaker { key, waker }
    }

    pub(super) fn forget(&self, waker: &ReaderWaker) {
        self.listeners().by_key.remove(&waker.key);
    }

    /// Wakes whoever listened since the last time.
    pub(super) fn wake_all(&self) {
        for waker in self.listeners().by_key.values() {
            waker.wake();
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReaderWaker {
    /// Wakes `task` at the next [`Wakers::wake_all`]. Look for news after this, not before: a wake in between is
    /// not lost then.
    pub(super) fn listen(&self, task: &Waker) {
        self.waker.register(task);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_wakes_once_who_listens_and_nobody_else() {
        let wakers = Wakers::default();
        let (woken, gone) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (waker, other) = (wakers.listener(), wakers.listener());
        waker.listen(&Waker::from(Arc::clone(&woken)));
        other.listen(&Waker::from(Arc::clone(&gone)));
        wakers.forget(&other);
        wakers.wake_all();
        wakers.wake_all();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "once for each time it listens");
        assert_eq!(gone.0.load(Ordering::Relaxed), 0);
        assert_eq!(wakers.listeners().by_key.len(), 1);
    }
}
