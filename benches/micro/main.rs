//! `cargo bench --bench micro`: the steps of the hot path one by one, in this process, on one core, without a socket.
//!
//! Time for one access unit (or RTSP message) and bytes a second. What a unit costs in instructions, which a busy
//! machine does not change, `instructions` counts of the same steps. Words behind `--` pick steps by name.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../shared/figures.rs"]
#[allow(dead_code, unreachable_pub, reason = "each bench uses its part")]
#[allow(clippy::disallowed_methods, reason = "settings of a bench come from the environment")]
mod figures;
#[path = "../shared/steps/mod.rs"]
mod steps;

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use steps::{Make, Result, STEPS, Step};

/// Where criterion keeps what it measured.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/criterion");

#[derive(Debug, serde::Serialize)]
struct Row {
    step: &'static str,
    bytes_per_unit: u64,
    nanoseconds_per_unit: f64,
    megabytes_per_second: f64,
}

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .output_directory(Path::new(FOLDER))
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut rows = Vec::new();
    for (name, make) in STEPS {
        if let Some(bytes_per_unit) = measure(&mut criterion, name, make)? {
            rows.extend(row(name, bytes_per_unit));
        }
    }
    criterion.final_summary();
    println!("{:<16} {:>12} {:>12} {:>10}", "step", "bytes/unit", "ns/unit", "MB/s");
    for row in &rows {
        let Row { step, bytes_per_unit, nanoseconds_per_unit, megabytes_per_second } = row;
        println!(
            "{step:<16} {bytes_per_unit:>12} {nanoseconds_per_unit:>12.0} {megabytes_per_second:>10.0}"
        );
    }
    figures::write_json("micro", &rows)
}

/// Bytes of a unit, if the step was asked for.
fn measure(criterion: &mut Criterion, name: &str, make: Make) -> Result<Option<u64>> {
    let mut step = make()?;
    let bytes_per_unit = u64::try_from(step.bytes() / step.units())?;
    let mut outcome = None;
    let mut group = criterion.benchmark_group("micro");
    group.throughput(Throughput::Bytes(bytes_per_unit));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|units| {
            let timed = time(step.as_mut(), units);
            let taken = timed.as_ref().map_or(Duration::MAX, |taken| *taken);
            // The first fault stays.
            if !matches!(outcome, Some(Err(_))) {
                outcome = Some(timed);
            }
            taken
        });
    });
    group.finish();
    Ok(outcome.transpose()?.map(|_| bytes_per_unit))
}

/// The time of so many units, taken of as many whole passes as hold them.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn time(step: &mut dyn Step, units: u64) -> Result<Duration> {
    let of_a_pass = u64::try_from(step.units())?;
    let passes = units.div_ceil(of_a_pass);
    let mut taken = Duration::ZERO;
    for _ in 0..passes {
        step.prepare()?;
        let begin = Instant::now();
        step.run()?;
        taken += begin.elapsed();
    }
    let nanoseconds = taken.as_nanos() * u128::from(units) / u128::from(passes * of_a_pass);
    Ok(Duration::from_nanos(u64::try_from(nanoseconds)?))
}

/// What criterion found; none where it was not to measure (`--test`, `--list`).
fn row(step: &'static str, bytes_per_unit: u64) -> Option<Row> {
    let file = Path::new(FOLDER).join("micro").join(step).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let nanoseconds_per_unit = estimates.pointer("/median/point_estimate")?.as_f64()?;
    let bytes = u32::try_from(bytes_per_unit).ok()?;
    let megabytes_per_second = f64::from(bytes) * 1000.0 / nanoseconds_per_unit;
    Some(Row { step, bytes_per_unit, nanoseconds_per_unit, megabytes_per_second })
}
