//! Who the canary is, and who is around it.

use std::net::{IpAddr, Ipv4Addr};

use crate::ops::limits;
use crate::segment::{MacAddr, Plan};

/// Random bytes that a scene is made of.
pub type Randomness = [u8; 48];

/// Who the canary is in one run, and who is around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// The canary's Ethernet address: locally administered, new in each run.
    pub mac: MacAddr,
    /// Another such, that it uses where it lies about itself.
    pub other_mac: MacAddr,
    /// Its IP address: of the subnet, and nobody's in the plan.
    pub address: Ipv4Addr,
    /// In every payload it sends.
    pub marker: [u8; 16],
    /// What the watchers must see of us, to prove that they see.
    pub beacon: [u8; 16],
    /// The length of the subnet's prefix.
    pub prefix: u8,
    /// The subnet's broadcast address.
    pub broadcast: Ipv4Addr,
    /// The gateway's own address in the segment.
    pub gateway: Ipv4Addr,
    /// The bridge's Ethernet address.
    pub gateway_mac: MacAddr,
    /// The camera that it tries to reach: the plan's first one, or nobody's address.
    pub camera: Target,
    /// Addresses of this machine on the other side; at most [`limits::CANARY_UPLINKS`].
    pub uplinks: Vec<IpAddr>,
}

/// A device on the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its IP address.
    pub address: Ipv4Addr,
    /// A TCP port of it.
    pub port: u16,
}

/// No address of the subnet is free for the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subnet has no free address for the canary: give the segment a larger one")]
pub struct NoAddress;

impl Scene {
    /// Makes up who the canary is.
    pub fn new(
        plan: &Plan,
        gateway_mac: MacAddr,
        mut uplinks: Vec<IpAddr>,
        random: &Randomness,
    ) -> Result<Self, NoAddress> {
        let [mac, other, address, marker @ ..] = split(random);
        let [marker, beacon] = marker;
        uplinks.truncate(limits::CANARY_UPLINKS);
        let address = free_address(plan, u32::from_be_bytes(first(&address)), None)?;
        Ok(Self {
            mac: local_mac(first(&mac)),
            other_mac: local_mac(first(&other)),
            address,
            marker,
            beacon,
            prefix: plan.prefix,
            broadcast: plan.broadcast(),
            gateway: plan.address,
            gateway_mac,
            camera: camera(plan, address, local_mac(first(&other))),
            uplinks,
        })
    }
}

/// 6, 6 and 4 bytes, each in a block with zeros behind them, and two times 16.
fn split(random: &Randomness) -> [[u8; 16]; 5] {
    let block = |from: usize, to: usize| {
        let mut block = [0; 16];
        for (place, byte) in block.iter_mut().zip(random.iter().take(to).skip(from)) {
            *place = *byte;
        }
        block
    };
    [block(0, 6), block(6, 12), block(12, 16), block(16, 32), block(32, 48)]
}

fn first<const N: usize>(block: &[u8; 16]) -> [u8; N] {
    block.first_chunk().copied().unwrap_or([0; N])
}

fn local_mac([a, b, c, d, e, f]: [u8; 6]) -> MacAddr {
    MacAddr([(a & 0xfc) | 2, b, c, d, e, f])
}

/// The first free address from a random place of the subnet on.
fn free_address(plan: &Plan, random: u32, taken: Option<Ipv4Addr>) -> Result<Ipv4Addr, NoAddress> {
    let first = u32::from(plan.network()) + 1;
    let hosts = u32::from(plan.broadcast()).saturating_sub(first);
    let free = |address: &Ipv4Addr| {
        *address != plan.address
            && plan.camera_by_address(*address).is_none()
            && taken != Some(*address)
    };
    let tried = hosts.min(u32::try_from(plan.cameras.len() + 3).unwrap_or(u32::MAX));
    (0..tried)
        .map(|n| first + (random % hosts + n) % hosts)
        .map(Ipv4Addr::from)
        .find(free)
        .ok_or(NoAddress)
}

fn camera(plan: &Plan, canary: Ipv4Addr, made_up: MacAddr) -> Target {
    let nobody = || {
        let address = free_address(plan, u32::from(canary), Some(canary)).unwrap_or(canary);
        Target { mac: made_up, address, port: 554 }
    };
    plan.cameras.first().map_or_else(nobody, |camera| Target {
        mac: camera.mac,
        address: camera.address,
        port: camera.ports.first().copied().unwrap_or(554),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::segment::shared::plan::tests::plan;

    pub(in crate::segment::canary) fn scene() -> Scene {
        let mut random = [0; 48];
        for (n, byte) in random.iter_mut().enumerate() {
            *byte = u8::try_from(n * 5 + 3).unwrap();
        }
        let uplinks = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        Scene::new(&plan(), "02:00:00:00:00:01".parse().unwrap(), uplinks, &random).unwrap()
    }

    #[test]
    fn nobody_else_has_its_addresses() {
        let mut plan = plan();
        plan.prefix = 29;
        plan.cameras.clear();
        for taken in [2, 3, 4] {
            plan.cameras.push(crate::segment::Camera {
                name: format!("c{taken}"),
                mac: MacAddr([2, 0, 0, 0, 0, taken]),
                address: Ipv4Addr::new(10, 77, 0, taken),
                ports: [554].into(),
            });
        }
        let gateway: MacAddr = "02:00:00:00:00:01".parse().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..=255 {
            let scene = Scene::new(&plan, gateway, Vec::new(), &[n; 48]).unwrap();
            assert!(scene.mac.is_local() && !scene.mac.is_group());
            seen.insert(scene.address.octets()[3]);
        }
        assert_eq!(seen, [5, 6].into());
        plan.prefix = 30;
        plan.cameras.truncate(1);
        assert_eq!(Scene::new(&plan, gateway, Vec::new(), &[7; 48]), Err(NoAddress));
    }

    #[test]
    fn uplink_addresses_have_a_bound() {
        let many = vec![IpAddr::from([192, 0, 2, 1]); limits::CANARY_UPLINKS + 1];
        let scene = Scene::new(&plan(), MacAddr([2; 6]), many, &[7; 48]).unwrap();
        assert_eq!(scene.uplinks.len(), limits::CANARY_UPLINKS);
    }

    #[test]
    fn without_cameras_it_looks_for_a_made_up_one() {
        let mut plan = plan();
        plan.cameras.clear();
        let scene = Scene::new(&plan, MacAddr([2; 6]), Vec::new(), &[7; 48]).unwrap();
        assert!(plan.contains(scene.camera.address));
        assert!(![scene.address, plan.address].contains(&scene.camera.address));
    }
}
