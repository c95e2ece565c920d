//! What every wing uses: bounds, metrics, the hash log, state files, logs, the service manager, hexadecimal text
//! and random bytes.

pub mod hash_log;
pub mod hex;
pub mod limits;
pub mod metrics;
pub mod random;
pub mod state_dir;
pub mod systemd;
pub mod telemetry;
