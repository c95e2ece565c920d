//! rustls configurations (ring only), the client-certificate verifier, and who a peer is.

/// What a verified client certificate says of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Common name of the subject, if any; bounded, hostile only if the CA is.
    pub common_name: Option<String>,
    /// SHA-256 of the certificate, DER.
    pub fingerprint: [u8; 32],
    /// End of validity, seconds since the Unix epoch.
    pub not_after: i64,
}
