//! What a crash, or somebody, left: where the chain goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::Entry;
use super::files::{self, DayFile, Next};
use crate::ops::hash_log::{Hash, Kept, Line, Position};
use crate::ops::limits;

/// The chain as it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Where the next line stands.
    pub(super) at: Position,
    /// The day whose file goes on.
    pub(super) day: Option<String>,
    /// Bytes of the other files.
    pub(super) others: u64,
    /// What is to be recorded about it.
    pub(super) entries: Vec<Entry>,
}

/// Reads the newest file up to its last line that is one; what stands behind it is moved aside, never deleted.
pub(super) fn recover(dir: &Path, copy: &Path) -> io::Result<Found> {
    let mut days = files::days(dir)?;
    let mut found = Found { at: Position::GENESIS, day: None, others: 0, entries: Vec::new() };
    while let Some(day) = days.pop() {
        let (after, whole) = last_line(&day.path)?;
        if whole < day.bytes {
            found.entries.push(move_aside(dir, &day, whole)?);
        }
        if let Some(after) = after {
            found.at = after;
            found.day = Some(day.day);
            break;
        }
        fs::remove_file(&day.path)?;
    }
    found.others = days.iter().map(|day| day.bytes).sum();
    found.entries.extend(cut(copy, found.at.seq)?);
    Ok(found)
}

/// The place behind the last line that is one, and where it ends.
fn last_line(path: &Path) -> io::Result<(Option<Position>, u64)> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut after, mut whole) = (None, 0);
    let mut buffer = Vec::new();
    loop {
        match files::next_line(&mut file, &mut buffer)? {
            Next::Line => {
                if let Ok(line) = Line::parse(&buffer) {
                    after = Some(line.at.after(&buffer));
                    whole = file.stream_position()?;
                }
            }
            Next::TooLong => {}
            Next::Torn | Next::End => return Ok((after, whole)),
        }
    }
}

/// Moves what stands behind `whole` into a file of its own.
fn move_aside(dir: &Path, day: &DayFile, whole: u64) -> io::Result<Entry> {
    let name = format!("{}.{whole}.torn", day.day);
    let mut file = OpenOptions::new().read(true).write(true).open(&day.path)?;
    file.seek(SeekFrom::Start(whole))?;
    let mut tail = Vec::new();
    // A crash leaves a line or a block of zeros; more was not written by us, and is cut here.
    (&file).take(limits::LEDGER_TORN_BYTES).read_to_end(&mut tail)?;
    let mut options = OpenOptions::new();
    let aside = options.write(true).create(true).truncate(true).mode(0o600).open(dir.join(&name));
    let mut aside = aside?;
    aside.write_all(&tail)?;
    aside.sync_all()?;
    file.set_len(whole)?;
    file.sync_all()?;
    Ok(Entry::Torn { file: name, bytes: day.bytes - whole, sha256: Hash::of(&tail).to_string() })
}

/// Whether the newest checkpoint vouches for more lines than there are. It is kept under another name then: the next
/// checkpoint must not hide it.
fn cut(copy: &Path, found: u64) -> io::Result<Option<Entry>> {
    let bytes = match fs::read(copy) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match Kept::parse(&bytes).map(|kept| kept.lines() + 1) {
        Ok(vouched) if vouched > found => {
            fs::rename(copy, copy.with_file_name(format!("checkpoint-{vouched}.json")))?;
            Ok(Some(Entry::Cut { vouched, found }))
        }
        // An unreadable copy is written anew.
        Ok(_) | Err(_) => Ok(None),
    }
}
