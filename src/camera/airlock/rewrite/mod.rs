//! The re-writer: bytes in from both sides, bytes and actions out. Pure.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod counts;

pub use counts::Counts;
