//! A chain of lines that shows when it was touched: each line holds the SHA-256 of the line before it, and now and
//! then one is signed. No files, no clock.
//!
//! Lines are JSON. What is hashed are the exact bytes of a line without its newline, so nothing hangs on how JSON is
//! written. There are three kinds: a record (`body`), a checkpoint (a signature over all lines before it) and an
//! anchor (where the chain begins now, for older lines were deleted on purpose).
//!
//! What it proves: whoever has no signing key cannot change, remove, add or re-order a line before the newest
//! checkpoint unseen; and whoever has the key cannot do so unseen by someone who kept a checkpoint of that time.

mod fault;
mod hash;
mod kept;
mod key;
mod line;
mod verify;

pub use fault::{At, Fault, FaultKind};
pub use hash::Hash;
pub use kept::{Kept, KeptFound, NotKept};
pub use key::{BadKey, PublicKey, SigningKey};
pub use line::{Line, Made, NotALine, Position, Seal, TooLong, What};
pub use verify::{Verified, Verifier};

#[cfg(test)]
mod tests;
