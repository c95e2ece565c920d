//! Round trips, refusals, hostile archives.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::ops::limits;
use crate::trust::pki::tests::TestDir;

struct Box_ {
    dir: TestDir,
}

impl Box_ {
    fn new() -> Self {
        Self { dir: TestDir::new() }
    }

    fn places(&self) -> Places {
        Places {
            config: self.dir.path("etc/camlock.toml"),
            state_dir: self.dir.path("state"),
            segment_file: self.dir.path("etc/segment.toml"),
            segment_state_dir: self.dir.path("segment-state"),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// All files and what is in them.
    fn content(&self) -> Vec<(String, Vec<u8>, u32)> {
        let root = self.dir.path("");
        let mut all = Vec::new();
        walk(&root, &mut |path| {
            let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            all.push((name, fs::read(path).unwrap(), mode));
        });
        all.sort();
        all
    }

    fn backup(&self, to: &Path) -> Result<Vec<String>, String> {
        make::run(&BackupOptions { places: self.places(), output: to.to_path_buf() })
    }

    fn restore(&self, file: &Path, force: bool) -> Result<Vec<String>, String> {
        restore::run(&RestoreOptions { places: self.places(), file: file.to_path_buf(), force })
    }
}

fn walk(dir: &Path, f: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, f) } else { f(&path) }
    }
}

fn a_box() -> Box_ {
    let a = Box_::new();
    a.write("etc/segment.toml", b"[segment]\n");
    a.write("etc/camlock.toml", b"not = \"whole\"\n");
    a.write("state/pki/ca.key", b"secret");
    a.write("state/pki/server.pem", &[0, 255, 13, 10]);
    a.write("segment-state/ledger/2026-11-29.jsonl", b"{}\n{}\n");
    a.write("segment-state/ledger.key", b"key");
    a.write("segment-state/checkpoint.json", b"{}\n");
    fs::set_permissions(a.dir.path("state/pki/ca.key"), fs::Permissions::from_mode(0o640)).unwrap();
    a
}

