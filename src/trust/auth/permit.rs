//! Principals, and the permits that authority is handed on with.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::accounts::{Account, Accounts};
use crate::media::{Kinds, StreamName};

/// An authenticated user or certificate holder. Made only by [`super::Authenticator`].
#[derive(Debug, Clone)]
pub struct Principal {
    account: Arc<Account>,
    ends: Option<Instant>,
}

impl Principal {
    pub(super) fn new(account: Arc<Account>, ends: Option<Instant>) -> Self {
        Self { account, ends }
    }

    /// A principal for tests of modules above: no authenticator knows it.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn for_test(name: &str) -> Arc<Self> {
        Arc::new(Self::new(Arc::new(Account::for_test(name)), None))
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        self.account.name()
    }

    /// The account as it was when the credential was verified.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether the certificate that made it still runs.
    pub(super) fn is_current(&self) -> bool {
        self.ends.is_none_or(|ends| Instant::now() < ends)
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Principal {}

/// Proof that a principal may take a stream: the only way to a subscription.
///
/// It holds as long as the accounts in force say the same: an account that is gone, has another
/// credential, or lost the grant ends its permits at once; so does the end of a client certificate.
#[derive(Debug, Clone)]
pub struct Permit {
    principal: Arc<Principal>,
    stream: StreamName,
    kinds: Kinds,
    accounts: watch::Receiver<Arc<Accounts>>,
}

impl Permit {
    /// `accounts` must be marked as seen at the value that granted `kinds`.
    pub(super) fn new(
        principal: Arc<Principal>,
        stream: StreamName,
        kinds: Kinds,
        accounts: watch::Receiver<Arc<Accounts>>,
    ) -> Self {
        Self { principal, stream, kinds, accounts }
    }

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

    /// Whether it still holds. Cheap enough for each access unit: one atomic load unless the accounts
    /// were replaced since the permit was made.
    pub fn is_valid(&self) -> bool {
        let granted = match self.accounts.has_changed() {
            Ok(false) => true,
            Ok(true) => self.is_granted(&self.accounts.borrow()),
            // The authenticator is gone: nobody vouches any more.
            Err(_) => false,
        };
        granted && self.principal.is_current()
    }

    /// Returns when the permit no longer holds: the account is gone or changed, or the certificate ran out.
    pub async fn revoked(&self) {
        let mut accounts = self.accounts.clone();
        while self.is_valid() {
            tokio::select! {
                changed = accounts.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = ended(self.principal.ends) => {}
            }
        }
    }

    fn is_granted(&self, accounts: &Accounts) -> bool {
        let kinds = accounts.granted(&self.principal, &self.stream);
        kinds.union(self.kinds) == kinds
    }

    /// A permit for tests of modules above: everything of `kinds` on `stream`, never revoked.
    #[cfg(test)]
    pub(crate) fn for_test(stream: &str, kinds: Kinds) -> Self {
        let (permit, revoke) = Self::revocable_for_test(stream, kinds);
        // A receiver sees a dropped sender as a revocation, and this permit has nobody to hold one.
        Box::leak(Box::new(revoke));
        permit
    }

    /// As [`Self::for_test`], and what revokes it when dropped.
    #[cfg(test)]
    pub(crate) fn revocable_for_test(stream: &str, kinds: Kinds) -> (Self, RevokeForTest) {
        let account = Arc::new(Account::for_test("tester"));
        let accounts = watch::Sender::new(Arc::new(Accounts::default()));
        let permit = Self::new(
            Arc::new(Principal::new(account, None)),
            StreamName::parse(stream).unwrap(),
            kinds,
            accounts.subscribe(),
        );
        (permit, RevokeForTest { _accounts: accounts })
    }
}

/// Revokes a test permit when dropped.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct RevokeForTest {
    _accounts: watch::Sender<Arc<Accounts>>,
}

async fn ended(ends: Option<Instant>) {
    match ends {
        Some(ends) => sleep_until(ends).await,
        None => std::future::pending().await,
    }
}
