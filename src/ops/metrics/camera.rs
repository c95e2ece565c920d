//! What the cameras' side counts, by stream.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The cameras' metrics. A stream's labels live as long as the stream is configured.
#[derive(Debug)]
pub struct CameraMetrics {
    state: Family<StateLabel, Gauge>,
    units: Family<KindLabel, Counter>,
    unit_bytes: Family<KindLabel, Counter>,
    wire_bytes: Family<StreamLabel, Counter>,
    lost_packets: Family<StreamLabel, Counter>,
    dropped: Family<ReasonLabel, Counter>,
    attempts: Family<StreamLabel, Counter>,
    sessions: Family<StreamLabel, Counter>,
    ends: Family<ReasonLabel, Counter>,
    panics: Family<StreamLabel, Counter>,
    clock_resets: Family<StreamLabel, Counter>,
    last_unit: Family<StreamLabel, Gauge>,
    tls: Family<TlsLabel, Gauge>,
    certificate_end: Family<StreamLabel, Gauge>,
    dropped_seen: Mutex<BTreeSet<(String, &'static str)>>,
    ends_seen: Mutex<BTreeSet<(String, &'static str)>>,
}

/// One stream's handles: no look-up for each unit.
#[derive(Debug)]
pub struct CameraStreamMetrics {
    /// Video access units handed to the hub, and their bytes.
    pub video: UnitMetrics,
    /// Audio frames handed to the hub, and their bytes.
    pub audio: UnitMetrics,
    /// Bytes read from the camera.
    pub wire_bytes: Counter,
    /// Packets that its sequence numbers say are missing.
    pub lost_packets: Counter,
    /// Attempts to reach the camera.
    pub attempts: Counter,
    /// Sessions that came to play; one less than that is the number of reconnects.
    pub sessions: Counter,
    /// Panics caught.
    pub panics: Counter,
    /// Times a track was set anew to the arrival clock because its timestamps jumped.
    pub clock_resets: Counter,
    /// UNIX time of the last unit, s; its age is the scraper's to compute.
    pub last_unit: Gauge,
    states: [Gauge; CameraState::ALL.len()],
}

/// Units and bytes.
#[derive(Debug)]
pub struct UnitMetrics {
    /// Access units.
    pub units: Counter,
    /// Their bytes.
    pub bytes: Counter,
}

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

impl CameraState {
    const ALL: [Self; 4] = [Self::Idle, Self::Starting, Self::Playing, Self::Waiting];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Kind {
    Video,
    Audio,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StreamLabel {
    stream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    stream: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    stream: String,
    state: CameraState,
}

/// The version is `1.2` or `1.3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TlsLabel {
    stream: String,
    version: &'static str,
}

/// The reason is a word of ours, never a camera's: that is what `'static` says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    stream: String,
    reason: &'static str,
}

impl CameraMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let camera = Self {
            state: Family::default(),
            units: Family::default(),
            unit_bytes: Family::default(),
            wire_bytes: Family::default(),
            lost_packets: Family::default(),
            dropped: Family::default(),
            attempts: Family::default(),
            sessions: Family::default(),
            ends: Family::default(),
            panics: Family::default(),
            clock_resets: Family::default(),
            last_unit: Family::default(),
            tls: Family::default(),
            certificate_end: Family::default(),
            dropped_seen: Mutex::default(),
            ends_seen: Mutex::default(),
        };
        let registry = registry.sub_registry_with_prefix("camera");
        registry.register("state", "1 for the state that the camera is in", camera.state.clone());
        registry.register("units", "Access units handed on", camera.units.clone());
        registry.register("unit_bytes", "Bytes of these", camera.unit_bytes.clone());
        registry.register("wire_bytes", "Bytes read from the camera", camera.wire_bytes.clone());
        registry.register("lost_packets", "RTP packets missing", camera.lost_packets.clone());
        registry.register("dropped", "What was not handed on, by reason", camera.dropped.clone());
        registry.register("attempts", "Attempts to reach the camera", camera.attempts.clone());
        registry.register("sessions", "Sessions that came to play", camera.sessions.clone());
        registry.register("ends", "Attempts and sessions ended, by reason", camera.ends.clone());
        registry.register("panics", "Panics caught", camera.panics.clone());
        let resets = "Jumps of the camera's clock, per track";
        registry.register("clock_resets", resets, camera.clock_resets.clone());
        registry.register_with_unit(
            "last_unit_time",
            "UNIX time of the last access unit",
            Unit::Seconds,
            camera.last_unit.clone(),
        );
        registry.register(
            "tls",
            "1 for the TLS version of its last connection",
            camera.tls.clone(),
        );
        registry.register_with_unit(
            "certificate_end_time",
            "UNIX time at which the camera's certificate expires",
            Unit::Seconds,
            camera.certificate_end.clone(),
        );
        camera
    }

