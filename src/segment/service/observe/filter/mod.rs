//! Which frames a capture socket takes: programs of classic BPF, which the kernel runs.
//!
//! A load behind a frame's end makes the kernel drop the frame, so each length is checked before: a frame cannot hide
//! by being short.

use std::net::Ipv4Addr;

use crate::segment::{MacAddr, Plan};

/// Sockets that share the untagged frames by the sender's address, a power of two: a device that floods fills the
/// queue of its own socket only, and each is read in its turn.
pub(super) const SHARES: u8 = 4;

/// Instructions of a program. The kernel takes 4,096, but counts them, grown by its translation, to the memory of a
/// socket's options, which is 20 KiB by default on older kernels.
const OPS: usize = 1_500;

/// The frames of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// Those without a tag, whose sender's address has this in its last bits.
    Share(u8),
    /// Those with a tag of a VLAN or, which is the same to the rules, of a priority only.
    Tagged,
}

/// An instruction: operation, jumps if true and if false, constant (`struct sock_filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Op {
    pub(super) code: u16,
    pub(super) jt: u8,
    pub(super) jf: u8,
    pub(super) k: u32,
}

// Operations, by their names in the kernel's documentation.
const LD: u16 = 0x20;
const LDH: u16 = 0x28;
const LDB: u16 = 0x30;
const LDH_X: u16 = 0x48;
const LDB_X: u16 = 0x50;
const LD_LEN: u16 = 0x80;
/// `X = 4 * (byte & 15)`: the length of an IPv4 header.
const LDX_MSH: u16 = 0xb1;
const AND: u16 = 0x54;
const ADD: u16 = 0x04;
const TAX: u16 = 0x07;
const TXA: u16 = 0x87;
const JA: u16 = 0x05;
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const JGE_X: u16 = 0x3d;
const JSET: u16 = 0x45;
const RET: u16 = 0x06;

// Loads of what the kernel knows about a frame (SKF_AD_OFF and the offsets behind it).
const PACKET_TYPE: u32 = 0xffff_f004;
const INTERFACE: u32 = 0xffff_f008;
const IS_TAGGED: u32 = 0xffff_f030;

const OUTGOING: u32 = 4;
const LOOPBACK: u32 = 1;
const ALL: u32 = u32::MAX;
const NONE: u32 = 0;

const ETHERNET: u32 = 14;

/// The program of a socket. `bridge` is the bridge's index: its frames were seen on the port that they came by.
///
/// Connections from the gateway to cameras are left out: they are most of the traffic, and no attempts. With more
/// cameras than a program holds, so is all TCP to the gateway that does not open a connection.
pub(super) fn program(take: Take, bridge: u32, plan: &Plan) -> Vec<Op> {
    let mut ops = exact(take, bridge, plan);
    if ops.len() > OPS {
        ops = begin(take, bridge);
        to_gateway(&mut ops, plan.address);
        ret(&mut ops, NONE);
    }
    ops
}

fn exact(take: Take, bridge: u32, plan: &Plan) -> Vec<Op> {
    let mut ops = begin(take, bridge);
    if take == Take::Tagged {
        ret(&mut ops, ALL);
        return ops;
    }
    to_gateway(&mut ops, plan.address);
    op(&mut ops, LD, ETHERNET + 12);
    for camera in &plan.cameras {
        let dialled = dialled(camera.mac, &camera.ports);
        jump(&mut ops, JEQ, u32::from(camera.address), 1, 0);
        op(&mut ops, JA, u32::try_from(dialled.len()).unwrap_or(u32::MAX));
        ops.extend(dialled);
    }
    ret(&mut ops, ALL);
    ops
}

