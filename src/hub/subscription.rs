//! A reader of a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::cursor::Cursor;
use super::stream::Stream;
use super::wakers::ReaderWaker;
use crate::media::{Published, Track, TrackId};
use crate::trust::auth::Permit;

/// A reader's place in a stream. The permit is looked at before each unit and watched while waiting.
pub struct Subscription {
    stream: Arc<Stream>,
    permit: Permit,
    cursor: Cursor,
    waker: ReaderWaker,
    /// Made once, so that waiting for a unit registers nothing anew. `None` once it returned.
    revoked: Option<Revoked>,
}

type Revoked = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// Where a track of a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Synchronisation source.
    pub ssrc: u32,
    /// RTP payload type.
    pub payload_type: u8,
    /// First sequence number it will be given.
    pub seq: u16,
    /// First RTP timestamp it will be given.
    pub rtp_time: u32,
}

/// Why a reader got no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupt {
    /// It was too far behind and now stands at the newest random access point, or waits for the next if it
    /// had that one.
    #[error("reader fell behind; {skipped} units skipped")]
    Lagged {
        /// Units passed over, of all tracks.
        skipped: u64,
    },
    /// The stream ended or changed its format.
    #[error("{0}")]
    Ended(EndReason),
    /// The permit no longer holds.
    #[error("permit revoked")]
    Revoked,
}

/// Why a stream ended for its readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// Configuration took it away, or the gateway stops.
    #[error("stream removed")]
    Removed,
    /// Codec, profile, size, bit depth, chroma or the list of tracks changed.
    #[error("stream changed its format")]
    FormatChanged,
}

impl Subscription {
    pub(super) fn new(stream: Arc<Stream>, permit: Permit) -> Self {
        let watched = permit.clone();
        Self {
            cursor: stream.cursor(permit.kinds()),
            waker: stream.listener(),
            stream,
            permit,
            revoked: Some(Box::pin(async move { watched.revoked().await })),
        }
    }

    /// The tracks that the permit covers, as soon as they are known. Cancel-safe.
    pub async fn tracks(&mut self) -> Result<Vec<Arc<Track>>, Interrupt> {
        poll_fn(|cx| self.poll_tracks(cx)).await
    }

    /// SSRC, payload type and the RTP position (first sequence number and timestamp) that a track of this
    /// reader has. Exact if its first unit is in the ring already, as after [`Self::start`] on a stream
    /// that plays; else the next sequence number and the best guess of its timestamp. `None` if it does not take
    /// the track.
    pub fn position(&self, track: TrackId) -> Option<Position> {
        self.stream.position(&self.cursor, track)
    }

    /// Takes only these tracks from now on (those set up); the permit's kinds bound them anyway. All
    /// permitted tracks if never called.
    pub fn select(&mut self, tracks: &[TrackId]) {
        self.cursor.select(tracks);
    }

    /// Positions the reader at the newest random access point (PLAY, and PLAY after PAUSE), or at the live
    /// end if it takes sound alone. A reader that has had that random access point goes on where it was,
    /// if the ring still has the place: no unit is ever given twice.
    pub fn start(&mut self) {
        self.stream.start(&mut self.cursor);
    }

    /// The next unit of the selected tracks. Cancel-safe.
    pub async fn next(&mut self) -> Result<Arc<Published>, Interrupt> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Self::next`] for loops that wait for much: nothing is registered anew for each of their turns.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Published>, Interrupt>> {
        self.check_permit()?;
        self.waker.listen(cx.waker());
        match self.stream.poll(&mut self.cursor)? {
            Some(published) => Poll::Ready(Ok(published)),
            None => self.poll_revoked(cx).map(|()| Err(Interrupt::Revoked)),
        }
    }

    /// Ready once the permit no longer holds.
    pub fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(revoked) = &mut self.revoked {
            ready!(revoked.as_mut().poll(cx));
            self.revoked = None;
        }
        Poll::Ready(())
    }

    /// The permit it was made with.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    fn check_permit(&self) -> Result<(), Interrupt> {
        let holds = self.revoked.is_some() && self.permit.is_valid();
        if holds { Ok(()) } else { Err(Interrupt::Revoked) }
    }

    fn poll_tracks(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Arc<Track>>, Interrupt>> {
        self.check_permit()?;
        self.waker.listen(cx.waker());
        match self.stream.tracks(&self.cursor, self.permit.kinds())? {
            Some(tracks) => Poll::Ready(Ok(tracks)),
            None => self.poll_revoked(cx).map(|()| Err(Interrupt::Revoked)),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stream.detach(&self.waker);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("stream", self.stream.name())
            .field("permit", &self.permit)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}
