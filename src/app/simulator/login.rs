//! The camera's login.

use secrecy::{ExposeSecret, SecretString};

use crate::wire::digest::{
    Algorithm, Authorization, DigestChallenge, DigestResponse, Ha1, basic_challenge,
    parse_authorization,
};
use crate::wire::rtsp::Request;

/// What login a camera asks for.
#[derive(Debug, Clone)]
pub enum Login {
    /// None.
    None,
    /// Basic.
    Basic(Account),
    /// Digest with this hash, `qop=auth`.
    Digest(Algorithm, Account),
}

/// The one account of a camera.
#[derive(Debug, Clone)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

const REALM: &str = "Simulated camera";

/// The login as one connection meets it.
#[derive(Debug)]
pub(super) struct Guard {
    login: Login,
    nonce: String,
}

/// What a request without a good login is answered with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenged {
    /// `WWW-Authenticate`.
    pub(super) header: String,
    /// Whether credentials came and were wrong.
    pub(super) wrong: bool,
}

impl Guard {
    pub(super) fn new(login: Login, nonce: String) -> Self {
        Self { login, nonce }
    }

    /// Whether the request may go on.
    pub(super) fn check(&self, request: &Request) -> Result<(), Challenged> {
        let given = request.headers.get("Authorization").and_then(parse_authorization);
        let came = request.headers.get("Authorization").is_some();
        match (&self.login, given) {
            (Login::None, _) => Ok(()),
            (Login::Basic(account), Some(Authorization::Basic { user, password }))
                if user == account.user
                    && password.expose_secret() == account.password.expose_secret() =>
            {
                Ok(())
            }
            (Login::Basic(_), _) => Err(Challenged { header: basic_challenge(REALM), wrong: came }),
            (Login::Digest(algorithm, account), Some(Authorization::Digest(response))) => {
                let good = is_good(*algorithm, account, &response, request);
                let fresh = response.nonce == self.nonce;
                match (good, fresh) {
                    (true, true) => Ok(()),
                    (true, false) => Err(self.challenge(*algorithm, true, false)),
                    (false, _) => Err(self.challenge(*algorithm, false, true)),
                }
            }
            (Login::Digest(algorithm, _), Some(Authorization::Basic { .. }) | None) => {
                Err(self.challenge(*algorithm, false, came))
            }
        }
    }

    fn challenge(&self, algorithm: Algorithm, stale: bool, wrong: bool) -> Challenged {
        let challenge = DigestChallenge {
            realm: REALM.to_owned(),
            nonce: self.nonce.clone(),
            opaque: None,
            algorithm,
            session: false,
            qop_auth: true,
            stale,
        };
        Challenged { header: challenge.encode(), wrong }
    }
}

fn is_good(
    algorithm: Algorithm,
    account: &Account,
    response: &DigestResponse,
    request: &Request,
) -> bool {
    response.algorithm == algorithm
        && response.user == account.user
        && response.realm == REALM
        && response.uri == request.uri
        && Ha1::new(algorithm, &account.user, REALM, &account.password)
            .verify(response, &request.method_text)
}
