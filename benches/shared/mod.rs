//! What the benches share: child processes and what they cost, readers, cameras, the gateway, figures.
//!
//! Every part runs in a process of its own, so that the CPU time of one is its own. A bench starts itself again
//! with `--role NAME` for the parts that are no command of the gateway.

#![allow(dead_code, unreachable_pub, reason = "each bench uses its part")]
#![allow(
    clippy::disallowed_methods,
    reason = "a bench measures real time, from outside, and connects to what it started"
)]

pub mod camera;
pub mod child;
pub mod decrypted;
pub mod figures;
pub mod gateway;
pub mod pace;
pub mod reader;
pub mod serve;
pub mod taken;

/// What goes wrong ends the bench.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
