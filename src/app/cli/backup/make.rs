//! `camlock backup`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use ring::digest::{Context, SHA256};

use super::manifest::{self, Folder, Manifest};
use super::{Places, Tree, owner};
use crate::app::cli::check;
use crate::app::config::{self, Surroundings};
use crate::ops::limits;
use crate::segment::now_ms;

/// Options of `camlock backup`.
#[derive(Debug, Args)]
pub(in crate::app::cli) struct BackupOptions {
    #[command(flatten)]
    pub(super) places: Places,
    /// File to write; it must not exist yet. It will hold private keys and passwords: mode 0600.
    #[arg(long, value_name = "FILE")]
    pub(super) output: PathBuf,
}

/// Makes the file, whole or not at all.
pub(super) fn run(options: &BackupOptions) -> Result<Vec<String>, String> {
    let name = options.output.display();
    let mut open = OpenOptions::new();
    let file = open.write(true).create_new(true).mode(0o600).open(&options.output);
    let file = file.map_err(|error| format!("{name}: {error}"))?;
    let made = make(&options.places, file);
    if made.is_err() {
        // Half a backup is worse than none.
        drop(fs::remove_file(&options.output));
    }
    let (manifest, mut lines) = made?;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    lines.push(format!("{name}: {} files, {bytes} bytes", manifest.files.len()));
    lines.push(
        "It holds private keys and passwords in the clear: store it as safely as those.".to_owned(),
    );
    Ok(lines)
}

fn make(places: &Places, file: File) -> Result<(Manifest, Vec<String>), String> {
    let mut archive = Archive::new(file);
    let mut notes = Vec::new();
    archive.config(places, &mut notes)?;
    archive.tree(Tree::State, &places.state_dir, &mut notes)?;
    archive.segment(places, &mut notes)?;
    archive.ledger(places, &mut notes)?;
    if archive.manifest.files.is_empty() {
        return Err("nothing to back up: none of the files and directories exists".to_owned());
    }
    let manifest = archive.finish().map_err(|error| format!("cannot write: {error}"))?;
    Ok((manifest, notes))
}

struct Archive {
    tar: tar::Builder<File>,
    manifest: Manifest,
    bytes: u64,
}

impl Archive {
    fn new(file: File) -> Self {
        let manifest = Manifest {
            camlock_backup: manifest::FORM,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time_ms: now_ms(),
            files: Vec::new(),
            folders: Vec::new(),
        };
        Self { tar: tar::Builder::new(file), manifest, bytes: 0 }
    }

    /// The configuration, and the files it names in its directory.
    fn config(&mut self, places: &Places, notes: &mut Vec<String>) -> Result<(), String> {
        if !places.config.exists() {
            notes.push(format!("{}: does not exist, left out", places.config.display()));
            return Ok(());
        }
        let dir = fs::canonicalize(Tree::Config.dir(places))
            .map_err(|error| told(&places.config, &error))?;
        for file in named(&places.config) {
            let real = fs::canonicalize(&file).map_err(|error| told(&file, &error))?;
            match real.strip_prefix(&dir) {
                Ok(below) => self.file(Tree::Config, &real, below)?,
                Err(_) => notes.push(format!(
                    "{}: left out, because it is not in {}; copy it by hand",
                    file.display(),
                    dir.display()
                )),
            }
        }
        Ok(())
    }

    fn segment(&mut self, places: &Places, notes: &mut Vec<String>) -> Result<(), String> {
        let file = &places.segment_file;
        match file.file_name() {
            Some(name) if file.exists() => self.file(Tree::Segment, file, Path::new(name)),
            Some(_) | None => {
                notes.push(format!("{}: does not exist, left out", file.display()));
                Ok(())
            }
        }
    }

    /// The newest checkpoint first: the days that are read after it have all that it vouches for.
    fn ledger(&mut self, places: &Places, notes: &mut Vec<String>) -> Result<(), String> {
        let copy = places.segment_state_dir.join("checkpoint.json");
        if copy.exists() {
            self.file(Tree::Ledger, &copy, Path::new("checkpoint.json"))?;
        }
        self.tree(Tree::Ledger, &places.segment_state_dir, notes)
    }

    fn tree(&mut self, tree: Tree, dir: &Path, notes: &mut Vec<String>) -> Result<(), String> {
        if dir.exists() {
            self.folder(tree, dir, Path::new(""), 0)
        } else {
            notes.push(format!("{}: does not exist, left out", dir.display()));
            Ok(())
        }
    }

