//! The composition root: the only place that knows all modules.

mod camera_certificates;
mod cameras;
mod certificate;
mod digest_seen;
mod overload;
mod process;
pub(crate) mod segment_service;
mod serving;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::config::Settings;
use crate::hub::Hub;
use crate::hub::status::{Board, LinkState, SegmentBoard};
use crate::ingest::camera::Books;
use crate::ingest::segment;
use crate::ops::limits;
use crate::ops::metrics::{Metrics, ReloadOutcome};
use crate::ops::systemd;
use crate::ops::systemd::{BadSockets, Sockets, Watched};
use crate::serve::http;
use crate::serve::listen::{Accepted, CannotListen, ClientStream, Encryption, Gate, Listener};
use crate::serve::overload::Load;
use crate::serve::rtsp_server::{self, Peer, Server};
use crate::serve::tunnel::{Entered, NewConnection, Tunnels};
use crate::trust::auth::{Authenticator, Offer};
use crate::trust::pki;
use crate::trust::tls;

use crate::ingest::segment::events_client::Feed;
use cameras::Pulls;
use certificate::Certificates;
use serving::Serving;

/// A running gateway. Its drop ends everything; [`Gateway::shutdown`] does so politely.
#[derive(Debug)]
pub struct Gateway {
    authenticator: Arc<Authenticator>,
    load: Arc<Load>,
    metrics: Arc<Metrics>,
    board: Board,
    certificates: watch::Sender<Certificates>,
    tls: watch::Sender<Arc<ServerConfig>>,
    pulls: Pulls,
    /// Where the cameras are, as at the start.
    segment: (segment::Mode, segment::CanaryPolicy),
    segment_board: SegmentBoard,
    ready: watch::Sender<bool>,
    rtsps: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
    /// The admin listener, and what goes on in the background.
    others: JoinSet<()>,
}

