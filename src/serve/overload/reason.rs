//! What operators are told: what was measured, what follows, what to do. Pure.

use std::time::Duration;

use strum::IntoStaticStr;

use super::level::Level;
use crate::ops::limits;

/// What may run short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Resource {
    /// Time of the CPUs.
    Cpu,
    /// Resident memory.
    Memory,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Memory];

    /// As it is called in metrics, log and pages.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Level {
    /// As it is called in log and pages.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

pub(super) const NO_BUDGET: &str =
    "no budget: cannot read the machine's memory size; set limits.memory_mib";

pub(super) fn cpu(level: Level, late: Duration) -> String {
    let (late, full) = (late.as_millis(), limits::LATENESS_FULL.as_millis());
    let measured = format!("tasks wait {late} ms for a CPU (short from {full} ms on)");
    let todo =
        "give the gateway more CPU, serve fewer readers, and check what else runs on the machine";
    told(level, measured, todo)
}

pub(super) fn memory(level: Level, used: u64, budget: u64) -> String {
    let (used, budget) = (used >> 20, budget >> 20);
    let measured = format!("{used} MiB of {budget} MiB (limits.memory_mib)");
    let todo = "raise limits.memory_mib if the machine has more; otherwise serve fewer readers or pull fewer cameras";
    told(level, measured, todo)
}

fn told(level: Level, measured: String, todo: &str) -> String {
    match level {
        Level::Normal => measured,
        Level::Full => format!("{measured}: new readers are refused; {todo}"),
        Level::Shedding => {
            format!(
                "{measured}: new readers are refused and lagging readers are disconnected; {todo}"
            )
        }
    }
}
