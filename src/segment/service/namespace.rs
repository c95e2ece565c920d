//! Which network namespace this process is in.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A network namespace: the same numbers, the same namespace, for as long as somebody holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace {
    device: u64,
    inode: u64,
}

impl Namespace {
    /// That of the calling thread.
    pub fn own() -> io::Result<Self> {
        Self::of(Path::new("/proc/thread-self/ns/net"))
    }

    /// Whether a file pins this one. One that is not there pins none.
    pub fn is_pinned_at(self, pin: &Path) -> bool {
        Self::of(pin).is_ok_and(|pinned| pinned == self)
    }

    fn of(file: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(file)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_file_pins_it() {
        let own = Namespace::own().unwrap();
        assert!(own.is_pinned_at(Path::new("/proc/self/ns/net")));
        assert!(!own.is_pinned_at(Path::new("/proc/self/ns/mnt")));
        assert!(!own.is_pinned_at(Path::new("/run/netns/camlock-no-such-namespace")));
    }
}
