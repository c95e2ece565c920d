//! The accept loop.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use super::open::{Open, Stop};
use crate::ops::limits;
use crate::ops::metrics::{Ending, Metrics};
use crate::ops::systemd::Progress;
use crate::trust::audit::{self, Event};
use crate::trust::auth::{Arrival, Places, PreAuthPlace};
use crate::trust::tls::{Line, PeerIdentity, peer_identity};

/// A client dead without a word is noticed after about two minutes, if nothing is written to it.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// See [`KEEPALIVE_IDLE`].
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A client's connection: over TLS, or plain on loopback.
///
/// A write over TLS is cut into records of 16 KiB, and up to four of them (64 KiB, rustls's buffer) leave
/// in one `writev`: a 100 KiB access unit written in one call costs two system calls. A larger buffer
/// would save one of them and cost its size in memory for every client that stalls.
pub type ClientStream = Line<Box<TlsStream<TcpStream>>>;

/// What all listeners of the process share: the number of connections, and the places before login.
#[derive(Debug, Clone)]
pub struct Gate {
    connections: Arc<Semaphore>,
    places: Places,
    pub(super) metrics: Arc<Metrics>,
}

impl Gate {
    /// Open.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let connections = Arc::new(Semaphore::new(limits::CONNECTIONS));
        Self { connections, places: Places::new(), metrics }
    }

    /// Connections that have not logged in: those with a place, and those that wait for one.
    pub fn unauthenticated(&self) -> (usize, usize) {
        self.places.count()
    }
}

/// Whether a listener encrypts.
#[derive(Debug, Clone)]
pub enum Encryption {
    /// TLS, with the configuration that is in force when a connection comes: certificates are renewed
    /// without touching the listener or its connections.
    Tls(watch::Receiver<Arc<ServerConfig>>),
    /// None: loopback addresses only.
    Plain,
}

/// A connection ready for its handler.
#[derive(Debug)]
pub struct Accepted {
    /// The bytes.
    pub stream: ClientStream,
    /// Who connects.
    pub peer: SocketAddr,
    /// What the verified client certificate says, if there is one.
    pub identity: Option<PeerIdentity>,
    /// Drop it at login, so that the next one may enter.
    pub place: PreAuthPlace,
    /// Returns when the listener stops: end the connection then.
    pub stop: Stop,
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    entrance: Entrance,
    progress: Progress,
}

/// What stays of a listener as long as its connections.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) name: Arc<str>,
    encryption: Encryption,
    pub(super) gate: Gate,
}

/// A listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CannotListen {
    /// Without encryption beyond loopback.
    #[error(
        "listener `{name}` on {address} has no TLS; without it only 127.0.0.1 and [::1] can be used"
    )]
    Exposed {
        /// Configured name.
        name: Arc<str>,
        /// Where.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("listener `{name}` cannot use {address}: {error}")]
    Socket {
        /// Configured name.
        name: Arc<str>,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

impl Listener {
    /// Opens a listener, within a runtime. Port 0 takes a free one. `name` is the configured one: a label of metrics.
    pub fn bind(
        name: &str,
        address: SocketAddr,
        encryption: Encryption,
        gate: Gate,
    ) -> Result<Self, CannotListen> {
        Self::with_socket(name, address, encryption, gate, || open_socket(address))
    }

    /// The same with a socket that listens at `address` already and does not block.
    pub fn given(
        name: &str,
        address: SocketAddr,
        socket: std::net::TcpListener,
        encryption: Encryption,
        gate: Gate,
    ) -> Result<Self, CannotListen> {
        Self::with_socket(name, address, encryption, gate, || TcpListener::from_std(socket))
    }

    fn with_socket(
        name: &str,
        address: SocketAddr,
        encryption: Encryption,
        gate: Gate,
        socket: impl FnOnce() -> io::Result<TcpListener>,
    ) -> Result<Self, CannotListen> {
        let name: Arc<str> = name.into();
        match &encryption {
            Encryption::Plain if !address.ip().to_canonical().is_loopback() => {
                return Err(CannotListen::Exposed { name, address });
            }
            Encryption::Plain | Encryption::Tls(_) => {}
        }
        match socket() {
            Ok(socket) => Ok(Self {
                socket,
                entrance: Entrance { name, encryption, gate },
                progress: Progress::default(),
            }),
            Err(error) => Err(CannotListen::Socket { name, address, error }),
        }
    }

    /// The accept loop shows on `progress` that it gets on.
    #[must_use]
    pub fn watched(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts connections until `stop` returns and runs `handler` on each, in a task of its own; then closes the
    /// listener, and waits for the handlers. Dropping the future closes the listener and ends all its connections.
    /// A handler that panics costs its connection only.
    pub async fn run<H, F>(self, stop: impl Future<Output = ()>, handler: H)
    where
        H: Fn(Accepted) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { socket, entrance, mut progress } = self;
        let entrance = Arc::new(entrance);
        let mut open = Open::new(Arc::clone(&entrance));
        let handler = Arc::new(handler);
        let mut pause = Pause::default();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = progress.asked() => progress.advance(),
                arrived = entrance.next(&socket, &mut pause) => open.spawn(arrived, &handler),
                () = open.one_ends() => {}
            }
        }
        drop(socket);
        open.stop().await;
    }
}

