//! What the services tell the ledger of a connection: what its frames do not show.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::segment::{Attempt, Destination, DeviceText, MacAddr, Protocol, Sighting, Verdict};

/// Where a connection was going, before it was redirected here.
pub(super) type Original = fn(&TcpStream) -> io::Result<SocketAddrV4>;

/// Of the kernel's connection tracking.
pub(super) fn original_destination(stream: &TcpStream) -> io::Result<SocketAddrV4> {
    let address = SockRef::from(stream).original_dst_v4()?;
    address.as_socket_ipv4().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Which server's address a client used: the one before redirection, or else the gateway's own.
pub(super) fn asked_address(stream: &TcpStream, original: Original) -> Option<SocketAddrV4> {
    let own = || match stream.local_addr() {
        Ok(SocketAddr::V4(own)) => Some(own),
        Ok(SocketAddr::V6(_)) | Err(_) => None,
    };
    original(stream).ok().or_else(own)
}

/// Whom to tell, and who knows a device by its IP address.
#[derive(Debug, Clone)]
pub(super) struct Teller<N, M> {
    pub(super) note: N,
    pub(super) mac_of: M,
    pub(super) original: Original,
}

impl<N: Fn(Sighting), M: Fn(IpAddr) -> Option<MacAddr>> Teller<N, M> {
    /// Tells what a connection from `source` to `destination` said. Silent if the device is gone from the table of
    /// those seen, for then it has sent nothing for long, or if nobody knows where the connection was going.
    pub(super) fn tell(
        &self,
        source: Ipv4Addr,
        destination: Option<SocketAddrV4>,
        protocol: Protocol,
        name: Option<DeviceText>,
        verdict: Verdict,
    ) {
        let ip = IpAddr::V4(source);
        let (Some(device), Some(to)) = ((self.mac_of)(ip), destination) else { return };
        let destination = Destination::Ip(IpAddr::V4(*to.ip()));
        let attempt = Attempt { protocol, destination, port: Some(to.port()), name, verdict };
        // The frames were counted as they came.
        (self.note)(Sighting { device, ip: Some(ip), attempt, bytes: 0 });
    }
}
