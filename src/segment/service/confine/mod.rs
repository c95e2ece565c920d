//! What the segment's service gives up before it reads a byte of a device: capabilities, new privileges, files, and
//! all system calls that it does not need.
//!
//! It holds for the calling thread and those that it makes later, so it comes before the runtime. What the kernel
//! does not offer is told, and the service runs without it.

mod calls;

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// What the service keeps of the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Directories to read and write: the state directory.
    pub write: Vec<PathBuf>,
    /// Directories to read files of: that of the segment file.
    pub read: Vec<PathBuf>,
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confined {
    /// Whether the kernel restricts files (Landlock).
    pub files: Files,
}

/// What the kernel restricts of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// All that was asked for.
    All,
    /// Not all: an old kernel.
    Some,
    /// Nothing: no Landlock.
    None,
}

/// The kernel did not take what every kernel takes.
#[derive(Debug, thiserror::Error)]
pub enum CannotConfine {
    /// Capabilities or new privileges.
    #[error("cannot drop privileges: {0}")]
    Privileges(#[from] rustix::io::Errno),
    /// The rules for files.
    #[error("cannot restrict files: {0}")]
    Files(#[from] landlock::RulesetError),
    /// A directory that is kept.
    #[error("cannot restrict files: {0}")]
    Directory(#[from] landlock::PathFdError),
    /// The filter of system calls.
    #[error("cannot restrict system calls: {0}")]
    Calls(String),
}

/// Gives up everything but `keep` and what is open already.
pub fn confine(keep: &Keep) -> Result<Confined, CannotConfine> {
    for capability in CapabilitySet::all() {
        // Root only, and without a program to start it is of no more than one use; so the failure is none.
        let _without_right = remove_capability_from_bounding_set(capability);
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)?;
    let files = files(keep)?;
    calls::restrict().map_err(CannotConfine::Calls)?;
    Ok(Confined { files })
}

fn files(keep: &Keep) -> Result<Files, CannotConfine> {
    let abi = ABI::V6;
    let beneath =
        |path: &Path, access| Ok::<_, CannotConfine>(PathBeneath::new(PathFd::new(path)?, access));
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        // Nothing is bound any more; to connect is the door's trade, and the packet filter's to judge.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(abi))?
        .create()?;
    for path in &keep.write {
        let all = AccessFs::from_all(abi);
        rules = rules.add_rule(beneath(path, all & !AccessFs::Execute & !DEVICES)?)?;
    }
    for path in &keep.read {
        rules = rules.add_rule(beneath(path, AccessFs::ReadFile.into())?)?;
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Files::All,
        RulesetStatus::PartiallyEnforced => Files::Some,
        RulesetStatus::NotEnforced => Files::None,
    })
}

/// Devices are nothing to make or to talk to.
const DEVICES: landlock::BitFlags<AccessFs> = landlock::make_bitflags!(AccessFs::{MakeChar | MakeBlock | MakeFifo | MakeSock | MakeSym | IoctlDev});

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::PermissionDenied;
    use std::io::Write as _;
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// Runs in a thread of its own, which alone is confined.
    fn confined<T: Send + 'static>(
        keep: &Path,
        look: impl FnOnce(Confined) -> T + Send + 'static,
    ) -> T {
        let keep = Keep { write: vec![keep.to_owned()], read: Vec::new() };
        let thread = std::thread::spawn(move || look(confine(&keep).unwrap()));
        thread.join().unwrap()
    }

    fn directory(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("camlock-confine-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn what_is_left_is_what_the_service_needs() {
        let dir = directory("left");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let file = dir.join("ledger");
        confined(&dir, move |_| {
            let mut written = std::fs::File::create(&file).unwrap();
            written.write_all(b"line\n").unwrap();
            written.sync_all().unwrap();
            std::fs::rename(&file, file.with_extension("old")).unwrap();
            let camera = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            camera.connect(&address.into()).unwrap();
            std::os::unix::net::UnixDatagram::unbound().unwrap();
            std::thread::spawn(|| 1).join().unwrap();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                let hangup = tokio::signal::unix::SignalKind::hangup();
                drop(tokio::signal::unix::signal(hangup).unwrap());
            });
        });
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn all_else_is_given_up() {
        let dir = directory("gone");
        // As root all of it works before: else the test proves nothing.
        let root = rustix::process::geteuid().is_root();
        let raw = || Socket::new(Domain::PACKET, Type::RAW, None).map(drop);
        assert!(!root || raw().is_ok(), "{:?}", raw());
        std::process::Command::new("/bin/true").status().unwrap();
        assert!(std::fs::read("/etc/passwd").is_ok());
        confined(&dir, move |Confined { files }| {
            let denied = |done: std::io::Result<()>| {
                assert_eq!(done.map_err(|error| error.kind()), Err(PermissionDenied));
            };
            denied(raw());
            denied(Socket::new(Domain::IPV4, Type::RAW, None).map(drop));
            denied(Socket::new(Domain::IPV4, Type::DGRAM, None).map(drop));
            denied(Socket::new(Domain::IPV6, Type::STREAM, None).map(drop));
            denied(std::process::Command::new("/bin/true").status().map(drop));
            denied(std::os::unix::fs::chown("/", Some(0), Some(0)));
            let error = |done: rustix::io::Result<()>| done.map_err(std::io::Error::from);
            denied(error(rustix::process::chroot("/")));
            denied(error(rustix::thread::move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&std::io::stderr()),
                None,
            )));
            denied(TcpListener::bind("127.0.0.1:0").map(drop));
            if files == Files::None {
                eprintln!("left out: this kernel has no Landlock");
            } else {
                denied(std::fs::read("/etc/passwd").map(drop));
                denied(std::fs::write("/tmp/camlock-confine", "x"));
            }
            let capabilities = rustix::thread::capabilities(None);
            assert!(capabilities.is_err(), "{capabilities:?}");
        });
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
