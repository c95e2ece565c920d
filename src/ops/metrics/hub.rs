//! What the hub counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The hub's metrics, by stream. A stream's label lives as long as the stream is declared.
#[derive(Debug)]
pub struct HubMetrics {
    readers: Family<StreamLabel, Gauge>,
    units: Family<StreamLabel, Counter>,
    refused: Family<RefusedLabel, Counter>,
    lagged: Family<StreamLabel, Counter>,
    ring_bytes: Family<StreamLabel, Gauge>,
    ring_cuts: Family<StreamLabel, Counter>,
}

/// One stream's handles: no look-up for each unit.
#[derive(Debug)]
pub struct StreamMetrics {
    /// Readers attached.
    pub readers: Gauge,
    /// Access units published.
    pub units: Counter,
    /// Times a reader fell behind and was moved.
    pub lagged: Counter,
    /// Bytes of the ring, planned forms included.
    pub ring_bytes: Gauge,
    /// Groups of pictures that did not fit the ring.
    pub ring_cuts: Counter,
    refused: [Counter; UnitRefused::ALL.len()],
}

/// Why a unit was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum UnitRefused {
    /// Its track is not among those declared, or differs from the declared one.
    UnknownTrack,
    /// A picture with no random access point since the start, a reconnect or a change of parameters.
    BeforeRandomAccess,
    /// Nothing to send, or lengths that do not add up.
    NoForm,
}

impl UnitRefused {
    const ALL: [Self; 3] = [Self::UnknownTrack, Self::BeforeRandomAccess, Self::NoForm];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StreamLabel {
    stream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabel {
    stream: String,
    reason: UnitRefused,
}

impl HubMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let hub = Self {
            readers: Family::default(),
            units: Family::default(),
            refused: Family::default(),
            lagged: Family::default(),
            ring_bytes: Family::default(),
            ring_cuts: Family::default(),
        };
        let registry = registry.sub_registry_with_prefix("stream");
        registry.register("readers", "Readers attached", hub.readers.clone());
        registry.register("units", "Access units published", hub.units.clone());
        registry.register("units_refused", "Access units not published", hub.refused.clone());
        registry.register("lagged", "Times a reader fell behind", hub.lagged.clone());
        registry.register("ring_bytes", "Bytes in the ring", hub.ring_bytes.clone());
        let cuts = "Groups of pictures that did not fit the ring";
        registry.register("ring_cuts", cuts, hub.ring_cuts.clone());
        hub
    }

    /// The handles of a stream.
    pub fn stream(&self, name: &str) -> StreamMetrics {
        let label = StreamLabel { stream: name.to_owned() };
        StreamMetrics {
            readers: self.readers.get_or_create_owned(&label),
            units: self.units.get_or_create_owned(&label),
            lagged: self.lagged.get_or_create_owned(&label),
            ring_bytes: self.ring_bytes.get_or_create_owned(&label),
            ring_cuts: self.ring_cuts.get_or_create_owned(&label),
            refused: UnitRefused::ALL.map(|reason| {
                self.refused.get_or_create_owned(&RefusedLabel { stream: name.to_owned(), reason })
            }),
        }
    }

    /// Takes a stream's labels out.
    pub fn forget(&self, name: &str) {
        let label = StreamLabel { stream: name.to_owned() };
        self.readers.remove(&label);
        self.units.remove(&label);
        self.lagged.remove(&label);
        self.ring_bytes.remove(&label);
        self.ring_cuts.remove(&label);
        for reason in UnitRefused::ALL {
            self.refused.remove(&RefusedLabel { stream: name.to_owned(), reason });
        }
    }
}

impl StreamMetrics {
    /// Units not published for `reason`.
    pub fn refused(&self, reason: UnitRefused) -> &Counter {
        let [unknown, before, no_form] = &self.refused;
        match reason {
            UnitRefused::UnknownTrack => unknown,
            UnitRefused::BeforeRandomAccess => before,
            UnitRefused::NoForm => no_form,
        }
    }
}
