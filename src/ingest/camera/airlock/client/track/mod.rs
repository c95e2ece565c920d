//! One track's media: source, sequence, size and framing of its packets.

#[cfg(test)]
mod tests;

use std::time::Instant;

use super::budget::Budget;
use super::counts::Counts;
use super::framing::{Bad, Framing};
use super::packet::{OVERHEAD, Rtp, SenderReport};
use super::{ReportedTime, Sink, Unit};
use crate::ingest::camera::airlock::EndReason;
use crate::ingest::camera::depacketise::{Depacketiser, Dropped, Packet};
use crate::ops::limits;

/// A track that was set up, playing.
#[derive(Debug)]
pub(super) struct Track {
    /// Its number among the tracks that are set up.
    stream: usize,
    /// The camera's payload type. It does not filter: some cameras send another one than they declare.
    declared: u8,
    source: Source,
    sequence: Sequence,
    clock: RtpClock,
    unit: UnitBounds,
    units: Budget,
    reports: Budget,
    held_report: Option<SenderReport>,
    framing: Framing,
    depacketiser: Depacketiser,
    last_unit: Option<Instant>,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Taken by the depacketiser.
    Passed,
    /// Dropped; nobody's fault.
    Dropped,
    /// Dropped; the packet breaks the rules.
    Struck,
}

/// What the camera says of a track beside its format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    /// Payload type of the session description.
    pub(super) payload_type: u8,
    /// SSRC of the answer to SETUP.
    pub(super) source: Option<u32>,
    /// First sequence number, of the answer to PLAY.
    pub(super) sequence: Option<u16>,
    /// First timestamp, of the answer to PLAY.
    pub(super) timestamp: Option<u32>,
}

impl Track {
    pub(super) fn new(
        stream: usize,
        depacketiser: Depacketiser,
        announced: Announced,
        now: Instant,
    ) -> Self {
        let rate = u64::from(limits::UNITS_PER_SECOND);
        let reports = u64::from(limits::RTCP_PER_SECOND);
        // 0 and 1 are what cameras write that do not know.
        let next = announced.sequence.filter(|sequence| *sequence > 1);
        Self {
            stream,
            declared: announced.payload_type,
            source: Source { announced: announced.source, current: None, heard: now },
            sequence: Sequence { next, ..Sequence::default() },
            clock: RtpClock::new(announced.timestamp),
            unit: UnitBounds::default(),
            units: Budget::new(rate, u64::from(limits::UNITS_BURST), now),
            reports: Budget::new(reports, reports, now),
            held_report: None,
            framing: Framing::new(depacketiser.encoding()),
            depacketiser,
            last_unit: None,
        }
    }

    /// [`Depacketiser::held_bytes`].
    pub(super) fn held_bytes(&self) -> usize {
        self.depacketiser.held_bytes()
    }

    /// When it last gave an access unit.
    pub(super) fn last_unit(&self) -> Option<Instant> {
        self.last_unit
    }

    /// Checks a packet of the camera and gives it to the depacketiser, which may then hold `room` bytes.
    pub(super) fn media(
        &mut self,
        packet: &[u8],
        room: usize,
        now: Instant,
        sink: &mut dyn Sink,
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
        self.pass(rtp, room, now, sink, counts)
    }

    fn pass(
        &mut self,
        rtp: Rtp<'_>,
        room: usize,
        now: Instant,
        sink: &mut dyn Sink,
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
        self.sequence.gap |= checked.torn;
        counts.odd.no_markers |= checked.marker && !rtp.marker;
        if let Some(report) = self.held_report.take().filter(|r| r.source == rtp.source) {
            self.give_report(report, now, sink, counts);
        }
        let packet = Packet {
            timestamp: self.clock.advance(rtp.timestamp),
            marker: checked.marker,
            lost: self.sequence.passed(),
            begins: checked.units,
            payload: rtp.payload,
        };
        if let Err(dropped) = self.depacketise(packet, room, now, sink) {
            counts.dropped_payload = counts.dropped_payload.saturating_add(1);
            counts.panics = counts.panics.saturating_add(u64::from(dropped == Dropped::Panicked));
            // The next packet begins a new depacketiser, as after a loss.
            self.sequence.gap = true;
            return Ok(Fate::Struck);
        }
        counts.packets = counts.packets.saturating_add(1);
        counts.media_bytes =
            counts.media_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(Fate::Passed)
    }

