//! Frames of devices on the camera segment.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use crate::ops::limits;
use crate::segment::service::observe::{Frame, Table, Vendors, classify};
use crate::segment::{
    Camera, Destination, DnsPolicy, InterfaceName, MacAddr, Plan, Protocol, Sighting, Verdict,
};

static VENDORS: LazyLock<Vendors> = LazyLock::new(|| Vendors::load().unwrap());

const GATEWAY: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// The first byte says whether the frame has a tag (1), how much of it was not captured (6), and whether DHCP is off
/// (8); the rest is a frame. What is seen in it is bounded, of its sender, and what the rules say.
pub fn segment_frame(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    let plan = Arc::new(plan(how & 8 == 0));
    let wire_len = u32::try_from(bytes.len()).unwrap() + 700 * u32::from(how >> 1 & 3);
    let frame = Frame { bytes, wire_len, tagged: how & 1 == 1 };
    let seen = classify(&frame, &plan, GATEWAY);
    assert_eq!(seen, classify(&frame, &plan, GATEWAY));
    let Some(seen) = seen else {
        let dialled = bytes.len() >= 14 + 20 + 4 && bytes[26..30] == [10, 77, 0, 10];
        assert!(bytes.len() < 14 || dialled && !frame.tagged);
        return;
    };
    assert_eq!(seen.device.0, bytes[6..12]);
    assert_eq!(seen.bytes, wire_len);
    if let Some(name) = &seen.attempt.name {
        assert!((1..=limits::DEVICE_TEXT_BYTES).contains(&name.as_str().len()));
        assert!(name.as_str().bytes().all(|b| matches!(b, b' '..=b'~')), "{name}");
    }
    check_verdict(&seen, &frame, &plan);
    let mut table = Table::new(plan, GATEWAY, VENDORS.clone(), 1);
    table.note(&seen, 1_000);
    let rows = table.due_rows(1_000);
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0].attempt, rows[0].count), (&seen.attempt, 1));
    let written = serde_json::to_string(&rows[0]).unwrap();
    assert_eq!(serde_json::from_str::<crate::segment::Row>(&written).unwrap(), rows[0]);
}

fn check_verdict(seen: &Sighting, frame: &Frame<'_>, plan: &Plan) {
    let attempt = &seen.attempt;
    let to = match attempt.destination {
        Destination::Ip(IpAddr::V4(to)) => Some(to),
        Destination::Ip(IpAddr::V6(_)) | Destination::Mac(_) => None,
        Destination::Many => panic!("one frame has one destination"),
    };
    match attempt.verdict {
        Verdict::Dropped => return,
        Verdict::Answered if attempt.protocol == Protocol::Arp => {
            assert_eq!(to, Some(plan.address));
        }
        Verdict::Answered => {
            let port = attempt.port.unwrap();
            assert!(matches!(port, 53 | 123) || port == 67 && plan.dhcp, "{seen:?}");
        }
        Verdict::Sunk => {
            assert!(!matches!(attempt.port, None | Some(53)), "{seen:?}");
            assert_ne!(to, Some(plan.address));
        }
    }
    let to = to.unwrap();
    assert!(!frame.tagged && !to.is_multicast());
    let group = frame.bytes[0] & 1 == 1;
    let may_be_group = attempt.protocol == Protocol::Arp || attempt.port == Some(67);
    assert!(frame.bytes[..6] == GATEWAY.0 || group && may_be_group, "{seen:?}");
    if let Some(IpAddr::V4(from)) = seen.ip
        && attempt.port != Some(67)
    {
        assert!(plan.contains(from) && from != plan.address, "{seen:?}");
    }
}

fn plan(dhcp: bool) -> Plan {
    Plan {
        interfaces: vec![InterfaceName::parse("eth1").unwrap()],
        address: Ipv4Addr::new(10, 77, 0, 1),
        prefix: 24,
        cameras: vec![Camera {
            name: "door".to_owned(),
            mac: MacAddr([2, 0, 0, 0, 0, 0x10]),
            address: Ipv4Addr::new(10, 77, 0, 10),
            ports: [554, 80].into(),
        }],
        dns: DnsPolicy::NxDomain,
        dhcp,
        uplinks: Vec::new(),
        ledger_days: 365,
        ledger_bytes: 512 * 1024 * 1024,
    }
}
