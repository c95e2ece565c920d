//! Simulated cameras and the gateway, each a process.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::Result;
use super::child::Part;

/// The account of the readers.
pub const USER: &str = "bench";
/// Its password.
pub const PASSWORD: &str = "bench-only-on-loopback-0000";

/// What the cameras send.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub cameras: u16,
    pub kbit: u32,
    pub fps: u32,
    pub gop: u32,
}

/// Cameras and the gateway that pulls them.
pub struct Stand {
    pub gateway: Part,
    pub cameras: Part,
    /// Where clients connect.
    pub port: u16,
    folder: PathBuf,
}

impl Stand {
    /// Starts both; the streams are `c0/main`, `c1/main` and so on.
    pub fn start(load: Load) -> Result<Self> {
        let text = |number: u32| number.to_string();
        let mut cameras = Part::camlock(&[
            "simulate",
            "--silent",
            "--cameras",
            &text(load.cameras.into()),
            "--bitrate",
            &text(load.kbit),
            "--fps",
            &text(load.fps),
            "--gop",
            &text(load.gop),
        ])?;
        let urls = (0..load.cameras).map(|_| cameras.line()).collect::<Result<Vec<_>>>()?;
        let folder = std::env::temp_dir().join(format!("camlock-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let port = free_port()?;
        let file = folder.join("camlock.toml");
        std::fs::write(&file, config(&folder, port, &urls)?)?;
        let gateway = Part::camlock(&["run".as_ref(), "--config".as_ref(), file.as_os_str()])?;
        Ok(Self { gateway, cameras, port, folder })
    }

    /// The CA that readers trust; there as soon as the gateway listens.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        // In the system's folder for such things; a failure is the system's to clean up.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn config(folder: &Path, port: u16, urls: &[String]) -> Result<String> {
    let mut text = format!(
        "[gateway]\nstate_dir = {folder:?}\nnames = [\"localhost\"]\n[log]\nlevel = \"error\"\n[rtsp]\nlisten = [\"127.0.0.1:{port}\"]\n\
         [[user]]\nname = \"{USER}\"\nsecret = \"{PASSWORD}\"\n[[user.grant]]\nstreams = \"*\"\nmay = [\"view\", \"listen\"]\n"
    );
    for (number, url) in urls.iter().enumerate() {
        let address = url.trim_start_matches("rtsp://").trim_end_matches("/main");
        write!(
            text,
            "[[camera]]\nname = \"c{number}\"\naddress = \"{address}\"\n[[camera.profile]]\nname = \"main\"\npath = \"/main\"\n"
        )?;
    }
    Ok(text)
}

/// A port nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
