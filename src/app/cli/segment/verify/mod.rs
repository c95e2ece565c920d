//! `camlock segment verify`: a fake camera tries to get out, and what it proves is told.

mod attach;
mod interfaces;
mod ledger;
mod namespace;
mod report;
mod run;
mod service;
mod tries;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::place;
use crate::app::cli::{Exit, StopSignals, block_on, output};
use crate::segment::{CanaryResult, Place, Plan};

/// Options of `camlock segment verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: place::PlaceOptions,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Whether the run was told to stop.
#[derive(Debug, Clone, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits, but not after it was told.
    fn sleep(&self, time: Duration) {
        let step = Duration::from_millis(50);
        let mut left = time;
        while !left.is_zero() && !self.is_told() {
            std::thread::sleep(left.min(step));
            left = left.saturating_sub(step);
        }
    }
}

/// Sends the canary and says what became of it.
pub(super) fn run(options: &Options) -> Exit {
    let place = options.place.place();
    let plan = match place::plan(&place.file) {
        Ok(plan) => plan,
        Err(faults) => {
            output::error(&faults);
            return Exit::BadConfig;
        }
    };
    let json = options.json;
    block_on(async move {
        let mut signals = match StopSignals::new() {
            Ok(signals) => signals,
            Err(exit) => return exit,
        };
        let stop = Stop::default();
        let told = stop.clone();
        let mut work = tokio::task::spawn_blocking(move || verify(&place, &plan, &told, json));
        let done = tokio::select! {
            done = &mut work => done,
            () = signals.next() => {
                stop.tell();
                // It takes the canary away first.
                work.await
            }
        };
        done.unwrap_or_else(|error| nothing_proved(&format!("the canary failed: {error}")))
    })
}

fn verify(place: &Place, plan: &Plan, stop: &Stop, json: bool) -> Exit {
    let report = match run::run(place, plan, stop) {
        Ok(report) => report,
        Err(run::NoRun::Stopped) => {
            return nothing_proved("interrupted; the canary was removed");
        }
        Err(run::NoRun::Busy) => return nothing_proved("another canary is running"),
        Err(run::NoRun::Failed { at_ms, why }) => run::failed(at_ms, why),
    };
    let result = report.result();
    let kept = service::tell(place, &result);
    output::line(&if json { report::json(&report, &kept) } else { report::table(&report) });
    if let Err(why) = &kept {
        output::error(&format!("the segment's service did not accept the result: {why}"));
    }
    exit(&result, kept.is_ok())
}

/// What got out counts most: a control that failed besides takes nothing away from it.
fn exit(result: &CanaryResult, kept: bool) -> Exit {
    if !result.escaped.is_empty() {
        Exit::Failed
    } else if !result.failed_controls.is_empty() || !kept {
        Exit::NothingProved
    } else if !result.passed() {
        Exit::Failed
    } else {
        Exit::Done
    }
}

fn nothing_proved(why: &str) -> Exit {
    output::error(&format!("nothing is proved: {why}"));
    Exit::NothingProved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_exit_code() {
        let some = || vec!["x".to_owned()];
        let held = CanaryResult {
            at_ms: 1,
            tries: 60,
            escaped: Vec::new(),
            unseen: Vec::new(),
            failed_controls: Vec::new(),
        };
        let escaped = CanaryResult { escaped: some(), failed_controls: some(), ..held.clone() };
        let unseen = CanaryResult { unseen: some(), ..held.clone() };
        let blind = CanaryResult { unseen: some(), failed_controls: some(), ..held.clone() };
        let none = CanaryResult { tries: 0, ..held.clone() };
        for (result, kept, code) in [
            (&held, true, Exit::Done),
            (&held, false, Exit::NothingProved),
            (&escaped, false, Exit::Failed),
            (&unseen, true, Exit::Failed),
            (&blind, true, Exit::NothingProved),
            (&none, true, Exit::Failed),
        ] {
            assert_eq!(exit(result, kept), code, "{result:?} {kept}");
        }
    }
}
