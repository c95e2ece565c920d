//! Puts files into place: all or none, and never over another's without being told to.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::{Access, Entry};

/// Most bytes of a file that is compared, and of the list of groups.
const OLD_BYTES: u64 = 4 * 1024 * 1024;
/// The gateway's group.
const GROUP: &str = "camlock";

/// Writes all, or nothing if one is there and differs; with `force` the old one becomes `FILE.old`. What was done, or would
/// change, is added to `said`.
pub(super) fn all(
    root: &Path,
    entries: &[Entry],
    force: bool,
    said: &mut Vec<String>,
) -> Result<(), String> {
    let mut different = false;
    for entry in entries {
        let place = place(root, entry);
        let Some(old) = old(&place)? else { continue };
        if old != entry.text {
            different = true;
            said.push(format!("{} exists and would change:", place.display()));
            // A secret of either is not for the screen.
            said.push(match entry.access {
                Access::Everybody => changes(&old, &entry.text),
                Access::Gateway => "  (not shown: it may hold secrets)".to_owned(),
            });
        }
    }
    if different && !force {
        return Err(
            "nothing was written; --force replaces them, and keeps the old ones as FILE.old"
                .to_owned(),
        );
    }
    let group = group(root);
    if group.is_none() {
        said.push(format!("Note: no group {GROUP}: only root can read the configuration"));
    }
    for entry in entries {
        let place = place(root, entry);
        put(&place, entry, group).map_err(|error| format!("{}: {error}", place.display()))?;
        said.push(format!("wrote {}", place.display()));
    }
    Ok(())
}

fn place(root: &Path, entry: &Entry) -> PathBuf {
    root.join(entry.path.trim_start_matches('/'))
}

fn old(place: &Path) -> Result<Option<String>, String> {
    match File::open(place) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(OLD_BYTES)
                .read_to_end(&mut bytes)
                .map_err(|error| format!("{}: {error}", place.display()))?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", place.display())),
    }
}

/// Lines that go and lines that come.
fn changes(old: &str, new: &str) -> String {
    let only = |these: &str, those: &str, sign: char| -> Vec<String> {
        let missing = these.lines().filter(|line| !those.lines().any(|other| other == *line));
        missing.map(|line| format!("  {sign} {}", line.replace(char::is_control, "?"))).collect()
    };
    [only(old, new, '-'), only(new, old, '+')].concat().join("\n")
}

fn put(place: &Path, entry: &Entry, group: Option<u32>) -> io::Result<()> {
    if let Some(directory) = place.parent() {
        fs::create_dir_all(directory)?;
    }
    let suffixed = |suffix: &str| {
        let mut name = place.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let fresh = suffixed(".new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(entry.text.as_bytes())?;
    match (entry.access, group) {
        (Access::Everybody, _) => file.set_permissions(Permissions::from_mode(0o644))?,
        (Access::Gateway, Some(group)) => {
            chown(&fresh, None, Some(group))?;
            file.set_permissions(Permissions::from_mode(0o640))?;
        }
        (Access::Gateway, None) => {}
    }
    file.sync_all()?;
    if old(place).is_ok_and(|old| old.is_some_and(|old| old != entry.text)) {
        fs::rename(place, suffixed(".old"))?;
    }
    fs::rename(&fresh, place)
}

/// The number of the gateway's group in that system.
fn group(root: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(root.join("etc/group")).ok()?.take(OLD_BYTES).read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(GROUP)?.strip_prefix(':'))?;
    line.split(':').nth(1)?.parse().ok()
}
