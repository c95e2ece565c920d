//! `camlock demo`: two simulated cameras, the gateway, and lines to paste.

use std::fmt::Write;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use secrecy::ExposeSecret;
use tokio::time::{MissedTickBehavior, interval};

use super::{Exit, StopSignals, block_on, check, output};
use crate::app::config;
use crate::app::gateway::Gateway;
use crate::app::simulator::{self, Audio, ClipName, Simulator, Source};
use crate::hub::status::Health;
use crate::ops::systemd::Sockets;
use crate::ops::telemetry;
use crate::trust::auth;

const USER: &str = "viewer";
const STREAMS: [&str; 3] = ["door/main", "yard/main", "yard/sub"];

/// Options of `demo`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print one JSON object in place of the text.
    #[arg(long)]
    json: bool,
    /// Port of the RTSPS listener.
    #[arg(long, default_value_t = 8322)]
    port: u16,
    /// Port of the admin listener.
    #[arg(long, default_value_t = 9322)]
    admin_port: u16,
    /// Fail if a port is taken, in place of choosing another.
    #[arg(long)]
    fixed_ports: bool,
}

pub(super) fn run(options: &Options) -> Exit {
    telemetry::install(telemetry::Settings {
        format: telemetry::Format::Text,
        level: telemetry::Level::Warn,
    });
    let done = Workshop::new().and_then(|workshop| {
        let prepared = Prepared::new(options)?;
        Ok(block_on(async {
            // Heard from the first moment on, so that the workshop never stays behind.
            let mut stop = match StopSignals::new() {
                Ok(stop) => stop,
                Err(exit) => return exit,
            };
            let started = tokio::select! {
                biased;
                () = stop.next() => return Exit::Done,
                started = start(&prepared, &workshop) => started,
            };
            let played = match started {
                Ok(demo) => play(options, &prepared, demo, &mut stop).await,
                Err(why) => Err(why),
            };
            match played {
                Ok(()) => Exit::Done,
                Err(why) => {
                    output::error(&why);
                    Exit::Failed
                }
            }
        }))
    });
    done.unwrap_or_else(|why| {
        output::error(&why);
        Exit::Failed
    })
}

/// A folder of this run for CA and certificate; its drop takes it away.
struct Workshop(PathBuf);

impl Workshop {
    fn new() -> Result<Self, String> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = std::env::temp_dir().join(format!("camlock-demo-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // It is in the system's folder for such things; a failure is the system's to clean up.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Ports and secrets of this run.
struct Prepared {
    port: u16,
    admin_port: u16,
    notes: Vec<String>,
    password: String,
    token: String,
    stored: [String; 2],
}

impl Prepared {
    fn new(options: &Options) -> Result<Self, String> {
        let mut notes = Vec::new();
        let port = free_port(options.port, options.fixed_ports, &mut notes)?;
        let admin_port = free_port(options.admin_port, options.fixed_ports, &mut notes)?;
        let (password, stored) = auth::generate_secret(USER);
        let (token, _) = auth::generate_secret("admin");
        Ok(Self {
            port,
            admin_port,
            notes,
            password: password.expose_secret().to_owned(),
            token: token.expose_secret().to_owned(),
            stored: [stored.md5_hex().to_owned(), stored.sha256_hex().to_owned()],
        })
    }

    /// The demo runs what an operator would write: a configuration file's text.
    fn config(&self, state: &Path, cameras: &[SocketAddr]) -> Result<String, String> {
        let [door, yard] = cameras else {
            return Err("the simulator did not start two cameras".to_owned());
        };
        let [md5, sha256] = &self.stored;
        Ok(format!(
            r#"
[gateway]
state_dir = {state:?}
names = ["localhost", "127.0.0.1", "::1"]
[rtsp]
listen = ["127.0.0.1:{port}"]
[admin]
listen = "127.0.0.1:{admin}"
token = "{token}"
[[camera]]
name = "door"
address = "{door}"
[[camera.profile]]
name = "main"
path = "/main"
[[camera]]
name = "yard"
address = "{yard}"
[[camera.profile]]
name = "main"
path = "/main"
[[camera.profile]]
name = "sub"
path = "/sub"
[[user]]
name = "{USER}"
secret_ha1 = ["{md5}", "{sha256}"]
[[user.grant]]
streams = "*"
may = ["view", "listen"]
"#,
            port = self.port,
            admin = self.admin_port,
            token = self.token,
        ))
    }
}

/// `wanted` if nobody has it, else any, with a note.
fn free_port(wanted: u16, fixed: bool, notes: &mut Vec<String>) -> Result<u16, String> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)) {
        Ok(_) => Ok(wanted),
        Err(error) if fixed => Err(format!(
            "port {wanted} cannot be used: {error}; give another with --port or --admin-port"
        )),
        Err(error) => {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|listener| listener.local_addr())
                .map_err(|error| format!("no free port: {error}"))?
                .port();
            notes.push(format!("port {wanted} cannot be used ({error}); took {port}"));
            Ok(port)
        }
    }
}

/// Cameras and gateway at work.
struct Demo {
    gateway: Gateway,
    _simulator: Simulator,
}

