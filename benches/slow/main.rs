//! `cargo bench --bench slow`: 50 of 200 readers take a byte a second.
//!
//! One simulated camera of 4 Mbit/s, 25 pictures a second, a key frame each second. 150 readers play over TLS 1.3,
//! decrypt, and look for gaps in the RTP sequence numbers; 50 more play and then take one byte a second each from
//! their socket. Watched until the gateway has cut all the slow ones, and at least for the window.
//!
//! Measured: what the others miss; the gateway's greatest resident memory above that of just before, against a budget for
//! each slow reader (the TLS records that rustls holds for it, and a unit that left the ring while it is written);
//! the time from their PLAY until the gateway counts them no more.
//!
//! `SLOW_READERS` (50), `SLOW_OTHERS` (150), `SLOW_BYTES` (1, each period), `SLOW_PERIOD_MS` (1000) and
//! `SLOW_SECONDS` (30) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../shared/mod.rs"]
mod shared;

use std::time::Duration;

use shared::Result;
use shared::child::{self, Part};
use shared::decrypted::{self, Got};
use shared::figures::{self, setting};
use shared::gateway::{Load, Stand};
use shared::reader::{self, Wanted};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// For each slow reader: rustls's buffer of 64 KiB, twice while it grows, and a key frame of its own that left the ring.
const BUDGET_KIB: u64 = 256;
/// Longest that the bench waits for the last cut.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, serde::Serialize)]
struct Figures {
    slow: usize,
    others: usize,
    bytes_a_period: usize,
    period_ms: u64,
    window_seconds: f64,
    others_units: u64,
    others_missing_packets: u64,
    others_ended: u64,
    /// Before the slow ones came, and the most above it.
    memory_kib: u64,
    rise_kib: u64,
    budget_kib: u64,
    /// Memory a moment after the last was cut, less that of before.
    left_kib: i64,
    /// Seconds from PLAY of the last of them until none, or half of them, was left.
    half_cut_seconds: Option<f64>,
    all_cut_seconds: Option<f64>,
}

fn main() -> Result<()> {
    match child::role() {
        Some((role, arguments)) if role == "players" => return decrypted::role(&arguments),
        Some((role, arguments)) if role == "slow" => return slow(&arguments),
        Some((role, _)) => return Err(format!("no role {role}").into()),
        None => {}
    }
    let figures = measure()?;
    print(&figures);
    figures::write_json("slow", &figures)
}

fn measure() -> Result<Figures> {
    let (slow, others) = (setting("SLOW_READERS", 50), setting("SLOW_OTHERS", 150));
    let (bytes_a_period, period_ms) = (setting("SLOW_BYTES", 1), setting("SLOW_PERIOD_MS", 1000));
    let window = Duration::from_secs(setting("SLOW_SECONDS", 30));
    let stand = Stand::start(Load { cameras: 1, kbit: 4000, fps: 25, gop: 25 })?;
    stand.wait_for(1)?;
    let wanted = |readers| Wanted { port: stand.port, ca: stand.ca(), readers, streams: 1 };
    let mut playing = Part::role("players", &wanted(others).arguments())?;
    playing.line()?;
    // What their start cost is over.
    std::thread::sleep(Duration::from_secs(3));
    let memory_kib = stand.gateway.resident_kib()?;
    let before = Got::parse(&playing.ask("got")?)?;

    let mut arguments = wanted(slow).arguments();
    arguments.extend([bytes_a_period.to_string(), period_ms.to_string()]);
    let mut slows = Part::role("slow", &arguments)?;
    slows.line()?;
    let began = Instant::now();
    let (mut most, mut half_cut, mut all_cut) = (memory_kib, None, None);
    while began.elapsed() < PATIENCE && (all_cut.is_none() || began.elapsed() < window) {
        let now = began.elapsed().as_secs_f64();
        let left = readers(&stand)?.saturating_sub(others);
        most = most.max(stand.gateway.resident_kib()?);
        if left <= slow / 2 {
            half_cut = half_cut.or(Some(now));
        }
        if left == 0 {
            all_cut = all_cut.or(Some(now));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let got = Got::parse(&playing.ask("got")?)?;
    let left_kib = i64::try_from(stand.gateway.resident_kib()?)? - i64::try_from(memory_kib)?;
    Ok(Figures {
        slow,
        others,
        bytes_a_period,
        period_ms,
        window_seconds: began.elapsed().as_secs_f64(),
        others_units: got.units - before.units,
        others_missing_packets: got.missing - before.missing,
        others_ended: got.ended,
        memory_kib,
        rise_kib: most - memory_kib,
        budget_kib: BUDGET_KIB * u64::try_from(slow)?,
        left_kib,
        half_cut_seconds: half_cut,
        all_cut_seconds: all_cut,
    })
}

/// Readers that the gateway counts.
fn readers(stand: &Stand) -> Result<usize> {
    let page = stand.page("/metrics")?;
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("camlock_stream_readers{stream=\"c0/main\"} "));
    Ok(line.ok_or("no count of readers")?.trim().parse()?)
}

/// The role `slow`: readers as in [`Wanted`], BYTES PERIOD_MS. Says `playing` when all play.
fn slow(arguments: &[String]) -> Result<()> {
    let (wanted, [bytes, period]) =
        arguments.split_last_chunk().ok_or("slow: WANTED... BYTES PERIOD_MS")?;
    let (bytes, period) = (bytes.parse()?, Duration::from_millis(period.parse()?));
    let wanted = Wanted::parse(wanted)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let connector = reader::connector(&wanted.ca).await?;
        for number in 0..wanted.readers {
            let mut socket = reader::play(&connector, wanted.port, &wanted.stream(number)).await?;
            tokio::spawn(async move {
                let mut some = vec![0; bytes];
                while socket.read_exact(&mut some).await.is_ok() {
                    tokio::time::sleep(period).await;
                }
            });
        }
        Result::Ok(())
    })?;
    child::say("playing")?;
    child::answer_lines(|_| String::new())
}

fn print(f: &Figures) {
    println!(
        "slow: {} readers take {} byte(s) each {} ms among {} others, {:.0} s\n",
        f.slow, f.bytes_a_period, f.period_ms, f.others, f.window_seconds
    );
    println!("| | |\n|---|---|");
    println!("| others: units received | {} |", f.others_units);
    println!("| others: packets missing | {} |", f.others_missing_packets);
    println!("| others: cut | {} |", f.others_ended);
    println!("| gateway's memory before, KiB | {} |", f.memory_kib);
    println!("| most above it, KiB (budget {}) | {} |", f.budget_kib, f.rise_kib);
    println!("| above it after the last was cut, KiB | {} |", f.left_kib);
    let seconds = |seconds: Option<f64>| {
        seconds.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.1}"))
    };
    println!("| half of the slow cut after, s | {} |", seconds(f.half_cut_seconds));
    println!("| all cut after, s | {} |", seconds(f.all_cut_seconds));
    let met = f.others_missing_packets + f.others_ended == 0
        && f.rise_kib <= f.budget_kib
        && f.all_cut_seconds.is_some();
    println!(
        "\ntarget (the others lose nothing, memory within its budget, the slow are cut): {}",
        if met { "met" } else { "not met" }
    );
}
