//! What the gateway knows of the camera segment.

use super::table::{Counter, Family, Gauge, Label, metrics};

/// A label whose values are words of ours, never a device's: that is what `'static` says.
type Word = Label<&'static str>;

metrics! {
    /// The segment's metrics.
    pub struct SegmentMetrics = "segment" {
        info: Family<Word, Gauge> =
            "Always 1; the label says where the cameras are: none (no camera segment) or namespace";
        pub up: Gauge = "1 while the gateway is connected to camlock-segment, else 0";
        news_ends: Family<Word, Counter> = "Lost connections and failed attempts to connect to camlock-segment, by reason";
        attempts: Family<(Word, Word), Counter> =
            "Packets and connections that devices on the camera segment tried, by protocol and verdict";
        pub aggregated as "aggregated_attempts": Gauge =
            "Attempts of devices on the camera segment that have no ledger row of their own, since camlock-segment started";
        pub devices: Gauge = "Devices seen on the camera segment since camlock-segment started";
        device_events: Family<Word, Counter> =
            "Unknown devices and changed IP addresses on the camera segment, by kind";
        pub rows as "ledger_rows": Counter = "Ledger rows received from camlock-segment";
        pub missed as "news_missed": Gauge =
            "Messages that camlock-segment discarded because the gateway did not read them, since camlock-segment started";
        pub ledger_records: Gauge = "Records in the ledger of the camera segment";
        pub checkpoint_age as "checkpoint_age_ms": Gauge =
            "Age of the newest ledger checkpoint when camlock-segment last reported it, in milliseconds; -1 if there is none";
        pub ledger_fault: Gauge = "1 if camlock-segment cannot write its ledger, else 0";
        pub canary_time: Gauge, Seconds =
            "UNIX time of the last canary run on the camera segment; 0 if none is known";
        pub canary_passed: Gauge = "1 if the last canary run on the camera segment passed, else 0";
        pub serves: Gauge =
            "1 if the gateway serves clients; 0 if it refuses them because the isolation of the cameras is not verified";
        pub refused_readers: Counter = "Readers refused because the isolation of the cameras is not verified";
        pub ended_readers: Counter = "Readers disconnected because the isolation of the cameras is not verified";
    }
}

impl SegmentMetrics {
    /// Shows where the cameras are: `none` or `namespace`.
    pub fn mode(&self, mode: &'static str) {
        self.info.get_or_create(&[("mode", mode)]).set(1);
    }

    /// Counts an end of the news.
    pub fn ended(&self, reason: &'static str) {
        self.news_ends.get_or_create(&[("reason", reason)]).inc();
    }

    /// Adds attempts.
    pub fn attempts(&self, protocol: &'static str, verdict: &'static str, more: u64) {
        let labels = ([("protocol", protocol)], [("verdict", verdict)]);
        self.attempts.get_or_create(&labels).inc_by(more);
    }

    /// Counts something about a device.
    pub fn device(&self, change: &'static str) {
        self.device_events.get_or_create(&[("change", change)]).inc();
    }
}
