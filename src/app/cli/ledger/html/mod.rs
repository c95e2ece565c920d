//! The report: one page of HTML with everything in it, and no script.

mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::tables::{attempts_section, devices_section, vendors_section};
use super::devices::{Device, devices, words};
use super::escape::html;
use super::gaps::{Gap, gaps};
use super::period::Content;
use super::table::number;
use super::verify::Checked;
use crate::segment::ledger::Entry;
use crate::segment::{CanaryResult, MacAddr, Row, Verdict, utc_time};

/// Lines of a list.
const LINES: usize = 8;

const CSS: &str = include_str!("../report.css");

/// What the page is made of.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) day: String,
    /// The day, as far as it is over.
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) now_ms: u64,
    pub(super) content: Content,
    pub(super) checked: Checked,
}

/// The page.
pub(super) fn page(page: Page) -> String {
    let rows = page.content.summary.rows();
    let devices = devices(&rows);
    let gaps = gaps(page.content.beats, page.start_ms, page.end_ms);
    let parts = [
        head(&page.day, page.now_ms),
        chain(&page.checked),
        canary_banner(&page.content.canary),
        figures(&rows, &devices, &page.content.canary),
        devices_section(&devices, &page.content.canary),
        vendors_section(&rows),
        attempts_section(&rows),
        canary_section(&page.content.canary),
        "<div class=\"two\"><div>".to_owned(),
        list(
            "Events",
            &page.content.events.iter().map(words).collect::<Vec<_>>(),
            "No unknown device and no changed address.",
        ),
        "</div><div>".to_owned(),
        gaps_section(&gaps, &page.content.faults, page.content.unreadable),
        "</div></div>".to_owned(),
        RESIDUAL.to_owned(),
        foot(&page.day, &page.checked),
    ];
    parts.concat()
}

fn head(day: &str, now_ms: u64) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Camera segment, {day}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><style>{CSS}</style></head><body>\
         <header><h1>Camera segment: what devices tried</h1><p>{day}, 00:00 to 24:00 UTC<br>written {now} UTC by \
         Camlock {version}</p></header>\n",
        day = html(day),
        now = utc_time(now_ms),
        version = env!("CARGO_PKG_VERSION"),
    )
}

fn chain(checked: &Checked) -> String {
    let verified = &checked.verified;
    let signed = verified.signed_ms.map(utc_time).unwrap_or_default();
    if checked.whole() {
        return format!(
            "<div class=\"banner good\"><b>The ledger is whole.</b>All its {} lines up to the checkpoint of {signed} UTC \
             are as they were signed, {} checkpoints in all.{}</div>\n",
            number(verified.lines - verified.unsigned),
            number(verified.checkpoints),
            match verified.unsigned {
                0 => String::new(),
                lines => format!(" {} newer lines are not signed yet.", number(lines)),
            },
        );
    }
    let why = match (&verified.fault, &checked.no_copy) {
        (Some(fault), _) => fault.to_string(),
        (None, Some(why)) => {
            format!("the copy of the newest checkpoint is missing or broken: {why}")
        }
        (None, None) => "no checkpoint covers it".to_owned(),
    };
    format!(
        "<div class=\"banner bad\"><b>The ledger is not intact: this report proves nothing.</b>{}</div>\n",
        html(&why)
    )
}

fn canary_banner(canary: &[CanaryResult]) -> String {
    let (class, title, text) = match canary {
        [] => (
            "open",
            "No canary run on this day.",
            "That nothing got out was not tested on this day.".to_owned(),
        ),
        runs if runs.iter().all(CanaryResult::passed) => {
            let tries: u64 = runs.iter().map(|run| u64::from(run.tries)).sum();
            let text = format!(
                "{} tries to get out of the segment: none got out, the ledger lists each, and the control frames were seen.",
                number(tries)
            );
            ("good", "The canary passed.", text)
        }
        _ => (
            "bad",
            "The canary failed.",
            "Something got out, was not listed, or the run proves nothing; see below.".to_owned(),
        ),
    };
    format!("<div class=\"banner {class}\"><b>{title}</b>{text}</div>\n")
}

fn figures(rows: &[Row], devices: &BTreeMap<MacAddr, Device>, canary: &[CanaryResult]) -> String {
    let of = |verdict: Verdict| -> u64 {
        rows.iter().filter(|row| row.attempt.verdict == verdict).map(|row| row.count).sum()
    };
    let unknown = devices.values().filter(|device| device.camera.is_none()).count();
    let escaped: usize = canary.iter().map(|run| run.escaped.len()).sum();
    let cells = [
        (number(devices.len() as u64), format!("devices, {unknown} not configured")),
        (number(of(Verdict::Sunk)), "connections ended in the sink".to_owned()),
        (number(of(Verdict::Dropped)), "packets dropped".to_owned()),
        (number(of(Verdict::Answered)), "questions answered by the gateway itself".to_owned()),
        (
            if canary.is_empty() { "–".to_owned() } else { number(escaped as u64) },
            "ways out that the canary found".to_owned(),
        ),
    ];
    let cells =
        cells.map(|(figure, what)| format!("<div><b>{figure}</b><span>{what}</span></div>"));
    format!("<div class=\"figures\">{}</div>\n", cells.concat())
}

