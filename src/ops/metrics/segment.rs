//! What the gateway knows of the camera segment.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The segment's metrics. Labels are words of ours, never a device's: that is what `'static` says.
#[derive(Debug)]
pub struct SegmentMetrics {
    info: Family<ModeLabel, Gauge>,
    /// 1: the segment's service tells its news.
    pub up: Gauge,
    ends: Family<ReasonLabel, Counter>,
    attempts: Family<AttemptLabel, Counter>,
    /// Attempts that were only counted, for too many kinds of them came.
    pub aggregated: Gauge,
    /// Devices seen since the service began.
    pub devices: Gauge,
    device_events: Family<ChangeLabel, Counter>,
    /// Rows of the ledger that were told.
    pub rows: Counter,
    /// News that the service gave up, for the gateway did not read.
    pub missed: Gauge,
    /// Records of the ledger.
    pub ledger_records: Gauge,
    /// Age of the newest checkpoint when it was told, ms; -1: none.
    pub checkpoint_age: Gauge,
    /// 1: the ledger cannot be written.
    pub ledger_fault: Gauge,
    /// UNIX time of the canary's last run; 0: none.
    pub canary_time: Gauge,
    /// 1: it passed.
    pub canary_passed: Gauge,
    /// 0: nobody is served, for want of proof.
    pub serves: Gauge,
    /// Readers that were not taken for want of proof.
    pub refused_readers: Counter,
    /// Readers that were ended for want of proof.
    pub ended_readers: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabel {
    mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabel {
    change: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabel {
    protocol: &'static str,
    verdict: &'static str,
}

impl SegmentMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            info: Family::default(),
            up: Gauge::default(),
            ends: Family::default(),
            attempts: Family::default(),
            aggregated: Gauge::default(),
            devices: Gauge::default(),
            device_events: Family::default(),
            rows: Counter::default(),
            missed: Gauge::default(),
            ledger_records: Gauge::default(),
            checkpoint_age: Gauge::default(),
            ledger_fault: Gauge::default(),
            canary_time: Gauge::default(),
            canary_passed: Gauge::default(),
            serves: Gauge::default(),
            refused_readers: Counter::default(),
            ended_readers: Counter::default(),
        };
        this.serves.set(1);
        let registry = registry.sub_registry_with_prefix("segment");
        this.register_news(registry);
        this.register_canary(registry);
        this
    }

    /// Shows where the cameras are: `none` or `namespace`.
    pub fn mode(&self, mode: &'static str) {
        self.info.get_or_create(&ModeLabel { mode }).set(1);
    }

    /// Counts an end of the news.
    pub fn ended(&self, reason: &'static str) {
        self.ends.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Adds attempts.
    pub fn attempts(&self, protocol: &'static str, verdict: &'static str, more: u64) {
        self.attempts.get_or_create(&AttemptLabel { protocol, verdict }).inc_by(more);
    }

    /// Counts something about a device.
    pub fn device(&self, change: &'static str) {
        self.device_events.get_or_create(&ChangeLabel { change }).inc();
    }

    fn register_news(&self, registry: &mut Registry) {
        registry.register("info", "1 for the mode of the camera segment", self.info.clone());
        registry.register("up", "1 while the segment's service tells its news", self.up.clone());
        registry.register("news_ends", "Ends of the news, by reason", self.ends.clone());
        let help = "What devices on the segment tried, by protocol and verdict";
        registry.register("attempts", help, self.attempts.clone());
        let help = "Attempts without a row of their own since the service began";
        registry.register("aggregated_attempts", help, self.aggregated.clone());
        let help = "Devices seen since the service began";
        registry.register("devices", help, self.devices.clone());
        let help = "Unknown devices and changed addresses";
        registry.register("device_events", help, self.device_events.clone());
        registry.register("ledger_rows", "Rows of the ledger that were told", self.rows.clone());
        let help = "News given up since the service began, for the gateway did not read";
        registry.register("news_missed", help, self.missed.clone());
        registry.register("ledger_records", "Records of the ledger", self.ledger_records.clone());
        let help = "Age of the newest checkpoint when it was told, ms; -1: none";
        registry.register("checkpoint_age_ms", help, self.checkpoint_age.clone());
        let help = "1 if the ledger cannot be written";
        registry.register("ledger_fault", help, self.ledger_fault.clone());
    }

    fn register_canary(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "canary_time",
            "UNIX time of the canary's last run; 0: none is known",
            Unit::Seconds,
            self.canary_time.clone(),
        );
        let help = "1 if the canary's last run passed";
        registry.register("canary_passed", help, self.canary_passed.clone());
        let help = "0 while nobody is served, for want of proof that the segment is tight";
        registry.register("serves", help, self.serves.clone());
        let help = "Readers not taken for want of proof";
        registry.register("refused_readers", help, self.refused_readers.clone());
        let help = "Readers ended for want of proof";
        registry.register("ended_readers", help, self.ended_readers.clone());
    }
}
