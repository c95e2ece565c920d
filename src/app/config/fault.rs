//! Faults of a configuration file, each with its place, all of them at once.

use std::fmt;
use std::ops::Range;

/// One fault: where, what, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and which values are allowed.
    pub message: String,
}

/// All faults of one file, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The file's name as the operator wrote it.
    pub file: String,
    /// At least one.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Fault { line, column, message } in &self.faults {
            writeln!(f, "{}:{line}:{column}: {message}", self.file)?;
        }
        let n = self.faults.len();
        write!(
            f,
            "{}: {n} {} found; nothing was changed",
            self.file,
            if n == 1 { "fault" } else { "faults" }
        )
    }
}

impl std::error::Error for Faults {}

/// Collects faults while a text is read.
#[derive(Debug)]
pub(super) struct Collector<'i> {
    text: &'i str,
    faults: Vec<Fault>,
}

impl<'i> Collector<'i> {
    pub(super) fn new(text: &'i str) -> Self {
        Self { text, faults: Vec::new() }
    }

    pub(super) fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        self.faults.push(Fault { line, column, message: message.into() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn finish(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.faults
    }
}
