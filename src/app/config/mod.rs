//! TOML text → checked [`Settings`] of every module, or all its faults at once.
//!
//! A function of its arguments: what it may look at outside the text is handed in as [`Surroundings`].

mod camera_tls;
mod cameras;
mod fault;
mod gateway;
mod reader;
mod secret;
mod segment_file;
mod users;

use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeTable;

use crate::hub;
use crate::ingest::camera::CameraSettings;
use crate::ingest::segment;
use crate::ops::telemetry;
use crate::serve::http;
use crate::serve::overload;
use crate::trust::auth;
use crate::trust::pki;

use fault::Collector;
pub use fault::{Fault, Faults};
use gateway::Gateway;
pub use gateway::{CertificateSource, RtspSettings, TlsSettings};
use reader::Table;
pub use secret::{Surroundings, by_reference};
pub use segment_file::{segment_file, segment_interfaces};

/// A whole configuration, checked. After start nothing can be half configured.
#[derive(Debug)]
pub struct Settings {
    /// How the process logs.
    pub log: telemetry::Settings,
    /// Where the gateway keeps what it makes: its CA, its certificate.
    pub state_dir: PathBuf,
    /// DNS names and IP addresses of the gateway, for its certificate; never empty.
    pub names: pki::Names,
    /// TLS towards clients.
    pub tls: TlsSettings,
    /// RTSP towards clients.
    pub rtsp: RtspSettings,
    /// The admin listener, if there is one.
    pub admin: Option<http::Settings>,
    /// Bounds of the streams' rings.
    pub hub: hub::Settings,
    /// What the process may use.
    pub load: overload::Settings,
    /// The camera addresses.
    pub segment: segment::Settings,
    /// The cameras.
    pub cameras: Vec<CameraSettings>,
    /// Who may take what.
    pub auth: auth::Settings,
}

/// A configuration that can be run, with what the operator should know all the same.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Warnings, one line each.
    pub warnings: Vec<String>,
}

/// Reads and checks `text`; `file` names it in messages.
pub fn load(file: &str, text: &str, surroundings: Surroundings<'_>) -> Result<Loaded, Faults> {
    let mut reading = Reading::new(text, surroundings);
    let settings = match tables(text, &mut reading.faults) {
        Some(root) => read(Table::root(root.get_ref()), &mut reading),
        None => None,
    };
    let faults = reading.faults.finish();
    match settings {
        Some(settings) if faults.is_empty() => {
            let warnings = reading.warnings.finish();
            let warnings = warnings
                .iter()
                .map(|w| format!("{file}:{}:{}: warning: {}", w.line, w.column, w.message))
                .collect();
            Ok(Loaded { settings, warnings })
        }
        Some(_) | None => Err(Faults { file: file.to_owned(), faults }),
    }
}

/// The tables of a text, unless it is no TOML: what a broken line hides would only be told as missing.
fn tables<'i>(text: &'i str, faults: &mut Collector<'_>) -> Option<Spanned<DeTable<'i>>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        faults.add(error.span().unwrap_or(0..0), format!("not TOML: {}", error.message()));
    }
    faults.is_empty().then_some(root)
}

/// What goes along while a configuration is read.
struct Reading<'a> {
    faults: Collector<'a>,
    warnings: Collector<'a>,
    surroundings: Surroundings<'a>,
}

impl<'a> Reading<'a> {
    fn new(text: &'a str, surroundings: Surroundings<'a>) -> Self {
        Self { faults: Collector::new(text), warnings: Collector::new(text), surroundings }
    }
}

fn read(mut root: Table<'_, '_>, reading: &mut Reading<'_>) -> Option<Settings> {
    let log = gateway::log(&mut root, reading);
    let Gateway { state_dir, names, segment, canary } = gateway::gateway(&mut root, reading);
    let tls = gateway::tls(&mut root, reading);
    let rtsp = gateway::rtsp(&mut root, reading);
    let admin = gateway::admin(&mut root, reading);
    let hub = gateway::hub(&mut root, reading);
    let load = gateway::limits(&mut root, &hub, reading);
    let (cameras, addresses) = cameras::read(&mut root, &hub, &segment, reading);
    let auth = users::read(&mut root, reading);
    root.finish(&mut reading.faults);
    Some(Settings {
        log,
        state_dir,
        names,
        tls: tls?,
        rtsp: rtsp?,
        admin: admin?,
        hub,
        load,
        segment: segment::Settings { mode: segment, canary, cameras: addresses },
        cameras,
        auth,
    })
}

#[cfg(test)]
mod tests;
