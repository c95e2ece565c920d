//! What the service manager gives a process, and what it is told: listening sockets, readiness, the watchdog.
//!
//! Without a service manager all of it does nothing. What does *not* belong here: what the process does with it.

mod notify;
mod progress;
mod sockets;

pub use notify::{feed, ready, reloading, stopping, watchdog};
pub use progress::{Progress, Watched};
pub use sockets::{BadSockets, Sockets};
