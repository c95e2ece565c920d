//! The task between camera and depacketiser.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::limits;

use super::{Counts, EndReason, LoginMemory};

/// How a session ended, and what it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Why.
    pub reason: EndReason,
    /// What to pass into the next [`super::open`].
    pub memory: LoginMemory,
    /// What passed and what was dropped, by reason.
    pub counts: Counts,
}

/// The owner of a session's task. Dropping it ends the session; TEARDOWN goes out within
/// [`limits::CAMERA_TEARDOWN`].
#[derive(Debug)]
pub struct Running {}

impl Running {
    /// Waits for the end of the session, TEARDOWN included. Cancel-safe.
    pub async fn ended(&mut self) -> Report {
        todo!()
    }

    /// Ends the session and waits for it.
    pub async fn stop(self) -> Report {
        todo!()
    }

    /// What passed and what was dropped so far (at most a quarter second old).
    pub fn counts(&self) -> Counts {
        todo!()
    }

    /// What to pass into the next [`super::open`].
    pub fn memory(&self) -> LoginMemory {
        todo!()
    }
}

/// What the consumer tells the task.
#[derive(Debug, Default)]
pub(super) struct Shared {
    acknowledged: [AtomicU64; limits::TRACKS],
    verdict: AtomicU8,
}

/// How the depacketiser ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It saw the end of the stream.
    Ended = 1,
    /// It refused the media.
    Refused = 2,
    /// It panicked.
    Panicked = 3,
}

impl Shared {
    pub(super) fn acknowledge(&self, stream: usize) {
        if let Some(count) = self.acknowledged.get(stream) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn judge(&self, verdict: Verdict) {
        self.verdict.store(verdict as u8, Ordering::Release);
    }
}
