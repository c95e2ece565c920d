//! RTSP inside HTTPS and WebSocket: how recorders come in whose only encrypted way is a tunnel.
//!
//! [`Tunnels::enter`] looks at the first bytes of a connection. RTSP goes on as it came. A GET and a POST of
//! one `x-sessioncookie` become one byte stream: what we say leaves as the endless answer to the GET, what
//! the client says comes as base64 in the endless body of the POST (QuickTime's tunnel, which ONVIF's
//! streaming specification asks for). A WebSocket's binary messages, joined, are one too. Both ends of the stream are RTSP's, so is the login.
//!
//! What does *not* belong here: accepting connections and TLS (`listen`), RTSP (`rtsp_server`).

mod base64_stream;
mod decoded;
mod enter;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod head;
mod https;
mod pending;
mod stream;
#[cfg(test)]
mod tests;
mod websocket;

pub use enter::{Entered, NewConnection, Tunnels};
pub use stream::ByteStream;

/// Which tunnels are open. None: the first bytes of a connection are not even looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// RTSP over HTTPS; over HTTP on listeners without TLS.
    pub https: bool,
    /// RTSP over WebSocket.
    pub websocket: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { https: true, websocket: true }
    }
}

impl Settings {
    /// None.
    pub const CLOSED: Self = Self { https: false, websocket: false };
}
