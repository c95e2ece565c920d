//! The account of attempts: one row for each kind of attempt of each device, within bounds that no flood moves.
//!
//! A device has room of its own that nobody else can take, then shares a pool. When its room for a protocol, its own
//! or the pool is full, further kinds go to one row for each protocol and verdict
//! ([`crate::segment::Destination::Many`]); when there is no room for that either, they are only counted. Configured
//! cameras always have an account; of other devices the first [`limits::OBSERVED_DEVICES`] of a day have one, the rest shares that of [`OTHERS`].

mod device;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::Vendors;
use crate::ops::limits;
use crate::segment::{
    Attempt, DAY_MS, DeviceEvent, MacAddr, Plan, Protocol, Row, Sighting, Sum, Verdict, utc_day,
};
use device::Account;
use rows::{Count, Room};

/// Stands in rows for all devices that came when the account was full. No device has this address.
pub const OTHERS: MacAddr = MacAddr([0; 6]);

/// What was seen since the UTC day began, of each device.
#[derive(Debug)]
pub struct Table {
    plan: Arc<Plan>,
    gateway: MacAddr,
    vendors: Vendors,
    run: u64,
    /// Days since 1970-01-01; `None` before the first sighting.
    day: Option<u64>,
    accounts: HashMap<MacAddr, Account>,
    /// Accounts of devices that are no cameras of the plan.
    strangers: usize,
    addresses: HashMap<IpAddr, MacAddr>,
    /// Rows in the pool that all share.
    pool: usize,
    /// Rows of days that ended, which nobody took yet.
    ended: Vec<Row>,
    events: Vec<DeviceEvent>,
    totals: Totals,
    sums: BTreeMap<(Protocol, Verdict), u64>,
}

/// Sums since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Devices that have an account today; [`OTHERS`] is one of them.
    pub devices: u32,
    /// Attempts, all kinds.
    pub attempts: u64,
    /// Of these, the ones that are in no row with their own destination and name.
    pub aggregated: u64,
    /// Rows and events that were given up because nobody took them.
    pub lost: u64,
}

/// A device on the segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its newest IP address, IPv4 if it has one.
    pub ip: Option<IpAddr>,
    /// The camera of the plan with this Ethernet address.
    pub camera: Option<String>,
    /// The vendor, as far as address block or recognised endpoints tell.
    pub vendor: Option<String>,
    /// Rows that it has today.
    pub rows: usize,
}

impl Table {
    /// An empty table. `gateway` is the bridge's Ethernet address, `run` names this run of the process in rows.
    pub fn new(plan: Arc<Plan>, gateway: MacAddr, vendors: Vendors, run: u64) -> Self {
        Self {
            plan,
            gateway,
            vendors,
            run,
            day: None,
            accounts: HashMap::new(),
            strangers: 0,
            addresses: HashMap::new(),
            pool: 0,
            ended: Vec::new(),
            events: Vec::new(),
            totals: Totals::default(),
            sums: BTreeMap::new(),
        }
    }

