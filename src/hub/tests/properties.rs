//! What every reader sees, whoever reads what and when, against a model that knows nothing of rings:
//! consecutive packets of each track, a gap only when told, nothing before a random access point, one form
//! for all, and bounds that hold. `cargo mutants` shows that these checks can fail (CONTRIBUTING.md).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};

use super::{milli, sound, unit, video};
use crate::hub::Settings;
use crate::hub::budget::Budget;
use crate::hub::cursor::{Cursor, Step};
use crate::hub::numbering::Origin;
use crate::hub::ring::{Pushed, Ring, Watched};
use crate::media::{AccessUnit, Kinds, Published, Track, TrackId, TrackKind};
use crate::ops::metrics::UnitRefused;
use crate::wire::rtp;

const TRACKS: usize = 3;
/// Sound is track 1; the others are pictures.
const SOUND: usize = 1;

#[derive(Debug, Clone)]
enum Op {
    Push { track: usize, random_access: bool, length: usize, after: u64 },
    PushElsewhere { length: usize },
    Away,
    NewParameters,
    NewFormat,
    Join { kinds: Kinds, selection: Option<[bool; TRACKS]> },
    Read { reader: usize, count: usize, build: Build },
    Start { reader: usize },
    Select { reader: usize, selection: [bool; TRACKS] },
    Leave { reader: usize },
}

/// When a reader asks for the form of what it got.
#[derive(Debug, Clone, Copy)]
enum Build {
    AtOnce,
    AtTheEnd,
}

