//! `cargo bench --bench latency`: what the gateway adds to a picture's way, and how soon a new viewer sees one.
//!
//! 20 simulated cameras of 4 Mbit/s, 25 pictures a second, key frames staggered; 10 readers each, TLS 1.3, all
//! decrypting. Cameras and readers share one process, so one clock (`CLOCK_MONOTONIC`) stamps both: the camera just
//! before it writes a unit, the reader when it has the unit's last byte decrypted. The gateway is a process of its own.
//!
//! Then joins, one after the other, while all play: from the TCP connect over the handshake (ECDSA P-256), the login and
//! DESCRIBE, SETUP and PLAY, to the last byte of the first picture, which is a random access point.
//!
//! Then what it costs to send units whole, for a camera that spreads a key frame over 16 ms: see `paced`.
//!
//! `LATENCY_CAMERAS` (20), `LATENCY_READERS` (10 for each camera), `LATENCY_SECONDS` (20) and `LATENCY_JOINS` (200)
//! change the load.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod paced;
#[path = "../shared/mod.rs"]
mod shared;
mod units;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camlock::app::simulator::{self, Audio, PatternSettings, Simulator, Source};
use shared::decrypted::Frames;
use shared::figures::{self, setting};
use shared::gateway::{Cameras, Stand};
use shared::{Result, reader};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// When each unit was sent, by what is in it.
type Stamps = Arc<Mutex<HashMap<u64, Instant>>>;

#[derive(Debug, serde::Serialize)]
struct Figures {
    cameras: usize,
    readers: usize,
    added_ms: Percentiles,
    first_picture_ms: Percentiles,
    /// Key frames that the camera sends over 16 ms: first packet sent to first packet there, last to last.
    whole_units: Forwarding,
    /// The same through a relay that passes on each packet.
    packets: Forwarding,
}

#[derive(Debug, serde::Serialize)]
struct Forwarding {
    first_packet_ms: Percentiles,
    last_packet_ms: Percentiles,
}

#[derive(Debug, serde::Serialize)]
struct Percentiles {
    samples: usize,
    p50: f64,
    p99: f64,
    p999: f64,
    most: f64,
}

fn main() -> Result<()> {
    let cameras = setting("LATENCY_CAMERAS", 20);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(measure(cameras))?;
    println!("latency: {} cameras, {} readers; milliseconds\n", figures.cameras, figures.readers);
    println!("| | samples | p50 | p99 | p99.9 | most |");
    println!("|---|---|---|---|---|---|");
    for (name, p) in [
        ("added to a picture's way", &figures.added_ms),
        ("connect to first picture", &figures.first_picture_ms),
        ("paced key frame, gateway: first packet", &figures.whole_units.first_packet_ms),
        ("paced key frame, packet relay: first packet", &figures.packets.first_packet_ms),
        ("paced key frame, gateway: last packet", &figures.whole_units.last_packet_ms),
        ("paced key frame, packet relay: last packet", &figures.packets.last_packet_ms),
    ] {
        println!(
            "| {name} | {} | {:.2} | {:.2} | {:.2} | {:.2} |",
            p.samples, p.p50, p.p99, p.p999, p.most
        );
    }
    figures::write_json("latency", &figures)
}

async fn measure(cameras: usize) -> Result<Figures> {
    let per_camera = setting("LATENCY_READERS", 10);
    let (simulators, stamps) = start_cameras(cameras).await?;
    let urls = simulators
        .iter()
        .flat_map(Simulator::addresses)
        .map(|at| format!("rtsp://{at}/main"))
        .collect();
    let stand = tokio::task::block_in_place(|| {
        let stand = Stand::with(Cameras::elsewhere(urls))?;
        stand.wait_for(cameras)?;
        Result::Ok(stand)
    })?;
    let connector = reader::connector(&stand.ca()).await?;

    let mut readers = JoinSet::new();
    let mut starts = Instant::now() + Duration::from_secs(2);
    for number in 0..cameras * per_camera {
        let camera = number % cameras;
        let tls = reader::play_over_tls(&connector, stand.port, &format!("c{camera}/main")).await?;
        starts = starts.max(Instant::now() + Duration::from_secs(2));
        let sent = stamps.get(camera).map(Arc::clone).ok_or("no camera")?;
        let until = setting("LATENCY_SECONDS", 20);
        readers.spawn(watch(Frames::new(tls), sent, starts, Duration::from_secs(until)));
    }
    let (mut added, mut playing) = (Vec::new(), JoinSet::new());
    let window =
        tokio::time::sleep_until(starts + Duration::from_secs(setting("LATENCY_SECONDS", 20)));
    window.await;
    while let Some(watched) = readers.join_next().await {
        let (late, mut frames) = watched??;
        added.extend(late);
        playing.spawn(async move { while units::next_unit(&mut frames).await.is_ok() {} });
    }

    let mut first = Vec::new();
    for number in 0..setting("LATENCY_JOINS", 200) {
        let started = Instant::now();
        let stream = format!("c{}/main", number % cameras);
        let tls = reader::play_over_tls(&connector, stand.port, &stream).await?;
        units::next_unit(&mut Frames::new(tls)).await?;
        first.push(started.elapsed());
    }
    drop((playing, stand, simulators));
    let (whole_units, packets) = paced_key_frames().await?;
    let readers = cameras * per_camera;
    Ok(Figures {
        cameras,
        readers,
        added_ms: percentiles(added),
        first_picture_ms: percentiles(first),
        whole_units,
        packets,
    })
}

