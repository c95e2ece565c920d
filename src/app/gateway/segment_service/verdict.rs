//! The canary's last result, kept over restarts: a gateway that needs it must not wait a day for the next.

use std::io;
use std::path::{Path, PathBuf};

use crate::ops::limits;
use crate::ops::state_dir::{self, Overwrite};
use crate::segment::CanaryResult;

/// The file, and what it said at the start.
#[derive(Debug)]
pub(super) struct Kept {
    file: PathBuf,
    pub(super) last: Option<CanaryResult>,
}

impl Kept {
    /// One that cannot be read is none.
    pub(super) fn read(state_dir: &Path) -> Self {
        let file = state_dir.join("canary.json");
        let text = state_dir::read(&file, limits::SEGMENT_NEWS_BYTES as u64);
        let last = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        Self { file, last }
    }

    /// Writes another. Blocks on the disk.
    pub(super) fn write(file: &Path, result: &CanaryResult) -> io::Result<()> {
        let text = serde_json::to_string(result).map_err(io::Error::other)?;
        state_dir::write(file, &text, Overwrite::Yes)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}
