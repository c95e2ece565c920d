//! The report: one page of HTML with everything in it, and no script.

use std::collections::{BTreeMap, BTreeSet};

use super::devices::{Device, addresses, devices, vendors, words};
use super::escape::html;
use super::gaps::{Gap, gaps};
use super::period::Content;
use super::table::{destination, name, number, port, who};
use super::verify::Checked;
use crate::segment::ledger::Entry;
use crate::segment::{CanaryResult, MacAddr, Protocol, Row, Verdict, utc_time};

/// Rows of a section; what is beyond is counted below it, and is in the export.
const DEVICES: usize = 40;
const VENDORS: usize = 12;
const ATTEMPTS: usize = 16;
const LINES: usize = 8;
/// A canary's run is over by then.
const CANARY_MS: u64 = 5 * 60 * 1000;

const CSS: &str = include_str!("report.css");

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
        (None, None) => "no checkpoint vouches for it".to_owned(),
    };
    format!(
        "<div class=\"banner bad\"><b>The ledger is not whole: this report proves nothing.</b>{}</div>\n",
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

fn devices_section(devices: &BTreeMap<MacAddr, Device>, canary: &[CanaryResult]) -> String {
    let rows = devices.iter().take(DEVICES).map(|(mac, device)| {
        let camera = match &device.camera {
            Some(camera) => html(camera),
            None if of_canary(*mac, device, canary) => {
                "<span class=\"tag\">not configured, while the canary ran</span>".to_owned()
            }
            None => "<span class=\"tag unknown\">not configured</span>".to_owned(),
        };
        format!(
            "<tr><td>{camera}</td><td class=\"m\">{mac}</td><td class=\"m\">{}</td><td>{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{} – {}</td></tr>",
            html(&addresses(device)),
            html(&vendors(device)),
            number(device.answered),
            number(device.sunk),
            number(device.dropped),
            clock(device.first_ms),
            clock(device.last_ms),
        )
    });
    let heads = "<th>Camera<th>Ethernet address<th>IP address<th>Signs of vendor<th class=\"n\">Answered<th class=\"n\">Sunk<th class=\"n\">Dropped<th class=\"n\">Seen (UTC)";
    section("Devices", "", heads, &rows.collect::<Vec<_>>(), devices.len(), "No device was seen.")
}

/// Whether a device was seen only while the canary ran, under an address that no maker gave: most likely it is the
/// canary's. The page says no more than that.
fn of_canary(mac: MacAddr, device: &Device, canary: &[CanaryResult]) -> bool {
    let during = |run: &CanaryResult| {
        device.first_ms >= run.at_ms && device.last_ms <= run.at_ms.saturating_add(CANARY_MS)
    };
    mac.is_local() && canary.iter().any(during)
}

/// What calls outside, not the housekeeping of a local network.
fn outward(row: &Row) -> bool {
    !matches!(
        row.attempt.protocol,
        Protocol::Arp | Protocol::Dhcp | Protocol::Lldp | Protocol::Igmp
    )
}

#[derive(Default)]
struct Cloud<'a> {
    attempts: u64,
    devices: BTreeSet<MacAddr>,
    names: BTreeMap<&'a str, u64>,
}

fn vendors_section(rows: &[Row]) -> String {
    let mut clouds: BTreeMap<&str, Cloud<'_>> = BTreeMap::new();
    for row in rows.iter().filter(|row| outward(row)) {
        let cloud = clouds.entry(row.vendor.as_deref().unwrap_or("not recognised")).or_default();
        cloud.attempts += row.count;
        cloud.devices.insert(row.device);
        if let Some(name) = &row.attempt.name {
            *cloud.names.entry(name.as_str()).or_default() += row.count;
        }
    }
    let most = clouds.values().map(|cloud| cloud.attempts).max().unwrap_or(1).max(1);
    let mut clouds: Vec<_> = clouds.into_iter().collect();
    clouds.sort_by_key(|(_, cloud)| std::cmp::Reverse(cloud.attempts));
    let all = clouds.len();
    let rows = clouds.into_iter().take(VENDORS).map(|(vendor, cloud)| {
        let mut names: Vec<_> = cloud.names.iter().collect();
        names.sort_by(|a, b| b.1.cmp(a.1));
        let more = names.len().saturating_sub(4);
        let mut words = names.iter().take(4).map(|(name, _)| html(name)).collect::<Vec<_>>().join(", ");
        if more > 0 {
            words = format!("{words} and {more} more");
        }
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td><div class=\"bar\"><i style=\"width:{}%\"></i></div></td><td class=\"m\">{words}</td></tr>",
            html(vendor),
            number(cloud.devices.len() as u64),
            number(cloud.attempts),
            (cloud.attempts * 100 / most).max(1),
        )
    });
    let heads = "<th>Vendor<th class=\"n\">Devices<th class=\"n\">Attempts<th><th>Names asked for or called";
    section(
        "Attempts to call, by vendor",
        "by the endpoint called, else by the device's address block",
        heads,
        &rows.collect::<Vec<_>>(),
        all,
        "No device tried to call anything.",
    )
}

