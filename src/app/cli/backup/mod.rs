//! `camlock backup` and `camlock restore`: what an installation is, in one file.
//!
//! A tar file of four trees: `config/` (the configuration and the files it names beside it), `state/` (the gateway's
//! state directory), `segment/` (the segment file) and `ledger/` (the segment's state directory), and at its end
//! `manifest.json` with every file's SHA-256, mode and owner. A file that was cut off has no manifest.

mod make;
mod manifest;
mod moves;
mod owner;
mod restore;
#[cfg(test)]
mod tests;
mod unpack;

use std::path::{Path, PathBuf};

use clap::Args;
use strum::{EnumString, IntoStaticStr};

pub(super) use make::BackupOptions;
pub(super) use restore::RestoreOptions;

use super::{Exit, output};

/// Where an installation's things are.
#[derive(Debug, Clone, Args)]
struct Places {
    /// Configuration of the gateway.
    #[arg(long, value_name = "FILE", default_value = "/etc/camlock/camlock.toml")]
    config: PathBuf,
    /// State directory of the gateway.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/camlock")]
    state_dir: PathBuf,
    /// Segment file.
    #[arg(long, value_name = "FILE", default_value = "/etc/camlock/segment.toml")]
    segment_file: PathBuf,
    /// State directory of the segment: the ledger and its key.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/camlock-segment")]
    segment_state_dir: PathBuf,
}

/// A part of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, EnumString)]
#[strum(serialize_all = "snake_case")]
enum Tree {
    Config,
    State,
    Segment,
    Ledger,
}

impl Tree {
    fn name(self) -> &'static str {
        self.into()
    }

    /// The tree of a path in the archive, and the path below it. Only plain names: nothing absolute, no `..`.
    fn of(path: &str) -> Option<(Self, &Path)> {
        let (tree, rest) = path.split_once('/')?;
        let tree = tree.parse().ok()?;
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && !part.bytes().any(|b| b.is_ascii_control())
        };
        let depth = rest.split('/').count();
        let lawful = rest.split('/').all(plain) && depth <= crate::ops::limits::BACKUP_DEPTH;
        lawful.then(|| (tree, Path::new(rest)))
    }

    /// The directory on the machine.
    fn dir(self, places: &Places) -> PathBuf {
        let beside = |file: &Path| match file.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
            Some(_) | None => PathBuf::from("."),
        };
        match self {
            Self::Config => beside(&places.config),
            Self::State => places.state_dir.clone(),
            Self::Segment => beside(&places.segment_file),
            Self::Ledger => places.segment_state_dir.clone(),
        }
    }
}

/// Runs `camlock backup`.
pub(super) fn backup(options: &BackupOptions) -> Exit {
    done(make::run(options))
}

/// Runs `camlock restore`.
pub(super) fn restore(options: &RestoreOptions) -> Exit {
    done(restore::run(options))
}

fn done(result: Result<Vec<String>, String>) -> Exit {
    match result {
        Ok(lines) => {
            lines.iter().for_each(|line| output::line(line));
            Exit::Done
        }
        Err(why) => {
            output::error(&why);
            Exit::Failed
        }
    }
}