impl Entrance {
    /// The next connection, once there is room for one. Cancel-safe.
    async fn next(&self, socket: &TcpListener, pause: &mut Pause) -> Arrived {
        loop {
            sleep_until(pause.until).await;
            let counted = Arc::clone(&self.gate.connections).acquire_owned().await;
            match (socket.accept().await, counted) {
                (Ok((tcp, peer)), Ok(counted)) => {
                    pause.over();
                    let arrival = self.gate.places.arrive(peer.ip());
                    return Arrived { tcp, peer, arrival, _counted: counted };
                }
                (Err(error), Ok(_)) => {
                    self.gate.metrics.listen.accept_error(&self.name);
                    if pause.after(&error) {
                        warn!(listener = %self.name, %error, "cannot accept connections");
                    }
                }
                // The semaphore is never closed.
                (_, Err(_)) => pending().await,
            }
        }
    }

    /// Waits for a place, then for the handshake; no longer than the listener is there.
    pub(super) async fn admit(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        arrival: Arrival,
        mut stop: Stop,
    ) -> Option<Accepted> {
        let (stream, identity, place) = tokio::select! {
            biased;
            () = &mut stop => None,
            entered = self.enter(tcp, peer, arrival) => entered,
        }?;
        Some(Accepted { stream, peer, identity, place, stop })
    }

    async fn enter(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        arrival: Arrival,
    ) -> Option<(ClientStream, Option<PeerIdentity>, PreAuthPlace)> {
        let place = match arrival {
            Arrival::Enters(place) => place,
            Arrival::Waits(waiting) => match timeout(limits::PLACE_WAIT, waiting.turn()).await {
                Ok(Some(place)) => place,
                Ok(None) | Err(_) => return self.ended(peer, Ending::Waited),
            },
            Arrival::Refused => return self.ended(peer, Ending::SourceFull),
        };
        if let Err(error) = tune(&tcp) {
            // The peer is gone already, most likely; the next read says so.
            debug!(%peer, %error, "socket options");
        }
        match &self.encryption {
            Encryption::Plain => Some((ClientStream::Plain(tcp), None, place)),
            Encryption::Tls(config) => {
                let acceptor = TlsAcceptor::from(Arc::clone(&config.borrow()));
                match timeout(limits::HANDSHAKE, acceptor.accept(tcp)).await {
                    Ok(Ok(tls)) => {
                        let identity = peer_identity(tls.get_ref().1);
                        Some((ClientStream::Tls(Box::new(tls)), identity, place))
                    }
                    Ok(Err(error)) => {
                        debug!(%peer, %error, "TLS handshake");
                        if let Some(reason) = refused_certificate(&error) {
                            audit::record(Event::CertificateRefused {
                                source: peer.ip(),
                                reason: &reason,
                            });
                        }
                        self.ended(peer, Ending::HandshakeFailed)
                    }
                    Err(_) => self.ended(peer, Ending::HandshakeTimeout),
                }
            }
        }
    }

    fn ended<T>(&self, peer: SocketAddr, reason: Ending) -> Option<T> {
        debug!(listener = %self.name, %peer, ?reason, "connection ended early");
        let penalised = match reason {
            Ending::SourceFull => Some("too many pending connections from this source"),
            Ending::HandshakeTimeout => Some("TLS handshake timed out"),
            // Waiting is no fault of theirs; a failed handshake is most often a wrong setting.
            Ending::Waited | Ending::HandshakeFailed | Ending::Panicked => None,
        };
        if let Some(reason) = penalised {
            audit::record(Event::ConnectionPenalised { source: peer.ip(), reason });
        }
        self.gate.metrics.listen.ended(&self.name, reason);
        None
    }

    pub(super) fn report(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            audit::record(Event::PanicCaught { task: &self.name });
            self.gate.metrics.listen.ended(&self.name, Ending::Panicked);
        }
    }
}

/// A connection just accepted, with its place in the count of all.
pub(super) struct Arrived {
    pub(super) tcp: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) arrival: Arrival,
    pub(super) _counted: OwnedSemaphorePermit,
}

/// When `accept` may be tried again, so that a full descriptor table does not spin the loop.
#[derive(Debug)]
pub(super) struct Pause {
    pub(super) until: Instant,
    length: Duration,
    /// When a run of failures was last logged.
    told: Option<Instant>,
}

