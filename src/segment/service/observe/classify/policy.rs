//! What the segment's rules do with a packet: the same as the nft tables and the kernel's settings, in words of Rust.

use std::net::Ipv4Addr;

use super::transport::Flags;
use crate::segment::{MacAddr, Plan, Verdict};

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    /// Who sent the frame.
    pub(super) from: MacAddr,
    /// To whom.
    pub(super) to: MacAddr,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    /// Whether it is a fragment, the first one too, or has options: such do not come in.
    pub(super) odd: bool,
}

/// Whether a device may use an address: one of the subnet, and no camera's but its own.
pub(super) fn may_use(plan: &Plan, device: MacAddr, ip: Ipv4Addr) -> bool {
    let special = [plan.address, plan.network(), plan.broadcast()].contains(&ip);
    let own = plan.camera_by_address(ip).is_none_or(|camera| camera.mac == device);
    plan.contains(ip) && !special && own
}

impl Packet {
    pub(super) fn udp(&self, plan: &Plan, gateway: MacAddr, from: u16, to: u16) -> Verdict {
        let answered = match to {
            67 => from == 68 && self.asks_for_an_address(plan, gateway),
            53 | 123 => self.goes_to_a_service(plan, gateway),
            _ => false,
        };
        if answered { Verdict::Answered } else { Verdict::Dropped }
    }

    pub(super) fn tcp(&self, plan: &Plan, gateway: MacAddr, to: u16, flags: Flags) -> Verdict {
        if !self.goes_to_a_service(plan, gateway) || !flags.is_lawful() {
            Verdict::Dropped
        } else if to == 53 {
            Verdict::Answered
        } else if self.destination == plan.address {
            Verdict::Dropped
        } else {
            Verdict::Sunk
        }
    }

    /// Whether it goes to the gateway, or by the gateway to an address outside of the subnet that is one host's.
    fn goes_to_a_service(&self, plan: &Plan, gateway: MacAddr) -> bool {
        let to = self.destination;
        let outside = !plan.contains(to) && (1..224).contains(&to.octets()[0]) && !to.is_loopback();
        let lawful = !self.odd && self.to == gateway && may_use(plan, self.from, self.source);
        lawful && (outside || to == plan.address)
    }

    /// Whether it is DHCP of a camera that has no address yet, or asks for its own again. Others get none.
    fn asks_for_an_address(&self, plan: &Plan, gateway: MacAddr) -> bool {
        let everyone = self.destination.is_broadcast();
        let first = self.source.is_unspecified() && everyone;
        let again =
            may_use(plan, self.from, self.source) && (everyone || self.destination == plan.address);
        let heard = self.to == gateway || self.to.is_group();
        let camera = plan.camera_by_mac(self.from).is_some();
        plan.dhcp && camera && !self.odd && heard && (first || again)
    }
}
