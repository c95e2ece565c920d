//! Feeds [`Load`]: how late the runtime is, how much memory the process has, and how much it may have.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::process;
use crate::hub::Hub;
use crate::ops::limits::{LATENESS_TICK, LOAD_REST, LOAD_SAMPLE, MEMORY_SHARE_PERCENT};
use crate::ops::systemd::Progress;
use crate::serve::overload::{self, Demand, Load};

/// The memory budget in force: what is configured, or the share of what there is.
pub(super) fn budget(settings: overload::Settings) -> Option<u64> {
    settings
        .memory
        .or_else(|| memory_there(Path::new("/")).map(|there| there / 100 * MEMORY_SHARE_PERCENT))
}

/// Measures and judges for as long as the gateway runs. It is itself the task whose lateness is measured; while nobody
/// is served it sleeps. It shows on `progress` that the runtime gets on, and that the locks that all media pass are free.
pub(super) async fn watch(load: Arc<Load>, hub: Arc<Hub>, mut progress: Progress) {
    let mut demand = Demand::Nobody;
    let mut judged = Instant::now();
    let mut due = judged;
    loop {
        tokio::select! {
            () = sleep_until(due) => {
                let now = Instant::now();
                if demand == Demand::Readers {
                    load.tick(now.saturating_duration_since(due), now.into_std());
                }
                if demand == Demand::Nobody || now.saturating_duration_since(judged) >= LOAD_SAMPLE {
                    judged = now;
                    demand = load.judge(process::resident_memory(), now.into_std());
                }
                due = now + if demand == Demand::Nobody { LOAD_REST } else { LATENESS_TICK };
            }
            () = load.demanded(), if demand == Demand::Nobody => {
                demand = Demand::Readers;
                due = Instant::now() + LATENESS_TICK;
            }
            () = progress.asked() => {
                hub.pass_locks();
                progress.advance();
            }
        }
    }
}

/// The least of what the machine has and what the cgroups of this process allow, bytes.
fn memory_there(root: &Path) -> Option<u64> {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok();
    let machine = machine.as_deref().and_then(total_memory);
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let groups = cgroups(&own).into_iter().filter_map(|group| group.limit(root));
    groups.chain(machine).min()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// A place in a hierarchy of cgroups that limits memory.
#[derive(Debug, PartialEq, Eq)]
struct Cgroup<'a> {
    mounted: &'static str,
    path: &'a str,
    file: &'static str,
}

/// Of both versions (cgroups(7)): `0::/path` and `4:memory:/path`.
fn cgroups(own: &str) -> Vec<Cgroup<'_>> {
    let of_line = |line| {
        let (_, rest) = str::split_once(line, ':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (mounted, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        Some(Cgroup { mounted, path: path.trim_start_matches('/'), file })
    };
    own.lines().filter_map(of_line).collect()
}

impl Cgroup<'_> {
    /// The least of its own limit and those above it. In a container the path may be the host's: then only what
    /// is mounted as the root is there. "max", or no file: no limit.
    fn limit(&self, root: &Path) -> Option<u64> {
        let mounted = root.join(self.mounted);
        let places = Path::new(self.path).ancestors();
        let read = |place: &Path| {
            fs::read_to_string(mounted.join(place).join(self.file)).ok()?.trim().parse().ok()
        };
        places.filter_map(read).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_machine_and_cgroups_counts() {
        let root = std::env::temp_dir().join(format!("camlock-overload-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        assert_eq!(memory_there(&root), None);
        write("proc/meminfo", "MemTotal:        1000 kB\nMemFree:          10 kB\n");
        assert_eq!(memory_there(&root), Some(1_024_000));
        write(
            "proc/self/cgroup",
            "5:devices:/\n4:cpu,memory:/pod/one\n0::/system.slice/camlock.service\n",
        );
        write("sys/fs/cgroup/system.slice/camlock.service/memory.max", "max\n");
        assert_eq!(memory_there(&root), Some(1_024_000));
        write("sys/fs/cgroup/system.slice/memory.max", "900000\n");
        assert_eq!(memory_there(&root), Some(900_000));
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "800000\n");
        assert_eq!(memory_there(&root), Some(800_000), "a container's own root");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_is_configured_goes_before_what_there_is() {
        assert_eq!(budget(overload::Settings { memory: Some(5) }), Some(5));
        let share = budget(overload::Settings::default()).unwrap();
        assert!(share > 64 << 20, "{share}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_process_is_measured_and_judged_as_soon_as_a_reader_asks() {
        let metrics = crate::ops::metrics::Metrics::new();
        let load = Load::new(Some(1 << 20), Arc::clone(&metrics));
        let watched = crate::ops::systemd::Watched::default();
        let progress = watched.part("load");
        let watching = tokio::spawn(watch(Arc::clone(&load), Hub::new(), progress));
        load.set_budget(None, Instant::now().into_std());
        tokio::time::sleep(LOAD_REST / 5).await;
        load.set_budget(Some(1 << 20), Instant::now().into_std());
        assert_eq!(load.admit(), Ok(()));
        tokio::time::sleep(2 * LOAD_SAMPLE).await;
        assert_eq!(
            load.admit(),
            Err(overload::Lack::Of(overload::Resource::Memory)),
            "no process has a single MiB"
        );
        assert_eq!(metrics.overload.resource("memory").level.get(), 1);
        assert!(watched.all_got_on().is_err(), "not asked before");
        tokio::time::sleep(LOAD_SAMPLE).await;
        assert_eq!(watched.all_got_on(), Ok(()));
        watching.abort();
    }
}
