//! Whether each part of a process gets on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what one part gets done; the part advances it at least every
/// [`PROGRESS_TICK`](crate::ops::limits::PROGRESS_TICK), idle or not.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

/// All parts of a process that must get on.
///
/// A part that ended counts as stuck: its counter stays here.
#[derive(Debug, Default)]
pub struct Watched {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    progress: Progress,
    seen: u64,
}

impl Progress {
    /// Something got done.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Watched {
    /// One part more. `name` is for the operator.
    pub fn part(&mut self, name: impl Into<String>) -> Progress {
        let progress = Progress::default();
        self.parts.push(Part { name: name.into(), progress: progress.clone(), seen: 0 });
        progress
    }

    /// Whether all parts advanced since this last said so; else the names of those that did not.
    pub fn all_got_on(&mut self) -> Result<(), Vec<&str>> {
        if self.parts.iter().all(|part| part.progress.count() != part.seen) {
            for part in &mut self.parts {
                part.seen = part.progress.count();
            }
            return Ok(());
        }
        let stuck = self.parts.iter().filter(|part| part.progress.count() == part.seen);
        Err(stuck.map(|part| part.name.as_str()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_stands_still_is_named() {
        let mut watched = Watched::default();
        let (a, b) = (watched.part("a"), watched.part("b"));
        assert_eq!(watched.all_got_on(), Err(vec!["a", "b"]), "nothing began");
        a.advance();
        assert_eq!(watched.all_got_on(), Err(vec!["b"]));
        b.advance();
        assert_eq!(watched.all_got_on(), Ok(()), "a's advance of before still counts");
        a.advance();
        assert_eq!(watched.all_got_on(), Err(vec!["b"]));
    }

    #[test]
    fn a_part_that_ended_is_stuck() {
        let mut watched = Watched::default();
        let gone = watched.part("gone");
        gone.advance();
        drop(gone);
        assert_eq!(watched.all_got_on(), Ok(()));
        assert_eq!(watched.all_got_on(), Err(vec!["gone"]));
    }
}
