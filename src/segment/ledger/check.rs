//! The ledger read: its chain checked, its entries given out.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize as _;

use super::Entry;
use super::files::{self, DayFile, Next};
use crate::ops::hash_log::{At, Kept, Line, PublicKey, Verified, Verifier, What};

/// Checks all files of a ledger's directory; see [`Verifier::new`].
pub fn verify(dir: &Path, key: Option<PublicKey>, kept: Vec<Kept>) -> io::Result<Verified> {
    let mut verifier = Verifier::new(key, kept);
    for day in files::days(dir)? {
        let name: Arc<str> = day.path.display().to_string().into();
        let mut number = 0;
        each_line(&day, |next, bytes| {
            number += 1;
            let at = At { file: Arc::clone(&name), line: number };
            match next {
                Next::Line => verifier.line(at, bytes),
                // No lawful line: none of its bytes are looked at.
                Next::TooLong => verifier.line(at, &[]),
                Next::Torn => verifier.torn(at),
                Next::End => {}
            }
        })?;
    }
    Ok(verifier.finish())
}

/// Gives out the entries of the days from `first` to `last`, both included, with their times (ms of the UNIX epoch).
/// Returns how many lines could not be read.
pub fn entries(
    dir: &Path,
    first: &str,
    last: &str,
    mut take: impl FnMut(u64, Entry),
) -> io::Result<u64> {
    let mut unreadable = 0;
    for day in files::days(dir)?.iter().filter(|day| (first..=last).contains(&day.day.as_str())) {
        each_line(day, |next, bytes| {
            let line = (next == Next::Line).then(|| Line::parse(bytes).ok()).flatten();
            let read = match line {
                Some(Line { what: What::Record(body), time_ms, .. }) => {
                    Entry::deserialize(body).map(|entry| take(time_ms, entry)).is_ok()
                }
                Some(Line { what: What::Checkpoint(_) | What::Anchor(_), .. }) => true,
                None => false,
            };
            unreadable += u64::from(!read);
        })?;
    }
    Ok(unreadable)
}

fn each_line(day: &DayFile, mut take: impl FnMut(Next, &[u8])) -> io::Result<()> {
    let mut file = BufReader::new(File::open(&day.path)?);
    let mut buffer = Vec::new();
    loop {
        match files::next_line(&mut file, &mut buffer)? {
            Next::End => return Ok(()),
            next @ (Next::Line | Next::TooLong | Next::Torn) => take(next, &buffer),
        }
    }
}
