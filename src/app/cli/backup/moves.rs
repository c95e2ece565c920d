//! Files put into place, all of them or none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A rename that was done, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
}

/// Does them in order; if one fails, those before it are undone.
pub(super) fn all(moves: &[Move]) -> Result<(), String> {
    for (done, one) in moves.iter().enumerate() {
        if let Err(error) = rename(one) {
            let undone =
                moves.iter().take(done).rev().all(|back| fs::rename(&back.to, &back.from).is_ok());
            let rest = if undone {
                "nothing was changed"
            } else {
                "previous files are kept with the suffix .before-restore"
            };
            return Err(format!("{}: {error}; {rest}", one.to.display()));
        }
    }
    Ok(())
}

fn rename(one: &Move) -> io::Result<()> {
    if let Some(dir) = one.to.parent() {
        crate::ops::state_dir::make(dir)?;
    }
    // Nothing is there: what was has been moved away, or the whole was refused.
    if one.to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(&one.from, &one.to)
}

/// The name under which what was there is kept.
pub(super) fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".before-restore");
    path.with_file_name(name)
}

/// A text of the archive for a message.
pub(super) fn quoted(text: &str) -> String {
    let text: String = text.chars().take(crate::ops::limits::QUOTED_TEXT_BYTES).collect();
    format!("`{}`", text.escape_default())
}
