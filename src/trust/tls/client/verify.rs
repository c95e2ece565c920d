//! Which certificate is taken from a camera.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer as _, X509Version};
use x509_parser::public_key::PublicKey;

use super::{Failure, Peer, Untrusted, Unusable};
use crate::ops::limits;
use crate::trust::tls::Fingerprint;

/// The least RSA key that ring verifies.
const RSA_BITS: usize = 2048;

/// Checks what a camera shows. That it holds the key is checked always; what else, says `expected`.
#[derive(Debug)]
pub(super) struct Verifier {
    expected: Expectation,
    provider: Arc<CryptoProvider>,
    seen: OnceLock<Peer>,
}

/// What makes a certificate the right one.
#[derive(Debug)]
pub(super) enum Expectation {
    /// It is this one. Its name and dates say nothing more: whoever wrote the fingerprint down looked at
    /// the certificate, cameras name themselves after their factory, and one whose clock was lost would
    /// be cut off for nothing.
    This(Fingerprint),
    /// Nothing does yet; whoever asks will write it down.
    Any,
    /// A CA of ours vouches for it: signature, dates, purpose and name.
    Authority(Arc<WebPkiServerVerifier>),
}

impl Verifier {
    pub(super) fn new(expected: Expectation, provider: Arc<CryptoProvider>) -> Self {
        Self { expected, provider, seen: OnceLock::new() }
    }

    /// Fingerprint and end of the certificate that was taken.
    pub(super) fn seen(&self) -> Option<Peer> {
        self.seen.get().copied()
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let bytes: usize = intermediates.iter().map(|der| der.len()).sum();
        if intermediates.len() >= limits::CAMERA_CERTIFICATES
            || bytes.saturating_add(end_entity.len()) > limits::CAMERA_CERTIFICATE_BYTES
        {
            return Err(own(Failure::LongChain));
        }
        let got = Fingerprint::of(end_entity);
        if let Expectation::This(expected) = self.expected
            && expected != got
        {
            return Err(own(Failure::OtherCertificate { expected, got }));
        }
        let unreadable = |_| own(Failure::Unusable(Unusable::Unreadable));
        let (_, certificate) = X509Certificate::from_der(end_entity).map_err(unreadable)?;
        usable(&certificate).map_err(|unusable| own(Failure::Unusable(unusable)))?;
        if let Expectation::Authority(authority) = &self.expected {
            if certificate.is_ca() {
                return Err(own(Failure::Untrusted(Untrusted::IsCa)));
            }
            let verified = authority.verify_server_cert(end_entity, intermediates, name, &[], now);
            // A CA of the same name: its signature is another's.
            let forged = rustls::Error::from(CertificateError::BadSignature);
            verified.map_err(|error| {
                if error == forged { own(Failure::Untrusted(Untrusted::Issuer)) } else { error }
            })?;
        }
        let not_after = certificate.validity().not_after.timestamp();
        self.seen.get_or_init(|| Peer::new(got, not_after));
        Ok(())
    }
}

/// What the library would refuse without saying why.
fn usable(certificate: &X509Certificate<'_>) -> Result<(), Unusable> {
    if certificate.version() != X509Version::V3 {
        return Err(Unusable::OldVersion);
    }
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS => {
            Err(Unusable::ShortKey(key.key_size()))
        }
        Ok(PublicKey::DSA(_)) => Err(Unusable::Algorithm),
        Ok(_) => Ok(()),
        Err(_) => Err(Unusable::Unreadable),
    }
}

fn own(failure: Failure) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(failure))).into()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, server_name, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
