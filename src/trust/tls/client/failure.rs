//! Why a camera's TLS was not taken: a closed list, each in words an operator understands.

use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError, PeerMisbehaved};
use strum::IntoStaticStr;

use super::meter::Flood;
use crate::ops::limits;
use crate::trust::tls::Fingerprint;

/// Why the handshake with a camera failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case", prefix = "tls_")]
pub enum Failure {
    /// Not finished in [`limits::CAMERA_HANDSHAKE`].
    #[error("the camera did not finish the TLS handshake within {} s: is this its RTSPS port?", limits::CAMERA_HANDSHAKE.as_secs())]
    TimedOut,
    /// What answers does not speak TLS.
    #[error(
        "the camera does not speak TLS on this port: enable RTSPS in the camera, correct the \
         port, or take `tls` out of its entry"
    )]
    #[strum(serialize = "not_spoken")]
    NotTls,
    /// The camera closed the connection.
    #[error(
        "the camera closed the connection in the TLS handshake: enable RTSPS in the camera, or \
         correct the port"
    )]
    Closed,
    /// The connection broke.
    #[error("the connection to the camera broke in the TLS handshake ({0})")]
    Lost(io::ErrorKind),
    /// More bytes than any lawful handshake has.
    #[error("the camera sent too much in the TLS handshake")]
    TooMuch,
    /// No version or cipher suite in common.
    #[error(
        "the camera has no TLS version, cipher suite or signature in common with this gateway \
         (TLS 1.3, or 1.2 with ECDHE and AES-GCM or ChaCha20; no SHA-1): update its firmware"
    )]
    NothingInCommon,
    /// The camera refused us with this alert (RFC 8446 section 6).
    #[error(
        "the camera refused the TLS handshake (alert {0}): see its TLS settings; one that \
         wants a client certificate cannot be used"
    )]
    Alert(u8),
    /// The camera breaks the TLS protocol.
    #[error("the camera breaks the TLS protocol")]
    Misbehaved,
    /// More certificates, or larger ones, than [`limits::CAMERA_CERTIFICATES`] and
    /// [`limits::CAMERA_CERTIFICATE_BYTES`].
    #[error(
        "the camera sent more than {} certificates or {} bytes of them",
        limits::CAMERA_CERTIFICATES,
        limits::CAMERA_CERTIFICATE_BYTES
    )]
    LongChain,
    /// The certificate is not the expected one.
    #[error("the camera's certificate is not the pinned one: expected {}, got {got}; another device \
         may impersonate it. If the new one is right, write it into `tls`", .expected.short())]
    OtherCertificate {
        /// The one expected.
        expected: Fingerprint,
        /// The one that came.
        got: Fingerprint,
    },
    /// The certificate cannot be used, whoever vouches for it.
    #[error("{0}")]
    #[strum(serialize = "unusable_certificate")]
    Unusable(Unusable),
    /// The private CA does not vouch for the certificate.
    #[error("{0}")]
    #[strum(serialize = "untrusted_certificate")]
    Untrusted(Untrusted),
    /// The camera does not prove that it holds the certificate's key.
    #[error(
        "a signature does not verify: the camera does not hold the key of the certificate it \
         shows, or the certificate is forged"
    )]
    BadSignature,
    /// The gateway's TLS library refuses what we asked of it.
    #[error("the gateway's TLS failed: a bug, please report it")]
    Ours,
}

/// What is wrong with a certificate in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error(
        "the camera's certificate cannot be read: \
         make a new one in the camera (RSA 2048 with SHA-256, or ECDSA P-256)"
    )]
    Unreadable,
    /// X.509 version 1 or 2.
    #[error(
        "the camera's certificate is older than X.509 version 3: \
         make a new one in the camera (RSA 2048 with SHA-256, or ECDSA P-256)"
    )]
    OldVersion,
    /// An RSA key of so many bits.
    #[error(
        "the camera's certificate has an RSA key of {0} bits; at least 2048 are needed: \
         make a new one in the camera (RSA 2048 with SHA-256, or ECDSA P-256)"
    )]
    ShortKey(usize),
    /// A signature or key of a kind that is no longer taken.
    #[error(
        "the camera's certificate has a key or signature of a kind that is not taken (SHA-1, DSA, \
         P-521): \
         make a new one in the camera (RSA 2048 with SHA-256, or ECDSA P-256)"
    )]
    Algorithm,
}

/// Why the CA does not vouch for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Another CA signed it, or it signed itself.
    #[error(
        "the camera's certificate is not signed by the CA in its entry: give it one of that CA, \
         together with the CAs between"
    )]
    Issuer,
    /// It is over.
    #[error("the camera's certificate has expired: give it a new one")]
    Expired,
    /// It is not valid yet.
    #[error("the camera's certificate is not valid yet: is the clock of this machine right?")]
    NotYet,
    /// It is for another address or name.
    #[error(
        "the camera's certificate is for another address: it must name the IP address in the \
         entry, or give the name in it as `tls_name`"
    )]
    Name,
    /// It is not for servers.
    #[error("the camera's certificate is not for servers: issue it with serverAuth")]
    Purpose,
    /// It is a CA's own certificate.
    #[error(
        "the camera shows a CA's own certificate: pin it with `tls = \"sha256:...\"`, or give the \
         camera one that the CA signed"
    )]
    IsCa,
}

