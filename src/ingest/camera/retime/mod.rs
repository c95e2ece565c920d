//! A camera's timestamps onto the stream's own timeline.
//!
//! - The camera's differences are kept exactly; the offset is ours. So AAC stays at 1,024 ticks.
//! - The timeline goes on across pulls by the gateway's monotonic clock: ten seconds off are ten seconds.
//! - Order is decode order. A picture may go back a little (B-pictures); what jumps further, or runs away
//!   from the arrival of its media, is set anew to the arrival clock. It never goes back for that.
//! - The tracks of a camera are laid beside each other by what its answer to PLAY says of their start, else
//!   by arrival, and then by its sender reports. Nothing is held back to wait for these: if they come late
//!   and say something else, one track is moved *forward*, once. The camera's UTC is never used otherwise.

mod clock;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use crate::media::TrackKind;
use crate::ops::limits;

pub(super) use clock::Arrival;
use clock::{Clock, SECOND, ns};

/// Tracks within this are in sync: a third of what viewers notice.
const IN_SYNC: i64 = 30 * MILLISECOND;
/// Once they were in sync, sender reports must say more than this to move a track: their clocks are coarse.
const OUT_OF_SYNC: i64 = 200 * MILLISECOND;
/// ... and no more often.
const MOVE_PAUSE: i64 = 30 * SECOND;
/// Reports of two tracks that lie further apart say nothing about each other.
const REPORTS_APART: i64 = 15 * SECOND;
/// Tracks that jump within this time by nearly the same made the same jump: their sync is kept.
const SAME_JUMP_TIME: i64 = 5 * SECOND;
const SAME_JUMP: i64 = SECOND / 2;
/// Least step from one pull to the next.
const PULL_STEP: i64 = MILLISECOND;

const MILLISECOND: i64 = SECOND / 1000;

/// The timeline of one stream. Lives as long as the stream, across pulls.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    clock: Option<Clock>,
    tracks: Vec<TrackTime>,
    /// This pull's start, once its first unit came.
    pull: Option<Pull>,
    /// Highest media time before this pull, ns.
    floor: Option<i64>,
    jump: Option<Jump>,
    moved: Option<i64>,
    set_anew: u64,
}

/// What is known of a track when a pull begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TrackClock {
    /// Only pictures may go back.
    pub(super) kind: TrackKind,
    /// Ticks a second.
    pub(super) clock_rate: u32,
}

/// A camera's timestamp, in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Unwrapped RTP timestamp.
    pub(super) camera: i64,
    /// RTP timestamp of the track's start as the answer to PLAY says it (`RTP-Info`), unwrapped alike. The
    /// starts of all tracks are the same moment.
    pub(super) start: Option<i64>,
}

/// Where a unit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// [`crate::media::AccessUnit::ticks`].
    pub(super) ticks: i64,
    /// [`crate::media::AccessUnit::wallclock`].
    pub(super) wallclock: SystemTime,
}

#[derive(Debug, Clone, Copy)]
struct Pull {
    /// Media time of the first unit.
    first: i64,
    /// Media time of the announced start, if there is one.
    start: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Jump {
    at: i64,
    by: i64,
}

#[derive(Debug)]
struct TrackTime {
    clock: TrackClock,
    anchor: Option<Anchor>,
    report: Option<ReportedClock>,
    sync: Sync,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    camera: i64,
    ticks: i64,
    /// Highest camera timestamp since, and how many units in a row stayed behind it.
    highest: i64,
    behind: u32,
    /// Highest ticks given out in this pull.
    top: i64,
    /// Usual lateness against the clock's reference, ns.
    late: i64,
}

#[derive(Debug, Clone, Copy)]
struct ReportedClock {
    /// NTP time, ns; only differences count.
    ntp: i64,
    camera: i64,
    mono: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// By the announced start or arrival alone.
    Assumed,
    /// Sender reports agreed, or moved it.
    Confirmed,
}

impl Timeline {
    /// A new pull with these tracks. Their timestamps have nothing to do with those before.
    pub(super) fn begin(&mut self, tracks: impl IntoIterator<Item = TrackClock>) {
        self.floor = self.tracks.iter().filter_map(TrackTime::top).chain(self.floor).max();
        self.pull = None;
        self.jump = None;
        self.moved = None;
        self.tracks = tracks
            .into_iter()
            .map(|clock| TrackTime { clock, anchor: None, report: None, sync: Sync::Assumed })
            .collect();
    }