fn attempts_section(rows: &[Row]) -> String {
    let mut rows: Vec<&Row> = rows.iter().filter(|row| outward(row)).collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then(a.first_ms.cmp(&b.first_ms)));
    let all = rows.len();
    let cells = rows.into_iter().take(ATTEMPTS).map(|row| {
        let verdict = row.attempt.verdict.name();
        format!(
            "<tr><td>{}</td><td>{}</td><td class=\"m\">{}</td><td class=\"n\">{}</td><td class=\"m\">{}</td>\
             <td><span class=\"tag {verdict}\">{verdict}</span></td><td class=\"n\">{}</td><td class=\"n\">{} – {}</td></tr>",
            html(&who(row)),
            row.attempt.protocol.name(),
            html(&destination(row)),
            port(row),
            html(&name(row)),
            number(row.count),
            clock(row.first_ms),
            clock(row.last_ms),
        )
    });
    let heads = "<th>Device<th>Protocol<th>Destination<th class=\"n\">Port<th>Name<th>Verdict<th class=\"n\">Count<th class=\"n\">Seen (UTC)";
    section(
        "Most frequent attempts",
        "answered: by the gateway's own DNS and clock; sunk: taken, looked at, reset; dropped: went nowhere",
        heads,
        &cells.collect::<Vec<_>>(),
        all,
        "None.",
    )
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

fn section(
    title: &str,
    note: &str,
    heads: &str,
    rows: &[String],
    all: usize,
    none: &str,
) -> String {
    let more = all - rows.len().min(all);
    let note = if note.is_empty() { String::new() } else { format!("<small>{note}</small>") };
    if rows.is_empty() {
        return format!("<h2>{title}{note}</h2><p class=\"none\">{none}</p>\n");
    }
    let more = if more > 0 {
        format!(
            "<p class=\"none\">and {} more; all of them: <code>camlock ledger export</code></p>",
            number(more as u64)
        )
    } else {
        String::new()
    };
    format!(
        "<h2>{title}{note}</h2><table><thead><tr>{heads}</tr></thead><tbody>{}</tbody></table>{more}\n",
        rows.concat()
    )
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
<li>The gateway sees the wire. A camera's own radio (Wi-Fi, mobile, Bluetooth) or a second cable is out of its reach.</li>\
<li>Pictures and sound go to whoever may watch; what a camera hides in pixels, samples or their timing goes with them.</li>\
<li>A name or a vendor is what the device's packets claim. Ethernet and IP addresses can be forged by a device on the segment.</li>\
<li>What one camera sends another behind the same unmanaged switch does not pass the gateway.</li>\
<li>Whoever is root on the gateway can read the signing key, stop the recording, or write a whole ledger anew. A checkpoint kept elsewhere exposes the last; gaps above show the second.</li>\
<li>The gateway's clock dates all this; nobody outside vouches for it.</li></ul>\n";

fn foot(day: &str, checked: &Checked) -> String {
    let key = checked.verified.key.map(|key| key.to_string()).unwrap_or_default();
    format!(
        "<h2>How to check it</h2><p>On the gateway: <code>camlock ledger verify --checkpoint FILE</code>, with a copy of \
         <code>checkpoint.json</code> that you took away earlier. All rows: <code>camlock ledger export --day {day}</code>. \
         Anyone can check a copy of the ledger with its description in docs/evidence.md and no program of ours.</p>\
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Verifier;
    use crate::segment::ledger::Summary;
    use crate::segment::ledger::tests::{NOON, row};
    use crate::segment::{DeviceChange, DeviceEvent, DeviceText};

    fn a_page(content: Content) -> String {
        let checked = Checked { verified: Verifier::new(None, Vec::new()).finish(), no_copy: None };
        let start_ms = NOON - 12 * 3_600_000;
        let end_ms = start_ms + 24 * 3_600_000;
        page(Page {
            day: "2026-11-29".to_owned(),
            start_ms,
            end_ms,
            now_ms: end_ms,
            content,
            checked,
        })
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
        assert!(page.contains("The ledger is not whole"));
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
}
