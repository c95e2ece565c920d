//! What is counted while it is held.

use prometheus_client::metrics::gauge::Gauge;

/// One more on a gauge, until dropped.
#[derive(Debug)]
pub struct Up(Gauge);

impl Up {
    pub(super) fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.dec();
    }
}
