//! Metrics of the RTSP server.

use super::Up;
use super::table::{Counter, Family, Gauge, Label, metrics};

metrics! {
    /// Per listener: connections and sessions. Per stream: readers and what they were sent.
    pub struct RtspServerMetrics = "rtsp" {
        connections: Family<Label<String>, Gauge> = "RTSP connections of clients open now, by listener";
        sessions: Family<Label<String>, Gauge> = "RTSP sessions of clients open now, by listener";
    }
    /// Readers of one stream.
    pub struct RtspStreamMetrics by stream {
        readers: Gauge = "RTSP sessions that play a stream now";
        sent_bytes: Counter = "Bytes of media sent to RTSP readers, with interleaved headers, by stream";
        sent_units: Counter = "Access units sent to RTSP readers, by stream";
        lagged: Counter = "Times that an RTSP reader was too slow and skipped access units, by stream";
        skipped_units: Counter = "Access units that RTSP readers skipped because they were too slow, by stream";
    }
}

/// A reader that plays, counted while it is held; its counters are looked up once.
#[derive(Debug)]
pub struct RtspReader {
    _up: Up,
    stream: RtspStreamMetrics,
}

impl RtspServerMetrics {
    /// Counts a connection of `listener` while it is held.
    pub fn connection(&self, listener: &str) -> Up {
        Up::new(self.connections.get_or_create_owned(&[("listener", listener.to_owned())]))
    }

    /// Counts a session of `listener` while it is held.
    pub fn session(&self, listener: &str) -> Up {
        Up::new(self.sessions.get_or_create_owned(&[("listener", listener.to_owned())]))
    }

    /// Counts a reader of `stream`.
    pub fn reader(&self, stream: &str) -> RtspReader {
        let stream = self.stream(stream);
        RtspReader { _up: Up::new(stream.readers.clone()), stream }
    }

    /// Interleaved media bytes that readers of `stream` were given so far.
    pub fn bytes_of(&self, stream: &str) -> u64 {
        self.stream(stream).sent_bytes.get()
    }

    /// Readers of `stream` now.
    pub fn readers_of(&self, stream: &str) -> i64 {
        self.stream(stream).readers.get()
    }
}

impl RtspReader {
    /// A unit of `bytes` was queued.
    pub fn sent(&self, bytes: usize) {
        self.stream.sent_units.inc();
        self.stream.sent_bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// The reader fell behind and missed `units`.
    pub fn lagged(&self, units: u64) {
        self.stream.lagged.inc();
        self.stream.skipped_units.inc_by(units);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

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
