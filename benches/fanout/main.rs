//! `cargo bench --bench fanout`: what one camera's picture costs for N viewers.
//!
//! One camera, 25 pictures a second, a key frame each second; N readers over TLS 1.3 that count records and do not
//! decrypt them. Three servers in turn, five rounds:
//!
//! - the gateway: pulls the camera, checks, re-muxes, serves RTSPS;
//! - the limit: a bare rustls loop that writes the same units, made beforehand, one write for each;
//! - the packet loop: the same, one write and so one TLS record for each RTP packet.
//!
//! At real pace: 4 Mbit/s. Where so many readers are more than the machine carries, servers, camera and readers
//! together, the row's bit rate is halved until the dearest server, the packet loop, carries it; the same rate for all three.
//! A server whose readers did not get, within 2 %, what was sent is marked `overloaded`: its figures do not count.
//!
//! Saturating: gateway and limit alone; the publisher sends the next unit when the slowest reader took the last one,
//! and never faster than the gateway takes units from a camera. `FANOUT_UNDER_WAY` (1) units are sent before that.
//!
//! `FANOUT_READERS` (1,10,100,1000,4000), `FANOUT_SATURATED` (readers of the saturating mode: 100,1000; `none` leaves it
//! out), `FANOUT_SECONDS` (window, 8), `FANOUT_KBIT` (4000) and `FANOUT_ROUNDS` (5) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod run;
#[path = "../shared/mod.rs"]
mod shared;

use std::time::Duration;

use run::{Carried, Cost, Pace, Server, measure};
use shared::child;
use shared::figures::{self, ROUNDS, Spread, setting, spread};
use shared::gateway::Load;
use shared::{Result, camera, serve, taken};

/// What is counted, and what is not; stands over the tables and in the JSON.
const RULES: [&str; 5] = [
    "process: the serving one alone; camera and readers are processes of their own, on the same cores",
    "clock: CPU is user and system time of all its threads by the scheduler (/proc/PID/task/*/schedstat), the window CLOCK_MONOTONIC",
    "bytes: TLS records as the readers' sockets gave them",
    "excluded: start, connecting, handshakes and logins, the first second of media; what the kernel does in nobody's name",
    "overloaded: the readers did not get what was sent, within 2 %; then the machine was measured, not the server",
];

#[derive(Debug, serde::Serialize)]
struct Figures {
    rules: &'static [&'static str],
    rounds: usize,
    window_seconds: u64,
    real_pace: Vec<Row>,
    saturating: Vec<SaturatedRow>,
}

#[derive(Debug, serde::Serialize)]
struct Row {
    readers: usize,
    kbit: u32,
    /// Gbit for each CPU-second.
    gateway: Figure,
    limit: Figure,
    packets: Figure,
    /// Of each round: gateway to limit, gateway to packet loop.
    of_limit: Spread,
    of_packets: Spread,
    /// Cores the gateway used.
    gateway_cores: Spread,
    /// What the gateway and its camera took to start and all readers to log in and play; not counted.
    gateway_connect_seconds: Spread,
}

#[derive(Debug, serde::Serialize)]
struct SaturatedRow {
    readers: usize,
    /// Of the pictures: their sizes are those of this rate at real pace.
    kbit: u32,
    units_under_way: usize,
    /// Gbit for each CPU-second.
    gateway: Figure,
    limit: Figure,
    of_limit: Spread,
    gateway_gbit_per_second: Spread,
    limit_gbit_per_second: Spread,
    gateway_cores: Spread,
    limit_cores: Spread,
    gateway_units_per_second: Spread,
    /// Whether the gateway's bound on a camera held the publisher back, and not the readers: in most units of a window.
    bounded: bool,
}

/// A rate, and in how many rounds the machine did not carry the load.
#[derive(Debug, serde::Serialize)]
struct Figure {
    rate: Spread,
    overloaded_rounds: usize,
    /// Of each round.
    carried: Vec<Carried>,
}

/// What all rows have in common.
#[derive(Debug, Clone, Copy)]
struct Settings {
    rounds: usize,
    window: Duration,
    load: Load,
    /// Units under way in the saturating mode.
    under_way: usize,
}

