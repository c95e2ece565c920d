//! Accept loops.

use prometheus_client::encoding::EncodeLabelValue;

use super::Up;
use super::table::{Counter, Family, Gauge, Label, metrics};

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

metrics! {
    /// Accept loops, by the listener's configured name.
    pub struct ListenMetrics {
        connections_accepted: Family<Label<String>, Counter> = "Client connections accepted, by listener";
        connections_open: Family<Label<String>, Gauge> =
            "Client connections open now, by listener; includes those in the TLS handshake";
        connections_ended_early: Family<(Label<String>, Label<Ending>), Counter> =
            "Client connections that ended before their first request or because of a bug, by listener and reason";
        accept_errors: Family<Label<String>, Counter> = "Failed accept system calls, by listener";
    }
}

impl ListenMetrics {
    /// Counts an accepted connection; the gauge falls when what is returned drops.
    pub fn opened(&self, listener: &str) -> Up {
        let label = [("listener", listener.to_owned())];
        self.connections_accepted.get_or_create(&label).inc();
        Up::new(self.connections_open.get_or_create_owned(&label))
    }

    /// Counts an early end.
    pub fn ended(&self, listener: &str, reason: Ending) {
        let labels = ([("listener", listener.to_owned())], [("reason", reason)]);
        self.connections_ended_early.get_or_create(&labels).inc();
    }

    /// Counts a failure of accept.
    pub fn accept_error(&self, listener: &str) {
        self.accept_errors.get_or_create(&[("listener", listener.to_owned())]).inc();
    }
}
