//! A camera made of embedded clips or of pictures made at run time, with its own small RTSP server on
//! purpose: for `demo`, `simulate`, tests and benches. It listens on loopback only.
//!
//! What does *not* belong here: anything the gateway itself needs. The gateway meets this camera as it meets
//! every other one, over a socket.

mod camera;
mod clips;
mod connection;
mod description;
mod login;
mod pattern;
mod player;
mod source;

use std::collections::HashSet;
use std::net::SocketAddr;

pub use camera::{Camera, Counts, Sent};
pub use clips::ClipName;
pub use login::{Account, Login};
pub use pattern::{PatternCodec, PatternSettings};
pub use source::{Feed, Unit};

/// What to simulate.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The cameras.
    pub cameras: Vec<CameraSettings>,
}

/// One camera.
#[derive(Debug, Clone)]
pub struct CameraSettings {
    /// Loopback address; with port 0 the system picks one.
    pub listen: SocketAddr,
    /// What login it asks for.
    pub login: Login,
    /// What it offers.
    pub profiles: Vec<ProfileSettings>,
}

/// One profile of a camera, `rtsp://address/path`.
#[derive(Debug, Clone)]
pub struct ProfileSettings {
    /// Path, for example `/main`.
    pub path: String,
    /// Pictures.
    pub source: Source,
    /// Sound.
    pub audio: Audio,
}

/// What pictures a profile sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A clip of the binary.
    Clip(ClipName),
    /// Pictures made at run time.
    Pattern(PatternSettings),
}

/// What sound a profile sends: a beep each second, together with the flash block of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audio {
    /// None.
    None,
    /// AAC-LC, 48 kHz, mono.
    Aac,
    /// G.711 A-law, 8 kHz, mono.
    Pcma,
}

/// Running cameras. Dropping it ends them, their connections included.
#[derive(Debug)]
pub struct Simulator {
    cameras: Vec<Camera>,
}

impl Simulator {
    /// Starts all cameras; within a tokio runtime.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let cameras = settings.cameras.into_iter().map(Camera::new).collect::<Result<_, _>>()?;
        Ok(Self { cameras })
    }

    /// The cameras, in the order of the settings.
    pub fn cameras(&self) -> &[Camera] {
        &self.cameras
    }

    /// Where the cameras listen, in the order of the settings.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.cameras.iter().map(Camera::address).collect()
    }
}

impl CameraSettings {
    /// Checks address and paths; the sources are checked where they are opened.
    fn check(&self) -> Result<(), Error> {
        if !self.listen.ip().is_loopback() {
            return Err(Error::NotLoopback(self.listen));
        }
        let mut seen = HashSet::new();
        match self.profiles.iter().find(|p| !is_path(&p.path) || !seen.insert(&p.path)) {
            Some(bad) => Err(Error::Path(bad.path.clone())),
            None => Ok(()),
        }
    }
}

fn is_path(path: &str) -> bool {
    let clean = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_/".contains(&b);
    path.len() <= 65
        && !path.ends_with('/')
        && path.strip_prefix('/').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(clean))
}

/// Why a simulator does not start. All are the caller's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pattern setting outside its bounds.
    #[error("pattern {name} is {value}, but must be {low} to {high}")]
    Pattern {
        /// Which setting.
        name: &'static str,
        /// What was asked for.
        value: u32,
        /// Least allowed value.
        low: u32,
        /// Largest allowed value.
        high: u32,
    },
    /// The address is not a loopback address.
    #[error("the simulator listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A path that no client could ask for, or that two profiles of one camera share.
    #[error("profile path {0:?} must be `/` and 1 to 64 of a-z 0-9 - _ /, once for each camera")]
    Path(String),
}

#[cfg(test)]
mod tests;