    fn depacketise(
        &mut self,
        packet: Packet<'_>,
        room: usize,
        now: Instant,
        sink: &mut dyn Sink,
    ) -> Result<(), Dropped> {
        let (stream, start, last_unit) = (self.stream, self.clock.start, &mut self.last_unit);
        self.depacketiser.push(packet, room, &mut |frame| {
            *last_unit = Some(now);
            sink.unit(Unit { stream, frame, start, at: now });
        })
    }

    /// Passes the times of a sender report on. One that comes before the first packet is held until that tells
    /// whose it is.
    pub(super) fn control(
        &mut self,
        compound: &[u8],
        now: Instant,
        sink: &mut dyn Sink,
        counts: &mut Counts,
    ) {
        let report = SenderReport::parse(compound).filter(|_| self.reports.take(1, now));
        match (report, self.source.current) {
            (Some(report), None) => self.held_report = Some(report),
            (Some(report), Some(current)) if report.source == current => {
                self.give_report(report, now, sink, counts);
            }
            (Some(_), Some(_)) | (None, _) => {
                counts.dropped_rtcp = counts.dropped_rtcp.saturating_add(1);
            }
        }
    }

    fn give_report(
        &mut self,
        report: SenderReport,
        now: Instant,
        sink: &mut dyn Sink,
        counts: &mut Counts,
    ) {
        counts.sender_reports = counts.sender_reports.saturating_add(1);
        let timestamp = self.clock.place(report.timestamp);
        sink.report(ReportedTime { stream: self.stream, ntp: report.ntp, timestamp, at: now });
    }
}

/// RTP timestamps without their wrapping: each is taken for the one nearest to the one before.
#[derive(Debug)]
struct RtpClock {
    /// The announced one, or the first that came.
    start: Option<i64>,
    last: i64,
}

impl RtpClock {
    fn new(announced: Option<u32>) -> Self {
        let start = announced.map(i64::from);
        Self { start, last: start.unwrap_or(0) }
    }

    fn advance(&mut self, timestamp: u32) -> i64 {
        self.last = self.place(timestamp);
        self.last
    }

    /// Without moving on: the time of a report lies a little before that of the packets.
    fn place(&mut self, timestamp: u32) -> i64 {
        if self.start.is_none() {
            self.start = Some(i64::from(timestamp));
            self.last = i64::from(timestamp);
        }
        let [.., a, b, c, d] = self.last.to_be_bytes();
        let ahead = timestamp.wrapping_sub(u32::from_be_bytes([a, b, c, d])).cast_signed();
        self.last.saturating_add(i64::from(ahead))
    }
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

/// The camera's numbering. However many packets are lost, the depacketiser hears of one: it adds them up in 16
/// bits without care.
#[derive(Debug, Default)]
struct Sequence {
    next: Option<u16>,
    gap: bool,
    started: bool,
    astray: Option<u16>,
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
        self.gap |= self.started;
        if self.started {
            self.next = None;
        }
    }

    /// A packet is passed on: whether packets are missing before it.
    fn passed(&mut self) -> bool {
        self.started = true;
        std::mem::take(&mut self.gap)
    }
}

/// The access unit being sent, as RTP marks it.
#[derive(Debug, Default)]
struct UnitBounds {
    timestamp: Option<u32>,
    ended: bool,
    bytes: usize,
    packets: usize,
    nals: usize,
}

impl UnitBounds {
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
