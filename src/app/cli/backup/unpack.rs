//! An archive taken apart, each of its files beside where it belongs. It may be hostile.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::make::hex;
use super::manifest::{self, Manifest};
use super::{Places, Tree};
use crate::ops::limits;
use crate::ops::state_dir;

/// Where files wait, in the directory that they are for: on the same disk, so that one rename puts them into place.
const WAITING: &str = ".restore";

/// The files of an archive, unpacked and checked. Dropped, what still waits is deleted.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) manifest: Manifest,
    pub(super) trees: BTreeMap<Tree, Waiting>,
}

/// A tree that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Where it is for.
    pub(super) dir: PathBuf,
    /// Where it waits.
    pub(super) from: PathBuf,
    /// Its files, below both.
    pub(super) files: Vec<PathBuf>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.from));
    }
}

/// Unpacks and checks: every file is listed with its hash, and nothing else is there.
pub(super) fn unpack(archive: impl Read, places: &Places) -> Result<Unpacked, String> {
    let mut reading = Reading::default();
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().map_err(|error| not_one(&error))?.raw(true);
    for entry in entries {
        if reading.manifest.is_some() {
            return Err("not a Camlock backup: data after its manifest".to_owned());
        }
        reading.entry(entry.map_err(|error| not_one(&error))?, places)?;
    }
    let manifest = reading.manifest.ok_or("no manifest: not a Camlock backup, or truncated")?;
    if manifest.camlock_backup != manifest::FORM {
        return Err(format!(
            "made by Camlock {}; this version cannot read its backups",
            super::moves::quoted(&manifest.version)
        ));
    }
    compare(&manifest, &reading.hashes)?;
    Ok(Unpacked { manifest, trees: reading.trees })
}

#[derive(Default)]
struct Reading {
    trees: BTreeMap<Tree, Waiting>,
    hashes: BTreeMap<String, (u64, String)>,
    bytes: u64,
    manifest: Option<Manifest>,
}

impl Reading {
    fn entry(
        &mut self,
        mut entry: tar::Entry<'_, impl Read>,
        places: &Places,
    ) -> Result<(), String> {
        let path = entry.path_bytes().into_owned();
        let path =
            String::from_utf8(path).map_err(|_| "not a Camlock backup: a name is not UTF-8")?;
        let shown = super::moves::quoted(&path);
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(format!("not a Camlock backup: {shown} is not a file"));
        }
        let size = entry.size();
        if path == manifest::NAME {
            return self.manifest(&mut entry, size);
        }
        let Some((tree, below)) = Tree::of(&path) else {
            return Err(format!("not a Camlock backup: it has the name {shown}"));
        };
        self.bytes = self.bytes.saturating_add(size);
        if self.hashes.len() >= limits::BACKUP_FILES || self.bytes > limits::BACKUP_BYTES {
            return Err("more files or bytes than a backup may have".to_owned());
        }
        if self.hashes.contains_key(&path) {
            return Err(format!("not a Camlock backup: {shown} is in it twice"));
        }
        let waiting = self.waiting(tree, places)?;
        let written = write(&waiting.from.join(below), &mut entry);
        let hash = written.map_err(|error| format!("{shown}: cannot be unpacked: {error}"))?;
        waiting.files.push(below.to_path_buf());
        self.hashes.insert(path, (size, hash));
        Ok(())
    }

    fn manifest(&mut self, entry: &mut impl Read, size: u64) -> Result<(), String> {
        if size > limits::BACKUP_MANIFEST_BYTES {
            return Err("not a Camlock backup: its manifest is too long".to_owned());
        }
        let mut text = Vec::new();
        entry.take(size).read_to_end(&mut text).map_err(|error| not_one(&error))?;
        let manifest = serde_json::from_slice(&text);
        self.manifest =
            Some(manifest.map_err(|error| format!("its manifest cannot be read: {error}"))?);
        Ok(())
    }

    fn waiting(&mut self, tree: Tree, places: &Places) -> Result<&mut Waiting, String> {
        match self.trees.entry(tree) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(new) => {
                let dir = tree.dir(places);
                let from = dir.join(format!("{WAITING}-{}", tree.name()));
                make(&from).map_err(|error| format!("{}: {error}", from.display()))?;
                Ok(new.insert(Waiting { dir, from, files: Vec::new() }))
            }
        }
    }
}

/// A new, empty directory; one that a crash left is deleted.
fn make(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    state_dir::make(dir)
}

fn write(path: &Path, entry: &mut impl Read) -> io::Result<String> {
    if let Some(dir) = path.parent() {
        state_dir::make(dir)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut sha256 = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = entry.read(&mut buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        sha256.update(bytes);
        file.write_all(bytes)?;
    }
    file.sync_all()?;
    Ok(hex(sha256))
}

fn compare(manifest: &Manifest, hashes: &BTreeMap<String, (u64, String)>) -> Result<(), String> {
    let mut listed = BTreeSet::new();
    for file in &manifest.files {
        let shown = super::moves::quoted(&file.path);
        match hashes.get(&file.path) {
            Some((bytes, hash)) if *bytes == file.bytes && *hash == file.sha256 => {}
            Some(_) => {
                return Err(format!(
                    "{shown} does not match the manifest: the backup was altered or is damaged"
                ));
            }
            None => {
                return Err(format!("{shown} is missing: the backup was altered or is damaged"));
            }
        }
        listed.insert(&file.path);
    }
    if listed.len() == hashes.len() {
        Ok(())
    } else {
        Err("files that the manifest does not list: the backup was altered".to_owned())
    }
}

fn not_one(error: &io::Error) -> String {
    format!("it cannot be read as a backup: {error}")
}

/// Opens an archive.
pub(super) fn open(path: &Path) -> Result<io::BufReader<File>, String> {
    File::open(path).map(io::BufReader::new).map_err(|error| format!("{}: {error}", path.display()))
}
