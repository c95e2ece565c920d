//! One task per profile: when it is pulled, what follows when a pull ends, and what operators see of it.

pub(super) mod backoff;
pub(super) mod login;
pub(super) mod news;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::hub::Hub;
use crate::hub::status::{Board, Health};
use crate::ingest::segment::Segment;
use crate::media::{Kinds, StreamName};
use crate::ops::limits;
use crate::ops::metrics::{CameraState, Metrics};
use crate::ops::random::random;
use crate::trust::audit::{self, Event};

use self::backoff::{BackOff, Ladder};
use self::login::CameraLogin;
use self::news::News;
use crate::ingest::camera::airlock::{Fault, LoginMemory, Request};
use crate::ingest::camera::dialer::{Identity, Way};
use crate::ingest::camera::intake::Carry;
use crate::ingest::camera::pull::{Ended, Ending, Source, Unwanted};
use crate::ingest::camera::{Books, CameraSettings, CannotStart, ProfileSettings, StartMode};

/// Some cameras refuse to talk to a client without a name.
pub(super) const USER_AGENT: &str = concat!("Camlock/", env!("CARGO_PKG_VERSION"));

/// All supervisors. Drop ends them at once.
#[derive(Debug)]
pub(super) struct Supervisors {
    tasks: JoinSet<()>,
    stop: watch::Sender<Stop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    NotYet,
    Now,
}

/// One profile and all it needs.
#[derive(Debug)]
struct Supervisor {
    source: Source,
    start: StartMode,
    login: Arc<CameraLogin>,
    status: Status,
    stop: watch::Receiver<Stop>,
    back_off: BackOff,
    news: News,
    carry: Carry,
}

/// Where a profile's state is shown.
#[derive(Debug, Clone)]
struct Status {
    stream: StreamName,
    board: Board,
    metrics: Arc<Metrics>,
}

impl Supervisors {
    pub(super) fn start(
        cameras: Vec<CameraSettings>,
        segment: &Arc<Segment>,
        hub: &Hub,
        board: &Board,
        metrics: &Arc<Metrics>,
        books: &Books,
    ) -> Result<Self, CannotStart> {
        if cameras.len() > limits::CAMERAS {
            return Err(CannotStart::TooMany);
        }
        let stop = watch::Sender::new(Stop::NotYet);
        let mut supervisors = Vec::new();
        for camera in cameras {
            let address = segment
                .address(&camera.name)
                .ok_or_else(|| CannotStart::NoAddress(camera.name.clone()))?;
            if camera.profiles.len() > limits::PROFILES {
                return Err(CannotStart::TooMany);
            }
            let login = Arc::new(CameraLogin::new(&camera.name, &books.digest));
            let identity = camera.tls.clone().map(|trust| Identity {
                camera: camera.name.clone(),
                trust,
                book: books.certificates.clone(),
            });
            let way = Way { segment: Arc::clone(segment), address, identity };
            for profile in &camera.profiles {
                let stream = profile.stream.clone();
                let request = request(&camera, profile, &way)?;
                let publisher = hub
                    .declare_with(stream.clone(), profile.ring_bytes)
                    .map_err(|error| CannotStart::Hub(stream.clone(), error))?;
                supervisors.push(Supervisor {
                    source: Source {
                        stream: stream.clone(),
                        request,
                        way: way.clone(),
                        publisher,
                        metrics: metrics.camera.stream(stream.as_str()),
                        all_metrics: Arc::clone(metrics),
                    },
                    start: profile.start,
                    login: Arc::clone(&login),
                    status: Status { stream, board: board.clone(), metrics: Arc::clone(metrics) },
                    stop: stop.subscribe(),
                    back_off: BackOff::default(),
                    news: News::default(),
                    carry: Carry::default(),
                });
            }
        }
        let mut tasks = JoinSet::new();
        for supervisor in supervisors {
            let span = tracing::info_span!("camera", stream = %supervisor.source.stream);
            tasks.spawn(supervisor.run().instrument(span));
        }
        Ok(Self { tasks, stop })
    }

    pub(super) async fn shutdown(mut self) {
        self.stop.send_replace(Stop::Now);
        // Each says good-bye within its own limit; as much again for a machine under load.
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limits::CAMERA_TEARDOWN * 2, all).await.is_err() {
            tracing::warn!("shutdown timed out; some cameras got no TEARDOWN");
        }
        self.tasks.shutdown().await;
    }
}

