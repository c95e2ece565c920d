//! Who, and what they may do: credential → principal; principal + action + stream → [`Permit`] or a
//! stated denial; throttling; revocation. There is no anonymous role.

mod accounts;
mod offer;
mod permit;
mod settings;

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::media::StreamName;
use accounts::Accounts;

pub use offer::{Offer, Scheme};
pub use permit::{Permit, Principal};
pub use settings::{
    BadPasswordHash, BadUserName, CertificateMatch, Credential, GeneratedSecret, Grant,
    PasswordHash, Settings, User,
};

/// The realm of every challenge; stored HA1 are made with it.
pub const REALM: &str = "camlock";

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
pub struct Authenticator {
    accounts: watch::Sender<Arc<Accounts>>,
}

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
    /// Puts `settings` in force.
    pub fn new(settings: Settings) -> Self {
        Self { accounts: watch::Sender::new(Arc::new(Accounts::new(settings))) }
    }

    /// Puts other settings in force. Permits of accounts that are gone, have another credential or lost
    /// the grant end at once; all others hold.
    pub fn replace(&self, settings: Settings) {
        self.accounts.send_replace(Arc::new(Accounts::new(settings)));
    }

    /// A new connection from `source`, on a listener that offers `offer`. `certificate`: what the client
    /// certificate says, if one was verified; an account that it names needs no other credential.
    pub fn connection(
        &self,
        source: IpAddr,
        offer: &Offer,
        certificate: Option<&crate::tls::PeerIdentity>,
    ) -> ConnectionLogin {
        let _ = (source, offer, certificate);
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
        let mut accounts = self.accounts.subscribe();
        let kinds = {
            // Marked as seen: a replacement from here on is a change that the permit notices.
            let in_force = accounts.borrow_and_update();
            if !in_force.knows(principal) {
                return Err(Denial::LoginNeeded);
            }
            in_force.granted(principal, stream)
        };
        if kinds.is_empty() {
            return Err(Denial::NoGrant);
        }
        Ok(Permit::new(Arc::clone(principal), stream.clone(), kinds, accounts))
    }
}

/// A connection's place among those that have not logged in. Drop gives it back.
#[derive(Debug)]
pub struct PreAuthPlace {}
