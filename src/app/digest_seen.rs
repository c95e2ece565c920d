//! The cameras that offered Digest, kept in the state directory over restarts: `digest-seen`, one name a line.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::camera::DigestBook;
use crate::limits;

/// Most bytes of the file: every camera with the longest name.
const FILE_BYTES: u64 = (limits::CAMERAS as u64) * 65;

/// The book with what the file says. A file that cannot be read is said, and counts as empty.
pub(super) fn open(file: &Path) -> DigestBook {
    DigestBook::new(match read(file) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "cannot read which cameras offered Digest before");
            BTreeSet::new()
        }
    })
}

/// Writes the file anew whenever a name is added, for ever.
pub(super) async fn keep(book: DigestBook, file: PathBuf) {
    let mut names = book.watch();
    while names.changed().await.is_ok() {
        let text: String = names.borrow_and_update().iter().flat_map(|name| [name, "\n"]).collect();
        if let Err(error) = write(&file, &text).await {
            tracing::error!(file = %file.display(), %error, "cannot keep which cameras offered Digest");
        }
    }
}

/// Whole or not at all: a power cut must not forget the names of before.
async fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let new = file.with_extension("new");
    tokio::fs::write(&new, text).await?;
    tokio::fs::rename(&new, file).await
}

fn read(file: &Path) -> io::Result<BTreeSet<String>> {
    if std::fs::metadata(file)?.len() > FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(std::fs::read_to_string(file)?.lines().map(str::to_owned).collect())
}
