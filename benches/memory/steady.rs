//! What is held while nothing changes: the process, its readers, its cameras.

use std::time::Duration;

use super::shared::child::Part;
use super::shared::figures::setting;
use super::shared::gateway::{self, Load, Stand};
use super::shared::reader::Wanted;
use super::shared::{Result, figures};
use super::{CAMERA, IDLE, READER, row};

/// One camera and its readers.
#[derive(Debug, serde::Serialize)]
pub(super) struct Readers {
    pub readers: usize,
    pub none_kib: f64,
    pub all_kib: f64,
    pub each_kib: f64,
    /// Times a reader fell behind.
    pub lagged: f64,
}

/// Cameras without readers, with one each and with some each.
#[derive(Debug, serde::Serialize)]
pub(super) struct Cameras {
    cameras: u16,
    unread: Held,
    read: Held,
    /// For each camera more than the first measured: beside ring and reader.
    constant_kib: Option<f64>,
    budget: Option<Budget>,
}

/// Memory and how much of it the rings count.
#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Held {
    resident_kib: f64,
    rings_kib: f64,
}

/// Cameras that nobody watches.
#[derive(Debug, serde::Serialize)]
pub(super) struct Unwatched {
    pub cameras: u16,
    held: Held,
    /// The process included.
    pub each_kib: f64,
}

/// Some readers on each camera.
#[derive(Debug, serde::Serialize)]
struct Budget {
    readers: usize,
    held: Held,
    budget_kib: f64,
    /// Times a reader fell behind.
    lagged: f64,
}

/// The gateway without cameras.
pub(super) fn idle() -> Result<f64> {
    let stand = Stand::with(gateway::Cameras::elsewhere(Vec::new()))?;
    stand.wait_for(0)?;
    settle();
    resident_kib(&stand, 5)
}

pub(super) fn readers() -> Result<Readers> {
    let stand = Stand::start(load(1))?;
    stand.wait_for(1)?;
    drop(bring(&stand, 8, 1)?);
    settle();
    let none_kib = resident_kib(&stand, 10)?;
    let readers = setting("MEMORY_READERS", 1000);
    let _reading = bring(&stand, readers, 1)?;
    settle();
    let all_kib = resident_kib(&stand, setting("MEMORY_SECONDS", 30))?;
    let each_kib = (all_kib - none_kib) / number(readers)?;
    let lagged = stand.metric("camlock_stream_lagged_total")?;
    Ok(Readers { readers, none_kib, all_kib, each_kib, lagged })
}

/// Cameras of 4 Mbit/s with a group of two seconds, which nobody watches.
pub(super) fn unwatched() -> Result<Unwatched> {
    let cameras = setting("MEMORY_UNWATCHED", 200);
    let stand = Stand::start(Load { gop: 50, ..load(cameras) })?;
    stand.wait_for(cameras.into())?;
    settle();
    let held = Held::now(&stand)?;
    Ok(Unwatched { cameras, held, each_kib: held.resident_kib / f64::from(cameras) })
}

/// `first` is the measurement with the fewest cameras; what the first camera alone brings is not in the constant.
pub(super) fn cameras(count: u16, first: Option<&Cameras>) -> Result<Cameras> {
    let stand = Stand::start(load(count))?;
    stand.wait_for(count.into())?;
    settle();
    let unread = Held::now(&stand)?;
    let one_each = bring(&stand, count.into(), count)?;
    settle();
    let read = Held::now(&stand)?;
    let constant_kib = first.filter(|first| first.cameras < count).map(|first| {
        let beside = |held: Held| held.resident_kib - held.rings_kib;
        (beside(read) - beside(first.read)) / f64::from(count - first.cameras) - READER
    });
    let each = setting("MEMORY_EACH", 5);
    let budget = if count >= 200 && each > 1 {
        let _more = bring(&stand, usize::from(count) * (each - 1), count)?;
        settle();
        Some(Budget::now(&stand, count, usize::from(count) * each)?)
    } else {
        None
    };
    drop(one_each);
    Ok(Cameras { cameras: count, unread, read, constant_kib, budget })
}

impl Cameras {
    pub(super) fn print(&self) {
        if let Some(constant_kib) = self.constant_kib {
            let what = format!("each of {} cameras beside ring and reader", self.cameras);
            row(&what, constant_kib, CAMERA);
        }
        for (how, held) in [("no reader", self.unread), ("a reader each", self.read)] {
            let cameras = f64::from(self.cameras);
            println!(
                "| {} cameras, {how}: all; for each camera its ring | {:.0}; {:.0} | | |",
                self.cameras,
                held.resident_kib,
                held.rings_kib / cameras
            );
        }
        if let Some(budget) = &self.budget {
            let what = format!("{} cameras, {} readers", self.cameras, budget.readers);
            row(&what, budget.held.resident_kib, budget.budget_kib);
            println!(
                "| of this budget: process; rings; cameras; readers | {IDLE:.0}; {:.0}; {:.0}; {:.0} | | |",
                budget.held.rings_kib,
                CAMERA * f64::from(self.cameras),
                budget.budget_kib - IDLE - budget.held.rings_kib - CAMERA * f64::from(self.cameras),
            );
        }
    }
}

impl Held {
    fn now(stand: &Stand) -> Result<Self> {
        let (mut resident, mut rings) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            resident.push(stand.gateway.resident_kib()?.to_string().parse()?);
            rings.push(stand.metric("camlock_stream_ring_bytes")? / 1024.0);
            std::thread::sleep(Duration::from_millis(500));
        }
        let median = |figures: &[f64]| figures::spread(figures).median;
        Ok(Self { resident_kib: median(&resident), rings_kib: median(&rings) })
    }
}

impl Budget {
    fn now(stand: &Stand, cameras: u16, readers: usize) -> Result<Self> {
        let held = Held::now(stand)?;
        let budget_kib =
            IDLE + held.rings_kib + CAMERA * f64::from(cameras) + READER * number(readers)?;
        let lagged = stand.metric("camlock_stream_lagged_total")?;
        Ok(Self { readers, held, budget_kib, lagged })
    }
}

/// The median of a reading each half second.
pub(super) fn resident_kib(stand: &Stand, seconds: u64) -> Result<f64> {
    let mut readings = Vec::new();
    for _ in 0..2 * seconds {
        readings.push(stand.gateway.resident_kib()?.to_string().parse()?);
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(figures::spread(&readings).median)
}

/// Until the rings are full and buffers have their size.
pub(super) fn settle() {
    std::thread::sleep(Duration::from_secs(setting("MEMORY_SETTLE", 10)));
}

/// Readers, spread over the streams, that play.
fn bring(stand: &Stand, readers: usize, streams: u16) -> Result<Part> {
    let wanted = Wanted { port: stand.port, ca: stand.ca(), readers, streams };
    let mut part = Part::role("readers", &wanted.arguments())?;
    part.line()?;
    Ok(part)
}

fn load(cameras: u16) -> Load {
    Load { cameras, kbit: 4000, fps: 25, gop: 25 }
}

fn number(count: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(count)?))
}
