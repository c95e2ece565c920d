//! The camera network: which addresses are cameras, and the one door to them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::ingest::segment::canary_policy::CanaryPolicy;
use crate::ingest::segment::dial_client::{self, NoDoor};
use crate::ops::limits;
use crate::segment::Place;

/// A camera of the checked list: its name, and its address: an IP literal and port. Only [`Segment`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CameraAddr {
    name: Arc<str>,
    address: SocketAddr,
}

impl CameraAddr {
    /// The camera's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The socket address.
    pub fn get(&self) -> SocketAddr {
        self.address
    }
}

/// Where the cameras are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
    /// In the network of this process, for development. Said loudly.
    #[default]
    Own,
    /// In a segment of their own; its service, which has its sockets in this directory, connects to them.
    Remote {
        /// The directory.
        run_dir: PathBuf,
    },
}

impl Mode {
    /// As operators see it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Own => "none",
            Self::Remote { .. } => "namespace",
        }
    }
}

/// Which cameras there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Where they are.
    pub mode: Mode,
    /// What follows from what the canary found; without a segment there is none.
    pub canary: CanaryPolicy,
    /// Camera name → IP literal and port.
    pub cameras: BTreeMap<String, SocketAddr>,
}

/// The checked address list and the dialer.
#[derive(Debug)]
pub struct Segment {
    mode: Mode,
    cameras: BTreeMap<String, CameraAddr>,
}

impl Segment {
    /// Checks the list. Says once that cameras are not kept in a network of their own.
    pub fn new(settings: Settings) -> Result<Self, BadAddress> {
        let mut cameras = BTreeMap::new();
        for (camera, address) in settings.cameras {
            match check(address) {
                Ok(address) => {
                    let name = Arc::from(camera.as_str());
                    cameras.insert(camera, CameraAddr { name, address })
                }
                Err(reason) => return Err(BadAddress { camera, address, reason }),
            };
        }
        match &settings.mode {
            Mode::Own => tracing::warn!(
                "cameras share the network of this machine (segment mode `none`): they are not isolated; only media that passes this gateway is checked"
            ),
            Mode::Remote { run_dir } => {
                tracing::info!(run_dir = %run_dir.display(), "cameras are on their own segment");
            }
        }
        Ok(Self { mode: settings.mode, cameras })
    }

    /// The address of a configured camera.
    pub fn address(&self, camera: &str) -> Option<CameraAddr> {
        self.cameras.get(camera).cloned()
    }

    /// Connects to a camera, and to nothing else ever: within [`limits::CAMERA_CONNECT`], or
    /// [`limits::SEGMENT_ANSWER`] if the segment's service is asked.
    pub async fn dial(&self, camera: &CameraAddr) -> Result<TcpStream, NotDialled> {
        match &self.mode {
            Mode::Own => {
                connect(camera).await.map_err(|error| NotDialled::Unreachable(error.kind()))
            }
            Mode::Remote { run_dir } => {
                let asked = dial_client::dial(&run_dir.join(Place::DOOR), camera).await;
                asked.map_err(NotDialled::Segment)
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "dials a checked address only")]
async fn connect(camera: &CameraAddr) -> io::Result<TcpStream> {
    let connect = TcpStream::connect(camera.get());
    let stream = tokio::time::timeout(limits::CAMERA_CONNECT, connect)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// There is no connection to a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDialled {
    /// The camera cannot be reached from this machine.
    Unreachable(io::ErrorKind),
    /// The segment's service gave none.
    Segment(NoDoor),
}

/// An address that no camera has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("camera {camera}: {address} {reason}")]
pub struct BadAddress {
    /// The camera it was configured for.
    pub camera: String,
    /// The address.
    pub address: SocketAddr,
    /// What is wrong with it.
    pub reason: NotACamera,
}

/// Why an address cannot be a camera's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACamera {
    /// `0.0.0.0/8` or `::`.
    #[error("is not a host address")]
    Unspecified,
    /// A group address.
    #[error("is a multicast address")]
    Multicast,
    /// `255.255.255.255`.
    #[error("is the broadcast address")]
    Broadcast,
    /// Port 0.
    #[error("has no port")]
    NoPort,
}

/// Whether an address can be one camera's; an IPv4 address in IPv6 clothes is taken for what it is.
/// Configuration calls it too, to name the line.
pub fn check(address: SocketAddr) -> Result<SocketAddr, NotACamera> {
    let canonical = match address {
        SocketAddr::V4(_) => address,
        // Keeps the scope of a link-local address.
        SocketAddr::V6(v6) => match v6.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::from((ip, v6.port())),
            IpAddr::V6(_) => address,
        },
    };
    let ip = canonical.ip();
    if ip.is_multicast() {
        return Err(NotACamera::Multicast);
    }
    match ip {
        IpAddr::V4(ip) if ip.is_broadcast() => Err(NotACamera::Broadcast),
        IpAddr::V4(ip) if ip.octets().first() == Some(&0) => Err(NotACamera::Unspecified),
        IpAddr::V6(ip) if ip.is_unspecified() => Err(NotACamera::Unspecified),
        IpAddr::V4(_) | IpAddr::V6(_) if canonical.port() == 0 => Err(NotACamera::NoPort),
        IpAddr::V4(_) | IpAddr::V6(_) => Ok(canonical),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn settings(address: &str) -> Settings {
        let cameras = [("door".to_owned(), address.parse().unwrap())].into();
        Settings { cameras, ..Settings::default() }
    }

    #[test]
    fn only_addresses_of_one_host_are_taken() {
        for (address, reason) in [
            ("0.0.0.0:554", NotACamera::Unspecified),
            ("0.1.2.3:554", NotACamera::Unspecified),
            ("[::]:554", NotACamera::Unspecified),
            ("[::ffff:0.0.0.0]:554", NotACamera::Unspecified),
            ("224.0.0.1:554", NotACamera::Multicast),
            ("[ff02::1]:554", NotACamera::Multicast),
            ("[::ffff:239.1.1.1]:554", NotACamera::Multicast),
            ("255.255.255.255:554", NotACamera::Broadcast),
            ("[::ffff:255.255.255.255]:554", NotACamera::Broadcast),
            ("192.0.2.1:0", NotACamera::NoPort),
        ] {
            assert_eq!(Segment::new(settings(address)).unwrap_err().reason, reason, "{address}");
        }
        for address in ["192.0.2.1:554", "127.0.0.1:8554", "[fe80::1%2]:554", "[2001:db8::1]:554"] {
            let segment = Segment::new(settings(address)).unwrap();
            assert_eq!(segment.address("door").unwrap().get(), address.parse().unwrap());
            assert_eq!(segment.address("yard"), None);
        }
        let mapped = Segment::new(settings("[::ffff:192.0.2.1]:554")).unwrap();
        assert_eq!(mapped.address("door").unwrap().get(), "192.0.2.1:554".parse().unwrap());
    }

    #[tokio::test]
    async fn it_dials_the_configured_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let segment = Segment::new(settings(&address.to_string())).unwrap();
        let stream = segment.dial(&segment.address("door").unwrap()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(stream.nodelay().unwrap());
    }
}