impl Failure {
    /// What the error of a handshake says. `tls`: what came began like TLS.
    pub(super) fn from_io(error: &io::Error, tls: bool) -> Self {
        let Some(inner) = error.get_ref() else {
            return if error.kind() == io::ErrorKind::UnexpectedEof {
                Self::Closed
            } else {
                Self::Lost(error.kind())
            };
        };
        if inner.is::<Flood>() {
            return Self::TooMuch;
        }
        match inner.downcast_ref::<rustls::Error>() {
            Some(error) => Self::from_tls(error, tls),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Lost(error.kind()),
        }
    }

    fn from_tls(error: &rustls::Error, tls: bool) -> Self {
        use rustls::Error;
        if let Error::InvalidCertificate(error) = error {
            return Self::from_certificate(error);
        }
        if let Error::AlertReceived(alert) = error {
            return Self::from_alert(*alert);
        }
        if !tls {
            return Self::NotTls;
        }
        let long_chain = Error::InvalidMessage(InvalidMessage::CertificatePayloadTooLarge);
        let too_much = Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge);
        let unadvertised =
            Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);
        if matches!(error, Error::PeerIncompatible(_)) {
            Self::NothingInCommon
        } else if *error == long_chain {
            Self::LongChain
        } else if *error == too_much {
            Self::TooMuch
        } else if *error == unadvertised {
            Self::Unusable(Unusable::Algorithm)
        } else if matches!(error, Error::General(_) | Error::FailedToGetRandomBytes) {
            Self::Ours
        } else {
            Self::Misbehaved
        }
    }

    fn from_alert(alert: AlertDescription) -> Self {
        let nothing_in_common = [
            AlertDescription::HandshakeFailure,
            AlertDescription::ProtocolVersion,
            AlertDescription::InsufficientSecurity,
        ];
        if nothing_in_common.contains(&alert) {
            Self::NothingInCommon
        } else {
            Self::Alert(u8::from(alert))
        }
    }

    fn from_certificate(error: &CertificateError) -> Self {
        use CertificateError as E;
        if let E::Other(OtherError(own)) = error {
            let own = own.downcast_ref::<Self>().copied();
            return own.unwrap_or(Self::Unusable(Unusable::Unreadable));
        }
        let untrusted = if matches!(error, E::Expired | E::ExpiredContext { .. }) {
            Untrusted::Expired
        } else if matches!(error, E::NotValidYet | E::NotValidYetContext { .. }) {
            Untrusted::NotYet
        } else if matches!(error, E::NotValidForName | E::NotValidForNameContext { .. }) {
            Untrusted::Name
        } else if matches!(error, E::InvalidPurpose | E::InvalidPurposeContext { .. }) {
            Untrusted::Purpose
        } else if matches!(error, E::UnknownIssuer) {
            Untrusted::Issuer
        } else if matches!(error, E::BadSignature) {
            return Self::BadSignature;
        } else if matches!(
            error,
            E::UnsupportedSignatureAlgorithmContext { .. }
                | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        ) {
            return Self::Unusable(Unusable::Algorithm);
        } else {
            return Self::Unusable(Unusable::Unreadable);
        };
        Self::Untrusted(untrusted)
    }

    /// Whether it may not be the camera that answered.
    pub fn is_about_identity(self) -> bool {
        match self {
            Self::OtherCertificate { .. } | Self::Untrusted(_) | Self::BadSignature => true,
            Self::TimedOut
            | Self::NotTls
            | Self::Closed
            | Self::Lost(_)
            | Self::TooMuch
            | Self::NothingInCommon
            | Self::Alert(_)
            | Self::Misbehaved
            | Self::LongChain
            | Self::Unusable(_)
            | Self::Ours => false,
        }
    }

    /// Whether no sound camera does it.
    pub fn breaks_a_bound(self) -> bool {
        match self {
            Self::TooMuch | Self::LongChain | Self::Misbehaved => true,
            Self::TimedOut
            | Self::NotTls
            | Self::Closed
            | Self::Lost(_)
            | Self::NothingInCommon
            | Self::Alert(_)
            | Self::OtherCertificate { .. }
            | Self::Unusable(_)
            | Self::Untrusted(_)
            | Self::BadSignature
            | Self::Ours => false,
        }
    }

    /// A stable word for metrics and machines.
    pub fn label(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_these() {
        let print = Fingerprint::of(b"");
        let all = every!(
            Failure; TimedOut, NotTls, Closed, Lost(io::ErrorKind::Other), TooMuch, NothingInCommon,
            Alert(40), Misbehaved, LongChain, OtherCertificate { expected: print, got: print },
            Unusable(Unusable::Unreadable), Untrusted(Untrusted::Issuer), BadSignature, Ours,
        );
        assert_surface!("camera-tls-failures", all.map(Failure::label).join("\n"));
    }
}
