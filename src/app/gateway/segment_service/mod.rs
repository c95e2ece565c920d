//! The segment's service, put together: door, local services, observer, ledger and news in one confined process.

mod core;
mod verdict;

use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ops::random;
use crate::ops::systemd::{self, Progress, Watched};
use crate::segment::ledger::{CannotOpen as NoLedger, Ledger, Opened};
use crate::segment::service::confine::{CannotConfine, Files, Keep, confine};
use crate::segment::service::control;
use crate::segment::service::dial_server;
use crate::segment::service::events_server::{self, Bulletin};
use crate::segment::service::listen;
use crate::segment::service::local::{self, CannotOpen as NoService, Counts, Sockets};
use crate::segment::service::observe::{Bridge, Capture, CaptureError, Observer, Vendors, observe};
use crate::segment::{BRIDGE, Namespace, Place, Plan, now_ms};

use self::core::Core;

/// All open, and all rights given up; nothing runs yet.
#[derive(Debug)]
pub(crate) struct Segment {
    place: Place,
    plan: Arc<Plan>,
    namespace: Namespace,
    door: UnixListener,
    news: UnixListener,
    control: UnixListener,
    services: Sockets,
    capture: Capture,
    ledger: Opened,
    observer: Arc<Observer>,
}

/// What the process was told.
#[derive(Debug)]
pub(crate) enum Told {
    /// To stop.
    Stop,
    /// Another plan.
    Plan(Arc<Plan>),
    /// What cannot be done.
    Nothing,
}

/// The service at work.
#[derive(Debug)]
pub(crate) struct Running {
    core: Arc<Core>,
    plan: watch::Sender<Arc<Plan>>,
    tasks: JoinSet<SegmentError>,
}