/// Leaves out what the segment itself sends, and what is another socket's.
fn begin(take: Take, bridge: u32) -> Vec<Op> {
    let mut ops = Vec::new();
    op(&mut ops, LD, PACKET_TYPE);
    unless(&mut ops, JEQ, OUTGOING, NONE);
    op(&mut ops, LD, INTERFACE);
    unless(&mut ops, JEQ, LOOPBACK, NONE);
    unless(&mut ops, JEQ, bridge, NONE);
    op(&mut ops, LD, IS_TAGGED);
    match take {
        Take::Tagged => unless(&mut ops, JEQ, 0, NONE),
        Take::Share(share) => {
            must(&mut ops, JEQ, 0, NONE);
            op(&mut ops, LDB, 11);
            op(&mut ops, AND, u32::from(SHARES - 1));
            must(&mut ops, JEQ, u32::from(share), NONE);
        }
    }
    ops
}

/// Takes all but whole IPv4 packets with TCP to the gateway's address that do not open a connection. The length of
/// the IPv4 header is in X then.
fn to_gateway(ops: &mut Vec<Op>, gateway: Ipv4Addr) {
    op(ops, LD_LEN, 0);
    must(ops, JGE, ETHERNET + 20, ALL);
    op(ops, LDH, 12);
    must(ops, JEQ, 0x0800, ALL);
    // Version 4, header of 20 to 60 bytes.
    op(ops, LDB, ETHERNET);
    must(ops, JGE, 0x45, ALL);
    unless(ops, JGT, 0x4f, ALL);
    op(ops, LDB, ETHERNET + 9);
    must(ops, JEQ, 6, ALL);
    op(ops, LDH, ETHERNET + 6);
    unless(ops, JSET, 0x1fff, ALL);
    op(ops, LD, ETHERNET + 16);
    must(ops, JEQ, u32::from(gateway), ALL);
    // Up to the flags of the TCP header.
    op(ops, LDX_MSH, ETHERNET);
    op(ops, TXA, 0);
    op(ops, ADD, ETHERNET + 14);
    op(ops, TAX, 0);
    op(ops, LD_LEN, 0);
    must(ops, JGE_X, 0, ALL);
    op(ops, LDX_MSH, ETHERNET);
    op(ops, LDB_X, ETHERNET + 13);
    op(ops, AND, 0x12);
    unless(ops, JEQ, 0x02, ALL);
}

/// Leaves out what comes from these ports and this Ethernet address, and takes the rest.
fn dialled<'a>(mac: MacAddr, ports: impl IntoIterator<Item = &'a u16>) -> Vec<Op> {
    let MacAddr([a, b, c, d, e, f]) = mac;
    let mut ops = Vec::new();
    op(&mut ops, LD, 6);
    must(&mut ops, JEQ, u32::from_be_bytes([a, b, c, d]), ALL);
    op(&mut ops, LDH, 10);
    must(&mut ops, JEQ, u32::from_be_bytes([0, 0, e, f]), ALL);
    op(&mut ops, LDH_X, ETHERNET);
    for port in ports {
        unless(&mut ops, JEQ, u32::from(*port), NONE);
    }
    ret(&mut ops, ALL);
    ops
}

fn op(ops: &mut Vec<Op>, code: u16, k: u32) {
    jump(ops, code, k, 0, 0);
}

fn jump(ops: &mut Vec<Op>, code: u16, k: u32, jt: u8, jf: u8) {
    ops.push(Op { code, jt, jf, k });
}

/// Goes on if the test holds, else ends with a verdict. (Jumps reach 255 instructions only: so each ends here.)
fn must(ops: &mut Vec<Op>, test: u16, k: u32, verdict: u32) {
    jump(ops, test, k, 1, 0);
    ret(ops, verdict);
}

/// Ends with a verdict if the test holds.
fn unless(ops: &mut Vec<Op>, test: u16, k: u32, verdict: u32) {
    jump(ops, test, k, 0, 1);
    ret(ops, verdict);
}

fn ret(ops: &mut Vec<Op>, verdict: u32) {
    op(ops, RET, verdict);
}

#[cfg(test)]
mod tests;
