//! Listening sockets that the service manager opened (sd_listen_fds(3)): no right to a low port is needed, and
//! while the process restarts, clients wait in the kernel and are not refused.

use std::fmt;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::SockRef;

/// The sockets that nobody took yet.
#[derive(Debug, Default)]
pub struct Sockets {
    given: Vec<(SocketAddr, TcpListener)>,
}

/// The service manager gives what the configuration does not ask for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSockets {
    /// No listening TCP socket.
    #[error(
        "socket {number} of the service manager is not a listening TCP socket: {why}; its .socket unit may have ListenStream= with addresses and ports only"
    )]
    Kind {
        /// Counted from 1, in the order of the unit.
        number: usize,
        /// What it is.
        why: String,
    },
    /// Addresses that no listener is configured for.
    #[error(
        "the service manager listens on {}, which rtsp.listen, rtsp.plain_listen and admin.listen do not name; make ListenStream= of the .socket unit and the configuration agree",
        Listed(.addresses)
    )]
    Unasked {
        /// Where.
        addresses: Vec<SocketAddr>,
    },
}

struct Listed<'a>(&'a [SocketAddr]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, address) in self.0.iter().enumerate() {
            write!(f, "{}{address}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Sockets {
    /// What this process was given, if anything. Once, and before a second thread runs: it takes the variables out
    /// of the environment.
    pub fn of_this_process() -> Result<Self, BadSockets> {
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).map(|place| {
            let bad = |why: String| BadSockets::Kind { number: place + 1, why };
            match passed.take_tcp_listener(place) {
                Ok(Some(socket)) => Ok(socket),
                Ok(None) => Err(bad("it is gone".to_owned())),
                Err(error) => Err(bad(error.to_string())),
            }
        });
        Self::new(sockets.collect::<Result<_, _>>()?)
    }

    fn new(sockets: Vec<TcpListener>) -> Result<Self, BadSockets> {
        let check = |(place, socket): (usize, TcpListener)| {
            let bad = |why: String| BadSockets::Kind { number: place + 1, why };
            let address = socket.local_addr().map_err(|error| bad(error.to_string()))?;
            match SockRef::from(&socket).is_listener() {
                Ok(true) => {}
                Ok(false) => return Err(bad("it is not listening".to_owned())),
                Err(error) => return Err(bad(error.to_string())),
            }
            socket.set_nonblocking(true).map_err(|error| bad(error.to_string()))?;
            Ok((address, socket))
        };
        let given = sockets.into_iter().enumerate().map(check).collect::<Result<_, _>>()?;
        Ok(Self { given })
    }

    /// The socket that listens at exactly this address, if one was given. It does not block.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.given.iter().position(|(at, _)| *at == address)?;
        Some(self.given.swap_remove(place).1)
    }

    /// Nothing may be left: clients would wait there for ever.
    pub fn finish(self) -> Result<(), BadSockets> {
        if self.given.is_empty() {
            return Ok(());
        }
        Err(BadSockets::Unasked { addresses: self.given.iter().map(|(at, _)| *at).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> (Sockets, SocketAddr, SocketAddr) {
        let open = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (a, b) = (open(), open());
        let at = (a.local_addr().unwrap(), b.local_addr().unwrap());
        (Sockets::new(vec![a, b]).unwrap(), at.0, at.1)
    }

    #[test]
    fn a_socket_is_given_to_its_address_once() {
        let (mut sockets, a, b) = two();
        assert_eq!(sockets.take(b).unwrap().local_addr().unwrap(), b);
        assert!(sockets.take(b).is_none());
        assert!(sockets.take(a).is_some());
        assert_eq!(sockets.finish(), Ok(()));
    }

    #[test]
    fn what_nobody_asked_for_is_named() {
        let (mut sockets, a, b) = two();
        let any: SocketAddr = format!("0.0.0.0:{}", a.port()).parse().unwrap();
        assert!(sockets.take(any).is_none(), "another address is another listener");
        assert!(sockets.take(a).is_some());
        let error = sockets.finish().unwrap_err();
        assert!(error.to_string().contains(&format!("listens on {b}, which")), "{error}");
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let bound =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        bound.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let error = Sockets::new(vec![bound.into()]).unwrap_err();
        assert!(
            error.to_string().contains("socket 1") && error.to_string().contains("not listening")
        );
    }
}
