//! What the kernel says of this process, for the metrics page.

use std::fs;
use std::time::SystemTime;

use crate::ops::metrics::Metrics;

/// Clock ticks a second in `/proc/self/stat`: fixed by the kernel's interface (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Fills in the process group. What cannot be read stays as it was.
pub(super) fn sample(metrics: &Metrics) {
    let process = &metrics.process;
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        for (name, gauge, unit) in [
            ("VmRSS:", &process.resident_memory, 1024),
            ("VmHWM:", &process.peak_resident_memory, 1024),
            ("Threads:", &process.threads, 1),
        ] {
            if let Some(value) = field(&status, name) {
                gauge.set(value.saturating_mul(unit));
            }
        }
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        process.open_fds.set(i64::try_from(entries.count()).unwrap_or(i64::MAX));
    }
    if let Some(seconds) =
        fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds)
    {
        process.cpu_seconds.set(seconds);
    }
    if let Ok(handle) = tokio::runtime::Handle::try_current() {
        process.tasks.set(i64::try_from(handle.metrics().num_alive_tasks()).unwrap_or(i64::MAX));
    }
}

/// Resident memory now, bytes.
pub(super) fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    u64::try_from(field(&status, "VmRSS:")?).ok()?.checked_mul(1024)
}

/// Notes the start.
pub(super) fn started(metrics: &Metrics) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics.process.start_time.set(now.as_secs_f64());
}

fn field(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `utime` and `stime` are fields 14 and 15; the second field, a name, may hold spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: [f64; 2] = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
    Some(ticks.iter().sum::<f64>() / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_name_with_spaces_and_brackets() {
        let stat = "7 (cam) lock) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 4 0 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }

    #[tokio::test]
    async fn this_process_has_memory_descriptors_and_threads() {
        let metrics = Metrics::new();
        sample(&metrics);
        let process = &metrics.process;
        assert!(process.resident_memory.get() > 1 << 20);
        assert!(resident_memory().unwrap() > 1 << 20);
        assert!(process.peak_resident_memory.get() >= process.resident_memory.get());
        assert!(process.open_fds.get() > 2 && process.threads.get() > 0);
        assert!(metrics.encode().contains("camlock_process_resident_memory_bytes "));
    }
}
