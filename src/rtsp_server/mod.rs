//! RTSP/1.0 for clients (RFC 2326) over any byte stream: interleaved RTP, sessions bound to their
//! connection and principal, nothing without a permit.
//!
//! [`machine`] is the protocol, without I/O. What does *not* belong here: accepting
//! connections and TLS (`listen`), credentials (`auth`), packetisation (`rtp`).

pub mod machine;
