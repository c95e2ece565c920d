//! What is in a backup.

use serde::{Deserialize, Serialize};

/// The manifest's name in the archive; it is the last file.
pub(super) const NAME: &str = "manifest.json";
/// The form of the archive that this program writes and reads.
pub(super) const FORM: u32 = 1;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// The form of the archive.
    pub(super) camlock_backup: u32,
    /// The program's version.
    pub(super) version: String,
    /// When it was made, ms of the UNIX epoch.
    pub(super) time_ms: u64,
    /// The files, in the archive's order.
    pub(super) files: Vec<File>,
    /// The directories that they are in, outer ones first.
    pub(super) folders: Vec<Folder>,
}

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) bytes: u64,
    /// Hexadecimal.
    pub(super) sha256: String,
    #[serde(flatten)]
    pub(super) owned: Owned,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Folder {
    pub(super) path: String,
    #[serde(flatten)]
    pub(super) owned: Owned,
}

/// Whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owned {
    /// Permission bits.
    pub(super) mode: u32,
    /// Name, or number if it has none.
    pub(super) user: String,
    /// Name, or number if it has none.
    pub(super) group: String,
}
