//! A session that plays: its tracks, and whether each gives access units.

use std::time::{Duration, Instant};

use super::counts::Counts;
use super::meter::{FRAME_COST, Meter, wide};
use super::track::{Fate, Track};
use super::{EndReason, Sink};
use crate::media::TrackKind;
use crate::ops::limits;

/// The tracks of a session that plays.
#[derive(Debug)]
pub(super) struct Player {
    slots: Vec<Slot>,
    started: Instant,
    next_look: Instant,
    floor_since: Instant,
    /// What [`Counts::media_bytes`] was then.
    floor_bytes: u64,
}

/// A track in its place.
#[derive(Debug)]
pub(super) struct Slot {
    /// The camera's channels.
    pub(super) rtp: u8,
    pub(super) rtcp: u8,
    pub(super) kind: TrackKind,
    pub(super) track: Track,
}

/// How often stalls are looked for.
const LOOK: Duration = Duration::from_millis(250);

impl Player {
    pub(super) fn new(slots: Vec<Slot>, now: Instant) -> Self {
        let next_look = later(now, LOOK);
        Self { slots, started: now, next_look, floor_since: now, floor_bytes: 0 }
    }

    /// One interleaved frame of the camera.
    pub(super) fn frame(
        &mut self,
        channel: u8,
        payload: &[u8],
        now: Instant,
        sink: &mut dyn Sink,
        meter: &mut Meter,
        counts: &mut Counts,
    ) -> Result<(), EndReason> {
        if let Some(at) = self.slots.iter().position(|slot| slot.rtp == channel) {
            let room = self.room(at);
            let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
            match slot.track.media(payload, room, now, sink, counts)? {
                Fate::Passed => return Ok(()),
                Fate::Dropped => {}
                Fate::Struck => meter.strike(now)?,
            }
            return overhead(FRAME_COST, now, meter, counts);
        }
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.rtcp == channel) {
            slot.track.control(payload, now, sink, counts);
        } else {
            counts.dropped_channel = counts.dropped_channel.saturating_add(1);
        }
        overhead(payload.len().saturating_add(FRAME_COST), now, meter, counts)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next_look
    }

    /// Ends a session that gives nothing: the first unit, then each video track, then the rate of all.
    pub(super) fn on_time(&mut self, now: Instant, counts: &Counts) -> Result<(), EndReason> {
        if now < self.next_look {
            return Ok(());
        }
        self.next_look = later(now, LOOK);
        let has_video = self.slots.iter().any(|slot| slot.kind == TrackKind::Video);
        for slot in &self.slots {
            if has_video && slot.kind == TrackKind::Audio {
                continue;
            }
            match slot.track.last_unit() {
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
            if counts.media_bytes.saturating_sub(self.floor_bytes) < floor {
                return Err(EndReason::TooSlow);
            }
            self.floor_since = now;
            self.floor_bytes = counts.media_bytes;
        }
        Ok(())
    }

    /// Bytes that the depacketisers hold.
    pub(super) fn held(&self) -> usize {
        self.slots.iter().map(|slot| slot.track.held_bytes()).sum()
    }

    /// Bytes that a track's depacketiser may hold: one access unit, less what those of the others hold.
    fn room(&self, at: usize) -> usize {
        let own = self.slots.get(at).map_or(0, |slot| slot.track.held_bytes());
        limits::ACCESS_UNIT_BYTES.saturating_sub(self.held().saturating_sub(own))
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
