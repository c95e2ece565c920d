//! The two hashes, and the formulas of RFC 7616 3.4.

use md5::Digest;

use super::Algorithm;
use crate::ops::hex;

impl Algorithm {
    /// Name as written in a challenge or response.
    pub fn name(self, session: bool) -> &'static str {
        match (self, session) {
            (Self::Md5, false) => "MD5",
            (Self::Md5, true) => "MD5-sess",
            (Self::Sha256, false) => "SHA-256",
            (Self::Sha256, true) => "SHA-256-sess",
        }
    }

    /// The algorithm of a name, and whether it is a `-sess` one; `None` if it is not ours.
    pub(super) fn from_name(name: &str) -> Option<(Self, bool)> {
        [(Self::Md5, false), (Self::Md5, true), (Self::Sha256, false), (Self::Sha256, true)]
            .into_iter()
            .find(|(algorithm, session)| algorithm.name(*session).eq_ignore_ascii_case(name))
    }

    /// Hex digits of a hash.
    pub(super) fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
        }
    }

    /// H(parts joined by `:`), lower-case hex. The parts are never put together in memory.
    pub(super) fn hash(self, parts: &[&str]) -> String {
        match self {
            Self::Md5 => {
                let mut md5 = md5::Md5::new();
                each(parts, |bytes| md5.update(bytes));
                hex::encode(&md5.finalize())
            }
            Self::Sha256 => {
                let mut sha = ring::digest::Context::new(&ring::digest::SHA256);
                each(parts, |bytes| sha.update(bytes));
                hex::encode(sha.finish().as_ref())
            }
        }
    }
}

/// What of a challenge and an answer goes into the hash, the secret aside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) session: bool,
    pub(super) nonce: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) cnonce: &'a str,
    pub(super) form: Form,
}

/// Which form the response has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// `qop=auth` with this `nc`.
    Auth(u32),
    /// Without `qop` (RFC 2069).
    Plain,
}

impl Question<'_> {
    /// `response` for H(user:realm:password).
    pub(super) fn response(&self, ha1: &str) -> String {
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let in_session;
        let ha1 = if self.session {
            in_session = zeroize::Zeroizing::new(hash(&[ha1, self.nonce, self.cnonce]));
            in_session.as_str()
        } else {
            ha1
        };
        let ha2 = hash(&[self.method, self.uri]);
        match self.form {
            Form::Auth(count) => {
                hash(&[ha1, self.nonce, &format!("{count:08x}"), self.cnonce, "auth", &ha2])
            }
            Form::Plain => hash(&[ha1, self.nonce, &ha2]),
        }
    }
}

fn each(parts: &[&str], mut update: impl FnMut(&[u8])) {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            update(b":");
        }
        update(part.as_bytes());
    }
}
