//! When a camera is dialled again.

use std::time::Duration;

use crate::ops::limits;

/// Counts failures in a row. One ladder of doubling pauses for cameras that are away or misbehave, and a
/// slower one for refused logins, because cameras lock accounts after a handful.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::ingest::camera) struct BackOff {
    failures: u32,
}

/// Which ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest::camera) enum Ladder {
    /// [`limits::BACK_OFF_MIN`] to [`limits::BACK_OFF_MAX`].
    Ordinary,
    /// [`limits::BACK_OFF_LOGIN_MIN`] to [`limits::BACK_OFF_LOGIN_MAX`].
    Login,
}

impl BackOff {
    /// Another failure: the pause before the next attempt. `random` (any value) shortens it by up to a
    /// quarter, so that many cameras that went away together do not come back in step.
    pub(in crate::ingest::camera) fn failed(&mut self, ladder: Ladder, random: u32) -> Duration {
        let (min, max) = match ladder {
            Ladder::Ordinary => (limits::BACK_OFF_MIN, limits::BACK_OFF_MAX),
            Ladder::Login => (limits::BACK_OFF_LOGIN_MIN, limits::BACK_OFF_LOGIN_MAX),
        };
        let doubled = min.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let pause = doubled.min(max);
        // Beyond this the ladder is at its end in any case.
        self.failures = self.failures.saturating_add(1).min(30);
        let shorter = (pause / 4).mul_f64(f64::from(random) / f64::from(u32::MAX));
        pause.saturating_sub(shorter)
    }

    /// The camera was not even asked, for the segment's service on this machine was away: the pause before the next
    /// attempt. No failure of the camera's, so the ladder stays where it is.
    pub(in crate::ingest::camera) fn not_asked(random: u32) -> Duration {
        let pause = limits::BACK_OFF_SEGMENT;
        pause.saturating_sub((pause / 4).mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }

    /// A session ended after playing for so long. A healthy one ends the memory of failures.
    pub(in crate::ingest::camera) fn played(&mut self, time: Duration) {
        if time >= limits::BACK_OFF_HEALTHY {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pauses(ladder: Ladder, random: u32, n: usize) -> Vec<u64> {
        let mut back_off = BackOff::default();
        (0..n).map(|_| back_off.failed(ladder, random).as_secs()).collect()
    }

    #[test]
    fn a_service_that_is_away_costs_the_camera_nothing() {
        let mut back_off = BackOff::default();
        for _ in 0..100 {
            assert_eq!(BackOff::not_asked(0), limits::BACK_OFF_SEGMENT);
            assert!(BackOff::not_asked(u32::MAX) >= limits::BACK_OFF_SEGMENT * 3 / 4);
        }
        assert_eq!(back_off.failed(Ladder::Ordinary, 0), limits::BACK_OFF_MIN);
    }

    #[test]
    fn pauses_double_to_their_end() {
        assert_eq!(pauses(Ladder::Ordinary, 0, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses(Ladder::Login, 0, 7), [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(pauses(Ladder::Ordinary, u32::MAX, 8)[7], 45);
        assert_eq!(pauses(Ladder::Ordinary, 0, 200)[199], 60);
    }

    #[test]
    fn only_a_healthy_session_ends_the_memory() {
        let mut back_off = BackOff::default();
        for _ in 0..3 {
            back_off.failed(Ladder::Ordinary, 0);
        }
        back_off.played(limits::BACK_OFF_HEALTHY - Duration::from_millis(1));
        assert_eq!(back_off.failed(Ladder::Ordinary, 0), Duration::from_secs(8));
        back_off.played(limits::BACK_OFF_HEALTHY);
        assert_eq!(back_off.failed(Ladder::Ordinary, 0), limits::BACK_OFF_MIN);
    }

    proptest! {
        #[test]
        fn a_pause_stays_in_its_range(failures in 0u32..1000, random: u32) {
            for (ladder, min, max) in [
                (Ladder::Ordinary, limits::BACK_OFF_MIN, limits::BACK_OFF_MAX),
                (Ladder::Login, limits::BACK_OFF_LOGIN_MIN, limits::BACK_OFF_LOGIN_MAX),
            ] {
                let mut back_off = BackOff { failures };
                let pause = back_off.failed(ladder, random);
                prop_assert!(pause >= min.mul_f64(0.749) && pause <= max);
            }
        }
    }
}
