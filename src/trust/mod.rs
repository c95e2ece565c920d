//! Who a peer is and what it may do: TLS, certificates, accounts, permits, penalties, audit.

pub mod audit;
pub mod auth;
pub mod pki;
pub mod tls;
