//! Overload: how short a resource is, and who paid for it.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Levels and what they cost, by resource; and what they are judged by. Resident memory stands in
/// [`super::ProcessMetrics`].
#[derive(Debug)]
pub struct OverloadMetrics {
    /// Time of the CPUs.
    pub cpu: ScarceMetrics,
    /// Resident memory.
    pub memory: ScarceMetrics,
    /// How late a task of the runtime is woken, the median of some seconds.
    pub lateness: Gauge<f64, AtomicU64>,
    /// The memory budget in force; 0: none.
    pub memory_budget: Gauge,
}

/// One resource.
#[derive(Debug)]
pub struct ScarceMetrics {
    /// 0 normal, 1 full, 2 shedding.
    pub level: Gauge,
    /// Readers that were not taken.
    pub refused: Counter,
    /// Readers that were ended.
    pub shed: Counter,
}

type Resource = [(&'static str, &'static str); 1];

impl OverloadMetrics {
    /// Registers the group.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let level: Family<Resource, Gauge> = Family::default();
        let refused: Family<Resource, Counter> = Family::default();
        let shed: Family<Resource, Counter> = Family::default();
        let of = |resource| ScarceMetrics {
            level: level.get_or_create_owned(&[("resource", resource)]),
            refused: refused.get_or_create_owned(&[("resource", resource)]),
            shed: shed.get_or_create_owned(&[("resource", resource)]),
        };
        let this = Self {
            cpu: of("cpu"),
            memory: of("memory"),
            lateness: Gauge::default(),
            memory_budget: Gauge::default(),
        };
        let help =
            "How short a resource is: 0 normal, 1 no new readers, 2 readers that lag are ended";
        registry.register("overload", help, level);
        let registry = registry.sub_registry_with_prefix("overload");
        registry.register("refused_readers", "Readers not taken for want of a resource", refused);
        registry.register(
            "shed_readers",
            "Readers that lagged, ended for want of a resource",
            shed,
        );
        registry.register_with_unit(
            "lateness",
            "How late a task of the runtime is woken, median of some seconds",
            Unit::Seconds,
            this.lateness.clone(),
        );
        registry.register_with_unit(
            "memory_budget",
            "Resident memory that the process may have; 0: no budget",
            Unit::Bytes,
            this.memory_budget.clone(),
        );
        this
    }
}
