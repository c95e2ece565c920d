//! Quirks of logins. The scripted camera checks each answer to its challenge, and panics at a Basic one.

use super::super::peer::Script;
use super::{Alone, assert_plain, both};

/// A plain session behind these challenges; what the first signed request answers.
async fn behind(challenges: &[&str]) -> (String, Alone) {
    let headers: String =
        challenges.iter().map(|challenge| format!("WWW-Authenticate: {challenge}\r\n")).collect();
    let refusal = Some(format!("RTSP/1.0 401 Unauthorized\r\nCSeq: 0\r\n{headers}\r\n"));
    let (seen, through, alone) = both(Script { refusal, ..Script::plain() }).await;
    assert_plain(&seen);
    let signed = through.requests.iter().filter_map(|asked| asked.headers.get("Authorization"));
    let signed: Vec<_> = signed.collect();
    assert_eq!(signed.len(), 4, "all but the first: {:?}", through.requests);
    (signed[0].to_owned(), alone)
}

pub(super) async fn several_challenges() -> Alone {
    let basic = "Basic realm=\"cam\"";
    let md5 = "Digest realm=\"cam\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";
    let sha = "Digest realm=\"cam\", nonce=\"n2\", algorithm=SHA-256, qop=\"auth\"";
    let mut all = Vec::new();
    for challenges in [[basic, md5, sha], [sha, md5, basic], [md5, sha, basic]] {
        let (signed, alone) = behind(&challenges).await;
        assert!(signed.contains("algorithm=SHA-256") && signed.contains("\"n2\""), "{signed}");
        all.push(alone);
    }
    assert!(behind(&[basic, md5]).await.0.contains("\"n1\""));
    assert!(all.iter().all(|alone| *alone == all[0]), "{all:?}");
    all[0]
}

pub(super) async fn odd_parameters() -> Alone {
    let challenge = "Digest realm=\"cam\",  domain=\"/\", nonce=\"a+b/c==\", opaque=\"\", \
        stale=\"FALSE\", algorithm=\"MD5\", qop=\"auth\", charset=utf-8, X-vendor=\"1,2\"";
    let (signed, alone) = behind(&[challenge]).await;
    assert!(signed.contains("nonce=\"a+b/c==\"") && !signed.contains("vendor"), "{signed}");
    alone
}

pub(super) async fn no_algorithm() -> Alone {
    let (signed, alone) = behind(&["Digest realm=\"cam\", nonce=\"98481030\""]).await;
    assert!(!signed.contains("qop") && !signed.contains("algorithm"), "{signed}");
    alone
}

pub(super) async fn sha_256_only() -> Alone {
    let challenge = "Digest realm=\"cam\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"";
    let (signed, alone) = behind(&[challenge]).await;
    assert!(signed.contains("algorithm=SHA-256"), "{signed}");
    alone
}

/// The nonce in a challenge is the number of the request it refuses, and only the next may use it.
pub(super) async fn new_nonce_each_time() -> Alone {
    let script = Script {
        twist: |asked, answer| {
            let cseq = asked.cseq().unwrap();
            let fresh = format!("nonce=\"n{}\"", cseq.wrapping_sub(1));
            match asked.headers.get("Authorization") {
                Some(signed) if signed.contains(&fresh) => answer,
                Some(_) | None => {
                    let challenge = format!("Digest realm=\"cam\", nonce=\"n{cseq}\", stale=true");
                    let head = format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n");
                    format!("{head}WWW-Authenticate: {challenge}\r\n\r\n")
                }
            }
        },
        ..Script::plain()
    };
    let (seen, through, alone) = both(script).await;
    // Each refused request takes its place in the script's list of tracks, so look at the answers only.
    assert!(seen.items.len() >= 3, "{seen:?}");
    assert!(through.requests.len() >= 6);
    alone
}
