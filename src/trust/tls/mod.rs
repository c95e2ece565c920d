//! rustls configurations (ring only), the verifiers of both sides, who a peer is, and its byte stream.

pub mod client;
mod fingerprint;
mod identity;
mod line;
mod server;

pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use identity::{Certificate, PeerIdentity, peer_identity};
pub use line::Line;
pub use server::{ClientCa, ClientCertificates, Settings, TlsError, Versions, server_config};
