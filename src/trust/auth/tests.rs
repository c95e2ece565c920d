use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use futures_util::FutureExt;
use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::media::{Kinds, StreamName, StreamPattern};
use crate::ops::limits;
use crate::ops::metrics::Metrics;
use crate::trust::tls::{Fingerprint, PeerIdentity};
use crate::wire::digest::{self, Challenge, DigestChallenge};

const URI: &str = "rtsp://gate/door/main";
const VIDEO: Kinds = Kinds { video: true, audio: false };

fn grant(pattern: &str, kinds: Kinds) -> Grant {
    Grant { streams: StreamPattern::parse(pattern).unwrap(), kinds }
}

fn user(name: &str, credential: Credential, grants: Vec<Grant>) -> User {
    User::new(name, credential, grants).unwrap()
}

fn human(name: &str, password: &str) -> User {
    user(name, Credential::Argon2id(cheap_hash(password)), vec![grant("*", Kinds::ALL)])
}

fn machine(name: &str, secret: &str) -> User {
    let secret = GeneratedSecret::new(name, &secret.to_owned().into());
    user(name, Credential::Generated(secret), vec![grant("*", Kinds::ALL)])
}

fn holder(name: &str, common_name: &str) -> User {
    let credential = Credential::Certificate(CertificateMatch::CommonName(common_name.into()));
    user(name, credential, vec![grant("*", Kinds::ALL)])
}

fn authenticator(users: Vec<User>) -> Authenticator {
    Authenticator::new(Settings { users }, Metrics::new())
}

