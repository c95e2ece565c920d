//! Simulated cameras and the gateway, each a process.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// The admin listener's token.
const TOKEN: &str = "bench-only-token-on-loopback-0000";

/// Simulated cameras.
pub struct Cameras {
    /// Their process, if it is not the bench's own.
    pub part: Option<Part>,
    /// `rtsp://ADDRESS/main` of each.
    pub urls: Vec<String>,
}

impl Cameras {
    pub fn start(load: Load) -> Result<Self> {
        let [cameras, kbit, fps, gop] = [load.cameras.into(), load.kbit, load.fps, load.gop]
            .map(|number: u32| number.to_string());
        let mut part = Part::camlock(&[
            "simulate",
            "--silent",
            "--cameras",
            &cameras,
            "--bitrate",
            &kbit,
            "--fps",
            &fps,
            "--gop",
            &gop,
        ])?;
        let urls = (0..load.cameras).map(|_| part.line()).collect::<Result<_>>()?;
        Ok(Self { part: Some(part), urls })
    }

    /// Cameras that somebody else runs.
    pub fn elsewhere(urls: Vec<String>) -> Self {
        Self { part: None, urls }
    }
}

/// Cameras and the gateway that pulls them.
pub struct Stand {
    pub gateway: Part,
    pub cameras: Cameras,
    /// Where clients connect.
    pub port: u16,
    admin: u16,
    folder: PathBuf,
}

impl Stand {
    /// Starts both; the streams are `c0/main`, `c1/main` and so on.
    pub fn start(load: Load) -> Result<Self> {
        Self::with(Cameras::start(load)?)
    }

    /// The gateway, for cameras that run.
    pub fn with(cameras: Cameras) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("camlock-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (port, admin) = (free_port()?, free_port()?);
        let file = folder.join("camlock.toml");
        std::fs::write(&file, config(&folder, port, admin, &cameras.urls)?)?;
        let gateway = Part::camlock(&["run".as_ref(), "--config".as_ref(), file.as_os_str()])?;
        Ok(Self { gateway, cameras, port, admin, folder })
    }

    /// The CA that readers trust; there as soon as the gateway listens.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Waits until `streams` of them play.
    pub fn wait_for(&self, streams: usize) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(180) {
            // Nobody may listen yet.
            let page = self.page("/readyz").unwrap_or_default();
            if page.matches("\"state\":\"playing\"").count() >= streams {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("not all cameras play after three minutes".into())
    }

    /// The sum of a metric over its labels, as the gateway says it now.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let page = self.page("/metrics")?;
        let mut sum = None;
        for line in page.lines() {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
            if let Some((_, value)) = rest.and_then(|rest| rest.rsplit_once(' ')) {
                sum = Some(sum.unwrap_or(0.0) + value.parse::<f64>()?);
            }
        }
        Ok(sum.ok_or("no such metric")?)
    }

    /// A page of the admin listener.
    pub fn page(&self, path: &str) -> Result<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.admin))?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        // In the system's folder for such things; a failure is the system's to clean up.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn config(folder: &Path, port: u16, admin: u16, urls: &[String]) -> Result<String> {
    let mut text = format!(
        "[gateway]\nstate_dir = {folder:?}\nnames = [\"localhost\"]\n[log]\nlevel = \"error\"\n[rtsp]\nlisten = [\"127.0.0.1:{port}\"]\n[admin]\nlisten = \"127.0.0.1:{admin}\"\ntoken = \"{TOKEN}\"\n\
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
