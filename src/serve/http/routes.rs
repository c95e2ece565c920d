//! Paths, the Host check and the token, and what each page says. Pure: request in, response out.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::Admin;
use crate::hub::status::{Health, LinkState, SegmentState};
use crate::serve::overload::Standing;

/// Answers one request.
pub(super) fn respond<B>(request: &Request<B>, admin: &Admin) -> Response<Full<Bytes>> {
    if !names_loopback(request.headers()) {
        return text(
            StatusCode::MISDIRECTED_REQUEST,
            "this listener accepts only its loopback address in the Host header\n",
        );
    }
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
    }
    if request.uri().path() == "/healthz" {
        return text(StatusCode::OK, "ok\n");
    }
    if !has_token(request.headers(), &admin.token) {
        let mut response =
            text(StatusCode::UNAUTHORIZED, "send the admin token: Authorization: Bearer TOKEN\n");
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, hyper::header::HeaderValue::from_static("Bearer"));
        return response;
    }
    match request.uri().path() {
        "/readyz" => ready(admin),
        "/metrics" => metrics(admin),
        _ => text(StatusCode::NOT_FOUND, "pages: /healthz /readyz /metrics\n"),
    }
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    segment: SegmentPage,
    load: std::collections::BTreeMap<&'static str, ResourceState>,
    streams: std::collections::BTreeMap<String, StreamState>,
}

/// How the camera segment is. What it has to do with a segment is left out without one.
#[derive(Serialize)]
struct SegmentPage {
    mode: &'static str,
    /// Said as loudly as can be here.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkPage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<KnownPage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_served: Option<String>,
}

#[derive(Serialize)]
struct LinkPage {
    up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What the service told last.
#[derive(Serialize)]
struct KnownPage {
    devices: u32,
    attempts: u64,
    ledger_records: u64,
    ledger_fault: Option<String>,
    canary: Option<CanaryPage>,
}

#[derive(Serialize)]
struct CanaryPage {
    at_ms: u64,
    passed: bool,
    faults: String,
}

/// How CPU or memory stands.
#[derive(Serialize)]
struct ResourceState {
    level: &'static str,
    reason: String,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum StreamState {
    Idle,
    Starting,
    Playing,
    Waiting { reason: String, retry_in_ms: u64 },
}

fn metrics(admin: &Admin) -> Response<Full<Bytes>> {
    (admin.sample)(&admin.metrics);
    let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    typed(StatusCode::OK, open_metrics, admin.metrics.encode())
}

/// Ready means: the client listeners serve, and the canary's policy lets them. A camera that is away is said in the body, and does not take
/// the gateway out of service for the others; so is a gateway that takes no new readers, for those it has.
fn ready(admin: &Admin) -> Response<Full<Bytes>> {
    let segment = admin.segment.now();
    let ready = *admin.ready.borrow() && segment.not_served.is_none();
    let health = admin.board.watch();
    let streams = health
        .borrow()
        .iter()
        .map(|(name, health)| (name.to_string(), StreamState::from(health)))
        .collect();
    let load = admin.load.standings().into_iter();
    let load = load
        .map(|Standing { resource, level, reason }| {
            (resource.name(), ResourceState { level: level.name(), reason })
        })
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_string(&Readiness { ready, segment: segment.into(), load, streams })
        .unwrap_or_default();
    typed(status, "application/json", body)
}

impl From<SegmentState> for SegmentPage {
    fn from(state: SegmentState) -> Self {
        let canary = state.canary.map(|canary| CanaryPage {
            at_ms: canary.at_ms,
            passed: canary.passed,
            faults: canary.faults,
        });
        let known = KnownPage {
            devices: state.devices,
            attempts: state.attempts,
            ledger_records: state.ledger_records,
            ledger_fault: state.ledger_fault,
            canary,
        };
        let (link, known, warning) = match state.link {
            None => (None, None, Some(NO_SEGMENT)),
            Some(LinkState::Up) => (Some(LinkPage { up: true, reason: None }), Some(known), None),
            Some(LinkState::Down { reason }) => {
                (Some(LinkPage { up: false, reason: Some(reason) }), Some(known), None)
            }
        };
        Self { mode: state.mode, warning, link, known, not_served: state.not_served }
    }
}

const NO_SEGMENT: &str = "cameras share this machine's network: they are not isolated";

impl From<&Health> for StreamState {
    fn from(health: &Health) -> Self {
        match health {
            Health::Idle => Self::Idle,
            Health::Starting => Self::Starting,
            Health::Playing => Self::Playing,
            Health::Waiting { reason, retry_in_ms } => {
                Self::Waiting { reason: reason.clone(), retry_in_ms: *retry_in_ms }
            }
        }
    }
}

/// A page in a browser can be made to resolve its own name to 127.0.0.1 (DNS rebinding); the Host header
/// then still carries that name.
fn names_loopback(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "[::1]")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

fn has_token(headers: &HeaderMap, token: &SecretString) -> bool {
    let presented = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, token)| token.trim());
    let token = token.expose_secret();
    !token.is_empty() && bool::from(presented.as_bytes().ct_eq(token.as_bytes()))
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}
