//! Which challenges a listener offers, and in which order.

use std::sync::Arc;

/// One challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Basic.
    Basic,
    /// Digest with MD5.
    DigestMd5,
    /// Digest with SHA-256.
    DigestSha256,
}

/// What a listener offers to a client that has not logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// The default over TLS.
    Secure,
    /// The default where the connection is not encrypted (loopback): never Basic.
    Plain,
    /// These, in this order, whatever the connection.
    These(Arc<[Scheme]>),
}
