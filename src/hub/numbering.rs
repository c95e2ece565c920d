//! The RTP numbers of a track. They belong to the stream and go on across camera reconnects.

use std::time::Instant;

use crate::media::{AccessUnit, Published};
use crate::wire::rtp::{self, Plan};

/// Where a track's numbers begin; random (RFC 3550 5.1, 8.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) ssrc: u32,
    pub(super) seq: u16,
    pub(super) rtp_time: u32,
}

/// What the next unit of a track gets.
#[derive(Debug, Clone)]
pub(super) struct Numbering {
    origin: Origin,
    seq: u16,
    packets: u32,
    octets: u32,
    latest: Option<Latest>,
    flow: Flow,
}

#[derive(Debug, Clone, Copy)]
struct Latest {
    ticks: i64,
    received: Instant,
}

/// Whether units come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Flows,
    Away,
}

impl Numbering {
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, seq: origin.seq, packets: 0, octets: 0, latest: None, flow: Flow::Flows }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.origin.ssrc
    }

    /// The next sequence number.
    pub(super) fn seq(&self) -> u16 {
        self.seq
    }

    /// The best guess, made at `now`, for the RTP time of the next unit: that of the latest, plus the time
    /// since then if the camera went away.
    pub(super) fn next_rtp_time(&self, now: Instant, clock_rate: u32) -> u32 {
        let Some(latest) = self.latest else { return self.rtp_time(0) };
        let away = match self.flow {
            Flow::Flows => 0,
            Flow::Away => {
                let away = now.saturating_duration_since(latest.received).as_nanos();
                let ticks = away.saturating_mul(clock_rate.into()) / 1_000_000_000;
                i64::try_from(ticks).unwrap_or(i64::MAX)
            }
        };
        self.rtp_time(latest.ticks.saturating_add(away))
    }

    /// The camera is away: its timeline goes on by the clock.
    pub(super) fn pause(&mut self) {
        self.flow = Flow::Away;
    }

    /// Numbers a unit whose packets `plan` counted.
    pub(super) fn publish(&mut self, unit: AccessUnit, index: u64, plan: Plan) -> Published {
        let (unit, media) = unit.split();
        let (first_seq, packets_before, octets_before) = (self.seq, self.packets, self.octets);
        let (rtp_time, track) = (self.rtp_time(unit.ticks), &unit.track);
        self.latest = Some(Latest { ticks: unit.ticks, received: unit.received });
        self.flow = Flow::Flows;
        self.seq = first_seq.wrapping_add(low_half(plan.packets));
        self.packets = packets_before.wrapping_add(plan.packets);
        self.octets = octets_before.wrapping_add(plan.octets);
        Published {
            index,
            first_seq,
            packets: plan.packets,
            octets: plan.octets,
            rtp_time,
            ssrc: self.origin.ssrc,
            payload_type: rtp::payload_type(track.id, &track.codec, track.clock_rate),
            packets_before,
            octets_before,
            unit,
            media,
        }
    }

    /// Ticks modulo 2^32 on the random base.
    fn rtp_time(&self, ticks: i64) -> u32 {
        let [_, _, _, _, low @ ..] = ticks.to_be_bytes();
        self.origin.rtp_time.wrapping_add(u32::from_be_bytes(low))
    }
}

/// Modulo 2^16.
fn low_half(n: u32) -> u16 {
    let [_, _, low @ ..] = n.to_be_bytes();
    u16::from_be_bytes(low)
}