    fn folder(&mut self, tree: Tree, dir: &Path, below: &Path, depth: usize) -> Result<(), String> {
        if depth >= limits::BACKUP_DEPTH {
            return Err(format!(
                "{}: directories are deeper than {}",
                dir.display(),
                limits::BACKUP_DEPTH
            ));
        }
        let metadata = fs::metadata(dir).map_err(|error| told(dir, &error))?;
        let path = archived(tree, below)?;
        self.manifest.folders.push(Folder { path, owned: owner::of(&metadata) });
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| told(dir, &error))? {
            entries.push(entry.map_err(|error| told(dir, &error))?);
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type().map_err(|error| told(&entry.path(), &error))?;
            let below = below.join(entry.file_name());
            if kind.is_dir() {
                self.folder(tree, &entry.path(), &below, depth + 1)?;
            } else if kind.is_file() && !passing(&below) {
                self.file(tree, &entry.path(), &below)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, tree: Tree, file: &Path, below: &Path) -> Result<(), String> {
        let path = archived(tree, below)?;
        // The checkpoint came first.
        if self.manifest.files.iter().rev().any(|known| known.path == path) {
            return Ok(());
        }
        if self.manifest.files.len() >= limits::BACKUP_FILES {
            return Err(format!("more than {} files", limits::BACKUP_FILES));
        }
        let added = self.add(file, path).map_err(|error| told(file, &error))?;
        self.bytes = self.bytes.saturating_add(added.bytes);
        if self.bytes > limits::BACKUP_BYTES {
            return Err(format!("more than {} bytes", limits::BACKUP_BYTES));
        }
        self.manifest.files.push(added);
        Ok(())
    }

    fn add(&mut self, file: &Path, path: String) -> io::Result<manifest::File> {
        let mut source = File::open(file)?;
        let metadata = source.metadata()?;
        let lines = path.ends_with(".jsonl");
        let bytes = if lines { whole_lines(&mut source, metadata.len())? } else { metadata.len() };
        let mut reader =
            Hashing { source: source.take(bytes), sha256: Context::new(&SHA256), read: 0 };
        self.tar.append_data(&mut header(bytes), &path, &mut reader)?;
        if reader.read != bytes {
            return Err(io::Error::other("it changed while it was read; try again"));
        }
        Ok(manifest::File { path, bytes, sha256: hex(reader.sha256), owned: owner::of(&metadata) })
    }

    fn finish(mut self) -> io::Result<Manifest> {
        let text = serde_json::to_vec_pretty(&self.manifest)?;
        self.tar.append_data(&mut header(text.len() as u64), manifest::NAME, text.as_slice())?;
        let mut file = self.tar.into_inner()?;
        file.flush()?;
        file.sync_all()?;
        Ok(self.manifest)
    }
}

/// The configuration and what it reads, as far as that is files.
fn named(config: &Path) -> BTreeSet<PathBuf> {
    let real = check::surroundings();
    let named = RefCell::new(BTreeSet::from([config.to_path_buf()]));
    let read_file = |path: &Path| {
        let bytes = (real.read_file)(path);
        if bytes.is_ok() {
            named.borrow_mut().insert(path.to_path_buf());
        }
        bytes
    };
    if let Ok(bytes) = (real.read_file)(config) {
        let text = String::from_utf8_lossy(&bytes);
        let surroundings = Surroundings { read_file: &read_file, env: real.env };
        // A file with faults is kept as it is.
        drop(config::load(&config.display().to_string(), &text, surroundings));
    }
    named.into_inner()
}

/// What only lives while a program runs, or was left by a crash.
fn passing(below: &Path) -> bool {
    below == Path::new("ledger/lock") || below.extension().is_some_and(|end| end == "new")
}

/// The length up to the last newline: a service may be writing the line behind it.
fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    let most = limits::LEDGER_BATCH_BYTES as u64 * 2;
    let start = length.saturating_sub(most);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    (&*file).take(length - start).read_to_end(&mut tail)?;
    file.rewind()?;
    Ok(tail.iter().rposition(|b| *b == b'\n').map_or(length, |end| start + end as u64 + 1))
}

struct Hashing<R> {
    source: R,
    sha256: Context,
    read: u64,
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.sha256.update(buffer.get(..read).unwrap_or_default());
        self.read += read as u64;
        Ok(read)
    }
}

/// All files are the owner's only in the archive; the manifest says what they were.
fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(0);
    header
}

pub(super) fn hex(context: Context) -> String {
    crate::ops::hex::encode(context.finish().as_ref())
}

/// A path of the archive, which its reader takes.
fn archived(tree: Tree, below: &Path) -> Result<String, String> {
    let bad = || format!("{}: a backup cannot hold this file name", below.display());
    let below = below.to_str().ok_or_else(bad)?;
    if below.is_empty() {
        return Ok(tree.name().to_owned());
    }
    let path = format!("{}/{below}", tree.name());
    if Tree::of(&path).is_some() { Ok(path) } else { Err(bad()) }
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
