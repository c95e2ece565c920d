use std::time::{Duration, Instant, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

const VIDEO: TrackClock = TrackClock { kind: TrackKind::Video, clock_rate: 90_000 };
const AAC: TrackClock = TrackClock { kind: TrackKind::Audio, clock_rate: 48_000 };
const PCM: TrackClock = TrackClock { kind: TrackKind::Audio, clock_rate: 8_000 };

/// A timeline and a camera's arrivals, in milliseconds from an arbitrary start.
struct Bench {
    base: Instant,
    timeline: Timeline,
}

impl Bench {
    fn new(tracks: &[TrackClock]) -> Self {
        let mut timeline = Timeline::default();
        timeline.begin(tracks.iter().copied());
        Self { base: tokio::time::Instant::now().into_std(), timeline }
    }

    fn at(&self, ms: i64) -> Arrival {
        let after = Duration::from_millis(u64::try_from(ms).unwrap());
        Arrival { at: self.base + after, utc: UNIX_EPOCH + Duration::from_secs(1_000_000) + after }
    }

    fn place(&mut self, track: usize, camera: i64, ms: i64) -> Placed {
        let arrival = self.at(ms);
        self.timeline.place(track, Stamp { camera, start: None }, arrival).unwrap()
    }

    fn ticks(&mut self, track: usize, camera: i64, ms: i64) -> i64 {
        self.place(track, camera, ms).ticks
    }

    fn announced(&mut self, track: usize, camera: i64, start: i64, ms: i64) -> i64 {
        let arrival = self.at(ms);
        self.timeline.place(track, Stamp { camera, start: Some(start) }, arrival).unwrap().ticks
    }

    /// `ntp` in ms since 1900, or whenever the camera thinks.
    fn report(&mut self, track: usize, ntp: i64, camera: i64, ms: i64) {
        let ntp = u64::try_from(ntp).unwrap();
        let fixed = ((ntp / 1000) << 32) | ((ntp % 1000) << 32).div_ceil(1000);
        let arrival = self.at(ms);
        self.timeline.report(track, fixed, camera, arrival);
    }

    /// Wall clock of a unit in ms after the UTC of `at(0)`.
    fn wall(&mut self, track: usize, camera: i64, ms: i64) -> i64 {
        let zero = self.at(0).utc;
        let wall = self.place(track, camera, ms).wallclock;
        match wall.duration_since(zero) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap(),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap(),
        }
    }
}

fn skew_ms(video_ticks: i64, audio: TrackClock, audio_ticks: i64) -> i64 {
    (VIDEO.ns(video_ticks) - audio.ns(audio_ticks)) / MILLISECOND
}

#[test]
fn b_pictures_go_back_within_the_window_and_no_further() {
    let mut bench = Bench::new(&[VIDEO]);
    // I0 P3 B1 B2 at 25 fps: decode order, presentation times.
    for (i, picture) in (0i64..).zip([0i64, 3, 1, 2, 6, 4, 5]) {
        assert_eq!(bench.ticks(0, 7_000 + picture * 3600, 40 * i), picture * 3600);
    }
    assert_eq!(bench.timeline.set_anew_count(), 0);
    // The window in time: one second back is lawful, a tick more is not.
    let mut bench = Bench::new(&[VIDEO]);
    bench.ticks(0, 0, 0);
    bench.ticks(0, 100_000, 1111);
    assert_eq!(bench.ticks(0, 10_000, 1150), 10_000);
    assert!(bench.ticks(0, 9_999, 1190) > 100_000);
    assert_eq!(bench.timeline.set_anew_count(), 1);
    // The window in pictures: the seventeenth in a row behind the highest is one too many.
    let mut bench = Bench::new(&[VIDEO]);
    bench.ticks(0, 0, 0);
    bench.ticks(0, 45_000, 500);
    for i in 1..=i64::from(limits::REORDER_PICTURES) {
        assert_eq!(bench.ticks(0, i, 520), i);
    }
    assert!(bench.ticks(0, 17, 520) > 45_000);
}

#[test]
fn sound_never_goes_back() {
    let mut bench = Bench::new(&[PCM]);
    bench.ticks(0, 0, 0);
    bench.ticks(0, 160, 20);
    let back = bench.ticks(0, 159, 40);
    assert!((161..=320).contains(&back), "{back}");
    assert_eq!(bench.ticks(0, 319, 60), back + 160);
}

