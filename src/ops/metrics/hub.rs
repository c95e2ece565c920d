//! What the hub counts.

use prometheus_client::encoding::EncodeLabelValue;

use super::table::{ByStream, Counter, Gauge, metrics};

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

metrics! {
    /// The hub's metrics, by stream. A stream's label lives as long as the stream is declared.
    pub struct HubMetrics = "stream" {
        units_refused: ByStream<UnitRefused, Counter> =
            "Access units from a camera that were not published, by stream and reason";
    }
    /// One stream's handles: no look-up for each unit.
    pub struct StreamMetrics by stream {
        readers: Gauge = "Readers attached to a stream now";
        units: Counter = "Access units published by a stream";
        lagged: Counter = "Times that a reader of a stream was too slow and skipped access units";
        ring_bytes: Gauge = "Bytes of access units that a stream keeps in memory, with the packets made of them";
        ring_cuts: Counter = "Groups of pictures larger than the memory that a stream may use";
    }
    with {
        refused: [Counter; UnitRefused::ALL.len()] = |hub: &Self, stream| {
            UnitRefused::ALL.map(|reason| hub.units_refused.get(stream, "reason", reason))
        };
    } from units_refused
}

impl UnitRefused {
    const ALL: [Self; 3] = [Self::UnknownTrack, Self::BeforeRandomAccess, Self::NoForm];
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
