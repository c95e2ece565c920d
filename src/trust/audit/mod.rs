//! Security events: one closed list, one way out, and no way to flood it.
//!
//! Each event becomes one structured log line with the target `audit` and a stable `event` field. Of one
//! kind at most [`limits::AUDIT_PER_MINUTE`] lines a minute are written; the others are counted, and one
//! line says how many. What does *not* belong here: faults of our own without a security side.

mod flood;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Mutex;

use strum::{EnumDiscriminants, IntoStaticStr, VariantArray};
use tokio::time::Instant;

use crate::media::StreamName;
use crate::ops::limits;

use flood::{Admission, Flood, Suppressed};

/// Something that the owner of the system may have to answer for. Texts may be a client's or a camera's:
/// they are escaped and cut here, so callers pass them raw. Secrets never belong into one.
#[derive(Debug, Clone, Copy, EnumDiscriminants)]
#[strum_discriminants(
    doc = "The kinds of [`Event`], each limited for itself.",
    name(Kind),
    vis(),
    derive(IntoStaticStr, VariantArray),
    strum(serialize_all = "snake_case")
)]
pub enum Event<'a> {
    /// A login was refused.
    LoginFailed {
        /// Peer address.
        source: IpAddr,
        /// Account as presented.
        account: &'a str,
        /// Why, in our words.
        reason: &'static str,
    },
    /// A login was not even judged: too many failures before it.
    LoginThrottled {
        /// Peer address.
        source: IpAddr,
        /// Account as presented.
        account: &'a str,
    },
    /// A principal asked for what no grant gives.
    GrantDenied {
        /// Who.
        principal: &'a str,
        /// The stream as it was asked for.
        stream: &'a str,
    },
    /// A permit ended while it was in use.
    PermitRevoked {
        /// Who.
        principal: &'a str,
        /// The stream it was for.
        stream: &'a StreamName,
    },
    /// A client certificate was refused.
    CertificateRefused {
        /// Peer address.
        source: IpAddr,
        /// Why.
        reason: &'a str,
    },
    /// A connection was closed before login for what it did, or did not do.
    ConnectionPenalised {
        /// Peer address.
        source: IpAddr,
        /// Why, in our words.
        reason: &'static str,
    },
    /// An HTTP request became no tunnel: its head, its halves or its body were not in order.
    TunnelRefused {
        /// Peer address.
        source: IpAddr,
        /// Why.
        reason: &'a str,
    },
    /// A camera broke a bound or the protocol in a way that no sound camera does.
    CameraMisbehaved {
        /// The stream that was pulled.
        stream: &'a StreamName,
        /// Which bound.
        reason: &'a str,
    },
    /// A camera refused our login, or asked for it in a way that would give the password away.
    CameraLoginFailed {
        /// The stream that was pulled.
        stream: &'a StreamName,
        /// Why.
        reason: &'a str,
    },
    /// A camera that is trusted on first use was seen for the first time.
    CameraCertificateTaken {
        /// The stream that was pulled.
        stream: &'a StreamName,
        /// SHA-256 of the certificate that is expected from now on.
        certificate: &'a str,
    },
    /// A camera shows another certificate than the first time. It is not taken.
    CameraCertificateChanged {
        /// The stream that was pulled.
        stream: &'a StreamName,
        /// SHA-256 of the certificate of the first time.
        expected: &'a str,
        /// SHA-256 of the one that came.
        got: &'a str,
    },
    /// A camera's certificate is not the pinned one, or the CA does not vouch for it.
    CameraCertificateRefused {
        /// The stream that was pulled.
        stream: &'a StreamName,
        /// Why.
        reason: &'static str,
    },
    /// A reader that lagged was ended, for there was too little of something.
    ReaderShed {
        /// Peer address.
        source: IpAddr,
        /// Who.
        principal: &'a str,
        /// What it played.
        stream: &'a StreamName,
        /// What there was too little of: `cpu` or `memory`.
        resource: &'static str,
    },
    /// A resource became short, shorter, or is there again.
    Overload {
        /// Which: `cpu` or `memory`.
        resource: &'static str,
        /// The level from now on.
        level: &'static str,
        /// What was measured, what follows and what to do.
        reason: &'a str,
    },
    /// The segment's service was asked for a camera or a port that root did not list, or gave what is no
    /// connection to the camera that it was asked for.
    DialRefused {
        /// The camera's name as it was asked for.
        camera: &'a str,
        /// The TCP port.
        port: u16,
        /// Why.
        reason: &'static str,
    },
    /// A device on the camera segment that a human should look at.
    SegmentDevice {
        /// Its Ethernet address.
        device: &'a str,
        /// What is the matter: a stable word.
        change: &'static str,
        /// More, in the segment's words.
        detail: &'a str,
    },
    /// The canary got out of the camera segment, was not seen, or its run proves nothing.
    CanaryFailed {
        /// Ways that were tried.
        tries: u32,
        /// What failed, in the canary's words.
        reason: &'a str,
    },
    /// Nobody is served from now on, or clients are again: by the canary's verdict.
    Serving {
        /// Whether they are.
        serves: bool,
        /// Why not: a stable word; or `proven`.
        reason: &'static str,
    },
    /// A task panicked; it cost that task only.
    PanicCaught {
        /// Which task, e.g. the stream's name.
        task: &'a str,
    },
}

