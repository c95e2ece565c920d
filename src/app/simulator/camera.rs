//! One camera: its listener, its switch, its counts.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::media::Track;

use super::connection::Connection;
use super::source::Feed;
use super::{CameraSettings, Error, ProfileSettings};

/// Connections of one camera at once; more wait in the kernel's backlog.
const CONNECTIONS: usize = 256;

/// A simulated camera. Dropping it ends its listener and its connections.
#[derive(Debug)]
pub struct Camera {
    address: SocketAddr,
    shared: Arc<Shared>,
    media: watch::Sender<Media>,
    /// The accept loop, while the camera is on.
    running: Mutex<JoinSet<()>>,
}

/// What the connections of a camera share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: CameraSettings,
    /// The tracks of each profile.
    pub(super) tracks: Vec<Vec<Arc<Track>>>,
    /// The moment its pictures count from; goes on while the camera is off.
    pub(super) epoch: Instant,
    pub(super) counters: Counters,
    /// Who is told of each unit.
    sent: Mutex<Option<mpsc::Sender<Sent>>>,
}

/// A unit of pictures or sound that a camera is about to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Just before the write.
    pub at: Instant,
    /// The interleaved packets, a sender report before them if one is due.
    pub bytes: Bytes,
}

impl Shared {
    /// Tells who asked for it; a full queue loses the news.
    pub(super) fn tell_sent(&self, bytes: &Bytes) {
        if bytes.is_empty() {
            return;
        }
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(to) = &*sent {
            // The reader of the news is behind or gone; the camera does not care.
            to.try_send(Sent { at: Instant::now(), bytes: bytes.clone() }).ok();
        }
    }
}

/// What sessions that play are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// Each unit when it is due.
    Flowing,
    Held,
    /// The next unit at once, until the camera has sent so many.
    Granted(u64),
}

/// Counters behind [`Counts`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) sessions: AtomicU64,
    pub(super) refused_logins: AtomicU64,
    pub(super) slow_clients: AtomicU64,
    pub(super) units: AtomicU64,
}

/// What a camera saw since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Requests read.
    pub requests: u64,
    /// Sessions that played.
    pub sessions: u64,
    /// Requests with a wrong login (one without a login is not counted).
    pub refused_logins: u64,
    /// Clients dropped because they did not read.
    pub slow_clients: u64,
    /// Access units sent.
    pub units: u64,
}

impl Camera {
    /// Checks the settings and starts the camera.
    pub(super) fn new(settings: CameraSettings) -> Result<Self, Error> {
        settings.check()?;
        let open = |profile: &ProfileSettings| {
            let feed = Feed::new(profile.source, profile.audio, Duration::ZERO)?;
            Ok(feed.tracks().to_vec())
        };
        let tracks = settings.profiles.iter().map(open).collect::<Result<_, Error>>()?;
        let (listener, address) = listen(settings.listen)?;
        let (epoch, counters) = (Instant::now(), Counters::default());
        let shared = Arc::new(Shared { settings, tracks, epoch, counters, sent: Mutex::default() });
        let (media, _) = watch::channel(Media::Flowing);
        let camera = Self { address, shared, media, running: Mutex::default() };
        camera.accept_on(listener);
        Ok(camera)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a profile, in the order of the settings.
    pub fn url(&self, profile: usize) -> Option<String> {
        let profile = self.shared.settings.profiles.get(profile)?;
        Some(format!("rtsp://{}{}", self.address, profile.path))
    }

    /// Switches the camera off: the listener is closed when this returns, the connections right after.
    pub async fn stop(&self) {
        let mut running = std::mem::take(&mut *self.lock());
        running.shutdown().await;
    }

    /// Switches it on again at the same address. Pictures go on as if it had never been off. A camera that is
    /// on stays as it is.
    pub fn start(&self) -> Result<(), Error> {
        if self.lock().is_empty() {
            let (listener, _) = listen(self.address)?;
            self.accept_on(listener);
        }
        Ok(())
    }

    /// Holds the media: sessions stay and requests are answered, but nothing is sent, and what would have been
    /// sent is lost.
    pub fn pause(&self) {
        self.media.send_replace(Media::Held);
    }

    /// Sends at the pace of whoever calls this: from now on the next unit goes out at once, until the camera has
    /// sent `units` since it was made, in all sessions together ([`Counts::units`]). Nothing is lost in between,
    /// and timestamps follow the clock: a unit's is that of the moment when it was sent.
    pub fn grant(&self, units: u64) {
        self.media.send_replace(Media::Granted(units));
    }

    /// Ends [`Self::pause`] and [`Self::grant`]; after the latter pictures go on from the last one sent, each when
    /// it is due.
    pub fn resume(&self) {
        self.media.send_replace(Media::Flowing);
    }

    /// What it saw so far.
    pub fn counts(&self) -> Counts {
        let counters = &self.shared.counters;
        let read = Counters::read;
        Counts {
            connections: read(&counters.connections),
            requests: read(&counters.requests),
            sessions: read(&counters.sessions),
            refused_logins: read(&counters.refused_logins),
            slow_clients: read(&counters.slow_clients),
            units: read(&counters.units),
        }
    }

    /// News of each unit from now on, all sessions; `queue` of them wait, more are lost. One watcher at a time.
    pub fn watch_sent(&self, queue: usize) -> mpsc::Receiver<Sent> {
        let (to, sent) = mpsc::channel(queue);
        *self.shared.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
        sent
    }

    fn accept_on(&self, listener: TcpListener) {
        let accept = accept(listener, Arc::clone(&self.shared), self.media.subscribe());
        self.lock().spawn(accept);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Counts a unit if fewer than `most` were sent.
    pub(super) fn claim_unit(&self, most: u64) -> bool {
        let more = |units| (units < most).then_some(units + 1);
        self.units.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let open = || {
        // The standard library sets SO_REUSEADDR: a camera that comes back gets its port.
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((TcpListener::from_std(listener)?, bound))
    };
    open().map_err(|source| Error::Listen { address, source })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, media: watch::Receiver<Media>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    Counters::add(&shared.counters.connections);
                    let connection = Connection::new(Arc::clone(&shared), media.clone());
                    if let Ok(connection) = connection {
                        connections.spawn(connection.run(stream));
                    }
                }
                // Out of descriptors, most likely: give others time to close some.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
