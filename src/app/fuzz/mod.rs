//! What must hold of any input whatever: one check for each reader of foreign bytes.
//!
//! Only in test builds and under a fuzzer (`cfg(fuzzing)`). `fuzz/` hands the checks to libFuzzer; the test
//! here runs each over its corpus in `fuzz/corpus`. A check says by a panic what does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in tests: a panic is the verdict"
)]

mod config;
mod digest;
mod frame;
mod media;
mod rtsp;
mod segment;
mod server;

pub use crate::ingest::camera::airlock::fuzz::{airlock_response, depacketise, interleaved};
pub use config::config;
pub use digest::digest;
pub use frame::segment_frame;
pub use media::{aac, jpeg, nal_policy};
pub use rtsp::{rtsp_message, sdp};
pub use segment::{segment_dns, segment_ntp, segment_sink};
pub use server::rtsp_server_session;

pub use crate::serve::tunnel::fuzz::tunnel;

/// A check of one input.
pub type Check = fn(&[u8]);

/// Every check by its name: that of its file in `fuzz/fuzz_targets` and of its corpus.
pub const TARGETS: [(&str, Check); 16] = [
    ("aac", aac),
    ("airlock_response", airlock_response),
    ("config", config),
    ("depacketise", depacketise),
    ("digest", digest),
    ("interleaved", interleaved),
    ("jpeg", jpeg),
    ("nal_policy", nal_policy),
    ("rtsp_message", rtsp_message),
    ("rtsp_server_session", rtsp_server_session),
    ("sdp", sdp),
    ("segment_dns", segment_dns),
    ("segment_frame", segment_frame),
    ("segment_ntp", segment_ntp),
    ("segment_sink", segment_sink),
    ("tunnel", tunnel),
];

/// Takes an input apart: small decisions from its front, then pieces.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next byte; 0 behind the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A piece behind its length in two bytes, cut at the end; `None` behind the end.
    pub(crate) fn piece(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([self.byte(), self.byte()]));
        let (piece, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(piece)
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Any instant will do as a beginning.
pub(crate) fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
