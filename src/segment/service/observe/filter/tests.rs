use super::*;
use crate::segment::service::observe::classify::tests::{
    self as frames, CAMERA, DOOR, GATEWAY, OUT, OWN,
};
use crate::segment::service::observe::{Frame, classify};
use crate::segment::shared::plan::tests::plan;
use crate::segment::{Camera, Protocol};

const BRIDGE: u32 = 7;

/// What the kernel knows about a frame.
#[derive(Clone, Copy)]
struct Known {
    packet_type: u32,
    interface: u32,
    tagged: bool,
}

const PORT: Known = Known { packet_type: 0, interface: 8, tagged: false };

/// Runs a program as the kernel does.
fn takes(ops: &[Op], frame: &[u8], known: Known) -> bool {
    let (mut at, mut a, mut x) = (0, 0_u32, 0_u32);
    let load = |k: u32, size: usize| {
        let bytes = frame.get(usize::try_from(k).ok()?..)?.get(..size)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    };
    loop {
        let Op { code, jt, jf, k } = ops[at];
        at += 1;
        let value = match code {
            LD if k == PACKET_TYPE => Some(known.packet_type),
            LD if k == INTERFACE => Some(known.interface),
            LD if k == IS_TAGGED => Some(u32::from(known.tagged)),
            LD => load(k, 4),
            LDH => load(k, 2),
            LDB => load(k, 1),
            LDH_X => load(k + x, 2),
            LDB_X => load(k + x, 1),
            LD_LEN => Some(u32::try_from(frame.len()).unwrap()),
            LDX_MSH => load(k, 1).map(|byte| {
                x = 4 * (byte & 15);
                a
            }),
            AND => Some(a & k),
            ADD => Some(a + k),
            TAX => {
                x = a;
                Some(a)
            }
            TXA => Some(x),
            JA | JEQ | JGT | JGE | JGE_X | JSET => {
                let far = usize::try_from(k).unwrap();
                let near = |holds: bool| usize::from(if holds { jt } else { jf });
                at += match code {
                    JA => far,
                    JEQ => near(a == k),
                    JGT => near(a > k),
                    JGE => near(a >= k),
                    JGE_X => near(a >= x),
                    _ => near(a & k != 0),
                };
                Some(a)
            }
            RET => return k != 0,
            _ => panic!("{code:#x}"),
        };
        match value {
            Some(value) => a = value,
            // Behind the end: the kernel drops the frame.
            None => return false,
        }
    }
}

/// How many of the sockets take a frame.
fn takers(frame: &[u8], known: Known, plan: &Plan) -> Vec<Take> {
    let all = (0..SHARES).map(Take::Share).chain([Take::Tagged]);
    all.filter(|take| takes(&program(*take, BRIDGE, plan), frame, known)).collect()
}

#[test]
fn each_frame_is_taken_once_and_only_as_it_comes_in() {
    let frame = frames::udp(OUT, 53, &frames::dns("a"));
    let taken = |known| takers(&frame, known, &plan());
    assert_eq!(taken(PORT), [Take::Share(DOOR[5] & (SHARES - 1))]);
    assert_eq!(taken(Known { tagged: true, ..PORT }), [Take::Tagged]);
    for known in [
        Known { packet_type: OUTGOING, ..PORT },
        Known { interface: LOOPBACK, ..PORT },
        Known { interface: BRIDGE, ..PORT },
        Known { interface: BRIDGE, tagged: true, ..PORT },
        Known { packet_type: OUTGOING, tagged: true, ..PORT },
    ] {
        assert_eq!(taken(known), []);
    }
    for last in 0..=255 {
        let mut frame = frame.clone();
        frame[11] = last;
        assert_eq!(takers(&frame, PORT, &plan()), [Take::Share(last % SHARES)]);
    }
}

#[test]
fn what_is_left_out_is_what_classify_leaves_out() {
    let plan = plan();
    let mut left_out = 0;
    for source in [CAMERA, OUT] {
        for mac in [0x10, 0x14] {
            for (from, to) in [(554, OWN), (80, OWN), (8_000, OWN), (554, OUT)] {
                for flags in 0..=255 {
                    let mut frame = frames::tcp_with((source, from), GATEWAY, (to, 50_000), flags);
                    frame[11] = mac;
                    let taken = !takers(&frame, PORT, &plan).is_empty();
                    let wire_len = u32::try_from(frame.len()).unwrap();
                    let seen = Frame { bytes: &frame, wire_len, tagged: false };
                    let seen = classify(&seen, &plan, MacAddr(GATEWAY));
                    assert_eq!(taken, seen.is_some(), "{source:?} {mac} {from} {to:?} {flags}");
                    left_out += u32::from(!taken);
                }
            }
        }
    }
    // Both ports, all flags but SYN without ACK.
    assert_eq!(left_out, 2 * (256 - 64));
}

#[test]
fn no_frame_hides_by_being_short() {
    let plan = plan();
    let mut frame = frames::tcp_with((CAMERA, 554), GATEWAY, (OWN, 50_000), 16);
    for ihl in 0..16 {
        frame[14] = 0x40 | ihl;
        for length in 14..frame.len() {
            let short = &frame[..length];
            let taken = !takers(short, PORT, &plan).is_empty();
            let wire_len = u32::try_from(length).unwrap();
            let seen = Frame { bytes: short, wire_len, tagged: false };
            let seen = classify(&seen, &plan, MacAddr(GATEWAY)).unwrap();
            assert_eq!(seen.attempt.protocol, Protocol::Malformed, "{ihl} {length}");
            // What reaches the flags is told from video by its length alone, and goes nowhere.
            assert!(taken || ihl == 5 && length > 14 + 20 + 13, "{ihl} {length}");
        }
    }
}

#[test]
fn many_cameras_fit_or_make_the_program_coarser() {
    let mut plan = plan();
    let camera = |n: u16| Camera {
        name: format!("camera-{n}"),
        mac: MacAddr([2, 0, 0, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]]),
        address: Ipv4Addr::from(0x0a4d_0100 + u32::from(n)),
        ports: [554].into(),
    };
    plan.cameras.extend((0..100).map(camera));
    let ack = |n: u16, port| {
        let [.., c, d] = (0x0a4d_0100 + u32::from(n)).to_be_bytes();
        let mut frame = frames::tcp_with(([10, 77, c, d], port), GATEWAY, (OWN, 50_000), 16);
        frame[6..12].copy_from_slice(&camera(n).mac.0);
        frame
    };
    assert_eq!(takers(&ack(99, 554), PORT, &plan), []);
    assert_eq!(takers(&ack(99, 555), PORT, &plan).len(), 1);
    plan.cameras.extend((100..1_000).map(camera));
    assert!(program(Take::Share(0), BRIDGE, &plan).len() < OPS);
    for port in [554, 555] {
        assert_eq!(takers(&ack(999, port), PORT, &plan), []);
    }
    assert_eq!(takers(&frames::tcp(OWN, 80), PORT, &plan).len(), 1);
    assert_eq!(takers(&frames::udp(OWN, 80, b""), PORT, &plan).len(), 1);
}
