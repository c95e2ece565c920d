//! Hostile text, empty days, long days.

use super::tables::{ATTEMPTS, CANARY_MS};
use super::*;
use crate::ops::hash_log::Verifier;
use crate::segment::ledger::Summary;
use crate::segment::ledger::tests::{NOON, row};
use crate::segment::{DeviceChange, DeviceEvent, DeviceText};

fn a_page(content: Content) -> String {
    let checked = Checked { verified: Verifier::new(None, Vec::new()).finish(), no_copy: None };
    let start_ms = NOON - 12 * 3_600_000;
    let end_ms = start_ms + 24 * 3_600_000;
    page(Page { day: "2026-11-29".to_owned(), start_ms, end_ms, now_ms: end_ms, content, checked })
}

#[test]
fn hostile_strings_are_text_only() {
    let evil = "\"><script>alert(1)</script><img src=x onerror='y'>&";
    let mut summary = Summary::default();
    let mut hostile = row(NOON, evil, 3);
    hostile.vendor = Some(evil.to_owned());
    hostile.camera = Some(evil.to_owned());
    summary.take(hostile);
    let what = DeviceChange::Unknown {
        ip: None,
        vendor: Some(evil.to_owned()),
        name: Some(DeviceText::new(evil.as_bytes())),
    };
    let device = "02:00:00:00:00:66".parse().unwrap();
    let events = vec![DeviceEvent { at_ms: NOON, device, what }];
    let canary = vec![CanaryResult {
        at_ms: NOON,
        tries: 3,
        escaped: vec![evil.to_owned()],
        unseen: vec![evil.to_owned()],
        failed_controls: vec![evil.to_owned()],
    }];
    let faults =
        vec![(NOON, Entry::Torn { file: evil.to_owned(), bytes: 1, sha256: String::new() })];
    let page = a_page(Content { summary, events, canary, faults, ..Content::default() });
    assert!(page.matches("&lt;script&gt;").count() >= 6);
    for never in ["<script", "<img", "onerror='", "<a ", "http:", "https:"] {
        assert!(!page.contains(never), "{never}");
    }
}

#[test]
fn the_canary_s_own_addresses_are_told_apart() {
    let page_at = |at_ms: u64| {
        let mut summary = Summary::default();
        summary.take(Row { camera: None, ..row(NOON + 1_000, "a", 1) });
        let run = CanaryResult {
            at_ms,
            tries: 1,
            escaped: vec![],
            unseen: vec![],
            failed_controls: vec![],
        };
        a_page(Content { summary, canary: vec![run], ..Content::default() })
    };
    assert!(page_at(NOON).contains("while the canary ran"));
    assert!(!page_at(NOON + 2_000).contains("while the canary ran"));
    assert!(!page_at(NOON - CANARY_MS).contains("while the canary ran"));
}

#[test]
fn nothing_is_claimed_without_a_checkpoint_and_a_canary() {
    let page = a_page(Content::default());
    assert!(page.contains("The ledger is not intact"));
    assert!(page.contains("No canary run on this day"));
    assert!(page.contains("00:00 to 24:00: no heartbeat"));
}

#[test]
fn what_is_too_much_for_a_page_is_counted() {
    let mut summary = Summary::default();
    for n in 0..500 {
        summary.take(row(NOON, &format!("{n}.example"), 1));
    }
    let page = a_page(Content { summary, ..Content::default() });
    assert!(page.contains(&format!("and {} more; all of them", 500 - ATTEMPTS)));
    assert!(page.len() < 60_000, "{}", page.len());
}
