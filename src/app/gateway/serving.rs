//! Whether anybody is served: by the canary's verdict, if the policy wants one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::hub::status::SegmentBoard;
use crate::ingest::segment::CanaryPolicy;
use crate::ops::metrics::Metrics;
use crate::segment::{CanaryResult, now_ms};
use crate::serve::overload::Load;
use crate::trust::audit::{self, Event};

/// Lets serve or not, for as long as the gateway runs: at each verdict, and each second for its age.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) policy: CanaryPolicy,
    pub(super) canary: watch::Receiver<Option<CanaryResult>>,
    pub(super) load: Arc<Load>,
    pub(super) board: SegmentBoard,
    pub(super) metrics: Arc<Metrics>,
}

impl Serving {
    pub(super) async fn watch(mut self) {
        loop {
            self.judge_now();
            tokio::select! {
                // A sender that is gone brings no verdicts: what is known grows old.
                Ok(()) = self.canary.changed() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Puts the policy in force.
    pub(super) fn judge_now(&mut self) {
        self.judge(now_ms());
    }

    /// Likewise for a time, ms of the UNIX epoch.
    fn judge(&mut self, now_ms: u64) {
        let held = self.policy.holds(self.canary.borrow_and_update().as_ref(), now_ms);
        let changed = self.load.set_serves(held.is_ok());
        self.metrics.segment.serves.set(i64::from(held.is_ok()));
        let words = held.err().map(|unproven| unproven.to_string());
        self.board.update(|state| state.not_served = words);
        if changed {
            let reason = held.err().map_or("proven", |unproven| unproven.name());
            audit::record(Event::Serving { serves: held.is_ok(), reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::limits;
    use crate::serve::overload::Lack;

    #[test]
    fn a_verdict_lets_serve_until_it_is_old() {
        let metrics = Metrics::new();
        let load = Load::new(None, Arc::clone(&metrics));
        let (verdicts, canary) = watch::channel(None);
        let board = SegmentBoard::new("namespace", None);
        let mut serving = Serving {
            policy: CanaryPolicy::Require,
            canary,
            load: Arc::clone(&load),
            board: board.clone(),
            metrics: Arc::clone(&metrics),
        };
        let verdict = |tries| CanaryResult {
            at_ms: 0,
            tries,
            escaped: Vec::new(),
            unseen: Vec::new(),
            failed_controls: Vec::new(),
        };
        let old = u64::try_from(limits::CANARY_AGE.as_millis()).unwrap() + 1;
        for (told, now, expected) in [
            (None, 0, Some("the canary has not run yet")),
            (Some(verdict(30)), 0, None),
            (Some(verdict(30)), old - 1, None),
            (Some(verdict(30)), old, Some("more than 48 hours old")),
            (Some(verdict(0)), 0, Some("got out of the camera segment")),
        ] {
            verdicts.send_replace(told);
            serving.judge(now);
            let words = board.now().not_served;
            assert_eq!(words.is_some(), expected.is_some(), "{words:?}");
            assert!(words.unwrap_or_default().contains(expected.unwrap_or("")), "{expected:?}");
            let admitted = if expected.is_some() { Err(Lack::Proof) } else { Ok(()) };
            assert_eq!(load.admit(), admitted);
            assert_eq!(metrics.segment.serves.get(), i64::from(expected.is_none()));
        }
    }
}