#[test]
fn a_jump_is_set_to_the_arrival_clock_once_and_for_all_tracks() {
    let mut bench = Bench::new(&[VIDEO, PCM]);
    for i in 0..100i64 {
        bench.announced(0, i * 3600, 0, 40 * i);
        bench.announced(1, i * 320, 0, 40 * i + 25);
    }
    // The camera sets its clock an hour forward; sound follows with its own rate and other jitter.
    let jump = 3600;
    let mut skews = Vec::new();
    for i in 100..200i64 {
        let late = if i == 100 { 90 } else { 0 };
        let video = bench.ticks(0, (i * 3600) + jump * 90_000, 40 * i + late);
        let audio = bench.ticks(1, i * 320 + jump * 8_000, 40 * i + 95);
        assert!((VIDEO.ns(video) / MILLISECOND - 40 * i).abs() <= 100, "{i}: {video}");
        skews.push(skew_ms(video, PCM, audio));
    }
    assert_eq!(bench.timeline.set_anew_count(), 2);
    assert!(skews.iter().all(|skew| *skew == 0), "{skews:?}");
}

#[test]
fn the_limits_of_the_arrival_clock_hold_one_over() {
    let play = |bench: &mut Bench| {
        for i in 0..200i64 {
            bench.ticks(0, i * 3600, 40 * i);
        }
    };
    let ahead = ns(limits::CLOCK_AHEAD) / MILLISECOND;
    let behind = ns(limits::CLOCK_BEHIND) / MILLISECOND;
    for (media, arrival, jumps) in [
        (8000 + ahead, 8000, 0),
        (8000 + ahead + 1, 8000, 1),
        (8000, 8000 + behind, 0),
        (8000, 8000 + behind + 1, 1),
    ] {
        let mut bench = Bench::new(&[VIDEO]);
        play(&mut bench);
        bench.ticks(0, media * 90, arrival);
        assert_eq!(bench.timeline.set_anew_count(), jumps, "{media} at {arrival}");
    }
    let burst = ns(limits::CLOCK_AHEAD_AT_START) / MILLISECOND;
    for (media, jumps) in [(burst, 0), (burst + 1, 1)] {
        let mut bench = Bench::new(&[VIDEO]);
        bench.ticks(0, 0, 0);
        bench.ticks(0, media * 90 / 2, 0);
        bench.ticks(0, media * 90, 0);
        assert_eq!(bench.timeline.set_anew_count(), jumps);
    }
}

#[test]
fn ten_seconds_off_are_ten_seconds() {
    let mut bench = Bench::new(&[VIDEO, AAC]);
    let mut last = 0;
    for i in 0..50i64 {
        last = bench.ticks(0, 5_000_000 + i * 3600, 40 * i);
        bench.ticks(1, i * 1920, 40 * i + 10);
    }
    assert_eq!(last, 49 * 3600);
    bench.timeline.begin([VIDEO, AAC]);
    // Off for 10 s, back with other timestamps; RTP-Info says that both begin together.
    let video = bench.announced(0, 77, 77, 40 * 49 + 10_000);
    assert_eq!(video, last + 900_000);
    let audio = bench.announced(1, 1_000_000, 1_000_000, 40 * 49 + 10_140);
    assert_eq!(skew_ms(video, AAC, audio), 0);
}

#[test]
fn a_new_pull_never_goes_back() {
    let mut bench = Bench::new(&[VIDEO]);
    // A burst of a second, all at once: media runs ahead of the clock.
    let mut last = 0;
    for i in 0..25i64 {
        last = bench.ticks(0, i * 3600, 0);
    }
    bench.timeline.begin([VIDEO]);
    let next = bench.ticks(0, 0, 1);
    assert!(next > last && next <= last + 200, "{last} {next}");
}

#[test]
fn tracks_lie_by_the_announced_start_else_by_arrival() {
    let mut bench = Bench::new(&[VIDEO, PCM]);
    let video = bench.announced(0, 90_000 + 4_500, 90_000, 0);
    // 100 ms after the start, but 350 ms after the picture that lies at 50 ms.
    let audio = bench.announced(1, 800, 0, 350);
    assert_eq!(skew_ms(video, PCM, audio), -50);
    // An announced start that cannot be true.
    let mut bench = Bench::new(&[VIDEO, PCM]);
    let video = bench.announced(0, 90_000, 90_000, 0);
    let audio = bench.announced(1, 8_000 * 60, 0, 20);
    assert_eq!(skew_ms(video, PCM, audio), -20);
    // None.
    let mut bench = Bench::new(&[VIDEO, PCM]);
    let video = bench.ticks(0, 123, 0);
    let audio = bench.ticks(1, 456, 30);
    assert_eq!(skew_ms(video, PCM, audio), -30);
}

