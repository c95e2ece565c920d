//! HTTP and RTSP authentication schemes: Digest (RFC 7616, RFC 2617) and Basic (RFC 7617), both sides,
//! pure: challenges parsed and made, responses computed and verified.
//!
//! What does *not* belong here: who may do what, nonces and their age, counting of failures.

mod authorization;
mod challenge;
mod hash;
mod params;
#[cfg(test)]
mod tests;

pub use authorization::{Authorization, DigestResponse, Ha1, Qop, parse_authorization};
pub use challenge::{
    Challenge, DigestChallenge, Strength, answer, answer_basic, basic_challenge, parse_challenges,
};

/// Hash of a Digest challenge, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, `MD5-sess`.
    Md5,
    /// `SHA-256`, `SHA-256-sess`.
    Sha256,
}
