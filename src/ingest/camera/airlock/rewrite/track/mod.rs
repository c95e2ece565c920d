//! One track's media: source, sequence, size and framing of its packets.

#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::BytesMut;

use super::budget::Budget;
use super::counts::Counts;
use super::framing::{Bad, Framing};
use super::packet::{OVERHEAD, Rtp, SenderReport};
use crate::ingest::camera::airlock::{Encoding, EndReason};
use crate::ops::limits;

/// A track that was set up, playing.
#[derive(Debug)]
pub(super) struct Track {
    /// Channel towards the depacketiser; RTCP has the next.
    channel: u8,
    payload_type: u8,
    own_source: u32,
    /// The camera's own. It does not filter: some cameras send another one than they declare.
    declared: u8,
    source: Source,
    sequence: Sequence,
    unit: Unit,
    units: Budget,
    reports: Budget,
    held_report: Option<SenderReport>,
    framing: Framing,
    pending: Pending,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Passed on.
    Passed,
    /// Dropped; nobody's fault.
    Dropped,
    /// Dropped; the packet breaks the rules.
    Struck,
}

impl Track {
    /// `index` is the track's place towards the depacketiser; `announced` the source of the SETUP answer.
    pub(super) fn new(
        index: u8,
        channel: u8,
        encoding: Encoding,
        declared: u8,
        announced: Option<u32>,
        now: Instant,
    ) -> Self {
        let rate = u64::from(limits::UNITS_PER_SECOND);
        let reports = u64::from(limits::RTCP_PER_SECOND);
        Self {
            channel,
            payload_type: payload_type(index),
            own_source: u32::from(index).saturating_add(1),
            declared,
            source: Source { announced, current: None, heard: now },
            sequence: Sequence::default(),
            unit: Unit::default(),
            units: Budget::new(rate, u64::from(limits::UNITS_BURST), now),
            reports: Budget::new(reports, reports, now),
            held_report: None,
            framing: Framing::new(encoding),
            pending: Pending::default(),
        }
    }

    /// Expects `sequence` first, as `RTP-Info` says. 0 and 1 are what cameras write that do not know.
    pub(super) fn expect(&mut self, sequence: Option<u16>) {
        self.sequence.next = sequence.filter(|s| *s > 1);
    }

    /// The sequence number the first packet passed on has, if nothing was lost before it.
    pub(super) const FIRST_SEQUENCE: u16 = 1000;

    /// Checks a packet of the camera and passes it on with our header.
    pub(super) fn media(
        &mut self,
        packet: &[u8],
        now: Instant,
        out: &mut BytesMut,
        counts: &mut Counts,
    ) -> Result<Fate, EndReason> {
        let Some(rtp) = Rtp::parse(packet) else {
            counts.dropped_header = counts.dropped_header.saturating_add(1);
            return Ok(Fate::Struck);
        };
        // GeoVision cameras mix in packets of type 50 that are no media.
        if rtp.payload_type == 50 && self.declared != 50 {
            counts.dropped_payload = counts.dropped_payload.saturating_add(1);
            return Ok(Fate::Dropped);
        }
        counts.odd.other_payload_type |= rtp.payload_type != self.declared;
        match self.source.accept(rtp.source, now) {
            Heard::Same => {}
            Heard::New => {
                counts.odd.other_source |= self.source.announced.is_some_and(|s| s != rtp.source);
                self.sequence.restart();
                self.held_report = self.held_report.filter(|r| r.source == rtp.source);
            }
            Heard::Stale => {
                counts.dropped_source = counts.dropped_source.saturating_add(1);
                return Ok(Fate::Dropped);
            }
        }
        let Some(lost) = self.sequence.accept(rtp.sequence) else {
            counts.dropped_sequence = counts.dropped_sequence.saturating_add(1);
            return Ok(Fate::Dropped);
        };
        counts.lost = counts.lost.saturating_add(u64::from(lost));
        if self.sequence.gap {
            self.framing.lose();
        }
        self.pass(rtp, now, out, counts)
    }

    fn pass(
        &mut self,
        rtp: Rtp<'_>,
        now: Instant,
        out: &mut BytesMut,
        counts: &mut Counts,
    ) -> Result<Fate, EndReason> {
        if self.unit.begins(rtp.timestamp) && !self.units.take(1, now) {
            return Err(EndReason::UnitRate);
        }
        let checked = match self.framing.check(rtp.payload, rtp.timestamp, rtp.marker) {
            Ok(checked) => checked,
            Err(bad) => {
                counts.dropped_payload = counts.dropped_payload.saturating_add(1);
                self.sequence.gap = true;
                return match bad {
                    Bad::Broken => Ok(Fate::Struck),
                    Bad::Orphan => Ok(Fate::Dropped),
                    Bad::Form(form) => Err(EndReason::Jpeg(form)),
                };
            }
        };
        let bytes = rtp.payload.len().saturating_add(OVERHEAD);
        self.unit.add(bytes, checked.units, checked.marker)?;
        self.pending.add(checked.units)?;
        self.sequence.gap |= checked.torn;
        counts.odd.no_markers |= checked.marker && !rtp.marker;
        let own = Rtp {
            marker: checked.marker,
            payload_type: self.payload_type,
            sequence: self.sequence.number(),
            source: self.own_source,
            ..rtp
        };
        if let Some(report) = self.held_report.take().filter(|r| r.source == rtp.source) {
            self.report_out(report, out, counts);
        }
        own.write(self.channel, out);
        counts.packets = counts.packets.saturating_add(1);
        counts.media_bytes =
            counts.media_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(Fate::Passed)
    }

