//! HTTP and RTSP authentication schemes: Digest (RFC 7616, RFC 2617) and Basic (RFC 7617), both sides,
//! pure: challenges parsed and made, responses computed and verified.

use secrecy::SecretString;

/// Hash of a Digest challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, `MD5-sess`.
    Md5,
    /// `SHA-256`, `SHA-256-sess`.
    Sha256,
}

/// One challenge of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Basic.
    Basic,
    /// Digest.
    Digest(DigestChallenge),
}

/// A Digest challenge as a server sent it, checked: no unknown algorithm or qop, no backslash in a quoted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestChallenge {
    /// `realm`.
    pub realm: String,
    /// `nonce`.
    pub nonce: String,
    /// `opaque`, echoed.
    pub opaque: Option<String>,
    /// Hash.
    pub algorithm: Algorithm,
    /// Whether the algorithm is a `-sess` one.
    pub session: bool,
    /// Whether `qop` offers `auth`; without it the RFC 2069 form is answered.
    pub qop_auth: bool,
    /// `stale=true`: the nonce is old, the password was not judged.
    pub stale: bool,
}

/// Parses the `WWW-Authenticate` headers of one response; what is malformed or unknown is left out.
pub fn parse_challenges<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let _ = headers;
    todo!()
}

/// The `Authorization` value that answers a Digest challenge (client side, the airlock).
pub fn answer(
    challenge: &DigestChallenge,
    user: &str,
    password: &SecretString,
    method: &str,
    uri: &str,
    count: u32,
    cnonce: &str,
) -> String {
    let _ = (challenge, user, password, method, uri, count, cnonce);
    todo!()
}

/// The `Authorization` value of Basic.
pub fn answer_basic(user: &str, password: &SecretString) -> String {
    let _ = (user, password);
    todo!()
}

/// What a client put into `Authorization` (server side).
#[derive(Debug, Clone)]
pub enum Authorization {
    /// Basic: user and password.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: SecretString,
    },
    /// Digest.
    Digest(DigestResponse),
}

/// A client's Digest response, each field bounded by [`crate::limits::CREDENTIAL_BYTES`].
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
    /// `response`, hex.
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

/// Parses an `Authorization` value. `None`: malformed or a scheme that is not ours.
pub fn parse_authorization(value: &str) -> Option<Authorization> {
    let _ = value;
    todo!()
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
        let _ = (algorithm, user, realm, password);
        todo!()
    }

    /// Takes a stored one; `None` if it is not lower-case hex of the right length.
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Option<Self> {
        let _ = (algorithm, hex);
        todo!()
    }

    /// Whether `response` proves knowledge of the secret for `method`. Constant time. Nonce age, realm
    /// and uri are the caller's to check.
    pub fn verify(&self, response: &DigestResponse, method: &str) -> bool {
        let _ = (response, method, &self.hex);
        todo!()
    }

    /// Whether the two are equal, in constant time (Basic against a stored HA1).
    pub fn matches(&self, other: &Self) -> bool {
        let _ = other;
        todo!()
    }
}