impl Supervisor {
    async fn run(mut self) {
        let mut stop = self.stop.clone();
        loop {
            if self.start != StartMode::Always {
                self.status.set(&self.source, Health::Idle);
            }
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                () = wanted(self.start, self.source.publisher.demand()) => {}
            }
            let Some(pause) = self.attempt().await else { continue };
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One attempt, and the pause after it; `None`: it was no longer wanted.
    async fn attempt(&mut self) -> Option<Duration> {
        let ended = AssertUnwindSafe(self.pull()).catch_unwind().await;
        let (ended, login_pause) = ended.unwrap_or_else(|_| {
            self.source.publisher.pause();
            let memory = LoginMemory::Nothing;
            (Ended { ending: Ending::Panicked, memory, played: Duration::ZERO }, None)
        });
        let Ended { ending, played, memory: _ } = ended;
        self.source.all_metrics.camera.ended(self.source.stream.as_str(), ending.label());
        if ending == Ending::Panicked {
            self.source.panicked();
        }
        self.back_off.played(played);
        if ending == Ending::Unwanted {
            tracing::info!("camera is no longer pulled");
            return None;
        }
        let asked = !matches!(ending, Ending::Segment(why) if why.is_away());
        let pause = login_pause.unwrap_or_else(|| {
            if asked {
                self.back_off.failed(Ladder::Ordinary, jitter())
            } else {
                BackOff::not_asked(jitter())
            }
        });
        if let Some(untold) = self.news.tell(tokio::time::Instant::now().into_std()) {
            record(&self.source, ending);
            tracing::info!(
                reason = %ending,
                played_s = played.as_secs(),
                retry_in_ms = millis(pause),
                untold,
                "camera session ended"
            );
        }
        self.status.set(&self.source, waiting(&ending.to_string(), pause));
        Some(pause)
    }

    /// One pull, and the pause that a refused login asks for.
    async fn pull(&mut self) -> (Ended, Option<Duration>) {
        let Self { source, start, login, status, stop, carry, .. } = self;
        let unwanted = unwanted(*start, source.publisher.demand(), stop);
        tokio::pin!(unwanted);
        let mut unwanted: Unwanted<'_> = unwanted;
        let entering = login.enter(|pause| {
            let reason = "the camera refused the login of another profile: correct it";
            status.set(source, waiting(reason, pause));
        });
        let pass = tokio::select! {
            biased;
            () = &mut unwanted => {
                let memory = LoginMemory::Nothing;
                let ending = Ending::Unwanted;
                return (Ended { ending, memory, played: Duration::ZERO }, None);
            }
            pass = entering => pass,
        };
        status.set(source, Health::Starting);
        let (ended, pass) = match source.open(login.memory(), &mut unwanted).await {
            Err(ended) => (ended, pass),
            Ok(session) => {
                login.accepted(pass);
                login.remember(session.memory());
                let playing = || status.set(source, Health::Playing);
                let ended = source.play(session, carry, &mut unwanted, playing).await;
                (ended, CameraLogin::pass_while_playing())
            }
        };
        login.remember(ended.memory);
        let pause = match ended.ending {
            Ending::Session(reason) if reason.fault() == Fault::Login => {
                Some(login.refused(pass, jitter()).await)
            }
            Ending::Session(_)
            | Ending::Unwanted
            | Ending::Unreachable(_)
            | Ending::Segment(_)
            | Ending::Tls(_)
            | Ending::CertificateChanged { .. }
            | Ending::CertificateBook(_)
            | Ending::Parameters(_)
            | Ending::NothingLawful
            | Ending::FormatChanged
            | Ending::Panicked => None,
        };
        (ended, pause)
    }
}

impl Drop for Supervisor {
    /// Also if it was aborted: who is not there has no health.
    fn drop(&mut self) {
        self.status.forget();
    }
}

impl Status {
    fn set(&self, source: &Source, health: Health) {
        source.metrics.state(match health {
            Health::Idle => CameraState::Idle,
            Health::Starting => CameraState::Starting,
            Health::Playing => CameraState::Playing,
            Health::Waiting { .. } => CameraState::Waiting,
        });
        self.board.set(&self.stream, health);
    }

