//! Logins over whole exchanges, judged by the server side of the digest module.

use super::*;
use crate::wire::digest::{Algorithm, Authorization, Ha1, parse_authorization};

const BASIC: &str = "WWW-Authenticate: Basic realm=\"cam\"\r\n";

fn authorization(wire: &str) -> Option<&str> {
    wire.lines().find_map(|line| line.strip_prefix("Authorization: "))
}

/// Whether the request on the wire proves the password for its own method and URI.
fn proves(wire: &str, algorithm: Algorithm) -> bool {
    let mut words = wire.split(' ');
    let (method, uri) = (words.next().unwrap(), words.next().unwrap());
    let Some(Authorization::Digest(response)) = authorization(wire).and_then(parse_authorization)
    else {
        panic!("{wire}");
    };
    assert_eq!(response.uri, uri);
    assert_eq!(response.algorithm, algorithm);
    let ha1 = Ha1::new(algorithm, "viewer", "cam", &"secret".to_owned().into());
    ha1.verify(&response, method)
}

#[test]
fn every_digest_is_answered_and_goes_with_each_request() {
    for (algorithm, name) in [
        (Algorithm::Md5, ""),
        (Algorithm::Md5, ", algorithm=MD5"),
        (Algorithm::Md5, ", algorithm=MD5-sess, qop=\"auth\""),
        (Algorithm::Sha256, ", algorithm=SHA-256, qop=\"auth,auth-int\""),
        (Algorithm::Sha256, ", algorithm=SHA-256-sess, qop=auth"),
    ] {
        let mut bench = Bench::new();
        assert_eq!(authorization(&bench.wire()), None, "not before asked");
        let digest = format!("WWW-Authenticate: Digest realm=\"cam\", nonce=\"n\"{name}\r\n");
        bench.answers(401, &format!("{BASIC}{digest}")).unwrap();
        assert!(proves(&bench.wire(), algorithm), "{name}");
        let body = format!("Content-Length: {}\r\n\r\n{SDP}", SDP.len());
        bench.says(format!("RTSP/1.0 200 OK\r\nCSeq: 2\r\n{body}").as_bytes()).unwrap();
        assert!(proves(&bench.wire(), algorithm), "{name}");
    }
}

#[test]
fn a_new_nonce_in_mid_session_is_taken() {
    let mut bench = Bench::new();
    let digest = |nonce, stale| {
        format!("WWW-Authenticate: Digest realm=\"cam\", nonce=\"{nonce}\", stale={stale}\r\n")
    };
    bench.answers(401, &digest("n1", "false")).unwrap();
    bench.answers(401, &digest("n2", "true")).unwrap();
    assert!(bench.wire().contains("n2"));
    let body = format!("Content-Length: {}\r\n\r\n{SDP}", SDP.len());
    bench.says(format!("RTSP/1.0 200 OK\r\n{body}").as_bytes()).unwrap();
    bench.wire();
    bench.answers(401, &digest("n3", "false")).unwrap();
    assert!(bench.wire().contains("n3"));
    assert_eq!(bench.answers(401, &digest("n4", "false")), Err(EndReason::LoginRefused));
    assert_eq!(bench.client.memory(), LoginMemory::DigestSeen);
}

#[test]
fn basic_leaves_only_where_allowed() {
    let ask = |basic, memory, challenges: &str| {
        let mut bench = Bench::with(&Request { basic, ..request() }, memory);
        bench.wire();
        let result = bench.answers(401, challenges).err();
        let wire = bench.wire();
        let leaked = contains(&wire, "dmlld2VyOnNlY3JldA==");
        (result, leaked, bench.client.memory())
    };
    let (refuse, allow) = (BasicPolicy::Refuse, BasicPolicy::Allow);
    let (nothing, seen) = (LoginMemory::Nothing, LoginMemory::DigestSeen);
    let digest = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"n\"\r\n";
    let both = format!("{BASIC}{digest}");
    assert_eq!(ask(refuse, nothing, BASIC), (Some(EndReason::BasicRefused), false, nothing));
    assert_eq!(ask(allow, nothing, BASIC), (None, true, nothing));
    assert_eq!(ask(allow, seen, BASIC), (Some(EndReason::BasicAfterDigest), false, seen));
    assert_eq!(ask(allow, nothing, &both), (None, false, seen));
    assert_eq!(ask(allow, nothing, ""), (Some(EndReason::UnknownChallenge), false, nothing));
}

#[test]
fn a_camera_that_closes_with_its_401_is_dialled_once_more() {
    let challenge = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"n\"\r\nConnection: Close\r\n";
    let mut bench = Bench::new();
    bench.wire();
    assert_eq!(bench.answers(401, challenge), Ok(Next::Redial));
    assert_eq!(bench.wire(), "");
    bench.client.redialled(bench.now);
    assert!(proves(&bench.wire(), Algorithm::Md5));
    // A second time it is asked on the same connection, and refused.
    assert_eq!(bench.answers(401, challenge), Err(EndReason::LoginRefused));

    // Without the header, it shows when the connection ends.
    let mut bench = Bench::new();
    bench.answers(401, "WWW-Authenticate: Digest realm=\"cam\", nonce=\"n\"\r\n").unwrap();
    assert_eq!(bench.client.camera_closed(), Ok(Next::Redial));
    bench.client.redialled(bench.now);
    assert_eq!(bench.client.camera_closed(), Err(EndReason::CameraClosed));

    let bench = Bench::new();
    assert_eq!(bench.client.camera_closed(), Err(EndReason::CameraClosed));
}

#[test]
fn a_keep_alive_refused_is_signed_anew_and_ends_nothing() {
    let mut bench = Bench::playing(SDP);
    bench.wire();
    bench.now += Duration::from_secs(9);
    bench.client.send_keep_alive(bench.now, Refusals::Never);
    bench.wire();
    let challenge = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"n\"\r\n";
    bench.answers(401, challenge).unwrap();
    assert!(proves(&bench.wire(), Algorithm::Md5));
    bench.answers(401, challenge).unwrap();
    assert_eq!(bench.wire(), "", "not for ever");
}
