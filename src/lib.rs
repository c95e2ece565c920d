//! Camlock: the gateway between cameras nobody trusts and everyone who needs their video.
//!
//! The module graph is law: `docs/architecture.md` draws it, `tests/architecture.rs` holds it.

pub mod app;
pub mod audit;
pub mod auth;
pub mod camera;
pub mod chain;
pub mod cli;
pub mod config;
pub mod control;
pub mod digest;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod http;
pub mod hub;
pub mod limits;
pub mod listen;
pub mod load;
pub mod media;
pub mod metrics;
pub mod pki;
pub mod rtp;
pub mod rtsp;
pub mod rtsp_server;
pub mod segment;
pub mod simulator;
pub mod state_dir;
pub mod systemd;
pub mod telemetry;
pub mod tls;
pub mod tunnel;