/// The service cannot start, or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    /// The namespace of this process cannot be read.
    #[error("cannot see which network namespace this is: {0}")]
    NoNamespace(#[source] io::Error),
    /// It is not the segment's.
    #[error(
        "this is not the network namespace that {0} pins: run `camlock segment up`, and start this process in its namespace"
    )]
    OtherNamespace(String),
    /// It was, and no longer is.
    #[error("namespace lost: {0} no longer pins it")]
    NamespaceLost(String),
    /// A Unix socket.
    #[error("cannot listen at {0}: {1}; does its directory exist, for this user to write?")]
    Socket(String, #[source] io::Error),
    /// A socket of a local service.
    #[error(transparent)]
    Service(#[from] NoService),
    /// The observer's.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] NoLedger),
    /// The data of vendors, which is built in.
    #[error("the built-in data of vendors cannot be read (a bug: please report it): {0}")]
    Vendors(String),
    /// Privileges.
    #[error(transparent)]
    Confine(#[from] CannotConfine),
    /// Threads or the runtime.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    /// The gateway's own address changed.
    #[error("segment.address changed: restart the service")]
    AddressChanged,
    /// A task ended that never does.
    #[error("a task of the service ended (a bug: please report it)")]
    Ended,
}

impl Segment {
    /// Opens everything, then gives up all rights.
    pub(crate) fn open(place: Place, plan: Plan) -> Result<Self, SegmentError> {
        let namespace = Namespace::own().map_err(SegmentError::NoNamespace)?;
        if !namespace.is_pinned_at(&place.pin()) {
            return Err(SegmentError::OtherNamespace(place.pin().display().to_string()));
        }
        let plan = Arc::new(plan);
        let run = run_number();
        let run_name = format!("{run:016x}");
        let ledger = Ledger::open(&place, &plan, &run_name, &boot_id(), now_ms())?;
        let services = Sockets::open(&plan)?;
        let bridge = Bridge::find(BRIDGE)?;
        let capture = Capture::open(bridge, &plan)?;
        let socket = |path: &Path, mode| {
            listen(path, mode)
                .map_err(|error| SegmentError::Socket(path.display().to_string(), error))
        };
        let (door, news) = (socket(&place.door(), 0o660)?, socket(&place.news(), 0o660)?);
        let control = socket(&place.control(), 0o600)?;
        let vendors = Vendors::load().map_err(SegmentError::Vendors)?;
        let observer = Arc::new(Observer::new(Arc::clone(&plan), bridge.mac, vendors, run));
        give_up(&place)?;
        Ok(Self {
            place,
            plan,
            namespace,
            door,
            news,
            control,
            services,
            capture,
            ledger,
            observer,
        })
    }

    /// Starts all tasks. Within a runtime.
    pub(crate) fn start(self) -> Result<Running, SegmentError> {
        let (plan, plans) = watch::channel(self.plan);
        let watched = Watched::default();
        let bulletin = Bulletin::default();
        let core = Core::new(
            self.ledger.start()?,
            Arc::clone(&self.observer),
            bulletin.clone(),
            verdict::Kept::read(&self.place.state_dir),
        );
        let core = Arc::new(core);
        let mut tasks = JoinSet::new();
        let door = dial_server::serve(unix(self.door)?, plans.clone(), watched.part("door"));
        tasks.spawn(ends(door));
        tasks.spawn(ends(events_server::serve(unix(self.news)?, bulletin, watched.part("news"))));
        let asked = Arc::clone(&core);
        let control = unix(self.control)?;
        let progress = watched.part("control");
        tasks.spawn(ends(async move {
            let act = |command| {
                let core = Arc::clone(&asked);
                async move { core.act(command).await }
            };
            control::serve(control, progress, act).await;
        }));
        let (noted, known) = (Arc::clone(&self.observer), Arc::clone(&self.observer));
        let (services, services_plan, services_watched) =
            (self.services, plans.clone(), watched.clone());
        tasks.spawn(async move {
            let note = move |sighting| noted.note(&sighting);
            let mac_of = move |ip| known.mac_of(ip);
            let counts = Arc::new(Counts::default());
            let served =
                local::serve(services, services_plan, &services_watched, counts, note, mac_of);
            match served.await {
                Ok(never) => match never {},
                Err(error) => error.into(),
            }
        });
        let (observer, progress) = (Arc::clone(&self.observer), watched.part("observer"));
        let capture = self.capture;
        tasks.spawn(async move {
            match observe(capture, plans, observer, progress).await {
                Ok(never) => match never {},
                Err(error) => error.into(),
            }
        });
        tasks.spawn(ends(Arc::clone(&core).keep(watched.part("ledger"))));
        tasks.spawn(ends(Arc::clone(&core).tell_devices()));
        tasks.spawn(pinned(self.namespace, self.place, watched.part("namespace")));
        if let Some(timeout) = systemd::watchdog() {
            tasks.spawn(ends(systemd::feed(watched, timeout)));
        }
        systemd::ready("camera segment ready");
        tracing::info!(door = "open", "camera segment ready");
        Ok(Running { core, plan, tasks })
    }
}

impl Running {
    /// Puts another plan in force.
    pub(crate) fn set_plan(&mut self, plan: Arc<Plan>) {
        if plan.address != self.plan.borrow().address {
            // Its sockets are bound to the old one: whoever starts it starts it anew.
            self.tasks.spawn(std::future::ready(SegmentError::AddressChanged));
            return;
        }
        tracing::info!(cameras = plan.cameras.len(), "segment file reloaded");
        self.core.set_plan(Arc::clone(&plan));
        self.plan.send_replace(plan);
    }

    /// Returns when the service cannot go on, with the reason.
    pub(crate) async fn failed(&mut self) -> SegmentError {
        match self.tasks.join_next().await {
            Some(Ok(error)) => error,
            Some(Err(_)) | None => SegmentError::Ended,
        }
    }

    /// Ends all, and writes the ledger and a checkpoint.
    pub(crate) async fn stop(mut self) {
        systemd::stopping();
        self.tasks.shutdown().await;
        match Arc::into_inner(self.core) {
            Some(core) => core.stop().await,
            None => tracing::error!("a task did not end; the ledger's last rows are lost"),
        }
    }
}

fn give_up(place: &Place) -> Result<(), SegmentError> {
    let file = place.file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let keep = Keep {
        write: vec![place.state_dir.clone()],
        read: vec![file.unwrap_or_else(|| Path::new(".")).to_owned()],
    };
    let confined = confine(&keep)?;
    match confined.files {
        Files::All => tracing::info!("all privileges dropped"),
        Files::Some | Files::None => tracing::warn!(
            files = ?confined.files,
            "this kernel does not support all requested Landlock restrictions; all other privileges dropped"
        ),
    }
    Ok(())
}

fn unix(listener: UnixListener) -> io::Result<tokio::net::UnixListener> {
    tokio::net::UnixListener::from_std(listener)
}

async fn ends(task: impl Future<Output = ()>) -> SegmentError {
    task.await;
    SegmentError::Ended
}

/// Returns once the namespace is no longer the pinned one: then nobody can find it any more.
async fn pinned(namespace: Namespace, place: Place, progress: Progress) -> SegmentError {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        if !namespace.is_pinned_at(&place.pin()) {
            return SegmentError::NamespaceLost(place.pin().display().to_string());
        }
        progress.advance();
    }
}

fn run_number() -> u64 {
    // Without randomness unlike others all the same: two runs do not begin within one millisecond.
    random::random().map_or_else(|_| now_ms(), u64::from_ne_bytes)
}

fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}
