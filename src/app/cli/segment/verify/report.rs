//! The report, for a person or a program.

use serde_json::json;

use crate::segment::canary::{Outcome, Report};

/// A table of all ways, the controls that failed, and a last line that says what it means.
pub(super) fn table(report: &Report) -> String {
    let wide = report.outcomes.iter().map(|outcome| outcome.name.len()).max().unwrap_or(0);
    let mut lines =
        vec![format!("{:wide$}  {:7}  {:7}  {}", "WAY", "LEDGER", "ESCAPED", "WHERE TO")];
    for outcome in &report.outcomes {
        lines.push(row(outcome, wide));
        lines.extend(
            outcome
                .unseen
                .iter()
                .flatten()
                .map(|what| format!("{:wide$}    not listed: {what}", "")),
        );
    }
    for control in &report.controls {
        match &control.failed {
            None => lines.push(format!("control held: {}", control.name)),
            Some(why) => lines.push(format!("control FAILED: {}: {why}", control.name)),
        }
    }
    lines.push(conclusion(report));
    lines.join("\n")
}

/// One object; `kept` is whether the segment's service took the result.
pub(super) fn json(report: &Report, kept: &Result<(), String>) -> String {
    let ways: Vec<_> = report
        .outcomes
        .iter()
        .map(|way| {
            json!({ "way": way.name, "sent": way.sent, "unseen": way.unseen, "escaped": way.escaped })
        })
        .collect();
    let controls: Vec<_> = report
        .controls
        .iter()
        .map(|control| json!({ "control": control.name, "failed": control.failed }))
        .collect();
    let result = report.result();
    json!({
        "at_ms": report.at_ms,
        "passed": result.passed() && kept.is_ok(),
        "result": result,
        "recorded": kept.is_ok(),
        "ways": ways,
        "controls": controls,
    })
    .to_string()
}

fn row(outcome: &Outcome, wide: usize) -> String {
    let seen = match &outcome.unseen {
        None => "?",
        Some(_) if outcome.is_unseen() => "NO",
        Some(_) => "yes",
    };
    let escaped =
        if outcome.escaped.is_empty() { "no".to_owned() } else { outcome.escaped.join(", ") };
    let first = outcome.sent.first().map_or("", String::as_str);
    let more = match outcome.sent.len() {
        0 | 1 => String::new(),
        lines => format!(" (and {})", lines - 1),
    };
    format!("{:wide$}  {seen:7}  {escaped:7}  {first}{more}", outcome.name)
}

fn conclusion(report: &Report) -> String {
    let result = report.result();
    let tries = result.tries;
    if !result.escaped.is_empty() {
        return format!(
            "NOT CLOSED: of {tries} attempts, something got out by {}: {}",
            result.escaped.len(),
            result.escaped.join(", ")
        );
    }
    if !result.failed_controls.is_empty() {
        return "nothing is proved: controls failed".to_owned();
    }
    if !result.unseen.is_empty() {
        return format!(
            "NOT SEEN: of {tries} attempts, the ledger does not list {}",
            result.unseen.join(", ")
        );
    }
    format!("held: {tries} attempts, nothing got out, the ledger lists them all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::canary::Control;

    fn report(unseen: &[&str], escaped: &[&str], failed: Option<&str>) -> Report {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let outcome = Outcome {
            name: "dns-tunnel",
            sent: owned(&["dns 9.9.9.9 53, answered", "dns 8.8.8.8 53, answered"]),
            unseen: Some(owned(unseen)),
            escaped: owned(escaped),
        };
        let control = Control {
            name: "frames on eth0 are seen".to_owned(),
            failed: failed.map(str::to_owned),
        };
        Report { at_ms: 1, outcomes: vec![outcome], controls: vec![control] }
    }

    #[test]
    fn the_last_line_says_what_it_means() {
        for (report, end) in [
            (
                report(&[], &[], None),
                "held: 1 attempts, nothing got out, the ledger lists them all",
            ),
            (
                report(&["x"], &[], None),
                "NOT SEEN: of 1 attempts, the ledger does not list dns-tunnel",
            ),
            (report(&["x"], &[], Some("w")), "nothing is proved: controls failed"),
            (
                report(&["x"], &["out on eth0"], Some("w")),
                "NOT CLOSED: of 1 attempts, something got out by 1: dns-tunnel",
            ),
        ] {
            assert_eq!(table(&report).lines().last(), Some(end));
        }
        let table =
            table(&report(&["dns 9.9.9.9 53, answered"], &["out on eth0"], Some("it is down")));
        assert!(
            table.contains("dns-tunnel  NO       out on eth0  dns 9.9.9.9 53, answered (and 1)"),
            "{table}"
        );
        assert!(table.contains("not listed: dns 9.9.9.9 53, answered"));
        assert!(table.contains("control FAILED: frames on eth0 are seen: it is down"));
    }

    #[test]
    fn a_result_that_nobody_took_has_not_passed() {
        let read = |kept| {
            serde_json::from_str::<serde_json::Value>(&json(&report(&[], &[], None), kept)).unwrap()
        };
        assert_eq!(read(&Ok(()))["passed"], true);
        let lost = read(&Err("no service".to_owned()));
        assert_eq!((&lost["passed"], &lost["recorded"]), (&false.into(), &false.into()));
    }
}
