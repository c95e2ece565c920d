//! `[gateway]`, `[log]`, `[tls]`, `[rtsp]`, `[admin]`, `[rings]` and `[limits]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::Reading;
use super::reader::{At, Table, socket_addr};
use super::secret;
use crate::hub;
use crate::ingest::segment::{CanaryPolicy, Mode};
use crate::ops::limits;
use crate::ops::telemetry;
use crate::ops::telemetry::{Format, Level};
use crate::serve::http;
use crate::serve::overload;
use crate::serve::tunnel;
use crate::trust::auth::{Offer, Scheme};
use crate::trust::pki::Names;
use crate::trust::tls::{ClientCa, ClientCertificates, Versions};

/// TLS towards clients.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Protocol versions.
    pub versions: Versions,
    /// Where the server certificate comes from.
    pub certificate: CertificateSource,
    /// Whether client certificates are asked for.
    pub clients: ClientCertificates,
}

/// Where the server certificate comes from.
#[derive(Debug, Clone)]
pub enum CertificateSource {
    /// Made by the gateway's own CA on first start.
    Own,
    /// Given by files, PEM.
    Files {
        /// Certificate chain, leaf first.
        chain: PathBuf,
        /// Private key.
        key: PathBuf,
    },
}

/// RTSP towards clients.
#[derive(Debug, Clone)]
pub struct RtspSettings {
    /// TLS listeners.
    pub listen: Vec<SocketAddr>,
    /// Listeners without TLS; loopback only.
    pub plain_listen: Vec<SocketAddr>,
    /// Login schemes offered on the TLS listeners.
    pub login: Offer,
    /// Tunnels that are open on all listeners.
    pub tunnels: tunnel::Settings,
}

pub(super) fn log(root: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> telemetry::Settings {
    let mut table = root.table("log", &mut reading.faults);
    let format = table.choice(
        "format",
        &[("text", Format::Text), ("json", Format::Json)],
        Format::Text,
        &mut reading.faults,
    );
    let levels = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];
    let level = table.choice("level", &levels, Level::Info, &mut reading.faults);
    table.finish(&mut reading.faults);
    telemetry::Settings { format, level }
}

/// What `[gateway]` says.
pub(super) struct Gateway {
    pub(super) state_dir: PathBuf,
    pub(super) names: Names,
    pub(super) segment: Mode,
    pub(super) canary: CanaryPolicy,
}