fn canary_section(canary: &[CanaryResult]) -> String {
    let failed = canary.iter().filter(|run| !run.passed());
    let lines: Vec<String> = failed
        .map(|run| {
            let part = |what: &str, names: &[String]| match names {
                [] => String::new(),
                names => format!("; {what}: {}", names.join(", ")),
            };
            format!(
                "{} UTC, {} tries{}{}{}",
                utc_time(run.at_ms),
                run.tries,
                part("got out", &run.escaped),
                part("not in the ledger", &run.unseen),
                part("controls that failed", &run.failed_controls)
            )
        })
        .collect();
    if lines.is_empty() { String::new() } else { list("Canary", &lines, "") }
}

fn gaps_section(gaps: &[Gap], faults: &[(u64, Entry)], unreadable: u64) -> String {
    let mut lines: Vec<String> = gaps
        .iter()
        .map(|gap| {
            let why = if gap.stopped {
                "the service was stopped"
            } else {
                "no heartbeat: nobody knows what was tried"
            };
            format!("{} to {}: {why}", clock(gap.from_ms), clock_end(gap.to_ms))
        })
        .collect();
    lines.extend(faults.iter().map(|(at, entry)| format!("{}: {}", clock(*at), fault(entry))));
    if unreadable > 0 {
        lines.push(format!("{unreadable} lines of these days cannot be read"));
    }
    list("Gaps", &lines, "None: a heartbeat at least every three minutes.")
}

/// What the ledger says of itself, in words.
fn fault(entry: &Entry) -> String {
    match entry {
        Entry::Torn { file, bytes, .. } => {
            format!("a crash tore a line; its {bytes} bytes are kept in {file}")
        }
        Entry::Cut { vouched, found } => {
            format!(
                "at its start the service found {found} lines, but a checkpoint vouched for {vouched}: somebody cut the ledger, or the disk lost it"
            )
        }
        Entry::Lost { records } => {
            format!("{records} records were lost, for the disk did not take them")
        }
        Entry::Start(_)
        | Entry::Stop { .. }
        | Entry::Row(_)
        | Entry::Device(_)
        | Entry::Canary(_)
        | Entry::Pulse(_) => String::new(),
    }
}

fn list(title: &str, lines: &[String], none: &str) -> String {
    if lines.is_empty() {
        return format!("<h2>{title}</h2><p class=\"none\">{none}</p>\n");
    }
    let items = lines.iter().take(LINES).map(|line| format!("<li>{}</li>", html(line)));
    let items: String = items.collect();
    let more = match lines.len() {
        0..=LINES => String::new(),
        all => format!("<p class=\"none\">and {} more</p>", all - LINES),
    };
    format!("<h2>{title}</h2><ul>{items}</ul>{more}\n")
}

const RESIDUAL: &str = "<h2>What this page does not prove</h2><ul>\
<li>The gateway sees the wire. A camera's own radio (Wi-Fi, mobile, Bluetooth) or a second cable is outside its view.</li>\
<li>Pictures and sound go to authorised viewers, with anything a camera hides in pixels, samples or their timing.</li>\
<li>A name or a vendor is what the device's packets claim. Ethernet and IP addresses can be forged by a device on the segment.</li>\
<li>What one camera sends another behind the same unmanaged switch does not pass through the gateway.</li>\
<li>Root on the gateway can read the signing key, stop the recording, or rewrite the whole ledger. A checkpoint kept elsewhere reveals a rewrite; the gaps above show a stop.</li>\
<li>All times are from the gateway's clock; no outside party confirms them.</li></ul>\n";

fn foot(day: &str, checked: &Checked) -> String {
    let key = checked.verified.key.map(|key| key.to_string()).unwrap_or_default();
    format!(
        "<h2>How to verify it</h2><p>On the gateway: <code>camlock ledger verify --checkpoint FILE</code>, with an earlier copy of <code>checkpoint.json</code> that you kept elsewhere. All rows: <code>camlock ledger export --day {day}</code>. \
         Anyone can check a copy of the ledger with the description in docs/evidence.md, without Camlock.</p>\
         <footer>Ed25519 key of the checkpoints: <span class=\"m\">{key}</span></footer></body></html>\n",
        day = html(day),
    )
}

fn clock(ms: u64) -> String {
    utc_time(ms).get(11..16).unwrap_or_default().to_owned()
}

/// Midnight is the end of the day here.
fn clock_end(ms: u64) -> String {
    match clock(ms) {
        midnight if midnight == "00:00" => "24:00".to_owned(),
        clock => clock,
    }
}