impl Default for Pause {
    fn default() -> Self {
        Self { until: Instant::now(), length: Duration::ZERO, told: None }
    }
}

impl Pause {
    /// After a success.
    pub(super) fn over(&mut self) {
        *self = Self { told: self.told, ..Self::default() };
    }

    /// After a failure. Returns whether it is logged: where a run of failures begins, once in a while. With
    /// few descriptors left, clients make runs as short as they like.
    pub(super) fn after(&mut self, error: &io::Error) -> bool {
        // These concern one connection that is gone already.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
        {
            return false;
        }
        let now = Instant::now();
        let is_quiet = self.told.is_none_or(|told| now - told >= limits::ACCEPT_NEWS);
        let is_news = self.length.is_zero() && is_quiet;
        if is_news {
            self.told = Some(now);
        }
        self.length = (self.length * 2).clamp(limits::ACCEPT_PAUSE_MIN, limits::ACCEPT_PAUSE_MAX);
        self.until = now + self.length;
        is_news
    }
}

/// As many may wait in the kernel as in the places behind it: where its queue is full, clients try again a second
/// later only.
fn open_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A gateway that comes back gets its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(u32::try_from(limits::WAITING).unwrap_or(u32::MAX))
}

/// Why a client certificate was refused, if that is why the handshake failed.
fn refused_certificate(error: &io::Error) -> Option<String> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let certificate = matches!(
        tls,
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
    );
    certificate.then(|| tls.to_string())
}

fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    socket.set_tcp_notsent_lowat(limits::UNSENT_BYTES)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL),
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpSocket;
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    use super::*;

    /// Runs a listener whose gate has so many connections taken already.
    fn run(
        taken: usize,
    ) -> (SocketAddr, mpsc::Receiver<Accepted>, Gate, OwnedSemaphorePermit, JoinSet<()>) {
        let gate = Gate::new(Metrics::new());
        assert_eq!(gate.connections.available_permits(), limits::CONNECTIONS);
        let taken = Arc::clone(&gate.connections).try_acquire_many_owned(taken.try_into().unwrap());
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind("test", any, Encryption::Plain, gate.clone()).unwrap();
        let address = listener.local_addr().unwrap();
        let (send, accepted) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        tasks.spawn(listener.run(pending(), move |accepted| {
            let send = send.clone();
            // Open until the test drops the channel's other end.
            async move {
                send.send(accepted).await.unwrap_or_default();
                send.closed().await;
            }
        }));
        (address, accepted, gate, taken.unwrap(), tasks)
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        TcpSocket::new_v4().unwrap().connect(address).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_too_many_waits_outside() {
        let (address, mut accepted, _gate, taken, _tasks) = run(limits::CONNECTIONS - 1);
        let _last = connect(address).await;
        assert!(accepted.recv().await.is_some());
        let _over = connect(address).await;
        let minute = Duration::from_secs(60);
        assert!(timeout(minute, accepted.recv()).await.is_err());
        drop(taken);
        assert!(accepted.recv().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_loop_and_a_full_one_get_on_and_one_that_ended_does_not() {
        let gate = Gate::new(Metrics::new());
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind("test", any, Encryption::Plain, gate.clone()).unwrap();
        let watched = crate::ops::systemd::Watched::default();
        let listener = listener.watched(watched.part("test"));
        let running = tokio::spawn(listener.run(pending(), async |_| {}));
        let soon = || tokio::time::sleep(Duration::from_secs(1));
        assert!(watched.all_got_on().is_err(), "not asked before");
        soon().await;
        assert_eq!(watched.all_got_on(), Ok(()));
        let all = u32::try_from(limits::CONNECTIONS).unwrap();
        let _taken = gate.connections.acquire_many(all).await.unwrap();
        soon().await;
        assert_eq!(watched.all_got_on(), Ok(()));
        soon().await;
        running.abort();
        assert_eq!(watched.all_got_on(), Ok(()), "it answered before");
        soon().await;
        assert_eq!(watched.all_got_on(), Err(vec!["test".to_owned()]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_for_a_place_only_so_long() {
        let (address, mut accepted, gate, _taken, _tasks) = run(0);
        let (mut clients, mut inside) = (Vec::new(), Vec::new());
        for _ in 0..limits::UNAUTHENTICATED_PER_SOURCE {
            clients.push(connect(address).await);
            inside.push(accepted.recv().await.unwrap());
        }
        let began = Instant::now();
        let mut ninth = connect(address).await;
        assert!(!matches!(ninth.read(&mut [0; 1]).await, Ok(1..)), "closed");
        assert_eq!(began.elapsed().as_secs(), limits::PLACE_WAIT.as_secs());
        let line = r#"camlock_connections_ended_early_total{listener="test",reason="Waited"} 1"#;
        assert!(gate.metrics.encode().contains(line));
    }
}
