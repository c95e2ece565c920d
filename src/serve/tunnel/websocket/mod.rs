//! RTSP over WebSocket (RFC 6455, subprotocol of ONVIF's streaming specification): binary messages whose
//! payloads, joined, are what RTSP over TCP would carry.

mod frame;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod handshake;
mod socket;
#[cfg(test)]
mod tests;

pub(super) use handshake::{Key, asked};
pub(super) use socket::Socket;