fn main() -> Result<()> {
    match child::role() {
        Some((role, arguments)) if role == "readers" => return taken::role(&arguments),
        Some((role, arguments)) if role == "camera" => return camera::role(&arguments),
        Some((role, arguments)) if role == "serve" => return serve::role(&arguments),
        Some((role, _)) => return Err(format!("no role {role}").into()),
        None => {}
    }
    let seconds = setting("FANOUT_SECONDS", 8);
    let settings = Settings {
        rounds: setting("FANOUT_ROUNDS", ROUNDS),
        window: Duration::from_secs(seconds),
        load: Load { cameras: 1, kbit: setting("FANOUT_KBIT", 4000), fps: 25, gop: 25 },
        under_way: setting("FANOUT_UNDER_WAY", 1),
    };
    let readers = numbers("FANOUT_READERS", "1,10,100,1000,4000")?;
    let saturated = numbers("FANOUT_SATURATED", "100,1000")?;
    check_descriptors(readers.iter().chain(&saturated).copied().max().unwrap_or(0))?;

    println!(
        "fanout: Gbit for each CPU-second, median of {} rounds (least to most) of {seconds} s\n",
        settings.rounds
    );
    RULES.iter().for_each(|rule| println!("- {rule}"));
    let figures = Figures {
        rules: &RULES,
        rounds: settings.rounds,
        window_seconds: seconds,
        real_pace: real_pace(&readers, settings)?,
        saturating: saturating(&saturated, settings)?,
    };
    figures::write_json("fanout", &figures)
}

fn real_pace(readers: &[usize], settings: Settings) -> Result<Vec<Row>> {
    println!("\nAt real pace:\n");
    println!(
        "| readers | kbit/s | gateway | limit | packet loop | gateway / limit | gateway / packet loop | gateway's cores |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for readers in readers {
        let row = measure_row(*readers, settings)?;
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.readers,
            row.kbit,
            row.gateway,
            row.limit,
            row.packets,
            row.of_limit,
            row.of_packets,
            row.gateway_cores
        );
        rows.push(row);
    }
    Ok(rows)
}

fn measure_row(readers: usize, settings: Settings) -> Result<Row> {
    let load = carried(readers, settings.load)?;
    let one = |server| measure(server, load, readers, Pace::Real, settings.window);
    let mut rounds = Vec::new();
    for _ in 0..settings.rounds {
        rounds.push([one(Server::Gateway)?, one(Server::Limit)?, one(Server::Packets)?]);
    }
    let of =
        |figure: &dyn Fn(&[Cost; 3]) -> f64| spread(&rounds.iter().map(figure).collect::<Vec<_>>());
    Ok(Row {
        readers,
        kbit: load.kbit,
        gateway: Figure::of(rounds.iter().map(|[gateway, ..]| *gateway)),
        limit: Figure::of(rounds.iter().map(|[_, limit, _]| *limit)),
        packets: Figure::of(rounds.iter().map(|[.., packets]| *packets)),
        of_limit: of(&|[gateway, limit, _]| gateway.rate() / limit.rate()),
        of_packets: of(&|[gateway, _, packets]| gateway.rate() / packets.rate()),
        gateway_cores: of(&|[gateway, ..]| gateway.cores()),
        gateway_connect_seconds: of(&|[gateway, ..]| gateway.connect),
    })
}

/// The load, at a bit rate at which the machine carries the packet loop with so many readers.
fn carried(readers: usize, load: Load) -> Result<Load> {
    /// Below this a picture is little more than its headers.
    const LEAST_KBIT: u32 = 200;
    let cores = std::thread::available_parallelism()?.get();
    let mut load = load;
    // The packet loop makes less than 4 Gbit/s of a core: above it there is nothing to try.
    let far_too_much = |load: &Load| kbits(readers, load) > 4_000_000 * cores;
    while far_too_much(&load) && load.kbit / 2 >= LEAST_KBIT {
        load.kbit /= 2;
    }
    // Far below what a core makes there is nothing to try either.
    while kbits(readers, &load) > 500_000 * cores && load.kbit / 2 >= LEAST_KBIT {
        let trial = measure(Server::Packets, load, readers, Pace::Real, Duration::from_secs(3))?;
        if !trial.carried.is_overload() {
            break;
        }
        load.kbit /= 2;
    }
    Ok(load)
}

