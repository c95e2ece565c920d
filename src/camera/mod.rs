//! (being built)

pub mod airlock;
