//! What the running system says: snapshots that `http` shows and tests wait for.

mod segment;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::media::StreamName;

pub use segment::{CanaryState, LinkState, SegmentBoard, SegmentState};

/// How one camera profile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// On demand, and nobody asks.
    Idle,
    /// Dialling, logging in, waiting for the first picture.
    Starting,
    /// Access units arrive.
    Playing,
    /// Ended; dialled again after a pause.
    Waiting {
        /// Why it ended, in words that an operator can act on. No camera text unescaped, no secret.
        reason: String,
        /// Pause until the next attempt, ms.
        retry_in_ms: u64,
    },
}

/// The health of all camera profiles, one writer each, watched by many.
#[derive(Debug, Clone)]
pub struct Board(Arc<watch::Sender<BTreeMap<StreamName, Health>>>);

impl Board {
    /// An empty board.
    #[allow(clippy::new_without_default, reason = "a board is made once, by the composition root")]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }

    /// Sets the health of a stream.
    pub fn set(&self, stream: &StreamName, health: Health) {
        self.0.send_if_modified(|all| {
            let changed = all.get(stream) != Some(&health);
            if changed {
                all.insert(stream.clone(), health);
            }
            changed
        });
    }

    /// Takes a stream off the board.
    pub fn remove(&self, stream: &StreamName) {
        self.0.send_if_modified(|all| all.remove(stream).is_some());
    }

    /// Watches all.
    pub fn watch(&self) -> watch::Receiver<BTreeMap<StreamName, Health>> {
        self.0.subscribe()
    }
}
