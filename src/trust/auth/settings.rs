//! Accounts, grants and challenge orders as the configuration gives them, checked.

use std::fmt;

use argon2::password_hash::phc;
use secrecy::SecretString;

use super::REALM;
use super::passwords::random;
use crate::media::{Kinds, StreamPattern};
use crate::ops::limits;
use crate::trust::tls::Fingerprint;
use crate::wire::digest::{Algorithm, Ha1};

/// Who may log in. Empty: nobody.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The accounts. Of two with one name the first holds; the configuration refuses the second.
    pub users: Vec<User>,
}

/// One account.
#[derive(Debug, Clone)]
pub struct User {
    pub(super) name: Box<str>,
    pub(super) credential: Credential,
    pub(super) grants: Vec<Grant>,
}

impl User {
    /// Checks the name: it must fit both Basic and a quoted Digest parameter.
    pub fn new(
        name: &str,
        credential: Credential,
        grants: Vec<Grant>,
    ) -> Result<Self, BadUserName> {
        let fits = (1..=limits::CREDENTIAL_BYTES).contains(&name.len());
        let forbidden = |c: char| c.is_control() || matches!(c, ':' | '"' | '\\');
        if !fits || name.contains(forbidden) || name.trim() != name {
            return Err(BadUserName);
        }
        Ok(Self { name: name.into(), credential, grants })
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The text cannot be a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a user name has 1 to {} bytes, no colon, quote, backslash or control character, and no space at its ends",
    limits::CREDENTIAL_BYTES
)]
pub struct BadUserName;

/// What proves that a client is the account.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A password somebody chose: kept as a slow hash, so it serves Basic only.
    Argon2id(PasswordHash),
    /// A secret of 128 random bits that the gateway made: kept as HA1 for both hashes, so it serves
    /// Digest and Basic.
    Generated(GeneratedSecret),
    /// A client certificate of the configured CA.
    Certificate(CertificateMatch),
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Argon2id(a), Self::Argon2id(b)) => a == b,
            (Self::Generated(a), Self::Generated(b)) => {
                a.md5.matches(&b.md5) && a.sha256.matches(&b.sha256)
            }
            (Self::Certificate(a), Self::Certificate(b)) => a == b,
            (Self::Argon2id(_) | Self::Generated(_) | Self::Certificate(_), _) => false,
        }
    }
}

/// How a certificate names its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateMatch {
    /// Common name of the subject.
    CommonName(String),
    /// SHA-256 of the certificate.
    Fingerprint(Fingerprint),
}

/// A generated secret as it is stored: H(user:realm:secret) for each hash.
#[derive(Debug, Clone)]
pub struct GeneratedSecret {
    pub(super) md5: Ha1,
    pub(super) sha256: Ha1,
}

impl GeneratedSecret {
    /// What is stored of `secret` for `user`. The secret must be random: HA1 is a fast hash.
    pub fn new(user: &str, secret: &SecretString) -> Self {
        Self {
            md5: Ha1::new(Algorithm::Md5, user, REALM, secret),
            sha256: Ha1::new(Algorithm::Sha256, user, REALM, secret),
        }
    }

    /// Takes the stored pair; `None` if one is not lower-case hex of the right length.
    pub fn from_hex(md5: &str, sha256: &str) -> Option<Self> {
        Some(Self {
            md5: Ha1::from_hex(Algorithm::Md5, md5)?,
            sha256: Ha1::from_hex(Algorithm::Sha256, sha256)?,
        })
    }

    /// What is stored for MD5. As good as the secret: for the configuration file only.
    pub fn md5_hex(&self) -> &str {
        self.md5.expose_hex()
    }

    /// What is stored for SHA-256. As good as the secret: for the configuration file only.
    pub fn sha256_hex(&self) -> &str {
        self.sha256.expose_hex()
    }

    /// Whether `password` is the secret (Basic). Constant time.
    pub(super) fn fits(&self, user: &str, password: &SecretString) -> bool {
        Ha1::new(Algorithm::Sha256, user, REALM, password).matches(&self.sha256)
    }

    /// The HA1 for `algorithm`.
    pub(super) fn ha1(&self, algorithm: Algorithm) -> &Ha1 {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

/// An argon2id hash in PHC form, checked, with a cost that cannot exhaust the gateway.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<phc::PasswordHash>);

/// Most memory one hash may ask for, KiB.
const MEMORY_MAX_KIB: u32 = 64 * 1024;
/// Most passes over the memory.
const PASSES_MAX: u32 = 16;

impl PasswordHash {
    /// Parses `$argon2id$v=19$m=..,t=..,p=..$salt$hash`.
    pub fn parse(text: &str) -> Result<Self, BadPasswordHash> {
        let hash = phc::PasswordHash::new(text).map_err(|_| BadPasswordHash::Form)?;
        if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
            return Err(BadPasswordHash::Form);
        }
        let params = argon2::Params::try_from(&hash).map_err(|_| BadPasswordHash::Form)?;
        if params.m_cost() > MEMORY_MAX_KIB || params.t_cost() > PASSES_MAX {
            return Err(BadPasswordHash::Cost);
        }
        Ok(Self(Box::new(hash)))
    }

    /// A hash that costs the same and that no password fits: for accounts that do not exist.
    pub(super) fn decoy(&self) -> Self {
        let mut decoy = self.0.clone();
        decoy.hash = phc::Output::new(&random::<32>()).ok();
        Self(decoy)
    }

    pub(super) fn phc(&self) -> &phc::PasswordHash {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(MASKED)")
    }
}

impl fmt::Display for PasswordHash {
    /// The PHC string, for the configuration file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is no password hash that the gateway takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPasswordHash {
    /// Not an argon2id PHC string.
    #[error("not an argon2id hash (`$argon2id$v=19$...`); make one with `camlock hash-password`")]
    Form,
    /// Asks for too much memory or time.
    #[error(
        "the hash asks for more than {MEMORY_MAX_KIB} KiB or {PASSES_MAX} passes; make one with `camlock hash-password`"
    )]
    Cost,
}

/// What an account may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Of which streams.
    pub streams: StreamPattern,
    /// Which kinds of tracks: `view` is video, `listen` is audio.
    pub kinds: Kinds,
}
