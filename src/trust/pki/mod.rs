//! The gateway's own CA, for those who bring no certificate: made on first start, P-256 throughout.
//!
//! [`Authority`] is pure (time comes in); [`ensure`] keeps its files.

mod authority;
mod store;
#[cfg(test)]
pub(crate) mod tests;

pub use authority::{Authority, Issued, Names, PkiError};
pub use store::{Files, StoreError, ensure, load_authority};
