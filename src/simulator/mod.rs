//! A camera made of embedded clips or of pictures made at run time, with its own small RTSP server on
//! purpose: for `demo`, `simulate`, tests and benches. It listens on loopback only.
//!
//! What does *not* belong here: anything the gateway itself needs. The gateway meets this camera as it meets
//! every other one, over a socket.

mod clips;
mod pattern;
mod source;

pub use clips::ClipName;
pub use pattern::{PatternCodec, PatternSettings};
pub use source::{Feed, Unit};

/// What pictures a profile sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A clip of the binary.
    Clip(ClipName),
    /// Pictures made at run time.
    Pattern(PatternSettings),
}

/// What sound a profile sends: a beep each second, together with the flash block of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audio {
    /// None.
    None,
    /// AAC-LC, 48 kHz, mono.
    Aac,
    /// G.711 A-law, 8 kHz, mono.
    Pcma,
}

/// Why a simulator does not start. All are the caller's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pattern setting outside its bounds.
    #[error("pattern {name} is {value}, but must be {low} to {high}")]
    Pattern {
        /// Which setting.
        name: &'static str,
        /// What was asked for.
        value: u32,
        /// Least allowed value.
        low: u32,
        /// Largest allowed value.
        high: u32,
    },
}