/// Plays 200 pictures and sound beside them whose true skew is unknown until the reports, at 5 s if late.
/// Returns what is left of the skew before and after, in ms.
fn with_reports(true_lag_ms: i64, early: bool) -> (i64, i64) {
    let mut bench = Bench::new(&[VIDEO, PCM]);
    let sound = |i: i64| i * 320 - true_lag_ms * 8;
    if early {
        bench.report(1, 100_000_000, sound(0), 0);
    }
    let (mut before, mut after) = (None, 0);
    let mut tops = (i64::MIN, i64::MIN);
    for i in 0..200i64 {
        let ms = 40 * i;
        let video = bench.ticks(0, i * 3600, ms);
        if early && i == 0 {
            bench.report(0, 100_000_000, 0, 0);
        }
        let audio = bench.ticks(1, sound(i), ms);
        assert!(video > tops.0 && audio > tops.1, "never back");
        tops = (video, audio);
        // Sound of picture i is stamped `true_lag_ms` earlier by the camera's common clock.
        after = skew_ms(video, PCM, audio) - true_lag_ms;
        before.get_or_insert(after);
        if i % 125 == 124 {
            bench.report(0, 100_000_000 + ms, i * 3600, ms);
            bench.report(1, 100_000_000 + ms + 7, sound(i) + (true_lag_ms + 7) * 8, ms + 7);
        }
    }
    assert_eq!(bench.timeline.set_anew_count(), 0);
    (before.unwrap(), after)
}

#[test]
fn sender_reports_bring_tracks_together_going_only_forward() {
    assert_eq!(with_reports(300, false), (-300, 0));
    assert_eq!(with_reports(-300, false), (300, 0));
    assert_eq!(with_reports(1999, false), (-1999, 0));
    // Too little to tear the sound for, and more than a camera may claim.
    assert_eq!(with_reports(25, false), (-25, -25));
    assert_eq!(with_reports(2001, false), (-2001, -2001));
}

#[test]
fn early_sender_reports_count_from_the_first_unit() {
    let mut bench = Bench::new(&[VIDEO, PCM]);
    let video = bench.ticks(0, 0, 0);
    bench.report(0, 50_000, 0, 1);
    bench.report(1, 50_100, 800, 2);
    // Sound stamped 100 ms after the picture's moment arrives half a second late.
    let audio = bench.ticks(1, 800, 500);
    assert_eq!(skew_ms(video, PCM, audio), -100);
    assert_eq!(bench.ticks(1, 960, 520), audio + 160);
}

#[test]
fn reports_of_a_clock_that_was_set_between_them_say_nothing() {
    let mut bench = Bench::new(&[VIDEO, PCM]);
    bench.ticks(0, 0, 0);
    let audio = bench.ticks(1, 0, 0);
    bench.report(0, 1_000_000, 0, 10);
    bench.report(1, 4_600_000, 8, 11);
    assert_eq!(bench.ticks(1, 160, 20), audio + 160);
}

#[test]
fn wall_time_is_one_smooth_mapping_of_the_least_delay() {
    let mut bench = Bench::new(&[VIDEO, PCM]);
    // The first picture was 200 ms old, the others are 50: it follows by 3 ms a second, not at once.
    assert_eq!(bench.wall(0, 0, 200), 200);
    let mut last = 200;
    for second in 1..30 {
        let off = bench.wall(0, 90_000 * second, 1000 * second + 50) - 1000 * second;
        assert!((last - 4..=last).contains(&off), "{last} {off}");
        last = off;
    }
    assert!((105..115).contains(&last), "{last}");
    // Sound lies by arrival, and shares the mapping.
    let sound = bench.wall(1, 0, 30_050) - 30_000;
    assert!((last - 4..=last).contains(&sound), "{sound}");
    for second in 31..200 {
        last = bench.wall(0, 90_000 * second, 1000 * second + 50) - 1000 * second;
    }
    assert_eq!(last, 50);
    // What is near it follows by half a millisecond a second at most.
    for second in 200..260 {
        let off = bench.wall(0, 90_000 * second, 1000 * second + 40) - 1000 * second;
        assert!((last - 1..=last).contains(&off), "{last} {off}");
        last = off;
    }
    assert_eq!(last, 40);
    for second in 260..300 {
        let off = bench.wall(0, 90_000 * second, 1000 * second + 90) - 1000 * second;
        assert!((last..=last + 1).contains(&off), "{last} {off}");
        last = off;
    }
    assert!((50..=60).contains(&last), "{last}");
}

