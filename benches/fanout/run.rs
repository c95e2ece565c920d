//! One server with its publisher and its readers, from start to the figures of one window.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::shared::child::Part;
use super::shared::gateway::{Load, Stand};
use super::shared::pace::Sent;
use super::shared::taken::{Taken, Wanted};
use super::shared::{Result, camera};

/// Who serves the readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Gateway,
    /// A bare rustls loop, one write for each unit.
    Limit,
    /// The same, one write for each RTP packet.
    Packets,
}

/// At which pace the publisher sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Real,
    /// With so many units under way.
    Saturating(usize),
}

/// What a window cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// TLS records as all readers got them.
    pub(crate) gbit: f64,
    /// CPU-seconds of the serving process.
    pub(crate) cpu: f64,
    pub(crate) seconds: f64,
    /// What all readers took to connect, seconds; not in the window.
    pub(crate) connect: f64,
    /// Units published, and those of them that waited for the gateway's bound on a camera.
    pub(crate) units: u64,
    pub(crate) bounded: u64,
    pub(crate) carried: Carried,
}

/// Whether the machine carried the load: all are 1 if so. If not, the figures say nothing about the server.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Carried {
    /// Units published in the window, of those that were due.
    pace: Option<f64>,
    /// What readers got in the window, of what was sent in it. Neither says anything if readers set the pace.
    in_time: Option<f64>,
    /// What the reader with the least, and the one with the most, got until all was quiet again, of what was sent.
    least: f64,
    most: f64,
}

impl Carried {
    pub(crate) fn is_overload(self) -> bool {
        let is_near = |share: f64| (share - 1.0).abs() <= TOLERANCE;
        let shares = [self.pace, self.in_time, Some(self.least), Some(self.most)];
        !shares.into_iter().flatten().all(is_near)
    }
}

impl Cost {
    /// Gbit for each CPU-second.
    pub(crate) fn rate(self) -> f64 {
        self.gbit / self.cpu
    }

    pub(crate) fn gbit_per_second(self) -> f64 {
        self.gbit / self.seconds
    }

    pub(crate) fn units_per_second(self) -> f64 {
        float(self.units) / self.seconds
    }

    pub(crate) fn cores(self) -> f64 {
        self.cpu / self.seconds
    }
}

/// How much of what was sent may be missing, or too much.
const TOLERANCE: f64 = 0.02;

/// The measurement of one server.
pub(crate) fn measure(
    server: Server,
    load: Load,
    readers: usize,
    pace: Pace,
    window: Duration,
) -> Result<Cost> {
    let starting = Instant::now();
    let mut run = Run::start(server, load, readers)?;
    let connect = starting.elapsed().as_secs_f64();
    let from = run.settle()?;
    match pace {
        Pace::Real => run.publisher().ask("real")?,
        Pace::Saturating(under_way) => {
            let port = run.readers.ask("listen")?;
            run.publisher().ask(&format!("saturate {port} {under_way}"))?
        }
    };
    // Readers, congestion windows and buffers get into their stride.
    std::thread::sleep(Duration::from_secs(1));
    if pace == Pace::Real {
        run.wait_for_mid_group(load)?;
    }
    let (started, before) = (Instant::now(), run.point()?);
    let cpu = run.serving().cpu_by_thread()?;
    std::thread::sleep(window);
    if pace == Pace::Real {
        run.wait_for_mid_group(load)?;
    }
    let (seconds, after) = (started.elapsed().as_secs_f64(), run.point()?);
    let cpu = run.serving().cpu_since(&cpu)?;

    let sent = after.sent - before.sent;
    if sent.units == 0 {
        return Err("a reader lost what it was sent: nobody asks for more".into());
    }
    let got = float(after.taken.media - before.taken.media) / float(readers as u64);
    let (least, most) = run.whole(from)?;
    let is_real = pace == Pace::Real;
    let pace = is_real.then(|| float(sent.units) / (seconds * f64::from(load.fps)));
    let in_time = is_real.then(|| got / float(sent.bytes));
    Ok(Cost {
        gbit: float(after.taken.wire - before.taken.wire) * 8.0 / 1e9,
        cpu,
        seconds,
        connect,
        units: sent.units,
        bounded: sent.bounded,
        carried: Carried { pace, in_time, least, most },
    })
}

