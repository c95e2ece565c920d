//! Medians, spreads, tables and JSON.

use std::path::Path;

use super::Result;

/// Rounds of each measurement; the parts of one round run one after the other, so that a change of the
/// machine's mood meets all of them.
pub const ROUNDS: usize = 5;

/// Median and the two ends.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

/// Of at least one figure.
pub fn spread(figures: &[f64]) -> Spread {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    Spread { least: at(0), median: at(sorted.len() / 2), most: at(sorted.len().saturating_sub(1)) }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}

/// A setting of a bench: environment variable or default.
pub fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What the figures belong to.
#[derive(Debug, serde::Serialize)]
pub struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
}

pub fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("?");
    Machine {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        cpu: cpu.trim_start_matches([' ', '\t', ':']).to_owned(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}

/// Writes `target/bench/NAME.json`.
pub fn write_json(name: &str, figures: &impl serde::Serialize) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let all = serde_json::json!({ "bench": name, "machine": machine(), "figures": figures });
    std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(&all)?)?;
    Ok(())
}
