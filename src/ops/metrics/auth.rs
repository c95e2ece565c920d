//! Logins.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    result: LoginResult,
}

/// Logins.
#[derive(Debug)]
pub struct AuthMetrics {
    logins: Family<LoginLabels, Counter>,
    /// Passwords that needed a hash; equal ones that came together count each.
    pub password_checks: Counter,
    /// Pairs of source and account with failures not yet forgotten.
    pub penalised_pairs: Gauge,
}

impl AuthMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            logins: Family::default(),
            password_checks: Counter::default(),
            penalised_pairs: Gauge::default(),
        };
        registry.register(
            "logins",
            "Requests by what became of their credential",
            this.logins.clone(),
        );
        registry.register(
            "password_checks",
            "Presented passwords that needed a password hash",
            this.password_checks.clone(),
        );
        registry.register(
            "login_failure_pairs",
            "Pairs of source and account with failures not yet forgotten",
            this.penalised_pairs.clone(),
        );
        this
    }

    /// Counts one request.
    pub fn login(&self, result: LoginResult) {
        self.logins.get_or_create(&LoginLabels { result }).inc();
    }
}
