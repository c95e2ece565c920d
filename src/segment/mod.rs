//! The camera network: which addresses are cameras, and the one door to them.

use std::net::SocketAddr;

/// The address of a camera: an IP literal and port of the checked list. Only [`Segment`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CameraAddr(SocketAddr);

impl CameraAddr {
    /// The socket address.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// The checked address list and the dialer. Mode `none`: one namespace, for development, said loudly.
#[derive(Debug)]
pub struct Segment {}

impl Segment {
    /// The address of a configured camera.
    pub fn address(&self, camera: &str) -> Option<CameraAddr> {
        let _ = camera;
        todo!()
    }

    /// Connects to a camera within [`crate::limits::CAMERA_CONNECT`], and to nothing else ever.
    pub async fn dial(&self, camera: CameraAddr) -> std::io::Result<tokio::net::TcpStream> {
        let _ = camera;
        todo!()
    }
}
