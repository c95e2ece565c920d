//! The ring of a stream: numbered units, the current group of pictures and, while somebody reads, a little before it.
//! No clock, no runtime: time is what the units say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Settings;
use super::budget::{Budget, Part};
use super::numbering::{Numbering, Origin};
use crate::media::{AccessUnit, Published, Track, TrackId, TrackKind};
use crate::ops::limits;
use crate::ops::metrics::UnitRefused;
use crate::wire::rtp;

/// What an entry costs beside its media: the structures around it, rounded up.
const ENTRY_BYTES: usize = 512;

/// What a unit of `data_bytes` takes in a ring, within a percent.
pub fn unit_bytes(data_bytes: usize) -> usize {
    let heads = data_bytes / (limits::RTP_PACKET_BYTES / 16);
    data_bytes.saturating_add(heads).saturating_add(ENTRY_BYTES)
}

/// The units that readers may still get. Their indices have no gaps; the last is the live end.
#[derive(Debug)]
pub(super) struct Ring {
    settings: Settings,
    part: Part,
    tracks: Option<Vec<TrackState>>,
    /// Rises when the format changes.
    format: u64,
    entries: VecDeque<Entry>,
    next_index: u64,
    group: Group,
    /// When a cut was news.
    cut_told: Option<Instant>,
}

/// One unit and what it costs.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) published: Arc<Published>,
    bytes: usize,
}

/// A track as the ring knows it.
#[derive(Debug)]
pub(super) struct TrackState {
    pub(super) track: Arc<Track>,
    pub(super) numbering: Numbering,
    /// Where new readers start, if it is still here.
    pub(super) newest_random_access: Option<RandomAccess>,
    pictures: Pictures,
}

/// Where and when a unit stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct RandomAccess {
    pub(super) index: u64,
    pub(super) received: Instant,
}

/// Whether a decoder could follow a track's next picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pictures {
    AwaitRandomAccess,
    Follow,
}

/// Whether the ring could keep the latest group of pictures whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Whole,
    Cut,
    /// The one before it was cut; of this one nobody knows yet.
    AfterCut,
}

/// Whether a stream has readers, who may lag and then need what was before the current group of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    Yes,
    No,
}

/// What became of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It is in the ring.
    Kept,
    /// It is published, but the group of pictures does not fit, which is news once in a while.
    Cut(News),
    /// It is not published.
    Refused(UnitRefused),
}

/// Whether something was so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    First,
    Again,
}

/// What a new list of tracks means for readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// They go on, or begin.
    Same,
    /// They must ask for a new description.
    Changed,
}

impl Ring {
    pub(super) fn new(settings: Settings, budget: &Arc<Budget>) -> Self {
        Self {
            settings,
            part: budget.part(),
            tracks: None,
            format: 0,
            entries: VecDeque::new(),
            next_index: 0,
            group: Group::Whole,
            cut_told: None,
        }
    }

    /// Declares the tracks; those beyond [`limits::TRACKS`] are left out. `origin` is asked for each track
    /// that never was there before.
    pub(super) fn set_tracks(
        &mut self,
        tracks: Vec<Arc<Track>>,
        mut origin: impl FnMut() -> Origin,
    ) -> Format {
        let tracks = tracks.into_iter().filter(|track| usize::from(track.id.0) < limits::TRACKS);
        let tracks: Vec<_> = tracks.collect();
        let mut old = self.tracks.take();
        let format = match &old {
            Some(old) if !is_compatible(old, &tracks) => Format::Changed,
            Some(_) | None => Format::Same,
        };
        let state = |track: Arc<Track>| {
            let known = old.as_mut().and_then(|old| {
                let at = old.iter().position(|state| state.track.id == track.id)?;
                Some(old.swap_remove(at))
            });
            match known {
                Some(state) if state.track == track => state,
                Some(state) => TrackState::new(track, state.numbering, state.newest_random_access),
                None => TrackState::new(track, Numbering::new(origin()), None),
            }
        };
        self.tracks = Some(tracks.into_iter().map(state).collect());
        if format == Format::Changed {
            self.format += 1;
            self.clear();
            self.pause();
        }
        format
    }

