//! The loop of a service that takes connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use super::counts::Counts;
use super::places::Places;
use crate::ops::limits;
use crate::ops::systemd::Progress;

/// Hands each connection to `handler`, in a task of its own, or resets it at once if it has no place. Dropping the
/// future ends all. Advances its progress at least once a second.
pub(super) async fn serve<F>(
    listener: TcpListener,
    places: Places,
    counts: Arc<Counts>,
    progress: Progress,
    handler: impl Fn(TcpStream, Ipv4Addr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut second = interval(Duration::from_secs(1));
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            _ = second.tick() => progress.advance(),
            accepted = listener.accept() => match accepted {
                Ok((stream, SocketAddr::V4(peer))) => {
                    match places.enter(*peer.ip()) {
                        Some(place) => {
                            let handled = handler(stream, *peer.ip());
                            open.spawn(async move {
                                handled.await;
                                drop(place);
                            });
                        }
                        None => {
                            counts.no_place.one();
                            reset_on_close(&stream);
                        }
                    }
                }
                // The listener has an IPv4 address.
                Ok((_, SocketAddr::V6(_))) => {}
                // Out of descriptors, or gone again: do not spin.
                Err(_) => sleep(limits::ACCEPT_PAUSE_MIN).await,
            },
        }
        while open.try_join_next().is_some() {}
    }
}

/// Nothing of it will stay in the kernel, and the client knows at once that nobody is there.
pub(super) fn reset_on_close(stream: &TcpStream) {
    // It fails on a dead socket only; then there is nothing to reset.
    drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
}
