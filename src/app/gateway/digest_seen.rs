//! The cameras that offered Digest, kept in the state directory over restarts: `digest-seen`, one name a line.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::ingest::camera::DigestBook;
use crate::ops::limits;
use crate::ops::state_dir::{self, Overwrite};

/// Most bytes of the file: every camera with the longest name.
const FILE_BYTES: u64 = (limits::CAMERAS as u64) * 65;

/// The book with what the file says. A file that cannot be read is said, and counts as empty.
pub(super) fn open(file: &Path) -> DigestBook {
    DigestBook::new(match read(file) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "cannot read the list of cameras that offered Digest");
            BTreeSet::new()
        }
    })
}

/// Writes the file anew whenever a name is added, for ever.
pub(super) async fn keep(book: DigestBook, file: PathBuf) {
    let mut names = book.watch();
    while names.changed().await.is_ok() {
        let text: String = names.borrow_and_update().iter().flat_map(|name| [name, "\n"]).collect();
        if let Err(error) = write(file.clone(), text).await {
            tracing::error!(file = %file.display(), %error, "cannot save the list of cameras that offered Digest");
        }
    }
}

/// A power cut must not forget the names of before.
async fn write(file: PathBuf, text: String) -> io::Result<()> {
    let write = move || {
        file.parent().map_or(Ok(()), state_dir::make)?;
        state_dir::write(&file, &text, Overwrite::Yes)
    };
    tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
}

fn read(file: &Path) -> io::Result<BTreeSet<String>> {
    Ok(state_dir::read(file, FILE_BYTES)?.lines().map(str::to_owned).collect())
}
