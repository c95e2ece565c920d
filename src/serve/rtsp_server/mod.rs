//! RTSP/1.0 for clients (RFC 2326) over any byte stream: interleaved RTP, sessions bound to their
//! connection and principal, nothing without a permit.
//!
//! [`machine`] is the protocol, without I/O; [`serve`] drives it. What does *not* belong here: accepting
//! connections and TLS (`listen`), credentials (`auth`), packetisation (`rtp`).

mod connection;
pub mod machine;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::hub::Hub;
use crate::ops::limits;
use crate::ops::metrics::Metrics;
use crate::serve::overload::Load;
use crate::trust::auth::{Authenticator, Offer};
use crate::trust::tls::PeerIdentity;

pub use connection::{End, serve};

/// What the connections of one listener share.
#[derive(Debug)]
pub struct Server {
    /// The listener's name: a metric label.
    pub listener: String,
    /// Where the streams are.
    pub hub: Arc<Hub>,
    /// Who may have them.
    pub authenticator: Arc<Authenticator>,
    /// The authentication schemes of this listener.
    pub offer: Offer,
    /// Whether one more reader may come.
    pub load: Arc<Load>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Times.
    pub settings: Settings,
}

/// Times of the RTSP server; the bounds that nobody needs to change are in [`crate::ops::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A session that does not play lives this long without a request.
    pub session_timeout: Duration,
    /// A client that takes no byte for this long is cut off; so is one that drips, after
    /// [`limits::WRITE_WHOLE`].
    pub write_stall: Duration,
    /// How long DESCRIBE and SETUP wait for an on-demand camera.
    pub describe_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_timeout: limits::CLIENT_SESSION_TIMEOUT,
            write_stall: limits::WRITE_STALL,
            describe_wait: limits::DESCRIBE_WAIT,
        }
    }
}

/// The other side of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// What its client certificate says, if one was verified.
    pub identity: Option<PeerIdentity>,
    /// Since when its place before login is held: the time for the login counts from here.
    pub since: Instant,
}
