//! The process itself. Whoever serves the page fills these in; nothing here reads the system.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Gauges of the process, under the names that dashboards know.
#[derive(Debug, Clone)]
pub struct ProcessMetrics {
    /// Resident memory.
    pub resident_memory: Gauge,
    /// Peak of resident memory since the start.
    pub peak_resident_memory: Gauge,
    /// Open file descriptors.
    pub open_fds: Gauge,
    /// Threads.
    pub threads: Gauge,
    /// User and system time used so far.
    pub cpu_seconds: Gauge<f64, AtomicU64>,
    /// Start, seconds since the Unix epoch.
    pub start_time: Gauge<f64, AtomicU64>,
    /// Live tasks of the runtime.
    pub tasks: Gauge,
}

impl ProcessMetrics {
    /// Registers the group.
    pub fn register(registry: &mut Registry) -> Self {
        let build: Family<[(&str, &str); 1], Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build", "The version that runs", build);
        let registry = registry.sub_registry_with_prefix("process");
        let this = Self {
            resident_memory: Gauge::default(),
            peak_resident_memory: Gauge::default(),
            open_fds: Gauge::default(),
            threads: Gauge::default(),
            cpu_seconds: Gauge::default(),
            start_time: Gauge::default(),
            tasks: Gauge::default(),
        };
        let bytes = || Unit::Bytes;
        registry.register_with_unit(
            "resident_memory",
            "Resident memory",
            bytes(),
            this.resident_memory.clone(),
        );
        registry.register_with_unit(
            "peak_resident_memory",
            "Peak of resident memory",
            bytes(),
            this.peak_resident_memory.clone(),
        );
        registry.register("open_fds", "Open file descriptors", this.open_fds.clone());
        registry.register("threads", "Threads", this.threads.clone());
        registry.register_with_unit(
            "cpu",
            "User and system time used",
            Unit::Seconds,
            this.cpu_seconds.clone(),
        );
        registry.register_with_unit(
            "start_time",
            "Start since the Unix epoch",
            Unit::Seconds,
            this.start_time.clone(),
        );
        registry.register("tasks", "Live tasks of the runtime", this.tasks.clone());
        this
    }
}