const KINDS: usize = Kind::VARIANTS.len();

/// Writes an event down, or counts it if its kind had its share of this minute. Never waits.
pub fn record(event: Event<'_>) {
    static FLOOD: Mutex<Flood<KINDS>> = Mutex::new(Flood::new());
    let kind = Kind::from(&event);
    let (admission, over) = match FLOOD.lock() {
        Ok(mut flood) => flood.admit(kind as usize, Instant::now().into_std()),
        // A panic of another thread in there cannot have broken counters; but write rather than lose.
        Err(_) => (Admission::Write, Vec::new()),
    };
    for Suppressed { kind, count } in over {
        let kind: &str = Kind::VARIANTS.get(kind).map_or("unknown", Into::into);
        tracing::warn!(target: "audit", event = "suppressed", kind, count, "audit events not written");
    }
    match admission {
        Admission::Write => event.write(),
        Admission::Suppress => {}
    }
}

/// A foreign text as it may stand in a log line or an error: printable ASCII, everything else escaped,
/// at most [`limits::QUOTED_TEXT_BYTES`] bytes and then `...`.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        let before = quoted.len();
        match c {
            '\\' => quoted.push_str("\\\\"),
            ' '..='~' => quoted.push(c),
            _ => write!(quoted, "{}", c.escape_default()).unwrap_or_default(),
        }
        if quoted.len() > limits::QUOTED_TEXT_BYTES {
            quoted.truncate(before);
            quoted.push_str("...");
            break;
        }
    }
    quoted
}

impl Event<'_> {
    fn write(&self) {
        let event: &'static str = Kind::from(self).into();
        match *self {
            Self::LoginFailed { source, account, reason } => {
                let account = quoted(account);
                tracing::warn!(target: "audit", event, %source, account, reason, "login failed");
            }
            Self::LoginThrottled { source, account } => {
                let account = quoted(account);
                tracing::warn!(target: "audit", event, %source, account, "login throttled");
            }
            Self::GrantDenied { principal, stream } => {
                let (principal, stream) = (quoted(principal), quoted(stream));
                tracing::warn!(target: "audit", event, principal, stream, "no grant");
            }
            Self::PermitRevoked { principal, stream } => {
                let principal = quoted(principal);
                tracing::info!(target: "audit", event, principal, %stream, "permit revoked");
            }
            Self::CertificateRefused { source, reason } => {
                let reason = quoted(reason);
                tracing::warn!(target: "audit", event, %source, reason, "client certificate refused");
            }
            Self::ConnectionPenalised { source, reason } => {
                tracing::info!(target: "audit", event, %source, reason, "connection closed before login");
            }
            Self::TunnelRefused { source, reason } => {
                let reason = quoted(reason);
                tracing::info!(target: "audit", event, %source, reason, "tunnel refused");
            }
            Self::CameraMisbehaved { stream, reason } => {
                let reason = quoted(reason);
                tracing::warn!(target: "audit", event, %stream, reason, "camera misbehaved");
            }
            Self::CameraLoginFailed { stream, reason } => {
                let reason = quoted(reason);
                tracing::warn!(target: "audit", event, %stream, reason, "login to the camera failed");
            }
            Self::CameraCertificateTaken { stream, certificate } => {
                tracing::warn!(
                    target: "audit", event, %stream, certificate,
                    "the camera's certificate was taken on first use"
                );
            }
            Self::CameraCertificateChanged { stream, expected, got } => {
                write_changed(event, stream, expected, got);
            }
            Self::CameraCertificateRefused { stream, reason } => {
                tracing::warn!(target: "audit", event, %stream, reason, "the camera's certificate was refused");
            }
            Self::ReaderShed { source, principal, stream, resource } => {
                let principal = quoted(principal);
                tracing::warn!(
                    target: "audit", event, %source, principal, %stream, resource,
                    "lagging reader disconnected: the gateway is overloaded"
                );
            }
            Self::Overload { resource, level, reason } => {
                tracing::warn!(target: "audit", event, resource, level, reason, "gateway load level changed");
            }
            Self::DialRefused { camera, port, reason } => {
                let camera = quoted(camera);
                tracing::warn!(target: "audit", event, camera, port, reason, "no connection to a camera");
            }
            Self::SegmentDevice { device, change, detail } => {
                let (device, detail) = (quoted(device), quoted(detail));
                tracing::warn!(target: "audit", event, device, change, detail, "a device on the camera segment");
            }
            Self::CanaryFailed { tries, reason } => {
                let reason = quoted(reason);
                tracing::error!(target: "audit", event, tries, reason, "camera isolation is not verified");
            }
            Self::Serving { serves, reason } => write_serving(event, serves, reason),
            Self::PanicCaught { task } => {
                let task = quoted(task);
                tracing::warn!(target: "audit", event, task, "a task panicked and was stopped");
            }
        }
    }
}