    /// Places a unit. Call it for every unit in the order of arrival, also for those then thrown away.
    /// `None`: no such track.
    pub(super) fn place(&mut self, track: usize, stamp: Stamp, arrival: Arrival) -> Option<Placed> {
        let mono = self.clock.get_or_insert_with(|| Clock::new(arrival)).mono(arrival);
        let anchor = match self.tracks.get(track)?.anchor {
            None => self.first_of_track(track, stamp, arrival)?,
            Some(anchor) => {
                let rate = self.tracks.get(track)?.clock;
                match step(rate, &anchor, stamp.camera, mono, self.clock.as_ref()?) {
                    Step::Forward => Anchor { highest: stamp.camera, behind: 0, ..anchor },
                    Step::Reordered => Anchor { behind: anchor.behind.saturating_add(1), ..anchor },
                    Step::Jump => self.set_anew(track, &anchor, stamp.camera, mono)?,
                }
            }
        };
        let clock = self.clock.as_mut()?;
        let track = self.tracks.get_mut(track)?;
        let ticks = anchor.ticks_of(stamp.camera);
        let media = track.clock.ns(ticks);
        let late = clock.lateness(mono, media);
        // An average over some sixteen units.
        let late = anchor.late.saturating_add(late.saturating_sub(anchor.late) / 16);
        track.anchor = Some(Anchor { top: anchor.top.max(ticks), late, ..anchor });
        Some(Placed { ticks, wallclock: clock.observe(arrival, media) })
    }

    /// Takes a sender report: its NTP time and RTP timestamp (unwrapped like those of units). Used for
    /// the difference between the tracks of this pull only.
    pub(super) fn report(&mut self, track: usize, ntp: u64, camera: i64, arrival: Arrival) {
        let clock = self.clock.get_or_insert_with(|| Clock::new(arrival));
        let report = ReportedClock { ntp: ntp_ns(ntp), camera, mono: clock.mono(arrival) };
        let Some(reported) = self.tracks.get_mut(track) else { return };
        reported.report = Some(report);
        let Some(leader) = self.leader() else { return };
        if leader == track {
            for follower in 0..self.tracks.len() {
                self.synchronise(leader, follower, report.mono);
            }
        } else {
            self.synchronise(leader, track, report.mono);
        }
    }

    /// How often a track was set anew to the arrival clock because its timestamps jumped.
    pub(super) fn set_anew_count(&self) -> u64 {
        self.set_anew
    }

    fn first_of_track(&mut self, track: usize, stamp: Stamp, arrival: Arrival) -> Option<Anchor> {
        let clock = self.clock.as_mut()?;
        let mono = clock.mono(arrival);
        let rate = self.tracks.get(track)?.clock;
        let since_start = stamp.start.map(|start| rate.ns(stamp.camera.saturating_sub(start)));
        let lowest = self.floor.map(|floor| floor.saturating_add(PULL_STEP));
        let media = match self.pull {
            None => {
                let first = clock.expected(mono).max(lowest.unwrap_or(i64::MIN));
                clock.start(arrival, first);
                let start = since_start.map(|since| first.saturating_sub(since));
                self.pull = Some(Pull { first, start });
                first
            }
            Some(pull) => {
                let announced = pull.start.zip(since_start).map(|(s, d)| s.saturating_add(d));
                let expected = clock.expected(mono);
                let top = self.tracks.iter().filter_map(TrackTime::top).max().unwrap_or(expected);
                let low = pull.first.min(expected).saturating_sub(ns(limits::TRACK_SKEW));
                let high = top.max(expected).saturating_add(ns(limits::TRACK_SKEW));
                let media = announced.filter(|a| (low..=high).contains(a)).unwrap_or(expected);
                let media = self.reported(track, stamp, media).unwrap_or(media);
                media.max(lowest.unwrap_or(i64::MIN))
            }
        };
        Some(Anchor::new(stamp.camera, rate.ticks(media)))
    }

    /// What early sender reports say about where a track's first unit lies.
    fn reported(&self, track: usize, stamp: Stamp, media: i64) -> Option<i64> {
        let leader = self.tracks.iter().find(|t| t.anchor.is_some() && t.report.is_some())?;
        let follower = self.tracks.get(track)?;
        let report = follower.report?;
        let since = follower.clock.ns(stamp.camera.saturating_sub(report.camera));
        let reported = leader.at_report(&report)?.saturating_add(since);
        (distance(reported, media) <= ns(limits::TRACK_SKEW)).then_some(reported)
    }

    /// Sets a track that jumped to the arrival clock, never back.
    fn set_anew(&mut self, track: usize, old: &Anchor, camera: i64, mono: i64) -> Option<Anchor> {
        let rate = self.tracks.get(track)?.clock;
        let was = rate.ns(old.ticks_of(camera));
        let media = self.clock.as_ref()?.expected(mono).saturating_sub(old.late);
        let by = media.saturating_sub(was);
        let same = self.jump.filter(|jump| {
            mono.saturating_sub(jump.at) <= SAME_JUMP_TIME && distance(jump.by, by) <= SAME_JUMP
        });
        let by = match same {
            Some(jump) => jump.by,
            None => {
                self.jump = Some(Jump { at: mono, by });
                by
            }
        };
        self.set_anew = self.set_anew.saturating_add(1);
        let ticks = rate.ticks(was.saturating_add(by)).max(old.top.saturating_add(1));
        self.tracks.get_mut(track)?.report = None;
        self.tracks.iter_mut().for_each(|track| track.sync = Sync::Assumed);
        Some(Anchor { late: old.late, ..Anchor::new(camera, ticks) })
    }

