//! Tunnels.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Up;

/// The kinds of tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum TunnelKind {
    /// RTSP over HTTPS.
    Https,
    /// RTSP over WebSocket.
    WebSocket,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpenedLabels {
    listener: String,
    kind: TunnelKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    listener: String,
}

/// Tunnels.
#[derive(Debug)]
pub struct TunnelMetrics {
    opened: Family<OpenedLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    pending: Gauge,
}

impl TunnelMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            opened: Family::default(),
            refused: Family::default(),
            pending: Gauge::default(),
        };
        registry.register("tunnels_opened", "Tunnels that carried RTSP", this.opened.clone());
        registry.register(
            "tunnels_refused",
            "HTTP requests that became no tunnel",
            this.refused.clone(),
        );
        registry.register(
            "tunnels_pending",
            "First halves of tunnels that wait for their second",
            this.pending.clone(),
        );
        this
    }

    /// Counts a tunnel.
    pub fn opened(&self, listener: &str, kind: TunnelKind) {
        let labels = OpenedLabels { listener: listener.to_owned(), kind };
        self.opened.get_or_create(&labels).inc();
    }

    /// Counts a request that became none.
    pub fn refused(&self, listener: &str) {
        let labels = RefusedLabels { listener: listener.to_owned() };
        self.refused.get_or_create(&labels).inc();
    }

    /// Counts a first half; the gauge falls when what is returned drops.
    pub fn pending(&self) -> Up {
        Up::new(self.pending.clone())
    }
}
