//! Challenges (`WWW-Authenticate`) and their answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::hash::{Form, Question};
use super::params::{Part, Parts, quoted, set_once};
use super::{Algorithm, Ha1};
use crate::ops::limits::{CHALLENGE_BYTES, CHALLENGES};

/// One challenge of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Basic.
    Basic,
    /// Digest.
    Digest(DigestChallenge),
}

/// How well a challenge protects the password, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strength {
    /// Basic: the password itself.
    Basic,
    /// Digest with MD5.
    DigestMd5,
    /// Digest with SHA-256.
    DigestSha256,
}

impl Challenge {
    /// How well it protects the password.
    pub fn strength(&self) -> Strength {
        match self {
            Self::Basic => Strength::Basic,
            Self::Digest(digest) => match digest.algorithm {
                Algorithm::Md5 => Strength::DigestMd5,
                Algorithm::Sha256 => Strength::DigestSha256,
            },
        }
    }

    /// The strongest; of equals the one the server named first.
    pub fn strongest(challenges: &[Self]) -> Option<&Self> {
        challenges.iter().rev().max_by_key(|challenge| challenge.strength())
    }
}

/// A Digest challenge as a server sent it, checked: no unknown algorithm or qop, no backslash in a quoted
/// value, each value at most [`CHALLENGE_BYTES`].
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

impl DigestChallenge {
    /// The `WWW-Authenticate` value (server side).
    pub fn encode(&self) -> String {
        let mut out =
            format!("Digest realm=\"{}\", nonce=\"{}\"", quoted(&self.realm), quoted(&self.nonce));
        if let Some(opaque) = &self.opaque {
            out.push_str(&format!(", opaque=\"{}\"", quoted(opaque)));
        }
        out.push_str(&format!(", algorithm={}", self.algorithm.name(self.session)));
        if self.qop_auth {
            out.push_str(", qop=\"auth\"");
        }
        if self.stale {
            out.push_str(", stale=true");
        }
        out
    }
}

/// The `WWW-Authenticate` value of Basic (server side).
pub fn basic_challenge(realm: &str) -> String {
    format!("Basic realm=\"{}\"", quoted(realm))
}

/// Parses the `WWW-Authenticate` headers of one response; what is malformed or unknown is left out, and
/// so is what follows [`CHALLENGES`] others.
pub fn parse_challenges<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut seen = 0;
    let mut challenges = Vec::new();
    for header in headers {
        let mut open = Draft::Ignored;
        for part in Parts::new(header) {
            match part {
                Part::Scheme(scheme) => {
                    challenges.extend(std::mem::take(&mut open).finish());
                    seen += 1;
                    if seen > CHALLENGES {
                        return challenges;
                    }
                    open = Draft::of_scheme(scheme);
                }
                Part::Parameter(key, value) => open = open.with(key, value),
                Part::Broken => open = Draft::Ignored,
            }
        }
        challenges.extend(open.finish());
    }
    challenges
}

/// The `Authorization` value that answers a Digest challenge (client side, the airlock). `count` is the
/// number of requests answered with this nonce, this one included.
pub fn answer(
    challenge: &DigestChallenge,
    user: &str,
    password: &SecretString,
    method: &str,
    uri: &str,
    count: u32,
    cnonce: &str,
) -> String {
    let DigestChallenge { realm, nonce, algorithm, session, .. } = challenge;
    let (algorithm, session) = (*algorithm, *session);
    let form = if challenge.qop_auth { Form::Auth(count) } else { Form::Plain };
    let response = Question { algorithm, session, nonce, method, uri, cnonce, form }
        .response(Ha1::new(algorithm, user, realm, password).expose_hex());
    let mut out = format!(
        "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\"",
        quoted(user),
        quoted(realm),
        quoted(nonce),
        quoted(uri),
    );
    // old cameras know no `algorithm`, and MD5 is what its absence means
    if (algorithm, session) != (Algorithm::Md5, false) {
        out.push_str(&format!(", algorithm={}", algorithm.name(session)));
    }
    if let Some(opaque) = &challenge.opaque {
        out.push_str(&format!(", opaque=\"{}\"", quoted(opaque)));
    }
    match form {
        Form::Auth(count) => {
            out.push_str(&format!(", qop=auth, nc={count:08x}, cnonce=\"{}\"", quoted(cnonce)));
        }
        Form::Plain if session => out.push_str(&format!(", cnonce=\"{}\"", quoted(cnonce))),
        Form::Plain => {}
    }
    out
}

/// The `Authorization` value of Basic. It holds the password in a form that anyone can read.
pub fn answer_basic(user: &str, password: &SecretString) -> String {
    let plain = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
    format!("Basic {}", STANDARD.encode(plain.as_bytes()))
}

/// A challenge whose parameters are still coming in.
#[derive(Default)]
enum Draft {
    /// Not ours, or malformed.
    #[default]
    Ignored,
    Basic,
    Digest(DigestDraft),
}

#[derive(Default)]
struct DigestDraft {
    realm: Option<String>,
    nonce: Option<String>,
    opaque: Option<String>,
    algorithm: Option<(Algorithm, bool)>,
    qop_auth: Option<bool>,
    stale: Option<bool>,
}

impl Draft {
    fn of_scheme(scheme: &str) -> Self {
        if scheme.eq_ignore_ascii_case("Basic") {
            Self::Basic
        } else if scheme.eq_ignore_ascii_case("Digest") {
            Self::Digest(DigestDraft::default())
        } else {
            Self::Ignored
        }
    }

    fn with(self, key: &str, value: &str) -> Self {
        match self {
            Self::Digest(mut digest) => match digest.set(key, value) {
                Some(()) => Self::Digest(digest),
                None => Self::Ignored,
            },
            Self::Basic | Self::Ignored => self,
        }
    }

    fn finish(self) -> Option<Challenge> {
        match self {
            Self::Ignored => None,
            Self::Basic => Some(Challenge::Basic),
            Self::Digest(digest) => digest.finish().map(Challenge::Digest),
        }
    }
}

impl DigestDraft {
    /// `None`: the challenge is one that cannot or must not be answered.
    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let text = || (value.len() <= CHALLENGE_BYTES).then(|| value.to_owned());
        match key.to_ascii_lowercase().as_str() {
            "realm" => set_once(&mut self.realm, text()?),
            "nonce" => set_once(&mut self.nonce, text()?),
            "opaque" => set_once(&mut self.opaque, text()?),
            "algorithm" => set_once(&mut self.algorithm, Algorithm::from_name(value)?),
            "qop" => set_once(&mut self.qop_auth, offers_auth(value)?),
            "stale" => set_once(&mut self.stale, value.eq_ignore_ascii_case("true")),
            _ => Some(()),
        }
    }

    fn finish(self) -> Option<DigestChallenge> {
        let (algorithm, session) = self.algorithm.unwrap_or((Algorithm::Md5, false));
        Some(DigestChallenge {
            realm: self.realm?,
            nonce: self.nonce?,
            opaque: self.opaque,
            algorithm,
            session,
            qop_auth: self.qop_auth.unwrap_or(false),
            stale: self.stale.unwrap_or(false),
        })
    }
}

/// Whether a `qop` list offers `auth`; an empty one is as good as none; `None` if it offers only others.
fn offers_auth(list: &str) -> Option<bool> {
    let mut options = list.split(',').map(str::trim).filter(|o| !o.is_empty()).peekable();
    if options.peek().is_none() {
        return Some(false);
    }
    options.any(|o| o.eq_ignore_ascii_case("auth")).then_some(true)
}
