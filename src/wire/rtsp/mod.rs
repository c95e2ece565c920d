//! RTSP/1.0 (RFC 2326) grammar: messages, typed headers, interleaved frames, session descriptions.
//! Used towards cameras and towards clients; pure.
//!
//! Parse loosely what real peers send, write strictly. What does *not* belong here: sessions, sockets, time.

mod headers;
mod message;
mod sdp;
#[cfg(test)]
pub(crate) mod tests;

pub use headers::{RtpInfo, SessionHeader, Transport, TransportMode};
pub use message::{Decoder, Headers, Item, Method, Request, Response, Violation, reason_phrase};
pub use sdp::{BadDescription, DescribedTrack, MediaSection, SessionDescription, describe};
