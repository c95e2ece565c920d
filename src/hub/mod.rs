//! One publisher, many subscribers per stream: numbering at publish, the ring, the lag policy, demand.
//! Knows no camera and no protocol.
//!
//! A push takes one short lock and wakes all readers by one change of a watch; each reader looks for
//! itself what is there for it, with its own [`cursor`].

mod budget;
mod cursor;
mod numbering;
mod ring;
pub mod status;
mod stream;
mod subscription;
mod wakers;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::media::{AccessUnit, StreamName, Track};
use crate::ops::limits;
use crate::ops::metrics::Metrics;
use crate::trust::auth::Permit;
use budget::Budget;
use stream::Stream;

pub use ring::unit_bytes;
pub use subscription::{EndReason, Interrupt, Position, Subscription};

/// What operators may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How far a reader may be behind live before it is moved to the newest random access point.
    pub reader_lag: Duration,
    /// Media kept before the current group of pictures while the stream has readers.
    pub before_group: Duration,
    /// Bytes of one stream's ring, where the stream has no number of its own.
    pub ring_bytes: usize,
    /// Access units of one stream's ring.
    pub ring_units: usize,
    /// Bytes of all rings of the process.
    pub rings_bytes: usize,
    /// Streams the hub takes.
    pub streams: usize,
    /// Readers of one stream.
    pub readers_per_stream: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            reader_lag: limits::READER_LAG,
            before_group: limits::RING_BEFORE_GOP,
            ring_bytes: limits::RING_BYTES,
            ring_units: limits::RING_UNITS,
            rings_bytes: limits::RINGS_BYTES,
            streams: limits::STREAMS,
            readers_per_stream: limits::READERS_PER_STREAM,
        }
    }
}

/// All streams of the gateway.
#[derive(Debug)]
pub struct Hub {
    inner: Arc<Inner>,
}

/// What publishers share with the hub.
#[derive(Debug)]
struct Inner {
    settings: Settings,
    metrics: Arc<Metrics>,
    budget: Arc<Budget>,
    streams: Mutex<HashMap<StreamName, Arc<Stream>>>,
}

impl Hub {
    /// An empty hub with the default settings and metrics of its own.
    pub fn new() -> Arc<Self> {
        Self::with_settings(Settings::default(), Metrics::new())
    }

    /// An empty hub.
    pub fn with_settings(settings: Settings, metrics: Arc<Metrics>) -> Arc<Self> {
        let budget = Budget::new(settings.rings_bytes);
        let inner = Inner { settings, metrics, budget, streams: Mutex::default() };
        Arc::new(Self { inner: Arc::new(inner) })
    }

    /// Declares a stream with a ring of [`Settings::ring_bytes`]. The publisher's drop ends it and its
    /// readers.
    pub fn declare(&self, name: StreamName) -> Result<Publisher, CannotDeclare> {
        self.declare_with(name, None)
    }

    /// The same with a ring of `ring_bytes`, if any are given.
    pub fn declare_with(
        &self,
        name: StreamName,
        ring_bytes: Option<usize>,
    ) -> Result<Publisher, CannotDeclare> {
        let inner = &self.inner;
        let mut streams = inner.streams();
        let count = streams.len();
        match streams.entry(name) {
            Entry::Occupied(_) => Err(CannotDeclare::Taken),
            Entry::Vacant(_) if count >= inner.settings.streams => Err(CannotDeclare::TooMany),
            Entry::Vacant(vacant) => {
                let name = vacant.key().clone();
                let metrics = inner.metrics.hub.stream(name.as_str());
                let ring_bytes = ring_bytes.unwrap_or(inner.settings.ring_bytes);
                let settings = Settings { ring_bytes, ..inner.settings };
                let stream = Stream::new(name, settings, &inner.budget, metrics);
                vacant.insert(Arc::clone(&stream));
                Ok(Publisher { stream, inner: Arc::clone(inner) })
            }
        }
    }

    /// Attaches a reader to the permit's own stream: there is no other way in. Counts as demand at once;
    /// the tracks may not be known yet.
    pub fn subscribe(&self, permit: Permit) -> Result<Subscription, CannotSubscribe> {
        let stream = self.inner.streams().get(permit.stream()).map(Arc::clone);
        let stream = stream.ok_or(CannotSubscribe::NotPublished)?;
        if !stream.attach(self.inner.settings.readers_per_stream) {
            return Err(CannotSubscribe::TooMany);
        }
        Ok(Subscription::new(stream, permit))
    }
}

impl Hub {
    /// Takes each lock of the hub once and gives it back: returns only if nobody sits on one.
    pub fn pass_locks(&self) {
        let streams: Vec<_> = self.inner.streams().values().map(Arc::clone).collect();
        for stream in streams {
            stream.pass_lock();
        }
    }
}

impl Inner {
    fn streams(&self) -> MutexGuard<'_, HashMap<StreamName, Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one writer of a stream. Survives reconnects of the camera: numbering goes on.
#[derive(Debug)]
pub struct Publisher {
    stream: Arc<Stream>,
    inner: Arc<Inner>,
}

impl Publisher {
    /// Says which tracks the stream has, at first and after each (re)connect or change of parameters.
    /// Incompatible tracks end the sessions of present readers. Tracks whose id is not below
    /// [`limits::TRACKS`] are left out. After a change of its parameters, a picture track goes on with its
    /// next random access point.
    pub fn set_tracks(&self, tracks: Vec<Arc<Track>>) {
        self.stream.set_tracks(tracks);
    }

    /// Publishes a unit. Never waits. Pictures before the first random access point (of the stream, and
    /// after [`Self::pause`]) are counted and dropped.
    pub fn push(&self, unit: AccessUnit) {
        self.stream.push(unit);
    }

    /// The camera is away; readers stay, and go on with the first random access point after its return.
    /// New readers are not shown what was seen before.
    pub fn pause(&self) {
        self.stream.pause();
    }

    /// The number of readers, now and later: what on-demand cameras wait for.
    pub fn demand(&self) -> watch::Receiver<usize> {
        self.stream.demand()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let name = self.stream.name();
        let mut streams = self.inner.streams();
        streams.remove(name);
        // Under the lock: the next publisher of this name makes labels of its own.
        self.inner.metrics.hub.forget(name.as_str());
        drop(streams);
        self.stream.end(EndReason::Removed);
    }
}

/// A reader cannot be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotSubscribe {
    /// No such stream.
    #[error("no such stream")]
    NotPublished,
    /// Over [`Settings::readers_per_stream`].
    #[error("too many readers of this stream")]
    TooMany,
}

/// The stream cannot be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotDeclare {
    /// Somebody publishes it already.
    #[error("stream is already published")]
    Taken,
    /// Over [`Settings::streams`].
    #[error("too many streams")]
    TooMany,
}
