//! What a stream's publisher and subscriptions share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::budget::Budget;
use super::cursor::{Cursor, Step};
use super::numbering::Origin;
use super::ring::{Format, News, Pushed, Ring, Watched};
use super::wakers::{ReaderWaker, Wakers};
use super::{EndReason, Interrupt, Position, Settings};
use crate::media::{AccessUnit, Kinds, Published, StreamName, Track, TrackId};
use crate::ops::metrics::StreamMetrics;
use crate::ops::random::random;

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    name: StreamName,
    state: Mutex<State>,
    /// Rings with everything that readers may wait for.
    wakers: Wakers,
    readers: watch::Sender<usize>,
    metrics: StreamMetrics,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    ended: Option<EndReason>,
}

impl Stream {
    pub(super) fn new(
        name: StreamName,
        settings: Settings,
        budget: &Arc<Budget>,
        metrics: StreamMetrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            state: Mutex::new(State { ring: Ring::new(settings, budget), ended: None }),
            wakers: Wakers::default(),
            readers: watch::Sender::new(0),
            metrics,
        })
    }

    pub(super) fn name(&self) -> &StreamName {
        &self.name
    }

    pub(super) fn set_tracks(&self, tracks: Vec<Arc<Track>>) {
        let format = self.state().ring.set_tracks(tracks, random_origin);
        if format == Format::Changed {
            tracing::info!(stream = %self.name, "stream changed its format; its readers are disconnected");
        }
        self.wakers.wake_all();
    }

    pub(super) fn push(&self, unit: AccessUnit) {
        let watched = if self.is_watched() { Watched::Yes } else { Watched::No };
        let (pushed, bytes) = {
            let ring = &mut self.state().ring;
            (ring.push(unit, watched), ring.bytes())
        };
        match pushed {
            Pushed::Refused(reason) => {
                self.metrics.refused(reason).inc();
                return;
            }
            Pushed::Kept => {}
            Pushed::Cut(news) => self.report_cut(news, bytes),
        }
        self.metrics.units.inc();
        self.metrics.ring_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.wakers.wake_all();
    }

    pub(super) fn pause(&self) {
        let ring = &mut self.state().ring;
        ring.pause();
        if !self.is_watched() {
            // Nobody is left to whom these units could go.
            ring.clear();
        }
        self.metrics.ring_bytes.set(i64::try_from(ring.bytes()).unwrap_or(i64::MAX));
    }

    pub(super) fn end(&self, reason: EndReason) {
        let mut state = self.state();
        state.ended = Some(reason);
        state.ring.clear();
        drop(state);
        self.wakers.wake_all();
    }

    /// Returns once nobody holds the lock.
    pub(super) fn pass_lock(&self) {
        drop(self.state());
    }

    pub(super) fn demand(&self) -> watch::Receiver<usize> {
        self.readers.subscribe()
    }

    /// One reader more, unless there are `most`.
    #[must_use]
    pub(super) fn attach(&self, most: usize) -> bool {
        let attached = self.readers.send_if_modified(|readers| {
            let free = *readers < most;
            *readers += usize::from(free);
            free
        });
        if attached {
            self.metrics.readers.inc();
        }
        attached
    }

    pub(super) fn detach(&self, waker: &ReaderWaker) {
        self.wakers.forget(waker);
        self.readers.send_modify(|readers| *readers = readers.saturating_sub(1));
        self.metrics.readers.dec();
    }

    /// Is told of every change; [`Self::detach`] ends it.
    pub(super) fn listener(&self) -> ReaderWaker {
        self.wakers.listener()
    }

    pub(super) fn cursor(&self, kinds: Kinds) -> Cursor {
        Cursor::new(&self.state().ring, kinds)
    }

    pub(super) fn start(&self, cursor: &mut Cursor) {
        cursor.start(&self.state().ring);
    }

    pub(super) fn position(&self, cursor: &Cursor, track: TrackId) -> Option<Position> {
        cursor.position(&self.state().ring, track, Instant::now().into_std())
    }

    /// The tracks of these kinds; `None` if they are not known yet.
    pub(super) fn tracks(
        &self,
        cursor: &Cursor,
        kinds: Kinds,
    ) -> Result<Option<Vec<Arc<Track>>>, Interrupt> {
        let state = self.state();
        state.check_open()?;
        if !cursor.is_of_format(&state.ring) {
            return Err(Interrupt::Ended(EndReason::FormatChanged));
        }
        let tracks = state.ring.tracks().map(|tracks| {
            let tracks = tracks.iter().map(|state| &state.track);
            tracks.filter(|track| kinds.contains(track.kind())).map(Arc::clone).collect()
        });
        Ok(tracks)
    }

    /// The next unit; `None` if it is not there yet.
    pub(super) fn poll(&self, cursor: &mut Cursor) -> Result<Option<Arc<Published>>, Interrupt> {
        let state = self.state();
        state.check_open()?;
        match cursor.poll(&state.ring) {
            Step::Unit(published) => Ok(Some(published)),
            Step::Empty => Ok(None),
            Step::Lagged { skipped } => {
                self.metrics.lagged.inc();
                Err(Interrupt::Lagged { skipped })
            }
            Step::FormatChanged => Err(Interrupt::Ended(EndReason::FormatChanged)),
        }
    }

    fn is_watched(&self) -> bool {
        *self.readers.borrow() > 0
    }

    fn report_cut(&self, news: News, bytes: usize) {
        self.metrics.ring_cuts.inc();
        match news {
            News::First => tracing::warn!(
                stream = %self.name,
                bytes,
                "a group of pictures does not fit the ring; new readers wait for the next random \
                 access point; shorten the camera's key-frame interval or enlarge the ring (ring_mib)"
            ),
            News::Again => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_open(&self) -> Result<(), Interrupt> {
        self.ended.map_or(Ok(()), |reason| Err(Interrupt::Ended(reason)))
    }
}

fn random_origin() -> Origin {
    let [a, b, c, d, e, f, g, h, i, j] = random().unwrap_or_else(|error| {
        // Numbers that can be guessed are a lesser evil than no picture; Linux has no such fault.
        tracing::error!(%error, "RTP begins with numbers that can be guessed");
        [0; 10]
    });
    Origin {
        ssrc: u32::from_be_bytes([a, b, c, d]),
        rtp_time: u32::from_be_bytes([e, f, g, h]),
        seq: u16::from_be_bytes([i, j]),
    }
}
