//! rustls configurations (ring only), the verifiers of both sides, and who a peer is.

pub mod client;
mod fingerprint;
mod identity;
mod server;

pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use identity::{Certificate, PeerIdentity, peer_identity};
pub use server::{ClientCa, ClientCertificates, Settings, TlsError, Versions, server_config};
