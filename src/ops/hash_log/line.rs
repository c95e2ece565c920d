//! One line: made at a position of the chain, and read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash::Hash;
use super::key::{PublicKey, Signature, SigningKey};
use crate::ops::limits;

/// What makes a signature one of this purpose and version.
const DOMAIN: &[u8] = b"camlock ledger checkpoint 1\0";

/// A place in the chain: how many lines come before it, and the hash of the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Lines before.
    pub seq: u64,
    /// The hash of the line before.
    pub prev: Hash,
}

/// A line as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Where it says it stands.
    pub at: Position,
    /// When it was made, ms of the UNIX epoch, by the clock of whoever made it.
    pub time_ms: u64,
    /// What it holds.
    pub what: What,
}

/// What a line holds.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A record.
    Record(Value),
    /// A signature over all lines before this one.
    Checkpoint(Seal),
    /// The chain may begin at this place: the lines before it were deleted on purpose.
    Anchor(Position),
}

/// Who signed a checkpoint, and the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// Which start of the machine's system it was.
    pub boot: String,
    /// The public key.
    pub key: PublicKey,
    signature: Signature,
}

/// A line that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its bytes, the newline included.
    pub text: Vec<u8>,
    /// Where the next line stands, once these bytes are written.
    pub next: Position,
}

/// The line would be longer than [`limits::LEDGER_LINE_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record is longer than {} bytes", limits::LEDGER_LINE_BYTES)]
pub struct TooLong;

/// The bytes are no line of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a line of a ledger")]
pub struct NotALine;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<Body> {
    seq: u64,
    time_ms: u64,
    prev: Hash,
    #[serde(skip_serializing_if = "Option::is_none", default = "none")]
    body: Option<Body>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    checkpoint: Option<Seal>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    anchor: Option<Position>,
}

fn none<T>() -> Option<T> {
    None
}

impl Position {
    /// Before the first line.
    pub const GENESIS: Self = Self { seq: 0, prev: Hash::ZERO };

    /// A record at this place.
    pub fn record(self, time_ms: u64, body: &impl Serialize) -> Result<Made, TooLong> {
        self.make(time_ms, Some(body), None, None)
    }

    /// A line here that says that the chain may begin at `begins`.
    pub fn anchor(self, time_ms: u64, begins: Self) -> Result<Made, TooLong> {
        self.make(time_ms, None::<&()>, None, Some(begins))
    }

    /// A signature here over all lines before; `boot` names the start of the system, at most 64 bytes of it count.
    pub fn checkpoint(self, time_ms: u64, boot: &str, key: &SigningKey) -> Result<Made, TooLong> {
        let boot: String = boot.chars().take(limits::LEDGER_BOOT_ID_CHARS).collect();
        let signature = key.sign(&self.signed(time_ms, &boot));
        self.make(time_ms, None::<&()>, Some(Seal { boot, key: key.public(), signature }), None)
    }

    fn make(
        self,
        time_ms: u64,
        body: Option<&impl Serialize>,
        checkpoint: Option<Seal>,
        anchor: Option<Self>,
    ) -> Result<Made, TooLong> {
        let wire = Wire { seq: self.seq, time_ms, prev: self.prev, body, checkpoint, anchor };
        let mut text = serde_json::to_vec(&wire).map_err(|_| TooLong)?;
        if text.len() > limits::LEDGER_LINE_BYTES {
            return Err(TooLong);
        }
        let next = self.after(&text);
        text.push(b'\n');
        Ok(Made { text, next })
    }

    /// The place behind this line, whose bytes have no newline.
    pub fn after(self, line: &[u8]) -> Self {
        Self { seq: self.seq.saturating_add(1), prev: Hash::of(line) }
    }

    /// The canonical bytes of a checkpoint: domain, count, head, time (big endian), boot id.
    fn signed(self, time_ms: u64, boot: &str) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.extend_from_slice(self.prev.bytes());
        bytes.extend_from_slice(&time_ms.to_be_bytes());
        bytes.extend_from_slice(boot.as_bytes());
        bytes
    }
}

impl Line {
    /// Reads the bytes of a line, without its newline.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotALine> {
        if bytes.len() > limits::LEDGER_LINE_BYTES {
            return Err(NotALine);
        }
        let wire: Wire<Value> = serde_json::from_slice(bytes).map_err(|_| NotALine)?;
        let what = match (wire.body, wire.checkpoint, wire.anchor) {
            (Some(body), None, None) => What::Record(body),
            (None, Some(seal), None) => What::Checkpoint(seal),
            (None, None, Some(begins)) => What::Anchor(begins),
            (None | Some(_), None | Some(_), None | Some(_)) => return Err(NotALine),
        };
        Ok(Self { at: Position { seq: wire.seq, prev: wire.prev }, time_ms: wire.time_ms, what })
    }

    /// Whether a checkpoint's signature is right for the place and time it stands at; `None`: not a checkpoint.
    pub fn signature_holds(&self) -> Option<bool> {
        match &self.what {
            What::Checkpoint(seal) => {
                let signed = self.at.signed(self.time_ms, &seal.boot);
                Some(seal.key.verifies(&signed, &seal.signature))
            }
            What::Record(_) | What::Anchor(_) => None,
        }
    }
}
