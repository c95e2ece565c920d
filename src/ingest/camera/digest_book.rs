//! Which cameras offered Digest: known across reconnects, reloads and, by whoever keeps it, restarts.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::airlock::LoginMemory;

/// Names of the cameras that offered Digest once. They are never given a password in the clear again, so
/// that nobody gets it by standing in a camera's place and asking for Basic. Names come from the
/// configuration, so their number is bounded. Clones share one book.
#[derive(Debug, Clone)]
pub struct DigestBook(Arc<watch::Sender<BTreeSet<String>>>);

impl DigestBook {
    /// A book with the names known from before.
    pub fn new(names: BTreeSet<String>) -> Self {
        Self(Arc::new(watch::Sender::new(names)))
    }

    /// Hears of new names, to keep them.
    pub fn watch(&self) -> watch::Receiver<BTreeSet<String>> {
        self.0.subscribe()
    }

    /// What is known of a camera.
    pub(super) fn memory(&self, camera: &str) -> LoginMemory {
        if self.0.borrow().contains(camera) {
            LoginMemory::DigestSeen
        } else {
            LoginMemory::Nothing
        }
    }

    /// Adds what a session learnt. Nothing is ever taken out.
    pub(super) fn remember(&self, camera: &str, learnt: LoginMemory) {
        match learnt {
            LoginMemory::Nothing => {}
            LoginMemory::DigestSeen => {
                self.0.send_if_modified(|names| names.insert(camera.to_owned()));
            }
        }
    }
}
