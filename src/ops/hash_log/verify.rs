//! Finds the first place where a chain was touched.

use std::sync::Arc;

use super::fault::{At, Fault, FaultKind};
use super::hash::Hash;
use super::kept::{Kept, KeptFound};
use super::key::PublicKey;
use super::line::{Line, Position, What};

/// What a check found. Without a fault, all lines up to the newest checkpoint are as they were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The first thing that is wrong.
    pub fault: Option<Fault>,
    /// Where the first line stands: [`Position::GENESIS`] if nothing was deleted.
    pub begins: Position,
    /// Lines read.
    pub lines: u64,
    /// Checkpoints among them whose signature is right.
    pub checkpoints: u64,
    /// Time of the newest of these, ms of the UNIX epoch.
    pub signed_ms: Option<u64>,
    /// Lines behind it: nothing vouches for these yet.
    pub unsigned: u64,
    /// The key of the checkpoints.
    pub key: Option<PublicKey>,
    /// How often the clock went back from one line to the next, and where first. No fault: clocks are set.
    pub backward: u64,
    /// See above.
    pub first_backward: Option<At>,
    /// What became of the kept checkpoints, in their order.
    pub kept: Vec<KeptFound>,
}

/// Reads a chain line by line.
#[derive(Debug)]
pub struct Verifier {
    kept: Vec<Kept>,
    next: Option<Position>,
    last: Option<Last>,
    suspect: Option<Suspect>,
    /// An anchor lets the chain begin here or later: a crash may have left some of what was to be deleted.
    anchored: bool,
    /// An anchor names exactly the first line.
    exact: bool,
    /// An anchor names the hash before the first line, but another number.
    misnumbered: bool,
    first: Option<At>,
    found: Verified,
}

#[derive(Debug)]
struct Last {
    at: At,
    time_ms: u64,
}

/// A fault, as far as it can be told before the lines behind it are read.
#[derive(Debug)]
enum Suspect {
    Sure(Fault),
    /// This line's `prev` is not the hash of the previous one: one of both was changed. The next line's tells which.
    OneOfTwo {
        previous: At,
        this: At,
        hash: Hash,
    },
    /// Lines are missing here; if one of them comes later, lines were moved.
    Missing {
        at: At,
        first: u64,
        last: u64,
    },
}

impl Verifier {
    /// `key`: whose checkpoints are taken; without it, those of the first kept checkpoint's, else of the first that
    /// is read. `kept`: checkpoints that must be found in the chain.
    pub fn new(key: Option<PublicKey>, kept: Vec<Kept>) -> Self {
        let key = key.or_else(|| kept.first().map(Kept::key));
        let found = Verified {
            fault: None,
            begins: Position::GENESIS,
            lines: 0,
            checkpoints: 0,
            signed_ms: None,
            unsigned: 0,
            key,
            backward: 0,
            first_backward: None,
            kept: vec![KeptFound::No; kept.len()],
        };
        Self {
            kept,
            next: None,
            last: None,
            suspect: None,
            anchored: false,
            exact: false,
            misnumbered: false,
            first: None,
            found,
        }
    }

    /// The next line, without its newline.
    pub fn line(&mut self, at: At, bytes: &[u8]) {
        self.found.lines += 1;
        let line = Line::parse(bytes);
        if let Some(suspect) = self.suspect.take() {
            self.suspect = Some(suspect.seen(line.as_ref().ok()));
            if let Ok(line) = &line {
                self.note_anchor(line);
            }
            return;
        }
        let Ok(line) = line else {
            return self.fault(at, FaultKind::Changed);
        };
        let after = line.at.after(bytes);
        self.suspect = self.misplaced(&at, &line, after.prev);
        if self.suspect.is_none() {
            self.take(at, &line, after);
        }
    }

    /// The file ended without a newline after these bytes.
    pub fn torn(&mut self, at: At) {
        self.found.lines += 1;
        if self.suspect.is_none() {
            self.fault(at, FaultKind::Torn);
        }
    }

    /// The end of the chain.
    pub fn finish(mut self) -> Verified {
        let fault = match self.suspect.take() {
            Some(suspect) => Some(self.settle(suspect)),
            None => self.ends().or_else(|| self.begins()),
        };
        self.found.fault = fault;
        self.found
    }

    /// What is wrong with where a line stands.
    fn misplaced(&mut self, at: &At, line: &Line, hash: Hash) -> Option<Suspect> {
        let sure = |kind| Some(Suspect::Sure(Fault { at: at.clone(), kind }));
        let Some(next) = self.next else {
            self.found.begins = line.at;
            self.first = Some(at.clone());
            let genesis = Position::GENESIS;
            let half = (line.at.seq == genesis.seq) != (line.at.prev == genesis.prev);
            return if half { sure(FaultKind::Changed) } else { None };
        };
        let found = line.at.seq;
        match (found.cmp(&next.seq), line.at.prev == next.prev) {
            (std::cmp::Ordering::Equal, true) => None,
            // Its place in the chain is right, so its number was changed.
            (std::cmp::Ordering::Less | std::cmp::Ordering::Greater, true) => {
                sure(FaultKind::Changed)
            }
            (std::cmp::Ordering::Equal, false) => {
                let previous =
                    self.last.as_ref().map_or_else(|| at.clone(), |last| last.at.clone());
                match self.vouched(line) {
                    // Signed over another line than the one that stands before it.
                    true => Some(Suspect::Sure(Fault { at: previous, kind: FaultKind::Changed })),
                    false => Some(Suspect::OneOfTwo { previous, this: at.clone(), hash }),
                }
            }
            (std::cmp::Ordering::Greater, false) => {
                Some(Suspect::Missing { at: at.clone(), first: next.seq, last: found - 1 })
            }
            (std::cmp::Ordering::Less, false) => self.too_early(found).map_or_else(
                || sure(FaultKind::Repeated { found }),
                |fault| Some(Suspect::Sure(fault)),
            ),
        }
    }

