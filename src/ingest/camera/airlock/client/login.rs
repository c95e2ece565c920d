//! The camera's login: which challenge is answered, and with what.

use crate::ingest::camera::airlock::{BasicPolicy, EndReason, Login, LoginMemory, LoginUsed};
use crate::wire::digest::{self, Challenge, DigestChallenge};

/// State of the login on one camera connection and across re-dials.
#[derive(Debug)]
pub(super) struct Authenticator {
    login: Option<Login>,
    basic: BasicPolicy,
    memory: LoginMemory,
    client_nonce: String,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// The camera did not ask.
    None,
    Basic,
    Digest {
        challenge: DigestChallenge,
        count: u32,
    },
}

/// How often a request was refused with `401` so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusals {
    Never,
    Once,
    Twice,
}

impl Authenticator {
    pub(super) fn new(
        login: Option<Login>,
        basic: BasicPolicy,
        memory: LoginMemory,
        client_nonce: String,
    ) -> Self {
        Self { login, basic, memory, client_nonce, answer: Answer::None }
    }

    pub(super) fn memory(&self) -> LoginMemory {
        self.memory
    }

    /// How the requests are signed.
    pub(super) fn used(&self) -> LoginUsed {
        match &self.answer {
            Answer::None => LoginUsed::None,
            Answer::Basic => LoginUsed::Basic,
            Answer::Digest { challenge, .. } => LoginUsed::Digest(challenge.algorithm),
        }
    }

    /// The `Authorization` value for a request.
    pub(super) fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let login = self.login.as_ref()?;
        match &mut self.answer {
            Answer::None => None,
            Answer::Basic => Some(digest::answer_basic(&login.user, &login.password)),
            Answer::Digest { challenge, count } => {
                *count = count.saturating_add(1);
                let (user, password) = (&login.user, &login.password);
                let nonce = &self.client_nonce;
                Some(digest::answer(challenge, user, password, method, uri, *count, nonce))
            }
        }
    }

    /// Takes the challenges of a `401`. On success the request is sent again: once, and a second time
    /// only if the camera says that our nonce was too old.
    pub(super) fn challenged<'a>(
        &mut self,
        headers: impl IntoIterator<Item = &'a str>,
        refusals: Refusals,
    ) -> Result<Refusals, EndReason> {
        let challenges = digest::parse_challenges(headers);
        let strongest = match Challenge::strongest(&challenges) {
            Some(Challenge::Digest(digest)) => Some(digest),
            Some(Challenge::Basic) | None => None,
        };
        if strongest.is_some() {
            self.memory = LoginMemory::DigestSeen;
        }
        if self.login.is_none() {
            return Err(EndReason::LoginRequired);
        }
        let next = match (refusals, strongest.is_some_and(|digest| digest.stale)) {
            (Refusals::Never, _) => Refusals::Once,
            (Refusals::Once, true) => Refusals::Twice,
            (Refusals::Once, false) | (Refusals::Twice, _) => return Err(EndReason::LoginRefused),
        };
        self.answer = match (strongest, self.memory, self.basic) {
            (Some(digest), _, _) => Answer::Digest { challenge: digest.clone(), count: 0 },
            (None, _, _) if !challenges.contains(&Challenge::Basic) => {
                return Err(EndReason::UnknownChallenge);
            }
            (None, LoginMemory::DigestSeen, _) => return Err(EndReason::BasicAfterDigest),
            (None, LoginMemory::Nothing, BasicPolicy::Refuse) => {
                return Err(EndReason::BasicRefused);
            }
            (None, LoginMemory::Nothing, BasicPolicy::Allow) => Answer::Basic,
        };
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = r#"Digest realm="r", nonce="n1", algorithm=MD5, qop="auth""#;
    const SHA: &str = r#"Digest realm="r", nonce="n2", algorithm=SHA-256, qop="auth""#;
    const STALE: &str = r#"Digest realm="r", nonce="n3", stale=true"#;
    const BASIC: &str = r#"Basic realm="r""#;

    fn with(basic: BasicPolicy, memory: LoginMemory) -> Authenticator {
        let login = Login { user: "u".into(), password: "secret".to_owned().into() };
        Authenticator::new(Some(login), basic, memory, "c".into())
    }

    #[test]
    fn the_strongest_challenge_is_answered() {
        let mut auth = with(BasicPolicy::Allow, LoginMemory::Nothing);
        assert_eq!(auth.authorization("DESCRIBE", "rtsp://a/"), None);
        auth.challenged([BASIC, MD5, SHA], Refusals::Never).unwrap();
        let value = auth.authorization("DESCRIBE", "rtsp://a/").unwrap();
        assert!(value.contains("SHA-256") && value.contains("n2"), "{value}");
        assert!(value.contains("nc=00000001"), "{value}");
        assert!(auth.authorization("SETUP", "rtsp://a/").unwrap().contains("nc=00000002"));
        assert_eq!(auth.memory(), LoginMemory::DigestSeen);
    }

    #[test]
    fn basic_only_where_allowed_and_never_after_digest() {
        let mut auth = with(BasicPolicy::Refuse, LoginMemory::Nothing);
        assert_eq!(auth.challenged([BASIC], Refusals::Never), Err(EndReason::BasicRefused));
        assert_eq!(auth.authorization("DESCRIBE", "rtsp://a/"), None);

        let mut auth = with(BasicPolicy::Allow, LoginMemory::Nothing);
        auth.challenged([BASIC], Refusals::Never).unwrap();
        assert!(auth.authorization("DESCRIBE", "rtsp://a/").unwrap().starts_with("Basic "));

        let mut auth = with(BasicPolicy::Allow, LoginMemory::DigestSeen);
        assert_eq!(auth.challenged([BASIC], Refusals::Never), Err(EndReason::BasicAfterDigest));
        assert_eq!(auth.authorization("DESCRIBE", "rtsp://a/"), None);

        let mut auth = with(BasicPolicy::Allow, LoginMemory::Nothing);
        auth.challenged([MD5], Refusals::Never).unwrap();
        assert_eq!(auth.challenged([BASIC], Refusals::Never), Err(EndReason::BasicAfterDigest));
    }

    #[test]
    fn a_wrong_password_is_tried_once_and_a_stale_nonce_once_more() {
        let mut auth = with(BasicPolicy::Refuse, LoginMemory::Nothing);
        let once = auth.challenged([MD5], Refusals::Never).unwrap();
        assert_eq!(auth.challenged([MD5], once), Err(EndReason::LoginRefused));
        let twice = auth.challenged([STALE], once).unwrap();
        assert!(auth.authorization("PLAY", "rtsp://a/").unwrap().contains("n3"));
        assert_eq!(auth.challenged([STALE], twice), Err(EndReason::LoginRefused));
    }

    #[test]
    fn no_account_and_no_known_scheme() {
        let mut auth =
            Authenticator::new(None, BasicPolicy::Allow, LoginMemory::Nothing, "c".into());
        assert_eq!(auth.challenged([SHA], Refusals::Never), Err(EndReason::LoginRequired));
        assert_eq!(auth.memory(), LoginMemory::DigestSeen);
        let mut auth = with(BasicPolicy::Allow, LoginMemory::Nothing);
        assert_eq!(
            auth.challenged(["Negotiate abc"], Refusals::Never),
            Err(EndReason::UnknownChallenge)
        );
    }
}