struct Run {
    serving: Serving,
    readers: Part,
}

enum Serving {
    Gateway(Stand),
    /// It publishes what it serves.
    Loop {
        part: Part,
        _file: CaFile,
    },
}

/// Both sides at one moment.
struct Point {
    sent: Sent,
    taken: Taken,
}

impl Run {
    /// All readers connected.
    fn start(server: Server, load: Load, readers: usize) -> Result<Self> {
        let (serving, wanted) = match server {
            Server::Gateway => {
                let stand = Stand::with(camera::start(load)?)?;
                let (port, ca, stream) = (stand.port, stand.ca(), "c0/main".to_owned());
                (Serving::Gateway(stand), Wanted { port, ca, readers, stream })
            }
            Server::Limit => start_loop("unit", load, readers)?,
            Server::Packets => start_loop("packet", load, readers)?,
        };
        let mut run = Self { serving, readers: Part::role("readers", &wanted.arguments())? };
        run.readers.line()?;
        Ok(run)
    }

    fn serving(&self) -> &Part {
        match &self.serving {
            Serving::Gateway(stand) => &stand.gateway,
            Serving::Loop { part, .. } => part,
        }
    }

    fn publisher(&mut self) -> &mut Part {
        match &mut self.serving {
            Serving::Gateway(Stand { cameras, gateway, .. }) => {
                cameras.part.as_mut().unwrap_or(gateway)
            }
            Serving::Loop { part, .. } => part,
        }
    }

    /// Holds the publisher until all was read, and counts from there.
    fn settle(&mut self) -> Result<Sent> {
        self.publisher().ask("hold")?;
        self.readers.ask("quiet")?;
        Sent::parse(&self.publisher().ask("sent")?)
    }

    fn point(&mut self) -> Result<Point> {
        let sent = Sent::parse(&self.publisher().ask("sent")?)?;
        Ok(Point { sent, taken: Taken::parse(&self.readers.ask("taken")?)? })
    }

    /// A key frame is worth eight other pictures: one that is under way would blur what was sent and taken. A
    /// publisher that does not come there in time is found to be overloaded.
    fn wait_for_mid_group(&mut self, load: Load) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            let sent = Sent::parse(&self.publisher().ask("sent")?)?;
            if sent.units % u64::from(load.gop) == u64::from(load.gop / 2) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What the readers with the least and the most got of what was sent since `from`, however late.
    fn whole(&mut self, from: Sent) -> Result<(f64, f64)> {
        self.publisher().ask("hold")?;
        let taken = Taken::parse(&self.readers.ask("quiet")?)?;
        let sent = float((Sent::parse(&self.publisher().ask("sent")?)? - from).bytes);
        Ok((float(taken.least) / sent, float(taken.most) / sent))
    }
}

fn start_loop(writes: &str, load: Load, readers: usize) -> Result<(Serving, Wanted)> {
    let file =
        CaFile(std::env::temp_dir().join(format!("camlock-bench-{}.pem", std::process::id())));
    let ca = file.0.clone();
    let text = [load.kbit, load.fps, load.gop].map(|number| number.to_string());
    let mut arguments = vec![ca.display().to_string(), writes.to_owned()];
    arguments.extend(text);
    let mut server = Part::role("serve", &arguments)?;
    let port = server.line()?.parse()?;
    let wanted = Wanted { port, ca, readers, stream: String::new() };
    Ok((Serving::Loop { part: server, _file: file }, wanted))
}

struct CaFile(PathBuf);

impl Drop for CaFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of bytes and units, far below 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
