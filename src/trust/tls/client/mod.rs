//! The client side, towards cameras: old, self-signed, and trusted for one thing only.

mod failure;
mod meter;
#[cfg(test)]
mod tests;
mod verify;

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client};
use x509_parser::time::ASN1Time;

pub use failure::{Failure, Untrusted, Unusable};

use super::Fingerprint;
use crate::ops::limits;
use meter::Meter;
use verify::{Expectation, Verifier};

/// How a camera is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// By the SHA-256 of its certificate.
    Pinned(Fingerprint),
    /// By the certificate that it showed the first time.
    FirstUse,
    /// By a certificate of a private CA.
    Authority(Authority),
}

/// A CA that vouches for cameras, and the name it must vouch for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    roots: Vec<CertificateDer<'static>>,
    name: Option<DnsName<'static>>,
}

/// What a camera must show in one handshake.
#[derive(Debug, Clone)]
pub enum Expected {
    /// The certificate with this fingerprint.
    This(Fingerprint),
    /// Anything: the caller decides by [`Peer::fingerprint`], before a byte more is exchanged.
    Any,
    /// A certificate of a CA.
    Authority(Authority),
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Of its certificate.
    pub fingerprint: Fingerprint,
    /// End of the certificate's validity, seconds since the Unix epoch.
    pub not_after: i64,
    /// Protocol version.
    pub version: Version,
}

/// Protocol version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Version {
    /// `1.2` or `1.3`.
    pub fn number(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl Peer {
    /// [`Self::not_after`] for people.
    pub fn not_after_text(&self) -> String {
        ASN1Time::from_timestamp(self.not_after).map_or_else(|_| "?".to_owned(), |t| t.to_string())
    }

    fn new(fingerprint: Fingerprint, not_after: i64) -> Self {
        Self { fingerprint, not_after, version: Version::Tls12 }
    }
}

impl Authority {
    /// From a PEM text with one or more CA certificates. `name`: a DNS name that the camera's certificate
    /// must have in place of its IP address.
    pub fn from_pem(pem: &[u8], name: Option<&str>) -> Result<Self, BadAuthority> {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| BadAuthority::NotPem)?;
        if roots.is_empty() {
            return Err(BadAuthority::Empty);
        }
        let name = name.map(|name| DnsName::try_from(name.to_owned())).transpose();
        let this = Self { roots, name: name.map_err(|_| BadAuthority::Name)? };
        this.verifier(&provider()).map(|_| this).ok_or(BadAuthority::NotACa)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(root.clone()).ok()?;
        }
        let builder =
            WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
        builder.build().ok()
    }
}

/// A file of CA certificates cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthority {
    /// Not PEM.
    #[error("is not PEM")]
    NotPem,
    /// No certificate.
    #[error("holds no certificate; is it the right file?")]
    Empty,
    /// A certificate that cannot be a root.
    #[error("holds a certificate that cannot be read")]
    NotACa,
    /// The name is no DNS name.
    #[error("cannot go with a name that is no DNS name")]
    Name,
}

/// A camera's connection over TLS.
#[derive(Debug)]
pub struct Stream<S>(Box<client::TlsStream<Meter<S>>>);

/// Makes TLS on a connected socket, within [`limits::CAMERA_HANDSHAKE`]. Never resumes: each connection
/// is verified anew. The name is sent only if it is a DNS name (RFC 6066 section 3).
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    address: IpAddr,
    expected: &Expected,
) -> Result<(Stream<S>, Peer), Failure> {
    let (config, verifier) = config(expected).ok_or(Failure::Ours)?;
    let name = match expected {
        Expected::Authority(Authority { name: Some(name), .. }) => {
            ServerName::DnsName(name.clone())
        }
        Expected::Authority(_) | Expected::This(_) | Expected::Any => {
            ServerName::IpAddress(address.into())
        }
    };
    let connect = TlsConnector::from(config).connect(name, Meter::new(socket)).into_fallible();
    let stream = match timeout(limits::CAMERA_HANDSHAKE, connect).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, meter))) => {
            return Err(Failure::from_io(&error, meter.looks_like_tls()));
        }
        Err(_) => return Err(Failure::TimedOut),
    };
    let version = match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => Version::Tls13,
        _ => Version::Tls12,
    };
    let peer = verifier.seen().ok_or(Failure::Ours)?;
    Ok((Stream(Box::new(stream)), Peer { version, ..peer }))
}

fn config(expected: &Expected) -> Option<(Arc<ClientConfig>, Arc<Verifier>)> {
    let provider = provider();
    let expectation = match expected {
        Expected::This(fingerprint) => Expectation::This(*fingerprint),
        Expected::Any => Expectation::Any,
        Expected::Authority(authority) => Expectation::Authority(authority.verifier(&provider)?),
    };
    let verifier = Arc::new(Verifier::new(expectation, Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Some((Arc::new(config), verifier))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut self.get_mut().0;
        let before = buf.filled().len();
        ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
        stream.get_mut().0.data(buf.filled().len().saturating_sub(before));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
