//! `cargo bench --bench instructions`: what a unit costs in instructions, compared with `baseline.toml` beside this.
//!
//! callgrind (valgrind) counts the steps of the hot path, each in a process of its own; making ready is not counted.
//! The count does not depend on how busy the machine is, and hardly on the machine: valgrind shows programs a processor
//! with AVX2 and nothing newer (one without AVX2 would need a baseline of its own), and the C library is told to copy
//! with AVX2 loops, not with `rep movsb`, which would count as one instruction for each byte.
//!
//! Any step that needs over 10 % more than the baseline fails, and so does one that needs over 10 % less: with the old
//! figure the gain could be lost again unseen. A new compiler or C library may move figures, too; the file names those
//! that it was written with. `CAMLOCK_WRITE_BASELINE=1 cargo bench --bench instructions` writes it anew.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

#[path = "../shared/steps/mod.rs"]
#[allow(dead_code, reason = "bytes are for micro")]
mod steps;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use steps::{Result, STEPS, Step};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/baseline.toml");
const OUTPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
/// Per cent that a step may differ.
const TOLERANCE: u64 = 10;
/// Passes before counting, so that rings and buffers are as full as they get.
const WARM_UP: usize = 4;
/// Passes counted.
const PASSES: usize = 4;
/// glibc's names; others are ignored by it.
const TUNABLES: &str = "glibc.cpu.hwcaps=-ERMS,-FSRM";

/// The file.
#[derive(Debug, Default, PartialEq, serde::Deserialize)]
struct Baseline {
    rustc: String,
    libc: String,
    valgrind: String,
    /// Instructions for one unit, by step.
    instructions: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, role, name] = arguments.as_slice()
        && role == "--step"
    {
        return be_counted(name);
    }
    let mut now = Baseline {
        rustc: said_by("rustc", "--version")?,
        libc: said_by("getconf", "GNU_LIBC_VERSION")?,
        valgrind: said_by("valgrind", "--version")?,
        instructions: BTreeMap::new(),
    };
    for (name, _) in STEPS {
        now.instructions.insert(name.to_owned(), count(name)?);
    }
    if std::env::var_os("CAMLOCK_WRITE_BASELINE").is_some() {
        return Ok(std::fs::write(BASELINE, now.to_toml()?)?);
    }
    let before: Baseline = toml::from_str(&std::fs::read_to_string(BASELINE)?)?;
    let faults = before.compare(&now);
    if faults.is_empty() { Ok(()) } else { Err(before.explain(&now, &faults).into()) }
}

/// The counted process. Says how many units it counts.
fn be_counted(name: &str) -> Result<()> {
    let (_, make) = STEPS.iter().find(|(known, _)| *known == name).ok_or("no such step")?;
    let mut step = make()?;
    for _ in 0..WARM_UP {
        step.prepare()?;
        step.run()?;
    }
    for _ in 0..PASSES {
        step.prepare()?;
        counted_pass(step.as_mut())?;
    }
    println!("{}", step.units() * PASSES);
    Ok(())
}

/// callgrind counts while this is on the stack.
#[inline(never)]
fn counted_pass(step: &mut dyn Step) -> Result<()> {
    // No tail call: it would leave this function.
    black_box(step.run())
}

/// Instructions of one unit.
fn count(name: &str) -> Result<u64> {
    std::fs::create_dir_all(OUTPUT)?;
    let file = Path::new(OUTPUT).join(format!("callgrind.{name}"));
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=*counted_pass*")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["--step", name])
        .env("GLIBC_TUNABLES", TUNABLES)
        .output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let units: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let counted = std::fs::read_to_string(&file)?;
    let total = counted.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.ok_or("callgrind wrote no total")?.trim().parse()?;
    if total == 0 {
        return Err("callgrind did not see counted_pass".into());
    }
    Ok(total / units)
}

impl Baseline {
    /// A line for each step on standard output; those outside the tolerance.
    fn compare(&self, now: &Self) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, count) in &now.instructions {
            let Some(before) = self.instructions.get(name) else {
                faults.push(format!("{name}: not in the baseline"));
                continue;
            };
            let line = format!("{name:<16} {count:>7} instructions a unit, baseline {before:>7}");
            println!("{line}");
            if count * 100 > before * (100 + TOLERANCE) {
                faults.push(format!("{line}: over {TOLERANCE} % more"));
            } else if count * 100 < before * (100 - TOLERANCE) {
                faults.push(format!("{line}: over {TOLERANCE} % less, write the baseline anew"));
            }
        }
        let gone = self.instructions.keys().filter(|name| !now.instructions.contains_key(*name));
        faults.extend(gone.map(|name| format!("{name}: in the baseline alone")));
        faults
    }

    fn explain(&self, now: &Self, faults: &[String]) -> String {
        let mut text = faults.join("\n");
        for (before, now) in
            [(&self.rustc, &now.rustc), (&self.libc, &now.libc), (&self.valgrind, &now.valgrind)]
        {
            if before != now {
                let _infallible =
                    write!(text, "\nthe baseline was written with {before}, this is {now}");
            }
        }
        let _infallible = write!(
            text,
            "\nthe profile of a step: callgrind_annotate {OUTPUT}/callgrind.STEP\nif the figures are right as they \
             are: CAMLOCK_WRITE_BASELINE=1 cargo bench --bench instructions, and say in the commit why"
        );
        text
    }

    fn to_toml(&self) -> Result<String> {
        let Self { rustc, libc, valgrind, instructions } = self;
        let mut text = format!(
            "# Instructions of each step of the hot path for one access unit (or RTSP message).\n\
             # Written by `CAMLOCK_WRITE_BASELINE=1 cargo bench --bench instructions`.\n\
             rustc = {rustc:?}\nlibc = {libc:?}\nvalgrind = {valgrind:?}\n\n[instructions]\n"
        );
        for (name, count) in instructions {
            writeln!(text, "{name} = {count}")?;
        }
        Ok(text)
    }
}

/// What a command says of itself.
fn said_by(command: &str, argument: &str) -> Result<String> {
    let said = Command::new(command).arg(argument).output();
    let said = said.map_err(|error| format!("{command}: {error}"))?;
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}
