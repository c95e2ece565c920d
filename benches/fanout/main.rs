//! `cargo bench --bench fanout`: what one camera's picture costs for N viewers.
//!
//! One camera of 4 Mbit/s, 25 pictures a second, a key frame each second, at real pace; N readers over TLS 1.3
//! that count bytes and do not decrypt. Three servers in turn, five rounds:
//!
//! - the gateway: pulls the camera, checks, re-muxes, serves RTSPS;
//! - the limit: a bare rustls loop that writes the same units, made beforehand, one write for each;
//! - the packet loop: the same, one write and so one TLS record for each RTP packet.
//!
//! Counted is the server process alone: user and system time, its share of the kernel's TCP included. Camera and
//! readers run in processes of their own and are not counted. Figure: Gbit (of TLS records) for each CPU-second.
//! Connecting is not in the window.
//!
//! `FANOUT_READERS` (default 1,10,100,1000), `FANOUT_SECONDS` (window, 8) and `FANOUT_KBIT` (4000) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../shared/mod.rs"]
mod shared;

use std::path::PathBuf;
use std::time::Duration;

use shared::child::{self, Part};
use shared::figures::{self, ROUNDS, Spread, setting, spread};
use shared::gateway::{Load, Stand};
use shared::reader::{self, Wanted};
use shared::{Result, serve};

#[derive(Debug, serde::Serialize)]
struct Row {
    readers: usize,
    kbit: u32,
    window_seconds: u64,
    /// Gbit for each CPU-second.
    gateway: Spread,
    limit: Spread,
    packets: Spread,
    /// Of each round: gateway to limit, gateway to packet loop.
    of_limit: Spread,
    of_packets: Spread,
    /// Cores the gateway used.
    gateway_cores: Spread,
}

fn main() -> Result<()> {
    match child::role() {
        Some((role, arguments)) if role == "readers" => return reader::role(&arguments),
        Some((role, arguments)) if role == "serve" => return serve::role(&arguments),
        Some((role, _)) => return Err(format!("no role {role}").into()),
        None => {}
    }
    let load = Load { cameras: 1, kbit: setting("FANOUT_KBIT", 4000), fps: 25, gop: 25 };
    let window = setting("FANOUT_SECONDS", 8);
    let readers = setting("FANOUT_READERS", "1,10,100,1000".to_owned());
    println!(
        "fanout: Gbit for each CPU-second of the serving process, median of {ROUNDS} rounds (least to most)\n"
    );
    println!(
        "| readers | gateway | limit | packet loop | gateway / limit | gateway / packet loop | gateway's cores |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for readers in readers.split(',') {
        let row = measure(load, readers.trim().parse()?, window)?;
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.readers,
            row.gateway,
            row.limit,
            row.packets,
            row.of_limit,
            row.of_packets,
            row.gateway_cores
        );
        rows.push(row);
    }
    figures::write_json("fanout", &rows)
}

fn measure(load: Load, readers: usize, window_seconds: u64) -> Result<Row> {
    let window = Duration::from_secs(window_seconds);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let gateway = gateway(load, readers, window)?;
        rounds.push((
            gateway,
            looped(load, "unit", readers, window)?,
            looped(load, "packet", readers, window)?,
        ));
    }
    let of = |figure: &dyn Fn(&(Cost, Cost, Cost)) -> f64| {
        spread(&rounds.iter().map(figure).collect::<Vec<_>>())
    };
    Ok(Row {
        readers,
        kbit: load.kbit,
        window_seconds,
        gateway: of(&|(gateway, ..)| gateway.rate()),
        limit: of(&|(_, limit, _)| limit.rate()),
        packets: of(&|(.., packets)| packets.rate()),
        of_limit: of(&|(gateway, limit, _)| gateway.rate() / limit.rate()),
        of_packets: of(&|(gateway, _, packets)| gateway.rate() / packets.rate()),
        gateway_cores: of(&|(gateway, ..)| gateway.cpu / window.as_secs_f64()),
    })
}

/// What a window cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    gbit: f64,
    /// CPU-seconds.
    cpu: f64,
}

impl Cost {
    fn rate(self) -> f64 {
        self.gbit / self.cpu
    }
}

fn gateway(load: Load, readers: usize, window: Duration) -> Result<Cost> {
    let stand = Stand::start(load)?;
    let wanted = Wanted { port: stand.port, ca: stand.ca(), readers, streams: 1 };
    watch(&stand.gateway, &wanted, window)
}

fn looped(load: Load, writes: &str, readers: usize, window: Duration) -> Result<Cost> {
    let ca = CaFile(std::env::temp_dir().join(format!("camlock-bench-{}.pem", std::process::id())));
    let text = [load.kbit, load.fps, load.gop].map(|number| number.to_string());
    let mut arguments = vec![ca.0.display().to_string(), writes.to_owned()];
    arguments.extend(text);
    let mut server = Part::role("serve", &arguments)?;
    let port = server.line()?.parse()?;
    watch(&server, &Wanted { port, ca: ca.0.clone(), readers, streams: 0 }, window)
}

/// Brings the readers and measures the server from the moment when all play.
fn watch(server: &Part, wanted: &Wanted, window: Duration) -> Result<Cost> {
    let mut readers = Part::role("readers", &wanted.arguments())?;
    readers.line()?;
    // What the last ones got of the current group of pictures at once.
    std::thread::sleep(Duration::from_secs(1));
    let (cpu, bytes) = (server.cpu_seconds()?, readers.ask("bytes")?.parse::<f64>()?);
    std::thread::sleep(window);
    let (cpu_after, bytes_after) = (server.cpu_seconds()?, readers.ask("bytes")?.parse::<f64>()?);
    Ok(Cost { gbit: (bytes_after - bytes) * 8.0 / 1e9, cpu: cpu_after - cpu })
}

struct CaFile(PathBuf);

impl Drop for CaFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}
