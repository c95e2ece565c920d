//! What can be wrong with a chain, and where.

use std::fmt;
use std::sync::Arc;

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The file's name.
    pub file: Arc<str>,
    /// Its line, from 1.
    pub line: u64,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {kind}")]
pub struct Fault {
    /// At which line.
    pub at: At,
    /// What.
    pub kind: FaultKind,
}

/// What can be wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The bytes of the line are not those that were written.
    #[error("this line was changed")]
    Changed,
    /// Lines before this one are missing.
    #[error("lines {first} to {last} of the chain, which stood before this one, were removed")]
    Removed {
        /// The first of them, counted through all files from 0.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The lines from here on stand in another order than they were written in.
    #[error("lines were moved: this is line {found} of the chain, line {expected} belongs here")]
    Moved {
        /// The line's number.
        found: u64,
        /// What belongs here.
        expected: u64,
    },
    /// The same line stood before.
    #[error("this line (number {found}) stands here a second time or was moved here")]
    Repeated {
        /// The line's number.
        found: u64,
    },
    /// The chain ends here, but went on when the checkpoint was made.
    #[error(
        "the chain is truncated after this line: a checkpoint covers {vouched} lines, but only {found} exist"
    )]
    CutOff {
        /// How many lines there were, the checkpoint included.
        vouched: u64,
        /// How many there are.
        found: u64,
    },
    /// The file ends in the middle of this line.
    #[error("the file is cut off in the middle of this line")]
    Torn,
    /// A checkpoint of another key.
    #[error("this checkpoint was signed by another key")]
    ForeignKey,
    /// A checkpoint whose signature is wrong.
    #[error("this checkpoint's signature is wrong")]
    BadSignature,
    /// The line is lawful by itself, but a kept checkpoint says that another stood here: all of it was written anew.
    #[error("the chain was rewritten: a kept checkpoint has another line here")]
    Rewritten,
}
