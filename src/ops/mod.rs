//! What every wing uses: bounds, metrics, the hash log, state files, logs and the service manager.

pub mod hash_log;
pub mod limits;
pub mod metrics;
pub mod state_dir;
pub mod systemd;
pub mod telemetry;
