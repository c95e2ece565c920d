//! What a certificate says.

use std::net::IpAddr;

use rustls::ServerConnection;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::Fingerprint;
use crate::ops::limits;

/// What a verified client certificate says of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Common name of the subject, if any; bounded, hostile only if the CA is.
    pub common_name: Option<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// End of validity, seconds since the Unix epoch.
    pub not_after: i64,
}

impl PeerIdentity {
    /// Reads a certificate in DER. `None`: not a certificate.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            common_name: common_name(&certificate),
            fingerprint: Fingerprint::of(der),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}

/// Who the peer of a finished handshake is; `None` without a client certificate. A connection has a
/// client certificate only if the verifier found it good.
pub fn peer_identity(connection: &ServerConnection) -> Option<PeerIdentity> {
    PeerIdentity::from_der(connection.peer_certificates()?.first()?)
}

/// What renewal needs to know of a server certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// DNS names of the subject alternative name, in order.
    pub dns_names: Vec<String>,
    /// IP addresses of the subject alternative name, in order.
    pub ip_addresses: Vec<IpAddr>,
    /// Start of validity, seconds since the Unix epoch.
    pub not_before: i64,
    /// End of validity, seconds since the Unix epoch.
    pub not_after: i64,
}

impl Certificate {
    /// Reads a certificate in DER. `None`: not a certificate.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut this = Self {
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        };
        let names = certificate.subject_alternative_name().ok()?;
        for name in names.iter().flat_map(|extension| &extension.value.general_names) {
            if let GeneralName::DNSName(name) = name {
                this.dns_names.push((*name).to_owned());
            } else if let GeneralName::IPAddress(bytes) = name {
                this.ip_addresses.extend(address(bytes));
            }
        }
        Some(this)
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    // Cut names could collide; one that is too long is no name.
    (name.len() <= limits::CREDENTIAL_BYTES).then(|| name.to_owned())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
