//! The memory that all rings of the process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A hard bound on the bytes of all rings. When little is left, rings above their even share give back,
/// so that one stream never starves for long because others came first.
#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    used: AtomicUsize,
    rings: AtomicUsize,
}

impl Budget {
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, used: AtomicUsize::new(0), rings: AtomicUsize::new(0) })
    }

    /// A ring's part, empty at first.
    pub(super) fn part(self: &Arc<Self>) -> Part {
        self.rings.fetch_add(1, Ordering::Relaxed);
        Part { budget: Arc::clone(self), bytes: 0 }
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// What rings may use before they are asked to shrink: seven eighths.
    fn easy(&self) -> usize {
        self.total - self.total / 8
    }
}

/// What one ring holds of a [`Budget`]; its drop gives all back.
#[derive(Debug)]
pub(super) struct Part {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Part {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes `bytes` more; `false`, and takes nothing, if the budget has not so many.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= self.budget.total)
        });
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }

    pub(super) fn give(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }

    /// When memory is short: the size that a ring should shrink to.
    pub(super) fn even_share(&self) -> Option<usize> {
        let easy = self.budget.easy();
        let pressed = self.budget.used.load(Ordering::Relaxed) > easy;
        pressed.then(|| easy / self.budget.rings.load(Ordering::Relaxed).max(1))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.give(self.bytes);
        self.budget.rings.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_exceed_the_total_and_come_back() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.part(), budget.part());
        assert!(a.take(60) && b.take(40));
        assert!(!b.take(1) && b.bytes() == 40);
        a.give(10);
        assert!(b.take(10));
        assert_eq!(b.even_share(), Some(44));
        drop(a);
        assert_eq!((budget.used(), b.even_share()), (50, None));
        drop(b);
        assert_eq!(budget.used(), 0);
    }
}
