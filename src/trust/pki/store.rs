//! The CA's directory: made on first start, the server certificate renewed in it.
//!
//! `ca.pem` and `ca.key` are never written again; `server.pem` holds chain and key in one file, so that
//! its renewal is one rename. Keys are readable by the owner only, from their first byte.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use super::authority::{Authority, Names, PkiError};
use crate::ops::state_dir::{self, Overwrite};
use crate::trust::tls;

/// Time before a server certificate's end at which it is renewed.
const RENEW: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The CA's certificate, for clients.
    pub ca: PathBuf,
    /// Server certificate, chain and key in one file: [`tls::Settings::chain`] and
    /// [`tls::Settings::key`] both.
    pub server: PathBuf,
    /// End of the server certificate, seconds since the Unix epoch.
    pub not_after: i64,
}

/// The directory cannot be used: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory cannot be read or written.
    #[error("{}: {error}; the directory must be writable for the gateway's user", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The CA's key is missing.
    #[error("{} is missing, but the CA's certificate is there; restore it, or move the directory away to make a new CA", .0.display())]
    NoKey(PathBuf),
    /// Its content is broken, or a name cannot be used.
    #[error("{}: {error}", path.display())]
    Pki {
        /// Where.
        path: PathBuf,
        /// What.
        error: PkiError,
    },
}

/// Makes the CA in `dir` if there is none, and a server certificate for `names` if there is none, its
/// names are others, or it ends within 30 days. Call it at start and once a day.
pub fn ensure(dir: &Path, names: &Names, now: SystemTime) -> Result<Files, StoreError> {
    let authority = authority(dir, now)?;
    let server = dir.join("server.pem");
    let not_after = match usable(&server, &authority, names, now)? {
        Some(not_after) => not_after,
        None => {
            let pki = |error| StoreError::Pki { path: dir.into(), error };
            let issued = authority.issue_server(names, now).map_err(pki)?;
            let text =
                SecretString::from(format!("{}{}", issued.chain, issued.key.expose_secret()));
            write_new(&server, text.expose_secret(), Overwrite::Yes)?;
            first_certificate(&issued.chain).map_or(0, |certificate| certificate.not_after)
        }
    };
    Ok(Files { ca: dir.join("ca.pem"), server, not_after })
}

/// The CA of a directory that [`ensure`] made: to issue client certificates.
pub fn load_authority(dir: &Path) -> Result<Authority, StoreError> {
    let path = dir.join("ca.pem");
    let pem = read(&path)?;
    let key = SecretString::from(read(&dir.join("ca.key"))?);
    Authority::from_pem(&pem, &key).map_err(|error| StoreError::Pki { path, error })
}

fn authority(dir: &Path, now: SystemTime) -> Result<Authority, StoreError> {
    let (pem, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    match (pem.exists(), key.exists()) {
        (true, true) => load_authority(dir),
        (true, false) => Err(StoreError::NoKey(key)),
        // A first start that was cut off between the two files.
        (false, true) => {
            let text = SecretString::from(read(&key)?);
            let made = Authority::with_key(&text, now)
                .map_err(|error| StoreError::Pki { path: key, error })?;
            write_new(&pem, made.pem(), Overwrite::No)?;
            Ok(made)
        }
        (false, false) => {
            state_dir::make(dir).map_err(|error| StoreError::Io { path: dir.into(), error })?;
            let made =
                Authority::new(now).map_err(|error| StoreError::Pki { path: dir.into(), error })?;
            // The key first: a certificate without its key would look like a loss.
            write_new(&key, made.key().expose_secret(), Overwrite::No)?;
            write_new(&pem, made.pem(), Overwrite::No)?;
            Ok(made)
        }
    }
}

/// The end of the stored server certificate, if it will do.
fn usable(
    server: &Path,
    authority: &Authority,
    names: &Names,
    now: SystemTime,
) -> Result<Option<i64>, StoreError> {
    if !server.exists() {
        return Ok(None);
    }
    let text = SecretString::from(read(server)?);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let renew_from = i64::try_from((now + RENEW).as_secs()).unwrap_or(i64::MAX);
    let today = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    Ok(first_certificate(text.expose_secret()).and_then(|certificate| {
        let same_names = certificate.dns_names == names.dns && certificate.ip_addresses == names.ip;
        let ours = text.expose_secret().contains(authority.pem());
        let in_time = certificate.not_before <= today && renew_from < certificate.not_after;
        (same_names && ours && in_time).then_some(certificate.not_after)
    }))
}

fn first_certificate(pem: &str) -> Option<tls::Certificate> {
    tls::Certificate::from_der(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
}

fn write_new(path: &Path, text: &str, overwrite: Overwrite) -> Result<(), StoreError> {
    state_dir::write(path, text, overwrite)
        .map_err(|error| StoreError::Io { path: path.into(), error })
}

fn read(path: &Path) -> Result<String, StoreError> {
    fs::read_to_string(path).map_err(|error| StoreError::Io { path: path.into(), error })
}
