//! A session that plays: its tracks, whether each gives units, and how much may be under way.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::counts::Counts;
use super::meter::{FRAME_COST, Meter, wide};
use super::track::{Fate, Track};
use crate::ingest::camera::airlock::EndReason;
use crate::media::TrackKind;
use crate::ops::limits;

/// Items the depacketiser gave so far, per track.
pub(in crate::ingest::camera::airlock) type Totals = [u64; limits::TRACKS];

/// The tracks of a session that plays.
#[derive(Debug)]
pub(super) struct Player {
    slots: Vec<Slot>,
    /// Bytes passed on, of all tracks.
    passed: u64,
    started: Instant,
    next_look: Instant,
    floor_since: Instant,
    floor_passed: u64,
}

/// A track in its place.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) index: usize,
    /// The camera's channels.
    pub(super) rtp: u8,
    pub(super) rtcp: u8,
    pub(super) kind: TrackKind,
    pub(super) track: Track,
    /// What [`Player::passed`] was when the track got the first packet it gave no unit for.
    pub(super) owes_since: Option<u64>,
    pub(super) units: u64,
    pub(super) last_unit: Option<Instant>,
}

/// How often stalls are looked for.
const LOOK: Duration = Duration::from_millis(250);

impl Player {
    pub(super) fn new(slots: Vec<Slot>, now: Instant) -> Self {
        Self {
            slots,
            passed: 0,
            started: now,
            next_look: later(now, LOOK),
            floor_since: now,
            floor_passed: 0,
        }
    }

    /// One interleaved frame of the camera.
    pub(super) fn frame(
        &mut self,
        channel: u8,
        payload: &[u8],
        now: Instant,
        out: &mut BytesMut,
        meter: &mut Meter,
        counts: &mut Counts,
    ) -> Result<(), EndReason> {
        let before = out.len();
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.rtp == channel) {
            let fate = slot.track.media(payload, now, out, counts)?;
            self.passed = self.passed.saturating_add(wide(out.len().saturating_sub(before)));
            match fate {
                Fate::Passed => {
                    slot.owes_since.get_or_insert(self.passed);
                    return self.check_owed();
                }
                Fate::Dropped => {}
                Fate::Struck => meter.strike(now)?,
            }
            return overhead(FRAME_COST, now, meter, counts);
        }
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.rtcp == channel) {
            slot.track.control(payload, now, out, counts);
            self.passed = self.passed.saturating_add(wide(out.len().saturating_sub(before)));
        } else {
            counts.dropped_channel = counts.dropped_channel.saturating_add(1);
        }
        overhead(payload.len().saturating_add(FRAME_COST), now, meter, counts)
    }

    /// Takes note of the units given since.
    pub(super) fn acknowledge(&mut self, totals: &Totals, now: Instant) {
        for slot in &mut self.slots {
            let total = totals.get(slot.index).copied().unwrap_or_default();
            if total != slot.units {
                slot.units = total;
                slot.owes_since = None;
                slot.last_unit = Some(now);
                slot.track.acknowledged();
            }
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next_look
    }

    /// Ends a session that gives nothing: the first unit, then each video track, then the rate of all.
    pub(super) fn on_time(&mut self, now: Instant) -> Result<(), EndReason> {
        if now < self.next_look {
            return Ok(());
        }
        self.next_look = later(now, LOOK);
        let has_video = self.slots.iter().any(|slot| slot.kind == TrackKind::Video);
        for slot in &self.slots {
            if has_video && slot.kind == TrackKind::Audio {
                continue;
            }
            match slot.last_unit {
                None if since(self.started, now) >= limits::CAMERA_FIRST_UNIT => {
                    return Err(EndReason::NoFirstUnit);
                }
                Some(last) if since(last, now) >= limits::CAMERA_STALL => {
                    return Err(EndReason::Stalled);
                }
                None | Some(_) => {}
            }
        }
        let window = since(self.floor_since, now);
        if window >= limits::CAMERA_FLOOR_WINDOW {
            let floor =
                wide(limits::CAMERA_FLOOR_BYTES_PER_SECOND).saturating_mul(window.as_secs());
            if self.passed.saturating_sub(self.floor_passed) < floor {
                return Err(EndReason::TooSlow);
            }
            self.floor_since = now;
            self.floor_passed = self.passed;
        }
        Ok(())
    }

    /// Whether the depacketiser should get time before more is passed on.
    pub(super) fn is_ahead(&self) -> bool {
        self.owed() > wide(limits::UNACKNOWLEDGED_PAUSE_BYTES)
    }

    fn owed(&self) -> u64 {
        let oldest = self.slots.iter().filter_map(|slot| slot.owes_since).min();
        oldest.map_or(0, |since| self.passed.saturating_sub(since))
    }

    fn check_owed(&self) -> Result<(), EndReason> {
        if self.owed() > wide(limits::UNACKNOWLEDGED_BYTES) {
            Err(EndReason::Unacknowledged)
        } else {
            Ok(())
        }
    }
}

pub(super) fn overhead(
    bytes: usize,
    now: Instant,
    meter: &mut Meter,
    counts: &mut Counts,
) -> Result<(), EndReason> {
    counts.overhead_bytes = counts.overhead_bytes.saturating_add(wide(bytes));
    meter.overhead(bytes, now)
}

pub(super) fn later(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or(now)
}

fn since(start: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(start)
}
