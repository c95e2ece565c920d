use std::net::Ipv4Addr;

use super::*;
use crate::segment::shared::plan::tests::plan;
use crate::segment::{Attempt, Destination, DeviceChange, DeviceText, Verdict};

const NOON: u64 = 20_000 * DAY_MS + DAY_MS / 2;
const HOUR: u64 = 3_600_000;

fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([2, 1, a, b, c, d])
}

fn door() -> MacAddr {
    "02:00:00:00:00:10".parse().unwrap()
}

fn gateway() -> MacAddr {
    "02:00:00:00:00:01".parse().unwrap()
}

fn table() -> Table {
    Table::new(Arc::new(plan()), gateway(), Vendors::load().unwrap(), 7)
}

fn sighting(device: MacAddr, protocol: Protocol, to: [u8; 4], port: u16, name: &str) -> Sighting {
    Sighting {
        device,
        ip: None,
        attempt: Attempt {
            protocol,
            destination: Destination::Ip(Ipv4Addr::from(to).into()),
            port: Some(port),
            name: (!name.is_empty()).then(|| DeviceText::new(name.as_bytes())),
            verdict: Verdict::Dropped,
        },
        bytes: 60,
    }
}

fn from(device: MacAddr, ip: &str) -> Sighting {
    let ip = Some(ip.parse().unwrap());
    Sighting { ip, ..sighting(device, Protocol::Udp, [9, 9, 9, 9], 9, "") }
}

fn changes(table: &mut Table) -> Vec<(MacAddr, DeviceChange)> {
    table.take_events().into_iter().map(|event| (event.device, event.what)).collect()
}

#[test]
fn a_row_says_who_tried_what_how_often() {
    let mut table = table();
    let dns = sighting(door(), Protocol::Dns, [9, 9, 9, 9], 53, "dev.ezvizlife.com");
    table.note(&Sighting { ip: Some("10.77.0.10".parse().unwrap()), ..dns.clone() }, NOON);
    table.note(&dns, NOON + 5);
    let rows = table.due_rows(NOON + 10);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.day.as_str(), row.run.as_str()), ("2024-10-04", "0000000000000007"));
    assert_eq!((row.device, row.camera.as_deref()), (door(), Some("door")));
    assert_eq!(row.ip, Some("10.77.0.10".parse().unwrap()));
    assert_eq!(row.vendor.as_deref(), Some("Hikvision"));
    assert_eq!(row.attempt, dns.attempt);
    assert_eq!((row.count, row.bytes), (2, 120));
    assert_eq!((row.first_ms, row.last_ms), (NOON, NOON + 5));
    assert!(table.take_events().is_empty(), "nothing is strange about a camera");
    assert_eq!(table.totals(), Totals { devices: 1, attempts: 2, aggregated: 0, lost: 0 });
    assert_eq!(table.sums().iter().map(|sum| sum.count).collect::<Vec<_>>(), [2]);
}

