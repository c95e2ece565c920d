//! Where the segment's things are. Defaults are what the package installs; tests use others.

use std::path::PathBuf;

/// The bridge that the camera interfaces are ports of.
pub const BRIDGE: &str = "camseg0";
/// The bridge port of the canary.
pub const CANARY_PORT: &str = "camcanary0";
/// The TCP port of the sink on the gateway's segment address; reached by redirection only.
pub const SINK_PORT: u16 = 1;

/// Names and paths of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The network namespace's name: pinned as `/run/netns/NAME`.
    pub namespace: String,
    /// The root-owned segment file.
    pub file: PathBuf,
    /// The service's sockets: `door.sock`, `news.sock`, `control.sock`.
    pub run_dir: PathBuf,
    /// The ledger (`ledger/`), its key (`ledger.key`) and the public half (`ledger.pub`).
    pub state_dir: PathBuf,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            namespace: "camlock".to_owned(),
            file: PathBuf::from("/etc/camlock/segment.toml"),
            run_dir: PathBuf::from("/run/camlock-segment"),
            state_dir: PathBuf::from("/var/lib/camlock-segment"),
        }
    }
}

impl Place {
    /// The door's name in the service's directory.
    pub const DOOR: &str = "door.sock";
    /// Likewise where the news is told.
    pub const NEWS: &str = "news.sock";

    /// The file that pins the namespace.
    pub fn pin(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.namespace)
    }

    /// Where the gateway asks for a connection to a camera.
    pub fn door(&self) -> PathBuf {
        self.run_dir.join(Self::DOOR)
    }

    /// Where the gateway hears the news.
    pub fn news(&self) -> PathBuf {
        self.run_dir.join(Self::NEWS)
    }

    /// Where root asks the service to write the ledger now, or to take a canary's result.
    pub fn control(&self) -> PathBuf {
        self.run_dir.join("control.sock")
    }

    /// The ledger's directory.
    pub fn ledger(&self) -> PathBuf {
        self.state_dir.join("ledger")
    }

    /// A copy of the ledger's newest checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.state_dir.join("checkpoint.json")
    }

    /// The private key that signs checkpoints.
    pub fn ledger_key(&self) -> PathBuf {
        self.state_dir.join("ledger.key")
    }

    /// Its public half.
    pub fn ledger_public_key(&self) -> PathBuf {
        self.state_dir.join("ledger.pub")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_these() {
        let place = Place::default();
        let paths = [
            place.pin(),
            place.file.clone(),
            place.door(),
            place.news(),
            place.control(),
            place.ledger(),
            place.checkpoint(),
            place.ledger_key(),
            place.ledger_public_key(),
        ];
        let paths = paths.map(|path| path.display().to_string()).join("\n");
        assert_surface!("segment-files", format!("{BRIDGE}\n{CANARY_PORT}\n{paths}"));
    }
}
