//! A simulated camera in a process of its own, whose pace its owner sets.

use std::net::{Ipv4Addr, SocketAddr};

use camlock::app::simulator::{
    self, Audio, Login, PatternSettings, ProfileSettings, Sent, Simulator, Source,
};
use tokio::sync::mpsc;

use super::gateway::{Cameras, Load};
use super::pace::{self, Publisher};
use super::{Result, child, decrypted};

/// Starts one, for the gateway to pull.
pub fn start(load: Load) -> Result<Cameras> {
    let arguments = [load.kbit, load.fps, load.gop].map(|number| number.to_string());
    let mut part = child::Part::role("camera", &arguments)?;
    let urls = vec![part.line()?];
    Ok(Cameras { part: Some(part), urls })
}

/// The role `camera`: KBIT FPS GOP. Says its URL, then is a [`pace::publish`]er.
pub fn role(arguments: &[String]) -> Result<()> {
    let [kbit, fps, gop] = arguments else { return Err("camera: KBIT FPS GOP".into()) };
    let pattern = PatternSettings {
        fps: fps.parse()?,
        gop: gop.parse()?,
        bit_rate: kbit.parse::<u32>()? * 1000,
        ..PatternSettings::default()
    };
    let profile = ProfileSettings {
        path: "/main".to_owned(),
        source: Source::Pattern(pattern),
        audio: Audio::None,
    };
    let camera = simulator::CameraSettings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        login: Login::None,
        profiles: vec![profile],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let simulator = runtime
        .block_on(async { Simulator::start(simulator::Settings { cameras: vec![camera] }) })?;
    let camera = simulator.cameras().first().ok_or("no camera")?;
    camera.grant(0);
    let sent = camera.watch_sent(8);
    child::say(&camera.url(0).ok_or("no profile")?)?;
    pace::publish(&runtime, pattern.fps, Granting { simulator, sent })
}

struct Granting {
    simulator: Simulator,
    sent: mpsc::Receiver<Sent>,
}

impl Publisher for Granting {
    async fn push(&mut self) -> Result<u64> {
        let camera = self.simulator.cameras().first().ok_or("no camera")?;
        camera.grant(camera.counts().units + 1);
        let sent = self.sent.recv().await.ok_or("the camera ended")?;
        Ok(media_bytes(&sent.bytes))
    }
}

/// Without the sender report that may stand before a unit.
fn media_bytes(frames: &[u8]) -> u64 {
    let media = decrypted::split(frames).filter(|(channel, _)| *channel == 0);
    media.map(|(_, packet)| 4 + packet.len() as u64).sum()
}
