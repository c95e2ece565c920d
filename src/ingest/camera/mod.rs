//! Pulls cameras: one supervised session per profile, through the airlock, into the hub.
//!
//! What does *not* belong here: anything about clients. Ingest knows none of them.

pub mod airlock;
mod certificate_book;
mod depacketise;
mod dialer;
mod digest_book;
mod feed;
mod intake;
pub mod probe;
mod pull;
mod retime;
mod supervisor;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use airlock::{BasicPolicy, Login};
pub use certificate_book::{CertificateBook, Certificates};
pub use digest_book::DigestBook;

use crate::hub::status::Board;
use crate::hub::{CannotDeclare, Hub};
use crate::ingest::segment::Segment;
use crate::media::StreamName;
use crate::ops::metrics::Metrics;
use crate::trust::tls::client::Trust;

/// One camera. Its address stands in [`crate::ingest::segment::Settings`] under the same name.
#[derive(Debug, Clone)]
pub struct CameraSettings {
    /// Name; the first part of its streams' names.
    pub name: String,
    /// Account, if the camera wants one.
    pub login: Option<Login>,
    /// Whether the password may go out in the clear.
    pub basic: BasicPolicy,
    /// RTSP over TLS, and how the camera is known; `None`: plain RTSP.
    pub tls: Option<Trust>,
    /// Its streams.
    pub profiles: Vec<ProfileSettings>,
}

/// One stream of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileSettings {
    /// Name of the stream.
    pub stream: StreamName,
    /// Path and query of the request, beginning with `/`.
    pub path: String,
    /// When it is pulled.
    pub start: StartMode,
    /// Bytes of its ring in the hub; `None`: as the hub's settings say.
    pub ring_bytes: Option<usize>,
}

/// When a stream is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartMode {
    /// All the time.
    Always,
    /// While somebody reads it, and `linger` longer.
    OnDemand {
        /// Time that it goes on without readers.
        linger: Duration,
    },
}

/// What is remembered of cameras beyond their sessions. Clones share it.
#[derive(Debug, Clone)]
pub struct Books {
    /// Which offered Digest.
    pub digest: DigestBook,
    /// Which certificate each showed the first time.
    pub certificates: CertificateBook,
}

/// All cameras at work. Drop ends them at once; [`Cameras::shutdown`] says good-bye to them.
#[derive(Debug)]
pub struct Cameras {
    supervisors: supervisor::Supervisors,
}

impl Cameras {
    /// Declares all streams and begins to pull them. Must be called within a tokio runtime.
    pub fn start(
        cameras: Vec<CameraSettings>,
        segment: &Arc<Segment>,
        hub: &Hub,
        board: &Board,
        metrics: &Arc<Metrics>,
        books: &Books,
    ) -> Result<Self, CannotStart> {
        let supervisors =
            supervisor::Supervisors::start(cameras, segment, hub, board, metrics, books)?;
        Ok(Self { supervisors })
    }

    /// Ends all pulls, in parallel, each with TEARDOWN within [`crate::ops::limits::CAMERA_TEARDOWN`].
    pub async fn shutdown(self) {
        self.supervisors.shutdown().await;
    }
}

/// The settings do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotStart {
    /// The segment has no address for the camera.
    #[error("camera {0} has no address")]
    NoAddress(String),
    /// The stream's name begins with another camera's name.
    #[error("stream {0} does not belong to camera {1}")]
    Misnamed(StreamName, String),
    /// Address and path make no URL.
    #[error("stream {0}: the path makes no URL")]
    BadPath(StreamName),
    /// More than [`crate::ops::limits::CAMERAS`] or, of one camera, [`crate::ops::limits::PROFILES`].
    #[error("too many cameras or profiles")]
    TooMany,
    /// The hub does not take the stream.
    #[error("stream {0}: {1}")]
    Hub(StreamName, CannotDeclare),
}
