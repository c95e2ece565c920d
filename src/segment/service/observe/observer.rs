//! The table, shared by those who see attempts and those who write them down.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Device, Table, Totals, Vendors};
use crate::segment::{DeviceEvent, MacAddr, Plan, Row, Sighting, Sum, now_ms};

/// The [`Table`] behind a lock that is held for one step at a time, with the system's clock.
#[derive(Debug)]
pub struct Observer {
    table: Mutex<Table>,
    told: Notify,
    missed: AtomicU64,
}

impl Observer {
    /// See [`Table::new`].
    pub fn new(plan: Arc<Plan>, gateway: MacAddr, vendors: Vendors, run: u64) -> Self {
        Self {
            table: Mutex::new(Table::new(plan, gateway, vendors, run)),
            told: Notify::new(),
            missed: AtomicU64::new(0),
        }
    }

    /// Counts what somebody saw.
    pub fn note(&self, sighting: &Sighting) {
        let mut table = self.table();
        table.note(sighting, now_ms());
        if table.has_events() {
            self.told.notify_one();
        }
    }

    /// See [`Table::due_rows`].
    pub fn due_rows(&self) -> Vec<Row> {
        self.table().due_rows(now_ms())
    }

    /// See [`Table::changed_rows`].
    pub fn changed_rows(&self) -> Vec<Row> {
        self.table().changed_rows(now_ms())
    }

    /// Waits until there is something to tell about devices, and takes it. For one task.
    pub async fn events(&self) -> Vec<DeviceEvent> {
        loop {
            let events = self.table().take_events();
            if !events.is_empty() {
                return events;
            }
            self.told.notified().await;
        }
    }

    /// See [`Table::mac_of`].
    pub fn mac_of(&self, ip: IpAddr) -> Option<MacAddr> {
        self.table().mac_of(ip)
    }

    /// See [`Table::totals`]. Frames that the kernel dropped ([`Self::missed`]) are attempts that were only counted.
    pub fn totals(&self) -> Totals {
        let (totals, missed) = (self.table().totals(), self.missed());
        let Totals { attempts, aggregated, .. } = totals;
        Totals { attempts: attempts + missed, aggregated: aggregated + missed, ..totals }
    }

    /// See [`Table::sums`].
    pub fn sums(&self) -> Vec<Sum> {
        self.table().sums()
    }

    /// See [`Table::devices`].
    pub fn devices(&self) -> Vec<Device> {
        self.table().devices()
    }

    /// See [`Table::set_plan`].
    pub fn set_plan(&self, plan: Arc<Plan>) {
        self.table().set_plan(plan);
    }

    /// Frames that the kernel dropped because they came faster than they were read.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Counts frames that the kernel dropped.
    pub(super) fn note_missed(&self, frames: u32) {
        self.missed.fetch_add(frames.into(), Ordering::Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A table is whole after each step, whatever its holder died of.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::shared::plan::tests::plan;
    use crate::segment::{Attempt, Destination, DeviceChange, Protocol, Verdict};

    fn observer() -> Observer {
        let gateway = MacAddr([2, 0, 0, 0, 0, 1]);
        Observer::new(Arc::new(plan()), gateway, Vendors::load().unwrap(), 1)
    }

    fn sighting() -> Sighting {
        let device = MacAddr([2, 0, 0, 0, 0, 0x66]);
        let attempt = Attempt {
            protocol: Protocol::Ethernet,
            destination: Destination::Mac(device),
            port: None,
            name: None,
            verdict: Verdict::Dropped,
        };
        Sighting { device, ip: None, attempt, bytes: 60 }
    }

    #[tokio::test]
    async fn whoever_waits_for_events_gets_them() {
        let observer = observer();
        let (events, ()) = tokio::join!(observer.events(), async { observer.note(&sighting()) });
        assert!(matches!(events[..], [DeviceEvent { what: DeviceChange::Unknown { .. }, .. }]));
        assert_eq!(observer.due_rows()[0].count, 1);
        assert!(observer.changed_rows().is_empty());
    }

    #[test]
    fn frames_that_were_missed_are_counted() {
        let observer = observer();
        observer.note(&sighting());
        observer.note_missed(7);
        observer.note_missed(2);
        assert_eq!(observer.missed(), 9);
        assert_eq!(observer.totals(), Totals { devices: 1, attempts: 10, aggregated: 9, lost: 0 });
    }
}