fn kbits(readers: usize, load: &Load) -> usize {
    usize::try_from(load.kbit).map_or(usize::MAX, |kbit| kbit.saturating_mul(readers))
}

fn saturating(readers: &[usize], settings: Settings) -> Result<Vec<SaturatedRow>> {
    if readers.is_empty() {
        return Ok(Vec::new());
    }
    println!("\nSaturating, units under way: {}\n", settings.under_way);
    println!(
        "| readers | gateway | limit | gateway / limit | Gbit/s gateway | Gbit/s limit | cores gateway | cores limit | units/s gateway |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for readers in readers {
        let row = measure_saturated(*readers, settings)?;
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {}{} |",
            row.readers,
            row.gateway,
            row.limit,
            row.of_limit,
            row.gateway_gbit_per_second,
            row.limit_gbit_per_second,
            row.gateway_cores,
            row.limit_cores,
            row.gateway_units_per_second,
            if row.bounded { ", held by the gateway's bound on a camera" } else { "" }
        );
        rows.push(row);
    }
    Ok(rows)
}

fn measure_saturated(readers: usize, settings: Settings) -> Result<SaturatedRow> {
    let one = |server| {
        measure(
            server,
            settings.load,
            readers,
            Pace::Saturating(settings.under_way),
            settings.window,
        )
    };
    let mut rounds = Vec::new();
    for _ in 0..settings.rounds {
        rounds.push([one(Server::Gateway)?, one(Server::Limit)?]);
    }
    let of =
        |figure: &dyn Fn(&[Cost; 2]) -> f64| spread(&rounds.iter().map(figure).collect::<Vec<_>>());
    let is_bounded = |cost: &Cost| cost.bounded * 2 > cost.units;
    Ok(SaturatedRow {
        readers,
        kbit: settings.load.kbit,
        units_under_way: settings.under_way,
        gateway: Figure::of(rounds.iter().map(|[gateway, _]| *gateway)),
        limit: Figure::of(rounds.iter().map(|[_, limit]| *limit)),
        of_limit: of(&|[gateway, limit]| gateway.rate() / limit.rate()),
        gateway_gbit_per_second: of(&|[gateway, _]| gateway.gbit_per_second()),
        limit_gbit_per_second: of(&|[_, limit]| limit.gbit_per_second()),
        gateway_cores: of(&|[gateway, _]| gateway.cores()),
        limit_cores: of(&|[_, limit]| limit.cores()),
        gateway_units_per_second: of(&|[gateway, _]| gateway.units_per_second()),
        bounded: rounds.iter().flatten().any(is_bounded),
    })
}

impl Figure {
    fn of(costs: impl Iterator<Item = Cost>) -> Self {
        let costs: Vec<Cost> = costs.collect();
        let rates: Vec<f64> = costs.iter().map(|cost| cost.rate()).collect();
        let carried: Vec<Carried> = costs.iter().map(|cost| cost.carried).collect();
        let overloaded_rounds = carried.iter().filter(|carried| carried.is_overload()).count();
        Self { rate: spread(&rates), overloaded_rounds, carried }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.rate)?;
        match self.overloaded_rounds {
            0 => Ok(()),
            rounds => write!(f, " overloaded in {rounds}"),
        }
    }
}

/// A list of numbers; `none` is empty.
fn numbers(name: &str, default: &str) -> Result<Vec<usize>> {
    let text = setting(name, default.to_owned());
    if text == "none" {
        return Ok(Vec::new());
    }
    let numbers: Option<_> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    Ok(numbers
        .ok_or_else(|| format!("{name}={text}: numbers with commas between them, or none"))?)
}

/// A reader takes a descriptor in its own process, and one in the server's.
fn check_descriptors(readers: usize) -> Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or("no limit of open files in /proc/self/limits")?;
    let wanted = readers + 100;
    match soft.parse::<usize>() {
        Ok(soft) if soft < wanted => Err(format!(
            "{readers} readers need {wanted} descriptors, the limit is {soft}: `ulimit -n {wanted}`, or fewer readers"
        )
        .into()),
        // `unlimited` is no number.
        Ok(_) | Err(_) => Ok(()),
    }
}
