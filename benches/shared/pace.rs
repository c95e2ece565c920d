//! At which pace units are published, by the simulated camera and by the loops alike.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use camlock::ops::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Result, child};

/// What the publisher does; its owner says so by lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// A unit every half second, while readers connect: the gateway sees that its camera lives.
    Drip,
    Real,
    Held,
    /// The next unit as soon as the slowest reader took one: as heard on this port of the readers, and with so many
    /// units under way.
    Saturating(u16, usize),
}

/// Something that can send the next unit.
pub trait Publisher: Send + 'static {
    /// Sends it; its bytes, in the interleaved form.
    fn push(&mut self) -> impl Future<Output = Result<u64>> + Send;
}

/// What was published so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    pub units: u64,
    /// Of interleaved RTP packets: without TLS, and without sender reports.
    pub bytes: u64,
    /// Units that all readers waited for, since the gateway lets no camera send faster.
    pub bounded: u64,
}

#[derive(Debug, Default)]
struct Counters {
    units: AtomicU64,
    bytes: AtomicU64,
    bounded: AtomicU64,
}

/// Publishes at the pace that standard input asks for: `drip` (which it starts with), `real`, `hold` and
/// `saturate PORT UNITS-UNDER-WAY`; `sent` is answered with [`Sent`]. Returns when standard input ends.
pub fn publish(
    runtime: &tokio::runtime::Runtime,
    fps: u32,
    publisher: impl Publisher,
) -> Result<()> {
    let counters = Arc::new(Counters::default());
    let (ask, asked) = watch::channel(Pace::Drip);
    let driver = Driver { publisher, fps, counters: Arc::clone(&counters), asked };
    let failed = Arc::new(OnceLock::new());
    let fails = Arc::clone(&failed);
    runtime.spawn(async move {
        if let Err(error) = driver.run().await {
            fails.get_or_init(|| error.to_string());
        }
    });
    child::answer_lines(|line| {
        if let Some(error) = failed.get() {
            return format!("the publisher ended: {error}");
        }
        if let Some(pace) = Pace::parse(line) {
            ask.send_replace(pace);
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let (units, bytes) = (read(&counters.units), read(&counters.bytes));
        format!("{units} {bytes} {}", read(&counters.bounded))
    })
}

impl Pace {
    fn parse(line: &str) -> Option<Self> {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["real"] => Some(Self::Real),
            ["hold"] => Some(Self::Held),
            ["saturate", port, under_way] => {
                Some(Self::Saturating(port.parse().ok()?, under_way.parse().ok()?))
            }
            _ => None,
        }
    }
}

impl Sent {
    /// What a publisher answers.
    pub fn parse(line: &str) -> Result<Self> {
        let numbers: Option<Vec<u64>> = line.split(' ').map(|word| word.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[units, bytes, bounded]) => Ok(Self { units, bytes, bounded }),
            _ => Err(line.into()),
        }
    }
}

impl std::ops::Sub for Sent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            units: self.units - before.units,
            bytes: self.bytes - before.bytes,
            bounded: self.bounded - before.bounded,
        }
    }
}

struct Driver<P> {
    publisher: P,
    fps: u32,
    counters: Arc<Counters>,
    asked: watch::Receiver<Pace>,
}

impl<P: Publisher> Driver<P> {
    async fn run(mut self) -> Result<()> {
        loop {
            let pace = *self.asked.borrow_and_update();
            match pace {
                Pace::Drip => self.steadily(Duration::from_millis(500)).await?,
                Pace::Real => self.steadily(Duration::from_secs(1) / self.fps).await?,
                Pace::Held => self.asked.changed().await?,
                Pace::Saturating(port, under_way) => self.saturate(port, under_way).await?,
            }
        }
    }

    async fn steadily(&mut self, every: Duration) -> Result<()> {
        let mut pace = tokio::time::interval(every);
        loop {
            tokio::select! {
                biased;
                changed = self.asked.changed() => return Ok(changed?),
                _ = pace.tick() => {}
            }
            self.push().await?;
        }
    }

    /// Until the pace changes.
    async fn saturate(&mut self, port: u16, under_way: usize) -> Result<()> {
        let mut readers = TcpStream::connect(("127.0.0.1", port)).await?;
        readers.set_nodelay(true)?;
        let mut bound = Bound { next: Instant::now() };
        // Where each unit that not all readers took ends.
        let (mut ends, mut end) = (VecDeque::new(), 0);
        while !self.asked.has_changed()? {
            if bound.wait().await {
                self.counters.bounded.fetch_add(1, Ordering::SeqCst);
            }
            let bytes = self.push().await?;
            bound.sent(bytes);
            end += bytes;
            ends.push_back(end);
            if ends.len() < under_way {
                continue;
            }
            if let Some(end) = ends.pop_front() {
                readers.write_u64(end).await?;
                readers.read_u64().await?;
            }
        }
        Ok(())
    }

    async fn push(&mut self) -> Result<u64> {
        let bytes = self.publisher.push().await?;
        self.counters.units.fetch_add(1, Ordering::SeqCst);
        self.counters.bytes.fetch_add(bytes, Ordering::SeqCst);
        Ok(bytes)
    }
}

/// What the gateway takes from a camera at most: a saturating one stays just below, and the loops like it.
struct Bound {
    next: Instant,
}

impl Bound {
    /// How far the publisher may fall behind and catch up.
    const SLACK: Duration = Duration::from_millis(20);

    /// Whether it had to wait.
    async fn wait(&self) -> bool {
        let is_early = Instant::now() < self.next;
        if is_early {
            sleep_until(self.next).await;
        }
        is_early
    }

    fn sent(&mut self, bytes: u64) {
        let units = f64::from(limits::UNITS_PER_SECOND).recip();
        #[expect(clippy::cast_precision_loss, reason = "of a few megabytes")]
        let bytes = bytes as f64 / limits::CAMERA_BYTES_PER_SECOND as f64;
        let least = Duration::from_secs_f64(units.max(bytes) * 1.03);
        let earliest = Instant::now().checked_sub(Self::SLACK).unwrap_or(self.next);
        self.next = self.next.max(earliest) + least;
    }
}