    /// The first line, if it is one that came after `found`.
    fn too_early(&self, found: u64) -> Option<Fault> {
        let first = self.found.begins.seq;
        let at = self.first.clone().filter(|_| found < first)?;
        Some(Fault { at, kind: FaultKind::Moved { found: first, expected: found } })
    }

    /// A line that stands where it belongs.
    fn take(&mut self, at: At, line: &Line, after: Position) {
        for (kept, found) in self.kept.iter().zip(&mut self.found.kept) {
            if kept.at.seq == line.at.seq {
                if kept.hash == after.prev {
                    *found = KeptFound::Here;
                } else {
                    self.suspect = Some(Suspect::Sure(Fault { at, kind: FaultKind::Rewritten }));
                    return;
                }
            }
        }
        self.note_anchor(line);
        self.found.unsigned += 1;
        if let What::Checkpoint(seal) = &line.what {
            if *self.found.key.get_or_insert(seal.key) != seal.key {
                return self.fault(at, FaultKind::ForeignKey);
            }
            if !self.vouched(line) {
                return self.fault(at, FaultKind::BadSignature);
            }
            self.found.checkpoints += 1;
            self.found.signed_ms = Some(line.time_ms);
            self.found.unsigned = 0;
        }
        if self.last.as_ref().is_some_and(|last| line.time_ms < last.time_ms) {
            self.found.backward += 1;
            self.found.first_backward.get_or_insert_with(|| at.clone());
        }
        self.last = Some(Last { at, time_ms: line.time_ms });
        self.next = Some(after);
    }

    /// Whether the line is a checkpoint with a right signature of the right key.
    fn vouched(&self, line: &Line) -> bool {
        match &line.what {
            What::Checkpoint(seal) => {
                self.found.key.is_none_or(|key| key == seal.key)
                    && line.signature_holds() == Some(true)
            }
            What::Record(_) | What::Anchor(_) => false,
        }
    }

    fn note_anchor(&mut self, line: &Line) {
        if let What::Anchor(begins) = &line.what {
            let first = self.found.begins;
            self.exact |= *begins == first;
            self.anchored |= *begins == first || begins.seq > first.seq;
            self.misnumbered |= begins.prev == first.prev && begins.seq != first.seq;
        }
    }

    fn fault(&mut self, at: At, kind: FaultKind) {
        self.suspect = Some(Suspect::Sure(Fault { at, kind }));
    }

    fn settle(&self, suspect: Suspect) -> Fault {
        let second = |at: &At| {
            self.first.as_ref().is_some_and(|first| {
                self.found.begins.seq > 0 && first.file == at.file && first.line + 1 == at.line
            })
        };
        let fault = match suspect {
            Suspect::Sure(fault) => fault,
            Suspect::OneOfTwo { this, .. } => Fault { at: this, kind: FaultKind::Changed },
            Suspect::Missing { at, first, last } => {
                Fault { at, kind: FaultKind::Removed { first, last } }
            }
        };
        // The number of a first line that is not the chain's very first is known by its anchor only.
        match &self.first {
            Some(first) if self.misnumbered && !self.exact && second(&fault.at) => {
                Fault { at: first.clone(), kind: FaultKind::Changed }
            }
            Some(_) | None => fault,
        }
    }

    /// What is wrong with the end: a kept checkpoint vouches for more.
    fn ends(&mut self) -> Option<Fault> {
        let found = self.next.map_or(0, |next| next.seq);
        let first = self.found.begins.seq;
        for (kept, state) in self.kept.iter().zip(&mut self.found.kept) {
            if *state == KeptFound::No && kept.at.seq < first {
                *state = KeptFound::Retired;
            }
        }
        let vouched = self.kept.iter().map(|kept| kept.at.seq + 1).max()?;
        let at = self.last.as_ref().map(|last| last.at.clone());
        let at = at.unwrap_or_else(|| At { file: Arc::from("no file"), line: 0 });
        (vouched > found).then_some(Fault { at, kind: FaultKind::CutOff { vouched, found } })
    }

    /// What is wrong with the beginning: it is neither the chain's first line nor anchored.
    fn begins(&self) -> Option<Fault> {
        let begins = self.found.begins;
        let at = self.first.clone()?;
        if begins == Position::GENESIS || self.anchored {
            return None;
        }
        let kind = match self.misnumbered {
            true => FaultKind::Changed,
            false => FaultKind::Removed { first: 0, last: begins.seq - 1 },
        };
        Some(Fault { at, kind })
    }
}

impl Suspect {
    /// What is known after one more line.
    fn seen(self, line: Option<&Line>) -> Self {
        match self {
            Self::OneOfTwo { previous, this, hash } => {
                let this_is_whole = line.is_some_and(|line| line.at.prev == hash);
                let at = if this_is_whole { previous } else { this };
                Self::Sure(Fault { at, kind: FaultKind::Changed })
            }
            Self::Missing { at, first, last } => match line {
                Some(line) if (first..=last).contains(&line.at.seq) => {
                    let kind = FaultKind::Moved { found: last + 1, expected: first };
                    Self::Sure(Fault { at, kind })
                }
                Some(_) | None => Self::Missing { at, first, last },
            },
            Self::Sure(fault) => Self::Sure(fault),
        }
    }
}
