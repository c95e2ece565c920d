//! From a measured value to a level, with a delay on the way up and hysteresis on the way down. Pure.

use std::time::{Duration, Instant};

use strum::IntoStaticStr;

/// How short a resource is, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// There is enough.
    Normal,
    /// New readers are refused; those who read go on.
    Full,
    /// Readers that lag are ended, those that lag most first.
    Shedding,
}

/// Where the levels of one resource begin. Values are in the resource's own unit; more is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// [`Level::Full`] from this value on, ...
    pub(super) full: u64,
    /// ... if it stays for this long.
    pub(super) full_after: Duration,
    /// [`Level::Shedding`] from this value on, ...
    pub(super) shed: u64,
    /// ... if it stays for this long.
    pub(super) shed_after: Duration,
    /// [`Level::Normal`] again below this value, ...
    pub(super) easy: u64,
    /// ... if it stays for this long.
    pub(super) eases: Duration,
}

/// The level of one resource.
#[derive(Debug)]
pub(super) struct Ladder {
    marks: Marks,
    level: Level,
    full: Since,
    shed: Since,
    easy: Since,
}

impl Ladder {
    pub(super) fn new(marks: Marks) -> Self {
        let (full, shed, easy) = (Since(None), Since(None), Since(None));
        Self { marks, level: Level::Normal, full, shed, easy }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Takes a value in. Shedding ends with the first value below its mark: it is only for what needs it.
    pub(super) fn judge(&mut self, value: u64, now: Instant) -> Level {
        let Marks { full, full_after, shed, shed_after, easy, eases } = self.marks;
        let is_full = self.full.lasts(value >= full, full_after, now);
        let sheds = self.shed.lasts(value >= shed, shed_after, now);
        let is_easy = self.easy.lasts(value < easy, eases, now);
        self.level = match self.level {
            _ if sheds => Level::Shedding,
            Level::Normal if is_full => Level::Full,
            Level::Full | Level::Shedding if is_easy => Level::Normal,
            Level::Full | Level::Shedding => Level::Full,
            Level::Normal => Level::Normal,
        };
        self.level
    }
}

/// Since when something holds without a break.
#[derive(Debug)]
struct Since(Option<Instant>);

impl Since {
    /// Whether it has held for `long` by now.
    fn lasts(&mut self, holds: bool, long: Duration, now: Instant) -> bool {
        if !holds {
            self.0 = None;
            return false;
        }
        let since = *self.0.get_or_insert(now);
        now.saturating_duration_since(since) >= long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        full: 100,
        full_after: Duration::from_secs(3),
        shed: 120,
        shed_after: Duration::from_secs(5),
        easy: 80,
        eases: Duration::from_secs(10),
    };

    /// Judges one value each second, and gives the levels.
    fn levels(
        ladder: &mut Ladder,
        from: Instant,
        values: impl IntoIterator<Item = u64>,
    ) -> Vec<Level> {
        let seconds = (0..).map(Duration::from_secs);
        values.into_iter().zip(seconds).map(|(value, at)| ladder.judge(value, from + at)).collect()
    }

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn full_begins_at_its_mark_after_its_time_and_not_before() {
        use Level::{Full, Normal};
        let mut ladder = Ladder::new(MARKS);
        assert_eq!(levels(&mut ladder, now(), [99; 20]), [Normal; 20], "one under the mark");
        let mut ladder = Ladder::new(MARKS);
        assert_eq!(levels(&mut ladder, now(), [100; 4]), [Normal, Normal, Normal, Full]);
        // One value below the mark, and the time begins anew.
        let mut ladder = Ladder::new(MARKS);
        let values = [119, 119, 119, 99, 119, 119, 119];
        assert_eq!(levels(&mut ladder, now(), values), [Normal; 7]);
    }

    #[test]
    fn full_ends_below_another_mark_and_only_if_it_stays_below() {
        let from = now();
        let mut ladder = Ladder::new(MARKS);
        levels(&mut ladder, from, [100; 4]);
        let at = |seconds| from + Duration::from_secs(seconds);
        assert_eq!(ladder.judge(80, at(10)), Level::Full);
        assert_eq!(ladder.judge(80, at(60)), Level::Full, "not below the mark");
        assert_eq!(ladder.judge(79, at(61)), Level::Full);
        assert_eq!(ladder.judge(80, at(70)), Level::Full, "a value that is not below starts again");
        assert_eq!(ladder.judge(79, at(71)), Level::Full);
        assert_eq!(ladder.judge(0, at(80)), Level::Full, "one second short");
        assert_eq!(ladder.judge(0, at(81)), Level::Normal);
    }

    #[test]
    fn shedding_needs_its_own_mark_and_time_and_ends_at_once() {
        use Level::{Full, Normal, Shedding};
        let from = now();
        let mut ladder = Ladder::new(MARKS);
        let risen = levels(&mut ladder, from, [120; 6]);
        assert_eq!(risen, [Normal, Normal, Normal, Full, Full, Shedding]);
        assert_eq!(ladder.judge(119, from + Duration::from_secs(6)), Full);
        // And has to earn it again.
        assert_eq!(ladder.judge(500, from + Duration::from_secs(7)), Full);
        assert_eq!(ladder.judge(500, from + Duration::from_secs(11)), Full);
        assert_eq!(ladder.judge(500, from + Duration::from_secs(12)), Shedding);
        let mut ladder = Ladder::new(MARKS);
        assert_eq!(levels(&mut ladder, from, [119; 30]).last(), Some(&Full), "one under the mark");
    }

    #[test]
    fn time_that_goes_back_does_no_harm() {
        let from = now();
        let mut ladder = Ladder::new(MARKS);
        assert_eq!(ladder.judge(100, from + Duration::from_secs(5)), Level::Normal);
        assert_eq!(ladder.judge(100, from), Level::Normal);
    }
}
