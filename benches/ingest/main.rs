//! `cargo bench --bench ingest`: what cameras cost before anyone watches.
//!
//! N simulated cameras of 4 Mbit/s, 25 pictures a second, a key frame each second, at real pace. In turn, five
//! rounds:
//!
//! - the gateway: airlock, depacketisers, policy, hub; no reader;
//! - bare retina, with its own RTSP client: a process that pulls the same cameras and drops each access unit.
//!
//! Counted is the pulling process alone: user and system time, its share of the kernel's TCP included. The cameras run
//! in a process of their own. Figure: CPU-seconds for each Gbit of coded pictures. Connecting is not in the window.
//!
//! `INGEST_CAMERAS` (default 1,10,100,200), `INGEST_SECONDS` (window, 8) and `INGEST_KBIT` (4000) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../shared/mod.rs"]
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use retina::client::{PlayOptions, Session, SessionOptions, SetupOptions};
use retina::codec::CodecItem;
use shared::Result;
use shared::child::{self, Part};
use shared::figures::{self, ROUNDS, Spread, setting, spread};
use shared::gateway::{Cameras, Load, Stand};

#[derive(Debug, serde::Serialize)]
struct Row {
    cameras: u16,
    kbit: u32,
    window_seconds: u64,
    /// CPU-seconds for each Gbit.
    gateway: Spread,
    bare: Spread,
    /// Of each round.
    of_bare: Spread,
    /// Cores the gateway used.
    gateway_cores: Spread,
    /// Thousandths of a core for each camera.
    millicores_per_camera: Spread,
    /// Resident memory of the gateway for each camera, KiB, with the process's own.
    resident_kib_per_camera: Spread,
}

fn main() -> Result<()> {
    match child::role() {
        Some((role, urls)) if role == "retina" => return pull_all(&urls),
        Some((role, _)) => return Err(format!("no role {role}").into()),
        None => {}
    }
    let load = Load { cameras: 1, kbit: setting("INGEST_KBIT", 4000), fps: 25, gop: 25 };
    let window = setting("INGEST_SECONDS", 8);
    let cameras = setting("INGEST_CAMERAS", "1,10,100,200".to_owned());
    println!(
        "ingest: CPU-seconds for each Gbit of coded pictures, median of {ROUNDS} rounds (least to most)\n"
    );
    println!(
        "| cameras | gateway | bare retina | gateway / bare | gateway's cores | 1/1000 core a camera | KiB a camera |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for cameras in cameras.split(',') {
        let row = measure(Load { cameras: cameras.trim().parse()?, ..load }, window)?;
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.cameras,
            row.gateway,
            row.bare,
            row.of_bare,
            row.gateway_cores,
            row.millicores_per_camera,
            row.resident_kib_per_camera
        );
        rows.push(row);
    }
    figures::write_json("ingest", &rows)
}

/// What a window of the gateway, and one of bare retina, cost.
#[derive(Debug, Clone, Copy)]
struct Round {
    gateway_cpu: f64,
    resident_kib: f64,
    bare_cpu: f64,
    gbit: f64,
}

fn measure(load: Load, window_seconds: u64) -> Result<Row> {
    let window = Duration::from_secs(window_seconds);
    let rounds = (0..ROUNDS).map(|_| round(load, window)).collect::<Result<Vec<_>>>()?;
    let of =
        |figure: &dyn Fn(&Round) -> f64| spread(&rounds.iter().map(figure).collect::<Vec<_>>());
    let cameras = f64::from(load.cameras);
    Ok(Row {
        cameras: load.cameras,
        kbit: load.kbit,
        window_seconds,
        gateway: of(&|round| round.gateway_cpu / round.gbit),
        bare: of(&|round| round.bare_cpu / round.gbit),
        of_bare: of(&|round| round.gateway_cpu / round.bare_cpu),
        gateway_cores: of(&|round| round.gateway_cpu / window.as_secs_f64()),
        millicores_per_camera: of(&|round| {
            1000.0 * round.gateway_cpu / window.as_secs_f64() / cameras
        }),
        resident_kib_per_camera: of(&|round| round.resident_kib / cameras),
    })
}

fn round(load: Load, window: Duration) -> Result<Round> {
    let stand = Stand::start(load)?;
    stand.wait_for(load.cameras.into())?;
    std::thread::sleep(Duration::from_secs(1));
    let before = stand.gateway.cpu_by_thread()?;
    std::thread::sleep(window);
    let gateway_cpu = stand.gateway.cpu_since(&before)?;
    let resident_kib = stand.gateway.resident_kib()?.to_string().parse()?;
    drop(stand);

    let cameras = Cameras::start(load)?;
    let mut bare = Part::role("retina", &cameras.urls)?;
    bare.line()?;
    std::thread::sleep(Duration::from_secs(1));
    let (before, bytes) = (bare.cpu_by_thread()?, bare.ask("bytes")?.parse::<f64>()?);
    std::thread::sleep(window);
    let (bare_cpu, bytes_after) = (bare.cpu_since(&before)?, bare.ask("bytes")?.parse::<f64>()?);
    // The cameras send both the same: their pictures are a function of the time since their start.
    Ok(Round { gateway_cpu, resident_kib, bare_cpu, gbit: (bytes_after - bytes) * 8.0 / 1e9 })
}

/// The role `retina`: pulls each URL and counts the bytes of the access units.
fn pull_all(urls: &[String]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bytes = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        for url in urls {
            let session = open(url).await?;
            tokio::spawn(count(session, Arc::clone(&bytes)));
        }
        Result::Ok(())
    })?;
    child::say("playing")?;
    child::answer_lines(|_| bytes.load(Ordering::Relaxed).to_string())
}

async fn open(url: &str) -> Result<retina::client::Demuxed> {
    let mut session = Session::describe(url::Url::parse(url)?, SessionOptions::default()).await?;
    session.setup(0, SetupOptions::default()).await?;
    Ok(session.play(PlayOptions::default()).await?.demuxed()?)
}

async fn count(mut session: retina::client::Demuxed, bytes: Arc<AtomicU64>) {
    while let Some(Ok(item)) = session.next().await {
        if let CodecItem::VideoFrame(frame) = item {
            bytes.fetch_add(frame.data().len() as u64, Ordering::Relaxed);
        }
    }
}
