//! The ledger on a real disk: crashes, faults, bounds.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::store::Store;
use super::*;
use crate::ops::hash_log::{FaultKind, Kept, KeptFound, Verified};
use crate::ops::limits;
use crate::segment::shared::plan::tests::plan;
use crate::segment::{
    Attempt, Destination, DeviceText, Place, Plan, Protocol, Row, Verdict, utc_day,
};

/// 2026-11-29 12:00:00 UTC.
pub(crate) const NOON: u64 = 1_795_910_400_000 + 12 * 3_600_000;
const DAY: u64 = 24 * 3_600_000;
const RUN: &str = "0123456789abcdef";
const BOOT: &str = "5ed1b7c0-0000-4000-8000-000000000001";

/// A row of the camera `door`.
pub(crate) fn row(at_ms: u64, name: &str, count: u64) -> Row {
    Row {
        day: utc_day(at_ms),
        run: RUN.to_owned(),
        device: "02:00:00:00:00:10".parse().unwrap(),
        ip: Some("10.77.0.10".parse().unwrap()),
        camera: Some("door".to_owned()),
        vendor: None,
        attempt: Attempt {
            protocol: Protocol::Dns,
            destination: Destination::Ip("10.77.0.1".parse().unwrap()),
            port: Some(53),
            name: Some(DeviceText::new(name.as_bytes())),
            verdict: Verdict::Answered,
        },
        count,
        bytes: count * 80,
        first_ms: at_ms,
        last_ms: at_ms,
    }
}

/// A state directory that is gone when the test is.
struct Folder(Place);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("camlock-ledger-{}-{n}", std::process::id());
        let state_dir = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&state_dir));
        Self(Place { state_dir, ..Place::default() })
    }

    fn open(&self, now_ms: u64) -> Store {
        self.open_with(&plan(), now_ms)
    }

    fn open_with(&self, plan: &Plan, now_ms: u64) -> Store {
        Store::open(&self.0, plan, RUN, BOOT, now_ms).unwrap()
    }

    fn verify(&self) -> Verified {
        let kept = Kept::parse(&fs::read(self.0.checkpoint()).unwrap()).unwrap();
        let key = read_public(&self.0.ledger_public_key()).unwrap();
        verify(&self.0.ledger(), Some(key), vec![kept]).unwrap()
    }

    fn entries(&self) -> Vec<Entry> {
        let mut all = Vec::new();
        let unreadable = entries(&self.0.ledger(), "0000", "9999", |_, entry| all.push(entry));
        assert_eq!(unreadable.unwrap(), 0);
        all
    }

    fn file(&self, now_ms: u64) -> PathBuf {
        self.0.ledger().join(format!("{}.jsonl", utc_day(now_ms)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0.state_dir));
    }
}

#[test]
fn what_is_appended_is_read() {
    let folder = Folder::new();
    let mut store = folder.open(NOON);
    let entry = Entry::Row(row(NOON, "a.example", 1));
    store.append(entry.clone(), NOON);
    store.checkpoint(NOON + 1);
    assert_eq!((store.fault.as_ref(), store.records()), (None, 3));
    let verified = folder.verify();
    assert_eq!((verified.fault, verified.lines, verified.checkpoints), (None, 3, 1));
    assert_eq!(verified.kept, [KeptFound::Here]);
    assert!(matches!(folder.entries().as_slice(), [Entry::Start(start), read]
        if start.run == RUN && *read == entry));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.0.ledger_key()), 0o600);
    assert_eq!(mode(folder.0.ledger_public_key()), 0o644);
}

#[test]
fn a_second_writer_is_refused() {
    let folder = Folder::new();
    let store = folder.open(NOON);
    let second = Store::open(&folder.0, &plan(), RUN, BOOT, NOON);
    assert!(matches!(second, Err(CannotOpen::InUse { .. })));
    drop(store);
    folder.open(NOON);
}

#[test]
fn a_line_that_a_crash_tore_is_moved_aside_and_told() {
    let folder = Folder::new();
    folder.open(NOON).flush(NOON);
    let mut file = fs::OpenOptions::new().append(true).open(folder.file(NOON)).unwrap();
    file.write_all(b"{\"seq\":2,\"time_ms\":17").unwrap();
    assert_eq!(folder.verify().fault.unwrap().kind, FaultKind::Torn);
    folder.open(NOON + 1).flush(NOON + 1);
    assert_eq!(folder.verify().fault, None);
    let entries = folder.entries();
    let [Entry::Start(_), Entry::Torn { file, bytes: 21, sha256 }, Entry::Start(_)] = &entries[..]
    else {
        panic!("{entries:?}");
    };
    let aside = fs::read(folder.0.ledger().join(file)).unwrap();
    assert_eq!(aside, b"{\"seq\":2,\"time_ms\":17");
    assert_eq!(crate::ops::hash_log::Hash::of(&aside).to_string(), *sha256);
}

