//! The hub with its runtime parts: waiting, ending, permits, demand.

mod bounds;
mod properties;

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::time::timeout;

use super::*;
use crate::media::{Codec, H264Parameters, Kinds, Track, TrackId};
use crate::wire::rtp;

pub(super) fn video(id: u8, width: u16, pps: u8) -> Arc<Track> {
    let codec = Codec::H264(H264Parameters {
        sps: Bytes::from_static(&[0x67, 0x64, 0, 12, 1, 2, 3]),
        pps: vec![0x68, pps].into(),
        profile: 100,
        constraints: 0,
        level: 12,
        width,
        height: 240,
        bit_depth: 8,
        chroma_format_idc: 1,
    });
    Arc::new(Track { id: TrackId(id), codec, clock_rate: 90_000 })
}

pub(super) fn sound(id: u8) -> Arc<Track> {
    let codec = Codec::Pcma { channels: 1 };
    Arc::new(Track { id: TrackId(id), codec, clock_rate: 8_000 })
}

/// One NAL unit, or samples, of `length` bytes.
pub(super) fn unit(
    track: &Arc<Track>,
    at: Duration,
    random_access: bool,
    length: usize,
) -> AccessUnit {
    let mut data = BytesMut::new();
    match track.codec {
        Codec::Pcma { .. }
        | Codec::Pcmu { .. }
        | Codec::G726(_)
        | Codec::L16 { .. }
        | Codec::Aac(_) => {}
        Codec::Jpeg(_) => panic!("has no such units"),
        Codec::H264(_) | Codec::H265(_) => data.put_u32(u32::try_from(length).unwrap()),
    }
    data.put_bytes(if random_access { 0x65 } else { 0x41 }, length);
    let ticks = at.as_micros() * u128::from(track.clock_rate) / 1_000_000;
    AccessUnit {
        track: Arc::clone(track),
        ticks: i64::try_from(ticks).unwrap(),
        received: epoch() + at,
        wallclock: UNIX_EPOCH + at,
        random_access,
        data: data.freeze(),
    }
}

/// The same for all units of the process.
fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(|| tokio::time::Instant::now().into_std())
}

fn name() -> StreamName {
    StreamName::parse("door/main").unwrap()
}

fn permit(kinds: Kinds) -> Permit {
    Permit::for_test("door/main", kinds)
}

fn milli(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A hub whose stream `door/main` has a picture (0) and a sound (1) track.
struct Setting {
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    publisher: Publisher,
    picture: Arc<Track>,
    sound: Arc<Track>,
}

fn setting(settings: Settings) -> Setting {
    let metrics = Metrics::new();
    let hub = Hub::with_settings(settings, Arc::clone(&metrics));
    let publisher = hub.declare(name()).unwrap();
    let (picture, sound) = (video(0, 320, 0), sound(1));
    publisher.set_tracks(vec![Arc::clone(&picture), Arc::clone(&sound)]);
    Setting { hub, metrics, publisher, picture, sound }
}

impl Setting {
    fn picture(&self, at: u64, random_access: bool) {
        self.publisher.push(unit(&self.picture, milli(at), random_access, 100));
    }

    fn sound(&self, at: u64) {
        self.publisher.push(unit(&self.sound, milli(at), true, 160));
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|l| l == line)
    }
}

/// What `next` gives now, without waiting.
async fn now(subscription: &mut Subscription) -> Option<Result<u64, Interrupt>> {
    let next = timeout(milli(1), subscription.next()).await.ok()?;
    Some(next.map(|published| published.index))
}

async fn all(subscription: &mut Subscription) -> Vec<u64> {
    let mut got = Vec::new();
    while let Some(next) = now(subscription).await {
        got.push(next.unwrap());
    }
    got
}

