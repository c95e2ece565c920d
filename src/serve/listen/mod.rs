//! Accept loops: who may connect at once, for how long before login, and the TLS handshake.
//!
//! A listener hands finished connections to a handler and owns their tasks: its drop ends them all. One that is
//! told to stop takes no more, and tells the handlers. What
//! happens on a connection (first byte, requests, login time) is the handler's.

mod accept;
mod open;
#[cfg(test)]
mod tests;

pub use accept::{Accepted, CannotListen, ClientStream, Encryption, Gate, Listener};
pub use open::Stop;
