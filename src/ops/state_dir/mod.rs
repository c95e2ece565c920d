//! Files of the gateway's state directory: for the owner only, and written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It is replaced.
    Yes,
    /// It stays, and the write fails.
    No,
}

/// Makes a directory, and those above it, if it is not there.
pub fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a file whole or not at all: a new file beside it, synced, then moved into place. On the disk when
/// it returns.
pub fn write(path: &Path, text: &str, overwrite: Overwrite) -> io::Result<()> {
    let beside = path.with_extension("new");
    // Left over from a crash.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    match overwrite {
        Overwrite::Yes => fs::rename(&beside, path)?,
        // A link fails where a rename would replace.
        Overwrite::No => {
            fs::hard_link(&beside, path)?;
            fs::remove_file(&beside)?;
        }
    }
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Reads a file of at most `most` bytes of UTF-8; a larger one is [`io::ErrorKind::FileTooLarge`].
pub fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}