    /// The track that the others are laid beside: the first picture track, else the first.
    fn leader(&self) -> Option<usize> {
        let video = self.tracks.iter().position(|t| t.clock.kind == TrackKind::Video);
        video.or(if self.tracks.is_empty() { None } else { Some(0) })
    }

    /// Moves one of two tracks forward if their sender reports say that they are not in sync.
    fn synchronise(&mut self, leader: usize, follower: usize, mono: i64) -> Option<()> {
        if leader == follower {
            return None;
        }
        let (lead, follow) = (self.tracks.get(leader)?, self.tracks.get(follower)?);
        let report = follow.report?;
        let should = lead.at_report(&report)?;
        let shift = should.saturating_sub(follow.media_of(report.camera)?);
        let tolerated = match follow.sync {
            Sync::Assumed => IN_SYNC,
            Sync::Confirmed => OUT_OF_SYNC,
        };
        let rests = self.moved.is_some_and(|moved| mono.saturating_sub(moved) < MOVE_PAUSE);
        if shift.saturating_abs() > ns(limits::TRACK_SKEW) {
            return None;
        }
        if shift.saturating_abs() > tolerated {
            if rests {
                return None;
            }
            let late = if shift > 0 { follower } else { leader };
            let late = self.tracks.get_mut(late)?;
            let ticks = late.clock.ticks(shift.saturating_abs());
            let anchor = late.anchor.as_mut()?;
            anchor.ticks = anchor.ticks.saturating_add(ticks);
            self.clock.as_mut()?.moved(shift.saturating_abs());
            self.moved = Some(mono);
        }
        self.tracks.get_mut(follower)?.sync = Sync::Confirmed;
        Some(())
    }
}

/// How a timestamp follows those before it.
enum Step {
    /// Not before the highest.
    Forward,
    /// A picture before the highest, as B-pictures are.
    Reordered,
    /// Neither: the camera's clock was set, or runs wild.
    Jump,
}

fn step(rate: TrackClock, anchor: &Anchor, camera: i64, mono: i64, clock: &Clock) -> Step {
    let back = anchor.highest.saturating_sub(camera);
    if back > 0 {
        let lawful = rate.kind == TrackKind::Video
            && rate.ns(back) <= ns(limits::REORDER_TIME)
            && anchor.behind < limits::REORDER_PICTURES;
        return if lawful { Step::Reordered } else { Step::Jump };
    }
    if clock.is_lawful(mono, rate.ns(anchor.ticks_of(camera))) { Step::Forward } else { Step::Jump }
}

impl TrackClock {
    /// Ticks in nanoseconds, rounded down.
    fn ns(self, ticks: i64) -> i64 {
        let rate = i128::from(self.clock_rate.max(1));
        clamped((i128::from(ticks) * i128::from(SECOND)).div_euclid(rate))
    }

    /// Nanoseconds in ticks, to the nearest.
    fn ticks(self, ns: i64) -> i64 {
        let rate = i128::from(self.clock_rate.max(1));
        clamped((i128::from(ns) * rate + i128::from(SECOND / 2)).div_euclid(i128::from(SECOND)))
    }
}

impl TrackTime {
    /// Highest media time given out, ns.
    fn top(&self) -> Option<i64> {
        self.anchor.map(|anchor| self.clock.ns(anchor.top))
    }

    /// Media time of a camera timestamp, ns.
    fn media_of(&self, camera: i64) -> Option<i64> {
        self.anchor.map(|anchor| self.clock.ns(anchor.ticks_of(camera)))
    }

    /// Media time, by this track's own report, of the moment of another track's report.
    fn at_report(&self, other: &ReportedClock) -> Option<i64> {
        let own = self.report?;
        let (by_ntp, by_arrival) = (other.ntp.saturating_sub(own.ntp), other.mono - own.mono);
        // A camera whose UTC is set between the two reports says nothing.
        let usable = by_arrival.saturating_abs() <= REPORTS_APART
            && distance(by_ntp, by_arrival) <= ns(limits::TRACK_SKEW);
        usable.then(|| self.media_of(own.camera))?.map(|media| media.saturating_add(by_ntp))
    }
}

impl Anchor {
    fn new(camera: i64, ticks: i64) -> Self {
        Self { camera, ticks, highest: camera, behind: 0, top: ticks, late: 0 }
    }

    fn ticks_of(&self, camera: i64) -> i64 {
        self.ticks.saturating_add(camera.saturating_sub(self.camera))
    }
}

/// NTP's 32.32 fixed point in nanoseconds: 2^32 s fit into an `i64`.
fn ntp_ns(ntp: u64) -> i64 {
    let fraction = ((ntp & 0xffff_ffff) * 1_000_000_000) >> 32;
    i64::try_from((ntp >> 32) * 1_000_000_000 + fraction).unwrap_or(i64::MAX)
}

fn distance(a: i64, b: i64) -> i64 {
    a.saturating_sub(b).saturating_abs()
}

fn clamped(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
