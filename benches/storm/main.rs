//! `cargo bench --bench storm`: 500 viewers come within a second while 50 play.
//!
//! One simulated camera of 4 Mbit/s, 25 pictures a second, a key frame each second. 50 readers play over TLS 1.3,
//! decrypt, and look for gaps in the RTP sequence numbers. Then 500 more begin, evenly over one second, all from one
//! address, as behind a NAT or in a VMS: TCP connect, handshake (ECDSA P-256), login, DESCRIBE, SETUP, PLAY, and the
//! last byte of the first picture, decrypted. Each takes its time from its own begin; nothing is tried twice. With
//! their first picture they stop to decrypt and go on reading. Five rounds, each with a gateway of its own.
//!
//! Camera, gateway, players and joiners are four processes on one machine: the joiners' half of the handshakes and
//! the players' decryption compete with the gateway for its cores.
//!
//! Targets: the players miss nothing; all who come play within 5 s. `STORM_READERS` (500), `STORM_PLAYERS` (50),
//! `STORM_SPREAD_MS` (1000) and `STORM_ROUNDS` (5) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../shared/mod.rs"]
mod shared;

use std::sync::Arc;
use std::time::Duration;

use shared::Result;
use shared::child::{self, Part};
use shared::decrypted::{self, Frames, Got};
use shared::figures::{self, ROUNDS, Spread, setting, spread};
use shared::gateway::{Load, Stand};
use shared::reader::{self, Wanted};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Targets.
const PLAYS_WITHIN: Duration = Duration::from_secs(5);
/// What the players are watched for, beyond the storm.
const AFTERWARDS: Duration = Duration::from_secs(3);

#[derive(Debug, serde::Serialize)]
struct Figures {
    joins: usize,
    players: usize,
    spread_ms: u64,
    /// Of all rounds together.
    refused: usize,
    players_missing_packets: u64,
    players_ended: u64,
    players_units: u64,
    /// Of each round.
    play_ms: Percentiles,
    picture_ms: Percentiles,
    /// Cores of the gateway from the first begin to the last picture.
    gateway_cores: Spread,
}

#[derive(Debug, serde::Serialize)]
struct Percentiles {
    p50: Spread,
    p99: Spread,
    most: Spread,
}

fn main() -> Result<()> {
    match child::role() {
        Some((role, arguments)) if role == "players" => return decrypted::role(&arguments),
        Some((role, arguments)) if role == "joiners" => return joiners(&arguments),
        Some((role, _)) => return Err(format!("no role {role}").into()),
        None => {}
    }
    let (joins, players) = (setting("STORM_READERS", 500), setting("STORM_PLAYERS", 50));
    let spread_ms = setting("STORM_SPREAD_MS", 1000);
    let rounds = (0..setting("STORM_ROUNDS", ROUNDS))
        .map(|_| round(joins, players, spread_ms))
        .collect::<Result<Vec<_>>>()?;
    let figures = figures_of(&rounds, joins, players, spread_ms);
    print(&figures, rounds.len());
    figures::write_json("storm", &figures)
}

/// One storm.
struct Round {
    /// Milliseconds from each begin to the answer to PLAY, and to the first picture; sorted.
    play: Vec<f64>,
    picture: Vec<f64>,
    refused: usize,
    players: Got,
    cores: f64,
}

fn round(joins: usize, players: usize, spread_ms: u64) -> Result<Round> {
    let stand = Stand::start(Load { cameras: 1, kbit: 4000, fps: 25, gop: 25 })?;
    stand.wait_for(1)?;
    let wanted = |readers| Wanted { port: stand.port, ca: stand.ca(), readers, streams: 1 };
    let mut playing = Part::role("players", &wanted(players).arguments())?;
    playing.line()?;
    let mut arguments = wanted(joins).arguments();
    arguments.push(spread_ms.to_string());
    let mut joining = Part::role("joiners", &arguments)?;
    joining.line()?;

    let (began, cpu) = (Instant::now(), stand.gateway.cpu_by_thread()?);
    let answer = joining.ask("go")?;
    let cores = stand.gateway.cpu_since(&cpu)? / began.elapsed().as_secs_f64();
    std::thread::sleep(AFTERWARDS);
    let players = Got::parse(&playing.ask("got")?)?;
    let (mut play, mut picture) = (Vec::new(), Vec::new());
    for join in answer.split(' ').filter(|join| !join.is_empty()) {
        let (to_play, to_picture) = join.split_once('/').ok_or("joiners: PLAY/PICTURE ...")?;
        play.push(to_play.parse()?);
        picture.push(to_picture.parse()?);
    }
    play.sort_by(f64::total_cmp);
    picture.sort_by(f64::total_cmp);
    Ok(Round { refused: joins - play.len(), play, picture, players, cores })
}

