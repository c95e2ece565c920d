//! The accounts in force: one immutable table per settings, looked up by name or certificate.

use std::collections::HashMap;
use std::sync::Arc;

use super::passwords::Verdicts;
use super::permit::Principal;
use super::settings::{CertificateMatch, Credential, Grant, PasswordHash, Settings, User};
use crate::media::{Kinds, StreamName};
use crate::trust::tls::PeerIdentity;

/// One account.
#[derive(Debug)]
pub(super) struct Account {
    user: User,
}

impl Account {
    pub(super) fn name(&self) -> &str {
        &self.user.name
    }

    pub(super) fn credential(&self) -> &Credential {
        &self.user.credential
    }

    fn granted(&self, stream: &StreamName) -> Kinds {
        self.user
            .grants
            .iter()
            .filter(|Grant { streams, .. }| streams.matches(stream))
            .fold(Kinds::NONE, |kinds, grant| kinds.union(grant.kinds))
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn for_test(name: &str) -> Self {
        let credential = Credential::Certificate(CertificateMatch::CommonName(name.into()));
        Self { user: User { name: name.into(), credential, grants: Vec::new() } }
    }
}

/// All accounts of one [`Settings`]. Of two accounts with one name, the first holds.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    by_name: HashMap<Box<str>, Arc<Account>>,
    certificates: Vec<Arc<Account>>,
    decoy: Option<PasswordHash>,
    verdicts: Arc<Verdicts>,
}

impl Accounts {
    pub(super) fn new(settings: Settings) -> Self {
        let mut accounts = Self::default();
        for user in settings.users {
            let name = user.name.clone();
            let account = Arc::new(Account { user });
            if accounts.by_name.contains_key(&name) {
                continue;
            }
            match account.credential() {
                Credential::Certificate(_) => accounts.certificates.push(Arc::clone(&account)),
                Credential::Argon2id(hash) => {
                    accounts.decoy.get_or_insert_with(|| hash.decoy());
                }
                Credential::Generated(_) => {}
            }
            accounts.by_name.insert(name, account);
        }
        accounts
    }

    pub(super) fn find(&self, name: &str) -> Option<&Arc<Account>> {
        self.by_name.get(name)
    }

    /// What is hashed for an account that does not exist, so that it takes as long as one that does.
    /// `None`: no account has a password hash.
    pub(super) fn decoy(&self) -> Option<&PasswordHash> {
        self.decoy.as_ref()
    }

    /// What is known of credentials presented to these accounts.
    pub(super) fn verdicts(&self) -> &Arc<Verdicts> {
        &self.verdicts
    }

    pub(super) fn of_certificate(&self, identity: &PeerIdentity) -> Option<&Arc<Account>> {
        self.certificates.iter().find(|account| match account.credential() {
            Credential::Certificate(CertificateMatch::CommonName(name)) => {
                identity.common_name.as_ref() == Some(name)
            }
            Credential::Certificate(CertificateMatch::Fingerprint(fingerprint)) => {
                identity.fingerprint == *fingerprint
            }
            Credential::Argon2id(_) | Credential::Generated(_) => false,
        })
    }

    /// Whether `principal` could log in today with what it logged in with.
    pub(super) fn knows(&self, principal: &Principal) -> bool {
        principal.is_current()
            && self.find(principal.name()).is_some_and(|account| {
                Arc::ptr_eq(account, principal.account())
                    || account.credential() == principal.account().credential()
            })
    }

    /// What `principal` may take of `stream`; nothing if it is not known any more.
    pub(super) fn granted(&self, principal: &Principal, stream: &StreamName) -> Kinds {
        if !self.knows(principal) {
            return Kinds::NONE;
        }
        self.find(principal.name()).map_or(Kinds::NONE, |account| account.granted(stream))
    }
}