    /// The handles of a stream.
    pub fn stream(&self, name: &str) -> CameraStreamMetrics {
        let label = StreamLabel { stream: name.to_owned() };
        let units = |kind| {
            let label = KindLabel { stream: name.to_owned(), kind };
            UnitMetrics {
                units: self.units.get_or_create_owned(&label),
                bytes: self.unit_bytes.get_or_create_owned(&label),
            }
        };
        CameraStreamMetrics {
            video: units(Kind::Video),
            audio: units(Kind::Audio),
            wire_bytes: self.wire_bytes.get_or_create_owned(&label),
            lost_packets: self.lost_packets.get_or_create_owned(&label),
            attempts: self.attempts.get_or_create_owned(&label),
            sessions: self.sessions.get_or_create_owned(&label),
            panics: self.panics.get_or_create_owned(&label),
            clock_resets: self.clock_resets.get_or_create_owned(&label),
            last_unit: self.last_unit.get_or_create_owned(&label),
            states: CameraState::ALL.map(|state| {
                self.state.get_or_create_owned(&StateLabel { stream: name.to_owned(), state })
            }),
        }
    }

    /// Counts what was not handed on.
    pub fn dropped(&self, name: &str, reason: &'static str, count: u64) {
        count_reason(&self.dropped, &self.dropped_seen, name, reason, count);
    }

    /// Counts an end of an attempt or session.
    pub fn ended(&self, name: &str, reason: &'static str) {
        count_reason(&self.ends, &self.ends_seen, name, reason, 1);
    }

    /// Shows the TLS version of a connection, and when the camera's certificate ends, UNIX time in seconds.
    pub fn tls(&self, name: &str, version: &'static str, not_after: i64) {
        self.forget_tls(name);
        self.tls.get_or_create(&TlsLabel { stream: name.to_owned(), version }).set(1);
        self.certificate_end.get_or_create(&StreamLabel { stream: name.to_owned() }).set(not_after);
    }

    fn forget_tls(&self, name: &str) {
        for version in ["1.2", "1.3"] {
            self.tls.remove(&TlsLabel { stream: name.to_owned(), version });
        }
        self.certificate_end.remove(&StreamLabel { stream: name.to_owned() });
    }

    /// Takes a stream's labels out.
    pub fn forget(&self, name: &str) {
        let label = StreamLabel { stream: name.to_owned() };
        for family in [
            &self.wire_bytes,
            &self.lost_packets,
            &self.attempts,
            &self.sessions,
            &self.panics,
            &self.clock_resets,
        ] {
            family.remove(&label);
        }
        self.last_unit.remove(&label);
        self.forget_tls(name);
        for kind in [Kind::Video, Kind::Audio] {
            let label = KindLabel { stream: name.to_owned(), kind };
            self.units.remove(&label);
            self.unit_bytes.remove(&label);
        }
        for state in CameraState::ALL {
            self.state.remove(&StateLabel { stream: name.to_owned(), state });
        }
        forget_reasons(&self.dropped, &self.dropped_seen, name);
        forget_reasons(&self.ends, &self.ends_seen, name);
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

fn count_reason(
    family: &Family<ReasonLabel, Counter>,
    seen: &Mutex<BTreeSet<(String, &'static str)>>,
    name: &str,
    reason: &'static str,
    count: u64,
) {
    family.get_or_create(&ReasonLabel { stream: name.to_owned(), reason }).inc_by(count);
    seen.lock().unwrap_or_else(PoisonError::into_inner).insert((name.to_owned(), reason));
}

fn forget_reasons(
    family: &Family<ReasonLabel, Counter>,
    seen: &Mutex<BTreeSet<(String, &'static str)>>,
    name: &str,
) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|(stream, reason)| {
        let gone = stream == name;
        if gone {
            family.remove(&ReasonLabel { stream: stream.clone(), reason });
        }
        !gone
    });
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
