#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::ops::limits::{CHALLENGE_BYTES, CHALLENGES, CREDENTIAL_BYTES, RTSP_URI_BYTES};

fn one(header: &str) -> DigestChallenge {
    match parse_challenges([header]).as_slice() {
        [Challenge::Digest(digest)] => digest.clone(),
        other => panic!("{header}: {other:?}"),
    }
}

fn none(header: &str) {
    assert_eq!(parse_challenges([header]), [], "{header}");
}

fn digest_of(value: &str) -> DigestResponse {
    match parse_authorization(value) {
        Some(Authorization::Digest(digest)) => digest,
        other => panic!("{value}: {other:?}"),
    }
}

fn password(text: &str) -> SecretString {
    text.into()
}

fn parameter<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    let key = format!("{key}=");
    value
        .split([' ', ','])
        .find_map(|part| part.strip_prefix(&*key))
        .map(|value| value.trim_matches('"'))
}

/// RFC 2617 3.5 and RFC 7616 3.9.1; the forms without qop and `-sess` by an independent program
/// (Python's `hashlib`).
#[test]
fn responses_are_those_of_the_rfcs() {
    let rfc2617 = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let ask = |challenge: &str, password: &str, cnonce: &str| {
        let challenge = one(challenge);
        answer(&challenge, "Mufasa", &password.into(), "GET", "/dir/index.html", 1, cnonce)
    };
    let value = ask(rfc2617, "Circle Of Life", "0a4f113b");
    assert_eq!(
        value,
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
         response=\"6629fae49393a05397450978507c4ef1\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\", qop=auth, nc=00000001, cnonce=\"0a4f113b\""
    );
    let rfc2069 = rfc2617.replace("qop=\"auth,auth-int\", ", "");
    let value = ask(&rfc2069, "CircleOfLife", "");
    assert_eq!(parameter(&value, "response"), Some("1949323746fe6a43ef61f9606e7febea"));
    assert_eq!(parameter(&value, "qop"), None);

    let rfc7616 = |algorithm: &str| {
        let challenge = format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let value = ask(&challenge, "Circle of Life", cnonce);
        (
            parameter(&value, "response").unwrap().to_owned(),
            parameter(&value, "algorithm").map(str::to_owned),
        )
    };
    let md5 = "8ca523f5e9506fed4657c9700eebdbec";
    let sha = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
    assert_eq!(rfc7616("MD5"), (md5.into(), None));
    assert_eq!(rfc7616("sha-256"), (sha.into(), Some("SHA-256".into())));
    assert_eq!(rfc7616("MD5-sess"), (MD5_SESS.into(), Some("MD5-sess".into())));
    assert_eq!(rfc7616("SHA-256-sess"), (SHA_SESS.into(), Some("SHA-256-sess".into())));
}

const MD5_SESS: &str = "e783283f46242139c486a698fec7211d";
const SHA_SESS: &str = "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7";

#[test]
fn challenges_of_cameras_are_read() {
    let c = one("Digest realm=\"Surveillance Server\", nonce=\"98481030\"");
    assert_eq!((c.realm.as_str(), c.nonce.as_str()), ("Surveillance Server", "98481030"));
    assert_eq!(
        (c.algorithm, c.session, c.qop_auth, c.stale),
        (Algorithm::Md5, false, false, false)
    );
    let c = one("digest  REALM = x ,nonce=ab/c== ,x-vendor=\"1\",domain=/,stale=TRUE,qop=auth");
    assert_eq!((c.realm.as_str(), c.nonce.as_str()), ("x", "ab/c=="));
    assert!(c.stale && c.qop_auth);
    let c = one("Digest realm=\"a, Basic b=\" nonce=\"n\" algorithm=\"SHA-256\" qop=\"\"");
    assert_eq!(
        (c.realm.as_str(), c.algorithm, c.qop_auth),
        ("a, Basic b=", Algorithm::Sha256, false)
    );
}

#[test]
fn several_challenges_in_one_or_many_headers() {
    let one_header = "Basic realm=\"x\", Digest realm=\"x\", nonce=\"1\", algorithm=MD5, \
        Digest realm=\"x\", nonce=\"2\", algorithm=SHA-256, Negotiate, \
        Digest realm=\"x\", nonce=\"3\", algorithm=SHA-256";
    let found = parse_challenges([one_header]);
    assert_eq!(
        found.iter().map(Challenge::strength).collect::<Vec<_>>(),
        [Strength::Basic, Strength::DigestMd5, Strength::DigestSha256, Strength::DigestSha256]
    );
    let Some(Challenge::Digest(best)) = Challenge::strongest(&found) else { panic!() };
    assert_eq!(best.nonce, "2", "the first of equals");
    let many = ["Basic", "Digest realm=a, nonce=b", "", "Digest realm=a"];
    assert_eq!(parse_challenges(many).len(), 2);
    assert_eq!(
        Challenge::strongest(&parse_challenges(many)).unwrap().strength(),
        Strength::DigestMd5
    );
    assert_eq!(Challenge::strongest(&[]), None);
    let crowd = |n| parse_challenges(vec!["Foo, Basic realm=a"; n / 2]).len();
    assert_eq!(crowd(CHALLENGES), CHALLENGES / 2);
    assert_eq!(crowd(CHALLENGES + 2), CHALLENGES / 2);
}

