//! The services' sockets, opened before the process gives up the rights to open them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::segment::{Plan, SINK_PORT};

/// DNS, UDP and TCP.
const DNS_PORT: u16 = 53;
/// NTP.
const NTP_PORT: u16 = 123;
/// Connections that wait in the kernel to be taken; each listener takes them as fast as they come.
const BACKLOG: i32 = 256;
/// Datagrams that wait in the kernel: a burst of a thousand questions while something else runs.
const RECEIVE_BYTES: usize = 256 * 1024;

/// Open sockets on the gateway's segment address, non-blocking. They belong to no runtime yet, so that the process
/// can drop its rights between opening and serving.
#[derive(Debug)]
pub struct Sockets {
    pub(super) dns: UdpSocket,
    pub(super) dns_tcp: TcpListener,
    pub(super) ntp: UdpSocket,
    pub(super) sink: TcpListener,
}

/// A service's socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the segment's {service} cannot use {address} ({transport}): {error}; {}", advice(.error))]
pub struct CannotOpen {
    /// Which service.
    pub service: &'static str,
    /// Where.
    pub address: SocketAddrV4,
    /// `TCP` or `UDP`.
    pub transport: &'static str,
    /// Why.
    pub error: io::Error,
}

impl Sockets {
    /// Opens all of them, or none.
    pub fn open(plan: &Plan) -> Result<Self, CannotOpen> {
        Self::open_at(plan.address, [DNS_PORT, DNS_PORT, NTP_PORT, SINK_PORT])
    }

    /// With other ports, for tests.
    pub(super) fn open_at(address: Ipv4Addr, ports: [u16; 4]) -> Result<Self, CannotOpen> {
        let [dns, dns_tcp, ntp, sink] = ports.map(|port| SocketAddrV4::new(address, port));
        Ok(Self {
            dns: open("DNS", dns, Type::DGRAM)?.into(),
            dns_tcp: open("DNS", dns_tcp, Type::STREAM)?.into(),
            ntp: open("NTP", ntp, Type::DGRAM)?.into(),
            sink: open("sink", sink, Type::STREAM)?.into(),
        })
    }
}

fn open(service: &'static str, address: SocketAddrV4, kind: Type) -> Result<Socket, CannotOpen> {
    let is_tcp = kind == Type::STREAM;
    let open = || {
        let protocol = if is_tcp { Protocol::TCP } else { Protocol::UDP };
        let socket = Socket::new(Domain::IPV4, kind, Some(protocol))?;
        socket.set_nonblocking(true)?;
        // A service that comes back gets its port. UDP does without: a second service must not share it.
        if is_tcp {
            socket.set_reuse_address(true)?;
        } else {
            socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        }
        socket.bind(&address.into())?;
        if is_tcp {
            socket.listen(BACKLOG)?;
        }
        Ok(socket)
    };
    let transport = if is_tcp { "TCP" } else { "UDP" };
    open().map_err(|error| CannotOpen { service, address, transport, error })
}

/// What to do about it.
#[allow(clippy::wildcard_enum_match_arm, reason = "an enum of the system's, which grows")]
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "end the other service that uses the port in this namespace",
        io::ErrorKind::AddrNotAvailable => {
            "the bridge does not have this address: run `camlock segment up` first"
        }
        io::ErrorKind::PermissionDenied => {
            "the service needs CAP_NET_BIND_SERVICE, which its unit grants"
        }
        _ => "see the system's message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_with_what_to_do() {
        let first = Sockets::open_at(Ipv4Addr::LOCALHOST, [0; 4]).unwrap();
        for (place, port) in [
            (0, first.dns.local_addr().unwrap().port()),
            (1, first.dns_tcp.local_addr().unwrap().port()),
            (2, first.ntp.local_addr().unwrap().port()),
            (3, first.sink.local_addr().unwrap().port()),
        ] {
            let mut ports = [0; 4];
            ports[place] = port;
            let error = Sockets::open_at(Ipv4Addr::LOCALHOST, ports).unwrap_err();
            let service = ["DNS", "DNS", "NTP", "sink"][place];
            let transport = ["UDP", "TCP", "UDP", "TCP"][place];
            let text = error.to_string();
            assert!(
                text.contains(&format!("{service} cannot use 127.0.0.1:{port} ({transport})")),
                "{text}"
            );
            assert!(text.ends_with("end the other service that uses the port in this namespace"));
        }
    }

    #[test]
    fn an_address_that_is_not_there_says_who_makes_it() {
        let absent = Ipv4Addr::new(192, 0, 2, 1);
        let text = Sockets::open_at(absent, [0; 4]).unwrap_err().to_string();
        assert!(text.contains("`camlock segment up`"), "{text}");
    }
}