#[test]
fn rows_that_grow_are_written_when_they_doubled_or_an_hour_passed() {
    let mut table = table();
    let udp = sighting(door(), Protocol::Udp, [9, 9, 9, 9], 9, "");
    let mut written = Vec::new();
    for i in 0..1_000 {
        table.note(&udp, NOON + i);
        written.extend(table.due_rows(NOON + i).iter().map(|row| row.count));
    }
    assert_eq!(written, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    assert!(table.due_rows(NOON + HOUR / 2).is_empty());
    let late = table.due_rows(NOON + 511 + HOUR);
    assert_eq!(late.iter().map(|row| row.count).collect::<Vec<_>>(), [1_000]);
    assert!(table.due_rows(NOON + 3 * HOUR).is_empty(), "nothing changed");
    table.note(&udp, NOON + 3 * HOUR);
    assert_eq!(table.changed_rows(NOON + 3 * HOUR)[0].count, 1_001);
    assert!(table.changed_rows(NOON + 3 * HOUR).is_empty());
}

#[test]
fn a_flood_does_not_fill_the_ledger_with_rows_that_grow() {
    let mut table = table();
    let note_all = |table: &mut Table, now_ms| {
        for port in 0..200 {
            table.note(&sighting(door(), Protocol::Udp, [9, 9, 9, 9], port, ""), now_ms);
        }
    };
    note_all(&mut table, NOON);
    assert_eq!(table.due_rows(NOON).len(), 200);
    let mut ports = std::collections::BTreeSet::new();
    for flush in 1..=7 {
        note_all(&mut table, NOON + flush);
        let rows = table.due_rows(NOON + flush);
        assert_eq!(rows.len(), limits::OBSERVED_ROWS_GROWN);
        ports.extend(rows.into_iter().filter_map(|row| row.attempt.port));
    }
    assert_eq!(ports.len(), 200, "each has its turn");
}

#[test]
fn a_day_ends_at_midnight_utc() {
    let mut table = table();
    let udp = sighting(door(), Protocol::Udp, [9, 9, 9, 9], 9, "");
    let stranger = sighting(mac(1), Protocol::Udp, [9, 9, 9, 9], 9, "");
    table.note(&udp, NOON);
    table.note(&stranger, NOON);
    table.due_rows(NOON);
    table.note(&udp, NOON);
    table.note(&udp, NOON + DAY_MS);
    let rows = table.due_rows(NOON + DAY_MS);
    let told: Vec<_> = rows.iter().map(|row| (row.day.as_str(), row.count)).collect();
    assert_eq!(told, [("2024-10-04", 2), ("2024-10-05", 1)]);
    assert!(rows.iter().all(|row| row.run == "0000000000000007"));
    assert_eq!(table.devices().len(), 2, "one that was seen on the day that ended is remembered");
    table.note(&udp, NOON + 2 * DAY_MS);
    assert_eq!(table.devices().len(), 1, "and not for longer");
    table.due_rows(NOON + 2 * DAY_MS);
    // The clock goes back: the day's rows must not be replaced by lower counts.
    table.note(&udp, NOON);
    let rows = table.due_rows(NOON);
    assert_eq!((rows[0].day.as_str(), rows[0].count), ("2024-10-04", 1));
    assert_eq!(rows[0].run, "0000000000000008");
}

#[test]
fn rows_of_ended_days_are_bounded_if_nobody_writes_them() {
    let mut table = table();
    let days = 2 + limits::OBSERVED_ROWS_ENDED as u64 / 200;
    for day in 0..days {
        for port in 0..200 {
            let udp = sighting(door(), Protocol::Udp, [9, 9, 9, 9], port, "");
            table.note(&udp, NOON + day * DAY_MS);
        }
    }
    assert_eq!(table.ended.len(), limits::OBSERVED_ROWS_ENDED);
    assert_eq!(table.totals().lost, (days - 1) * 200 - limits::OBSERVED_ROWS_ENDED as u64);
}

#[test]
fn a_million_destinations_of_one_device_cost_a_bounded_number_of_rows() {
    let mut table = table();
    let tls = sighting(mac(1), Protocol::Tls, [9, 9, 9, 9], 443, "late.example");
    for n in 0..1_000_000_u32 {
        let to = (0x0900_0000 + n).to_be_bytes();
        table.note(&sighting(mac(1), Protocol::Udp, to, 9, ""), NOON);
    }
    table.note(&tls, NOON);
    table.note(&sighting(door(), Protocol::Udp, [9, 0, 0, 1], 9, ""), NOON);
    let rows = table.changed_rows(NOON);
    let of = |device| rows.iter().filter(move |row| row.device == device);
    assert_eq!(of(mac(1)).count(), limits::OBSERVED_ROWS_PROTOCOL + 2);
    let many: Vec<_> =
        of(mac(1)).filter(|row| row.attempt.destination == Destination::Many).collect();
    let aggregated = 1_000_000 - limits::OBSERVED_ROWS_PROTOCOL as u64;
    assert_eq!(many.len(), 1);
    assert_eq!((many[0].count, many[0].bytes), (aggregated, 60 * aggregated));
    assert_eq!((many[0].attempt.protocol, many[0].attempt.port), (Protocol::Udp, None));
    assert!(of(mac(1)).any(|row| row.attempt == tls.attempt), "the flood hides nothing else");
    assert_eq!(of(door()).count(), 1);
    assert_eq!(table.totals(), Totals { devices: 2, attempts: 1_000_002, aggregated, lost: 0 });
}

#[test]
fn a_hundred_thousand_addresses_of_devices_cost_a_bounded_number_of_accounts() {
    let mut table = table();
    let early = sighting(mac(u32::MAX), Protocol::Udp, [9, 9, 9, 9], 9, "");
    table.note(&early, NOON);
    for n in 0..100_000 {
        let spoofed = from(mac(n), &Ipv4Addr::from(0x0a4d_0000 + n).to_string());
        table.note(&spoofed, NOON);
    }
    table.note(&sighting(door(), Protocol::Udp, [9, 9, 9, 9], 9, ""), NOON);
    table.note(&early, NOON);
    let rows = table.changed_rows(NOON);
    assert_eq!(rows.len(), limits::OBSERVED_DEVICES + 2);
    let count = |device| rows.iter().filter(|row| row.device == device).map(|row| row.count).sum();
    let others = 100_001 - limits::OBSERVED_DEVICES as u64;
    assert_eq!(count(OTHERS), others);
    assert_eq!((count(door()), count(early.device)), (1, 2));
    assert_eq!(table.accounts.len(), limits::OBSERVED_DEVICES + 2);
    assert!(table.addresses.len() <= limits::OBSERVED_DEVICES + 2);
    assert!(table.take_events().len() <= limits::OBSERVED_EVENTS);
    assert_eq!(table.totals().attempts, 100_003);
}

#[test]
fn every_bound_of_rows_holds_at_once_and_memory_with_it() {
    let mut table = table();
    let name = "n".repeat(200);
    for device in 0..u32::try_from(limits::OBSERVED_DEVICES).unwrap() + 9 {
        for n in 0..200_u16 {
            for protocol in [Protocol::Udp, Protocol::Dns, Protocol::Tls] {
                table.note(&sighting(mac(device), protocol, [9, 9, 9, 9], n, &name), NOON);
            }
        }
    }
    // A camera that comes last has room of its own all the same.
    for n in 0..=u16::try_from(limits::OBSERVED_ROWS_OWN).unwrap() {
        table.note(&sighting(door(), Protocol::Udp, [9, 9, 9, 9], n, ""), NOON);
    }
    let rows = table.changed_rows(NOON);
    let own = |row: &&Row| row.attempt.destination != Destination::Many;
    let of_door = rows.iter().filter(|row| row.device == door());
    assert_eq!(of_door.clone().filter(own).count(), limits::OBSERVED_ROWS_OWN);
    assert_eq!(of_door.count(), limits::OBSERVED_ROWS_OWN + 1);
    assert_eq!(table.pool, limits::OBSERVED_ROWS_SHARED);
    let accounts = limits::OBSERVED_DEVICES + 2;
    let most = limits::OBSERVED_ROWS_SHARED + accounts * limits::OBSERVED_ROWS_OWN;
    assert_eq!(rows.iter().filter(own).count(), most);
    let many = accounts * limits::OBSERVED_ROWS_MANY;
    let row = size_of::<Attempt>() + size_of::<Count>() + 8;
    let bytes = 2 * row * (most + many) + 2 * limits::DEVICE_TEXT_BYTES * most;
    assert!(bytes < 48 * 1024 * 1024, "{bytes}");
}

#[test]
fn rows_for_many_are_bounded_too() {
    let mut rows = rows::Rows::default();
    let mut room = Room { pool: limits::OBSERVED_ROWS_SHARED };
    let protocols = [Protocol::Udp, Protocol::Tcp, Protocol::Dns, Protocol::Ntp, Protocol::Tls]
        .into_iter()
        .chain([Protocol::Arp, Protocol::Icmp, Protocol::Igmp, Protocol::Stun, Protocol::Ssdp])
        .chain([Protocol::Mdns, Protocol::Quic, Protocol::Http, Protocol::Rtsp, Protocol::Mqtt])
        .chain([Protocol::Ssh, Protocol::Smtp, Protocol::Ftp, Protocol::Sctp, Protocol::Gre]);
    for protocol in protocols {
        for verdict in [Verdict::Answered, Verdict::Sunk, Verdict::Dropped] {
            for port in 0..3 {
                let mut seen = sighting(door(), protocol, [9, 9, 9, 9], port, "");
                seen.attempt.verdict = verdict;
                rows.count(&seen, None, &mut room, NOON);
            }
        }
    }
    assert_eq!(rows.len(), limits::OBSERVED_ROWS_OWN + limits::OBSERVED_ROWS_MANY);
}

#[test]
fn a_device_that_is_in_no_camera_entry_is_told_once_and_when_more_is_known() {
    let mut table = table();
    let axis: MacAddr = "00:40:8c:00:00:01".parse().unwrap();
    let unknown = |ip: Option<&str>, name: Option<&str>| {
        let ip = ip.map(|ip| ip.parse().unwrap());
        let name = name.map(|name| DeviceText::new(name.as_bytes()));
        (axis, DeviceChange::Unknown { ip, vendor: Some("Axis".to_owned()), name })
    };
    table.note(&sighting(axis, Protocol::Arp, [10, 77, 0, 1], 0, ""), NOON);
    assert_eq!(changes(&mut table), [unknown(None, None)]);
    table.note(&sighting(axis, Protocol::Dhcp, [255; 4], 67, "axis-1"), NOON + HOUR - 1);
    table.note(&from(axis, "10.77.0.99"), NOON + HOUR - 1);
    assert!(!table.has_events());
    table.note(&from(axis, "10.77.0.99"), NOON + HOUR);
    assert_eq!(changes(&mut table), [unknown(Some("10.77.0.99"), Some("axis-1"))]);
    table.note(&from(axis, "10.77.0.99"), NOON + 5 * HOUR);
    assert!(!table.has_events(), "nothing new");
    // A plan without the camera makes it unknown.
    let plan = Plan { cameras: Vec::new(), ..plan() };
    table.set_plan(Arc::new(plan));
    table.note(&from(door(), "10.77.0.10"), NOON + 5 * HOUR);
    assert!(
        matches!(changes(&mut table)[..], [(mac, DeviceChange::Unknown { .. })] if mac == door())
    );
}

#[test]
fn addresses_of_others_are_told_at_most_once_an_hour() {
    let mut table = table();
    let (a, b) = (mac(1), mac(2));
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let known = |(_, what): &(MacAddr, DeviceChange)| !matches!(what, DeviceChange::Unknown { .. });
    table.note(&from(a, "10.77.0.98"), NOON);
    table.note(&from(b, "10.77.0.98"), NOON);
    let told: Vec<_> = changes(&mut table).into_iter().filter(known).collect();
    assert_eq!(told, [(b, DeviceChange::AddressTaken { ip: ip("10.77.0.98"), owner: a })]);
    assert_eq!(table.mac_of(ip("10.77.0.98")), Some(b), "the newest");
    // The camera's and the gateway's, and back again, many times.
    for i in 0..1_000 {
        table.note(&from(b, "10.77.0.10"), NOON + i);
        table.note(&from(b, "10.77.0.1"), NOON + i);
    }
    let told = changes(&mut table);
    let changed = DeviceChange::AddressChanged { expected: ip("10.77.0.98"), ip: ip("10.77.0.10") };
    assert_eq!(told, [(b, changed)]);
    assert_eq!(table.mac_of(ip("10.77.0.10")), Some(door()), "the plan's word counts");
    table.note(&from(b, "10.77.0.1"), NOON + HOUR);
    let owner = gateway();
    let told: Vec<_> = changes(&mut table).into_iter().filter(known).collect();
    assert_eq!(told, [(b, DeviceChange::AddressTaken { ip: ip("10.77.0.1"), owner })]);
}

#[test]
fn a_camera_has_the_address_of_the_plan() {
    let mut table = table();
    table.note(&from(door(), "10.77.0.10"), NOON);
    table.note(&from(door(), "fe80::1"), NOON);
    for none in ["0.0.0.0", "255.255.255.255", "239.255.255.250", "127.0.0.1", "::"] {
        table.note(&from(door(), none), NOON);
    }
    assert!(!table.has_events());
    assert_eq!(table.mac_of("fe80::1".parse().unwrap()), Some(door()));
    table.note(&from(door(), "192.168.1.64"), NOON);
    let expected = "10.77.0.10".parse().unwrap();
    let changed = DeviceChange::AddressChanged { expected, ip: "192.168.1.64".parse().unwrap() };
    assert_eq!(changes(&mut table), [(door(), changed)]);
    assert_eq!(table.devices()[0].ip, Some("192.168.1.64".parse().unwrap()));
}

#[test]
fn events_that_nobody_takes_are_bounded() {
    let mut table = table();
    for day in 0..6 {
        for n in 0..u32::try_from(limits::OBSERVED_DEVICES).unwrap() {
            table
                .note(&from(mac(n + 1_000 * day), "10.77.0.1"), NOON + u64::from(2 * day) * DAY_MS);
        }
    }
    assert_eq!(table.take_events().len(), limits::OBSERVED_EVENTS);
    assert!(table.totals().lost > 0);
}
