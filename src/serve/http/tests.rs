use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::hub::status::{CanaryState, Health, LinkState};
use crate::media::StreamName;

fn admin(ready: bool) -> Admin {
    let board = Board::new();
    let name = StreamName::parse("door/main").unwrap();
    board.set(
        &name,
        Health::Waiting { reason: "camera refused the login".into(), retry_in_ms: 30_000 },
    );
    let metrics = Metrics::new();
    let load = Load::new(Some(400 << 20), Arc::clone(&metrics));
    load.judge(Some(380 << 20), tokio::time::Instant::now().into_std());
    Admin {
        token: "planted-token".to_owned().into(),
        load,
        metrics,
        board,
        segment: SegmentBoard::new("none", None),
        ready: watch::channel(ready).1,
        sample: |metrics| {
            metrics.process.threads.set(7);
        },
    }
}

fn request(path: &str, host: &str, token: &str) -> Request<()> {
    let mut builder = Request::get(path).header("Host", host);
    if !token.is_empty() {
        builder = builder.header("Authorization", format!("Bearer {token}"));
    }
    builder.body(()).unwrap()
}

fn status(path: &str, host: &str, token: &str) -> StatusCode {
    routes::respond(&request(path, host, token), &admin(true)).status()
}

async fn body(response: Response<http_body_util::Full<hyper::body::Bytes>>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn only_healthz_is_open() {
    assert_eq!(status("/healthz", "127.0.0.1:9090", ""), StatusCode::OK);
    for path in ["/readyz", "/metrics", "/", "/healthz/x"] {
        assert_eq!(status(path, "127.0.0.1:9090", ""), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            status(path, "127.0.0.1:9090", "planted-toke"),
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    for path in ["/readyz", "/metrics"] {
        assert_eq!(status(path, "127.0.0.1:9090", "planted-token"), StatusCode::OK, "{path}");
    }
    assert_eq!(status("/", "localhost", "planted-token"), StatusCode::NOT_FOUND);
}

#[test]
fn a_rebound_name_is_refused() {
    for host in [
        "evil.example",
        "evil.example:9090",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
        "localhost.evil:1",
    ] {
        assert_eq!(
            status("/healthz", host, "planted-token"),
            StatusCode::MISDIRECTED_REQUEST,
            "{host}"
        );
    }
    for host in ["localhost:9090", "[::1]:9090", "127.0.0.1"] {
        assert_eq!(status("/healthz", host, ""), StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn readiness_says_which_camera_is_away_what_is_short_and_why() {
    let response =
        routes::respond(&request("/readyz", "localhost", "planted-token"), &admin(false));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
    assert_eq!(page["ready"], false);
    assert_eq!(page["streams"]["door/main"]["state"], "waiting");
    assert_eq!(page["streams"]["door/main"]["reason"], "camera refused the login");
    assert_eq!(page["streams"]["door/main"]["retry_in_ms"], 30_000);
    assert_eq!(page["load"]["cpu"]["level"], "normal");
    assert_eq!(page["load"]["memory"]["level"], "full");
    let reason = page["load"]["memory"]["reason"].as_str().unwrap();
    assert!(reason.contains("380 MiB of 400 MiB") && reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn readiness_says_how_the_segment_is_and_why_nobody_is_served() {
    let mut admin = admin(true);
    let page = async |admin: &Admin| {
        let response = routes::respond(&request("/readyz", "localhost", "planted-token"), admin);
        let status = response.status();
        let page: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
        (status, page["segment"].clone())
    };
    let (_, none) = page(&admin).await;
    assert_eq!(none["mode"], "none");
    assert!(none["warning"].as_str().unwrap().contains("not isolated"), "{none}");
    assert!(none.get("link").is_none() && none.get("known").is_none(), "{none}");
    let down = LinkState::Down { reason: "away".to_owned() };
    admin.segment = SegmentBoard::new("namespace", Some(down));
    let (status, away) = page(&admin).await;
    assert_eq!((status, &away["link"]["reason"]), (StatusCode::OK, &"away".into()));
    assert!(away.get("warning").is_none());
    admin.segment.update(|state| {
        let faults = "got out by: icmp".to_owned();
        state.link = Some(LinkState::Up);
        state.canary = Some(CanaryState { at_ms: 7, passed: false, faults });
        state.not_served = Some("the canary got out".to_owned());
    });
    let (status, held) = page(&admin).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (&held["link"]["up"], &held["not_served"]),
        (&true.into(), &"the canary got out".into())
    );
    assert_eq!(held["known"]["canary"]["faults"], "got out by: icmp");
}

#[tokio::test]
async fn the_token_is_on_no_page_and_in_no_debug_text() {
    let admin = admin(true);
    for path in ["/healthz", "/readyz", "/metrics", "/nothing"] {
        let page =
            body(routes::respond(&request(path, "localhost", "planted-token"), &admin)).await;
        assert!(!page.contains("planted-token"), "{path}");
    }
    assert!(!format!("{admin:?}").contains("planted-token"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_and_one_over_the_cap_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, Arc::new(admin(true))));
    let mut silent = Vec::new();
    for _ in 0..limits::ADMIN_CONNECTIONS {
        silent.push(connect(address).await);
    }
    let mut over = connect(address).await;
    over.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    over.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for mut one in silent {
        let mut rest = Vec::new();
        one.read_to_end(&mut rest).await.unwrap();
    }
    server.abort();
}

#[allow(clippy::disallowed_methods, reason = "a client of the listener under test")]
async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn the_pages_have_these_keys() {
    let mut admin = admin(true);
    let streams = every!(
        Health; Idle, Starting, Playing, Waiting { reason: String::new(), retry_in_ms: 1 }
    );
    for (number, health) in streams.into_iter().enumerate() {
        admin.board.set(&StreamName::parse(&format!("camera/{number}")).unwrap(), health);
    }
    let away = SegmentBoard::new("namespace", Some(LinkState::Down { reason: String::new() }));
    away.update(|state| {
        state.canary = Some(CanaryState { at_ms: 1, passed: false, faults: String::new() });
        state.not_served = Some(String::new());
    });
    let mut found = Vec::new();
    for segment in [away, SegmentBoard::new("none", None)] {
        admin.segment = segment;
        let request = request("/readyz", "localhost", "planted-token");
        let page = body(routes::respond(&request, &admin)).await;
        keys("readyz", &serde_json::from_str(&page).unwrap(), &mut found);
    }
    found.sort();
    found.dedup();
    assert_surface!("readyz", found.join("\n"));
}

fn keys(path: &str, value: &serde_json::Value, found: &mut Vec<String>) {
    match value.as_object() {
        Some(object) => {
            for (key, value) in object {
                keys(&format!("{path}.{key}"), value, found);
            }
        }
        None if path.ends_with(".state") => found.push(format!("{path} = {value}")),
        None => found.push(path.to_owned()),
    }
}
