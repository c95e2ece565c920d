//! The ledger: what devices on the segment tried, in a [`crate::chain`] on the disk.

mod entry;

pub use entry::{Entry, Start};
