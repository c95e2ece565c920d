//! Whether anybody may be served, by what the canary found last.

use strum::IntoStaticStr;

use crate::ops::limits;
use crate::segment::CanaryResult;

/// What follows from what the canary finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CanaryPolicy {
    /// It is told, and that is all.
    #[default]
    Report,
    /// Nobody is served unless the last run passed and is at most [`limits::CANARY_AGE`] old.
    Require,
}

/// Why the segment is not known to be tight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Unproven {
    /// No run is known.
    #[error("the canary has not run yet: run `camlock segment verify`")]
    NoRun,
    /// In the last run something got out, or was not seen, or the run proves nothing.
    #[error(
        "the canary got out of the camera segment, or its run proves nothing: run `camlock segment \
         verify` and fix what it reports"
    )]
    Failed,
    /// The last run is too old.
    #[error(
        "the last canary run is more than 48 hours old: check its timer, and run `camlock \
         segment verify`"
    )]
    Old,
}

impl CanaryPolicy {
    /// Why nobody may be served. Times are ms of the UNIX epoch. A run of the future counts as one of now: the
    /// clock was set back, and the segment is none the worse for it.
    pub fn holds(self, last: Option<&CanaryResult>, now_ms: u64) -> Result<(), Unproven> {
        match self {
            Self::Report => Ok(()),
            Self::Require => proven(last, now_ms),
        }
    }
}

/// Whether the last run proves that the segment is tight.
pub(super) fn proven(last: Option<&CanaryResult>, now_ms: u64) -> Result<(), Unproven> {
    let last = last.ok_or(Unproven::NoRun)?;
    let age = u128::from(now_ms.saturating_sub(last.at_ms));
    if !last.passed() {
        Err(Unproven::Failed)
    } else if age > limits::CANARY_AGE.as_millis() {
        Err(Unproven::Old)
    } else {
        Ok(())
    }
}

impl Unproven {
    /// A stable word for metrics and pages.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(escaped: &[&str]) -> CanaryResult {
        CanaryResult {
            at_ms: 1_000,
            tries: 30,
            escaped: escaped.iter().map(|&way| way.to_owned()).collect(),
            unseen: Vec::new(),
            failed_controls: Vec::new(),
        }
    }

    #[test]
    fn only_a_passed_run_that_is_not_old_lets_serve() {
        let age = u64::try_from(limits::CANARY_AGE.as_millis()).unwrap();
        let require = CanaryPolicy::Require;
        assert_eq!(require.holds(None, 0), Err(Unproven::NoRun));
        assert_eq!(require.holds(Some(&run(&[])), 1_000 + age), Ok(()));
        assert_eq!(require.holds(Some(&run(&[])), 1_001 + age), Err(Unproven::Old));
        assert_eq!(require.holds(Some(&run(&[])), 0), Ok(()));
        assert_eq!(require.holds(Some(&run(&["icmp"])), 1_000), Err(Unproven::Failed));
        let proves_nothing = CanaryResult { tries: 0, ..run(&[]) };
        assert_eq!(require.holds(Some(&proves_nothing), 1_000), Err(Unproven::Failed));
        for last in [None, Some(&run(&["icmp"]))] {
            assert_eq!(CanaryPolicy::Report.holds(last, u64::MAX), Ok(()));
        }
    }

    #[test]
    fn the_reasons_are_these() {
        let all = every!(Unproven; NoRun, Failed, Old);
        assert_surface!("canary-unproven", all.map(Unproven::name).join("\n"));
    }
}
