use std::collections::BTreeSet;

use super::super::scene::tests::scene;
use super::super::{Mark, Marks};
use super::*;
use crate::segment::service::observe::{Frame, classify};
use crate::segment::shared::plan::tests::plan;
use crate::segment::{Plan, Sighting};

#[test]
fn there_are_many_each_with_its_name_and_line() {
    let ways = ways(&scene());
    assert!(ways.len() >= 60, "{}", ways.len());
    let names: BTreeSet<_> = ways.iter().map(|way| way.name).collect();
    assert_eq!(names.len(), ways.len());
    for way in &ways {
        assert!(!way.sends.is_empty() && !way.expects.is_empty(), "{}", way.name);
        for expect in &way.expects {
            assert!(!expect.protocols.is_empty() && !expect.verdicts.is_empty(), "{}", way.name);
        }
    }
}

/// Whatever is changed on the way, the payload tells which way it was. A name server's question by a socket is
/// known by its addresses only, and so is one for our own name.
#[test]
fn every_payload_carries_the_marker_and_its_way() {
    let scene = scene();
    let marks = Marks::new(&scene);
    for (number, way) in ways(&scene).iter().enumerate() {
        let number = u16::try_from(number).unwrap();
        let mut marked = 0;
        for send in &way.sends {
            match send {
                Sends::Frame(frame) => {
                    let found = marks.find(frame);
                    assert_eq!(
                        found,
                        Some(Mark::Marker(Some(number))),
                        "{} {frame:02x?}",
                        way.name
                    );
                    assert!(frame.len() <= 1514, "{}", way.name);
                    marked += 1;
                }
                Sends::Tcp { say, .. } | Sends::Udp { say, .. } => {
                    marked += usize::from(matches!(marks.find(say), Some(Mark::Marker(_))));
                }
            }
        }
        assert!(marked > 0, "{}", way.name);
    }
}

#[test]
fn a_machine_without_other_addresses_has_no_ways_to_them() {
    let mut scene = scene();
    let all = ways(&scene).len();
    scene.uplinks.clear();
    assert_eq!(ways(&scene).len(), all - 5);
}

/// What the observer makes of each way's frames is what the ledger is expected to list. What the sink hears in a
/// connection is left out here.
#[test]
fn the_observer_lists_what_is_expected() {
    let scene = scene();
    let plan = plan();
    for way in ways(&scene) {
        let frames = way.sends.iter().map(|send| match send {
            Sends::Frame(frame) => frame.clone(),
            Sends::Tcp { to, .. } => kernel_s(&scene, *to, frame::syn, &[]),
            Sends::Udp { to, say, .. } => kernel_s(&scene, *to, frame::udp, say),
        });
        let seen: Vec<_> = frames.filter_map(|bytes| row(&bytes, &plan, &scene)).collect();
        for expect in &way.expects {
            let heard = expect.verdicts == SUNK && expect.name.is_some();
            let mut expect = expect.clone();
            if heard {
                (expect.name, expect.protocols) = (None, BY_PORT_OR_TLS);
            }
            let words = expect.words();
            assert!(seen.iter().any(|row| expect.is(row)), "{}: {words}\n{seen:#?}", way.name);
        }
    }
}

const BY_PORT_OR_TLS: &[Protocol] = &[
    Protocol::Tls,
    Protocol::DnsOverTls,
    Protocol::Mqtt,
    Protocol::Http,
    Protocol::Rtsp,
    Protocol::Ssh,
];

type Packet = fn(Ipv4<'_>, u16, u16, &[u8]) -> Vec<u8>;

/// What the kernel sends for a socket.
fn kernel_s(scene: &Scene, to: SocketAddrV4, packet: Packet, say: &[u8]) -> Vec<u8> {
    let protocol = if say.is_empty() { TCP } else { UDP };
    let ip = Ipv4::new(scene.address, *to.ip(), protocol);
    frame::ethernet(scene.gateway_mac, scene.mac, IPV4, &packet(ip, 50_000, to.port(), say))
}

fn row(bytes: &[u8], plan: &Plan, scene: &Scene) -> Option<Row> {
    let wire_len = u32::try_from(bytes.len()).unwrap();
    // As the socket's filter cuts it.
    let frame = Frame { bytes: &bytes[..bytes.len().min(512)], wire_len, tagged: false };
    let Sighting { device, ip, attempt, bytes } = classify(&frame, plan, scene.gateway_mac)?;
    Some(Row {
        day: String::new(),
        run: String::new(),
        device,
        ip,
        camera: None,
        vendor: None,
        attempt,
        count: 1,
        bytes: bytes.into(),
        first_ms: 1,
        last_ms: 1,
    })
}

#[test]
fn the_names_are_these() {
    let names: Vec<_> = ways(&scene()).into_iter().map(|way| way.name).collect();
    assert_surface!("canary-ways", names.join("\n"));
}

#[test]
fn the_pages_say_how_many_they_are() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let count = ways(&scene()).len().to_string();
    for page in ["README.md", "docs/operator-guide.md", "src/app/cli/segment/mod.rs"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let words: Vec<_> = text.split_whitespace().collect();
        let says = words.windows(2).any(|pair| pair == [count.as_str(), "ways"]);
        assert!(says, "{page} does not say {count} ways");
    }
}
