//! Why a camera's TLS was not taken: a closed list, each in words an operator understands.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError, PeerMisbehaved};

use super::meter::Flood;
use crate::ops::limits;
use crate::trust::tls::Fingerprint;

/// Why the handshake with a camera failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Not finished in [`limits::CAMERA_HANDSHAKE`].
    TimedOut,
    /// What answers does not speak TLS.
    NotTls,
    /// The camera closed the connection.
    Closed,
    /// The connection broke.
    Lost(io::ErrorKind),
    /// More bytes than any lawful handshake has.
    TooMuch,
    /// No version or cipher suite in common.
    NothingInCommon,
    /// The camera refused us with this alert (RFC 8446 section 6).
    Alert(u8),
    /// The camera breaks the TLS protocol.
    Misbehaved,
    /// More certificates, or larger ones, than [`limits::CAMERA_CERTIFICATES`] and
    /// [`limits::CAMERA_CERTIFICATE_BYTES`].
    LongChain,
    /// The certificate is not the expected one.
    OtherCertificate {
        /// The one expected.
        expected: Fingerprint,
        /// The one that came.
        got: Fingerprint,
    },
    /// The certificate cannot be used, whoever vouches for it.
    Unusable(Unusable),
    /// The private CA does not vouch for the certificate.
    Untrusted(Untrusted),
    /// The camera does not prove that it holds the certificate's key.
    BadSignature,
    /// The gateway's TLS library refuses what we asked of it.
    Ours,
}

/// What is wrong with a certificate in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It cannot be read.
    Unreadable,
    /// X.509 version 1 or 2.
    OldVersion,
    /// An RSA key of so many bits.
    ShortKey(usize),
    /// A signature or key of a kind that is no longer taken.
    Algorithm,
}

/// Why the CA does not vouch for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untrusted {
    /// Another CA signed it, or it signed itself.
    Issuer,
    /// It is over.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// It is for another address or name.
    Name,
    /// It is not for servers.
    Purpose,
    /// It is a CA's own certificate.
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
        match self {
            Self::TimedOut => "tls_timed_out",
            Self::NotTls => "tls_not_spoken",
            Self::Closed => "tls_closed",
            Self::Lost(_) => "tls_lost",
            Self::TooMuch => "tls_too_much",
            Self::NothingInCommon => "tls_nothing_in_common",
            Self::Alert(_) => "tls_alert",
            Self::Misbehaved => "tls_misbehaved",
            Self::LongChain => "tls_long_chain",
            Self::OtherCertificate { .. } => "tls_other_certificate",
            Self::Unusable(_) => "tls_unusable_certificate",
            Self::Untrusted(_) => "tls_untrusted_certificate",
            Self::BadSignature => "tls_bad_signature",
            Self::Ours => "tls_ours",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => write!(
                f,
                "the camera did not finish the TLS handshake within {} s: is this its RTSPS port?",
                limits::CAMERA_HANDSHAKE.as_secs()
            ),
            Self::NotTls => f.write_str(
                "the camera does not speak TLS on this port: enable RTSPS in the camera, correct the \
                 port, or take `tls` out of its entry",
            ),
            Self::Closed => f.write_str(
                "the camera closed the connection in the TLS handshake: enable RTSPS in the camera, or \
                 correct the port",
            ),
            Self::Lost(kind) => {
                write!(f, "the connection to the camera broke in the TLS handshake ({kind})")
            }
            Self::TooMuch => f.write_str("the camera sent too much in the TLS handshake"),
            Self::NothingInCommon => f.write_str(
                "the camera has no TLS version, cipher suite or signature in common with this gateway \
                 (TLS 1.3, or 1.2 with ECDHE and AES-GCM or ChaCha20; no SHA-1): update its firmware",
            ),
            Self::Alert(alert) => write!(
                f,
                "the camera refused the TLS handshake (alert {alert}): see its TLS settings; one that \
                 wants a client certificate cannot be used"
            ),
            Self::Misbehaved => f.write_str("the camera breaks the TLS protocol"),
            Self::LongChain => write!(
                f,
                "the camera sent more than {} certificates or {} bytes of them",
                limits::CAMERA_CERTIFICATES,
                limits::CAMERA_CERTIFICATE_BYTES
            ),
            Self::OtherCertificate { expected, got } => write!(
                f,
                "the camera's certificate is not the pinned one: expected {}, got {got}; another device \
                 may stand in its place. If the new one is right, write it into `tls`",
                expected.short()
            ),
            Self::Unusable(unusable) => unusable.fmt(f),
            Self::Untrusted(untrusted) => untrusted.fmt(f),
            Self::BadSignature => f.write_str(
                "a signature does not verify: the camera does not hold the key of the certificate it \
                 shows, or the certificate is forged",
            ),
            Self::Ours => f.write_str("the gateway's TLS failed: ours to mend, report it"),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("the camera's certificate cannot be read")?,
            Self::OldVersion => f.write_str("the camera's certificate is older than X.509 version 3")?,
            Self::ShortKey(bits) => {
                write!(f, "the camera's certificate has an RSA key of {bits} bits; 2048 are the least")?;
            }
            Self::Algorithm => f.write_str(
                "the camera's certificate has a key or signature of a kind that is not taken (SHA-1, DSA, \
                 P-521)",
            )?,
        }
        f.write_str(": make a new one in the camera (RSA 2048 with SHA-256, or ECDSA P-256)")
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issuer => {
                "the camera's certificate is not signed by the CA in its entry: give it one of that CA, \
                 together with the CAs between"
            }
            Self::Expired => "the camera's certificate has expired: give it a new one",
            Self::NotYet => {
                "the camera's certificate is not valid yet: is the clock of this machine right?"
            }
            Self::Name => {
                "the camera's certificate is for another address: it must name the IP address in the \
                 entry, or give the name in it as `tls_name`"
            }
            Self::Purpose => "the camera's certificate is not for servers: issue it with serverAuth",
            Self::IsCa => {
                "the camera shows a CA's own certificate: pin it with `tls = \"sha256:...\"`, or give the \
                 camera one that the CA signed"
            }
        })
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
