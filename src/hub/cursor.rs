//! A reader's place in a ring: where it starts, what it takes next, when it is too far behind.
//!
//! Of each track a reader gets consecutive units. It skips units only when it is told so
//! ([`Step::Lagged`]) or starts again, never goes back, and begins at a random access point. The leading
//! pictures of that point are left out: they show what was before it, and cannot be decoded without.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Position;
use super::ring::{Ring, TrackState};
use crate::media::{Kinds, Published, TrackId, TrackKind};
use crate::ops::limits;

/// A reader's place.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    kinds: Kinds,
    selection: Selection,
    format: u64,
    begun: Begun,
    /// The next unit to look at.
    next: u64,
    sound: Sound,
    /// By track id.
    tracks: [TrackPlace; limits::TRACKS],
    backlog: Option<Backlog>,
}

/// Which of the permitted tracks a reader takes.
#[derive(Debug, Clone)]
enum Selection {
    All,
    Only([bool; limits::TRACKS]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    NotYet,
    Begun,
}

/// Sound waits for the picture it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sound {
    AwaitPicture,
    Flows,
}

#[derive(Debug, Clone, Copy)]
struct TrackPlace {
    /// No unit before this index.
    from: u64,
    decoder: Decoder,
    /// No picture shown before this: it may need pictures from before the place where its decoder began
    /// (the leading pictures of an open group). None once a later one came.
    shown_from: Option<i64>,
}

/// What the reader's decoder of a track can do with the next unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoder {
    AwaitsRandomAccess,
    Follows,
}

/// How far behind live a reader was put when it started, and when. It has as long again to catch up.
#[derive(Debug, Clone, Copy)]
struct Backlog {
    behind: Duration,
    live: Instant,
}

/// What a reader gets.
#[derive(Debug)]
pub(super) enum Step {
    Unit(Arc<Published>),
    /// It was too far behind and was moved.
    Lagged {
        skipped: u64,
    },
    /// Nothing is there yet.
    Empty,
    /// Its tracks are no longer those of the stream.
    FormatChanged,
}

/// Why a reader is put at a random access point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It asked; if it has the newest already, it goes on where it was.
    Asked,
    /// It fell behind; if it has the newest already, it waits for the next.
    Lagged,
}

impl Cursor {
    pub(super) fn new(ring: &Ring, kinds: Kinds) -> Self {
        let place = TrackPlace::awaits(0);
        Self {
            kinds,
            selection: Selection::All,
            format: ring.format(),
            begun: Begun::NotYet,
            next: ring.end(),
            sound: Sound::AwaitPicture,
            tracks: [place; limits::TRACKS],
            backlog: None,
        }
    }

    /// Takes these tracks of the permitted ones from now on.
    pub(super) fn select(&mut self, tracks: &[TrackId]) {
        let mut only = [false; limits::TRACKS];
        for id in tracks {
            if let Some(taken) = only.get_mut(usize::from(id.0)) {
                *taken = true;
            }
        }
        // What was left out was missed: its decoder has to begin anew.
        for (place, taken) in self.tracks.iter_mut().zip(only) {
            if !taken {
                place.decoder = Decoder::AwaitsRandomAccess;
            }
        }
        self.selection = Selection::Only(only);
    }

    /// Puts the reader at the newest random access point of the pictures it takes, or at the live end if
    /// it takes sound alone. Never goes back behind what it got.
    pub(super) fn start(&mut self, ring: &Ring) {
        self.place(ring, Cause::Asked);
    }

    /// The next unit.
    pub(super) fn poll(&mut self, ring: &Ring) -> Step {
        if !self.is_of_format(ring) {
            return Step::FormatChanged;
        }
        if self.begun == Begun::NotYet {
            self.start(ring);
        }
        if self.next < ring.front() {
            return Step::Lagged { skipped: self.lag(ring) };
        }
        let mut moved = false;
        loop {
            let Some(published) = ring.get(self.next) else {
                return Step::Empty;
            };
            if !self.wants(ring, published) {
                self.next += 1;
            } else if moved || !self.is_late(ring, published) {
                self.take(published);
                return Step::Unit(Arc::clone(published));
            } else {
                let mut ahead = self.clone();
                let skipped = ahead.lag(ring);
                if skipped > 0 {
                    *self = ahead;
                    return Step::Lagged { skipped };
                }
                // It stands at the newest random access point already, with the time to catch up anew.
                self.backlog = Backlog::at(ring, self.next);
                moved = true;
            }
        }
    }

    /// Where a track starts that plays from `now` on, if the reader takes it.
    pub(super) fn position(&self, ring: &Ring, id: TrackId, now: Instant) -> Option<Position> {
        let state = ring.track(id).filter(|state| self.takes(state))?;
        let mut probe = self.clone();
        if probe.begun == Begun::NotYet {
            probe.start(ring);
        } else if probe.next < ring.front() {
            probe.lag(ring);
        }
        let first = (probe.next..ring.end()).find_map(|index| {
            let published = ring.get(index).filter(|published| probe.wants(ring, published))?;
            probe.take(published);
            (published.unit.track.id == id).then_some(published)
        });
        let payload_type = state.payload_type();
        Some(first.map_or_else(
            || Position {
                ssrc: state.numbering.ssrc(),
                payload_type,
                seq: state.numbering.seq(),
                rtp_time: state.numbering.next_rtp_time(now, state.track.clock_rate),
            },
            |first| Position {
                ssrc: first.ssrc,
                payload_type,
                seq: first.first_seq,
                rtp_time: first.rtp_time,
            },
        ))
    }