/// The role `joiners`: readers as in [`Wanted`], and the milliseconds over which they begin. Waits for a line, then
/// answers with PLAY/PICTURE in milliseconds of each that came to play; why one did not goes to standard error.
fn joiners(arguments: &[String]) -> Result<()> {
    let (spread_ms, wanted) = arguments.split_last().ok_or("joiners: WANTED... SPREAD_MS")?;
    let (wanted, spread_ms) = (Wanted::parse(wanted)?, spread_ms.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let connector = runtime.block_on(reader::connector(&wanted.ca))?;
    child::say("ready")?;
    child::answer_lines(|_| {
        let joined = runtime.block_on(storm(&connector, &wanted, Duration::from_millis(spread_ms)));
        joined.join(" ")
    })
}

async fn storm(
    connector: &tokio_rustls::TlsConnector,
    wanted: &Wanted,
    spread: Duration,
) -> Vec<String> {
    let wanted = Arc::new(wanted.clone());
    let first = Instant::now();
    let mut joins = JoinSet::new();
    for number in 0..wanted.readers {
        let share = f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let all = f64::from(u32::try_from(wanted.readers).unwrap_or(u32::MAX));
        let begin = first + spread.mul_f64(share / all);
        let (connector, wanted) = (connector.clone(), Arc::clone(&wanted));
        joins.spawn(async move {
            tokio::time::sleep_until(begin).await;
            join(&connector, &wanted, number).await
        });
    }
    let mut joined = Vec::new();
    for result in joins.join_all().await {
        match result {
            Ok((play, picture)) => joined.push(format!("{play:.3}/{picture:.3}")),
            Err(error) => child::complain(&format!("did not come to play: {error}")),
        }
    }
    joined
}

async fn join(
    connector: &tokio_rustls::TlsConnector,
    wanted: &Wanted,
    number: usize,
) -> Result<(f64, f64)> {
    let began = Instant::now();
    let since = |began: Instant| began.elapsed().as_secs_f64() * 1000.0;
    let tls = reader::join(connector, wanted.port, &wanted.stream(number)).await?;
    let play = since(began);
    let mut frames = Frames::new(tls);
    frames.unit().await?;
    let picture = since(began);
    tokio::spawn(reader::discard(frames.into_socket()));
    Ok((play, picture))
}

fn figures_of(rounds: &[Round], joins: usize, players: usize, spread_ms: u64) -> Figures {
    let of =
        |figure: &dyn Fn(&Round) -> f64| spread(&rounds.iter().map(figure).collect::<Vec<_>>());
    let percentiles = |times: fn(&Round) -> &[f64]| Percentiles {
        p50: of(&|round| at(times(round), 50)),
        p99: of(&|round| at(times(round), 99)),
        most: of(&|round| at(times(round), 100)),
    };
    Figures {
        joins,
        players,
        spread_ms,
        refused: rounds.iter().map(|round| round.refused).sum(),
        players_missing_packets: rounds.iter().map(|round| round.players.missing).sum(),
        players_ended: rounds.iter().map(|round| round.players.ended).sum(),
        players_units: rounds.iter().map(|round| round.players.units).sum(),
        play_ms: percentiles(|round| &round.play),
        picture_ms: percentiles(|round| &round.picture),
        gateway_cores: of(&|round| round.cores),
    }
}

/// A percentile of sorted figures.
fn at(sorted: &[f64], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

fn print(figures: &Figures, rounds: usize) {
    let Figures { joins, players, spread_ms, .. } = figures;
    println!(
        "storm: {joins} readers of one address begin within {spread_ms} ms while {players} play; milliseconds from each \
         one's begin, median of {rounds} rounds (least to most)\n"
    );
    println!("| | p50 | p99 | most |\n|---|---|---|---|");
    for (name, p) in [("to PLAY", &figures.play_ms), ("to the first picture", &figures.picture_ms)]
    {
        println!("| {name} | {} | {} | {} |", p.p50, p.p99, p.most);
    }
    println!(
        "\nrefused or cut: {} of {}; players: {} units received, {} packets missing, {} cut; the gateway used {} cores",
        figures.refused,
        joins * rounds,
        figures.players_units,
        figures.players_missing_packets,
        figures.players_ended,
        figures.gateway_cores,
    );
    let met = figures.refused == 0
        && figures.picture_ms.most.most <= PLAYS_WITHIN.as_secs_f64() * 1000.0
        && figures.players_missing_packets + figures.players_ended == 0;
    println!(
        "target (nobody who plays misses a unit, all play within {} s): {}",
        PLAYS_WITHIN.as_secs(),
        if met { "met" } else { "not met" }
    );
}
