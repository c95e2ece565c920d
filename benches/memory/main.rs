//! `cargo bench --bench memory`: what the gateway holds: idle, for each reader, for each camera; and what stays
//! behind when readers and cameras come and go.
//!
//! Counted is the resident memory (`VmRSS`) of the gateway alone; cameras and readers run in processes of their
//! own. What the kernel holds (socket buffers) is not in it. A reading is the median of one each half second.
//!
//! - idle: the gateway without cameras, some seconds after its start;
//! - a reader: one camera of 4 Mbit/s, 25 pictures a second, a key frame each second, at real pace; 0 and then N
//!   readers over TLS 1.3, read for 30 s. Before the first reading the ring is full and a few readers have come and gone;
//! - a camera: N of them, a reader each, less the
//!   rings (`camlock_stream_ring_bytes`), the readers, and what the gateway has with the fewest cameras. Without readers
//!   too: then the rings hold the current group alone;
//! - a camera nobody watches: 200 of 4 Mbit/s with a key frame every two seconds; all that the process has, shared among them;
//! - the budget of 200 cameras with 5 readers each: the sum of the constants below and the rings;
//! - churn: 10,000 connections, half of which end in the middle of the handshake or of the media, and 2,000 times a
//!   camera that drops its connection, in four turns. Before the first reading there are two such turns that do not
//!   count: the allocator then has what as many connections at once ask for. Each reading waits until tasks and
//!   descriptors stand still. Readers come from several addresses of 127.0.0.0/8, so that none is held up by the
//!   places before login of one source.
//!
//! `MEMORY_PARTS` (idle,unwatched,readers,cameras,churn), `MEMORY_UNWATCHED` (200 cameras), `MEMORY_READERS` (1000), `MEMORY_SECONDS` (30), `MEMORY_SETTLE` (10),
//! `MEMORY_CAMERAS` (1,50,100,200), `MEMORY_EACH` (5 readers), `MEMORY_CONNECTS` (10000) and `MEMORY_DROPPERS` (500
//! cameras that drop four times) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod churn;
#[path = "../shared/mod.rs"]
mod shared;
mod steady;

use shared::figures::{self, setting};
use shared::{Result, child, reader};

/// Targets, KiB. The gateway with nothing to do.
const IDLE: f64 = 25.0 * 1024.0;
/// A reader that keeps up.
const READER: f64 = 60.0;
/// A camera stream of 4 Mbit/s beside its ring: airlock, depacketiser, task, and what the allocator
/// rounds up.
const CAMERA: f64 = 2.5 * 1024.0;
/// A camera of 4 Mbit/s with a group of 2 s that nobody watches: 1.3 times the media of a group, and 0.3 MiB.
const UNWATCHED: f64 = 1.3 * 1_000_000.0 / 1024.0 + 0.3 * 1024.0;
/// What may stay behind after the churn.
const DRIFT: f64 = 2.0 * 1024.0;

#[derive(Debug, Default, serde::Serialize)]
struct Figures {
    idle_kib: Option<f64>,
    unwatched: Option<steady::Unwatched>,
    readers: Option<steady::Readers>,
    cameras: Vec<steady::Cameras>,
    churn: Option<churn::Churn>,
}

fn main() -> Result<()> {
    match child::role() {
        Some((role, arguments)) if role == "readers" => return reader::role(&arguments),
        Some((role, arguments)) if role == "comers" => return churn::comers(&arguments),
        Some((role, arguments)) if role == "droppers" => return churn::droppers(&arguments),
        Some((role, _)) => return Err(format!("no role {role}").into()),
        None => {}
    }
    let parts = setting("MEMORY_PARTS", "idle,unwatched,readers,cameras,churn".to_owned());
    let wanted = |part: &str| parts.split(',').any(|name| name.trim() == part);
    println!("memory: resident KiB of the gateway alone\n");
    println!("| what | measured | target | |");
    println!("|---|---|---|---|");
    let mut figures = Figures::default();
    if wanted("idle") {
        let idle = steady::idle()?;
        row("idle", idle, IDLE);
        figures.idle_kib = Some(idle);
    }
    if wanted("unwatched") {
        let unwatched = steady::unwatched()?;
        let what = format!("each of {} cameras nobody watches", unwatched.cameras);
        row(&what, unwatched.each_kib, UNWATCHED);
        figures.unwatched = Some(unwatched);
    }
    if wanted("readers") {
        let readers = steady::readers()?;
        row(&format!("each of {} readers", readers.readers), readers.each_kib, READER);
        println!(
            "| one camera with 0 and with all readers | {:.0}, {:.0} | | |",
            readers.none_kib, readers.all_kib
        );
        figures.readers = Some(readers);
    }
    if wanted("cameras") {
        for count in setting("MEMORY_CAMERAS", "1,50,100,200".to_owned()).split(',') {
            let cameras = steady::cameras(count.trim().parse()?, figures.cameras.first())?;
            cameras.print();
            figures.cameras.push(cameras);
        }
    }
    if wanted("churn") {
        let churn = churn::measure()?;
        churn.print();
        figures.churn = Some(churn);
    }
    figures::write_json("memory", &figures)
}

/// A line with a target.
fn row(what: &str, measured: f64, target: f64) {
    println!("| {what} | {measured:.0} | at most {target:.0} | {} |", verdict(measured <= target));
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}
