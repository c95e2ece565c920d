//! The key that signs checkpoints: Ed25519 (RFC 8032).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::hash::NotHex;
use crate::ops::hex;

/// What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 §4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs. Never printed.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key: with its PKCS#8 PEM, to be stored.
    pub fn generate() -> Result<(Self, SecretString), BadKey> {
        let der =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| BadKey::NoRandom)?;
        let key = Ed25519KeyPair::from_pkcs8(der.as_ref()).map_err(|_| BadKey::Private)?;
        let body = Zeroizing::new(BASE64_STANDARD.encode(der.as_ref()));
        Ok((Self(key), pem("PRIVATE KEY", &body).into()))
    }

    /// A stored key.
    pub fn from_pem(text: &SecretString) -> Result<Self, BadKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.expose_secret().as_bytes())
            .map_err(|_| BadKey::Private)?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        Ok(Self(key.map_err(|_| BadKey::Private)?))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(key)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(message).as_ref());
        Signature(signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Checks signatures; 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// SubjectPublicKeyInfo, PEM: what other tools read.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &BASE64_STANDARD.encode([SPKI.as_slice(), &self.0].concat()))
    }

    /// Reads what [`Self::to_pem`] writes.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let der =
            SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|_| BadKey::Public)?;
        let key = der.as_ref().strip_prefix(SPKI.as_slice()).ok_or(BadKey::Public)?;
        key.try_into().map(Self).map_err(|_| BadKey::Public)
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, &signature.0).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotHex;

    fn try_from(text: String) -> Result<Self, NotHex> {
        hex::decode(&text).map(Self).ok_or(NotHex)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// An Ed25519 signature; 128 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Signature([u8; 64]);

impl TryFrom<String> for Signature {
    type Error = NotHex;

    fn try_from(text: String) -> Result<Self, NotHex> {
        hex::decode(&text).map(Self).ok_or(NotHex)
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> Self {
        hex::encode(&signature.0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// A key cannot be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandom,
    /// Not what [`SigningKey::generate`] made.
    #[error("not an Ed25519 private key in PKCS#8 PEM")]
    Private,
    /// Not an Ed25519 public key.
    #[error("not an Ed25519 public key in PEM")]
    Public,
}

fn pem(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}
