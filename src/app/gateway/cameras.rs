//! Which cameras are pulled: a reload starts, restarts and stops only those that changed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::hub::Hub;
use crate::hub::status::Board;
use crate::ingest::camera::{Books, CameraSettings, Cameras, Login};
use crate::ingest::segment::{self, Segment};
use crate::ops::metrics::Metrics;

/// The cameras being pulled, each by itself.
#[derive(Debug)]
pub(super) struct Pulls {
    hub: Arc<Hub>,
    board: Board,
    metrics: Arc<Metrics>,
    books: Books,
    running: BTreeMap<String, RunningCamera>,
}

#[derive(Debug)]
struct RunningCamera {
    settings: CameraSettings,
    address: SocketAddr,
    cameras: Cameras,
}

impl Pulls {
    pub(super) fn new(hub: Arc<Hub>, board: Board, metrics: Arc<Metrics>, books: Books) -> Self {
        Self { hub, board, metrics, books, running: BTreeMap::new() }
    }

    /// Makes what runs equal to `cameras`. A camera that cannot be started is said and left out; returns whether
    /// there is none.
    pub(super) async fn apply(
        &mut self,
        cameras: Vec<CameraSettings>,
        addresses: segment::Settings,
    ) -> bool {
        let wanted: BTreeMap<_, _> = cameras
            .into_iter()
            .filter_map(|settings| {
                let address = *addresses.cameras.get(&settings.name)?;
                Some((settings.name.clone(), (settings, address)))
            })
            .collect();
        let same = |running: &RunningCamera| {
            wanted.get(&running.settings.name).is_some_and(|(settings, address)| {
                *address == running.address && is_same(settings, &running.settings)
            })
        };
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.running).into_iter().partition(|(_, running)| same(running));
        self.running = kept;
        for name in gone.keys() {
            tracing::info!(
                camera = name,
                "camera changed or removed in the configuration; stopped"
            );
        }
        shut_down(gone).await;
        let segment = match Segment::new(addresses) {
            Ok(segment) => Arc::new(segment),
            Err(error) => {
                tracing::error!(%error, "the camera addresses cannot be used; no camera was started");
                return false;
            }
        };
        let mut all = true;
        for (name, (settings, address)) in wanted {
            if !self.running.contains_key(&name) {
                all &= self.start(&segment, name, settings, address);
            }
        }
        all
    }

    /// Ends all pulls, with TEARDOWN to the cameras.
    pub(super) async fn shutdown(self) {
        shut_down(self.running).await;
    }

    fn start(
        &mut self,
        segment: &Arc<Segment>,
        name: String,
        settings: CameraSettings,
        address: SocketAddr,
    ) -> bool {
        let started = Cameras::start(
            vec![settings.clone()],
            segment,
            &self.hub,
            &self.board,
            &self.metrics,
            &self.books,
        );
        match started {
            Ok(cameras) => {
                self.running.insert(name, RunningCamera { settings, address, cameras });
                true
            }
            Err(error) => {
                tracing::error!(camera = name, %error, "the camera cannot be started");
                false
            }
        }
    }
}

/// All at once: each may take as long as its camera makes it wait.
async fn shut_down(cameras: BTreeMap<String, RunningCamera>) {
    let ends = cameras.into_values().map(|running| running.cameras.shutdown());
    futures_util::future::join_all(ends).await;
}

fn is_same(a: &CameraSettings, b: &CameraSettings) -> bool {
    a.name == b.name
        && a.basic == b.basic
        && a.tls == b.tls
        && a.profiles == b.profiles
        && is_same_login(a.login.as_ref(), b.login.as_ref())
}

fn is_same_login(a: Option<&Login>, b: Option<&Login>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            a.user == b.user && a.password.expose_secret() == b.password.expose_secret()
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}