    fn forget(&self) {
        self.board.remove(&self.stream);
        self.metrics.camera.forget(self.stream.as_str());
    }
}

/// The request of a profile.
fn request(
    camera: &CameraSettings,
    profile: &ProfileSettings,
    way: &Way,
) -> Result<Request, CannotStart> {
    if profile.stream.camera() != camera.name {
        return Err(CannotStart::Misnamed(profile.stream.clone(), camera.name.clone()));
    }
    let bad_path = || CannotStart::BadPath(profile.stream.clone());
    let lawful = profile.path.starts_with('/')
        && profile.path.bytes().all(|b| b.is_ascii_graphic())
        && profile.path.len() <= limits::RTSP_URI_BYTES / 2;
    if !lawful {
        return Err(bad_path());
    }
    Ok(Request {
        url: way.url(&profile.path).ok_or_else(bad_path)?,
        login: camera.login.clone(),
        basic: camera.basic,
        user_agent: USER_AGENT.to_owned(),
        kinds: Kinds::ALL,
    })
}

/// Returns when the profile is to be pulled.
async fn wanted(start: StartMode, mut demand: watch::Receiver<usize>) {
    match start {
        StartMode::Always => {}
        StartMode::OnDemand { .. } => {
            demanded(&mut demand, |readers| readers > 0).await;
        }
    }
}

/// Returns when the profile is no longer to be pulled.
async fn unwanted(
    start: StartMode,
    mut demand: watch::Receiver<usize>,
    stop: &mut watch::Receiver<Stop>,
) {
    let unread = async {
        match start {
            StartMode::Always => std::future::pending().await,
            StartMode::OnDemand { linger } => loop {
                demanded(&mut demand, |readers| readers == 0).await;
                let again = demanded(&mut demand, |readers| readers > 0);
                if tokio::time::timeout(linger, again).await.is_err() {
                    return;
                }
            },
        }
    };
    tokio::select! {
        () = stopped(stop) => {}
        () = unread => {}
    }
}

async fn demanded(demand: &mut watch::Receiver<usize>, enough: impl Fn(usize) -> bool) {
    if demand.wait_for(|readers| enough(*readers)).await.is_err() {
        // The sender lives in our own publisher; without it nothing is demanded.
        std::future::pending::<()>().await;
    }
}

/// Returns when the gateway stops cameras; a dropped sender is the same.
fn stopped(stop: &mut watch::Receiver<Stop>) -> impl Future<Output = ()> + '_ {
    stop.wait_for(|stop| *stop == Stop::Now).map(drop)
}

/// What the security log hears of an end that is told.
fn record(source: &Source, ending: Ending) {
    let stream = &source.stream;
    match ending {
        Ending::CertificateChanged { expected, got } => {
            let (expected, got) = (expected.to_string(), got.to_string());
            audit::record(Event::CameraCertificateChanged {
                stream,
                expected: &expected,
                got: &got,
            });
        }
        Ending::Tls(failure) if failure.is_about_identity() => {
            audit::record(Event::CameraCertificateRefused { stream, reason: failure.label() });
        }
        Ending::Tls(failure) if failure.breaks_a_bound() => {
            audit::record(Event::CameraMisbehaved { stream, reason: failure.label() });
        }
        Ending::Segment(why) if why.is_about_trust() => {
            let address = &source.way.address;
            let (camera, port) = (address.name(), address.get().port());
            audit::record(Event::DialRefused { camera, port, reason: why.label() });
        }
        Ending::Session(reason) => match reason.fault() {
            Fault::Login => {
                audit::record(Event::CameraLoginFailed { stream, reason: reason.label() });
            }
            Fault::Limit => {
                audit::record(Event::CameraMisbehaved { stream, reason: reason.label() });
            }
            Fault::Protocol | Fault::Network | Fault::Gone | Fault::Ours => {}
        },
        Ending::Parameters(_) | Ending::NothingLawful => {
            audit::record(Event::CameraMisbehaved { stream, reason: ending.label() });
        }
        // Recorded where it was caught, or nothing to record.
        Ending::Panicked
        | Ending::Unwanted
        | Ending::Unreachable(_)
        | Ending::Segment(_)
        | Ending::Tls(_)
        | Ending::CertificateBook(_)
        | Ending::FormatChanged => {}
    }
}

fn waiting(reason: &str, pause: Duration) -> Health {
    Health::Waiting { reason: reason.to_owned(), retry_in_ms: millis(pause) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// For jitter only; without randomness there is none.
fn jitter() -> u32 {
    random().map_or(0, u32::from_ne_bytes)
}