async fn start(prepared: &Prepared, workshop: &Workshop) -> Result<Demo, String> {
    let simulator = Simulator::start(cameras()).map_err(|error| error.to_string())?;
    let text = prepared.config(&workshop.0, &simulator.addresses())?;
    let loaded =
        config::load("demo", &text, check::surroundings()).map_err(|faults| faults.to_string())?;
    let gateway = Gateway::start(loaded.settings, Sockets::default())
        .await
        .map_err(|error| error.to_string())?;
    wait_for_pictures(&gateway).await;
    Ok(Demo { gateway, _simulator: simulator })
}

async fn play(
    options: &Options,
    prepared: &Prepared,
    demo: Demo,
    stop: &mut StopSignals,
) -> Result<(), String> {
    let Demo { gateway, _simulator } = demo;
    let ca = gateway.ca().ok_or("the gateway made no CA")?;
    if options.json {
        output::line(&json(prepared, &ca));
        stop.next().await;
    } else {
        for note in &prepared.notes {
            output::line(note);
        }
        output::line(&text_for_people(prepared, &ca));
        tokio::select! {
            () = stop.next() => output::line(""),
            () = show_status(&gateway) => {}
        }
    }
    stop.stop(gateway).await;
    Ok(())
}

fn cameras() -> simulator::Settings {
    let clip = |path: &str, clip, audio| simulator::ProfileSettings {
        path: path.to_owned(),
        source: Source::Clip(clip),
        audio,
    };
    let camera = |profiles| simulator::CameraSettings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        login: simulator::Login::None,
        profiles,
    };
    simulator::Settings {
        cameras: vec![
            camera(vec![clip("/main", ClipName::Door, Audio::Aac)]),
            camera(vec![
                clip("/main", ClipName::Yard, Audio::Pcma),
                clip("/sub", ClipName::YardSub, Audio::None),
            ]),
        ],
    }
}

/// So that the first line pasted plays at once; a camera that does not come is shown in the status line.
async fn wait_for_pictures(gateway: &Gateway) {
    let mut health = gateway.board().watch();
    let all = health.wait_for(|all| {
        all.values().filter(|health| **health == Health::Playing).count() == STREAMS.len()
    });
    drop(tokio::time::timeout(Duration::from_millis(1500), all).await);
}

fn url(prepared: &Prepared, stream: &str) -> String {
    format!("rtsps://127.0.0.1:{}/{stream}", prepared.port)
}

fn json(prepared: &Prepared, ca: &Path) -> String {
    serde_json::json!({
        "rtsps": STREAMS.map(|stream| url(prepared, stream)),
        "user": USER,
        "password": prepared.password,
        "ca": ca,
        "admin": { "url": format!("http://127.0.0.1:{}", prepared.admin_port), "token": prepared.token },
    })
    .to_string()
}

fn text_for_people(prepared: &Prepared, ca: &Path) -> String {
    let (ca, password) = (ca.display(), &prepared.password);
    let with_login = |stream| {
        url(prepared, stream).replacen("rtsps://", &format!("rtsps://{USER}:{password}@"), 1)
    };
    let mut text = String::from("Two simulated cameras behind the gateway:\n\n");
    for stream in STREAMS {
        // Writing into a String does not fail.
        writeln!(text, "  {}", url(prepared, stream)).unwrap_or_default();
    }
    write!(
        text,
        "\n  user      {USER}\n  password  {password}\n  CA        {ca}\n  admin     http://127.0.0.1:{admin}  (token {token})\n\
         \nffplay and ffmpeg 8 or newer (they verify the gateway):\n\n  ffplay -rtsp_transport tcp -tls_verify 1 -ca_file {ca} {main}\n\
         \nffplay and ffmpeg before 8 (they cannot verify):\n\n  ffplay -rtsp_transport tcp {sub}\n\
         \nGStreamer (verifies; needs Debian's python3-gi and GStreamer plugins):\n\n  /usr/bin/python3 docs/clients/play_gst.py --ca {ca} --user {USER} --password {password} {yard}\n\
         \nCtrl-C ends it.",
        admin = prepared.admin_port,
        token = prepared.token,
        main = with_login("door/main"),
        sub = with_login("yard/sub"),
        yard = url(prepared, "yard/main"),
    )
    .unwrap_or_default();
    text
}

/// A live line on a terminal; a line now and then elsewhere.
async fn show_status(gateway: &Gateway) {
    let terminal = std::io::stdout().is_terminal();
    let pause = if terminal { Duration::from_secs(1) } else { Duration::from_secs(10) };
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = 0;
    loop {
        ticks.tick().await;
        let health = gateway.board().watch();
        let playing = health.borrow().values().filter(|health| **health == Health::Playing).count();
        let counted = &gateway.metrics().rtsp_server;
        let readers: i64 = STREAMS.iter().map(|stream| counted.readers_of(stream)).sum();
        let sent_now: u64 = STREAMS.iter().map(|stream| counted.bytes_of(stream)).sum();
        let bits = sent_now.saturating_sub(sent).saturating_mul(8) / pause.as_secs().max(1);
        sent = sent_now;
        let line = format!(
            "{playing} of {} streams play, {} readers, {}.{:02} Mbit/s to readers",
            STREAMS.len(),
            readers,
            bits / 1_000_000,
            bits % 1_000_000 / 10_000
        );
        if terminal { output::status(&line) } else { output::line(&line) }
    }
}
