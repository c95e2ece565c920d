//! Who a device is, and what there is to tell about that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::rows::Rows;
use super::{OTHERS, Table};
use crate::ops::limits;
use crate::segment::service::observe::vendors::Vendor;
use crate::segment::{DeviceChange, DeviceEvent, DeviceText, MacAddr};

/// What is kept of a device.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) vendor: Option<Vendor>,
    /// What it called itself when it asked for an address.
    pub(super) name: Option<DeviceText>,
    pub(super) rows: Rows,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    told_unknown: Option<Told>,
    told_taken_ms: Option<u64>,
    told_changed_ms: Option<u64>,
}

/// What was last told about a device that is unknown.
#[derive(Debug)]
struct Told {
    at_ms: u64,
    ip: Option<IpAddr>,
    name: Option<DeviceText>,
}

impl Account {
    pub(super) fn new(vendor: Option<Vendor>) -> Self {
        Self {
            vendor,
            name: None,
            rows: Rows::default(),
            v4: None,
            v6: None,
            told_unknown: None,
            told_taken_ms: None,
            told_changed_ms: None,
        }
    }

    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.v4.map(IpAddr::V4).or_else(|| self.v6.map(IpAddr::V6))
    }

    fn swap_ip(&mut self, ip: IpAddr) -> Option<IpAddr> {
        match ip {
            IpAddr::V4(ip) => self.v4.replace(ip).map(IpAddr::V4),
            IpAddr::V6(ip) => self.v6.replace(ip).map(IpAddr::V6),
        }
    }
}

/// Whether an address can be one device's own.
pub(super) fn is_host(ip: IpAddr) -> bool {
    let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback() && !broadcast
}

impl Table {
    /// Notes an address that the device claims. Only its newest is kept, of each family.
    pub(super) fn learn_address(&mut self, mac: MacAddr, ip: IpAddr, now_ms: u64) {
        let owner = self.owner(ip).filter(|owner| *owner != mac);
        let planned = self.plan.camera_by_mac(mac).map(|camera| IpAddr::V4(camera.address));
        let Some(account) = self.accounts.get_mut(&mac) else { return };
        let before = account.swap_ip(ip);
        let expected = if ip.is_ipv4() { planned.or(before) } else { None };
        let expected = expected.filter(|expected| *expected != ip);
        let taken = owner.filter(|_| due(&mut account.told_taken_ms, now_ms));
        let changed = expected.filter(|_| due(&mut account.told_changed_ms, now_ms));
        if let Some(before) = before.filter(|before| *before != ip)
            && self.addresses.get(&before) == Some(&mac)
        {
            self.addresses.remove(&before);
        }
        self.addresses.insert(ip, mac);
        if let Some(owner) = taken {
            self.tell(mac, DeviceChange::AddressTaken { ip, owner }, now_ms);
        }
        if let Some(expected) = changed {
            self.tell(mac, DeviceChange::AddressChanged { expected, ip }, now_ms);
        }
    }

    /// Tells of a device that is in no camera entry: when it comes, and when more is known about it.
    pub(super) fn tell_unknown(&mut self, mac: MacAddr, now_ms: u64) {
        if self.plan.camera_by_mac(mac).is_some() {
            return;
        }
        let Some(account) = self.accounts.get_mut(&mac) else { return };
        let (ip, name) = (account.ip(), &account.name);
        let again = account.told_unknown.as_ref().is_none_or(|told| {
            let news = mac == OTHERS || told.ip != ip || told.name != *name;
            news && passed(told.at_ms, now_ms)
        });
        if !again {
            return;
        }
        let name = name.clone();
        account.told_unknown = Some(Told { at_ms: now_ms, ip, name: name.clone() });
        let vendor = account.vendor.and_then(|vendor| self.vendors.name(vendor));
        self.tell(mac, DeviceChange::Unknown { ip, vendor, name }, now_ms);
    }

    fn tell(&mut self, device: MacAddr, what: DeviceChange, at_ms: u64) {
        if self.events.len() < limits::OBSERVED_EVENTS {
            self.events.push(DeviceEvent { at_ms, device, what });
        } else {
            self.totals.lost += 1;
        }
    }

    fn owner(&self, ip: IpAddr) -> Option<MacAddr> {
        if ip == IpAddr::V4(self.plan.address) { Some(self.gateway) } else { self.mac_of(ip) }
    }
}

/// Whether something may be told again; then notes that it is.
fn due(told_ms: &mut Option<u64>, now_ms: u64) -> bool {
    let due = told_ms.is_none_or(|told_ms| passed(told_ms, now_ms));
    if due {
        *told_ms = Some(now_ms);
    }
    due
}

fn passed(told_ms: u64, now_ms: u64) -> bool {
    Duration::from_millis(now_ms.abs_diff(told_ms)) >= limits::OBSERVED_EVENT_EVERY
}