/// State directory, names, and where the cameras are.
pub(super) fn gateway(root: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> Gateway {
    let mut table = root.table("gateway", &mut reading.faults);
    let state = table.string("state_dir", &mut reading.faults);
    let state =
        state.map_or_else(|| PathBuf::from("/var/lib/camlock"), |at| PathBuf::from(at.value));
    let names = table.strings("names", &mut reading.faults).unwrap_or_default();
    if names.is_empty() {
        reading.faults.add(
            table.span(),
            "gateway.names is missing; list every DNS name and IP address that clients use, such as [\"gateway.lan\", \"192.0.2.1\"]",
        );
    }
    let mut checked = Names::default();
    for at in names {
        if let Ok(ip) = at.value.parse() {
            checked.ip.push(ip);
        } else if is_dns_name(&at.value) {
            checked.dns.push(at.value);
        } else {
            reading.faults.add(
                at.span,
                format!("gateway.names: {:?} is neither a DNS name nor an IP address", at.value),
            );
        }
    }
    let segment = segment_mode(&mut table, reading);
    let policies = [("report", CanaryPolicy::Report), ("require", CanaryPolicy::Require)];
    let canary = table.choice("canary", &policies, CanaryPolicy::Report, &mut reading.faults);
    if (&segment, canary) == (&Mode::Own, CanaryPolicy::Require) {
        reading.faults.add(
            table.span(),
            "gateway.canary is \"require\", but without a camera segment there is no canary; set gateway.segment too",
        );
    }
    table.finish(&mut reading.faults);
    Gateway { state_dir: state, names: checked, segment, canary }
}

fn segment_mode(table: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> Mode {
    let Some(at) = table.string("segment", &mut reading.faults) else { return Mode::Own };
    let path = std::path::Path::new(&at.value);
    if at.value == "none" {
        return Mode::Own;
    }
    if !path.is_absolute() || at.value.len() > SEGMENT_DIR_BYTES {
        reading.faults.add(
            at.span,
            format!(
                "gateway.segment: {:?} is not allowed; use \"none\" or the directory of the segment's service, such as \"/run/camlock-segment\" (absolute, at most {SEGMENT_DIR_BYTES} bytes)",
                at.value
            ),
        );
    }
    Mode::Remote { run_dir: path.to_owned() }
}

/// A path of a Unix socket has 107 bytes (unix(7)); the socket's own name is part of it.
const SEGMENT_DIR_BYTES: usize = 90;

pub(super) fn tls(root: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> Option<TlsSettings> {
    let mut table = root.table("tls", &mut reading.faults);
    let versions = [("1.3", Versions::Tls13), ("1.2", Versions::Tls12And13)];
    let versions = table.choice("oldest_version", &versions, Versions::Tls13, &mut reading.faults);
    let chain = table.string("certificate", &mut reading.faults);
    let key = table.string("key", &mut reading.faults);
    let clients = clients(&mut table, reading);
    let span = table.span();
    table.finish(&mut reading.faults);
    let certificate = match (chain, key) {
        (Some(chain), Some(key)) => {
            readable(&chain, "tls.certificate", reading);
            readable(&key, "tls.key", reading);
            CertificateSource::Files { chain: chain.value.into(), key: key.value.into() }
        }
        (None, None) => CertificateSource::Own,
        (Some(_), None) | (None, Some(_)) => {
            reading.faults.add(span, "tls.certificate and tls.key belong together; give both, or neither to use the gateway's own CA");
            return None;
        }
    };
    Some(TlsSettings { versions, certificate, clients: clients? })
}

#[derive(Clone, Copy)]
enum Ask {
    Off,
    Optional,
    Required,
}

fn clients(table: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> Option<ClientCertificates> {
    let ask = [("off", Ask::Off), ("optional", Ask::Optional), ("required", Ask::Required)];
    let ask = table.choice("client_certificates", &ask, Ask::Off, &mut reading.faults);
    let ca = table.string("client_ca", &mut reading.faults);
    if let Some(at) = &ca {
        readable(at, "tls.client_ca", reading);
    }
    let lists = table.strings("client_crls", &mut reading.faults).unwrap_or_default();
    for at in &lists {
        readable(at, "tls.client_crls", reading);
    }
    let revoked = lists.into_iter().map(|at| at.value.into()).collect();
    match (ask, ca) {
        (Ask::Off, None) => Some(ClientCertificates::Ignored),
        (Ask::Optional, Some(ca)) => {
            Some(ClientCertificates::Optional(ClientCa { roots: ca.value.into(), revoked }))
        }
        (Ask::Required, Some(ca)) => {
            Some(ClientCertificates::Required(ClientCa { roots: ca.value.into(), revoked }))
        }
        (Ask::Off, Some(at)) => {
            reading.faults.add(at.span, "tls.client_ca is given, but tls.client_certificates is \"off\"; set it to \"optional\" or \"required\"");
            None
        }
        (Ask::Optional | Ask::Required, None) => {
            reading.faults.add(table.span(), "tls.client_certificates needs tls.client_ca, the PEM file of the CA that signs clients");
            None
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Tunnel {
    Https,
    WebSocket,
}

pub(super) fn rtsp(root: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> Option<RtspSettings> {
    let mut table = root.table("rtsp", &mut reading.faults);
    let listen = addresses(&mut table, "listen", Reach::Any, reading)
        .unwrap_or_else(|| vec![SocketAddr::from(([0, 0, 0, 0], 8322))]);
    let plain_listen =
        addresses(&mut table, "plain_listen", Reach::Loopback, reading).unwrap_or_default();
    let schemes = [
        ("basic", Scheme::Basic),
        ("digest-sha256", Scheme::DigestSha256),
        ("digest-md5", Scheme::DigestMd5),
    ];
    let login = match table.choices("login", &schemes, &mut reading.faults) {
        Some(schemes) if schemes.is_empty() => {
            reading.faults.add(
                table.span(),
                "rtsp.login is empty; use \"basic\", \"digest-sha256\" or \"digest-md5\"",
            );
            return None;
        }
        Some(schemes) => Offer::These(Arc::from(schemes)),
        None => Offer::Secure,
    };
    let kinds = [("https", Tunnel::Https), ("websocket", Tunnel::WebSocket)];
    let tunnels = match table.choices("tunnels", &kinds, &mut reading.faults) {
        Some(open) => tunnel::Settings {
            https: open.contains(&Tunnel::Https),
            websocket: open.contains(&Tunnel::WebSocket),
        },
        None => tunnel::Settings::default(),
    };
    table.finish(&mut reading.faults);
    Some(RtspSettings { listen, plain_listen, login, tunnels })
}

/// `Some(None)`: no admin listener.
pub(super) fn admin(
    root: &mut Table<'_, '_>,
    reading: &mut Reading<'_>,
) -> Option<Option<http::Settings>> {
    let written = root.has("admin");
    let mut table = root.table("admin", &mut reading.faults);
    let listen = table.string("listen", &mut reading.faults);
    let token = table.string("token", &mut reading.faults);
    let span = table.span();
    table.finish(&mut reading.faults);
    if !written {
        return Some(None);
    }
    let Some(token) = token else {
        reading.faults.add(span, "admin.token is missing; give a secret by reference, such as \"file:/etc/camlock/admin-token\"");
        return None;
    };
    let token = secret::resolve(
        "admin.token",
        &token,
        reading.surroundings,
        &mut reading.faults,
        &mut reading.warnings,
    )?;
    let Some(at) = listen else {
        return Some(Some(http::Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 9322)),
            token,
        }));
    };
    let listen = address("admin.listen", &at, Reach::Loopback, reading)?;
    Some(Some(http::Settings { listen, token }))
}

pub(super) fn hub(root: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> hub::Settings {
    let mut table = root.table("rings", &mut reading.faults);
    let defaults = hub::Settings::default();
    let lag = std::time::Duration::from_millis(200)..std::time::Duration::from_secs(10);
    let reader_lag = table.duration("reader_lag", lag, defaults.reader_lag, &mut reading.faults);
    let (each, all) = (mebibytes(defaults.ring_bytes), mebibytes(defaults.rings_bytes));
    let each = table.mebibytes("stream_mib", 1..RING_MIB + 1, each, &mut reading.faults);
    let all = table.mebibytes("all_mib", 16..65_537, all, &mut reading.faults);
    if each > all {
        reading.faults.add(
            table.span(),
            format!("rings.stream_mib ({each}) is more than rings.all_mib ({all})"),
        );
    }
    table.finish(&mut reading.faults);
    hub::Settings { reader_lag, ring_bytes: bytes(each), rings_bytes: bytes(all), ..defaults }
}

/// `[limits]`. A budget that the rings alone may fill is told: readers would then be refused for want of memory.
pub(super) fn limits(
    root: &mut Table<'_, '_>,
    rings: &hub::Settings,
    reading: &mut Reading<'_>,
) -> overload::Settings {
    let mut table = root.table("limits", &mut reading.faults);
    let written = table.has("memory_mib");
    let mib = table.mebibytes("memory_mib", 8..1_048_577, 8, &mut reading.faults);
    let span = table.span();
    table.finish(&mut reading.faults);
    let all = mebibytes(rings.rings_bytes);
    if written && mib <= all {
        reading.warnings.add(
            span,
            format!("limits.memory_mib ({mib}) is no more than rings.all_mib ({all}): the rings alone could fill it, and then no reader is accepted"),
        );
    }
    overload::Settings { memory: written.then_some(mib << 20) }
}

/// Greatest ring that can be asked for, MiB.
pub(super) const RING_MIB: u64 = 256;

pub(super) fn mebibytes(bytes: usize) -> u64 {
    u64::try_from(bytes >> 20).unwrap_or(u64::MAX)
}

pub(super) fn bytes(mib: u64) -> usize {
    usize::try_from(mib << 20).unwrap_or(usize::MAX)
}

/// From where a listener can be reached.
#[derive(Clone, Copy)]
enum Reach {
    Any,
    Loopback,
}

fn addresses(
    table: &mut Table<'_, '_>,
    key: &'static str,
    reach: Reach,
    reading: &mut Reading<'_>,
) -> Option<Vec<SocketAddr>> {
    let name = table.name(key);
    let list = table.strings(key, &mut reading.faults)?;
    if list.len() > limits::LISTENERS {
        reading
            .faults
            .add(table.span(), format!("{name}: at most {} addresses", limits::LISTENERS));
    }
    Some(list.iter().filter_map(|at| address(&name, at, reach, reading)).collect())
}

fn address(
    name: &str,
    at: &At<String>,
    reach: Reach,
    reading: &mut Reading<'_>,
) -> Option<SocketAddr> {
    match reach {
        Reach::Any => socket_addr(name, at, "0.0.0.0:8322", &mut reading.faults),
        Reach::Loopback => {
            let address = socket_addr(name, at, "127.0.0.1:8554", &mut reading.faults)?;
            if !address.ip().is_loopback() {
                reading.faults.add(
                    at.span.clone(),
                    format!("{name}: {address} is not a loopback address; only 127.0.0.1 and [::1] are allowed here"),
                );
            }
            Some(address)
        }
    }
}

fn readable(at: &At<String>, what: &str, reading: &mut Reading<'_>) {
    if let Err(error) = (reading.surroundings.read_file)(std::path::Path::new(&at.value)) {
        reading.faults.add(at.span.clone(), format!("{what}: {}: {error}", at.value));
    }
}

fn is_dns_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}