fn op() -> impl Strategy<Value = Op> {
    let after = prop_oneof![20 => 0_u64..100, 1 => 1_000_u64..3_000];
    let push = (
        prop_oneof![6 => Just(0_usize), 4 => Just(SOUND), 1 => Just(2)],
        prop::bool::weighted(0.12),
        prop_oneof![8 => 1_usize..3_000, 1 => 3_000_usize..20_000],
        after,
    );
    let kinds = prop_oneof![
        4 => Just(Kinds::ALL),
        1 => Just(Kinds { video: true, audio: false }),
        1 => Just(Kinds { video: false, audio: true }),
    ];
    let build = prop_oneof![Just(Build::AtOnce), Just(Build::AtTheEnd)];
    let selection = any::<[bool; TRACKS]>();
    prop_oneof![
        60 => push.prop_map(|(track, random_access, length, after)| Op::Push {
            track, random_access: random_access || track == SOUND, length, after
        }),
        10 => (1_usize..8_000).prop_map(|length| Op::PushElsewhere { length }),
        1 => Just(Op::Away),
        1 => Just(Op::NewParameters),
        1 => Just(Op::NewFormat),
        4 => (kinds, prop::option::weighted(0.3, selection))
            .prop_map(|(kinds, selection)| Op::Join { kinds, selection }),
        30 => (0_usize..8, 1_usize..12, build)
            .prop_map(|(reader, count, build)| Op::Read { reader, count, build }),
        2 => (0_usize..8).prop_map(|reader| Op::Start { reader }),
        1 => (0_usize..8, any::<[bool; TRACKS]>())
            .prop_map(|(reader, selection)| Op::Select { reader, selection }),
        1 => (0_usize..8).prop_map(|reader| Op::Leave { reader }),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let small =
        Settings { ring_bytes: 60_000, ring_units: 30, rings_bytes: 90_000, ..Settings::default() };
    let many_units = Settings { ring_bytes: 1_000_000, rings_bytes: 1_000_000, ..small };
    prop_oneof![
        Just(small),
        Just(Settings { ring_units: 10_000, ..small }),
        Just(many_units),
        Just(Settings::default()),
    ]
}

/// What the model knows of a published unit.
struct Logged {
    unit: AccessUnit,
    track: usize,
    random_access: bool,
    received: Instant,
    first_seq: u16,
    packets: u16,
    rtp_time: u32,
    /// The first form that anybody got.
    form: Option<Bytes>,
}

struct Reader {
    cursor: Cursor,
    kinds: Kinds,
    selection: [bool; TRACKS],
    last: [Option<u64>; TRACKS],
    next_seq: [Option<u16>; TRACKS],
    gap_allowed: [bool; TRACKS],
    /// No sound before a picture.
    awaits_picture: bool,
    has_read: bool,
    format_changed: bool,
    /// It was put where it is; it may be behind by what is the case at its next unit.
    placed: bool,
    behind: Duration,
    held: Vec<Arc<Published>>,
}

struct World {
    settings: Settings,
    budget: Arc<Budget>,
    ring: Ring,
    elsewhere: Ring,
    origins: Vec<Origin>,
    tracks: [Arc<Track>; TRACKS],
    now: Duration,
    /// Changes of tracks so far: parameters and sizes that never were before.
    changes: u8,
    log: Vec<Logged>,
    next_seq: [u16; TRACKS],
    awaits: [bool; TRACKS],
    newest: [Option<u64>; TRACKS],
    readers: Vec<Reader>,
}

type Checked = Result<(), String>;

fn check(that: bool, else_say: impl FnOnce() -> String) -> Checked {
    if that { Ok(()) } else { Err(else_say()) }
}

fn run(settings: Settings, ops: &[Op]) -> Checked {
    let mut world = World::new(settings);
    for op in ops {
        world.apply(op)?;
    }
    world.finish()
}

impl World {
    fn new(settings: Settings) -> Self {
        let budget = Budget::new(settings.rings_bytes);
        let mut world = Self {
            settings,
            ring: Ring::new(settings, &budget),
            elsewhere: Ring::new(settings, &budget),
            budget,
            origins: (0..3)
                .map(|n| Origin { ssrc: 100 + n, seq: 65_500, rtp_time: u32::MAX - 1000 * n })
                .collect(),
            tracks: [video(0, 320, 0), sound(1), video(2, 160, 0)],
            now: Duration::ZERO,
            changes: 0,
            log: Vec::new(),
            next_seq: [65_500; TRACKS],
            awaits: [true; TRACKS],
            newest: [None; TRACKS],
            readers: Vec::new(),
        };
        world.declare();
        let origin = || Origin { ssrc: 1, seq: 1, rtp_time: 1 };
        world.elsewhere.set_tracks(vec![sound(0)], origin);
        world
    }

    fn declare(&mut self) {
        let mut origins = self.origins.iter();
        self.ring.set_tracks(self.tracks.to_vec(), || *origins.next().unwrap());
    }

    fn apply(&mut self, op: &Op) -> Checked {
        match op {
            Op::Push { track, random_access, length, after } => {
                self.now += milli(*after);
                self.push(*track, *random_access, *length)
            }
            Op::PushElsewhere { length } => {
                self.elsewhere.push(unit(&sound(0), self.now, true, *length), Watched::Yes);
                self.check_bounds()
            }
            Op::Away => {
                self.ring.pause();
                (self.awaits, self.newest) = ([true; TRACKS], [None; TRACKS]);
                Ok(())
            }
            Op::NewParameters => {
                self.changes += 1;
                self.tracks[0] = video(0, 320, self.changes);
                self.awaits[0] = true;
                self.declare();
                Ok(())
            }
            Op::NewFormat => {
                self.changes += 1;
                self.tracks[2] = video(2, 400 + u16::from(self.changes), 0);
                (self.awaits, self.newest) = ([true; TRACKS], [None; TRACKS]);
                self.declare();
                self.readers.iter_mut().for_each(|reader| reader.format_changed = true);
                Ok(())
            }
            Op::Join { kinds, selection } => {
                self.join(*kinds, *selection);
                Ok(())
            }
            Op::Read { reader, count, build } => self.read(*reader, *count, *build),
            Op::Start { reader } => self.start(*reader),
            Op::Select { reader, selection } => {
                if let Some(reader) = self.readers.get_mut(*reader) {
                    reader.select(*selection);
                }
                Ok(())
            }
            Op::Leave { reader } => {
                if *reader < self.readers.len() {
                    let reader = self.readers.swap_remove(*reader);
                    self.check_forms(reader.held)?;
                }
                Ok(())
            }
        }
    }

    fn push(&mut self, track: usize, random_access: bool, length: usize) -> Checked {
        let index = u64::try_from(self.log.len()).unwrap();
        let unit = unit(&self.tracks[track], self.now, random_access, length);
        let is_video = track != SOUND;
        let pushed = self.ring.push(unit.clone(), self.watched());
        let refused = pushed == Pushed::Refused(UnitRefused::BeforeRandomAccess);
        let expected = is_video && self.awaits[track] && !random_access;
        check(refused == expected, || format!("push of {unit:?} is {pushed:?}"))?;
        if refused {
            return Ok(());
        }
        if is_video && random_access {
            self.awaits[track] = false;
            self.newest[track] = Some(index);
        }
        let base = self.origins[track].rtp_time;
        let packets = count_packets(&unit);
        let ticks = u32::try_from(unit.ticks).unwrap();
        self.log.push(Logged {
            track,
            random_access,
            received: unit.received,
            first_seq: self.next_seq[track],
            packets,
            rtp_time: base.wrapping_add(ticks),
            form: None,
            unit,
        });
        self.next_seq[track] = self.next_seq[track].wrapping_add(packets);
        self.check_age()?;
        self.check_bounds()
    }

    fn watched(&self) -> Watched {
        if self.readers.is_empty() { Watched::No } else { Watched::Yes }
    }

    /// The ring holds no more than it may, in whatever form it has or will have, whatever it says itself.
    fn check_bounds(&self) -> Checked {
        let units = |ring: &Ring| {
            (ring.front()..ring.end()).filter_map(|i| ring.get(i)).cloned().collect::<Vec<_>>()
        };
        let bytes = |units: &[Arc<Published>]| -> usize {
            let form =
                |p: &Published| rtp::Plan { packets: p.packets, octets: p.octets }.wire_bytes();
            units.iter().map(|p| p.media.held().max(form(p))).sum()
        };
        let (here, there) = (units(&self.ring), units(&self.elsewhere));
        let (used, all) = (bytes(&here), bytes(&here) + bytes(&there));
        let s = &self.settings;
        check(here.len() <= s.ring_units, || format!("{} units", here.len()))?;
        check(used <= s.ring_bytes, || format!("{used} bytes in the ring"))?;
        check(all <= s.rings_bytes, || format!("{all} bytes in all rings"))?;
        check(self.budget.used() <= s.rings_bytes, || "budget exceeded".into())
    }

    /// Nothing older than the current group of pictures and, for readers, the time before it.
    fn check_age(&self) -> Checked {
        let front = self.ring.front();
        let Some(oldest) = self.ring.get(front) else { return Ok(()) };
        let live = self.log.last().unwrap().received;
        let age = live - oldest.unit.received;
        let starts = self.newest.iter().flatten().filter(|index| **index >= front);
        let old = match (starts.min(), self.watched()) {
            (Some(start), Watched::No) => *start > front,
            (None, Watched::No) => front + 1 < self.ring.end(),
            (Some(start), Watched::Yes) => {
                let start_received = self.log[usize::try_from(*start).unwrap()].received;
                *start > front
                    && start_received - oldest.unit.received > self.settings.before_group
                    && age > self.settings.reader_lag
            }
            (None, Watched::Yes) => age > self.settings.before_group.max(self.settings.reader_lag),
        };
        check(!old, || format!("unit {front} is {age:?} old"))
    }

    fn join(&mut self, kinds: Kinds, selection: Option<[bool; TRACKS]>) {
        let mut cursor = Cursor::new(&self.ring, kinds);
        if let Some(selection) = selection {
            cursor.select(&ids(selection));
        }
        self.readers.push(Reader {
            cursor,
            kinds,
            selection: selection.unwrap_or([true; TRACKS]),
            last: [None; TRACKS],
            next_seq: [None; TRACKS],
            gap_allowed: [true; TRACKS],
            awaits_picture: false,
            has_read: false,
            format_changed: false,
            placed: true,
            behind: Duration::ZERO,
            held: Vec::new(),
        });
    }

    fn start(&mut self, reader: usize) -> Checked {
        let Some(at) = self.readers.get_mut(reader) else { return Ok(()) };
        if at.format_changed {
            return Ok(());
        }
        at.cursor.start(&self.ring);
        at.gap_allowed = [true; TRACKS];
        at.placed = true;
        at.begin();
        // What RTP-Info would say is what comes, if it is there already.
        for track in 0..TRACKS {
            let id = TrackId(u8::try_from(track).unwrap());
            let at = &self.readers[reader];
            let Some(position) = at.cursor.position(&self.ring, id, super::epoch()) else {
                check(!at.takes(track), || format!("no position for track {track}"))?;
                continue;
            };
            check(at.takes(track), || format!("position for track {track}"))?;
            let mut probe = at.cursor.clone();
            while let Step::Unit(published) = probe.poll(&self.ring) {
                if published.unit.track.id == id {
                    let first = (published.first_seq, published.rtp_time, published.ssrc);
                    let said = (position.seq, position.rtp_time, position.ssrc);
                    check(first == said, || format!("position {said:?}, unit {first:?}"))?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, reader: usize, count: usize, build: Build) -> Checked {
        for _ in 0..count {
            let Some(at) = self.readers.get_mut(reader) else { return Ok(()) };
            if !at.has_read {
                at.begin();
            }
            match at.cursor.poll(&self.ring) {
                Step::Empty => {
                    return check(!at.format_changed, || "goes on over a change of format".into());
                }
                Step::FormatChanged => {
                    return check(at.format_changed, || "format did not change".into());
                }
                Step::Lagged { skipped } => {
                    check(skipped > 0 && !at.format_changed, || format!("{skipped} skipped"))?;
                    at.gap_allowed = [true; TRACKS];
                    at.placed = true;
                    at.awaits_picture = at.takes_pictures();
                }
                Step::Unit(published) => {
                    self.check_unit(reader, &published)?;
                    match build {
                        Build::AtOnce => self.check_forms([published])?,
                        Build::AtTheEnd => self.readers[reader].held.push(published),
                    }
                }
            }
        }
        Ok(())
    }

    fn check_unit(&mut self, reader: usize, published: &Published) -> Checked {
        let (index, track) = (published.index, usize::from(published.unit.track.id.0));
        let at = &mut self.readers[reader];
        let say = |what: &str| format!("reader {reader}, track {track}, unit {index}: {what}");
        check(!at.format_changed, || say("after a change of format"))?;
        let logged = self.log.get(usize::try_from(index).unwrap()).ok_or_else(|| say("unknown"))?;
        check(logged.track == track, || say("wrong track"))?;
        check(at.takes(track), || say("not taken"))?;
        check(at.last[track].is_none_or(|last| last < index), || say("given again"))?;
        let missed = at.last[track].is_none_or(|last| {
            let between = usize::try_from(last).unwrap() + 1..usize::try_from(index).unwrap();
            self.log[between].iter().any(|between| between.track == track)
        });
        if missed {
            check(at.gap_allowed[track], || say("gap"))?;
            check(logged.random_access, || say("no random access point after a gap"))?;
        } else {
            let expected = at.next_seq[track];
            check(expected == Some(published.first_seq), || say("sequence numbers"))?;
        }
        check(published.first_seq == logged.first_seq, || say("not the stream's number"))?;
        check(published.rtp_time == logged.rtp_time, || say("not the stream's time"))?;
        if track == SOUND {
            check(!at.awaits_picture, || say("sound before the picture"))?;
        } else {
            at.awaits_picture = false;
        }
        let behind = self.log.last().unwrap().received - logged.received;
        if at.placed {
            at.behind = behind;
        } else if self.newest[track] == Some(index) {
            // Who stands there cannot be moved and may catch up from there.
            at.behind = at.behind.max(behind);
        }
        let most = self.settings.reader_lag + at.behind;
        check(behind <= most, || say(&format!("{behind:?} behind")))?;
        at.placed = false;
        at.gap_allowed[track] = false;
        at.last[track] = Some(index);
        at.next_seq[track] = Some(logged.first_seq.wrapping_add(logged.packets));
        Ok(())
    }

    /// Forms say what the log says, and are one for all.
    fn check_forms(&mut self, units: impl IntoIterator<Item = Arc<Published>>) -> Checked {
        for published in units {
            let logged = &mut self.log[usize::try_from(published.index).unwrap()];
            let form = rtp::interleaved(&published);
            let expected = build_anew(&logged.unit, logged.first_seq);
            check(packets(&form).eq(packets(&expected)), || "form differs".into())?;
            let first = logged.form.get_or_insert_with(|| form.clone());
            check(first.as_ptr() == form.as_ptr(), || "a form of its own".into())?;
        }
        Ok(())
    }

    /// After a random access point everybody who reads on is live again; then all forms are asked for.
    fn finish(mut self) -> Checked {
        self.round()?;
        self.round()?;
        for (reader, at) in self.readers.iter().enumerate() {
            for track in (0..TRACKS).filter(|track| at.takes(*track) && !at.format_changed) {
                let newest = self.log.iter().rposition(|logged| logged.track == track).unwrap();
                let got = at.last[track] == u64::try_from(newest).ok();
                check(got, || format!("reader {reader} starves: no unit {newest} of {track}"))?;
            }
        }
        let held = self.readers.iter_mut().rev().flat_map(|at| std::mem::take(&mut at.held));
        let held: Vec<_> = held.collect();
        self.check_forms(held.into_iter().rev())
    }

    /// A unit of each track, and everybody reads all there is.
    fn round(&mut self) -> Checked {
        for track in [0, 2, SOUND] {
            self.push(track, true, 100)?;
        }
        for reader in 0..self.readers.len() {
            self.read(reader, self.log.len() + 10, Build::AtTheEnd)?;
        }
        Ok(())
    }
}

impl Reader {
    /// Where reading begins, it waits for a picture if it takes any.
    fn begin(&mut self) {
        if !self.has_read {
            self.has_read = true;
            self.awaits_picture = self.takes_pictures();
        }
    }

    fn select(&mut self, selection: [bool; TRACKS]) {
        for (track, taken) in selection.into_iter().enumerate() {
            self.gap_allowed[track] |= !self.selection[track] || !taken;
        }
        self.cursor.select(&ids(selection));
        self.selection = selection;
        if self.has_read {
            self.awaits_picture = false;
        }
    }

    fn takes(&self, track: usize) -> bool {
        let kind = if track == SOUND { TrackKind::Audio } else { TrackKind::Video };
        self.selection[track] && self.kinds.contains(kind)
    }

    fn takes_pictures(&self) -> bool {
        (0..TRACKS).any(|track| track != SOUND && self.takes(track))
    }
}

fn ids(selection: [bool; TRACKS]) -> Vec<TrackId> {
    (0_u8..).zip(selection).filter(|(_, taken)| *taken).map(|(id, _)| TrackId(id)).collect()
}

/// A form that no ring has to do with.
fn build_anew(unit: &AccessUnit, first_seq: u16) -> Bytes {
    let (unit, media) = unit.clone().split();
    rtp::interleaved(&Published {
        unit,
        index: 0,
        first_seq,
        packets: 0,
        octets: 0,
        rtp_time: 0,
        ssrc: 0,
        payload_type: 0,
        packets_before: 0,
        octets_before: 0,
        media,
    })
}

/// Sequence number and payload of each packet.
fn packets(form: &Bytes) -> impl Iterator<Item = (u16, Bytes)> {
    let mut rest = form.clone();
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        let packet = rest.split_to(4 + length).split_off(4);
        Some((u16::from_be_bytes([packet[2], packet[3]]), packet.slice(12..)))
    })
}

fn count_packets(unit: &AccessUnit) -> u16 {
    u16::try_from(packets(&build_anew(unit, 0)).count()).unwrap()
}

fn hold(cases: u32, max_shrink_iters: u32) -> Result<(), TestError<(Settings, Vec<Op>)>> {
    let config = Config { cases, max_shrink_iters, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng)
        .run(&(settings(), prop::collection::vec(op(), 1..250)), |(settings, ops)| {
            run(settings, &ops).map_err(TestCaseError::fail)
        })
}

/// Enough for every mutant of ring and cursor that a property can see.
const CASES: u32 = 1_000;

#[test]
fn every_reader_sees_an_unbroken_stream() {
    hold(CASES, 2_000).unwrap();
}