#[test]
fn what_cannot_be_answered_is_left_out() {
    none("Digest realm=\"a\"");
    none("Digest nonce=\"a\"");
    none("Digest realm=\"a\", nonce=\"b\", algorithm=SHA-512-256");
    none("Digest realm=\"a\", nonce=\"b\", algorithm=token");
    none("Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"");
    none("Digest realm=\"a\\\"\", nonce=\"b\"");
    none("Digest realm=\"a\", nonce=\"b\\c\"");
    none("Digest realm=\"a\", nonce=\"b");
    none("Digest realm=\"a\", nonce=b\\c");
    none("Digest realm=\"a\", nonce=\"b\", nonce=\"c\"");
    none("Digest realm=\"a\tb\", nonce=\"b\"");
    none("Digest =");
    none("Bearer realm=\"a\"");
    let long = "n".repeat(CHALLENGE_BYTES);
    assert_eq!(one(&format!("Digest realm=a, nonce={long}")).nonce, long);
    for key in ["realm", "nonce", "opaque"] {
        let rest = ["realm", "nonce", "opaque"].iter().filter(|k| **k != key);
        let rest: String = rest.map(|k| format!(", {k}=a")).collect();
        one(&format!("Digest {key}={long}{rest}"));
        none(&format!("Digest {key}={long}n{rest}"));
    }
}

#[test]
fn both_sides_agree() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        for (session, qop_auth) in [(false, false), (false, true), (true, true)] {
            let challenge = DigestChallenge {
                realm: "camlock".into(),
                nonce: "n0".into(),
                opaque: Some("o".into()),
                algorithm,
                session,
                qop_auth,
                stale: qop_auth,
            };
            assert_eq!(one(&challenge.encode()), challenge);
            let secret = password("p\u{e4}ss:w\"ord");
            let ha1 = Ha1::new(algorithm, "u", "camlock", &secret);
            let value = answer(&challenge, "u", &secret, "PLAY", "rtsp://h/a", 0x1f, "c");
            let response = digest_of(&value);
            assert!(ha1.verify(&response, "PLAY"));
            assert!(!ha1.verify(&response, "PAUSE"));
            assert!(!Ha1::new(algorithm, "u", "x", &secret).verify(&response, "PLAY"));
            for spoil in [
                |r: &mut DigestResponse| r.uri.push('x'),
                |r: &mut DigestResponse| r.nonce.push('x'),
                |r: &mut DigestResponse| r.session ^= true,
                |r: &mut DigestResponse| r.response = r.response.chars().rev().collect(),
                |r: &mut DigestResponse| r.response.clear(),
                |r: &mut DigestResponse| match &mut r.qop {
                    Some(qop) => qop.count += 1,
                    None => r.qop = Some(Qop { count: 1, cnonce: String::new() }),
                },
            ] {
                let mut spoilt = response.clone();
                spoil(&mut spoilt);
                assert!(!ha1.verify(&spoilt, "PLAY"), "{spoilt:?}");
            }
        }
    }
    assert_eq!(basic_challenge("a\"b"), "Basic realm=\"a\\\"b\"");
}

#[test]
fn a_stored_ha1_is_checked() {
    let secret = password("Circle Of Life");
    let ha1 = Ha1::new(Algorithm::Md5, "Mufasa", "testrealm@host.com", &secret);
    // RFC 2617 gives no HA1; the value is widely published with its example
    assert_eq!(ha1.expose_hex(), "939e7578ed9e3c518a452acee763bce9");
    let stored = Ha1::from_hex(Algorithm::Md5, "939e7578ed9e3c518a452acee763bce9").unwrap();
    assert!(ha1.matches(&stored));
    let sha = Ha1::new(Algorithm::Sha256, "Mufasa", "testrealm@host.com", &secret);
    assert!(!ha1.matches(&sha));
    assert!(!ha1.matches(&Ha1::new(
        Algorithm::Md5,
        "Mufasa",
        "testrealm@host.com",
        &password("x")
    )));
    for bad in ["", "939e7578ed9e3c518a452acee763bce", "939E7578ed9e3c518a452acee763bce9"] {
        assert!(Ha1::from_hex(Algorithm::Md5, bad).is_none());
        assert!(Ha1::from_hex(Algorithm::Sha256, bad).is_none());
    }
}

