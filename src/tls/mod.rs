//! rustls configurations (ring only), the client-certificate verifier, and who a peer is.

mod identity;
mod server;

pub use identity::{Certificate, PeerIdentity, peer_identity};
pub use server::{ClientCa, ClientCertificates, Settings, TlsError, Versions, server_config};
