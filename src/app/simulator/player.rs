//! A playing session: the feed, numbered and paced.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::media::{Published, Track};
use crate::ops::limits;
use crate::ops::random::{NoRandom, random};
use crate::wire::rtp::{self, ReportPoint};

use super::source::{Feed, Unit};

/// The numbers of one track in one session, all from random starts.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Interleaved channel of RTP, and of RTCP.
    pub(super) channels: (u8, u8),
    pub(super) ssrc: u32,
    pub(super) seq: u16,
    time_base: u32,
    packets: u32,
    octets: u32,
    /// When the next sender report goes out, in the session's time.
    report: Duration,
    /// Least ticks of the next unit: two units never share a timestamp.
    least: i64,
}

impl Outgoing {
    pub(super) fn new(channels: (u8, u8)) -> Result<Self, NoRandom> {
        let [a, b, c, d, e, f, g, h, i, j] = random()?;
        Ok(Self {
            channels,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            seq: u16::from_be_bytes([e, f]),
            time_base: u32::from_be_bytes([g, h, i, j]),
            packets: 0,
            octets: 0,
            report: Duration::ZERO,
            least: i64::MIN,
        })
    }

    /// RTP timestamp of a tick.
    fn rtp_time(&self, ticks: i64) -> u32 {
        let [.., a, b, c, d] = ticks.to_be_bytes();
        self.time_base.wrapping_add(u32::from_be_bytes([a, b, c, d]))
    }
}

/// A playing session. It starts with the feed's first unit, a key frame, at once.
#[derive(Debug)]
pub(super) struct Player {
    feed: Feed,
    next: Unit,
    /// By track; `None` was not set up.
    tracks: Vec<Option<Outgoing>>,
    started: Instant,
    started_utc: SystemTime,
    /// The feed's time at the start.
    from: Duration,
    /// What the session's time is ahead of the feed's, nanoseconds: none unless units were sent before or after
    /// they were due.
    ahead: i64,
    index: u64,
}

impl Player {
    pub(super) fn new(mut feed: Feed, tracks: Vec<Option<Outgoing>>) -> Self {
        let next = feed.next_unit();
        Self {
            from: next.due,
            feed,
            next,
            tracks,
            started: Instant::now(),
            started_utc: SystemTime::now(),
            ahead: 0,
            index: 0,
        }
    }

    /// When the next unit is due.
    pub(super) fn due(&self) -> Instant {
        self.started + self.time_of(&self.next).saturating_sub(self.from)
    }

    /// Makes the next unit due now, and what follows it accordingly.
    pub(super) fn make_due(&mut self) {
        let now = self.from + self.started.elapsed();
        self.ahead = nanos(now) - nanos(self.next.due);
    }

    /// `seq` and `rtptime` of a track's first packet, for `RTP-Info`.
    pub(super) fn first(&self, track: &Track) -> Option<(u16, u32)> {
        let outgoing = self.tracks.get(usize::from(track.id.0))?.as_ref()?;
        if track.id == self.next.track.id {
            return Some((outgoing.seq, outgoing.rtp_time(self.next.ticks)));
        }
        // The same moment on the other clock.
        Some((outgoing.seq, outgoing.rtp_time(ticks_of(nanos(self.from), track.clock_rate))))
    }

    /// The bytes of the next unit, with a sender report before it when one is due; empty for a track that was
    /// not set up.
    pub(super) fn take(&mut self) -> Bytes {
        let unit = self.step();
        let time = self.time_of(&unit);
        let wallclock = self.started_utc + time.saturating_sub(self.from);
        let ahead = self.ahead;
        let Some(Some(outgoing)) = self.tracks.get_mut(usize::from(unit.track.id.0)) else {
            return Bytes::new();
        };
        let track = Arc::clone(&unit.track);
        let ticks = (unit.ticks + ticks_of(ahead, track.clock_rate)).max(outgoing.least);
        outgoing.least = ticks + 1;
        let unit = unit.into_access_unit(Instant::now().into_std(), wallclock);
        let Some(plan) = rtp::plan(&unit) else { return Bytes::new() };
        let (unit, media) = unit.split();
        let published = Published {
            unit,
            index: self.index,
            first_seq: outgoing.seq,
            packets: plan.packets,
            octets: plan.octets,
            rtp_time: outgoing.rtp_time(ticks),
            ssrc: outgoing.ssrc,
            payload_type: rtp::payload_type(track.id, &track.codec, track.clock_rate),
            packets_before: outgoing.packets,
            octets_before: outgoing.octets,
            media,
        };
        self.index += 1;
        let mut bytes = BytesMut::new();
        if time >= outgoing.report {
            outgoing.report = time + limits::SENDER_REPORT;
            let report = rtp::sender_report(
                &ReportPoint::before(&published),
                outgoing.channels.1,
                "simulator",
            );
            bytes.extend_from_slice(&report);
        }
        let form = rtp::interleaved(&published);
        bytes.extend_from_slice(&rtp::on_channel(&form, outgoing.channels.0));
        let [.., a, b] = plan.packets.to_be_bytes();
        outgoing.seq = outgoing.seq.wrapping_add(u16::from_be_bytes([a, b]));
        outgoing.packets = outgoing.packets.wrapping_add(plan.packets);
        outgoing.octets = outgoing.octets.wrapping_add(plan.octets);
        bytes.freeze()
    }

    /// Lets the next unit go unsent: time goes on, sequence numbers do not.
    pub(super) fn skip(&mut self) {
        let _unsent = self.step();
    }

    /// When a unit is due in the session's time.
    fn time_of(&self, unit: &Unit) -> Duration {
        let ahead = Duration::from_nanos(self.ahead.unsigned_abs());
        if self.ahead < 0 { unit.due.saturating_sub(ahead) } else { unit.due + ahead }
    }

    fn step(&mut self) -> Unit {
        let next = self.feed.next_unit();
        std::mem::replace(&mut self.next, next)
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn ticks_of(nanos: i64, clock_rate: u32) -> i64 {
    let ticks = i128::from(nanos) * i128::from(clock_rate) / 1_000_000_000;
    i64::try_from(ticks).unwrap_or(0)
}
