//! What waits to be written to one client.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// Chunks in order. Bounded by its users: media is added only when it is idle, answers only below
/// [`crate::limits::CLIENT_QUEUE`].
#[derive(Debug)]
pub(super) struct Outbox {
    chunks: VecDeque<Bytes>,
    state: State,
    progress: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All that was added has left this process.
    Idle,
    /// Chunks wait, or a TLS layer below still holds bytes.
    Busy,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { chunks: VecDeque::new(), state: State::Idle, progress: Instant::now() }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.is_idle() {
            self.progress = Instant::now();
        }
        self.state = State::Busy;
        self.chunks.push_back(chunk);
    }

    /// Writes and flushes all. Cancel-safe: what a write took is accounted for before the next wait.
    pub(super) async fn drain(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while let Some(chunk) = self.chunks.front_mut() {
            let taken = to.write(chunk).await?;
            if taken == 0 && !chunk.is_empty() {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.progress = Instant::now();
            chunk.advance(taken);
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        to.flush().await?;
        self.state = State::Idle;
        Ok(())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// When the client last took a byte, if it owes us to take one. A flush that hangs counts as nothing
    /// taken: no more than a TLS buffer is behind it.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            State::Busy => Some(self.progress),
        }
    }
}