    /// The camera is away: what was seen stays for those who were there, and is nobody's first picture.
    pub(super) fn pause(&mut self) {
        for state in self.tracks.iter_mut().flatten() {
            state.newest_random_access = None;
            state.pictures = Pictures::AwaitRandomAccess;
            state.numbering.pause();
        }
    }

    /// Forgets all units; numbering goes on.
    pub(super) fn clear(&mut self) {
        while self.evict().is_some() {}
    }

    /// Numbers a unit and keeps it, if the bounds allow.
    pub(super) fn push(&mut self, unit: AccessUnit, watched: Watched) -> Pushed {
        let index = self.next_index;
        let place = RandomAccess { index, received: unit.received };
        let Some(state) = self.track_mut(unit.track.id).filter(|state| state.is_of(&unit)) else {
            return Pushed::Refused(UnitRefused::UnknownTrack);
        };
        let is_video = unit.track.kind() == TrackKind::Video;
        if is_video && state.pictures == Pictures::AwaitRandomAccess && !unit.random_access {
            return Pushed::Refused(UnitRefused::BeforeRandomAccess);
        }
        let Some(plan) = rtp::plan(&unit) else {
            return Pushed::Refused(UnitRefused::NoForm);
        };
        // It lies here in one form at a time.
        let bytes = unit.data.len().max(plan.wire_bytes()).saturating_add(ENTRY_BYTES);
        let starts_group = is_video && unit.random_access;
        if starts_group {
            state.newest_random_access = Some(place);
            state.pictures = Pictures::Follow;
        }
        let published = Arc::new(state.numbering.publish(unit, index, plan));
        self.next_index += 1;
        if starts_group {
            self.group = match self.group {
                Group::Whole | Group::AfterCut => Group::Whole,
                Group::Cut => Group::AfterCut,
            };
        }
        self.keep(Entry { published, bytes }, place, starts_group, watched)
    }

    /// The format's number; a reader of another one cannot go on.
    pub(super) fn format(&self) -> u64 {
        self.format
    }

    pub(super) fn tracks(&self) -> Option<&[TrackState]> {
        self.tracks.as_deref()
    }

    pub(super) fn track(&self, id: TrackId) -> Option<&TrackState> {
        self.tracks.iter().flatten().find(|state| state.track.id == id)
    }

    pub(super) fn reader_lag(&self) -> Duration {
        self.settings.reader_lag
    }

    /// Bytes in the ring, each unit in its larger form.
    pub(super) fn bytes(&self) -> usize {
        self.part.bytes()
    }

    /// Index of the oldest unit here; the end if there is none.
    pub(super) fn front(&self) -> u64 {
        self.entries.front().map_or(self.next_index, |entry| entry.published.index)
    }

    /// Index that the next unit will have.
    pub(super) fn end(&self) -> u64 {
        self.next_index
    }

    /// When the newest unit came.
    pub(super) fn live(&self) -> Option<Instant> {
        self.entries.back().map(|entry| entry.published.unit.received)
    }

    pub(super) fn get(&self, index: u64) -> Option<&Arc<Published>> {
        let at = usize::try_from(index.checked_sub(self.front())?).ok()?;
        self.entries.get(at).map(|entry| &entry.published)
    }

    fn track_mut(&mut self, id: TrackId) -> Option<&mut TrackState> {
        self.tracks.iter_mut().flatten().find(|state| state.track.id == id)
    }

