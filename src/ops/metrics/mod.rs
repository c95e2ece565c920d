//! Counters and gauges as typed fields, and their Prometheus text. Label sets are bounded: stream
//! names, listener names, and the enums below; never a client's or camera's text.

mod auth;
mod camera;
mod config;
mod hub;
mod listen;
mod overload;
mod process;
mod rtsp_server;
mod segment;
#[cfg(test)]
mod tests;
mod tunnel;
mod up;

use std::sync::Arc;

use prometheus_client::registry::Registry;

pub use auth::{AuthMetrics, LoginResult};
pub use camera::{CameraMetrics, CameraState, CameraStreamMetrics, UnitMetrics};
pub use config::{ConfigMetrics, ReloadOutcome};
pub use hub::{HubMetrics, StreamMetrics, UnitRefused};
pub use listen::{Ending, ListenMetrics};
pub use overload::{OverloadMetrics, ScarceMetrics};
pub use process::ProcessMetrics;
pub use rtsp_server::{RtspConnection, RtspReader, RtspServerMetrics, RtspSession};
pub use segment::SegmentMetrics;
pub use tunnel::{TunnelKind, TunnelMetrics};
pub use up::Up;

/// All metrics of a process. Modules take the `Arc` and touch typed fields only.
///
/// Each module's group of metrics has a file of its own here (`camera.rs`, `hub.rs`, ...), a struct with
/// typed fields and `fn register(&mut Registry) -> Self`.
#[derive(Debug)]
pub struct Metrics {
    /// Cameras.
    pub camera: CameraMetrics,
    /// Streams, rings and readers.
    pub hub: HubMetrics,
    /// RTSP server.
    pub rtsp_server: RtspServerMetrics,
    /// Logins.
    pub auth: AuthMetrics,
    /// Accept loops.
    pub listen: ListenMetrics,
    /// Tunnels.
    pub tunnel: TunnelMetrics,
    /// Reloads of the configuration.
    pub config: ConfigMetrics,
    /// Overload.
    pub overload: OverloadMetrics,
    /// The camera segment.
    pub segment: SegmentMetrics,
    /// The process itself.
    pub process: ProcessMetrics,
    registry: Registry,
}

impl Metrics {
    /// Registers everything once.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("camlock");
        let camera = CameraMetrics::register(&mut registry);
        let hub = HubMetrics::register(&mut registry);
        let rtsp_server = RtspServerMetrics::register(&mut registry);
        let auth = AuthMetrics::register(&mut registry);
        let listen = ListenMetrics::register(&mut registry);
        let tunnel = TunnelMetrics::register(&mut registry);
        let config = ConfigMetrics::register(&mut registry);
        let overload = OverloadMetrics::register(&mut registry);
        let segment = SegmentMetrics::register(&mut registry);
        let process = ProcessMetrics::register(&mut registry);
        Arc::new(Self {
            auth,
            camera,
            hub,
            listen,
            rtsp_server,
            tunnel,
            config,
            overload,
            segment,
            process,
            registry,
        })
    }

    /// The Prometheus (OpenMetrics) text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap_or_default();
        text
    }
}
