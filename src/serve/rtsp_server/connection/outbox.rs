//! What waits to be written to one client.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::ops::limits::WRITE_WHOLE;

/// Chunks in order. Bounded by its users: media is added only when it is idle, answers only below
/// [`crate::ops::limits::CLIENT_QUEUE`].
#[derive(Debug)]
pub(super) struct Outbox {
    chunks: VecDeque<Bytes>,
    state: State,
    /// When it was last idle.
    began: Instant,
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
        let now = Instant::now();
        Self { chunks: VecDeque::new(), state: State::Idle, began: now, progress: now }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.is_idle() {
            self.began = Instant::now();
            self.progress = self.began;
        }
        self.state = State::Busy;
        self.chunks.push_back(chunk);
    }

    pub(super) fn extend(&mut self, chunks: impl IntoIterator<Item = Bytes>) {
        chunks.into_iter().for_each(|chunk| self.push(chunk));
    }

    /// Writes and flushes all; at once if nothing waits.
    pub(super) fn poll_drain(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_idle() {
            return Poll::Ready(Ok(()));
        }
        while let Some(chunk) = self.chunks.front_mut() {
            let taken = ready!(Pin::new(&mut *to).poll_write(cx, chunk))?;
            if taken == 0 && !chunk.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.progress = Instant::now();
            chunk.advance(taken);
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        ready!(Pin::new(to).poll_flush(cx))?;
        self.state = State::Idle;
        Poll::Ready(Ok(()))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// When the client is too slow, if it owes us to take something: no byte for as long as `stall`, or not all within
    /// [`WRITE_WHOLE`]. A flush that hangs counts as nothing taken: no more than a TLS buffer is behind it.
    pub(super) fn deadline(&self, stall: Duration) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            State::Busy => Some((self.progress + stall).min(self.began + WRITE_WHOLE)),
        }
    }
}
