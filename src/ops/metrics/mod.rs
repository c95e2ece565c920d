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
mod table;
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
pub use process::{BuildMetrics, ProcessMetrics};
pub use rtsp_server::{RtspReader, RtspServerMetrics, RtspStreamMetrics};
pub use segment::SegmentMetrics;
pub use tunnel::{TunnelKind, TunnelMetrics};
pub use up::Up;

/// The groups, and their registration.
macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident: $group:ident,)*) => {
        /// All metrics of a process. Modules take the `Arc` and touch typed fields only.
        ///
        /// Each module's group of metrics has a file of its own here (`camera.rs`, `hub.rs`, ...) with a table of them.
        #[derive(Debug)]
        pub struct Metrics {
            $($(#[$doc])* pub $name: $group,)*
            registry: Registry,
        }

        impl Metrics {
            fn register() -> Self {
                let mut registry = Registry::with_prefix("camlock");
                Self { $($name: $group::register(&mut registry),)* registry }
            }
        }
    };
}

groups! {
    /// Cameras.
    camera: CameraMetrics,
    /// Streams, rings and readers.
    hub: HubMetrics,
    /// RTSP server.
    rtsp_server: RtspServerMetrics,
    /// Logins.
    auth: AuthMetrics,
    /// Accept loops.
    listen: ListenMetrics,
    /// Tunnels.
    tunnel: TunnelMetrics,
    /// Reloads of the configuration.
    config: ConfigMetrics,
    /// Overload.
    overload: OverloadMetrics,
    /// The camera segment.
    segment: SegmentMetrics,
    /// What runs.
    build: BuildMetrics,
    /// The process itself.
    process: ProcessMetrics,
}

impl Metrics {
    /// Registers everything once. A gauge whose resting value is not 0 has it at once.
    pub fn new() -> Arc<Self> {
        let metrics = Self::register();
        metrics.build.show();
        metrics.segment.serves.set(1);
        for resource in ["cpu", "memory"] {
            drop(metrics.overload.resource(resource));
        }
        Arc::new(metrics)
    }

    /// The Prometheus (OpenMetrics) text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap_or_default();
        text
    }
}
