//! `camlock simulate`: cameras on loopback.

use std::net::{Ipv4Addr, SocketAddr};

use clap::{Args, ValueEnum};

use super::{Exit, StopSignals, block_on, output};
use crate::app::simulator::{
    self, Audio, ClipName, PatternCodec, PatternSettings, Simulator, Source,
};
use crate::ops::telemetry;
use crate::wire::digest::Algorithm;

/// Options of `simulate`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Number of cameras.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    cameras: u16,
    /// Port of the first camera; the others follow. 0: any free ports.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Coding of the pictures.
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// Send pictures made at run time, at this bit rate, kbit/s. Without it, --fps and --gop: an embedded clip.
    #[arg(long, value_name = "KBIT")]
    bitrate: Option<u32>,
    /// Pictures a second.
    #[arg(long)]
    fps: Option<u32>,
    /// Pictures from one key picture to the next.
    #[arg(long)]
    gop: Option<u32>,
    /// What the cameras ask for.
    #[arg(long, value_enum, default_value_t = LoginKind::None)]
    login: LoginKind,
    /// Account, with --login.
    #[arg(long, default_value = "admin")]
    user: String,
    /// Password, with --login.
    #[arg(long, default_value = "simulated")]
    password: String,
    /// No sound.
    #[arg(long)]
    silent: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Codec {
    H264,
    H265,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LoginKind {
    None,
    Basic,
    Digest,
    DigestSha256,
}

pub(super) fn run(options: &Options) -> Exit {
    telemetry::install(telemetry::Settings {
        format: telemetry::Format::Text,
        level: telemetry::Level::Warn,
    });
    block_on(async {
        let simulator = match Simulator::start(settings(options)) {
            Ok(simulator) => simulator,
            Err(error) => {
                output::error(&error.to_string());
                return Exit::Failed;
            }
        };
        for address in simulator.addresses() {
            output::line(&format!("rtsp://{address}/main"));
        }
        match StopSignals::new() {
            Ok(mut stop) => {
                stop.next().await;
                Exit::Done
            }
            Err(exit) => exit,
        }
    })
}

fn settings(options: &Options) -> simulator::Settings {
    let camera = |number: u16| {
        let port = if options.port == 0 { 0 } else { options.port.saturating_add(number) };
        simulator::CameraSettings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            login: login(options),
            profiles: vec![profile(options)],
        }
    };
    simulator::Settings { cameras: (0..options.cameras).map(camera).collect() }
}

fn profile(options: &Options) -> simulator::ProfileSettings {
    let made = options.bitrate.is_some() || options.fps.is_some() || options.gop.is_some();
    let source = match (options.codec, made) {
        (Codec::H264, false) => Source::Clip(ClipName::Door),
        (Codec::H265, false) => Source::Clip(ClipName::Yard),
        (codec, true) => Source::Pattern(pattern(options, codec)),
    };
    let audio = match (options.codec, options.silent) {
        (_, true) => Audio::None,
        (Codec::H264, false) => Audio::Aac,
        (Codec::H265, false) => Audio::Pcma,
    };
    simulator::ProfileSettings { path: "/main".to_owned(), source, audio }
}

fn pattern(options: &Options, codec: Codec) -> PatternSettings {
    let defaults = PatternSettings::default();
    PatternSettings {
        codec: match codec {
            Codec::H264 => PatternCodec::H264,
            Codec::H265 => PatternCodec::H265,
        },
        fps: options.fps.unwrap_or(defaults.fps),
        gop: options.gop.unwrap_or(defaults.gop),
        bit_rate: options.bitrate.map_or(defaults.bit_rate, |kbit| kbit.saturating_mul(1000)),
        ..defaults
    }
}

fn login(options: &Options) -> simulator::Login {
    let account = || simulator::Account {
        user: options.user.clone(),
        password: options.password.clone().into(),
    };
    match options.login {
        LoginKind::None => simulator::Login::None,
        LoginKind::Basic => simulator::Login::Basic(account()),
        LoginKind::Digest => simulator::Login::Digest(Algorithm::Md5, account()),
        LoginKind::DigestSha256 => simulator::Login::Digest(Algorithm::Sha256, account()),
    }
}