#[test]
fn basic_goes_both_ways() {
    // RFC 7617 section 2
    let value = answer_basic("Aladdin", &password("open sesame"));
    assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    for value in [value.as_str(), "basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ "] {
        let Some(Authorization::Basic { user, password }) = parse_authorization(value) else {
            panic!("{value}")
        };
        assert_eq!((user.as_str(), password.expose_secret()), ("Aladdin", "open sesame"));
    }
    let of = |user: usize, pass: usize| {
        let value = answer_basic(&"u".repeat(user), &password(&"p".repeat(pass)));
        parse_authorization(&value).is_some()
    };
    assert!(of(CREDENTIAL_BYTES, CREDENTIAL_BYTES));
    assert!(!of(CREDENTIAL_BYTES + 1, 1));
    assert!(!of(1, CREDENTIAL_BYTES + 1));
    assert!(!of(CREDENTIAL_BYTES, CREDENTIAL_BYTES + 1));
    for bad in ["Basic", "Basic ", "Basic !!!!", "Basic QWxh", "Basic //86", "Bearer QTpi", ""] {
        assert!(parse_authorization(bad).is_none(), "{bad}");
    }
}

#[test]
fn malformed_responses_are_refused() {
    let hex = "0123456789abcdef0123456789ABCDEF";
    let good = format!(
        "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"{hex}\", \
         qop=auth, nc=0000000a, cnonce=\"c\""
    );
    let response = digest_of(&good);
    assert_eq!(response.response, hex.to_ascii_lowercase());
    assert_eq!(response.qop, Some(Qop { count: 10, cnonce: "c".into() }));
    for (from, to) in [
        ("username=\"u\", ", ""),
        ("realm=\"r\", ", ""),
        ("nonce=\"n\", ", ""),
        ("uri=\"/\", ", ""),
        (", cnonce=\"c\"", ""),
        (", nc=0000000a", ""),
        ("0000000a", "a"),
        ("0000000a", "+000000a"),
        ("0000000a", "0000000A"),
        ("qop=auth", "qop=auth-int"),
        ("qop=auth", "realm=\"r\""),
        ("qop=auth", "algorithm=SHA-1"),
        ("qop=auth", "algorithm=SHA-256"),
        ("qop=auth", "algorithm=MD5-sess"),
        ("qop=auth", "Digest"),
        ("username=\"u\"", "username=\"u\\\"\""),
        ("cdef", "cdeg"),
        ("cdef", "cde"),
        ("\"c\"", "\"c"),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(parse_authorization(&good.replacen(from, to, 1)).is_none(), "{from} -> {to}");
    }
    let with = |key: &str, value: &str, length: usize| {
        let old = format!("{key}=\"{value}\"");
        assert!(good.contains(&old));
        let new = format!("{key}=\"{}\"", "x".repeat(length));
        parse_authorization(&good.replacen(&old, &new, 1)).is_some()
    };
    for (key, value, limit) in [
        ("username", "u", CREDENTIAL_BYTES),
        ("realm", "r", CREDENTIAL_BYTES),
        (" nonce", "n", CREDENTIAL_BYTES),
        ("cnonce", "c", CREDENTIAL_BYTES),
        ("uri", "/", RTSP_URI_BYTES),
    ] {
        assert!(with(key, value, limit) && !with(key, value, limit + 1), "{key}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let secret = password("hunter2");
    let ha1 = Ha1::new(Algorithm::Md5, "u", "r", &secret);
    let basic = parse_authorization(&answer_basic("u", &secret));
    let printed = format!("{ha1:?} {basic:?}");
    assert!(!printed.contains("hunter2") && !printed.contains(ha1.expose_hex()));
}

#[test]
fn any_text_is_read_without_a_panic() {
    use proptest::prelude::*;
    let pieces = prop_oneof![
        Just("Digest "),
        Just("Basic "),
        Just("realm="),
        Just("nonce="),
        Just("qop="),
        Just("\""),
        Just(","),
        Just("="),
        Just("\\"),
        Just(" "),
        Just("auth"),
        Just("algorithm=MD5"),
        Just("\u{e4}\u{1f600}"),
        Just("\0"),
        Just("a"),
        Just("QTpi"),
        Just("username="),
        Just("nc=")
    ];
    proptest!(|(words in prop::collection::vec(pieces, 0..24), text in "\\PC{0,60}")| {
        let value = words.concat() + &text;
        prop_assert!(parse_challenges([value.as_str(), &text]).len() <= CHALLENGES);
        for value in [&value, &format!("Digest {value}")] {
            if let Some(Authorization::Digest(digest)) = parse_authorization(value) {
                prop_assert!(digest.user.len() <= CREDENTIAL_BYTES);
            }
        }
        for challenge in parse_challenges([value.as_str()]) {
            if let Challenge::Digest(digest) = challenge {
                prop_assert_eq!(one(&digest.encode()), digest);
            }
        }
    });
}
