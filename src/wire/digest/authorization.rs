//! The server's side: `Authorization` values and their verification.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Algorithm;
use super::hash::{Form, Question};
use super::params::{Part, Parts, set_once};
use crate::ops::limits::{CREDENTIAL_BYTES, RTSP_URI_BYTES};

/// What a client put into `Authorization` (server side).
#[derive(Debug, Clone)]
pub enum Authorization {
    /// Basic: user and password, each at most [`CREDENTIAL_BYTES`].
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: SecretString,
    },
    /// Digest.
    Digest(DigestResponse),
}

/// A client's Digest response, each field bounded by [`CREDENTIAL_BYTES`], the URI by [`RTSP_URI_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestResponse {
    /// `username`.
    pub user: String,
    /// `realm`.
    pub realm: String,
    /// `nonce`.
    pub nonce: String,
    /// `uri`.
    pub uri: String,
    /// `response`, lower-case hex of the algorithm's length.
    pub response: String,
    /// Hash.
    pub algorithm: Algorithm,
    /// `-sess`.
    pub session: bool,
    /// `qop=auth` with `nc` and `cnonce`; `None` is the RFC 2069 form.
    pub qop: Option<Qop>,
}

/// The `qop=auth` parameters of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qop {
    /// `nc`.
    pub count: u32,
    /// `cnonce`.
    pub cnonce: String,
}

/// Parses an `Authorization` value. `None`: malformed, over a limit, or a scheme that is not ours.
pub fn parse_authorization(value: &str) -> Option<Authorization> {
    let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
    if scheme.eq_ignore_ascii_case("Basic") {
        parse_basic(rest.trim())
    } else if scheme.eq_ignore_ascii_case("Digest") {
        parse_digest(rest).map(Authorization::Digest)
    } else {
        None
    }
}

/// H(user:realm:password), lower-case hex: what a server keeps of a generated secret. `Debug` masks it.
#[derive(Clone)]
pub struct Ha1 {
    /// Hash it was made with.
    pub algorithm: Algorithm,
    hex: SecretString,
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ha1({:?}, MASKED)", self.algorithm)
    }
}

impl Ha1 {
    /// Computes it.
    pub fn new(algorithm: Algorithm, user: &str, realm: &str, password: &SecretString) -> Self {
        let hex = algorithm.hash(&[user, realm, password.expose_secret()]).into();
        Self { algorithm, hex }
    }

    /// Takes a stored one; `None` if it is not lower-case hex of the right length.
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Option<Self> {
        let right = hex.len() == algorithm.hex_len() && hex.bytes().all(is_lower_hex);
        right.then(|| Self { algorithm, hex: hex.into() })
    }

    /// The hex digits, to be stored. They are as good as the password for Digest in this realm.
    pub fn expose_hex(&self) -> &str {
        self.hex.expose_secret()
    }

    /// Whether `response` proves knowledge of the secret for `method`. Constant time. Nonce age, realm
    /// and uri are the caller's to check.
    pub fn verify(&self, response: &DigestResponse, method: &str) -> bool {
        if response.algorithm != self.algorithm {
            return false;
        }
        let (form, cnonce) = match &response.qop {
            Some(qop) => (Form::Auth(qop.count), qop.cnonce.as_str()),
            // the session form hashes the cnonce, and without qop there is none
            None if response.session => return false,
            None => (Form::Plain, ""),
        };
        let question = Question {
            algorithm: self.algorithm,
            session: response.session,
            nonce: &response.nonce,
            method,
            uri: &response.uri,
            cnonce,
            form,
        };
        let expected = question.response(self.expose_hex());
        expected.as_bytes().ct_eq(response.response.as_bytes()).into()
    }

    /// Whether the two are equal, in constant time (Basic against a stored HA1).
    pub fn matches(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm
            && bool::from(self.expose_hex().as_bytes().ct_eq(other.expose_hex().as_bytes()))
    }
}

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn parse_basic(text: &str) -> Option<Authorization> {
    if text.len() > (2 * CREDENTIAL_BYTES + 1).div_ceil(3) * 4 {
        return None;
    }
    let plain = Zeroizing::new(BASE64.decode(text).ok()?);
    let (user, password) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
    if user.len() > CREDENTIAL_BYTES || password.len() > CREDENTIAL_BYTES {
        return None;
    }
    Some(Authorization::Basic { user: user.to_owned(), password: password.into() })
}

#[derive(Default)]
struct Draft {
    user: Option<String>,
    realm: Option<String>,
    nonce: Option<String>,
    uri: Option<String>,
    response: Option<String>,
    algorithm: Option<(Algorithm, bool)>,
    qop: Option<()>,
    count: Option<u32>,
    cnonce: Option<String>,
}

fn parse_digest(text: &str) -> Option<DigestResponse> {
    let mut draft = Draft::default();
    for part in Parts::new(text) {
        match part {
            Part::Parameter(key, value) => draft.set(key, value)?,
            Part::Scheme(_) | Part::Broken => return None,
        }
    }
    draft.finish()
}

impl Draft {
    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let upto = |limit| (value.len() <= limit).then(|| value.to_owned());
        let text = || upto(CREDENTIAL_BYTES);
        match key.to_ascii_lowercase().as_str() {
            "username" => set_once(&mut self.user, text()?),
            "realm" => set_once(&mut self.realm, text()?),
            "nonce" => set_once(&mut self.nonce, text()?),
            "uri" => set_once(&mut self.uri, upto(RTSP_URI_BYTES)?),
            "response" => set_once(&mut self.response, text()?.to_ascii_lowercase()),
            "algorithm" => set_once(&mut self.algorithm, Algorithm::from_name(value)?),
            "qop" if value.eq_ignore_ascii_case("auth") => set_once(&mut self.qop, ()),
            "qop" => None,
            "nc" => set_once(&mut self.count, parse_count(value)?),
            "cnonce" => set_once(&mut self.cnonce, text()?),
            _ => Some(()),
        }
    }

    fn finish(self) -> Option<DigestResponse> {
        let (algorithm, session) = self.algorithm.unwrap_or((Algorithm::Md5, false));
        let response = self.response?;
        if response.len() != algorithm.hex_len() || !response.bytes().all(is_lower_hex) {
            return None;
        }
        let qop = match self.qop {
            Some(()) => Some(Qop { count: self.count?, cnonce: self.cnonce? }),
            None if session => return None,
            None => None,
        };
        Some(DigestResponse {
            user: self.user?,
            realm: self.realm?,
            nonce: self.nonce?,
            uri: self.uri?,
            response,
            algorithm,
            session,
            qop,
        })
    }
}

/// `nc`: 8 hex digits; its text goes into the hash, so no other writing of the number is taken.
fn parse_count(value: &str) -> Option<u32> {
    let right = value.len() == 8 && value.bytes().all(is_lower_hex);
    right.then(|| u32::from_str_radix(value, 16).ok()).flatten()
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
