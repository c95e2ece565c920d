//! The sink: where every redirected TCP connection ends. It listens for a moment to what the device says, sends
//! nothing, and resets.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::counts::Counts;
use super::recognise::{Recognition, recognise};
use super::tcp::reset_on_close;
use super::tell::Teller;
use crate::ops::limits;
use crate::segment::service::observe::usual_of_tcp;
use crate::segment::{MacAddr, Protocol, Sighting, Verdict};

/// The port of DNS over TLS.
const DNS_OVER_TLS: u16 = 853;

/// Looks at one connection and resets it. What it said is told, if it is more than its frames told: they count each
/// connection as one of the port's usual service.
pub(super) async fn serve<N, M>(
    mut stream: TcpStream,
    source: Ipv4Addr,
    counts: Arc<Counts>,
    teller: Teller<N, M>,
) where
    N: Fn(Sighting),
    M: Fn(IpAddr) -> Option<MacAddr>,
{
    reset_on_close(&stream);
    let destination = (teller.original)(&stream).ok();
    let found = look(&mut stream).await;
    drop(stream);
    if found.protocol == Protocol::Tcp {
        counts.sink_unrecognised.one();
        return;
    }
    counts.sink_recognised.one();
    let is_dns =
        found.protocol == Protocol::Tls && destination.is_some_and(|to| to.port() == DNS_OVER_TLS);
    let protocol = if is_dns { Protocol::DnsOverTls } else { found.protocol };
    let is_usual = destination.is_some_and(|to| usual_of_tcp(to.port()) == protocol);
    if found.name.is_some() || !is_usual {
        teller.tell(source, destination, protocol, found.name, Verdict::Sunk);
    }
}

/// The first bytes, until they are recognised or a bound is reached.
async fn look(stream: &mut TcpStream) -> Recognition {
    let mut bytes = Vec::with_capacity(limits::SINK_BYTES);
    let reading = async {
        for _ in 0..limits::SINK_READS {
            let room = limits::SINK_BYTES - bytes.len();
            let read = (&mut *stream).take(room as u64).read_buf(&mut bytes).await;
            if matches!(read, Ok(0) | Err(_)) || recognise(&bytes).is_done {
                break;
            }
        }
    };
    // Too late: what came is what there is.
    drop(timeout(limits::SINK_TIME, reading).await);
    recognise(&bytes)
}
