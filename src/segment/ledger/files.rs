//! The ledger's files, one a UTC day, and their lines.

use std::fs;
use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};

use crate::ops::limits;
use crate::segment::day_start;

/// A day's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayFile {
    /// The UTC day, `2026-11-29`.
    pub day: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// What a file of lines has next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A line; it is in the buffer, without its newline.
    Line,
    /// A line that is longer than any lawful one; it was skipped.
    TooLong,
    /// Bytes without a newline behind them, the last of the file; they are in the buffer, as far as lawful.
    Torn,
    /// Nothing.
    End,
}

/// The days' files, oldest first. No directory: none.
pub fn days(dir: &Path) -> io::Result<Vec<DayFile>> {
    let mut days = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(days),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(day) = name.to_str().and_then(|name| name.strip_suffix(".jsonl")) else {
            continue;
        };
        if day_start(day).is_some() {
            let bytes = match entry.metadata() {
                Ok(metadata) => metadata.len(),
                // Retention was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            days.push(DayFile { day: day.to_owned(), path: entry.path(), bytes });
        }
    }
    days.sort_by(|a, b| a.day.cmp(&b.day));
    Ok(days)
}

/// Reads the next line into `buffer`, of at most [`limits::LEDGER_LINE_BYTES`].
pub(super) fn next_line(file: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Next> {
    buffer.clear();
    let most = limits::LEDGER_LINE_BYTES as u64 + 1;
    file.by_ref().take(most).read_until(b'\n', buffer)?;
    match buffer.last() {
        None => Ok(Next::End),
        Some(b'\n') => {
            buffer.pop();
            Ok(Next::Line)
        }
        Some(_) if buffer.len() as u64 == most => skip(file),
        Some(_) => Ok(Next::Torn),
    }
}

/// Skips the rest of a line that is too long.
fn skip(file: &mut impl BufRead) -> io::Result<Next> {
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(Next::Torn);
        }
        let end = bytes.iter().position(|b| *b == b'\n');
        let used = end.map_or(bytes.len(), |end| end + 1);
        file.consume(used);
        if end.is_some() {
            return Ok(Next::TooLong);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_a_bound() {
        let most = "x".repeat(limits::LEDGER_LINE_BYTES);
        let text = format!("a\n{most}\n{most}y\n\n{most}yy");
        let mut file = io::BufReader::with_capacity(64, text.as_bytes());
        let mut buffer = Vec::new();
        let mut next = || (next_line(&mut file, &mut buffer).unwrap(), buffer.len());
        assert_eq!(next(), (Next::Line, 1));
        assert_eq!(next(), (Next::Line, most.len()));
        assert_eq!(next().0, Next::TooLong);
        assert_eq!(next(), (Next::Line, 0));
        assert_eq!(next().0, Next::Torn);
        assert_eq!(next(), (Next::End, 0));
    }
}
