//! Who, and what they may do: credential → principal; principal + action + stream → [`Permit`] or a
//! stated denial; throttling; revocation. There is no anonymous role.

use std::net::IpAddr;
use std::sync::Arc;

use crate::media::{Kinds, StreamName};

/// An authenticated user or certificate holder. Made only by [`Authenticator`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: Arc<str>,
}

impl Principal {
    /// The account's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Proof that a principal may take a stream: the only way to a subscription.
#[derive(Debug, Clone)]
pub struct Permit {
    principal: Arc<Principal>,
    stream: StreamName,
    kinds: Kinds,
}

impl Permit {
    /// Who holds it.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The one stream it is for.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// Which kinds of tracks it covers; never empty.
    pub fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// Whether it still holds.
    pub fn is_valid(&self) -> bool {
        todo!()
    }

    /// Returns when the permit no longer holds: the account is gone or changed, or the certificate ran out.
    pub async fn revoked(&self) {
        todo!()
    }

    /// A permit for tests of modules above: everything on `stream`.
    #[cfg(test)]
    pub(crate) fn for_test(stream: &str, kinds: Kinds) -> Self {
        Self {
            principal: Arc::new(Principal { name: "tester".into() }),
            stream: StreamName::parse(stream).unwrap(),
            kinds,
        }
    }
}

/// Why a request was not allowed. Says no more to the client than its status does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No credential was presented: challenge.
    #[error("login needed")]
    LoginNeeded,
    /// Unknown account, wrong password, bad digest: challenge again.
    #[error("wrong user name or password")]
    WrongCredential,
    /// The nonce is too old; the password was not judged: challenge with `stale=true`.
    #[error("nonce too old")]
    StaleNonce,
    /// Too many failures from this source for this account; try again later.
    #[error("too many failed logins")]
    Throttled,
    /// The principal has no grant for the stream (or it does not exist: not told apart).
    #[error("no grant for this stream")]
    NoGrant,
}

/// Checks credentials and grants permits.
#[derive(Debug)]
pub struct Authenticator {}

/// What one connection knows of its login: peer address, client certificate, nonce, the credential
/// verified last (so that a client that repeats Basic on each request costs one password hash).
#[derive(Debug)]
pub struct ConnectionLogin {}

/// One request's credential.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// The method token.
    pub method: &'a str,
    /// The request-URI.
    pub uri: &'a str,
    /// `Authorization`, if any.
    pub authorization: Option<&'a str>,
}

impl Authenticator {
    /// A new connection from `source`. `secure`: over TLS, where Basic may be offered. `certificate`:
    /// the account that the client certificate names, if one was verified.
    pub fn connection(
        &self,
        source: IpAddr,
        secure: bool,
        certificate: Option<&crate::tls::PeerIdentity>,
    ) -> ConnectionLogin {
        let _ = (source, secure, certificate);
        todo!()
    }

    /// Who sends this request. Password hashes run off the caller's thread, at most
    /// [`crate::limits::PASSWORD_HASHES`] at once.
    pub async fn authenticate(
        &self,
        login: &mut ConnectionLogin,
        presented: Presented<'_>,
    ) -> Result<Arc<Principal>, Denial> {
        let _ = (login, presented);
        todo!()
    }

    /// `WWW-Authenticate` values in the order that clients can use them.
    pub fn challenges(&self, login: &mut ConnectionLogin, denial: Denial) -> Vec<String> {
        let _ = (login, denial);
        todo!()
    }

    /// What `principal` may take of `stream`.
    pub fn permit(
        &self,
        principal: &Arc<Principal>,
        stream: &StreamName,
    ) -> Result<Permit, Denial> {
        let _ = (principal, stream);
        todo!()
    }
}

/// A connection's place among those that have not logged in. Drop gives it back.
#[derive(Debug)]
pub struct PreAuthPlace {}