/// Decode order I B B P, the Bs shown before the I: a decoder that begins at the I cannot make them.
#[tokio::test(start_paused = true)]
async fn leading_pictures_are_for_those_who_were_there_before() {
    let at = setting(Settings::default());
    let show = |decoded: u64, shown: u64, random_access| {
        let unit = unit(&at.picture, milli(decoded), random_access, 100);
        let ticks = i64::try_from(shown * 90).unwrap();
        at.publisher.push(AccessUnit { ticks, ..unit });
    };
    show(0, 120, true);
    let mut early = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    assert_eq!(all(&mut early).await, [0]);
    for (decoded, shown, random_access) in
        [(40, 240, false), (80, 400, true), (120, 320, false), (160, 360, false), (200, 520, false)]
    {
        show(decoded, shown, random_access);
    }
    // Of the next pictures two go back as well, and are nobody's leading pictures.
    show(240, 440, false);
    show(280, 480, false);
    let mut late = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    late.start();
    assert_eq!(all(&mut late).await, [2, 5, 6, 7]);
    assert_eq!(all(&mut early).await, [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_begins_at_the_newest_random_access_point_and_goes_on_live() {
    let at = setting(Settings::default());
    for n in 0..20 {
        at.picture(n * 40, n % 10 == 0);
        at.sound(n * 40 + 20);
    }
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    reader.start();
    let position = reader.position(TrackId(0)).unwrap();
    let first = reader.next().await.unwrap();
    assert_eq!(first.index, 20);
    assert_eq!((position.seq, position.rtp_time), (first.first_seq, first.rtp_time));
    assert_eq!((position.ssrc, position.payload_type), (first.ssrc, 96));
    assert_eq!(all(&mut reader).await, (21..40).collect::<Vec<_>>());
    let (next, ()) = tokio::join!(reader.next(), async { at.picture(800, false) });
    assert_eq!(next.unwrap().index, 40);
}

#[tokio::test(start_paused = true)]
async fn sound_alone_begins_live_and_kinds_bound_everything() {
    let at = setting(Settings::default());
    at.picture(0, true);
    at.sound(20);
    let mut reader = at.hub.subscribe(permit(Kinds { video: false, audio: true })).unwrap();
    assert_eq!(reader.tracks().await.unwrap(), [Arc::clone(&at.sound)]);
    reader.select(&[TrackId(0), TrackId(1), TrackId(77)]);
    reader.start();
    assert_eq!(reader.position(TrackId(0)), None);
    at.picture(40, true);
    at.sound(60);
    assert_eq!(all(&mut reader).await, [3]);
}

#[tokio::test(start_paused = true)]
async fn the_time_told_while_the_camera_is_away_is_the_time_it_would_have() {
    let at = setting(Settings::default());
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    reader.start();
    at.picture(0, true);
    at.sound(20);
    assert_eq!(all(&mut reader).await, [0, 1]);
    let told = |reader: &Subscription| {
        [TrackId(0), TrackId(1)].map(|track| reader.position(track).unwrap().rtp_time)
    };
    let flowing = told(&reader);
    let away = Duration::from_secs(7200);
    tokio::time::advance(away).await;
    assert_eq!(told(&reader), flowing, "of one that plays, that of the latest unit");
    at.publisher.pause();
    let [picture, sound] = told(&reader);
    let pictures = f64::from(picture.wrapping_sub(flowing[0])) / 90_000.0;
    // The epoch of these tests may be older than this one.
    assert!((7200.0..7500.0).contains(&pictures), "{pictures}");
    let sounds = f64::from(sound.wrapping_sub(flowing[1])) / 8_000.0;
    assert!((pictures - sounds - 0.02).abs() < 0.001, "{pictures} and {sounds} are one moment");
}

#[tokio::test(start_paused = true)]
async fn tracks_are_waited_for_and_a_reader_counts_as_demand() {
    let hub = Hub::new();
    let publisher = hub.declare(name()).unwrap();
    let demand = publisher.demand();
    let mut reader = hub.subscribe(permit(Kinds::ALL)).unwrap();
    assert_eq!(*demand.borrow(), 1);
    assert!(timeout(milli(1), reader.tracks()).await.is_err());
    let (tracks, ()) =
        tokio::join!(reader.tracks(), async { publisher.set_tracks(vec![video(0, 320, 0)]) });
    assert_eq!(tracks.unwrap().len(), 1);
    drop(reader);
    assert_eq!(*demand.borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_permit_ends_a_reader_at_once() {
    let at = setting(Settings::default());
    let (permit, revoke) = Permit::revocable_for_test("door/main", Kinds::ALL);
    let mut waiting = at.hub.subscribe(permit.clone()).unwrap();
    let mut busy = at.hub.subscribe(permit).unwrap();
    at.picture(0, true);
    busy.start();
    assert_eq!(all(&mut waiting).await, [0]);
    let (next, ()) = tokio::join!(waiting.next(), async { drop(revoke) });
    assert_eq!(next.unwrap_err(), Interrupt::Revoked);
    for reader in [&mut waiting, &mut busy] {
        assert_eq!(reader.next().await.unwrap_err(), Interrupt::Revoked);
        assert_eq!(reader.tracks().await.unwrap_err(), Interrupt::Revoked);
    }
}

#[tokio::test(start_paused = true)]
async fn readers_survive_a_reconnect_and_new_parameters_but_no_new_format() {
    let mut at = setting(Settings::default());
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    at.picture(0, true);
    at.picture(40, false);
    assert_eq!(all(&mut reader).await, [0, 1]);
    at.publisher.pause();
    at.picture(10_000, false);
    at.picture(10_040, true);
    assert_eq!(all(&mut reader).await, [2]);
    assert!(at.metric(
        "camlock_stream_units_refused_total{stream=\"door/main\",reason=\"BeforeRandomAccess\"} 1"
    ));

    at.picture = video(0, 320, 1);
    at.publisher.set_tracks(vec![Arc::clone(&at.picture), Arc::clone(&at.sound)]);
    at.picture(10_080, false);
    at.picture(10_120, true);
    assert_eq!(all(&mut reader).await, [3]);

    at.picture = video(0, 640, 1);
    at.publisher.set_tracks(vec![Arc::clone(&at.picture), Arc::clone(&at.sound)]);
    at.picture(10_160, true);
    for _ in 0..2 {
        let ended = reader.next().await.unwrap_err();
        assert_eq!(ended, Interrupt::Ended(EndReason::FormatChanged));
    }
    let mut other = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    assert_eq!(all(&mut other).await, [4]);
    let mut video_only = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    at.publisher.set_tracks(vec![Arc::clone(&at.picture)]);
    assert!(video_only.tracks().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_is_away_shows_new_readers_nothing_old() {
    let at = setting(Settings::default());
    at.picture(0, true);
    at.picture(40, false);
    let mut there = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    there.start();
    at.publisher.pause();
    let mut late = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    assert_eq!(all(&mut there).await, [0, 1]);
    assert!(all(&mut late).await.is_empty());
    at.picture(60_000, true);
    assert_eq!(all(&mut there).await, [2]);
    assert_eq!(all(&mut late).await, [2]);
    drop((there, late));
    at.publisher.pause();
    assert!(at.metric("camlock_stream_ring_bytes{stream=\"door/main\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_falls_behind_is_told_and_moved() {
    let at = setting(Settings::default());
    at.picture(0, true);
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    assert_eq!(all(&mut reader).await, [0]);
    at.picture(1_000, false);
    at.picture(3_000, false);
    assert_eq!(now(&mut reader).await, Some(Ok(1)), "exactly the lag is no fault");
    at.picture(4_000, false);
    at.picture(5_001, false);
    // It has the newest random access point: it waits for the next one.
    assert_eq!(now(&mut reader).await, Some(Err(Interrupt::Lagged { skipped: 3 })));
    at.picture(5_002, false);
    assert_eq!(now(&mut reader).await, None);
    at.picture(5_040, true);
    at.picture(5_080, false);
    assert_eq!(all(&mut reader).await, [6, 7]);
    at.picture(6_000, true);
    at.picture(8_081, false);
    assert_eq!(all(&mut reader).await, [8, 9], "one unit at the limit is not late");
    at.picture(9_000, false);
    at.picture(10_000, true);
    at.picture(11_001, false);
    assert_eq!(now(&mut reader).await, Some(Err(Interrupt::Lagged { skipped: 1 })));
    assert_eq!(all(&mut reader).await, [11, 12]);
    assert!(at.metric("camlock_stream_lagged_total{stream=\"door/main\"} 2"));
}

#[tokio::test(start_paused = true)]
async fn who_starts_behind_live_has_as_long_to_catch_up() {
    let at = setting(Settings::default());
    for n in 0..11 {
        at.picture(n * 1_000, n == 0);
    }
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    // 10 s behind at 10 s, and at twice the pace: 8 s behind at 12 s, 4 s at 16 s.
    assert_eq!(now(&mut reader).await, Some(Ok(0)));
    for n in 11..16 {
        at.picture(n * 1_000, false);
        for _ in 0..2 {
            assert!(matches!(now(&mut reader).await, Some(Ok(_))), "at {n} s");
        }
    }
    // Too slow from here on.
    for n in 16..25 {
        at.picture(n * 1_000, false);
    }
    assert!(matches!(now(&mut reader).await, Some(Err(Interrupt::Lagged { .. }))));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_reader_repeats_nothing() {
    let at = setting(Settings::default());
    at.picture(0, true);
    at.picture(40, false);
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    assert_eq!(all(&mut reader).await, [0, 1]);
    at.picture(80, false);
    reader.start();
    assert_eq!(all(&mut reader).await, [2]);
    at.picture(120, true);
    at.picture(160, true);
    reader.start();
    assert_eq!(all(&mut reader).await, [4]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_publisher() {
    let at = setting(Settings::default());
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    assert_eq!(at.hub.declare(name()).unwrap_err(), CannotDeclare::Taken);
    let publisher = at.publisher;
    let (next, ()) = tokio::join!(reader.next(), async { drop(publisher) });
    assert_eq!(next.unwrap_err(), Interrupt::Ended(EndReason::Removed));
    let gone = at.hub.subscribe(permit(Kinds::ALL)).unwrap_err();
    assert_eq!(gone, CannotSubscribe::NotPublished);
    assert!(!at.metrics.encode().contains("door/main"));
    assert!(at.hub.declare(name()).is_ok());
}

/// Groups of two seconds, a picture and a sound each second.
#[tokio::test(start_paused = true)]
async fn while_nobody_reads_the_current_group_is_kept_and_no_more() {
    let at = setting(Settings::default());
    let group = |n: u64| {
        at.picture(n * 2_000, true);
        at.sound(n * 2_000);
        at.picture(n * 2_000 + 1_000, false);
    };
    let held = || at.metrics.hub.stream("door/main").ring_bytes.get();
    group(0);
    let one = held();
    group(1);
    assert_eq!(held(), one);
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    reader.start();
    assert_eq!(all(&mut reader).await, [3, 4, 5], "a joiner begins at the random access point");
    group(2);
    assert_eq!(held(), 2 * one, "who reads may lag");
    assert_eq!(all(&mut reader).await, [6, 7, 8]);
    drop(reader);
    group(3);
    assert_eq!(held(), one);
    // Without a group, as with sound alone, only the newest unit is kept.
    at.publisher.set_tracks(vec![Arc::clone(&at.sound)]);
    at.sound(8_000);
    let one = held();
    at.sound(8_020);
    assert_eq!(held(), one);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_does_not_fit_is_not_kept_for_nobody() {
    let at = setting(Settings { ring_bytes: 3_000, ..Settings::default() });
    for n in 0..20 {
        at.picture(n * 40, n == 0);
    }
    assert!(at.metric("camlock_stream_ring_cuts_total{stream=\"door/main\"} 1"));
    assert!(at.metrics.hub.stream("door/main").ring_bytes.get() < 1_000);
    let mut new = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    at.picture(800, false);
    assert!(all(&mut new).await.is_empty());
    at.picture(840, true);
    assert_eq!(all(&mut new).await, [21]);
}

#[tokio::test(start_paused = true)]
async fn a_unit_is_held_in_one_form_and_all_readers_share_it() {
    let at = setting(Settings::default());
    let mut readers: Vec<_> =
        (0..3).map(|_| at.hub.subscribe(permit(Kinds::ALL)).unwrap()).collect();
    at.picture(0, true);
    let unit = readers[0].next().await.unwrap();
    assert_eq!(unit.media.data().unwrap().len(), unit.media.held());
    let form = rtp::interleaved(&unit);
    assert_eq!((unit.media.data(), unit.media.held()), (None, form.len()));
    for reader in readers.get_mut(1..).unwrap() {
        let shared = rtp::interleaved(&reader.next().await.unwrap());
        assert_eq!(shared.as_ptr(), form.as_ptr());
    }
}