fn write_serving(event: &str, serves: bool, reason: &str) {
    if serves {
        tracing::warn!(target: "audit", event, reason, "clients are served again");
    } else {
        tracing::error!(
            target: "audit", event, reason,
            "nobody is served: camera isolation is not verified (gateway.canary)"
        );
    }
}

/// A certificate that is not the one of the first time.
fn write_changed(event: &str, stream: &StreamName, expected: &str, got: &str) {
    tracing::error!(
        target: "audit", event, %stream, expected, got,
        "the camera's certificate changed since first use; it is not pulled"
    );
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(event: Event<'_>) -> serde_json::Value {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || event.write());
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn foreign_text_reaches_the_log_escaped_and_cut() {
        let account =
            format!("root\n\u{1b}[31m\u{202e}\"{}", "x".repeat(limits::QUOTED_TEXT_BYTES));
        let line = written(Event::LoginFailed {
            source: Ipv4Addr::LOCALHOST.into(),
            account: &account,
            reason: "wrong password",
        });
        assert_eq!(line["target"], "audit");
        assert_eq!(line["fields"]["event"], "login_failed");
        assert_eq!(line["fields"]["source"], "127.0.0.1");
        let account = line["fields"]["account"].as_str().unwrap();
        assert!(account.starts_with("root\\n\\u{1b}[31m\\u{202e}\"xxx"), "{account}");
        assert!(account.ends_with("xxx..."), "{account}");
        assert!(account.len() <= limits::QUOTED_TEXT_BYTES + 3);
    }

    #[test]
    fn quoting_keeps_what_fits_exactly() {
        let fits = "y".repeat(limits::QUOTED_TEXT_BYTES);
        assert_eq!(quoted(&fits), fits);
        assert_eq!(quoted(&format!("{fits}y")), format!("{fits}..."));
        assert_eq!(quoted("a\\n"), "a\\\\n");
    }

    /// The kinds with the names of their fields.
    #[test]
    fn the_kinds_are_these() {
        let stream: StreamName = StreamName::parse("door/main").unwrap();
        let (source, stream) = (Ipv4Addr::LOCALHOST.into(), &stream);
        let (account, principal, reason, resource) = ("a", "p", "r", "cpu");
        let all = every!(
            Event<'_>; LoginFailed { source: source, account: account, reason: reason },
            LoginThrottled { source: source, account: account },
            GrantDenied { principal: principal, stream: "s" },
            PermitRevoked { principal: principal, stream: stream },
            CertificateRefused { source: source, reason: reason },
            ConnectionPenalised { source: source, reason: reason },
            TunnelRefused { source: source, reason: reason },
            CameraMisbehaved { stream: stream, reason: reason },
            CameraLoginFailed { stream: stream, reason: reason },
            CameraCertificateTaken { stream: stream, certificate: "c" },
            CameraCertificateChanged { stream: stream, expected: "e", got: "g" },
            CameraCertificateRefused { stream: stream, reason: reason },
            ReaderShed { source: source, principal: principal, stream: stream, resource: resource },
            Overload { resource: resource, level: "l", reason: reason },
            DialRefused { camera: "c", port: 554, reason: reason },
            SegmentDevice { device: "d", change: "c", detail: "d" },
            CanaryFailed { tries: 1, reason: reason },
            Serving { serves: false, reason: reason }, PanicCaught { task: "t" },
        );
        let mut lines: Vec<_> = all.into_iter().map(fields).collect();
        lines.sort();
        assert_surface!("audit-events", lines.join("\n"));
    }

    fn fields(event: Event<'_>) -> String {
        let line = written(event);
        let fields = line["fields"].as_object().unwrap();
        let names = fields.keys().filter(|name| !matches!(name.as_str(), "event" | "message"));
        let names = names.cloned().collect::<Vec<_>>().join(" ");
        format!(
            "{} {}: {names}",
            line["level"].as_str().unwrap(),
            fields["event"].as_str().unwrap()
        )
    }
}
