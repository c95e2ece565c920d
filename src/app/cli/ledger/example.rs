//! `camlock ledger example`: a ledger of invented devices, written by the code that writes the real one.

use std::net::Ipv4Addr;

use clap::Args;

use super::{Exit, Where, output, period};
use crate::segment::ledger::{Entry, Ledger};
use crate::segment::{
    Attempt, CanaryResult, Destination, DeviceChange, DeviceEvent, DeviceText, DnsPolicy, MacAddr,
    Place, Plan, Protocol, Pulse, Row, Verdict, day_start, utc_day,
};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
const BOOT: &str = "00000000-0000-4000-8000-0000000e8a19";

/// Options of `camlock ledger example`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Where,
    /// First UTC day.
    #[arg(long, value_name = "DAY", value_parser = period::day, default_value = "2026-11-27")]
    day: String,
    /// How many days.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=30))]
    days: u16,
}

/// Vendor, protocol, port, name, verdict, and how often an hour.
type Try = (Option<&'static str>, Protocol, u16, &'static str, Verdict, u64);

const DOOR: &[Try] = &[
    (Some("Hikvision"), Protocol::Dns, 53, "dev.ezvizlife.com", Verdict::Answered, 412),
    (Some("Hikvision"), Protocol::Dns, 53, "litedev.hik-connect.com", Verdict::Answered, 96),
    (Some("Hikvision"), Protocol::Tls, 8555, "dev.ezvizlife.com", Verdict::Sunk, 61),
    (Some("Hikvision"), Protocol::Stun, 31007, "", Verdict::Dropped, 44),
    (None, Protocol::Ntp, 123, "", Verdict::Answered, 4),
    (None, Protocol::Arp, 0, "", Verdict::Answered, 60),
];
const YARD: &[Try] = &[
    (Some("Dahua"), Protocol::Dns, 53, "www.easy4ipcloud.com", Verdict::Answered, 240),
    (Some("Dahua"), Protocol::Udp, 8800, "", Verdict::Dropped, 180),
    (Some("Dahua"), Protocol::DhDiscover, 37810, "", Verdict::Dropped, 12),
    (None, Protocol::DnsOverTls, 853, "dns.google", Verdict::Sunk, 9),
    (None, Protocol::Mdns, 5353, "_http._tcp.local", Verdict::Dropped, 6),
];
const STRANGER: &[Try] = &[
    (None, Protocol::Http, 80, "<img src=x onerror=alert(1)>", Verdict::Sunk, 3),
    (None, Protocol::Mqtt, 1883, "=cmd|' /C calc'!A0", Verdict::Sunk, 2),
    (None, Protocol::Icmp, 8, "", Verdict::Dropped, 20),
    (None, Protocol::Tcp, 4444, "", Verdict::Sunk, 1),
];

pub(super) fn run(options: &Options) -> Exit {
    let place = options.place.place();
    if place.ledger().exists() {
        output::error(&format!("{}: already holds a ledger", place.ledger().display()));
        return Exit::Failed;
    }
    let start = day_start(&options.day).unwrap_or(0);
    let days = u64::from(options.days);
    crate::app::cli::block_on(async move {
        match write(&place, start, start + days * DAY).await {
            Ok(lines) => {
                output::line(&format!("{}: {lines} lines", place.ledger().display()));
                Exit::Done
            }
            Err(why) => {
                output::error(&why);
                Exit::Failed
            }
        }
    })
}

/// Two runs: the process is stopped for seven minutes in the first night.
async fn write(place: &Place, start: u64, end: u64) -> Result<u64, String> {
    let pause = start + 3 * 60 * MINUTE;
    one_run(place, "00000000000000a1", start, pause).await?;
    one_run(place, "00000000000000a2", pause + 7 * MINUTE, end).await
}

async fn one_run(place: &Place, run: &str, start: u64, end: u64) -> Result<u64, String> {
    let opened = Ledger::open(place, &plan()?, run, BOOT, start).map_err(|why| why.to_string())?;
    let ledger = opened.start().map_err(|error| error.to_string())?;
    let mut day_began = start;
    for now in (start..end).step_by(usize::try_from(MINUTE).unwrap_or(1)) {
        if utc_day(now) != utc_day(day_began) {
            day_began = now;
        }
        ledger.append(Entry::Pulse(pulse(start, now)), now);
        if (now - start) / MINUTE % 15 == 14 {
            rows(run, day_began, now)
                .into_iter()
                .for_each(|row| ledger.append(Entry::Row(row), now));
            ledger.flush(now).await?;
        }
        if now % DAY == 5 * 60 * MINUTE {
            happens(&ledger, now);
        }
    }
    ledger.stop(end - 1).await
}

/// What happens once a day.
fn happens(ledger: &Ledger, now: u64) {
    let canary = CanaryResult {
        at_ms: now,
        tries: 34,
        escaped: Vec::new(),
        unseen: Vec::new(),
        failed_controls: Vec::new(),
    };
    ledger.append(Entry::Canary(canary), now);
    let name = Some(DeviceText::new(b"android-dhcp-13"));
    let ip = Some(Ipv4Addr::new(10, 77, 0, 102).into());
    let what = DeviceChange::Unknown { ip, vendor: None, name };
    ledger.append(Entry::Device(DeviceEvent { at_ms: now, device: mac(102), what }), now);
}

fn rows(run: &str, since: u64, now: u64) -> Vec<Row> {
    let devices = [(16, Some("door"), DOOR), (17, Some("yard"), YARD), (102, None, STRANGER)];
    let mut rows = Vec::new();
    for (last, camera, tries) in devices {
        for (vendor, protocol, port, name, verdict, hourly) in tries {
            let count = (hourly * (now - since) / (60 * MINUTE)).max(1);
            let there = match verdict {
                Verdict::Answered => Ipv4Addr::new(10, 77, 0, 1),
                Verdict::Sunk | Verdict::Dropped => Ipv4Addr::new(198, 51, 100, last),
            };
            rows.push(Row {
                day: utc_day(now),
                run: run.to_owned(),
                device: mac(last),
                ip: Some(Ipv4Addr::new(10, 77, 0, last).into()),
                camera: camera.map(str::to_owned),
                vendor: vendor.map(str::to_owned),
                attempt: Attempt {
                    protocol: *protocol,
                    destination: Destination::Ip(there.into()),
                    port: (*port > 0).then_some(*port),
                    name: (!name.is_empty()).then(|| DeviceText::new(name.as_bytes())),
                    verdict: *verdict,
                },
                count,
                bytes: count * 90,
                first_ms: since + u64::from(last) * 1000,
                last_ms: now,
            });
        }
    }
    rows
}

fn pulse(started_ms: u64, now: u64) -> Pulse {
    Pulse {
        started_ms,
        devices: 3,
        attempts: (now - started_ms) / 100,
        aggregated: 0,
        missed: 0,
        ledger_records: 0,
        checkpoint_age_ms: None,
        ledger_fault: None,
    }
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn plan() -> Result<Plan, String> {
    let port = crate::segment::InterfaceName::parse("eth1").map_err(|why| why.to_string())?;
    Ok(Plan {
        interfaces: vec![port],
        address: Ipv4Addr::new(10, 77, 0, 1),
        prefix: 24,
        cameras: Vec::new(),
        dns: DnsPolicy::Sink,
        dhcp: true,
        uplinks: Vec::new(),
        ledger_days: 365,
        ledger_bytes: 512 * 1024 * 1024,
    })
}
