//! The server side: certificate, key, versions, client certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// How a listener speaks TLS.
#[derive(Debug, Clone)]
pub struct Settings {
    /// PEM file: the certificate first, then the chain up to the root.
    pub chain: PathBuf,
    /// PEM file with the private key: PKCS#8, PKCS#1 or SEC1; ECDSA, Ed25519 or RSA. May be the same file.
    pub key: PathBuf,
    /// Protocol versions.
    pub versions: Versions,
    /// Whether clients are asked for a certificate.
    pub clients: ClientCertificates,
}

/// Protocol versions offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// TLS 1.3 alone.
    #[default]
    Tls13,
    /// TLS 1.2 too, for old recorders: ECDHE with an AEAD only.
    Tls12And13,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// No.
    #[default]
    Ignored,
    /// Yes; without one the client may log in with a password. One that does not verify ends the handshake.
    Optional(ClientCa),
    /// Yes, and without one the handshake ends.
    Required(ClientCa),
}

/// Whose client certificates are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCa {
    /// PEM file with one or more CA certificates.
    pub roots: PathBuf,
    /// PEM files with revocation lists, one for each CA that can revoke. If any is given, a certificate
    /// of a CA without a list is refused.
    pub revoked: Vec<PathBuf>,
}

/// A TLS configuration cannot be made: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("cannot read {}: {reason}; it must be a readable PEM file", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file holds nothing of the kind.
    #[error("{} holds no {what}; is it the right file?", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not fit together, or the key is of a kind we cannot use.
    #[error(
        "the certificate in {} and the key in {} cannot be used together: {reason}; \
         check that they belong together and are ECDSA P-256/P-384, Ed25519 or RSA (2048 bits or more)",
        chain.display(), key.display()
    )]
    Pair {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
    /// A CA or revocation list cannot be used.
    #[error("{} cannot be used for client certificates: {reason}", path.display())]
    Clients {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Ours: the provider lacks what we ask for.
    #[error("TLS provider: {0}")]
    Provider(String),
}

/// Reads the files and makes the configuration. Never resumes sessions: a ticket would let a client in
/// without its certificate being verified again, and a P-256 handshake is cheap.
pub fn server_config(settings: &Settings) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = read_all::<CertificateDer<'static>>(&settings.chain, "certificate")?;
    let key = read_key(&settings.key)?;
    let verifier = client_verifier(&settings.clients, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(settings.versions.supported())
        .map_err(|error| TlsError::Provider(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| TlsError::Pair {
            chain: settings.chain.clone(),
            key: settings.key.clone(),
            reason: error.to_string(),
        })?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

impl Versions {
    fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        static BOTH: [&SupportedProtocolVersion; 2] =
            [&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            Self::Tls13 => &TLS13,
            Self::Tls12And13 => &BOTH,
        }
    }
}

fn client_verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let ca = match clients {
        ClientCertificates::Ignored => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientCertificates::Optional(ca) | ClientCertificates::Required(ca) => ca,
    };
    let unusable = |path: &Path, reason: String| TlsError::Clients { path: path.into(), reason };
    let mut roots = RootCertStore::empty();
    for root in read_all::<CertificateDer<'static>>(&ca.roots, "certificate")? {
        roots.add(root).map_err(|error| unusable(&ca.roots, error.to_string()))?;
    }
    let mut lists = Vec::new();
    for path in &ca.revoked {
        lists.extend(read_all::<CertificateRevocationListDer<'static>>(path, "revocation list")?);
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .with_crls(lists);
    let builder = match clients {
        ClientCertificates::Optional(_) => builder.allow_unauthenticated(),
        ClientCertificates::Required(_) | ClientCertificates::Ignored => builder,
    };
    let path = ca.revoked.first().unwrap_or(&ca.roots);
    builder.build().map_err(|error| unusable(path, error.to_string()))
}

fn read_all<T: PemObject>(path: &Path, what: &'static str) -> Result<Vec<T>, TlsError> {
    let items = T::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<T>, _>>)
        .map_err(|error| unreadable(path, &error))?;
    if items.is_empty() { Err(TlsError::Empty { path: path.into(), what }) } else { Ok(items) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            TlsError::Empty { path: path.into(), what: "private key" }
        } else {
            unreadable(path, &error)
        }
    })
}

fn unreadable(path: &Path, error: &pem::Error) -> TlsError {
    // The other errors could quote the file, and the file may be a key.
    let reason =
        if let pem::Error::Io(error) = error { error.to_string() } else { "not PEM".to_owned() };
    TlsError::File { path: path.into(), reason }
}
