//! The page's tables.

use std::collections::{BTreeMap, BTreeSet};

use super::clock;
use crate::app::cli::ledger::devices::{Device, addresses, vendors};
use crate::app::cli::ledger::escape::html;
use crate::app::cli::ledger::table::{destination, name, number, port, who};
use crate::segment::{CanaryResult, MacAddr, Protocol, Row};

/// Rows of a section; what is beyond is counted below it, and is in the export.
pub(super) const DEVICES: usize = 40;
pub(super) const VENDORS: usize = 12;
pub(super) const ATTEMPTS: usize = 16;
/// A canary's run is over by then.
pub(super) const CANARY_MS: u64 = 5 * 60 * 1000;

pub(super) fn devices_section(
    devices: &BTreeMap<MacAddr, Device>,
    canary: &[CanaryResult],
) -> String {
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
    let heads = "<th>Camera<th>Ethernet address<th>IP address<th>Vendor hints<th class=\"n\">Answered<th class=\"n\">Sunk<th class=\"n\">Dropped<th class=\"n\">Seen (UTC)";
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

pub(super) fn vendors_section(rows: &[Row]) -> String {
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

pub(super) fn attempts_section(rows: &[Row]) -> String {
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
        "answered: by the gateway's own DNS and NTP; sunk: accepted, inspected, reset; dropped: discarded",
        heads,
        &cells.collect::<Vec<_>>(),
        all,
        "None.",
    )
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
