//! Whether every task of the segment's service goes on: what its watchdog is fed by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The tasks that must go on.
#[derive(Debug, Default)]
pub struct Beats(Mutex<Vec<Watched>>);

/// One task's part: it beats whenever it has done a round. Clones are the same task.
#[derive(Debug, Clone, Default)]
pub struct Beat(Arc<AtomicU64>);

#[derive(Debug)]
struct Watched {
    task: &'static str,
    beat: Beat,
    /// How often it had beaten at the last look.
    before: u64,
}

impl Beats {
    /// Another task to watch.
    pub fn task(&self, task: &'static str) -> Beat {
        let beat = Beat::default();
        let watched = Watched { task, beat: beat.clone(), before: 0 };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
        beat
    }

    /// Looks at all: the names of those that did not beat since the last look.
    pub fn look(&self) -> Vec<&'static str> {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut still = Vec::new();
        for watched in tasks.iter_mut() {
            let now = watched.beat.0.load(Ordering::Relaxed);
            if now == watched.before {
                still.push(watched.task);
            }
            watched.before = now;
        }
        still
    }
}

impl Beat {
    /// A round was done.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_still_is_named_at_every_look() {
        let beats = Beats::default();
        let (door, news) = (beats.task("door"), beats.task("news"));
        assert_eq!(beats.look(), ["door", "news"]);
        door.beat();
        assert_eq!(beats.look(), ["news"]);
        assert_eq!(beats.look(), ["door", "news"]);
        door.beat();
        news.beat();
        assert!(beats.look().is_empty());
    }
}
