//! The steps of the hot path, each alone: what `micro` times and `instructions` counts.
//!
//! The load is that of the other benches: a simulated camera of 4 Mbit/s, 25 pictures a second, a key frame each
//! second; one pass is that second. Everything is the same from run to run.

mod airlock;
mod hub;
mod media;
mod messages;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use camlock::app::simulator::{Audio, ClipName, Feed, PatternCodec, PatternSettings, Source, Unit};
use camlock::media::{AccessUnit, Published};
use camlock::wire::rtp;

use media::{Form, Plan, PolicyStep};

/// What goes wrong ends the bench.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A step of the hot path.
pub(crate) trait Step {
    /// Access units, or messages, of one pass.
    fn units(&self) -> usize;
    /// Bytes that one pass takes in.
    fn bytes(&self) -> usize;
    /// Makes the next pass ready, and drops what the last one left.
    fn prepare(&mut self) -> Result<()>;
    /// One pass: this is what is measured.
    fn run(&mut self) -> Result<()>;
}

/// A step that is not made yet.
pub(crate) type Make = fn() -> Result<Box<dyn Step>>;

/// Every step by its name.
pub(crate) const STEPS: [(&str, Make); 13] = [
    ("airlock_h264", || airlock::step(PatternCodec::H264)),
    ("airlock_h265", || airlock::step(PatternCodec::H265)),
    ("policy_h264", || PolicyStep::pictures(PatternCodec::H264)),
    ("policy_h265", || PolicyStep::pictures(PatternCodec::H265)),
    ("policy_aac", PolicyStep::sound),
    ("packetise_h264", || Plan::step(PatternCodec::H264)),
    ("packetise_h265", || Plan::step(PatternCodec::H265)),
    ("form_h264", || Form::step(PatternCodec::H264)),
    ("form_h265", || Form::step(PatternCodec::H265)),
    ("hub", || hub::step(1)),
    ("hub_ten_readers", || hub::step(10)),
    ("rtsp_request", messages::requests),
    ("rtsp_response", messages::responses),
];

const KBIT: u32 = 4000;
const FPS: u32 = 25;
const GOP: u32 = 25;

/// One second of pictures.
fn pictures(codec: PatternCodec) -> Result<Vec<Unit>> {
    let settings = PatternSettings {
        codec,
        fps: FPS,
        gop: GOP,
        bit_rate: KBIT * 1000,
        ..PatternSettings::default()
    };
    let feed = Feed::new(Source::Pattern(settings), Audio::None, Duration::ZERO)?;
    Ok(feed.take(usize::try_from(GOP)?).collect())
}

/// As many frames of sound.
fn sound() -> Result<Vec<Unit>> {
    let feed = Feed::new(Source::Clip(ClipName::Door), Audio::Aac, Duration::ZERO)?;
    Ok(feed.filter(|unit| unit.track.id.0 == 1).take(usize::try_from(GOP)?).collect())
}

fn bytes(units: &[Unit]) -> usize {
    units.iter().map(|unit| unit.data.len()).sum()
}

/// Repeats the same units without end, each pass a second later.
#[derive(Debug)]
struct Clock {
    start: Instant,
    passes: u32,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as a beginning")]
    fn new() -> Self {
        Self { start: Instant::now(), passes: 0 }
    }

    fn next_pass(&mut self) {
        self.passes += 1;
    }

    /// When a unit of this pass comes.
    fn at(&self, unit: &Unit) -> Instant {
        self.start + Duration::from_secs(self.passes.into()) + unit.due
    }

    fn access_unit(&self, unit: &Unit) -> AccessUnit {
        let ticks = i64::from(unit.track.clock_rate) * i64::from(self.passes);
        let mut published = unit.clone().into_access_unit(self.at(unit), SystemTime::UNIX_EPOCH);
        published.ticks += ticks;
        published
    }
}

/// Numbers units as a stream does.
#[derive(Debug, Default)]
struct Numbers {
    seq: u16,
}

impl Numbers {
    fn publish(&mut self, unit: AccessUnit) -> Result<Published> {
        let plan = rtp::plan(&unit).ok_or("a unit with nothing in it")?;
        let first_seq = self.seq;
        self.seq = self.seq.wrapping_add(u16::try_from(plan.packets)?);
        let (unit, media) = unit.split();
        Ok(Published {
            rtp_time: u32::try_from(unit.ticks & i64::from(u32::MAX))?,
            unit,
            index: 0,
            first_seq,
            packets: plan.packets,
            octets: plan.octets,
            ssrc: 1,
            payload_type: 96,
            packets_before: 0,
            octets_before: 0,
            media,
        })
    }

    fn form(&mut self, unit: AccessUnit) -> Result<Bytes> {
        Ok(rtp::interleaved(&self.publish(unit)?))
    }
}
