//! A checkpoint that somebody keeps.

use super::hash::Hash;
use super::key::PublicKey;
use super::line::{Line, Position, Seal, What};

/// A checkpoint that was kept apart from the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub(super) at: Position,
    time_ms: u64,
    seal: Seal,
    pub(super) hash: Hash,
}

/// The bytes are no checkpoint that somebody could have kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// Not a checkpoint's line.
    #[error("not a checkpoint of a ledger")]
    NotACheckpoint,
    /// Its signature is wrong.
    #[error("its signature is wrong: it was changed")]
    BadSignature,
}

impl Kept {
    /// Reads a checkpoint's line, with or without its newline.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotKept> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = Line::parse(bytes).map_err(|_| NotKept::NotACheckpoint)?;
        match (line.signature_holds(), line.what) {
            (Some(true), What::Checkpoint(seal)) => {
                Ok(Self { at: line.at, time_ms: line.time_ms, seal, hash: Hash::of(bytes) })
            }
            (Some(false), _) => Err(NotKept::BadSignature),
            (None | Some(true), _) => Err(NotKept::NotACheckpoint),
        }
    }

    /// How many lines it vouches for.
    pub fn lines(&self) -> u64 {
        self.at.seq
    }

    /// When it was made, ms of the UNIX epoch.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Who made it.
    pub fn key(&self) -> PublicKey {
        self.seal.key
    }
}

/// What became of a kept checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptFound {
    /// It stands in the chain as it was kept.
    Here,
    /// Its line was deleted on purpose since then: it can say nothing any more.
    Retired,
    /// The check ended before it was reached, or it is not there.
    No,
}