#[test]
fn a_block_of_zeros_and_an_empty_file_are_no_end() {
    let folder = Folder::new();
    folder.open(NOON).flush(NOON);
    fs::write(folder.file(NOON + DAY), vec![0; 100_000]).unwrap();
    fs::write(folder.file(NOON + 2 * DAY), "").unwrap();
    folder.open(NOON + 2 * DAY).flush(NOON + 2 * DAY);
    assert_eq!(folder.verify().fault, None);
    assert!(!folder.file(NOON + DAY).exists());
    assert!(matches!(folder.entries()[1], Entry::Torn { bytes: 100_000, .. }));
}

#[test]
fn a_chain_that_was_cut_does_not_hide_it_by_going_on() {
    let folder = Folder::new();
    let mut store = folder.open(NOON);
    store.flush(NOON);
    let short = fs::read(folder.file(NOON)).unwrap();
    store.append(Entry::Row(row(NOON, "a", 1)), NOON);
    store.flush(NOON);
    drop(store);
    fs::write(folder.file(NOON), short).unwrap();
    let kept = fs::read(folder.0.checkpoint()).unwrap();
    folder.open(NOON + 1).flush(NOON + 1);
    assert_eq!(folder.entries()[1], Entry::Cut { vouched: 4, found: 2 });
    assert_eq!(fs::read(folder.0.state_dir.join("checkpoint-4.json")).unwrap(), kept);
    let kept = Kept::parse(&kept).unwrap();
    let verified = verify(&folder.0.ledger(), None, vec![kept]).unwrap();
    assert_eq!(verified.fault.unwrap().kind, FaultKind::Rewritten);
}

#[test]
fn each_day_has_its_file_and_old_ones_go() {
    let folder = Folder::new();
    let plan = Plan { ledger_days: 2, ..plan() };
    let mut store = folder.open_with(&plan, NOON);
    for day in 0..6 {
        store.append(Entry::Row(row(NOON + day * DAY, "a", 1)), NOON + day * DAY);
        store.checkpoint(NOON + day * DAY);
        assert_eq!((store.fault.as_ref(), folder.verify().fault), (None, None), "day {day}");
    }
    let kept: Vec<_> = days(&folder.0.ledger()).unwrap().into_iter().map(|day| day.day).collect();
    assert_eq!(kept, [3, 4, 5].map(|n| utc_day(NOON + n * DAY)));
    assert!(folder.verify().begins.seq > 0);
    drop(store);
    // A restart, and a day that somebody deleted.
    folder.open_with(&plan, NOON + 5 * DAY).flush(NOON + 5 * DAY);
    assert_eq!(folder.verify().fault, None);
    fs::remove_file(folder.file(NOON + 3 * DAY)).unwrap();
    assert!(matches!(folder.verify().fault.unwrap().kind, FaultKind::Removed { .. }));
}

/// As the service's thread writes it: confined to the state directory after the ledger was opened.
#[test]
fn a_confined_thread_can_change_days_and_delete_old_ones() {
    use landlock::{
        ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, RulesetStatus,
    };
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    fs::create_dir_all(&elsewhere.0.state_dir).unwrap();
    let mut store = folder.open_with(&Plan { ledger_days: 2, ..plan() }, NOON);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let all = AccessFs::from_all(ABI::V3);
            let ruleset = Ruleset::default().handle_access(all).unwrap().create().unwrap();
            let state = PathFd::new(&folder.0.state_dir).unwrap();
            let rules = ruleset.add_rule(PathBeneath::new(state, all)).unwrap();
            let confined = rules.restrict_self().unwrap().ruleset != RulesetStatus::NotEnforced;
            // A kernel without Landlock confines nothing; then this shows only that days change.
            assert_eq!(fs::write(elsewhere.0.state_dir.join("x"), "").is_err(), confined);
            for day in 0..5 {
                store.append(Entry::Row(row(NOON + day * DAY, "a", 1)), NOON + day * DAY);
                store.checkpoint(NOON + day * DAY);
                assert_eq!(store.fault, None, "day {day}");
            }
        });
    });
    assert_eq!(folder.verify().fault, None);
    assert_eq!(days(&folder.0.ledger()).unwrap().len(), 3);
}

