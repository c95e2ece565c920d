//! `camlock restore`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

use clap::Args;

use super::moves::{self, Move};
use super::unpack::{self, Unpacked, Waiting};
use super::{Places, Tree, owner};

/// Options of `camlock restore`.
#[derive(Debug, Args)]
pub(in crate::app::cli) struct RestoreOptions {
    #[command(flatten)]
    pub(super) places: Places,
    /// The backup.
    pub(super) file: PathBuf,
    /// Replace what is there; it is kept beside, under names that end in `.before-restore`.
    #[arg(long)]
    pub(super) force: bool,
}

/// Puts all of it into place, or changes nothing.
pub(super) fn run(options: &RestoreOptions) -> Result<Vec<String>, String> {
    let name = options.file.display().to_string();
    stopped(&options.places)?;
    let archive = unpack::open(&options.file)?;
    let unpacked =
        unpack::unpack(archive, &options.places).map_err(|why| format!("{name}: {why}"))?;
    let unknown = own(&unpacked)?;
    let moves = plan(&unpacked, options.force)?;
    moves::all(&moves)?;
    let mut lines = vec![format!(
        "{name}: of Camlock {}, {} files restored",
        moves::quoted(&unpacked.manifest.version),
        unpacked.manifest.files.len()
    )];
    lines.extend(unknown.iter().map(|name| {
        format!("this machine has no user or group {}: ownership of its files left unchanged; fix it with chown", moves::quoted(name))
    }));
    Ok(lines)
}

/// Whoever writes the ledger would go on in a file that is not there any more.
fn stopped(places: &Places) -> Result<(), String> {
    let lock = places.segment_state_dir.join("ledger/lock");
    match File::open(&lock).map(|file| file.try_lock()) {
        Ok(Err(fs::TryLockError::WouldBlock)) => Err(format!(
            "{}: the segment's service is running; stop it and the gateway first: systemctl stop camlock camlock-segment",
            lock.display()
        )),
        Ok(Ok(()) | Err(fs::TryLockError::Error(_))) | Err(_) => Ok(()),
    }
}

/// Gives every file and directory that waits its mode and owner. The names that this machine does not know.
fn own(unpacked: &Unpacked) -> Result<BTreeSet<String>, String> {
    let mut unknown = BTreeSet::new();
    let files = unpacked.manifest.files.iter().map(|file| (&file.path, &file.owned));
    let folders = unpacked.manifest.folders.iter().map(|folder| (&folder.path, &folder.owned));
    for (path, owned) in folders.chain(files) {
        // A tree's own directory stays whose it is.
        let Some((tree, below)) = Tree::of(path) else { continue };
        let Some(waiting) = unpacked.trees.get(&tree) else { continue };
        let path = waiting.from.join(below);
        // A directory without files is not there.
        if path.symlink_metadata().is_ok() {
            unknown.extend(
                owner::give(&path, owned)
                    .map_err(|error| format!("{}: {error}", path.display()))?,
            );
        }
    }
    Ok(unknown)
}

/// What is to be renamed: what is there goes aside, if that was allowed, and what waits goes there.
fn plan(unpacked: &Unpacked, force: bool) -> Result<Vec<Move>, String> {
    let mut aside = Vec::new();
    let mut into = Vec::new();
    for (tree, waiting) in &unpacked.trees {
        for piece in pieces(*tree, waiting) {
            let to = waiting.dir.join(&piece);
            if to.symlink_metadata().is_ok() {
                aside.push(Move { from: to.clone(), to: moves::aside(&to) });
            }
            into.push(Move { from: waiting.from.join(&piece), to });
        }
    }
    if let (Some(first), false) = (aside.first(), force) {
        return Err(format!(
            "{} and {} more exist already; nothing was changed. --force replaces them and keeps the old ones with the suffix .before-restore",
            first.from.display(),
            aside.len() - 1
        ));
    }
    aside.extend(into);
    Ok(aside)
}

/// What is renamed at once. Of the state directories whole directories, so that old and new days do not mix; of the
/// configuration's single files, for other files lie beside them.
fn pieces(tree: Tree, waiting: &Waiting) -> BTreeSet<PathBuf> {
    let files = waiting.files.iter();
    match tree {
        Tree::Config | Tree::Segment => files.cloned().collect(),
        Tree::State | Tree::Ledger => files.filter_map(|file| top(file)).collect(),
    }
}

fn top(file: &Path) -> Option<PathBuf> {
    file.components().next().map(|part| match part {
        Component::Normal(name) => PathBuf::from(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
            PathBuf::new()
        }
    })
}