/// One camera, once through the gateway and once through the relay, at the same time.
async fn paced_key_frames() -> Result<(Forwarding, Forwarding)> {
    let (simulators, _) = start_cameras(1).await?;
    let camera = simulators.iter().flat_map(Simulator::addresses).next().ok_or("no camera")?;
    let (before_gateway, sent_to_gateway) = paced::pacer(camera).await?;
    let (before_relay, sent_to_relay) = paced::pacer(camera).await?;
    let stand = tokio::task::block_in_place(|| {
        let cameras = Cameras::elsewhere(vec![format!("rtsp://{before_gateway}/main")]);
        let stand = Stand::with(cameras)?;
        stand.wait_for(1)?;
        Result::Ok(stand)
    })?;
    let connector = reader::connector(&stand.ca()).await?;
    let by_gateway = reader::play_over_tls(&connector, stand.port, "c0/main").await?;
    let relay_ca = stand.ca().with_file_name("relay.pem");
    let port = paced::relay(before_relay, &relay_ca).await?;
    let connector = reader::connector(&relay_ca).await?;
    let by_relay = reader::play_over_tls(&connector, port, "main").await?;
    let until = Instant::now() + Duration::from_secs(setting("LATENCY_SECONDS", 20));
    let (by_gateway, by_relay) = tokio::join!(
        tokio::spawn(paced::watch(Frames::new(by_gateway), sent_to_gateway, until)),
        tokio::spawn(paced::watch(Frames::new(by_relay), sent_to_relay, until)),
    );
    let forwarding = |late: Vec<(Duration, Duration)>| {
        let (first, last) = late.into_iter().unzip();
        Forwarding { first_packet_ms: percentiles(first), last_packet_ms: percentiles(last) }
    };
    Ok((forwarding(by_gateway??), forwarding(by_relay??)))
}

/// Cameras whose key frames do not fall together.
async fn start_cameras(count: usize) -> Result<(Vec<Simulator>, Vec<Stamps>)> {
    let (mut simulators, mut stamps) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let pattern = PatternSettings { bit_rate: 4_000_000, ..PatternSettings::default() };
        let profile = simulator::ProfileSettings {
            path: "/main".to_owned(),
            source: Source::Pattern(pattern),
            audio: Audio::None,
        };
        let camera = simulator::CameraSettings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            login: simulator::Login::None,
            profiles: vec![profile],
        };
        let simulator = Simulator::start(simulator::Settings { cameras: vec![camera] })?;
        let mut sent = simulator.cameras().first().ok_or("no camera")?.watch_sent(256);
        let known = Stamps::default();
        let to = Arc::clone(&known);
        tokio::spawn(async move {
            while let Some(sent) = sent.recv().await {
                to.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(units::content_of(&sent.bytes), sent.at);
            }
        });
        simulators.push(simulator);
        stamps.push(known);
        tokio::time::sleep(Duration::from_millis(1000) / u32::try_from(count)?).await;
    }
    Ok((simulators, stamps))
}

/// What was added to each unit that came within the window.
async fn watch(
    mut frames: Frames,
    sent: Stamps,
    from: Instant,
    window: Duration,
) -> Result<(Vec<Duration>, Frames)> {
    let mut arrived = Vec::new();
    loop {
        let (content, _) = units::next_unit(&mut frames).await?;
        let now = Instant::now();
        if now > from + window {
            break;
        }
        if now >= from {
            arrived.push((content, now));
        }
    }
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
    let late = arrived
        .into_iter()
        .map(|(content, at)| {
            let sent = sent.get(&content).ok_or("a reader got a unit that no camera sent")?;
            Ok(at.saturating_duration_since(*sent))
        })
        .collect::<Result<_>>()?;
    Ok((late, frames))
}

fn percentiles(mut samples: Vec<Duration>) -> Percentiles {
    samples.sort_unstable();
    let at = |share: usize| {
        let index = (samples.len() * share / 1000).min(samples.len().saturating_sub(1));
        samples.get(index).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1000.0)
    };
    Percentiles {
        samples: samples.len(),
        p50: at(500),
        p99: at(990),
        p999: at(999),
        most: at(1000),
    }
}
