//! Logins.

use prometheus_client::encoding::EncodeLabelValue;

use super::table::{Counter, Family, Gauge, Label, metrics};

/// What became of a request's credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum LoginResult {
    /// Right.
    Right,
    /// None was presented: the first request of most clients.
    Missing,
    /// Unknown account, wrong password, malformed.
    Wrong,
    /// Right, but for an old nonce.
    Stale,
    /// Not judged: too many failures, or too many checks wait.
    Throttled,
}

metrics! {
    /// Logins.
    pub struct AuthMetrics {
        logins: Family<Label<LoginResult>, Counter> =
            "Requests of clients, by the result of checking their credentials";
        pub password_checks: Counter =
            "Client passwords checked against a password hash; the same password at the same time counts each time";
        pub penalised_pairs as "login_failure_pairs": Gauge =
            "Pairs of client address and account with recent failed logins";
    }
}

impl AuthMetrics {
    /// Counts one request.
    pub fn login(&self, result: LoginResult) {
        self.logins.get_or_create(&[("result", result)]).inc();
    }
}
