//! Which challenges a listener offers, and in which order.

use std::fmt::Write;
use std::sync::Arc;

use super::REALM;

/// One challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Basic.
    Basic,
    /// Digest with MD5.
    DigestMd5,
    /// Digest with SHA-256.
    DigestSha256,
}

/// What a listener offers to a client that has not logged in.
///
/// The challenge comes before the client has named its account, and what clients do with it was
/// measured (ffmpeg 5.1 and 9.0, GStreamer 1.22): all take Digest wherever it is offered, in whatever
/// order, and none falls back to Basic when the second answer is 401. An account with a password
/// somebody chose (argon2id) cannot do Digest, so one Digest challenge locks its holder out of these
/// clients. ffmpeg takes the *last* Digest challenge and gives up if that is SHA-256; GStreamer answers
/// with MD5 whatever the algorithm; others read only the first header. Hence the defaults below, MD5
/// last wherever both hashes are offered, and one nonce for both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// The default over TLS: Basic, which all accounts and clients can do. Digest SHA-256 and Digest MD5
    /// follow only if no account has a password hash.
    Secure,
    /// The default where the connection is not encrypted (loopback): Digest MD5 alone, never Basic.
    /// Accounts with a password hash cannot log in there.
    Plain,
    /// These, in this order, whatever the connection: for clients that can only do Digest.
    These(Arc<[Scheme]>),
}

impl Offer {
    /// `hashed`: whether an account has a password hash.
    pub(super) fn schemes(&self, hashed: bool) -> &[Scheme] {
        match self {
            Self::Secure if hashed => &[Scheme::Basic],
            Self::Secure => &[Scheme::Basic, Scheme::DigestSha256, Scheme::DigestMd5],
            Self::Plain => &[Scheme::DigestMd5],
            Self::These(schemes) => schemes,
        }
    }
}

impl Scheme {
    /// The `WWW-Authenticate` value.
    pub(super) fn challenge(self, nonce: &str, stale: bool) -> String {
        let algorithm = match self {
            Self::Basic => return format!("Basic realm=\"{REALM}\""),
            Self::DigestMd5 => "MD5",
            Self::DigestSha256 => "SHA-256",
        };
        let mut text = format!(
            "Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\""
        );
        if stale {
            // Writing into a String does not fail.
            write!(text, ", stale=true").unwrap_or_default();
        }
        text
    }
}
