//! `cargo bench --bench sizing`: cores and memory that an installation needs.
//!
//! Some installations of simulated cameras (25 pictures a second, a key frame each second, at real pace) with some
//! readers each over TLS 1.3, who count bytes and do not decrypt. Counted is the gateway alone: user and system time,
//! its share of the kernel's TCP included, and its resident memory. Cameras and readers run in processes of their own,
//! on the same machine: what they take of it is not counted, but makes the gateway wait. Connecting is not in the window.
//!
//! `SIZING` is a list of cameras x readers each x kbit/s (default 16x2x4000,16x10x4000,64x4x4000,64x4x2000,200x1x4000,
//! 200x5x1000); `SIZING_SECONDS` (window, 10) and `SIZING_ROUNDS` (3) change the measurement.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../shared/mod.rs"]
mod shared;

use std::time::Duration;

use shared::Result;
use shared::child::{self, Part};
use shared::figures::{self, Spread, setting, spread};
use shared::gateway::{Load, Stand};
use shared::reader::{self, Wanted};

const INSTALLATIONS: &str = "16x2x4000,16x10x4000,64x4x4000,64x4x2000,200x1x4000,200x5x1000";

#[derive(Debug, serde::Serialize)]
struct Row {
    cameras: u16,
    readers_each: usize,
    kbit: u32,
    gbit_per_second_out: Spread,
    cores: Spread,
    resident_mib: Spread,
}

/// What one round shows.
#[derive(Debug, Clone, Copy)]
struct Round {
    out: f64,
    cores: f64,
    resident_mib: f64,
}

fn main() -> Result<()> {
    match child::role() {
        Some((role, arguments)) if role == "readers" => return reader::role(&arguments),
        Some((role, _)) => return Err(format!("no role {role}").into()),
        None => {}
    }
    println!("sizing: the gateway alone, median (least to most)\n");
    println!("| cameras | readers each | Mbit/s | Gbit/s out | cores | MiB |");
    println!("|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for installation in setting("SIZING", INSTALLATIONS.to_owned()).split(',') {
        let row = measure(installation.trim())?;
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            row.cameras,
            row.readers_each,
            f64::from(row.kbit) / 1000.0,
            row.gbit_per_second_out,
            row.cores,
            row.resident_mib
        );
        rows.push(row);
    }
    figures::write_json("sizing", &rows)
}

fn measure(installation: &str) -> Result<Row> {
    let parts: Vec<u32> =
        installation.split('x').map(str::parse).collect::<std::result::Result<_, _>>()?;
    let [cameras, readers_each, kbit] = *parts else {
        return Err(format!("{installation}: CAMERASxREADERSxKBIT").into());
    };
    let load = Load { cameras: u16::try_from(cameras)?, kbit, fps: 25, gop: 25 };
    let readers_each = usize::try_from(readers_each)?;
    let rounds = (0..setting("SIZING_ROUNDS", 3))
        .map(|_| round(load, readers_each))
        .collect::<Result<Vec<_>>>()?;
    let of =
        |figure: &dyn Fn(&Round) -> f64| spread(&rounds.iter().map(figure).collect::<Vec<_>>());
    Ok(Row {
        cameras: load.cameras,
        readers_each,
        kbit,
        gbit_per_second_out: of(&|round| round.out),
        cores: of(&|round| round.cores),
        resident_mib: of(&|round| round.resident_mib),
    })
}

fn round(load: Load, readers_each: usize) -> Result<Round> {
    let window = Duration::from_secs(setting("SIZING_SECONDS", 10));
    let stand = Stand::start(load)?;
    stand.wait_for(load.cameras.into())?;
    let readers = usize::from(load.cameras) * readers_each;
    let wanted = Wanted { port: stand.port, ca: stand.ca(), readers, streams: load.cameras };
    let mut readers = Part::role("readers", &wanted.arguments())?;
    readers.line()?;
    // Rings fill up, and what the last readers got at once is gone.
    std::thread::sleep(Duration::from_secs(4));
    let (cpu, bytes) = (stand.gateway.cpu_by_thread()?, readers.ask("bytes")?.parse::<f64>()?);
    std::thread::sleep(window);
    let cores = stand.gateway.cpu_since(&cpu)? / window.as_secs_f64();
    let bytes = readers.ask("bytes")?.parse::<f64>()? - bytes;
    let resident_kib: f64 = stand.gateway.resident_kib()?.to_string().parse()?;
    Ok(Round {
        out: bytes * 8.0 / 1e9 / window.as_secs_f64(),
        cores,
        resident_mib: resident_kib / 1024.0,
    })
}
