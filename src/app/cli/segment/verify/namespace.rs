//! Doing something in another network namespace.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Runs `work` in the network that `pin` names, on a thread that ends with it: a thread that moved has no way back.
/// Sockets that it opens stay of that network.
pub(super) fn within<T: Send>(pin: &Path, work: impl FnOnce() -> T + Send) -> Result<T, String> {
    let name = pin.display();
    let file = File::open(pin).map_err(|error| format!("no network namespace {name}: {error}"))?;
    let moved = || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| format!("cannot enter {name}: {error}; it needs root"))?;
        Ok(work())
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, moved);
        let thread = thread.map_err(|error| format!("no thread: {error}"))?;
        thread.join().map_err(|_| format!("a thread in {name} failed"))?
    })
}
