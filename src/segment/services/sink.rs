//! The sink: where every redirected TCP connection ends. It listens for a moment to what the device says, sends
//! nothing, and resets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::counts::Counts;
use super::recognise::{Recognition, recognise};
use super::tcp::reset_on_close;
use crate::limits;
use crate::segment::{Attempt, Destination, MacAddr, Protocol, Sighting, Verdict};

/// The port of DNS over TLS.
const DNS_OVER_TLS: u16 = 853;

/// Where a connection was going, before it was redirected here.
pub(super) type Original = fn(&TcpStream) -> io::Result<SocketAddrV4>;

/// Of the kernel's connection tracking.
pub(super) fn original_destination(stream: &TcpStream) -> io::Result<SocketAddrV4> {
    let address = SockRef::from(stream).original_dst_v4()?;
    address.as_socket_ipv4().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Looks at one connection and resets it. What it said is noted, if anybody knows it: a connection that says nothing
/// has been counted by its frames.
pub(super) async fn serve(
    mut stream: TcpStream,
    source: Ipv4Addr,
    original: Original,
    counts: Arc<Counts>,
    note: impl Fn(Sighting),
    mac_of: impl Fn(IpAddr) -> Option<MacAddr>,
) {
    reset_on_close(&stream);
    let destination = original(&stream);
    let found = look(&mut stream).await;
    drop(stream);
    if found.protocol == Protocol::Tcp {
        counts.sink_unrecognised.one();
        return;
    }
    counts.sink_recognised.one();
    let ip = IpAddr::V4(source);
    // Who is gone from the table has sent nothing for long; and without redirection there is nothing to tell.
    let (Some(device), Ok(destination)) = (mac_of(ip), destination) else { return };
    note(sighting(device, ip, destination, found));
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

fn sighting(
    device: MacAddr,
    ip: IpAddr,
    destination: SocketAddrV4,
    found: Recognition,
) -> Sighting {
    let is_dns = found.protocol == Protocol::Tls && destination.port() == DNS_OVER_TLS;
    let protocol = if is_dns { Protocol::DnsOverTls } else { found.protocol };
    let attempt = Attempt {
        protocol,
        destination: Destination::Ip(IpAddr::V4(*destination.ip())),
        port: Some(destination.port()),
        name: found.name,
        verdict: Verdict::Sunk,
    };
    // The frames were counted as they came.
    Sighting { device, ip: Some(ip), attempt, bytes: 0 }
}