    /// Takes another plan; what was counted stays.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        let is_camera = |mac: &&MacAddr| plan.camera_by_mac(**mac).is_some();
        let cameras = self.accounts.keys().filter(is_camera).count();
        self.strangers = self.accounts.len().saturating_sub(cameras);
        self.plan = plan;
    }

    /// Counts a sighting. `now_ms`: ms of the UNIX epoch.
    pub fn note(&mut self, sighting: &Sighting, now_ms: u64) {
        self.begin_day(now_ms);
        self.totals.attempts += 1;
        let kind = (sighting.attempt.protocol, sighting.attempt.verdict);
        *self.sums.entry(kind).or_default() += 1;
        let mac = self.account(sighting.device);
        if mac != OTHERS {
            self.learn(mac, sighting, now_ms);
        }
        self.tell_unknown(mac, now_ms);
        let vendor = self.vendors.of_attempt(&sighting.attempt);
        let Some(account) = self.accounts.get_mut(&mac) else { return };
        account.vendor = account.vendor.or(vendor);
        let mut room = Room { pool: self.pool };
        if !account.rows.count(sighting, vendor, &mut room, now_ms) {
            self.totals.aggregated += 1;
        }
        self.pool = room.pool;
    }

    /// The rows that are due to be written, called every few seconds: all new ones and those of days that ended; of
    /// those that grew, at most [`limits::OBSERVED_ROWS_GROWN`] that doubled or wait for
    /// [`limits::OBSERVED_ROW_EVERY`], longest waiting first. So neither a flood nor a quiet year fills the ledger.
    pub fn due_rows(&mut self, now_ms: u64) -> Vec<Row> {
        let mut grown = Vec::new();
        for (mac, account) in &self.accounts {
            grown.extend(account.rows.due(now_ms).map(|(told_ms, a)| (told_ms, *mac, a.clone())));
        }
        grown.sort();
        let fresh = grown.iter().take_while(|(told_ms, ..)| told_ms.is_none()).count();
        grown.truncate(fresh + limits::OBSERVED_ROWS_GROWN);
        let mut out = std::mem::take(&mut self.ended);
        for (_, mac, attempt) in grown {
            let Some(account) = self.accounts.get_mut(&mac) else { continue };
            let Some(count) = account.rows.tell(&attempt, now_ms) else { continue };
            let Some(account) = self.accounts.get(&mac) else { continue };
            out.push(self.row(mac, account, attempt, count));
        }
        out
    }

    /// All rows that changed since they were last taken: for when somebody asks, and at the end.
    pub fn changed_rows(&mut self, now_ms: u64) -> Vec<Row> {
        let mut out = std::mem::take(&mut self.ended);
        out.extend(self.changed());
        for account in self.accounts.values_mut() {
            account.rows.tell_all(now_ms);
        }
        out
    }

    /// Whether [`Self::take_events`] would find anything.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// What is to be told about devices, since it was last taken.
    pub fn take_events(&mut self) -> Vec<DeviceEvent> {
        std::mem::take(&mut self.events)
    }

    /// Whose address this is: the camera's that the plan gives it to, or the device's that used it last.
    pub fn mac_of(&self, ip: IpAddr) -> Option<MacAddr> {
        let planned = match ip.to_canonical() {
            IpAddr::V4(ip) => self.plan.camera_by_address(ip),
            IpAddr::V6(_) => None,
        };
        planned.map(|camera| camera.mac).or_else(|| self.addresses.get(&ip.to_canonical()).copied())
    }

    /// The sums.
    pub fn totals(&self) -> Totals {
        let devices = u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        Totals { devices, ..self.totals }
    }

    /// Attempts since the process began, by protocol and verdict.
    pub fn sums(&self) -> Vec<Sum> {
        let sum = |(&(protocol, verdict), &count)| Sum { protocol, verdict, count };
        self.sums.iter().map(sum).collect()
    }

    /// The devices that have an account, by address.
    pub fn devices(&self) -> Vec<Device> {
        let device = |(mac, account): (&MacAddr, &Account)| Device {
            mac: *mac,
            ip: account.ip(),
            camera: self.plan.camera_by_mac(*mac).map(|camera| camera.name.clone()),
            vendor: account.vendor.and_then(|vendor| self.vendors.name(vendor)),
            rows: account.rows.len(),
        };
        let mut devices: Vec<_> = self.accounts.iter().map(device).collect();
        devices.sort_by_key(|device| device.mac);
        devices
    }

    /// The key of a device's account, which is there afterwards.
    fn account(&mut self, mac: MacAddr) -> MacAddr {
        if self.accounts.contains_key(&mac) {
            return mac;
        }
        let camera = self.plan.camera_by_mac(mac).is_some();
        let mac = if camera || self.strangers < limits::OBSERVED_DEVICES { mac } else { OTHERS };
        if !self.accounts.contains_key(&mac) {
            let vendor = self.vendors.of_block(mac);
            self.accounts.insert(mac, Account::new(vendor));
            self.strangers += usize::from(!camera && mac != OTHERS);
        }
        mac
    }

    /// Ends the day if it is over: its rows wait to be taken. If the clock went back over midnight, rows get another
    /// run, for they must not replace those of the same day.
    fn begin_day(&mut self, now_ms: u64) {
        let day = now_ms / DAY_MS;
        let Some(ended) = self.day.replace(day).filter(|ended| *ended != day) else { return };
        self.day = Some(ended);
        let rows: Vec<_> = self.changed().collect();
        self.day = Some(day);
        let room = limits::OBSERVED_ROWS_ENDED.saturating_sub(self.ended.len());
        self.totals.lost += u64::try_from(rows.len().saturating_sub(room)).unwrap_or(u64::MAX);
        self.ended.extend(rows.into_iter().take(room));
        if day < ended {
            self.run = self.run.wrapping_add(1);
        }
        self.accounts.retain(|_, account| account.rows.begin());
        self.addresses.retain(|_, mac| self.accounts.contains_key(mac));
        self.pool = 0;
        self.set_plan(Arc::clone(&self.plan));
    }

    fn changed(&self) -> impl Iterator<Item = Row> {
        self.accounts.iter().flat_map(|(mac, account)| {
            let changed = account.rows.changed();
            changed.map(|(attempt, count)| self.row(*mac, account, attempt.clone(), count))
        })
    }

    fn row(&self, device: MacAddr, account: &Account, attempt: Attempt, count: Count) -> Row {
        Row {
            day: utc_day(self.day.unwrap_or(0).saturating_mul(DAY_MS)),
            run: format!("{:016x}", self.run),
            device,
            ip: account.ip(),
            camera: self.plan.camera_by_mac(device).map(|camera| camera.name.clone()),
            vendor: count.vendor.or(account.vendor).and_then(|vendor| self.vendors.name(vendor)),
            attempt,
            count: count.count,
            bytes: count.bytes,
            first_ms: count.first_ms,
            last_ms: count.last_ms,
        }
    }

    /// Notes the device's addresses and name, and tells of addresses that are not its own.
    fn learn(&mut self, mac: MacAddr, sighting: &Sighting, now_ms: u64) {
        if let Some(ip) = sighting.ip.map(|ip| ip.to_canonical()).filter(|ip| device::is_host(*ip))
        {
            self.learn_address(mac, ip, now_ms);
        }
        let attempt = &sighting.attempt;
        if attempt.protocol == Protocol::Dhcp
            && let Some(name) = &attempt.name
            && let Some(account) = self.accounts.get_mut(&mac)
        {
            account.name = Some(name.clone());
        }
    }
}
