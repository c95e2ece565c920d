//! The media policy, and the forms of what it lets through.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use camlock::app::simulator::{PatternCodec, Unit};
use camlock::media::{AccessUnit, Clean, Codec, Policy, Published};
use camlock::wire::rtp;

use super::{Clock, Numbers, Result, Step, bytes, pictures, sound};

/// Access units as the depacketiser gives them.
pub(super) struct PolicyStep {
    policy: Policy,
    units: Vec<Bytes>,
    ready: Vec<Bytes>,
    cleaned: Vec<Clean>,
}

impl PolicyStep {
    /// Pictures of one slice, each key frame behind its parameter sets.
    pub(super) fn pictures(codec: PatternCodec) -> Result<Box<dyn Step>> {
        Self::step(&pictures(codec)?)
    }

    pub(super) fn sound() -> Result<Box<dyn Step>> {
        Self::step(&sound()?)
    }

    fn step(units: &[Unit]) -> Result<Box<dyn Step>> {
        let track = Arc::clone(&units.first().ok_or("no units")?.track);
        let units: Vec<_> = units.iter().map(from_camera).collect::<Result<_>>()?;
        let (ready, cleaned) = (Vec::new(), Vec::with_capacity(units.len()));
        Ok(Box::new(Self { policy: Policy::new(track), units, ready, cleaned }))
    }
}

impl Step for PolicyStep {
    fn units(&self) -> usize {
        self.units.len()
    }

    fn bytes(&self) -> usize {
        self.units.iter().map(Bytes::len).sum()
    }

    fn prepare(&mut self) -> Result<()> {
        self.cleaned.clear();
        self.ready.clone_from(&self.units);
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        for unit in self.ready.drain(..) {
            self.cleaned.push(self.policy.clean(unit).map_err(|reason| format!("{reason:?}"))?);
        }
        Ok(())
    }
}

fn from_camera(unit: &Unit) -> Result<Bytes> {
    if !unit.random_access {
        return Ok(unit.data.clone());
    }
    let sets = match &unit.track.codec {
        Codec::H264(p) => vec![&p.sps, &p.pps],
        Codec::H265(p) => vec![&p.vps, &p.sps, &p.pps],
        Codec::Jpeg(_)
        | Codec::Aac(_)
        | Codec::Pcma { .. }
        | Codec::Pcmu { .. }
        | Codec::G726(_)
        | Codec::L16 { .. } => vec![],
    };
    let mut data = BytesMut::new();
    for set in sets {
        data.put_u32(u32::try_from(set.len())?);
        data.put_slice(set);
    }
    data.put_slice(&unit.data);
    Ok(data.freeze())
}

/// The packets of a unit, walked and counted as at publish.
pub(super) struct Plan {
    units: Vec<AccessUnit>,
    packets: u32,
}

impl Plan {
    pub(super) fn step(codec: PatternCodec) -> Result<Box<dyn Step>> {
        let clock = Clock::new();
        let units = pictures(codec)?.iter().map(|unit| clock.access_unit(unit)).collect();
        Ok(Box::new(Self { units, packets: 0 }))
    }
}

impl Step for Plan {
    fn units(&self) -> usize {
        self.units.len()
    }

    fn bytes(&self) -> usize {
        self.units.iter().map(|unit| unit.data.len()).sum()
    }

    fn prepare(&mut self) -> Result<()> {
        self.packets = 0;
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        for unit in &self.units {
            self.packets += rtp::plan(unit).ok_or("a unit without a plan")?.packets;
        }
        Ok(())
    }
}

/// The interleaved form, as the first reader builds it.
pub(super) struct Form {
    units: Vec<Unit>,
    numbers: Numbers,
    clock: Clock,
    ready: Vec<Published>,
}

impl Form {
    pub(super) fn step(codec: PatternCodec) -> Result<Box<dyn Step>> {
        let units = pictures(codec)?;
        let numbers = Numbers::default();
        Ok(Box::new(Self { units, numbers, clock: Clock::new(), ready: Vec::new() }))
    }
}

impl Step for Form {
    fn units(&self) -> usize {
        self.units.len()
    }

    fn bytes(&self) -> usize {
        bytes(&self.units)
    }

    fn prepare(&mut self) -> Result<()> {
        self.clock.next_pass();
        self.ready.clear();
        for unit in &self.units {
            self.ready.push(self.numbers.publish(self.clock.access_unit(unit))?);
        }
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        for published in &self.ready {
            if rtp::interleaved(published).is_empty() {
                return Err("a unit without a form".into());
            }
        }
        Ok(())
    }
}
