//! Whether each part of a process gets on.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// One part's answers to the question whether it gets on. A part that nobody asks, since no service manager wants
/// signs of life, has nothing to wake up for.
#[derive(Debug, Clone)]
pub struct Progress {
    answers: Arc<AtomicU64>,
    questions: watch::Receiver<()>,
}

/// All parts of a process that must get on. Clones watch the same parts.
///
/// A part that ended counts as stuck: its counter stays here.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    parts: Arc<Mutex<Vec<Part>>>,
    questions: watch::Sender<()>,
}

#[derive(Debug)]
struct Part {
    name: String,
    answers: Arc<AtomicU64>,
    seen: u64,
}

impl Progress {
    /// Waits until the part is asked; it then answers by [`Self::advance`]. Cancel-safe.
    pub async fn asked(&mut self) {
        if self.questions.changed().await.is_err() {
            pending::<()>().await;
        }
    }

    /// The part gets on.
    pub fn advance(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Of a part that nobody asks.
impl Default for Progress {
    fn default() -> Self {
        Watched::default().part("")
    }
}

impl Watched {
    /// One part more. `name` is for the operator.
    pub fn part(&self, name: impl Into<String>) -> Progress {
        let answers = Arc::new(AtomicU64::new(0));
        self.parts().push(Part { name: name.into(), answers: Arc::clone(&answers), seen: 0 });
        Progress { answers, questions: self.questions.subscribe() }
    }

    /// Whether all parts advanced since this last said so; else the names of those that did not. Asks all of them
    /// for the next time.
    pub fn all_got_on(&self) -> Result<(), Vec<String>> {
        self.questions.send_replace(());
        let mut parts = self.parts();
        let stuck = parts.iter().filter(|part| part.count() == part.seen);
        let stuck: Vec<_> = stuck.map(|part| part.name.clone()).collect();
        if !stuck.is_empty() {
            return Err(stuck);
        }
        for part in parts.iter_mut() {
            part.seen = part.count();
        }
        Ok(())
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn count(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_stands_still_is_named() {
        let watched = Watched::default();
        let (a, b) = (watched.part("a"), watched.part("b"));
        assert_eq!(
            watched.all_got_on(),
            Err(vec!["a".to_owned(), "b".to_owned()]),
            "nothing began"
        );
        a.advance();
        assert_eq!(watched.all_got_on(), Err(vec!["b".to_owned()]));
        b.advance();
        assert_eq!(watched.all_got_on(), Ok(()), "a's advance of before still counts");
        a.advance();
        assert_eq!(watched.all_got_on(), Err(vec!["b".to_owned()]));
    }

    #[test]
    fn a_part_that_ended_is_stuck() {
        let watched = Watched::default();
        let gone = watched.part("gone");
        gone.advance();
        drop(gone);
        assert_eq!(watched.all_got_on(), Ok(()));
        assert_eq!(watched.all_got_on(), Err(vec!["gone".to_owned()]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_is_asked_at_each_look_and_never_without_one() {
        use tokio::time::{Duration, timeout};
        let watched = Watched::default();
        let mut part = watched.part("part");
        let day = Duration::from_secs(86_400);
        assert!(timeout(day, part.asked()).await.is_err());
        assert!(timeout(day, Progress::default().asked()).await.is_err());
        for _ in 0..2 {
            assert!(watched.all_got_on().is_err());
            assert!(timeout(day, part.asked()).await.is_ok());
            assert!(timeout(day, part.asked()).await.is_err(), "once for each look");
        }
    }
}
