//! The admin listener: health, readiness, metrics. Loopback only, no TLS, read-only.
//!
//! What does *not* belong here: media, configuration, anything a client outside the box may reach.

mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::hub::status::{Board, SegmentBoard};
use crate::ops::limits;
use crate::ops::metrics::Metrics;
use crate::serve::overload::Load;

/// The admin listener's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Loopback address and port.
    pub listen: SocketAddr,
    /// Bearer token for all but `/healthz`.
    pub token: SecretString,
}

/// What the admin listener shows.
#[derive(Debug)]
pub struct Admin {
    /// Bearer token for all but `/healthz`.
    pub token: SecretString,
    /// What is short.
    pub load: Arc<Load>,
    /// Process metrics.
    pub metrics: Arc<Metrics>,
    /// Health of the camera profiles.
    pub board: Board,
    /// How the camera segment is.
    pub segment: SegmentBoard,
    /// Whether the client listeners serve.
    pub ready: watch::Receiver<bool>,
    /// Fills in what is only known when somebody asks.
    pub sample: fn(&Metrics),
}

/// Serves `listener` until the future is dropped. A connection answers one request and lives no longer
/// than [`limits::ADMIN_CONNECTION`]; at most [`limits::ADMIN_CONNECTIONS`] are open.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>) {
    let places = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let admin = Arc::clone(&admin);
                connections.spawn(async move {
                    answer(stream, admin).await;
                    drop(place);
                });
            }
            // Out of descriptors: what holds them will give them back; do not spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(stream: TcpStream, admin: Arc<Admin>) {
    let service = service_fn(move |request| {
        let response = routes::respond(&request, &admin);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::FIRST_BYTE)
        .max_buf_size(limits::RTSP_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // hyper does not end every kind of silence by itself; a client that goes away is its own affair.
    drop(tokio::time::timeout(limits::ADMIN_CONNECTION, connection).await);
}

#[cfg(test)]
mod tests;
