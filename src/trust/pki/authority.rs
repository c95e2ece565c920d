//! Certificates made and signed; no files, no clock.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use crate::trust::tls;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The CA's life. It is pinned by clients, so it is long.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// A server or client certificate's life: what the strictest client libraries still take.
const LEAF_LIFE: Duration = Duration::from_secs(825 * 24 * 3600);
/// How far back validity begins, for clients whose clocks are behind.
const BACKDATE: Duration = Duration::from_secs(24 * 3600);

/// The names a server certificate is for. Clients compare exactly what stands in their URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// DNS names.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ip: Vec<IpAddr>,
}

/// A CA of our own: certificate and key.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    not_after: SystemTime,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its chain and its key.
#[derive(Debug)]
pub struct Issued {
    /// The certificate, then the CA's, PEM.
    pub chain: String,
    /// The private key, PKCS#8 PEM.
    pub key: SecretString,
}

/// A certificate cannot be made or a stored one not be read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A name cannot stand in a certificate.
    #[error("`{}` cannot be put into a certificate; use an ASCII DNS name or an IP address", .0.escape_default())]
    Name(String),
    /// There is no name.
    #[error("a server certificate needs at least one DNS name or IP address")]
    NoName,
    /// The stored CA is broken or was changed.
    #[error("not a CA certificate with its key: {0}")]
    Stored(String),
    /// The CA has ended or ends within the day.
    #[error(
        "the CA certificate has expired; move the directory away to make a new one, and give its `ca.pem` to all clients"
    )]
    Ended,
    /// Ours: the library refused.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

impl Authority {
    /// Makes a new CA.
    pub fn new(now: SystemTime) -> Result<Self, PkiError> {
        Self::self_signed(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, now)
    }

    /// Makes the certificate again for a stored key. Clients that trust the old one trust it too.
    pub fn with_key(key: &SecretString, now: SystemTime) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key.expose_secret())
            .map_err(|error| PkiError::Stored(format!("the key cannot be read: {error}")))?;
        Self::self_signed(key, now)
    }

    fn self_signed(key: KeyPair, now: SystemTime) -> Result<Self, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject("Camlock local CA");
        params.not_before = (now - BACKDATE).into();
        params.not_after = (now + AUTHORITY_LIFE).into();
        // Signs leaves only.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, not_after: now + AUTHORITY_LIFE, issuer: Issuer::new(params, key) })
    }

    /// Takes a stored CA.
    pub fn from_pem(pem: &str, key: &SecretString) -> Result<Self, PkiError> {
        let broken = |why: String| PkiError::Stored(why);
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| broken("the certificate is not PEM".into()))?;
        let seen = tls::Certificate::from_der(&der)
            .ok_or_else(|| broken("the certificate cannot be read".into()))?;
        let key = KeyPair::from_pem(key.expose_secret())
            .map_err(|error| broken(format!("the key cannot be read: {error}")))?;
        if !holds_key(&der, &key) {
            return Err(broken("certificate and key do not belong together".into()));
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|e| broken(e.to_string()))?;
        let not_after = SystemTime::UNIX_EPOCH
            + Duration::from_secs(u64::try_from(seen.not_after).unwrap_or_default());
        Ok(Self { pem: pem.to_owned(), not_after, issuer })
    }

    /// The CA's certificate, PEM: what clients trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The CA's key, PKCS#8 PEM.
    pub fn key(&self) -> SecretString {
        self.issuer.key().serialize_pem().into()
    }

    /// Issues a server certificate for `names`.
    pub fn issue_server(&self, names: &Names, now: SystemTime) -> Result<Issued, PkiError> {
        let mut params = self.leaf("Camlock gateway", ExtendedKeyUsagePurpose::ServerAuth, now)?;
        for name in &names.dns {
            let bad = || PkiError::Name(name.clone());
            if !is_dns_name(name) {
                return Err(bad());
            }
            params
                .subject_alt_names
                .push(SanType::DnsName(name.as_str().try_into().map_err(|_| bad())?));
        }
        params.subject_alt_names.extend(names.ip.iter().copied().map(SanType::IpAddress));
        if params.subject_alt_names.is_empty() {
            return Err(PkiError::NoName);
        }
        self.sign(&params)
    }

    /// Issues a client certificate whose common name is `name`.
    pub fn issue_client(&self, name: &str, now: SystemTime) -> Result<Issued, PkiError> {
        // The bound of a common name, X.520.
        if !(1..=64).contains(&name.len()) || name.chars().any(char::is_control) {
            return Err(PkiError::Name(name.to_owned()));
        }
        self.sign(&self.leaf(name, ExtendedKeyUsagePurpose::ClientAuth, now)?)
    }

    fn leaf(
        &self,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
        now: SystemTime,
    ) -> Result<CertificateParams, PkiError> {
        let end = self.not_after.min(now + LEAF_LIFE - BACKDATE);
        if end < now + DAY {
            return Err(PkiError::Ended);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name);
        params.not_before = (now - BACKDATE).into();
        params.not_after = end.into();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Issued, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain = format!("{}{}", certificate.pem(), self.pem);
        Ok(Issued { chain, key: key.serialize_pem().into() })
    }
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Camlock");
    subject.push(DnType::CommonName, name);
    subject
}

/// Letters, digits and hyphens in labels, a wildcard at most as the first label.
fn is_dns_name(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    rest.len() <= 253 && rest.split('.').all(label)
}

fn holds_key(der: &CertificateDer<'_>, key: &KeyPair) -> bool {
    x509_parser::parse_x509_certificate(der).is_ok_and(|(_, certificate)| {
        certificate.is_ca()
            && certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
    })
}
