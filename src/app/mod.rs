//! Configuration, composition and commands, and the simulated cameras of the demo.

pub mod cli;
pub mod config;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod gateway;
pub mod simulator;