    /// Passes a sender report on, re-built. One that comes before the first packet is held until
    /// that tells whose it is.
    pub(super) fn control(
        &mut self,
        compound: &[u8],
        now: Instant,
        out: &mut BytesMut,
        counts: &mut Counts,
    ) {
        let report = SenderReport::parse(compound).filter(|_| self.reports.take(1, now));
        match (report, self.source.current) {
            (Some(report), None) => self.held_report = Some(report),
            (Some(report), Some(current)) if report.source == current => {
                self.report_out(report, out, counts);
            }
            (Some(_), Some(_)) | (None, _) => {
                counts.dropped_rtcp = counts.dropped_rtcp.saturating_add(1);
            }
        }
    }

    /// The depacketiser gave a unit of this track.
    pub(super) fn acknowledged(&mut self) {
        self.pending = Pending::default();
    }

    fn report_out(&self, report: SenderReport, out: &mut BytesMut, counts: &mut Counts) {
        counts.sender_reports = counts.sender_reports.saturating_add(1);
        SenderReport { source: self.own_source, ..report }
            .write(self.channel.saturating_add(1), out);
    }
}

/// The payload type a track has towards the depacketiser.
pub(super) fn payload_type(index: u8) -> u8 {
    96_u8.saturating_add(index)
}

/// Which sender the track listens to. Old cameras send leftovers of closed sessions on new ones
/// (a live555 fault), and some announce another source than they send with.
#[derive(Debug)]
struct Source {
    announced: Option<u32>,
    current: Option<u32>,
    heard: Instant,
}

enum Heard {
    Same,
    New,
    Stale,
}

impl Source {
    fn accept(&mut self, source: u32, now: Instant) -> Heard {
        let heard = match self.current {
            Some(current) if current == source => Heard::Same,
            None => Heard::New,
            Some(_) if self.announced == Some(source) => Heard::New,
            Some(_)
                if now.saturating_duration_since(self.heard) >= limits::CAMERA_SOURCE_SILENCE =>
            {
                Heard::New
            }
            Some(_) => return Heard::Stale,
        };
        self.current = Some(source);
        self.heard = now;
        heard
    }
}

/// Own numbering towards the depacketiser. Every gap is one number wide, however many packets were
/// lost: it adds gaps up in 16 bits without care.
#[derive(Debug)]
struct Sequence {
    next: Option<u16>,
    own: u16,
    gap: bool,
    astray: Option<u16>,
}

impl Default for Sequence {
    fn default() -> Self {
        Self { next: None, own: Track::FIRST_SEQUENCE, gap: false, astray: None }
    }
}

impl Sequence {
    /// How many packets are missing before this one; `None`: it goes back and is dropped, unless it
    /// follows another that did (RFC 3550 A.1: then the sender restarted).
    fn accept(&mut self, sequence: u16) -> Option<u16> {
        let lost = sequence.wrapping_sub(self.next.unwrap_or(sequence));
        let restarted = self.astray.take() == Some(sequence);
        if lost >= 0x8000 && !restarted {
            self.astray = Some(sequence.wrapping_add(1));
            return None;
        }
        self.next = Some(sequence.wrapping_add(1));
        self.gap |= lost > 0;
        Some(if restarted { 1 } else { lost })
    }

    fn restart(&mut self) {
        self.gap |= self.own != Track::FIRST_SEQUENCE;
        if self.own != Track::FIRST_SEQUENCE {
            self.next = None;
        }
    }

    fn number(&mut self) -> u16 {
        let number = if self.gap { self.own.wrapping_add(1) } else { self.own };
        self.gap = false;
        self.own = number.wrapping_add(1);
        number
    }
}

/// The access unit being sent, as RTP marks it.
#[derive(Debug, Default)]
struct Unit {
    timestamp: Option<u32>,
    ended: bool,
    bytes: usize,
    packets: usize,
    nals: usize,
}

impl Unit {
    fn begins(&mut self, timestamp: u32) -> bool {
        if self.timestamp == Some(timestamp) && !self.ended {
            return false;
        }
        *self = Self { timestamp: Some(timestamp), ..Self::default() };
        true
    }

    fn add(&mut self, bytes: usize, units: u32, marker: bool) -> Result<(), EndReason> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.packets = self.packets.saturating_add(1);
        self.nals = self.nals.saturating_add(usize::try_from(units).unwrap_or(usize::MAX));
        self.ended = marker;
        if self.bytes > limits::ACCESS_UNIT_BYTES {
            Err(EndReason::UnitBytes)
        } else if self.packets > limits::ACCESS_UNIT_PACKETS {
            Err(EndReason::UnitPackets)
        } else if self.nals > limits::ACCESS_UNIT_NALS {
            Err(EndReason::UnitNals)
        } else {
            Ok(())
        }
    }
}

/// What was passed on since the depacketiser last gave a unit of the track, whatever RTP marks say.
/// Bytes are counted for the connection as a whole.
#[derive(Debug, Default)]
struct Pending {
    packets: usize,
    nals: usize,
}

impl Pending {
    fn add(&mut self, units: u32) -> Result<(), EndReason> {
        self.packets = self.packets.saturating_add(1);
        self.nals = self.nals.saturating_add(usize::try_from(units).unwrap_or(usize::MAX));
        if self.packets > limits::UNACKNOWLEDGED_PACKETS || self.nals > limits::UNACKNOWLEDGED_NALS
        {
            return Err(EndReason::Unacknowledged);
        }
        Ok(())
    }
}
