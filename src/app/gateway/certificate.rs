//! The server certificate: the gateway's own or the operator's, loaded at start, on reload and once a day.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use tokio::sync::watch;

use super::StartError;
use crate::app::config::{CertificateSource, Settings, TlsSettings};
use crate::trust::pki;
use crate::trust::tls;

/// How often files are read again and an ageing certificate is renewed.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Where the certificate comes from, and what it is for.
#[derive(Debug, Clone)]
pub(super) struct Certificates {
    tls: TlsSettings,
    state_dir: PathBuf,
    names: pki::Names,
    ca: PathBuf,
}

impl Certificates {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            tls: settings.tls.clone(),
            state_dir: settings.state_dir.clone(),
            names: settings.names.clone(),
            ca: settings.state_dir.join("ca.pem"),
        }
    }

    /// The gateway's own CA certificate, if it is in use.
    pub(super) fn ca(&self) -> Option<&Path> {
        match self.tls.certificate {
            CertificateSource::Own => Some(&self.ca),
            CertificateSource::Files { .. } => None,
        }
    }

    /// Makes or renews what is ours, reads the files, makes the configuration; off the runtime's threads.
    pub(super) async fn load(&self) -> Result<Arc<ServerConfig>, StartError> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || this.load_now()).await {
            Ok(loaded) => loaded,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    fn load_now(&self) -> Result<Arc<ServerConfig>, StartError> {
        let (chain, key) = match &self.tls.certificate {
            CertificateSource::Own => {
                let files = pki::ensure(&self.state_dir, &self.names, SystemTime::now())?;
                (files.server.clone(), files.server)
            }
            CertificateSource::Files { chain, key } => (chain.clone(), key.clone()),
        };
        let settings = tls::Settings {
            chain,
            key,
            versions: self.tls.versions,
            clients: self.tls.clients.clone(),
        };
        Ok(tls::server_config(&settings)?)
    }
}

/// Loads once a day, for ever, what `certificates` then says. A failure leaves the old configuration in force.
pub(super) async fn renew(
    certificates: watch::Receiver<Certificates>,
    config: watch::Sender<Arc<ServerConfig>>,
) {
    loop {
        tokio::time::sleep(DAY).await;
        let current = certificates.borrow().clone();
        match current.load().await {
            Ok(new) => drop(config.send_replace(new)),
            Err(error) => {
                tracing::error!(%error, "certificate not renewed; the old one stays in use");
            }
        }
    }
}