fn source(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn basic(user: &str, password: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {text}")
}

async fn ask(
    auth: &Authenticator,
    login: &mut ConnectionLogin,
    authorization: Option<&str>,
) -> Result<Arc<Principal>, Denial> {
    let presented = Presented { method: "DESCRIBE", uri: URI, authorization };
    auth.authenticate(login, presented).await
}

/// One connection, one Basic attempt.
async fn try_basic(
    auth: &Authenticator,
    last: u8,
    user: &str,
    password: &str,
) -> Result<Arc<Principal>, Denial> {
    let mut login = auth.connection(source(last), &Offer::Secure, None);
    ask(auth, &mut login, Some(&basic(user, password))).await
}

/// The Digest challenge for `algorithm`, as a client reads it.
fn digest_challenge(challenges: &[String], algorithm: digest::Algorithm) -> DigestChallenge {
    digest::parse_challenges(challenges.iter().map(String::as_str))
        .into_iter()
        .find_map(|challenge| match challenge {
            Challenge::Digest(d) if d.algorithm == algorithm => Some(d),
            Challenge::Digest(_) | Challenge::Basic => None,
        })
        .expect("a Digest challenge")
}

fn answer(challenge: &DigestChallenge, user: &str, secret: &str, count: u32) -> String {
    let secret: SecretString = secret.to_owned().into();
    digest::answer(challenge, user, &secret, "DESCRIBE", URI, count, "cnonce")
}

fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

#[tokio::test]
async fn nobody_gets_in_without_a_credential() {
    let auth = authenticator(vec![]);
    let mut login = auth.connection(source(1), &Offer::Secure, None);
    assert_eq!(ask(&auth, &mut login, None).await, Err(Denial::LoginNeeded));
    for text in ["", "Basic", "Basic !!!", "Bearer x", "Basic Og==", "Digest", &basic("", "")] {
        let got = ask(&auth, &mut login, Some(text)).await;
        assert_eq!(got, Err(Denial::WrongCredential), "{text}");
    }
}

#[tokio::test]
async fn a_person_logs_in_with_a_password_and_a_machine_with_its_secret() {
    let auth = authenticator(vec![human("ann", "right"), machine("nvr", "s3cret")]);
    assert_eq!(try_basic(&auth, 1, "ann", "right").await.unwrap().name(), "ann");
    assert_eq!(try_basic(&auth, 1, "nvr", "s3cret").await.unwrap().name(), "nvr");
    for (user, password) in
        [("ann", "wrong"), ("nvr", "right"), ("bob", "right"), ("ann", ""), ("", "right")]
    {
        let got = try_basic(&auth, 2, user, password).await;
        assert_eq!(got, Err(Denial::WrongCredential), "{user}");
    }
}

#[tokio::test]
async fn where_somebody_has_a_password_only_basic_is_offered_over_tls() {
    let auth = authenticator(vec![human("ann", "right"), machine("nvr", "s3cret")]);
    let mut login = auth.connection(source(1), &Offer::Secure, None);
    let challenges = auth.challenges(&mut login, Denial::LoginNeeded);
    assert_eq!(challenges, [r#"Basic realm="camlock""#]);
}

#[tokio::test]
async fn machines_alone_are_offered_digest_with_md5_last() {
    let auth = authenticator(vec![machine("nvr", "s3cret")]);
    let mut login = auth.connection(source(1), &Offer::Secure, None);
    let challenges = auth.challenges(&mut login, Denial::LoginNeeded);
    let start = |at: usize| challenges[at].split(['=', ' ']).next().unwrap();
    assert_eq!((start(0), start(1), start(2)), ("Basic", "Digest", "Digest"));
    assert!(challenges[1].contains("algorithm=SHA-256") && challenges[2].contains("algorithm=MD5"));
    let (sha, md5) = (digest::Algorithm::Sha256, digest::Algorithm::Md5);
    assert_eq!(digest_challenge(&challenges, sha).nonce, digest_challenge(&challenges, md5).nonce);
    let mut plain = auth.connection(source(1), &Offer::Plain, None);
    let challenges = auth.challenges(&mut plain, Denial::LoginNeeded);
    assert!(challenges.len() == 1 && challenges[0].contains("algorithm=MD5"), "{challenges:?}");
}

#[tokio::test]
async fn basic_is_not_taken_where_it_was_not_offered() {
    let auth = authenticator(vec![machine("nvr", "s3cret")]);
    let mut login = auth.connection(source(1), &Offer::Plain, None);
    let got = ask(&auth, &mut login, Some(&basic("nvr", "s3cret"))).await;
    assert_eq!(got, Err(Denial::WrongCredential));
}

#[tokio::test]
async fn digest_logs_in_with_both_hashes_and_counts_up() {
    let auth = authenticator(vec![machine("nvr", "s3cret")]);
    for algorithm in [digest::Algorithm::Md5, digest::Algorithm::Sha256] {
        let mut login = auth.connection(source(1), &Offer::Secure, None);
        let challenges = auth.challenges(&mut login, Denial::LoginNeeded);
        let challenge = digest_challenge(&challenges, algorithm);
        for count in [1, 2, 5] {
            let text = answer(&challenge, "nvr", "s3cret", count);
            assert_eq!(ask(&auth, &mut login, Some(&text)).await.unwrap().name(), "nvr");
            let replayed = ask(&auth, &mut login, Some(&text)).await;
            assert_eq!(replayed, Err(Denial::StaleNonce), "a count is used once");
        }
        let wrong = answer(&challenge, "nvr", "other", 6);
        assert_eq!(ask(&auth, &mut login, Some(&wrong)).await, Err(Denial::WrongCredential));
    }
}

#[tokio::test]
async fn a_digest_without_qop_is_taken() {
    let auth = authenticator(vec![machine("nvr", "s3cret")]);
    let mut login = auth.connection(source(1), &Offer::Secure, None);
    let challenges = auth.challenges(&mut login, Denial::LoginNeeded);
    let mut challenge = digest_challenge(&challenges, digest::Algorithm::Md5);
    challenge.qop_auth = false;
    let text = answer(&challenge, "nvr", "s3cret", 1);
    assert!(!text.contains("qop"));
    for _ in 0..2 {
        assert!(ask(&auth, &mut login, Some(&text)).await.is_ok());
    }
}

#[tokio::test]
async fn a_digest_for_another_request_realm_or_connection_is_refused() {
    let auth = authenticator(vec![machine("nvr", "s3cret")]);
    let mut login = auth.connection(source(1), &Offer::Secure, None);
    let challenges = auth.challenges(&mut login, Denial::LoginNeeded);
    let challenge = digest_challenge(&challenges, digest::Algorithm::Md5);
    let text = answer(&challenge, "nvr", "s3cret", 1);
    for (method, uri) in [("PLAY", URI), ("DESCRIBE", "rtsp://gate/yard/main")] {
        let presented = Presented { method, uri, authorization: Some(&text) };
        let got = auth.authenticate(&mut login, presented).await;
        assert_eq!(got, Err(Denial::WrongCredential), "{method} {uri}");
    }
    let realm = DigestChallenge { realm: "other".into(), ..challenge.clone() };
    let got = ask(&auth, &mut login, Some(&answer(&realm, "nvr", "s3cret", 1))).await;
    assert_eq!(got, Err(Denial::WrongCredential));
    let mut other = auth.connection(source(2), &Offer::Secure, None);
    auth.challenges(&mut other, Denial::LoginNeeded);
    assert_eq!(ask(&auth, &mut other, Some(&text)).await, Err(Denial::StaleNonce));
    assert!(ask(&auth, &mut login, Some(&text)).await.is_ok(), "and here it is right");
}

#[tokio::test(start_paused = true)]
async fn an_old_nonce_is_stale_and_the_next_challenge_says_so() {
    let auth = authenticator(vec![machine("nvr", "s3cret")]);
    let mut login = auth.connection(source(1), &Offer::Secure, None);
    let challenges = auth.challenges(&mut login, Denial::LoginNeeded);
    let challenge = digest_challenge(&challenges, digest::Algorithm::Md5);
    tokio::time::advance(limits::NONCE_TIME).await;
    let text = answer(&challenge, "nvr", "s3cret", 1);
    assert_eq!(ask(&auth, &mut login, Some(&text)).await, Err(Denial::StaleNonce));
    let again = auth.challenges(&mut login, Denial::StaleNonce);
    let challenge = digest_challenge(&again, digest::Algorithm::Md5);
    assert!(challenge.stale);
    assert!(again.iter().all(|text| text.starts_with("Digest")), "{again:?}");
    assert!(ask(&auth, &mut login, Some(&answer(&challenge, "nvr", "s3cret", 1))).await.is_ok());
}

#[tokio::test]
async fn a_person_who_tried_digest_is_offered_basic_next() {
    let auth = authenticator(vec![human("ann", "right")]);
    let offer = Offer::These([Scheme::DigestMd5, Scheme::Basic].into());
    let mut login = auth.connection(source(1), &offer, None);
    let challenges = auth.challenges(&mut login, Denial::LoginNeeded);
    assert_eq!(challenges.len(), 2);
    let challenge = digest_challenge(&challenges, digest::Algorithm::Md5);
    let text = answer(&challenge, "ann", "right", 1);
    assert_eq!(ask(&auth, &mut login, Some(&text)).await, Err(Denial::WrongCredential));
    let next = auth.challenges(&mut login, Denial::WrongCredential);
    assert_eq!(next, [r#"Basic realm="camlock""#]);
    assert!(ask(&auth, &mut login, Some(&basic("ann", "right"))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn guesses_are_throttled_for_one_source_and_account_only() {
    let auth = authenticator(vec![human("ann", "right"), human("bob", "right")]);
    for n in 0..4 {
        let got = try_basic(&auth, 1, "ann", &n.to_string()).await;
        assert_eq!(got, Err(Denial::WrongCredential), "{n}");
    }
    assert_eq!(try_basic(&auth, 1, "ann", "right").await, Err(Denial::Throttled));
    assert!(try_basic(&auth, 1, "bob", "right").await.is_ok(), "another account");
    assert!(try_basic(&auth, 2, "ann", "right").await.is_ok(), "another source");
    assert!(try_basic(&auth, 1, "ann", "right").await.is_ok(), "known good from here on");
    assert_eq!(try_basic(&auth, 1, "ann", "guess").await, Err(Denial::Throttled));
    tokio::time::advance(limits::PENALTY_MIN).await;
    assert_eq!(try_basic(&auth, 1, "ann", "guess").await, Err(Denial::WrongCredential));
}

#[tokio::test(start_paused = true)]
async fn accounts_that_do_not_exist_look_like_those_that_do() {
    let auth = authenticator(vec![human("ann", "right"), machine("vms", "secret")]);
    for user in ["ann", "nobody", "vms"] {
        let mut answers = Vec::new();
        for n in 0..6 {
            answers.push(try_basic(&auth, 1, user, &n.to_string()).await.unwrap_err());
        }
        let (w, t) = (Denial::WrongCredential, Denial::Throttled);
        assert_eq!(answers, [w, w, w, w, t, t], "{user}");
    }
    // Three of them were hashed for each: the fourth failure is hashed too, the rest are throttled.
    assert_eq!(auth_metric(&auth, "password_checks_total"), 12);
    assert!(try_basic(&auth, 1, "vms", "secret").await.is_ok(), "right passes whatever was tried");
}

fn auth_metric(auth: &Authenticator, name: &str) -> u64 {
    let text = auth.metrics().encode();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("camlock_{name} ")));
    line.unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_hundred_connections_cost_two_hashes_and_only_the_wrong_one_fails() {
    let auth = authenticator(vec![human("nvr", "right")]);
    let attempts = (0..200).map(|n| {
        let password = if n == 77 { "stale" } else { "right" };
        try_basic(&auth, 1, "nvr", password)
    });
    let results = join_all(attempts).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), n != 77, "{n}");
    }
    // The one with the stale password tries on for an hour, every second; the others come back.
    for _ in 0..3600 {
        assert_eq!(try_basic(&auth, 1, "nvr", "stale").await, Err(Denial::WrongCredential));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let results = join_all((0..199).map(|_| try_basic(&auth, 1, "nvr", "right"))).await;
    assert!(results.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_connection_that_repeats_basic_is_not_judged_again_until_accounts_change() {
    let auth = authenticator(vec![human("ann", "right")]);
    let mut login = auth.connection(source(1), &Offer::Secure, None);
    let right = basic("ann", "right");
    for _ in 0..3 {
        assert!(ask(&auth, &mut login, Some(&right)).await.is_ok());
    }
    assert_eq!(auth_metric(&auth, "password_checks_total"), 1);
    auth.replace(Settings { users: vec![human("ann", "other")] });
    let got = ask(&auth, &mut login, Some(&right)).await;
    assert_eq!(got, Err(Denial::WrongCredential));
}

#[tokio::test]
async fn a_credential_over_the_bound_is_refused() {
    let long = "x".repeat(limits::CREDENTIAL_BYTES + 1);
    let auth = authenticator(vec![human("ann", &long)]);
    assert_eq!(try_basic(&auth, 1, "ann", &long).await, Err(Denial::WrongCredential));
    assert_eq!(try_basic(&auth, 1, &long, "x").await, Err(Denial::WrongCredential));
    let fits = Credential::Argon2id(cheap_hash("x"));
    assert_eq!(User::new(&long, fits, vec![]).unwrap_err(), BadUserName);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_a_login_until_it_ends() {
    let auth = authenticator(vec![holder("door-nvr", "nvr-7")]);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let identity = PeerIdentity {
        common_name: Some("nvr-7".into()),
        fingerprint: Fingerprint::of(&[1]),
        not_after: i64::try_from(now).unwrap() + 100,
    };
    let mut login = auth.connection(source(1), &Offer::Secure, Some(&identity));
    let principal = ask(&auth, &mut login, None).await.unwrap();
    assert_eq!(principal.name(), "door-nvr");
    let permit = auth.permit(&principal, &name("door/main")).unwrap();
    assert!(permit.is_valid());
    assert!(permit.revoked().now_or_never().is_none());
    tokio::time::timeout(Duration::from_secs(101), permit.revoked()).await.unwrap();
    assert!(!permit.is_valid());
    assert_eq!(ask(&auth, &mut login, None).await, Err(Denial::LoginNeeded));

    let stranger = PeerIdentity { common_name: Some("nvr-8".into()), ..identity };
    let mut login = auth.connection(source(1), &Offer::Secure, Some(&stranger));
    assert_eq!(ask(&auth, &mut login, None).await, Err(Denial::LoginNeeded));
    assert_eq!(
        ask(&auth, &mut login, Some(&basic("door-nvr", ""))).await,
        Err(Denial::WrongCredential),
        "an account of a certificate has no password"
    );
}

#[tokio::test]
async fn grants_add_up_by_pattern_and_kind() {
    let credential = Credential::Argon2id(cheap_hash("x"));
    let audio = Kinds { video: false, audio: true };
    let grants = vec![grant("door/*", VIDEO), grant("*/main", audio)];
    let auth = authenticator(vec![user("ann", credential, grants)]);
    let ann = try_basic(&auth, 1, "ann", "x").await.unwrap();
    let kinds = |stream: &str| auth.permit(&ann, &name(stream)).map(|permit| permit.kinds());
    assert_eq!(kinds("door/main"), Ok(Kinds::ALL));
    assert_eq!(kinds("door/sub"), Ok(VIDEO));
    assert_eq!(kinds("yard/main"), Ok(audio));
    assert_eq!(kinds("yard/sub"), Err(Denial::NoGrant));
}

#[tokio::test]
async fn a_reload_ends_what_it_takes_away_and_nothing_else() {
    let hash = cheap_hash("x");
    let ann = |kinds: Option<Kinds>| {
        let grants = kinds.map(|kinds| grant("door/*", kinds)).into_iter().collect();
        user("ann", Credential::Argon2id(hash.clone()), grants)
    };
    let same = || vec![ann(Some(Kinds::ALL))];
    let cases: [(Vec<User>, bool, &str); 6] = [
        (same(), true, "the same again"),
        ([same(), vec![human("bob", "y")]].concat(), true, "one more account"),
        (vec![ann(Some(VIDEO))], false, "less granted"),
        (vec![ann(None)], false, "nothing granted"),
        (vec![human("ann", "x")], false, "another hash, even of the same password"),
        (vec![], false, "account gone"),
    ];
    for (users, holds, what) in cases {
        let auth = authenticator(same());
        let principal = try_basic(&auth, 1, "ann", "x").await.unwrap();
        let permit = auth.permit(&principal, &name("door/main")).unwrap();
        let mut revoked = std::pin::pin!(permit.revoked());
        assert!(futures_util::poll!(&mut revoked).is_pending());
        auth.replace(Settings { users });
        assert_eq!(permit.is_valid(), holds, "{what}");
        assert_eq!(futures_util::poll!(&mut revoked).is_pending(), holds, "{what}");
    }
}

#[tokio::test]
async fn more_grants_do_not_widen_an_old_permit_and_old_principals_need_a_new_login() {
    let hash = cheap_hash("x");
    let ann = |kinds| user("ann", Credential::Argon2id(hash.clone()), vec![grant("*", kinds)]);
    let auth = authenticator(vec![ann(VIDEO)]);
    let principal = try_basic(&auth, 1, "ann", "x").await.unwrap();
    let permit = auth.permit(&principal, &name("door/main")).unwrap();
    auth.replace(Settings { users: vec![ann(Kinds::ALL)] });
    assert!(permit.is_valid());
    assert_eq!(permit.kinds(), VIDEO);
    assert_eq!(auth.permit(&principal, &name("door/main")).unwrap().kinds(), Kinds::ALL);
    auth.replace(Settings { users: vec![human("ann", "y")] });
    assert_eq!(
        auth.permit(&principal, &name("door/main")).map(|p| p.kinds()),
        Err(Denial::LoginNeeded)
    );
    drop(auth);
    assert!(!permit.is_valid(), "nobody vouches for it");
    assert!(permit.revoked().now_or_never().is_some());
}

#[test]
fn generated_secrets_have_128_bits_and_serve_urls() {
    let (a, _) = generate_secret("nvr");
    let (b, _) = generate_secret("nvr");
    assert_ne!(a.expose_secret(), b.expose_secret());
    assert_eq!(a.expose_secret().len(), 22);
    let url_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(a.expose_secret().chars().all(url_safe));
}

#[test]
fn password_hashes_are_checked_when_they_are_read() {
    let form = BadPasswordHash::Form;
    let salt_and_hash = "c29tZXNhbHRzb21l$cGFzc3dvcmRwYXNzd29yZHBhc3N3b3JkcGE";
    for bad in ["", "secret", "$2b$12$abc", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21l"] {
        assert_eq!(PasswordHash::parse(bad).unwrap_err(), form, "{bad}");
    }
    let other = format!("$argon2i$v=19$m=64,t=1,p=1${salt_and_hash}");
    assert_eq!(PasswordHash::parse(&other).unwrap_err(), form);
    for cost in ["m=65537,t=1,p=1", "m=64,t=17,p=1"] {
        let text = format!("$argon2id$v=19${cost}${salt_and_hash}");
        assert_eq!(PasswordHash::parse(&text).unwrap_err(), BadPasswordHash::Cost, "{cost}");
    }
    assert!(
        PasswordHash::parse(&format!("$argon2id$v=19$m=65536,t=16,p=1${salt_and_hash}")).is_ok()
    );
}

#[test]
fn user_names_fit_basic_and_digest() {
    let credential = || Credential::Argon2id(cheap_hash("x"));
    for bad in ["", "a:b", "a\"b", "a\\b", " a", "a ", "a\nb"] {
        assert_eq!(User::new(bad, credential(), vec![]).unwrap_err(), BadUserName, "{bad:?}");
    }
    assert!(User::new("Ann Müller-2@x", credential(), vec![]).is_ok());
}