    /// Whether the tracks that the reader knows are still those of the stream.
    pub(super) fn is_of_format(&self, ring: &Ring) -> bool {
        self.format == ring.format()
    }

    fn takes(&self, state: &TrackState) -> bool {
        self.takes_track(state.track.id, state.track.kind())
    }

    fn takes_track(&self, id: TrackId, kind: TrackKind) -> bool {
        self.kinds.contains(kind)
            && match &self.selection {
                Selection::All => true,
                Selection::Only(only) => only.get(usize::from(id.0)).copied().unwrap_or(false),
            }
    }

    /// Moves on as one who fell behind; the number of units passed over.
    fn lag(&mut self, ring: &Ring) -> u64 {
        let before = self.next;
        self.place(ring, Cause::Lagged);
        self.next.saturating_sub(before)
    }

    fn place(&mut self, ring: &Ring, cause: Cause) {
        self.begun = Begun::Begun;
        let mut first = None;
        let mut follows = false;
        for state in ring.tracks().unwrap_or_default() {
            if state.track.kind() == TrackKind::Video
                && self.takes(state)
                && let Some(place) = self.tracks.get_mut(usize::from(state.track.id.0))
            {
                place.restart(ring, state, cause);
                follows |= place.decoder == Decoder::Follows;
                first = Some(first.map_or(place.from, |first: u64| first.min(place.from)));
            }
        }
        self.next = first.unwrap_or_else(|| ring.end());
        self.sound = if first.is_none() || follows { Sound::Flows } else { Sound::AwaitPicture };
        for state in ring.tracks().unwrap_or_default() {
            if state.track.kind() == TrackKind::Audio
                && let Some(place) = self.tracks.get_mut(usize::from(state.track.id.0))
            {
                place.from = place.from.max(self.next);
            }
        }
        self.backlog = Backlog::at(ring, self.next);
    }

    fn wants(&self, ring: &Ring, published: &Published) -> bool {
        let (id, kind) = (published.unit.track.id, published.unit.track.kind());
        let Some(place) = self.tracks.get(usize::from(id.0)) else {
            return false;
        };
        self.takes_track(id, kind)
            && published.index >= place.from
            && match kind {
                TrackKind::Video => place.decodes(published),
                TrackKind::Audio => self.sound == Sound::Flows || !self.takes_pictures(ring),
            }
    }

    fn takes_pictures(&self, ring: &Ring) -> bool {
        let mut tracks = ring.tracks().unwrap_or_default().iter();
        tracks.any(|state| state.track.kind() == TrackKind::Video && self.takes(state))
    }

    fn take(&mut self, published: &Published) {
        self.next = published.index + 1;
        if let Some(place) = self.tracks.get_mut(usize::from(published.unit.track.id.0)) {
            place.take(published);
        }
        self.sound = Sound::Flows;
    }

    /// More than the allowed time behind live. Who started behind live may be as much later as is left of
    /// the time to catch up.
    fn is_late(&self, ring: &Ring, published: &Published) -> bool {
        let Some(live) = ring.live() else {
            return false;
        };
        let grace = self.backlog.map_or(Duration::ZERO, |backlog| {
            backlog.behind.saturating_sub(live.saturating_duration_since(backlog.live))
        });
        let behind = live.saturating_duration_since(published.unit.received);
        behind > ring.reader_lag().saturating_add(grace)
    }
}

impl Backlog {
    fn at(ring: &Ring, index: u64) -> Option<Self> {
        let live = ring.live()?;
        let behind = ring.get(index).map_or(Duration::ZERO, |published| {
            live.saturating_duration_since(published.unit.received)
        });
        Some(Self { behind, live })
    }
}

impl TrackPlace {
    /// A place whose decoder begins with the next random access point.
    fn awaits(from: u64) -> Self {
        Self { from, decoder: Decoder::AwaitsRandomAccess, shown_from: None }
    }

    /// Whether the reader's decoder can do something with a picture.
    fn decodes(&self, published: &Published) -> bool {
        match self.decoder {
            Decoder::AwaitsRandomAccess => published.unit.random_access,
            Decoder::Follows => self.shown_from.is_none_or(|from| published.unit.ticks >= from),
        }
    }

    fn take(&mut self, published: &Published) {
        self.from = published.index + 1;
        self.shown_from = match self.decoder {
            Decoder::AwaitsRandomAccess => Some(published.unit.ticks),
            Decoder::Follows => None,
        };
        self.decoder = Decoder::Follows;
    }

    /// At the newest random access point that the reader does not have.
    fn restart(&mut self, ring: &Ring, state: &TrackState, cause: Cause) {
        let goes_on = self.decoder == Decoder::Follows && self.from >= ring.front();
        match state.newest_random_access {
            Some(newest) if newest.index >= self.from => {
                *self = Self::awaits(newest.index);
            }
            Some(_) | None if cause == Cause::Asked && goes_on => {}
            Some(_) | None => {
                *self = Self::awaits(ring.end());
            }
        }
    }
}
