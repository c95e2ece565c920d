//! The RTP numbers of a track. They belong to the stream and go on across camera reconnects.

use crate::media::{AccessUnit, Published, SharedForm};
use crate::rtp::{self, Plan};

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
    latest_ticks: i64,
}

impl Numbering {
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, seq: origin.seq, packets: 0, octets: 0, latest_ticks: 0 }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.origin.ssrc
    }

    /// The next sequence number.
    pub(super) fn seq(&self) -> u16 {
        self.seq
    }

    /// The RTP time of the latest unit: the best guess for the next one.
    pub(super) fn latest_rtp_time(&self) -> u32 {
        self.rtp_time(self.latest_ticks)
    }

    /// Numbers a unit whose packets `plan` counted.
    pub(super) fn publish(&mut self, unit: AccessUnit, index: u64, plan: Plan) -> Published {
        let (first_seq, packets_before, octets_before) = (self.seq, self.packets, self.octets);
        let (rtp_time, track) = (self.rtp_time(unit.ticks), &unit.track);
        self.latest_ticks = unit.ticks;
        self.seq = first_seq.wrapping_add(low_half(plan.packets));
        #[cfg(test)]
        if super::seeded::on(super::seeded::Bug::PacketCountedTwice) {
            self.seq = self.seq.wrapping_add(1);
        }
        self.packets = packets_before.wrapping_add(plan.packets);
        self.octets = octets_before.wrapping_add(plan.octets);
        Published {
            index,
            first_seq,
            packets: plan.packets,
            rtp_time,
            ssrc: self.origin.ssrc,
            payload_type: rtp::payload_type(track.id, &track.codec, track.clock_rate),
            packets_before,
            octets_before,
            interleaved: SharedForm::default(),
            unit,
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
