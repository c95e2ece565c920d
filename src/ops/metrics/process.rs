//! The process itself. Whoever serves the page fills these in; nothing here reads the system.

use std::sync::atomic::AtomicU64;

use super::table::{Family, Gauge, Label, metrics};

metrics! {
    /// What runs.
    pub struct BuildMetrics {
        build: Family<Label<&'static str>, Gauge> = "Always 1; the label is the version of the gateway";
    }
}

impl BuildMetrics {
    pub(super) fn show(&self) {
        self.build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    }
}

metrics! {
    /// Gauges of the process, under the names that dashboards know.
    pub struct ProcessMetrics = "process" {
        pub resident_memory: Gauge, Bytes = "Resident memory of the gateway process";
        pub peak_resident_memory: Gauge, Bytes = "Peak resident memory of the gateway process since its start";
        pub open_fds: Gauge = "Open file descriptors of the gateway process";
        pub threads: Gauge = "Threads of the gateway process";
        pub cpu_seconds as "cpu": Gauge<f64, AtomicU64>, Seconds =
            "User and system CPU time that the gateway process has used";
        pub start_time: Gauge<f64, AtomicU64>, Seconds = "Start of the gateway process, as UNIX time";
        pub tasks: Gauge = "Asynchronous tasks alive in the gateway process";
    }
}
