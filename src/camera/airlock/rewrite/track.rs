//! One track's media: source, sequence, size and framing of its packets.

use std::time::Instant;

use bytes::BytesMut;

use super::budget::Budget;
use super::counts::Counts;
use super::framing::{Bad, Framing};
use super::packet::{OVERHEAD, Rtp, SenderReport};
use crate::camera::airlock::{Encoding, EndReason};
use crate::limits;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn track(now: Instant) -> Track {
        Track::new(0, 0, Encoding::H264, 96, None, now)
    }

    fn packet(sequence: u16, timestamp: u32, source: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        Rtp { marker: true, payload_type: 33, sequence, timestamp, source, payload }
            .write(0, &mut out);
        out[4..].to_vec()
    }

    fn numbers(out: &[u8]) -> Vec<u16> {
        let (mut numbers, mut rest) = (Vec::new(), out);
        while let [b'$', _, l0, l1, body @ ..] = rest {
            let (packet, tail) = body.split_at(usize::from(u16::from_be_bytes([*l0, *l1])));
            assert_eq!(packet[1] & 0x7f, 96);
            assert_eq!(packet[8..12], [0, 0, 0, 1]);
            numbers.push(u16::from_be_bytes([packet[2], packet[3]]));
            rest = tail;
        }
        numbers
    }

    #[test]
    fn sequence_numbers_are_our_own_and_a_loss_is_one_gap() {
        let now = tokio::time::Instant::now().into_std();
        let (mut track, mut out, mut counts) = (track(now), BytesMut::new(), Counts::default());
        track.expect(Some(50));
        for (i, s) in [50, 51, 60, 59, 61, 5, 6, 7].into_iter().enumerate() {
            let timestamp = u32::try_from(i).unwrap();
            let _fate = track
                .media(&packet(s, timestamp, 7, b"\x41x"), now, &mut out, &mut counts)
                .unwrap();
        }
        assert_eq!(numbers(&out), [1000, 1001, 1003, 1004, 1006, 1007]);
        assert_eq!((counts.lost, counts.dropped_sequence), (9, 2));
    }

    #[test]
    fn leftovers_of_another_session_are_dropped_until_ours_is_silent() {
        let start = tokio::time::Instant::now().into_std();
        let (mut out, mut counts) = (BytesMut::new(), Counts::default());
        let mut track = Track::new(0, 0, Encoding::H264, 96, Some(8), start);
        let mut send = |sequence, source, ms| {
            let now = start + Duration::from_millis(ms);
            let ts = u32::try_from(ms).unwrap();
            track
                .media(&packet(sequence, ts, source, b"\x41x"), now, &mut out, &mut counts)
                .unwrap()
        };
        assert_eq!(send(1, 7, 0), Fate::Passed);
        assert_eq!(send(100, 8, 10), Fate::Passed, "the announced source takes over");
        assert_eq!(send(2, 7, 20), Fate::Dropped);
        assert_eq!(send(101, 8, 30), Fate::Passed);
        assert_eq!(send(3, 9, 1000), Fate::Dropped);
        assert_eq!(send(4, 9, 1030), Fate::Passed);
        assert_eq!(counts.dropped_source, 2);
        assert_eq!(numbers(&out), [1000, 1002, 1003, 1005]);
    }

    /// Sends one unit of `packets` fragments with `body` each.
    fn one_unit(body: usize, packets: usize) -> Result<Fate, EndReason> {
        let now = tokio::time::Instant::now().into_std();
        let (mut track, mut counts) = (track(now), Counts::default());
        let mut fragment = vec![0x41; body];
        fragment[0] = 0x7c;
        for i in 0..packets {
            fragment[1] = if i == 0 { 0x85 } else { 0x05 };
            let sequence = u16::try_from(i & 0xffff).unwrap();
            let mut packet = packet(sequence, 1, 7, &fragment);
            packet[1] &= 0x7f;
            let result = track.media(&packet, now, &mut BytesMut::new(), &mut counts);
            if result.is_err() || i == packets - 1 {
                assert_eq!(i, packets - 1);
                return result;
            }
        }
        unreachable!()
    }

    #[test]
    fn one_over_the_bytes_packets_and_nals_of_a_unit() {
        let (bytes, packets) = (limits::ACCESS_UNIT_BYTES, limits::ACCESS_UNIT_PACKETS);
        assert_eq!(one_unit(1024 - OVERHEAD, bytes / 1024), Ok(Fate::Passed));
        assert_eq!(one_unit(1024 - OVERHEAD, bytes / 1024 + 1), Err(EndReason::UnitBytes));
        assert_eq!(one_unit(2, packets), Ok(Fate::Passed));
        assert_eq!(one_unit(2, packets + 1), Err(EndReason::UnitPackets));

        let now = tokio::time::Instant::now().into_std();
        let unit = |nals: usize| {
            let mut aggregate = vec![0x18];
            aggregate.extend(b"\0\x01\x41".repeat(nals));
            track(now).media(
                &packet(1, 1, 7, &aggregate),
                now,
                &mut BytesMut::new(),
                &mut Counts::default(),
            )
        };
        assert_eq!(unit(512), Ok(Fate::Passed));
        assert_eq!(unit(513), Err(EndReason::UnitNals));
    }

    #[test]
    fn one_over_the_units_a_second() {
        let now = tokio::time::Instant::now().into_std();
        let (mut track, mut counts) = (track(now), Counts::default());
        let mut send = |ts: u32, now| {
            let sequence = u16::try_from(ts).unwrap();
            track.acknowledged();
            track.media(&packet(sequence, ts, 7, b"\x41x"), now, &mut BytesMut::new(), &mut counts)
        };
        for ts in 0..limits::UNITS_BURST {
            assert_eq!(send(ts, now), Ok(Fate::Passed));
        }
        assert_eq!(send(limits::UNITS_BURST, now), Err(EndReason::UnitRate));
        let later = now + Duration::from_secs(1);
        for ts in 0..limits::UNITS_PER_SECOND {
            assert_eq!(send(limits::UNITS_BURST + 1 + ts, later), Ok(Fate::Passed));
        }
        let next = limits::UNITS_BURST + 1 + limits::UNITS_PER_SECOND;
        assert_eq!(send(next, later), Err(EndReason::UnitRate));
    }

    #[test]
    fn one_over_the_packets_and_nals_that_become_nothing() {
        let start = tokio::time::Instant::now().into_std();
        let (mut track, mut counts) = (track(start), Counts::default());
        for i in 0..=limits::UNACKNOWLEDGED_PACKETS {
            // Slow enough for the unit rate, and each with marker and timestamp of its own.
            let now = start + Duration::from_millis(u64::try_from(i).unwrap() * 3);
            let (sequence, ts) = (u16::try_from(i & 0xffff).unwrap(), u32::try_from(i).unwrap());
            let payload = b"\x06 SEI";
            let result = track.media(
                &packet(sequence, ts, 7, payload),
                now,
                &mut BytesMut::new(),
                &mut counts,
            );
            let over = i >= limits::UNACKNOWLEDGED_NALS.min(limits::UNACKNOWLEDGED_PACKETS);
            assert_eq!(result.is_err(), over, "{i}");
            if over {
                assert_eq!(result, Err(EndReason::Unacknowledged));
                return;
            }
        }
        unreachable!()
    }

    #[test]
    fn sender_reports_are_rebuilt_bounded_and_of_the_right_source() {
        let now = tokio::time::Instant::now().into_std();
        let (mut track, mut out, mut counts) = (track(now), BytesMut::new(), Counts::default());
        let report = |source| {
            let mut out = BytesMut::new();
            SenderReport { source, ntp: 1, timestamp: 2, packets: 3, octets: 4 }.write(0, &mut out);
            let mut compound = out[4..].to_vec();
            compound.extend(b"\x81\xca\0\x02MARKMARK");
            compound
        };
        track.control(&report(7), now, &mut out, &mut counts);
        assert!(out.is_empty(), "held until the first packet");
        track.media(&packet(1, 1, 7, b"\x41x"), now, &mut out, &mut counts).unwrap();
        assert_eq!(&out[..4], b"$\x01\0\x1c");
        assert_eq!(out[8..12], [0, 0, 0, 1], "our source");
        out.clear();
        track.control(&report(8), now, &mut out, &mut counts);
        assert!(out.is_empty());
        for _ in 0..20 {
            track.control(&report(7), now, &mut out, &mut counts);
        }
        assert_eq!(out.len(), 8 * 32, "ten a second, two were taken before");
        assert!(memchr::memmem::find(&out, b"MARK").is_none());
        assert_eq!((counts.sender_reports, counts.dropped_rtcp), (9, 13));
    }
}
