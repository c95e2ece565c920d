//! Owners by name: a user has another number on another machine.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};

use super::manifest::Owned;

/// Whose a file is.
pub(super) fn of(metadata: &Metadata) -> Owned {
    let user = User::from_uid(Uid::from_raw(metadata.uid())).ok().flatten();
    let group = Group::from_gid(Gid::from_raw(metadata.gid())).ok().flatten();
    Owned {
        mode: metadata.mode() & 0o777,
        user: user.map_or_else(|| metadata.uid().to_string(), |user| user.name),
        group: group.map_or_else(|| metadata.gid().to_string(), |group| group.name),
    }
}

/// Gives a file its mode and, if this process may, its owners. A name that this machine does not know is returned.
pub(super) fn give(path: &Path, owned: &Owned) -> io::Result<Option<String>> {
    let user = User::from_name(&owned.user).ok().flatten().map(|user| user.uid.as_raw());
    let group = Group::from_name(&owned.group).ok().flatten().map(|group| group.gid.as_raw());
    let user = user.or_else(|| owned.user.parse().ok());
    let group = group.or_else(|| owned.group.parse().ok());
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(path, user, group)?;
    }
    // Never set-user-id, whatever the archive says.
    let mode = std::fs::Permissions::from_mode(owned.mode & 0o777);
    std::fs::set_permissions(path, mode)?;
    Ok(match (user, group) {
        (None, _) => Some(owned.user.clone()),
        (Some(_), None) => Some(owned.group.clone()),
        (Some(_), Some(_)) => None,
    })
}
