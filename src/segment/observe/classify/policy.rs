//! What the segment's rules do with a packet: the same as the nft table and the kernel's settings, in words of Rust.

use std::net::Ipv4Addr;

use super::transport::Flags;
use crate::segment::{MacAddr, Plan, Verdict};

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    /// The frame's destination.
    pub(super) to: MacAddr,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    /// Whether it asks to be routed by its sender's list, which the kernel refuses.
    pub(super) source_routed: bool,
}

/// Whether an address is one of the subnet that a device may have.
pub(super) fn is_neighbour(plan: &Plan, ip: Ipv4Addr) -> bool {
    let special = [plan.address, plan.network(), plan.broadcast()].contains(&ip);
    plan.contains(ip) && !special
}

impl Packet {
    pub(super) fn udp(&self, plan: &Plan, gateway: MacAddr, port: u16) -> Verdict {
        let heard = (self.to == gateway || self.to.is_group()) && !self.source_routed;
        let own = self.destination == plan.address;
        let answered = match port {
            // A device that asks for its address has none.
            67 => plan.dhcp && (own || self.is_broadcast(plan)),
            53 | 123 => is_neighbour(plan, self.source) && self.is_unicast(plan),
            _ => false,
        };
        if heard && answered { Verdict::Answered } else { Verdict::Dropped }
    }

    pub(super) fn tcp(&self, plan: &Plan, gateway: MacAddr, port: u16, flags: Flags) -> Verdict {
        let heard = self.to == gateway && !self.source_routed;
        if !heard
            || !is_neighbour(plan, self.source)
            || !self.is_unicast(plan)
            || !flags.is_lawful()
        {
            Verdict::Dropped
        } else if port == 53 {
            Verdict::Answered
        } else if self.destination == plan.address {
            Verdict::Dropped
        } else {
            Verdict::Sunk
        }
    }

    fn is_unicast(&self, plan: &Plan) -> bool {
        let to = self.destination;
        !(to.is_multicast() || to.is_unspecified() || self.is_broadcast(plan))
    }

    fn is_broadcast(&self, plan: &Plan) -> bool {
        self.destination.is_broadcast() || self.destination == plan.broadcast()
    }
}