#[test]
fn a_crash_amid_deletion_is_no_tampering() {
    let folder = Folder::new();
    let plan = Plan { ledger_days: 2, ..plan() };
    let mut store = folder.open(NOON);
    for day in 0..5 {
        store.checkpoint(NOON + day * DAY);
    }
    drop(store);
    let second = fs::read(folder.file(NOON + DAY)).unwrap();
    folder.open_with(&plan, NOON + 4 * DAY).flush(NOON + 4 * DAY);
    assert!(!folder.file(NOON + DAY).exists());
    fs::write(folder.file(NOON + DAY), second).unwrap();
    assert_eq!(folder.verify().fault, None);
    folder.open_with(&plan, NOON + 4 * DAY).flush(NOON + 4 * DAY);
    assert!(!folder.file(NOON + DAY).exists());
    assert_eq!(folder.verify().fault, None);
}

#[test]
fn bytes_are_a_bound_too() {
    let folder = Folder::new();
    let plan = Plan { ledger_bytes: 6_000, ..plan() };
    let mut store = folder.open_with(&plan, NOON);
    for day in 0..10 {
        for n in 0..4 {
            store.append(Entry::Row(row(NOON + day * DAY, &n.to_string(), 1)), NOON + day * DAY);
        }
        store.checkpoint(NOON + day * DAY);
        assert_eq!((store.fault.as_ref(), folder.verify().fault), (None, None), "day {day}");
        let bytes: u64 = days(&folder.0.ledger()).unwrap().iter().map(|day| day.bytes).sum();
        assert!(bytes <= 6_000 + 1_000, "{bytes}");
    }
    // One day alone is too much: told, and what did not fit is counted the day after.
    let now = NOON + 10 * DAY;
    for n in 0..40 {
        store.append(Entry::Row(row(now, &format!("more-{n}"), 1)), now);
        store.write(now);
    }
    store.checkpoint(now);
    assert!(store.fault.as_ref().unwrap().contains("alone fill the space"), "{:?}", store.fault);
    assert_eq!(fs::metadata(folder.file(now)).unwrap().len() / 6_000, 0);
}

#[test]
fn a_fault_of_the_disk_is_told_and_tried_again() {
    let folder = Folder::new();
    let mut store = folder.open(NOON);
    store.flush(NOON);
    let away = folder.0.state_dir.join("away");
    fs::rename(folder.0.ledger(), &away).unwrap();
    for n in 0..limits::LEDGER_WAITING + 10 {
        store.append(Entry::Row(row(NOON, &n.to_string(), 1)), NOON);
    }
    store.write(NOON);
    assert!(store.fault.as_ref().unwrap().contains("retried"), "{:?}", store.fault);
    assert_eq!(store.records(), 2);
    fs::rename(&away, folder.0.ledger()).unwrap();
    store.checkpoint(NOON + 1);
    assert_eq!((store.fault.as_ref(), folder.verify().fault), (None, None));
    let entries = folder.entries();
    assert_eq!(entries.len(), 1 + 1 + limits::LEDGER_WAITING);
    assert_eq!(entries[1], Entry::Lost { records: 10 });
}

#[test]
fn what_a_failed_write_left_is_cut_off() {
    let folder = Folder::new();
    let mut store = folder.open(NOON);
    store.flush(NOON);
    let mut file = fs::OpenOptions::new().append(true).open(folder.file(NOON)).unwrap();
    file.write_all(b"{\"seq\":2,\"ti").unwrap();
    store.append(Entry::Row(row(NOON, "a", 1)), NOON);
    store.flush(NOON);
    assert_eq!((store.fault.as_ref(), folder.verify().fault), (None, None));
}

#[test]
fn a_record_that_is_too_long_is_counted() {
    let folder = Folder::new();
    let mut store = folder.open(NOON);
    let run = "x".repeat(limits::LEDGER_LINE_BYTES);
    store.append(Entry::Stop { run }, NOON);
    store.write(NOON);
    store.flush(NOON);
    assert_eq!((store.fault.as_ref(), folder.verify().fault), (None, None));
    assert_eq!(folder.entries()[1], Entry::Lost { records: 1 });
}