    /// Makes room and appends.
    fn keep(
        &mut self,
        entry: Entry,
        place: RandomAccess,
        starts_group: bool,
        watched: Watched,
    ) -> Pushed {
        self.trim_old(place.received, watched);
        let mut cut = false;
        while self.is_full(entry.bytes)
            && let Some(lost) = self.evict()
        {
            cut |= lost == Lost::GroupStart;
        }
        while !self.take(entry.bytes) {
            match self.evict() {
                Some(lost) => cut |= lost == Lost::GroupStart,
                // Not even alone: nobody gets it, and readers see that they missed it.
                None => {
                    self.forget_start(place.index);
                    return if starts_group { self.cut(place.received) } else { Pushed::Kept };
                }
            }
        }
        if cut {
            self.trim_old(place.received, watched);
        }
        self.entries.push_back(entry);
        if cut { self.cut(place.received) } else { Pushed::Kept }
    }

    fn is_full(&self, more: usize) -> bool {
        let most = self
            .part
            .even_share()
            .map_or(self.settings.ring_bytes, |share| share.min(self.settings.ring_bytes));
        self.entries.len() >= self.settings.ring_units
            || self.part.bytes().saturating_add(more) > most
    }

    fn take(&mut self, bytes: usize) -> bool {
        bytes <= self.settings.ring_bytes && self.settings.ring_units > 0 && self.part.take(bytes)
    }

    /// Drops what is older than the current group of pictures and the time before it. Without a group
    /// (sound alone, or no random access point) only readers that lag need the past; without readers nobody does.
    fn trim_old(&mut self, live: Instant, watched: Watched) {
        let starts = self.tracks.iter().flatten().filter_map(|state| state.newest_random_access);
        let group = starts.min_by_key(|place| place.index);
        let (before, lag) = (self.settings.before_group, self.settings.reader_lag);
        while let Some(front) = self.entries.front() {
            let (index, received) = (front.published.index, front.published.unit.received);
            let age = live.saturating_duration_since(received);
            let is_old = match (group, watched) {
                (Some(start), Watched::No) => index < start.index,
                (None, Watched::No) => true,
                (Some(start), Watched::Yes) => {
                    index < start.index
                        && start.received.saturating_duration_since(received) > before
                        && age > lag
                }
                (None, Watched::Yes) => age > before.max(lag),
            };
            if !is_old {
                return;
            }
            self.evict();
        }
    }

    fn evict(&mut self) -> Option<Lost> {
        let entry = self.entries.pop_front()?;
        self.part.give(entry.bytes);
        Some(self.forget_start(entry.published.index))
    }

    fn forget_start(&mut self, index: u64) -> Lost {
        for state in self.tracks.iter_mut().flatten() {
            if state.newest_random_access.is_some_and(|place| place.index == index) {
                state.newest_random_access = None;
                return Lost::GroupStart;
            }
        }
        Lost::Other
    }

    /// The current group lost its start. A camera can make groups that fit by turns, so time counts too.
    fn cut(&mut self, at: Instant) -> Pushed {
        let told = self.cut_told.map(|told| at.saturating_duration_since(told));
        let is_quiet = told.is_none_or(|ago| ago >= limits::RING_CUT_NEWS);
        let news = match self.group {
            Group::Whole if is_quiet => News::First,
            Group::Whole | Group::Cut | Group::AfterCut => News::Again,
        };
        if news == News::First {
            self.cut_told = Some(at);
        }
        self.group = Group::Cut;
        Pushed::Cut(news)
    }
}

/// What an evicted unit was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    GroupStart,
    Other,
}

impl TrackState {
    fn new(
        track: Arc<Track>,
        numbering: Numbering,
        newest_random_access: Option<RandomAccess>,
    ) -> Self {
        Self { track, numbering, newest_random_access, pictures: Pictures::AwaitRandomAccess }
    }

    /// RTP payload type.
    pub(super) fn payload_type(&self) -> u8 {
        rtp::payload_type(self.track.id, &self.track.codec, self.track.clock_rate)
    }

    fn is_of(&self, unit: &AccessUnit) -> bool {
        Arc::ptr_eq(&self.track, &unit.track) || self.track.is_compatible(&unit.track)
    }
}

fn is_compatible(old: &[TrackState], new: &[Arc<Track>]) -> bool {
    old.len() == new.len()
        && old.iter().zip(new).all(|(state, track)| state.track.is_compatible(track))
}
