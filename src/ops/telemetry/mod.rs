//! The log subscriber: text for people, JSON for machines, one event a line, on standard error.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How the process logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Text or JSON.
    pub format: Format,
    /// Least level that is written.
    pub level: Level,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `time LEVEL span: message field=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// Least level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Our own faults only.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what an operator acts on.
    Info,
    /// And each session.
    Debug,
    /// And each access unit.
    Trace,
}

/// Installs the subscriber and a panic hook that prints the place only (a backtrace would cost tens of
/// MiB for good, and a panic message may quote hostile bytes). The first caller wins; later calls do nothing.
pub fn install(settings: Settings) {
    let filter = filter(settings.level);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let installed = match settings.format {
        Format::Text => registry.with(layer.with_ansi(ansi)).try_init(),
        Format::Json => {
            registry.with(layer.json().flatten_event(true).with_target(true)).try_init()
        }
    };
    if installed.is_ok() {
        std::panic::set_hook(Box::new(|info| {
            let place =
                info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
            tracing::error!(
                place,
                "a task panicked; this is a fault of the gateway, please report the place"
            );
        }));
    }
}

/// The camera-side library quotes camera bytes in its messages, and the TLS library has a
/// line for each peer that names itself by an address: neither is ever logged. What matters of both is
/// told by us, with bounds.
fn filter(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let others = level.min(LevelFilter::WARN);
    Targets::new()
        .with_target("camlock", level)
        .with_target("audit", level)
        .with_target("retina", LevelFilter::OFF)
        .with_target("rustls", LevelFilter::OFF)
        .with_default(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_speak_of_each_peer_never_log() {
        let filter = filter(Level::Trace);
        assert!(!filter.would_enable("retina::client", &tracing::Level::ERROR));
        assert!(filter.would_enable("camlock::ingest::camera", &tracing::Level::TRACE));
        assert!(!filter.would_enable("rustls::msgs::handshake", &tracing::Level::WARN));
    }
}