#[test]
fn a_clock_that_goes_back_does_not_break_the_order_of_files() {
    let folder = Folder::new();
    let mut store = folder.open(NOON + DAY);
    store.flush(NOON + DAY);
    store.flush(NOON);
    let verified = folder.verify();
    assert_eq!((verified.fault, verified.backward), (None, 1));
    assert!(!folder.file(NOON).exists());
}

#[tokio::test]
async fn the_thread_writes_and_nobody_waits() {
    let folder = Folder::new();
    let ledger = Ledger::open(&folder.0, &plan(), RUN, BOOT, NOON).unwrap().start().unwrap();
    ledger.append(Entry::Row(row(NOON, "a", 1)), NOON);
    ledger.append(Entry::Row(row(NOON, "a", 2)), NOON);
    assert_eq!(ledger.flush(NOON + 5).await, Ok(4));
    let stand = ledger.stand(NOON + 65);
    assert_eq!(stand, Stand { records: 4, checkpoint_age_ms: Some(60), fault: None });
    assert_eq!(ledger.stop(NOON + 70).await, Ok(6));
    assert_eq!(folder.verify().fault, None);
    assert_eq!(folder.entries().last(), Some(&Entry::Stop { run: RUN.to_owned() }));
    // Whoever stopped gave the directory free.
    folder.open(NOON);
}

#[tokio::test]
async fn a_fault_is_said_to_whoever_asks() {
    let folder = Folder::new();
    let opened = Ledger::open(&folder.0, &plan(), RUN, BOOT, NOON).unwrap();
    fs::remove_dir_all(folder.0.ledger()).unwrap();
    let ledger = opened.start().unwrap();
    assert!(ledger.flush(NOON).await.unwrap_err().contains("retried"));
    assert!(ledger.stand(NOON).fault.is_some());
}

#[test]
fn the_records_have_this_form() {
    use crate::segment::{
        Attempt, CanaryResult, Destination, DeviceChange, DeviceEvent, DeviceText, MacAddr,
        Protocol, Pulse, Row, Verdict,
    };
    let text = || "x".to_owned();
    let device = MacAddr([0, 0, 0x5e, 0, 0x53, 1]);
    let ip: std::net::IpAddr = "10.77.0.10".parse().unwrap();
    let row = |destination| Row {
        day: "2026-11-29".to_owned(),
        run: "0123456789abcdef".to_owned(),
        device,
        ip: Some(ip),
        camera: Some(text()),
        vendor: None,
        attempt: Attempt {
            protocol: Protocol::Dns,
            destination,
            port: Some(53),
            name: Some(DeviceText::new(b"a\n")),
            verdict: Verdict::Answered,
        },
        count: 1,
        bytes: 2,
        first_ms: 3,
        last_ms: 4,
    };
    let changes = every!(
        DeviceChange; Unknown { ip: Some(ip), vendor: None, name: None },
        AddressTaken { ip: ip, owner: device }, AddressChanged { expected: ip, ip: ip },
    );
    let canary = CanaryResult {
        at_ms: 1,
        tries: 2,
        escaped: vec![text()],
        unseen: Vec::new(),
        failed_controls: Vec::new(),
    };
    let pulse = Pulse {
        started_ms: 1,
        devices: 2,
        attempts: 3,
        aggregated: 4,
        missed: 5,
        ledger_records: 6,
        checkpoint_age_ms: None,
        ledger_fault: Some(text()),
    };
    let destinations = every!(Destination; Ip(ip), Mac(device), Many);
    let change = changes[0].clone();
    let event = |what| DeviceEvent { at_ms: 1, device, what };
    let start = Start { run: text(), version: text(), boot: text(), cameras: 1 };
    let all = every!(
        Entry; Start(start), Stop { run: text() }, Row(row(Destination::Many)),
        Device(event(change)), Canary(canary), Pulse(pulse),
        Torn { file: text(), bytes: 1, sha256: text() }, Cut { vouched: 2, found: 1 },
        Lost { records: 1 },
    );
    let rows = destinations.map(|destination| Entry::Row(row(destination)));
    let devices = changes.map(|what| Entry::Device(event(what)));
    let lines = all.into_iter().chain(rows).chain(devices);
    let lines: Vec<_> = lines.map(|entry| serde_json::to_string(&entry).unwrap()).collect();
    assert_surface!("ledger-records", lines.join("\n"));
}