/// A listener that does not serve yet, and who will.
type Bound = (Listener, Arc<Server>);

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory or the CA in it.
    #[error(transparent)]
    Store(#[from] pki::StoreError),
    /// The certificate files.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// A client listener.
    #[error(transparent)]
    Listen(#[from] CannotListen),
    /// The service manager's sockets are not the configured ones.
    #[error(transparent)]
    Sockets(#[from] BadSockets),
    /// The admin listener.
    #[error(
        "the admin listener cannot use {address}: {error}; change admin.listen, or stop what uses the port"
    )]
    Admin {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
}

impl Gateway {
    /// Starts everything that `settings` ask for. Listeners serve before the first camera plays; those whose address
    /// is among `sockets` take that socket, and all of these must be asked for.
    pub async fn start(settings: Settings, mut sockets: Sockets) -> Result<Self, StartError> {
        let watched = Watched::default();
        let metrics = Metrics::new();
        process::started(&metrics);
        let load = Load::new(overload::budget(settings.load), Arc::clone(&metrics));
        let board = Board::new();
        let hub = Hub::with_settings(settings.hub, Arc::clone(&metrics));
        let authenticator =
            Arc::new(Authenticator::new(settings.auth.clone(), Arc::clone(&metrics)));
        let certificates = Certificates::new(&settings);
        let tls = watch::Sender::new(certificates.load().await?);
        let certificates = watch::Sender::new(certificates);
        let digest_seen = settings.state_dir.join("digest-seen");
        let books = Books {
            digest: digest_seen::open(&digest_seen),
            certificates: camera_certificates::open(&settings.state_dir),
        };
        let (ready, is_ready) = watch::channel(false);
        let mut gateway = Self {
            pulls: Pulls::new(Arc::clone(&hub), board.clone(), Arc::clone(&metrics), books.clone()),
            authenticator,
            load,
            metrics,
            board,
            certificates,
            tls,
            segment: (settings.segment.mode.clone(), settings.segment.canary),
            segment_board: segment_board(&settings.segment.mode),
            ready,
            rtsps: Vec::new(),
            admin: None,
            stop: watch::Sender::new(false),
            listeners: JoinSet::new(),
            others: JoinSet::new(),
        };
        gateway.others.spawn(digest_seen::keep(books.digest, digest_seen));
        let running = watched.part("runtime, load and streams");
        gateway.others.spawn(overload::watch(Arc::clone(&gateway.load), Arc::clone(&hub), running));
        let bound = gateway.bind(&settings, &hub, &mut sockets, &watched)?;
        let admin = gateway.bind_admin(settings.admin.as_ref(), &mut sockets).await?;
        // All or none: nothing is served before every address is ours.
        sockets.finish()?;
        // Before anybody is taken, so that nobody slips in.
        gateway.follow_segment();
        gateway.serve(bound, Tunnels::new(settings.rtsp.tunnels, Arc::clone(&gateway.metrics)));
        if let (Some(listener), Some(settings)) = (admin, settings.admin) {
            gateway.serve_admin(listener, settings, is_ready);
        }
        gateway
            .others
            .spawn(certificate::renew(gateway.certificates.subscribe(), gateway.tls.clone()));
        gateway.pulls.apply(settings.cameras, settings.segment).await;
        gateway.ready.send_replace(true);
        if let Some(timeout) = systemd::watchdog() {
            gateway.others.spawn(systemd::feed(watched, timeout));
        }
        tracing::info!(rtsps = ?gateway.rtsps, admin = ?gateway.admin, "gateway serves");
        Ok(gateway)
    }

    /// Puts accounts, grants, certificates, limits and cameras of `settings` in force. What cannot be read leaves
    /// the old in force. Listeners, log, rings and where the cameras are keep what they started with.
    pub async fn reload(&mut self, mut settings: Settings) {
        (settings.segment.mode, settings.segment.canary) = self.segment.clone();
        self.authenticator.replace(settings.auth.clone());
        self.load.set_budget(overload::budget(settings.load), Instant::now().into_std());
        let certificates = Certificates::new(&settings);
        let mut whole = true;
        match certificates.load().await {
            Ok(config) => {
                self.tls.send_replace(config);
                self.certificates.send_replace(certificates);
            }
            Err(error) => {
                tracing::error!(%error, "certificate not renewed; the old one stays in use");
                whole = false;
            }
        }
        whole &= self.pulls.apply(settings.cameras, settings.segment).await;
        let outcome = if whole { ReloadOutcome::Applied } else { ReloadOutcome::Partly };
        self.metrics.config.reloaded(outcome);
        tracing::info!(
            "configuration reloaded; changes of [rtsp], [admin], [log], [rings], gateway.segment and \
             gateway.canary need a restart"
        );
    }

    /// The configuration to reload has `faults`: they are said, counted, and change nothing.
    pub fn reload_refused(&self, faults: &str) {
        for fault in faults.lines() {
            tracing::warn!("{fault}");
        }
        tracing::warn!("the new configuration has errors; the old one stays in use");
        self.metrics.config.reloaded(ReloadOutcome::Refused);
    }

    /// Takes no new clients, and says goodbye to clients and cameras at the same time, within [`limits::STOP`].
    pub async fn shutdown(self) {
        let Self { ready, stop, mut listeners, others: _others, pulls, .. } = self;
        ready.send_replace(false);
        stop.send_replace(true);
        let clients = async { while listeners.join_next().await.is_some() {} };
        let all = async { tokio::join!(clients, pulls.shutdown()) };
        match tokio::time::timeout(limits::STOP, all).await {
            Ok(_) => tracing::info!("gateway stopped"),
            Err(_) => tracing::warn!("shutdown timed out; remaining clients were disconnected"),
        }
    }

    /// Addresses of the TLS listeners, with the ports that they got.
    pub fn rtsps(&self) -> &[SocketAddr] {
        &self.rtsps
    }

    /// Address of the admin listener.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The gateway's own CA certificate, if it made one.
    pub fn ca(&self) -> Option<PathBuf> {
        self.certificates.borrow().ca().map(Path::to_owned)
    }

    /// Health of the streams.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Shows where the cameras are; in a segment, hears its news, and serves by the canary's policy.
    fn follow_segment(&mut self) {
        let (mode, policy) = self.segment.clone();
        self.metrics.segment.mode(mode.name());
        let segment::Mode::Remote { run_dir } = mode else { return };
        let feed = Feed::new(self.segment_board.clone(), Arc::clone(&self.metrics));
        let mut serving = Serving {
            policy,
            canary: feed.canary(),
            load: Arc::clone(&self.load),
            board: self.segment_board.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        serving.judge_now();
        self.others.spawn(serving.watch());
        self.others.spawn(async move { feed.follow(&run_dir).await });
    }

    fn bind(
        &mut self,
        settings: &Settings,
        hub: &Arc<Hub>,
        sockets: &mut Sockets,
        watched: &Watched,
    ) -> Result<Vec<Bound>, StartError> {
        let gate = Gate::new(Arc::clone(&self.metrics));
        let secure = settings.rtsp.listen.iter().map(|address| (address, true));
        let plain = settings.rtsp.plain_listen.iter().map(|address| (address, false));
        let mut bound = Vec::new();
        for (number, (address, secure)) in secure.chain(plain).enumerate() {
            let name = format!("{}-{number}", if secure { "rtsps" } else { "rtsp" });
            let encryption =
                if secure { Encryption::Tls(self.tls.subscribe()) } else { Encryption::Plain };
            let listener = match sockets.take(*address) {
                Some(socket) => Listener::given(&name, *address, socket, encryption, gate.clone()),
                None => Listener::bind(&name, *address, encryption, gate.clone()),
            }?;
            let listener = listener.watched(watched.part(format!("listener {name}")));
            if secure {
                self.rtsps.push(listener.local_addr().unwrap_or(*address));
            }
            let offer = if secure { settings.rtsp.login.clone() } else { Offer::Plain };
            let server = Arc::new(Server {
                listener: name,
                hub: Arc::clone(hub),
                authenticator: Arc::clone(&self.authenticator),
                offer,
                load: Arc::clone(&self.load),
                metrics: Arc::clone(&self.metrics),
                settings: rtsp_server::Settings::default(),
            });
            bound.push((listener, server));
        }
        Ok(bound)
    }

    fn serve(&mut self, bound: Vec<Bound>, tunnels: Tunnels<ClientStream>) {
        let tunnels = Arc::new(tunnels);
        for (listener, server) in bound {
            let tunnels = Arc::clone(&tunnels);
            let mut stop = self.stop.subscribe();
            // A sender that is gone is a gateway that is gone.
            let stop = async move { drop(stop.wait_for(|stop| *stop).await) };
            self.listeners.spawn(listener.run(stop, move |accepted| {
                serve(accepted, Arc::clone(&tunnels), Arc::clone(&server))
            }));
        }
    }

    async fn bind_admin(
        &mut self,
        settings: Option<&http::Settings>,
        sockets: &mut Sockets,
    ) -> Result<Option<TcpListener>, StartError> {
        let Some(address) = settings.map(|settings| settings.listen) else { return Ok(None) };
        let cannot = |error| StartError::Admin { address, error };
        let listener = match sockets.take(address) {
            Some(socket) => TcpListener::from_std(socket),
            None => TcpListener::bind(address).await,
        };
        let listener = listener.map_err(cannot)?;
        self.admin = Some(listener.local_addr().map_err(cannot)?);
        Ok(Some(listener))
    }

    fn serve_admin(
        &mut self,
        listener: TcpListener,
        settings: http::Settings,
        ready: watch::Receiver<bool>,
    ) {
        let admin = http::Admin {
            token: settings.token,
            load: Arc::clone(&self.load),
            metrics: Arc::clone(&self.metrics),
            board: self.board.clone(),
            segment: self.segment_board.clone(),
            ready,
            sample: process::sample,
        };
        self.others.spawn(http::serve(listener, Arc::new(admin)));
    }
}

/// Until the service was heard it is away.
fn segment_board(mode: &segment::Mode) -> SegmentBoard {
    let link = match mode {
        segment::Mode::Own => None,
        segment::Mode::Remote { .. } => {
            Some(LinkState::Down { reason: "not reported yet".to_owned() })
        }
    };
    SegmentBoard::new(mode.name(), link)
}

async fn serve(accepted: Accepted, tunnels: Arc<Tunnels<ClientStream>>, server: Arc<Server>) {
    let Accepted { stream, peer, identity, place, mut stop } = accepted;
    let listener = server.listener.clone();
    let arrived = NewConnection { listener, stream, peer, identity: identity.clone(), place };
    let entered = tokio::select! {
        biased;
        // Not a word of RTSP was said: there is nobody to say goodbye to.
        () = &mut stop => return,
        entered = tunnels.enter(arrived) => entered,
    };
    let Some(Entered { stream, place, since }) = entered else { return };
    let peer = Peer { address: peer, identity, since };
    // Why it ended is counted and logged where it is known.
    let _end = rtsp_server::serve(stream, peer, place, server, stop).await;
}
