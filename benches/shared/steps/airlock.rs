//! A camera's interleaved frames, checked and depacketised.

use std::time::Instant;

use bytes::BytesMut;
use camlock::app::simulator::{PatternCodec, Unit};
use camlock::ingest::camera::airlock::EndReason;
use camlock::ingest::camera::airlock::bench::Passage;
use camlock::wire::rtsp::{DescribedTrack, describe};

use super::{Clock, Numbers, Result, Step, bytes, pictures};

/// One track's media on its way through the airlock, an access unit at a time, as they come off the socket.
struct Airlock {
    passage: Passage,
    units: Vec<Unit>,
    clock: Clock,
    numbers: Numbers,
    ready: Vec<(BytesMut, Instant)>,
}

pub(super) fn step(codec: PatternCodec) -> Result<Box<dyn Step>> {
    let units = pictures(codec)?;
    let clock = Clock::new();
    let track = &units.first().ok_or("no pictures")?.track;
    let description = describe(1, 1, &[DescribedTrack { track, payload_type: 96 }]);
    let passage = Passage::open(&description, clock.start).map_err(said)?;
    let numbers = Numbers::default();
    Ok(Box::new(Airlock { passage, units, clock, numbers, ready: Vec::new() }))
}

fn said(reason: EndReason) -> String {
    format!("the airlock ended the session: {reason}")
}

impl Step for Airlock {
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
            let form = self.numbers.form(self.clock.access_unit(unit))?;
            self.ready.push((BytesMut::from(&form[..]), self.clock.at(unit)));
        }
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        for (frames, now) in &mut self.ready {
            if self.passage.unit(frames, *now).map_err(said)? == 0 {
                return Err("the airlock let nothing through".into());
            }
        }
        Ok(())
    }
}