#[test]
fn a_first_picture_that_is_seconds_old_steps_the_wall_mapping() {
    let mut bench = Bench::new(&[VIDEO]);
    assert_eq!(bench.wall(0, 0, 10_000), 10_000);
    // A burst of ten seconds of pictures, 250 of them, within 250 ms.
    let mut off = 0;
    for picture in 1..=250 {
        off = bench.wall(0, 3_600 * picture, 10_000 + picture) - 40 * picture;
    }
    assert!((250..=1_300).contains(&off), "{off}");
}

#[test]
fn a_set_gateway_clock_steps_the_wall_mapping() {
    let mut bench = Bench::new(&[VIDEO]);
    bench.ticks(0, 0, 0);
    let mut arrival = bench.at(5_000);
    arrival.utc += Duration::from_secs(3600);
    let stamp = Stamp { camera: 450_000, start: None };
    let placed = bench.timeline.place(0, stamp, arrival).unwrap();
    assert_eq!((placed.ticks, placed.wallclock), (450_000, arrival.utc));
}

#[test]
fn ntp_fixed_point() {
    assert_eq!(ntp_ns((1 << 32) | (1 << 31)), 1_500_000_000);
    assert_eq!(ntp_ns(u64::MAX), 4_294_967_295_999_999_999);
}

proptest! {
    /// Any sound camera: rate, start (with a wrap of 32 bits inside), reordering, network delay up to 2 s,
    /// clock off by 100 ppm. Differences are the camera's, exactly; nothing is reset.
    #[test]
    fn differences_of_a_sound_camera_are_kept_exactly(
        fps in 5u32..60,
        start in prop_oneof![Just(i64::from(u32::MAX) - 50_000), any::<i32>().prop_map(i64::from)],
        reorder in 0usize..5,
        delays in prop::collection::vec(prop_oneof![9 => 0i64..300, 1 => 0i64..2000], 300),
        ppm in -100i64..100,
    ) {
        let mut bench = Bench::new(&[VIDEO, AAC]);
        let step = i64::from(90_000 / fps);
        let mut delivered = 0;
        let mut offset = None;
        for (i, delay) in delays.iter().enumerate() {
            // Groups of an anchor picture and the B-pictures that come before it in time.
            let (group, place) = (i / (reorder + 1), i % (reorder + 1));
            let shown = group * (reorder + 1) + if place == 0 { reorder } else { place - 1 };
            let camera = start + i64::try_from(shown).unwrap() * step;
            let real = i64::try_from(i).unwrap() * step * (1_000_000 + ppm) / 90 / 1_000_000;
            // The network delays, and never swaps.
            delivered = delivered.max(real + delay);
            let ticks = bench.ticks(0, camera, delivered);
            prop_assert_eq!(*offset.get_or_insert(ticks - camera), ticks - camera);
        }
        prop_assert_eq!(bench.timeline.set_anew_count(), 0);
    }

    /// Whatever a camera sends: no panic, never further back than the window, never beyond what the
    /// arrival clock and the reports' greatest claim allow.
    #[test]
    fn no_camera_takes_the_timeline_away(
        steps in prop::collection::vec((
            0usize..3,
            prop_oneof![
                any::<i64>(),
                (-200_000i64..200_000),
                (0i64..8_000),
                Just(i64::MAX),
                Just(i64::MIN),
            ],
            prop::option::of(any::<i64>()),
            0i64..3_000,
            any::<u64>(),
        ), 1..200),
    ) {
        let mut bench = Bench::new(&[VIDEO, PCM]);
        let mut now = 0;
        let mut tops = [i64::MIN; 2];
        let mut moves = 0;
        for (what, camera, start, pause, ntp) in steps {
            now += pause;
            let arrival = bench.at(now);
            if what == 2 {
                bench.timeline.report(usize::from(ntp % 2 == 0), ntp, camera, arrival);
                moves += 1;
                continue;
            }
            let rate = [VIDEO, PCM][what];
            let placed = bench.timeline.place(what, Stamp { camera, start }, arrival).unwrap();
            let media = rate.ns(placed.ticks);
            let window = if what == 0 { ns(limits::REORDER_TIME) + 1 } else { 0 };
            prop_assert!(media >= tops[what].saturating_sub(window), "{} after {}", media, tops[what]);
            tops[what] = tops[what].max(media);
            let now = now * MILLISECOND;
            let most = ns(limits::CLOCK_AHEAD_AT_START) + (moves + 2) * ns(limits::TRACK_SKEW);
            prop_assert!(media <= now + most, "{} at {}", media, now);
        }
    }
}
