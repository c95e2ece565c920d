//! Checks credentials, keeps penalties, grants permits.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::Instant;

use super::REALM;
use super::accounts::{Account, Accounts};
use super::login::{ConnectionLogin, NonceUse, same_uri};
use super::offer::{Offer, Scheme};
use super::passwords::{Hasher, QueueFull, Tagger};
use super::penalty::{Key, PenaltyTable, Standing, Tag};
use super::permit::{Permit, Principal};
use super::settings::{Credential, Settings};
use crate::media::StreamName;
use crate::ops::limits;
use crate::ops::metrics::{LoginResult, Metrics};
use crate::trust::audit::{self, Event};
use crate::trust::tls::PeerIdentity;
use crate::wire::digest::{Authorization, DigestResponse, parse_authorization};

/// Checks credentials and grants permits. One per process.
#[derive(Debug)]
pub struct Authenticator {
    accounts: watch::Sender<Arc<Accounts>>,
    penalties: Mutex<PenaltyTable>,
    /// Names accounts in the penalty table; lives as long as the table.
    tagger: Tagger,
    hasher: Hasher,
    metrics: Arc<Metrics>,
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
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            accounts: watch::Sender::new(Arc::new(Accounts::new(settings))),
            penalties: Mutex::new(PenaltyTable::new(limits::PENALTIES)),
            tagger: Tagger::new(),
            hasher: Hasher::new(),
            metrics,
        }
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
        certificate: Option<&PeerIdentity>,
    ) -> ConnectionLogin {
        ConnectionLogin::new(source, offer, certificate)
    }

    /// Who sends this request. Password hashes run off the caller's thread, at most
    /// [`limits::PASSWORD_HASHES`] at once. Cancel-safe.
    pub async fn authenticate(
        &self,
        login: &mut ConnectionLogin,
        presented: Presented<'_>,
    ) -> Result<Arc<Principal>, Denial> {
        let accounts = Arc::clone(&self.accounts.borrow());
        let Some(text) = presented.authorization else {
            let result = by_certificate(&accounts, login);
            self.note(login, "", &result);
            return result;
        };
        match parse_authorization(text) {
            Some(Authorization::Basic { user, password }) => {
                let result = self.basic(&accounts, login, &user, &password).await;
                self.note(login, &user, &result);
                result
            }
            Some(Authorization::Digest(response)) => {
                let result = self.digest(&accounts, login, &presented, &response);
                self.note(login, &response.user, &result);
                result
            }
            None => {
                self.note(login, "", &Err(Denial::WrongCredential));
                Err(Denial::WrongCredential)
            }
        }
    }

    /// `WWW-Authenticate` values in the order that clients can use them. Each call makes the nonces
    /// given before stale.
    pub fn challenges(&self, login: &mut ConnectionLogin, denial: Denial) -> Vec<String> {
        let hashed = self.accounts.borrow().decoy().is_some();
        let offer = login.offer.clone();
        let offered = offer.schemes(hashed);
        let basic_next = login.digest_failed && offered.contains(&Scheme::Basic);
        let stale = denial == Denial::StaleNonce;
        let nonce = login.new_nonce();
        offered
            .iter()
            .filter(|scheme| !basic_next || stale || **scheme == Scheme::Basic)
            // Who is told that only the nonce was old must not answer with Basic instead.
            .filter(|scheme| !stale || **scheme != Scheme::Basic)
            .map(|scheme| scheme.challenge(nonce, stale))
            .collect()
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
            let (principal, stream) = (principal.name(), stream.as_str());
            audit::record(Event::GrantDenied { principal, stream });
            return Err(Denial::NoGrant);
        }
        Ok(Permit::new(Arc::clone(principal), stream.clone(), kinds, accounts))
    }

    async fn basic(
        &self,
        accounts: &Arc<Accounts>,
        login: &mut ConnectionLogin,
        user: &str,
        password: &SecretString,
    ) -> Result<Arc<Principal>, Denial> {
        if !login.offer.schemes(accounts.decoy().is_some()).contains(&Scheme::Basic) {
            return Err(Denial::WrongCredential);
        }
        let tag = accounts.verdicts().tag(user, password);
        if let Some((verified, principal)) = &login.verified
            && *verified == tag
        {
            return Ok(Arc::clone(principal));
        }
        let key = Key { source: login.source, account: self.tagger.tag(&["basic", user]) };
        let account = self.judge(accounts, key, tag, user, password).await?;
        let principal = Arc::new(Principal::new(account, None));
        login.verified = Some((tag, Arc::clone(&principal)));
        Ok(principal)
    }

    /// The account, if the password is right.
    async fn judge(
        &self,
        accounts: &Arc<Accounts>,
        key: Key,
        tag: Tag,
        user: &str,
        password: &SecretString,
    ) -> Result<Arc<Account>, Denial> {
        let account = accounts.find(user);
        let hash = match account.map(|account| account.credential()) {
            // Cheap to judge and beyond guessing: right passes whatever others did. Wrong must take as long
            // as for an account that does not exist, or the time would tell which ones do.
            Some(Credential::Generated(secret)) => {
                if let Some(account) = account.filter(|_| secret.fits(user, password)) {
                    return Ok(Arc::clone(account));
                }
                accounts.decoy()
            }
            Some(Credential::Argon2id(hash)) => Some(hash),
            Some(Credential::Certificate(_)) | None => accounts.decoy(),
        };
        if let Some(account) = account
            && accounts.verdicts().is_known_good(&tag)
        {
            return Ok(Arc::clone(account));
        }
        // A binding of its own: a lock taken in the head of a `match` is held to its end.
        let standing = self.penalties().standing(&key, &tag, Instant::now().into_std());
        match standing {
            Standing::Free => {}
            Standing::KnownBad => return Err(self.failed(key, tag)),
            Standing::Penalised(_) => return Err(Denial::Throttled),
        }
        let Some(hash) = hash else { return Err(self.failed(key, tag)) };
        self.metrics.auth.password_checks.inc();
        match (self.hasher.verify(accounts.verdicts(), tag, hash, password).await, account) {
            (Ok(true), Some(account)) => Ok(Arc::clone(account)),
            (Ok(_), _) => Err(self.failed(key, tag)),
            (Err(QueueFull), _) => Err(Denial::Throttled),
        }
    }

    fn digest(
        &self,
        accounts: &Accounts,
        login: &mut ConnectionLogin,
        presented: &Presented<'_>,
        response: &DigestResponse,
    ) -> Result<Arc<Principal>, Denial> {
        let account = accounts.find(&response.user);
        let secret = match account.map(|account| account.credential()) {
            Some(Credential::Generated(secret)) => Some(secret),
            Some(Credential::Argon2id(_) | Credential::Certificate(_)) | None => None,
        };
        let right = response.realm == REALM
            && same_uri(&response.uri, presented.uri)
            && secret.is_some_and(|secret| {
                secret.ha1(response.algorithm).verify(response, presented.method)
            });
        let Some(account) = account.filter(|_| right) else {
            login.digest_failed = true;
            let key =
                Key { source: login.source, account: self.tagger.tag(&["digest", &response.user]) };
            // Each response differs, even of the same secret: all count.
            let tag = accounts.verdicts().tag_text(&response.response);
            return Err(self.failed(key, tag));
        };
        match login.use_nonce(response) {
            NonceUse::Stale => Err(Denial::StaleNonce),
            NonceUse::Fresh => Ok(Arc::new(Principal::new(Arc::clone(account), None))),
        }
    }

    /// Counts a failure. The one that brings a penalty is still answered as wrong.
    fn failed(&self, key: Key, tag: Tag) -> Denial {
        let mut penalties = self.penalties();
        let now = Instant::now().into_std();
        let throttled = match penalties.standing(&key, &tag, now) {
            Standing::Penalised(_) => true,
            Standing::Free | Standing::KnownBad => false,
        };
        penalties.failed(key, tag, now);
        self.metrics.auth.penalised_pairs.set(i64::try_from(penalties.len()).unwrap_or(i64::MAX));
        if throttled { Denial::Throttled } else { Denial::WrongCredential }
    }

    /// Counts the outcome, and writes down what somebody may have to answer for.
    fn note(
        &self,
        login: &ConnectionLogin,
        account: &str,
        result: &Result<Arc<Principal>, Denial>,
    ) {
        let source = login.address;
        self.metrics.auth.login(match result {
            Ok(_) => LoginResult::Right,
            Err(Denial::LoginNeeded | Denial::NoGrant) => LoginResult::Missing,
            Err(Denial::WrongCredential) => {
                let reason = "wrong user name or password, or malformed";
                audit::record(Event::LoginFailed { source, account, reason });
                LoginResult::Wrong
            }
            Err(Denial::StaleNonce) => LoginResult::Stale,
            Err(Denial::Throttled) => {
                audit::record(Event::LoginThrottled { source, account });
                LoginResult::Throttled
            }
        });
    }

    #[cfg(test)]
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn penalties(&self) -> MutexGuard<'_, PenaltyTable> {
        self.penalties.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_certificate(accounts: &Accounts, login: &ConnectionLogin) -> Result<Arc<Principal>, Denial> {
    let certificate = login.certificate.as_ref().ok_or(Denial::LoginNeeded)?;
    let account = accounts.of_certificate(&certificate.identity).ok_or(Denial::LoginNeeded)?;
    let principal = Principal::new(Arc::clone(account), Some(certificate.ends));
    if principal.is_current() { Ok(Arc::new(principal)) } else { Err(Denial::LoginNeeded) }
}
