//! What a ring keeps, and what one over each bound gets.

use super::*;
use crate::hub::numbering::Origin;
use crate::hub::ring::{News, Pushed, Ring, Watched};

#[tokio::test(start_paused = true)]
async fn one_over_each_bound() {
    let settings = Settings { streams: 1, readers_per_stream: 1, ..Settings::default() };
    let at = setting(settings);
    let other = StreamName::parse("yard/main").unwrap();
    assert_eq!(at.hub.declare(other).unwrap_err(), CannotDeclare::TooMany);
    let reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    let over = at.hub.subscribe(permit(Kinds::ALL)).unwrap_err();
    assert_eq!(over, CannotSubscribe::TooMany);
    drop(reader);
    assert!(at.hub.subscribe(permit(Kinds::ALL)).is_ok());
    let fifth = video(4, 320, 0);
    at.publisher.set_tracks(vec![Arc::clone(&fifth)]);
    at.publisher.push(unit(&fifth, milli(0), true, 100));
    assert!(at.metric(
        "camlock_stream_units_refused_total{stream=\"door/main\",reason=\"UnknownTrack\"} 1"
    ));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_does_not_fit_is_said_once_and_new_readers_wait() {
    let at = setting(Settings { ring_units: 4, ..Settings::default() });
    let mut there = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    for n in 0..20 {
        at.picture(n * 40, n % 10 == 0);
        assert_eq!(all(&mut there).await, [n]);
    }
    assert!(at.metric("camlock_stream_ring_cuts_total{stream=\"door/main\"} 2"));
    let mut new = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    assert!(all(&mut new).await.is_empty());
    at.picture(800, true);
    at.picture(840, false);
    assert_eq!(all(&mut new).await, [20, 21]);
}

/// Two groups of pictures, 25 a second, with 50 sounds a second beside them.
fn two_groups(ring_bytes: usize, seconds: u64, key: usize, other: usize) -> (Vec<Pushed>, Ring) {
    let settings = Settings { ring_bytes, ..Settings::default() };
    let mut ring = Ring::new(settings, &Budget::new(settings.rings_bytes));
    let (picture, sound) = (video(0, 3840, 0), sound(1));
    let tracks = vec![Arc::clone(&picture), Arc::clone(&sound)];
    ring.set_tracks(tracks, || Origin { ssrc: 1, seq: 0, rtp_time: 0 });
    let mut pushed = Vec::new();
    for n in 0..2 * 25 * seconds {
        let is_key = n % (25 * seconds) == 0;
        let bytes = if is_key { key } else { other };
        pushed.push(ring.push(unit(&picture, milli(n * 40), is_key, bytes), Watched::Yes));
        for half in 0..2 {
            pushed
                .push(ring.push(unit(&sound, milli(n * 40 + half * 20), true, 160), Watched::Yes));
        }
    }
    (pushed, ring)
}

#[test]
fn long_groups_and_large_pictures_fit_the_default_ring() {
    // 10 s at 4 Mbit/s; 8 megapixels, 2 s at 12 Mbit/s with key pictures of 1.5 MB.
    for (seconds, key, other) in [(10, 300_000, 18_875), (2, 1_500_000, 30_600)] {
        let total = key + other * (25 * usize::try_from(seconds).unwrap() - 1);
        assert!(total >= if seconds == 10 { 4_999_000 } else { 2_999_000 }, "{total}");
        let (pushed, ring) = two_groups(limits::RING_BYTES, seconds, key, other);
        assert!(pushed.iter().all(|pushed| *pushed == Pushed::Kept), "{seconds} s");
        // Readers may start at the second one's first picture up to its end.
        assert_eq!(
            ring.track(TrackId(0)).unwrap().newest_random_access.unwrap().index,
            seconds * 75
        );
        // Half as much again does not: that is said, and no more is kept than may be.
        let (pushed, ring) = two_groups(limits::RING_BYTES / 3, seconds, key, other);
        assert!(pushed.contains(&Pushed::Cut(News::First)), "{seconds} s");
        assert!(ring.bytes() <= limits::RING_BYTES / 3 && ring.end() == 2 * seconds * 75);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_have_a_ring_of_its_own() {
    let at = setting(Settings { ring_bytes: 3000, ..Settings::default() });
    let own = StreamName::parse("yard/main").unwrap();
    let publisher = at.hub.declare_with(own, Some(6000)).unwrap();
    publisher.set_tracks(vec![Arc::clone(&at.picture)]);
    for n in 0..7 {
        at.picture(n * 40, n == 0);
        publisher.push(unit(&at.picture, milli(n * 40), n == 0, 100));
    }
    assert!(at.metric("camlock_stream_ring_cuts_total{stream=\"door/main\"} 1"));
    assert!(at.metric("camlock_stream_ring_cuts_total{stream=\"yard/main\"} 0"));
}

/// MJPEG: each picture is a group of its own, so two seconds of them are kept, and no more than fit.
#[tokio::test(start_paused = true)]
async fn pictures_that_stand_alone_are_kept_within_the_bounds() {
    let settings = Settings { ring_units: 10_000, ..Settings::default() };
    let mut ring = Ring::new(settings, &Budget::new(settings.rings_bytes));
    let track = video(0, 320, 0);
    ring.set_tracks(vec![Arc::clone(&track)], || Origin { ssrc: 1, seq: 0, rtp_time: 0 });
    for (length, kept) in [(100_000, 51), (1_500_000, 4)] {
        let begin = ring.end() * 40;
        for n in 0..250 {
            let pushed = ring.push(unit(&track, milli(begin + n * 40), true, length), Watched::Yes);
            assert_eq!(pushed, Pushed::Kept);
            assert!(ring.bytes() <= settings.ring_bytes);
        }
        assert_eq!(ring.end() - ring.front(), kept, "of {length} bytes");
        let newest = ring.track(TrackId(0)).unwrap().newest_random_access;
        assert_eq!(newest.map(|place| place.index), Some(ring.end() - 1));
    }
    let at = setting(Settings::default());
    let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
    at.picture(0, true);
    assert_eq!(all(&mut reader).await, [0]);
    for n in 1..100 {
        at.picture(n * 40, true);
    }
    // Behind by more than the lag that is allowed: told, and moved to the newest picture.
    assert_eq!(now(&mut reader).await, Some(Err(Interrupt::Lagged { skipped: 98 })));
    assert_eq!(all(&mut reader).await, [99]);
}

#[test]
fn groups_that_do_not_fit_are_news_once_in_a_while() {
    let settings = Settings { ring_units: 4, ..Settings::default() };
    let mut ring = Ring::new(settings, &Budget::new(settings.rings_bytes));
    let track = video(0, 320, 0);
    ring.set_tracks(vec![Arc::clone(&track)], || Origin { ssrc: 1, seq: 0, rtp_time: 0 });
    let quiet = limits::RING_CUT_NEWS.as_secs();
    let mut said = Vec::new();
    // Each second a group that does not fit, then two that do: the one after starts over.
    for second in 0..=2 * quiet {
        for n in 0..8 {
            let at = milli(second * 1000 + n * 100);
            let unit = unit(&track, at, matches!(n, 0 | 6 | 7), 100);
            if ring.push(unit, Watched::Yes) == Pushed::Cut(News::First) {
                said.push(second);
            }
        }
    }
    assert_eq!(said, [0, quiet, 2 * quiet]);
}

#[tokio::test(start_paused = true)]
async fn a_unit_one_byte_over_the_ring_is_seen_as_missed() {
    // The larger form is that with headers: 16 + 14 (parameter sets) + 16 + 100; structures 512.
    let cost = 658;
    for (ring_bytes, rings_bytes) in [(cost, 2 * cost), (2 * cost, cost)] {
        let fits = Settings { ring_bytes, rings_bytes, ..Settings::default() };
        let over = if ring_bytes == cost {
            Settings { ring_bytes: cost - 1, ..fits }
        } else {
            Settings { rings_bytes: cost - 1, ..fits }
        };
        for (settings, expected) in [(fits, Ok(0)), (over, Err(Interrupt::Lagged { skipped: 1 }))] {
            let at = setting(settings);
            let mut reader = at.hub.subscribe(permit(Kinds::ALL)).unwrap();
            reader.start();
            at.picture(0, true);
            assert_eq!(now(&mut reader).await, Some(expected));
        }
    }
}
