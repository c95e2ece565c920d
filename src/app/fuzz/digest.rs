//! Login headers of both sides.

use secrecy::{ExposeSecret as _, SecretString};

use crate::ops::limits;
use crate::wire::digest::{
    Authorization, Challenge, DigestChallenge, Ha1, answer, parse_authorization, parse_challenges,
};

/// Each line is read as a challenge and as an answer: within its bounds; a challenge can be written again
/// and answered, and the answer is one that our own server takes.
pub fn digest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let challenges = parse_challenges(text.lines());
    assert!(challenges.len() <= limits::CHALLENGES);
    assert_eq!(Challenge::strongest(&challenges).is_some(), !challenges.is_empty());
    for challenge in &challenges {
        if let Challenge::Digest(digest) = challenge {
            check_challenge(digest);
        }
    }
    text.lines().filter_map(parse_authorization).for_each(|found| check_authorization(&found));
}

fn check_challenge(challenge: &DigestChallenge) {
    let DigestChallenge { realm, nonce, opaque, .. } = challenge;
    for value in [Some(realm), Some(nonce), opaque.as_ref()].into_iter().flatten() {
        assert!(value.len() <= limits::CHALLENGE_BYTES);
        assert!(!value.contains(['"', '\\']) && !value.contains(char::is_control));
    }
    let written = challenge.encode();
    assert_eq!(
        parse_challenges([written.as_str()]),
        [Challenge::Digest(challenge.clone())],
        "{written}"
    );
    let password = SecretString::from("secret");
    let answered = answer(challenge, "viewer", &password, "PLAY", "rtsp://a/b", 1, "cnonce");
    assert!(!answered.contains("secret") || realm.contains("secret") || written.contains("secret"));
    let Some(read) = parse_authorization(&answered) else {
        let over = |text: &String| text.len() > limits::CREDENTIAL_BYTES;
        // Our own server asks for no session without a quality of protection.
        let unanswerable = challenge.session && !challenge.qop_auth;
        assert!(over(realm) || over(nonce) || unanswerable, "{answered}");
        return;
    };
    let Authorization::Digest(response) = read else { panic!("{answered}") };
    let ha1 = Ha1::new(challenge.algorithm, "viewer", realm, &password);
    assert!(ha1.verify(&response, "PLAY"), "{answered}");
    assert!(!ha1.verify(&response, "PAUSE"), "{answered}");
}

fn check_authorization(found: &Authorization) {
    match found {
        Authorization::Basic { user, password } => {
            assert!(user.len() <= limits::CREDENTIAL_BYTES && !user.contains(':'));
            assert!(password.expose_secret().len() <= limits::CREDENTIAL_BYTES);
        }
        Authorization::Digest(response) => {
            for value in [&response.user, &response.realm, &response.nonce] {
                assert!(value.len() <= limits::CREDENTIAL_BYTES);
            }
            assert!(response.uri.len() <= limits::RTSP_URI_BYTES);
            assert!(response.response.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
            assert!(Ha1::from_hex(response.algorithm, &response.response).is_some());
            let ha1 = Ha1::new(response.algorithm, "viewer", "realm", &"secret".to_owned().into());
            // Nobody finds a right answer by chance.
            assert!(response.realm == "realm" || !ha1.verify(response, "PLAY"));
        }
    }
}
