//! Accept loops.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Up;

/// How a connection ended before it reached its handler, or that it broke there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Ending {
    /// Too many of its source wait.
    SourceFull,
    /// Waited too long for a place.
    Waited,
    /// No TLS handshake in time.
    HandshakeTimeout,
    /// The TLS handshake failed: no common version, no valid client certificate, not TLS.
    HandshakeFailed,
    /// Its task panicked: our fault.
    Panicked,
}

/// A listener, by its configured name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    /// The configured name.
    listener: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndingLabels {
    listener: String,
    reason: Ending,
}

/// Accept loops.
#[derive(Debug)]
pub struct ListenMetrics {
    accepted: Family<ListenerLabels, Counter>,
    open: Family<ListenerLabels, Gauge>,
    endings: Family<EndingLabels, Counter>,
    errors: Family<ListenerLabels, Counter>,
}

impl ListenMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            accepted: Family::default(),
            open: Family::default(),
            endings: Family::default(),
            errors: Family::default(),
        };
        registry.register("connections_accepted", "Connections accepted", this.accepted.clone());
        registry.register(
            "connections_open",
            "Connections open, waiting ones too",
            this.open.clone(),
        );
        registry.register(
            "connections_ended_early",
            "Connections that ended before their handler, or broke in it",
            this.endings.clone(),
        );
        registry.register("accept_errors", "Failures of accept", this.errors.clone());
        this
    }

    /// Counts an accepted connection; the gauge falls when what is returned drops.
    pub fn opened(&self, listener: &str) -> Up {
        let labels = ListenerLabels { listener: listener.to_owned() };
        self.accepted.get_or_create(&labels).inc();
        Up::new(self.open.get_or_create(&labels).clone())
    }

    /// Counts an early end.
    pub fn ended(&self, listener: &str, reason: Ending) {
        let labels = EndingLabels { listener: listener.to_owned(), reason };
        self.endings.get_or_create(&labels).inc();
    }

    /// Counts a failure of accept.
    pub fn accept_error(&self, listener: &str) {
        let labels = ListenerLabels { listener: listener.to_owned() };
        self.errors.get_or_create(&labels).inc();
    }
}
