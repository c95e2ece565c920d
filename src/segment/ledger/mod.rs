//! The ledger: what devices on the segment tried, in a [`crate::ops::hash_log`] on the disk.
//!
//! One file a UTC day (`ledger/2026-11-29.jsonl`), a copy of the newest checkpoint (`checkpoint.json`), the key that
//! signs these (`ledger.key`) and its public half (`ledger.pub`). One thread writes; nobody waits for it. Reading
//! needs no running service.

mod check;
mod entry;
mod files;
mod keys;
mod pace;
mod recover;
mod retain;
mod store;
mod summary;
mod writer;

pub use check::{entries, verify};
pub use entry::{Entry, Start};
pub use files::{DayFile, days};
pub use keys::read_public;
pub use summary::Summary;
pub use writer::{CannotOpen, Ledger, Opened, Stand};

#[cfg(test)]
pub(crate) mod tests;
