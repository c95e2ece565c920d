//! Metrics of the RTSP server.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Up;

/// Per listener: connections and sessions. Per stream: readers and what they were sent.
#[derive(Debug)]
pub struct RtspServerMetrics {
    connections: Family<Listener, Gauge>,
    sessions: Family<Listener, Gauge>,
    readers: Family<Stream, Gauge>,
    bytes: Family<Stream, Counter>,
    units: Family<Stream, Counter>,
    lagged: Family<Stream, Counter>,
    skipped: Family<Stream, Counter>,
}

/// A listener's configured name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Listener {
    listener: String,
}

/// A stream's configured name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stream {
    stream: String,
}

/// A connection, counted while it is held.
#[derive(Debug)]
pub struct RtspConnection {
    _up: Up,
}

/// A session, counted while it is held.
#[derive(Debug)]
pub struct RtspSession {
    _up: Up,
}

/// A reader that plays, counted while it is held; its counters are looked up once.
#[derive(Debug)]
pub struct RtspReader {
    _up: Up,
    bytes: Counter,
    units: Counter,
    lagged: Counter,
    skipped: Counter,
}

impl RtspServerMetrics {
    /// Registers the group.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("rtsp");
        let this = Self {
            connections: Family::default(),
            sessions: Family::default(),
            readers: Family::default(),
            bytes: Family::default(),
            units: Family::default(),
            lagged: Family::default(),
            skipped: Family::default(),
        };
        registry.register("connections", "RTSP connections", this.connections.clone());
        registry.register("sessions", "RTSP sessions", this.sessions.clone());
        registry.register("readers", "Sessions that play", this.readers.clone());
        registry.register(
            "sent_bytes",
            "Interleaved media bytes given to readers",
            this.bytes.clone(),
        );
        registry.register("sent_units", "Access units given to readers", this.units.clone());
        registry.register("lagged", "Times a reader fell behind", this.lagged.clone());
        registry.register(
            "skipped_units",
            "Units that readers who fell behind missed",
            this.skipped.clone(),
        );
        this
    }

    /// Counts a connection of `listener`.
    pub fn connection(&self, listener: &str) -> RtspConnection {
        let label = Listener { listener: listener.to_owned() };
        RtspConnection { _up: Up::new(self.connections.get_or_create(&label).clone()) }
    }

    /// Counts a session of `listener`.
    pub fn session(&self, listener: &str) -> RtspSession {
        let label = Listener { listener: listener.to_owned() };
        RtspSession { _up: Up::new(self.sessions.get_or_create(&label).clone()) }
    }

    /// Counts a reader of `stream`.
    pub fn reader(&self, stream: &str) -> RtspReader {
        let label = Stream { stream: stream.to_owned() };
        RtspReader {
            _up: Up::new(self.readers.get_or_create(&label).clone()),
            bytes: self.bytes.get_or_create(&label).clone(),
            units: self.units.get_or_create(&label).clone(),
            lagged: self.lagged.get_or_create(&label).clone(),
            skipped: self.skipped.get_or_create(&label).clone(),
        }
    }

    /// Interleaved media bytes that readers of `stream` were given so far.
    pub fn bytes_of(&self, stream: &str) -> u64 {
        self.bytes.get_or_create(&Stream { stream: stream.to_owned() }).get()
    }

    /// Readers of `stream` now.
    pub fn readers_of(&self, stream: &str) -> i64 {
        self.readers.get_or_create(&Stream { stream: stream.to_owned() }).get()
    }
}

impl RtspReader {
    /// A unit of `bytes` was queued.
    pub fn sent(&self, bytes: usize) {
        self.units.inc();
        self.bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// The reader fell behind and missed `units`.
    pub fn lagged(&self, units: u64) {
        self.lagged.inc();
        self.skipped.inc_by(units);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted() {
        let mut registry = Registry::default();
        let metrics = RtspServerMetrics::register(&mut registry);
        let reader = metrics.reader("door/main");
        let connection = metrics.connection("main");
        reader.sent(1400);
        reader.lagged(7);
        let text = |registry: &Registry| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
            text
        };
        let while_held = text(&registry);
        for line in [
            "rtsp_readers{stream=\"door/main\"} 1",
            "rtsp_connections{listener=\"main\"} 1",
            "rtsp_sent_bytes_total{stream=\"door/main\"} 1400",
            "rtsp_sent_units_total{stream=\"door/main\"} 1",
            "rtsp_lagged_total{stream=\"door/main\"} 1",
            "rtsp_skipped_units_total{stream=\"door/main\"} 7",
        ] {
            assert!(while_held.contains(line), "{line} in {while_held}");
        }
        drop((reader, connection));
        assert_eq!(metrics.readers_of("door/main"), 0);
        assert!(text(&registry).contains("rtsp_connections{listener=\"main\"} 0"));
    }
}