#[test]
fn what_was_backed_up_is_restored_byte_for_byte() {
    let (a, b, other) = (a_box(), Box_::new(), TestDir::new());
    let file = other.path("backup.tar");
    a.backup(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    b.restore(&file, false).unwrap();
    assert_eq!(b.content(), a.content());
    // A second one would overwrite.
    let why = b.restore(&file, false).unwrap_err();
    assert!(why.contains("exist already"), "{why}");
    assert_eq!(b.content(), a.content());
    b.write("state/pki/ca.key", b"newer");
    b.restore(&file, true).unwrap();
    assert_eq!(fs::read(b.dir.path("state/pki/ca.key")).unwrap(), b"secret");
    assert_eq!(fs::read(b.dir.path("state/pki.before-restore/ca.key")).unwrap(), b"newer");
    // What is kept beside is not overwritten either.
    let before = b.content();
    assert!(b.restore(&file, true).unwrap_err().contains("nothing was changed"));
    assert_eq!(b.content(), before);
}

#[test]
fn a_line_that_is_being_written_is_left_out() {
    let (a, b, other) = (a_box(), Box_::new(), TestDir::new());
    a.write("segment-state/ledger/2026-11-29.jsonl", b"{}\n{}\n{\"seq");
    a.write("segment-state/ledger/lock", b"");
    a.write("segment-state/checkpoint.new", b"");
    a.backup(&other.path("a.tar")).unwrap();
    b.restore(&other.path("a.tar"), false).unwrap();
    assert_eq!(fs::read(b.dir.path("segment-state/ledger/2026-11-29.jsonl")).unwrap(), b"{}\n{}\n");
    assert!(!b.dir.path("segment-state/checkpoint.new").exists());
}

#[test]
fn no_backup_is_overwritten_and_nothing_makes_none() {
    let (a, other) = (a_box(), TestDir::new());
    let file = other.path("a.tar");
    a.backup(&file).unwrap();
    assert!(a.backup(&file).unwrap_err().contains("exists"));
    assert!(Box_::new().backup(&other.path("b.tar")).unwrap_err().contains("nothing to back up"));
    assert!(!other.path("b.tar").exists());
}

#[test]
fn a_running_service_is_not_robbed_of_its_ledger() {
    let (a, other) = (a_box(), TestDir::new());
    let file = other.path("a.tar");
    a.backup(&file).unwrap();
    a.write("segment-state/ledger/lock", b"");
    let lock = fs::File::open(a.dir.path("segment-state/ledger/lock")).unwrap();
    lock.lock().unwrap();
    let why = a.restore(&file, true).unwrap_err();
    assert!(why.contains("service is running"), "{why}");
}

#[test]
fn a_changed_or_cut_backup_changes_nothing() {
    let (a, other) = (a_box(), TestDir::new());
    let file = other.path("a.tar");
    a.backup(&file).unwrap();
    let whole = fs::read(&file).unwrap();
    let empty = Box_::new();
    for length in (0..whole.len()).step_by(256) {
        // The two blocks of zeros at the end say nothing.
        if whole[length..].iter().all(|b| *b == 0) {
            continue;
        }
        fs::write(&file, &whole[..length]).unwrap();
        assert!(empty.restore(&file, false).is_err(), "{length}");
        assert_eq!(empty.content(), [], "{length}");
    }
    let at = whole.windows(6).position(|bytes| bytes == b"secret").unwrap();
    let mut changed = whole;
    changed[at] ^= 1;
    fs::write(&file, &changed).unwrap();
    let why = empty.restore(&file, false).unwrap_err();
    assert!(why.contains("does not match the manifest"), "{why}");
    assert_eq!(empty.content(), []);
}

#[test]
fn hostile_archives_write_nowhere() {
    let regular = tar::EntryType::Regular;
    for (name, kind) in [
        ("/etc/passwd", regular),
        ("../evil", regular),
        ("state/../../evil", regular),
        ("state/./a", regular),
        ("state//a", regular),
        ("state/", regular),
        ("state", regular),
        ("other/a", regular),
        ("state/a\nb", regular),
        ("state/a/b/c/d/e/f/g/h/i", regular),
        ("state/a", tar::EntryType::Symlink),
        ("state/a", tar::EntryType::Link),
        ("state/a", tar::EntryType::Directory),
        ("state/a", tar::EntryType::Char),
        ("state/a", tar::EntryType::Fifo),
        ("state/a", tar::EntryType::GNULongName),
        ("state/a", tar::EntryType::XHeader),
        ("state/a", tar::EntryType::GNUSparse),
    ] {
        let (b, other) = (Box_::new(), TestDir::new());
        let file = other.path("evil.tar");
        fs::write(&file, archive(&[(name, kind, b"evil")])).unwrap();
        let why = b.restore(&file, true).unwrap_err();
        assert!(why.contains("not a Camlock backup"), "{name:?}: {why}");
        assert!(!why.contains('\n'), "{why:?}");
        assert_eq!(b.content(), [], "{name:?}");
    }
}

#[test]
fn what_the_manifest_does_not_say_is_refused() {
    let regular = tar::EntryType::Regular;
    let good = manifest_of(&[("state/a", b"a", 0o600)]);
    let both = [("state/a", regular, b"a".as_slice()), ("manifest.json", regular, &good)];
    for (name, files) in [
        ("twice", vec![both[0], both[0], both[1]]),
        ("behind", vec![both[0], both[1], both[0]]),
        ("missing", vec![both[1]]),
        ("unlisted", vec![both[0], ("state/b", regular, b"b"), both[1]]),
        ("no manifest", vec![both[0]]),
        ("not JSON", vec![both[0], ("manifest.json", regular, b"{")]),
        ("a directory as a file", vec![both[0], ("state/a/b", regular, b"b"), both[1]]),
    ] {
        let (b, other) = (Box_::new(), TestDir::new());
        fs::write(other.path("a.tar"), archive(&files)).unwrap();
        assert!(b.restore(&other.path("a.tar"), true).is_err(), "{name}");
        assert_eq!(b.content(), [], "{name}");
    }
    let (b, other) = (Box_::new(), TestDir::new());
    fs::write(other.path("a.tar"), archive(&both)).unwrap();
    b.restore(&other.path("a.tar"), false).unwrap();
    assert_eq!(b.content(), [("state/a".to_owned(), b"a".to_vec(), 0o600)]);
}

#[test]
fn no_file_becomes_set_user_id() {
    let manifest = manifest_of(&[("state/a", b"a", 0o6755)]);
    let regular = tar::EntryType::Regular;
    let (b, other) = (Box_::new(), TestDir::new());
    let files = [("state/a", regular, b"a".as_slice()), ("manifest.json", regular, &manifest)];
    fs::write(other.path("a.tar"), archive(&files)).unwrap();
    b.restore(&other.path("a.tar"), false).unwrap();
    let mode = fs::metadata(b.dir.path("state/a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn a_link_that_waits_in_the_way_is_not_followed() {
    let (a, b, other) = (a_box(), Box_::new(), TestDir::new());
    a.backup(&other.path("a.tar")).unwrap();
    fs::create_dir_all(b.dir.path("state")).unwrap();
    fs::create_dir_all(other.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(other.path("elsewhere"), b.dir.path("state/pki")).unwrap();
    assert!(b.restore(&other.path("a.tar"), false).is_err());
    b.restore(&other.path("a.tar"), true).unwrap();
    assert_eq!(fs::read_dir(other.path("elsewhere")).unwrap().count(), 0);
    assert!(b.dir.path("state/pki.before-restore").is_symlink());
}

#[test]
fn bounds_hold() {
    let deep = |depth: usize| format!("state/{}", vec!["a"; depth].join("/"));
    assert!(Tree::of(&deep(limits::BACKUP_DEPTH)).is_some());
    assert!(Tree::of(&deep(limits::BACKUP_DEPTH + 1)).is_none());
    let a = a_box();
    let other = TestDir::new();
    a.write(&format!("state/{}/x", ["a"; limits::BACKUP_DEPTH].join("/")), b"");
    assert!(a.backup(&other.path("a.tar")).unwrap_err().contains("deeper"));
    assert!(!other.path("a.tar").exists());
    // The sizes that headers claim count before a byte is written.
    let mut header = tar::Header::new_ustar();
    header.set_path("state/a").unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(limits::BACKUP_BYTES + 1);
    header.set_cksum();
    let b = Box_::new();
    fs::write(other.path("b.tar"), header.as_bytes()).unwrap();
    assert!(b.restore(&other.path("b.tar"), false).unwrap_err().contains("more files or bytes"));
    header.set_path("manifest.json").unwrap();
    header.set_size(limits::BACKUP_MANIFEST_BYTES + 1);
    header.set_cksum();
    fs::write(other.path("b.tar"), header.as_bytes()).unwrap();
    assert!(b.restore(&other.path("b.tar"), false).unwrap_err().contains("too long"));
}

fn manifest_of(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let files: Vec<_> = files
        .iter()
        .map(|(path, bytes, mode)| {
            let hash = crate::ops::hash_log::Hash::of(bytes).to_string();
            serde_json::json!({ "path": path, "bytes": bytes.len(), "sha256": hash,
                                "mode": mode, "user": "root", "group": "root" })
        })
        .collect();
    let manifest = serde_json::json!({ "camlock_backup": manifest::FORM, "version": "0.1.0", "time_ms": 1,
                                       "files": files, "folders": [] });
    serde_json::to_vec(&manifest).unwrap()
}

/// An archive with names as they are given.
fn archive(files: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o777);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn the_defaults_are_the_package_s() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        places: Places,
    }
    let line: Line = clap::Parser::try_parse_from(["camlock"]).unwrap();
    assert_eq!(line.places.state_dir, PathBuf::from("/var/lib/camlock"));
    assert_eq!(line.places.segment_state_dir, crate::segment::Place::default().state_dir);
    assert_eq!(line.places.segment_file, crate::segment::Place::default().file);
}

#[test]
fn the_manifest_has_this_form() {
    let owned = || manifest::Owned { mode: 0o600, user: "u".to_owned(), group: "g".to_owned() };
    let manifest = manifest::Manifest {
        camlock_backup: manifest::FORM,
        version: "v".to_owned(),
        time_ms: 1,
        files: vec![manifest::File {
            path: "state/a".to_owned(),
            bytes: 2,
            sha256: "00".to_owned(),
            owned: owned(),
        }],
        folders: vec![manifest::Folder { path: "state".to_owned(), owned: owned() }],
    };
    let trees = every!(Tree; Config, State, Segment, Ledger).map(Tree::name).join(" ");
    let manifest_text = serde_json::to_string_pretty(&manifest).unwrap();
    assert_surface!("backup-manifest", format!("{}\n{trees}\n{manifest_text}", manifest::NAME));
}
