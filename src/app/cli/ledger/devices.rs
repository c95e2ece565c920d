//! `camlock ledger devices`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use clap::Args;

use super::period::Period;
use super::table::{number, table};
use super::{Where, output};
use crate::segment::{DeviceChange, DeviceEvent, MacAddr, Row, Verdict, utc_time};

/// Options of `camlock ledger devices`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    period: Period,
}

/// A device, as far as its rows tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) camera: Option<String>,
    /// What its address block and the endpoints it called point to.
    pub(super) vendors: BTreeSet<String>,
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
    /// Attempts by verdict: answered, sunk, dropped.
    pub(super) answered: u64,
    pub(super) sunk: u64,
    pub(super) dropped: u64,
}

const HEADS: [&str; 9] = [
    "DEVICE",
    "CAMERA",
    "VENDOR",
    "ADDRESSES",
    "ANSWERED",
    "SUNK",
    "DROPPED",
    "FIRST (UTC)",
    "LAST (UTC)",
];

pub(super) fn run(options: &Options) -> Result<(), String> {
    let content = options.period.read(&options.place)?;
    let devices = devices(&content.summary.over_days());
    let cells = devices.iter().map(|(mac, device)| {
        let mut cells = vec![mac.to_string()];
        cells.extend([
            device.camera.clone().unwrap_or_else(|| "(not configured)".to_owned()),
            vendors(device),
            addresses(device),
            number(device.answered),
            number(device.sunk),
            number(device.dropped),
            utc_time(device.first_ms),
            utc_time(device.last_ms),
        ]);
        cells
    });
    let cells: Vec<_> = cells.collect();
    table(&HEADS, &cells, &[4, 5, 6]).iter().for_each(|line| output::line(line));
    for event in &content.events {
        output::line(&super::escape::terminal(&words(event)));
    }
    Ok(())
}

/// The devices of these rows.
pub(super) fn devices(rows: &[Row]) -> BTreeMap<MacAddr, Device> {
    let mut devices: BTreeMap<MacAddr, Device> = BTreeMap::new();
    for row in rows {
        let device = devices
            .entry(row.device)
            .or_insert_with(|| Device { first_ms: u64::MAX, ..Device::default() });
        device.addresses.extend(row.ip);
        device.vendors.extend(row.vendor.clone());
        device.first_ms = device.first_ms.min(row.first_ms);
        if row.last_ms >= device.last_ms {
            device.last_ms = row.last_ms;
            device.camera = row.camera.clone().or_else(|| device.camera.take());
        }
        match row.attempt.verdict {
            Verdict::Answered => device.answered += row.count,
            Verdict::Sunk => device.sunk += row.count,
            Verdict::Dropped => device.dropped += row.count,
        }
    }
    devices
}

/// What points to a vendor.
pub(super) fn vendors(device: &Device) -> String {
    device.vendors.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
}

/// Its addresses, the first few.
pub(super) fn addresses(device: &Device) -> String {
    let few =
        device.addresses.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(" ");
    match device.addresses.len() {
        0..=3 => few,
        all => format!("{few} and {} more", all - 3),
    }
}

/// An event in words.
pub(super) fn words(event: &DeviceEvent) -> String {
    let at = utc_time(event.at_ms);
    let device = event.device;
    match &event.what {
        DeviceChange::Unknown { ip, vendor, name } => {
            let ip = ip.map(|ip| format!(", {ip}")).unwrap_or_default();
            let vendor = vendor.as_ref().map(|vendor| format!(", {vendor}")).unwrap_or_default();
            let name =
                name.as_ref().map(|name| format!(", calls itself {name}")).unwrap_or_default();
            format!("{at}  {device}: not in the segment file{ip}{vendor}{name}")
        }
        DeviceChange::AddressTaken { ip, owner } => {
            format!("{at}  {device}: uses {ip}, which belongs to {owner}")
        }
        DeviceChange::AddressChanged { expected, ip } => {
            format!("{at}  {device}: uses {ip}, expected {expected}")
        }
    }
}
