//! Tunnels.

use prometheus_client::encoding::EncodeLabelValue;

use super::Up;
use super::table::{Counter, Family, Gauge, Label, metrics};

/// The kinds of tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum TunnelKind {
    /// RTSP over HTTPS.
    Https,
    /// RTSP over WebSocket.
    WebSocket,
}

metrics! {
    /// Tunnels.
    pub struct TunnelMetrics {
        tunnels_opened: Family<(Label<String>, Label<TunnelKind>), Counter> =
            "RTSP tunnels opened, by listener and kind";
        tunnels_refused: Family<Label<String>, Counter> =
            "HTTP requests on an RTSP listener that were refused as tunnels, by listener";
        tunnels_pending: Gauge = "RTSP-over-HTTPS tunnels that wait for the second of their two connections";
    }
}

impl TunnelMetrics {
    /// Counts a tunnel.
    pub fn opened(&self, listener: &str, kind: TunnelKind) {
        let labels = ([("listener", listener.to_owned())], [("kind", kind)]);
        self.tunnels_opened.get_or_create(&labels).inc();
    }

    /// Counts a request that became none.
    pub fn refused(&self, listener: &str) {
        self.tunnels_refused.get_or_create(&[("listener", listener.to_owned())]).inc();
    }

    /// Counts a first half; the gauge falls when what is returned drops.
    pub fn pending(&self) -> Up {
        Up::new(self.tunnels_pending.clone())
    }
}
