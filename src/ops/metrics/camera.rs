//! What the cameras' side counts, by stream.

use prometheus_client::encoding::EncodeLabelValue;

use super::table::{ByStream, Counter, Family, Forget, Gauge, Label, metrics};

/// How a stream's camera is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum CameraState {
    /// On demand, and nobody asks.
    Idle,
    /// Not playing yet.
    Starting,
    /// Playing.
    Playing,
    /// Between two attempts.
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Kind {
    Video,
    Audio,
}

metrics! {
    /// The cameras' metrics. A stream's labels live as long as the stream is configured. Reasons and versions are words of
    /// ours, never a camera's: that is what `'static` says.
    pub struct CameraMetrics = "camera" {
        state: ByStream<CameraState, Gauge> = "1 for the state that the camera of a stream is in, 0 for the others";
        units: ByStream<Kind, Counter> = "Access units received from a camera that passed the checks, by kind";
        unit_bytes: ByStream<Kind, Counter> =
            "Bytes of access units received from a camera that passed the checks, by kind";
        dropped: ByStream<&'static str, Counter> =
            "Packets, access units and parts of them that were received from a camera and dropped, by reason";
        ends: ByStream<&'static str, Counter> = "Sessions with a camera and attempts to start one that ended, by reason";
        tls: ByStream<&'static str, Gauge> = "1 for the TLS version of the last connection to a camera";
        certificate_end_time: Family<Label<String>, Gauge>, Seconds =
            "UNIX time at which the TLS certificate of a camera expires";
    }
    /// One stream's handles: no look-up for each unit.
    pub struct CameraStreamMetrics by stream {
        wire_bytes: Counter = "Bytes received from a camera, with everything that was dropped";
        lost_packets: Counter = "RTP packets from a camera that are missing by their sequence numbers";
        attempts: Counter = "Attempts to connect to a camera";
        sessions: Counter = "Sessions with a camera that began to play; reconnects are one less";
        panics: Counter = "Panics of the gateway's code that handles a camera";
        clock_resets: Counter = "Jumps of a camera's timestamps after which a track was aligned to the arrival time again";
        last_unit as "last_unit_time": Gauge, Seconds = "UNIX time of the last access unit received from a camera";
    }
    with {
        /// Video access units handed to the hub, and their bytes.
        pub video: UnitMetrics = |camera: &Self, stream| camera.units_of(stream, Kind::Video);
        /// Audio frames handed to the hub, and their bytes.
        pub audio: UnitMetrics = |camera: &Self, stream| camera.units_of(stream, Kind::Audio);
        states: [Gauge; CameraState::ALL.len()] = |camera: &Self, stream| {
            CameraState::ALL.map(|state| camera.state.get(stream, "state", state))
        };
    } from state, units, unit_bytes, dropped, ends, tls, certificate_end_time
}

/// Units and bytes.
#[derive(Debug)]
pub struct UnitMetrics {
    /// Access units.
    pub units: Counter,
    /// Their bytes.
    pub bytes: Counter,
}

impl CameraState {
    const ALL: [Self; 4] = [Self::Idle, Self::Starting, Self::Playing, Self::Waiting];
}

impl CameraMetrics {
    /// Counts what was not handed on.
    pub fn dropped(&self, name: &str, reason: &'static str, count: u64) {
        self.dropped.get(name, "reason", reason).inc_by(count);
    }

    /// Counts an end of an attempt or session.
    pub fn ended(&self, name: &str, reason: &'static str) {
        self.ends.get(name, "reason", reason).inc();
    }

    /// Shows the TLS version of a connection, `1.2` or `1.3`, and when the camera's certificate ends, UNIX time in seconds.
    pub fn tls(&self, name: &str, version: &'static str, not_after: i64) {
        self.tls.forget(name);
        self.tls.get(name, "version", version).set(1);
        self.certificate_end_time.get_or_create(&[("stream", name.to_owned())]).set(not_after);
    }

    fn units_of(&self, stream: &str, kind: Kind) -> UnitMetrics {
        UnitMetrics {
            units: self.units.get(stream, "kind", kind),
            bytes: self.unit_bytes.get(stream, "kind", kind),
        }
    }
}

impl CameraStreamMetrics {
    /// Sets the state.
    pub fn state(&self, now: CameraState) {
        for (state, gauge) in CameraState::ALL.into_iter().zip(&self.states) {
            gauge.set(i64::from(state == now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn a_stream_leaves_nothing_behind() {
        let metrics = Metrics::new();
        let stream = metrics.camera.stream("door/main");
        stream.state(CameraState::Playing);
        stream.video.units.inc();
        metrics.camera.dropped("door/main", "sei", 3);
        metrics.camera.ended("door/main", "stalled");
        metrics.camera.tls("door/main", "1.3", 1);
        metrics.camera.tls("door/main", "1.2", 4_102_444_800);
        let text = metrics.encode();
        for line in [
            "camlock_camera_state{stream=\"door/main\",state=\"Playing\"} 1",
            "camlock_camera_state{stream=\"door/main\",state=\"Waiting\"} 0",
            "camlock_camera_units_total{stream=\"door/main\",kind=\"Video\"} 1",
            "camlock_camera_dropped_total{stream=\"door/main\",reason=\"sei\"} 3",
            "camlock_camera_tls{stream=\"door/main\",version=\"1.2\"} 1",
            "camlock_camera_certificate_end_time_seconds{stream=\"door/main\"} 4102444800",
            "camlock_camera_ends_total{stream=\"door/main\",reason=\"stalled\"} 1",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
        metrics.camera.forget("door/main");
        assert!(!metrics.encode().contains("door/main"));
    }
}
