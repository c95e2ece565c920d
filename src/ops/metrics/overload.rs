//! Overload: how short a resource is, and which readers it cost.

use std::sync::atomic::AtomicU64;

use super::table::{Counter, Gauge, metrics};

metrics! {
    /// Levels and what they cost, by resource; and what they are judged by. Resident memory stands in
    /// [`super::ProcessMetrics`].
    pub struct OverloadMetrics {
        pub lateness as "overload_lateness": Gauge<f64, AtomicU64>, Seconds =
            "Delay between the time a task of the gateway is due and the time it runs, median of some seconds";
        pub memory_budget as "overload_memory_budget": Gauge, Bytes =
            "Resident memory that the gateway may use (limits.memory_mib); 0 if there is no limit";
    }
    /// One resource, `cpu` or `memory`.
    pub struct ScarceMetrics by resource {
        level as "overload": Gauge =
            "Load of a resource: 0 normal, 1 new readers are refused, 2 readers that lag are disconnected too";
        refused as "overload_refused_readers": Counter = "Readers refused because of overload, by resource";
        shed as "overload_shed_readers": Counter =
            "Readers that lagged and were disconnected because of overload, by resource";
    }
}
