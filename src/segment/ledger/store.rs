//! The chain on the disk: lines are appended to the day's file, checkpoints are synced and copied.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::pace::Pace;
use super::{CannotOpen, Entry, Start, keys, recover, retain};
use crate::ops::hash_log::{Made, Position, SigningKey, TooLong};
use crate::ops::limits;
use crate::ops::state_dir::{self, Overwrite};
use crate::segment::{Place, Plan, utc_day};

/// The ledger on the disk. Its methods block as long as the disk does.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) dir: PathBuf,
    copy: PathBuf,
    key: SigningKey,
    boot: String,
    pub(super) days: u16,
    pub(super) bytes: u64,
    /// Where the next line stands; `None`: the files were not read yet.
    at: Option<Position>,
    pub(super) today: Option<Today>,
    /// Bytes of the other days' files.
    pub(super) others: u64,
    waiting: VecDeque<(u64, Entry)>,
    pace: Pace,
    lost: u64,
    heartbeat_ms: Option<u64>,
    /// The oldest day that was let stay when retention looked last.
    pub(super) looked: Option<String>,
    pub(super) signed_ms: Option<u64>,
    pub(super) fault: Option<String>,
    // Held as long as the store is.
    _lock: File,
}

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Today {
    pub(super) day: String,
    path: PathBuf,
    file: File,
    /// Its length after the last whole line.
    bytes: u64,
}

impl Store {
    /// Takes the directory for this process alone and reads or makes the key. The files are read at the first write.
    pub(super) fn open(
        place: &Place,
        plan: &Plan,
        run: &str,
        boot: &str,
        now_ms: u64,
    ) -> Result<Self, CannotOpen> {
        let dir = place.ledger();
        let io = |error| CannotOpen::Io { path: dir.clone(), error };
        state_dir::make(&dir).map_err(io)?;
        let lock = lock(&dir.join("lock"))?;
        let key = keys::ensure(place)?;
        let start = Start {
            run: run.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: boot.to_owned(),
            cameras: u32::try_from(plan.cameras.len()).unwrap_or(u32::MAX),
        };
        Ok(Self {
            dir,
            copy: place.checkpoint(),
            key,
            boot: boot.to_owned(),
            days: plan.ledger_days,
            bytes: plan.ledger_bytes,
            at: None,
            today: None,
            others: 0,
            waiting: [(now_ms, Entry::Start(start))].into(),
            pace: Pace::default(),
            lost: 0,
            heartbeat_ms: None,
            looked: None,
            signed_ms: None,
            fault: None,
            _lock: lock,
        })
    }

    /// Lines written, ever.
    pub(super) fn records(&self) -> u64 {
        self.at.map_or(0, |at| at.seq)
    }

    /// Takes an entry; [`Self::write`] brings it to the disk.
    pub(super) fn append(&mut self, entry: Entry, now_ms: u64) {
        let entry = match entry {
            Entry::Row(row) => self.pace.row(row, now_ms).map(Entry::Row),
            Entry::Pulse(pulse) => self.is_heartbeat(now_ms).then_some(Entry::Pulse(pulse)),
            Entry::Start(_)
            | Entry::Stop { .. }
            | Entry::Device(_)
            | Entry::Canary(_)
            | Entry::Torn { .. }
            | Entry::Cut { .. }
            | Entry::Lost { .. } => Some(entry),
        };
        if let Some(entry) = entry {
            self.queue(entry, now_ms);
        }
    }

    /// Entries that did not even come here.
    pub(super) fn lose(&mut self, entries: u64) {
        self.lost = self.lost.saturating_add(entries);
    }

    /// Writes what waits. What the disk does not take goes on waiting, within bounds.
    pub(super) fn write(&mut self, now_ms: u64) {
        let written = self.try_write(now_ms);
        self.judge(written);
    }

    /// Writes the rows that are due, and a checkpoint; the data is on the disk when it returns.
    pub(super) fn checkpoint(&mut self, now_ms: u64) {
        let due = self.pace.due(now_ms);
        self.seal(due, now_ms);
    }

    /// Writes all rows, and a checkpoint.
    pub(super) fn flush(&mut self, now_ms: u64) {
        let all = self.pace.all();
        self.seal(all, now_ms);
    }

    fn seal(&mut self, rows: Vec<crate::segment::Row>, now_ms: u64) {
        for row in rows {
            self.queue(Entry::Row(row), now_ms);
        }
        let sealed = self.try_write(now_ms).and_then(|()| self.try_checkpoint(now_ms));
        let kept = sealed.and_then(|()| retain::retain(self, now_ms));
        self.judge(kept);
    }

    fn is_heartbeat(&mut self, now_ms: u64) -> bool {
        let pause = u64::try_from(limits::LEDGER_CHECKPOINT.as_millis()).unwrap_or(u64::MAX);
        // The pulse comes at the pace of another clock: one that is a little early is taken too.
        let due = self.heartbeat_ms.is_none_or(|last| now_ms.abs_diff(last) >= pause - pause / 12);
        if due {
            self.heartbeat_ms = Some(now_ms);
        }
        due
    }

    fn queue(&mut self, entry: Entry, now_ms: u64) {
        if self.waiting.len() >= limits::LEDGER_WAITING {
            self.waiting.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.waiting.push_back((now_ms, entry));
    }

    fn judge(&mut self, done: io::Result<()>) {
        self.fault = done.err().map(|error| {
            format!("{}: {error}; pending records are kept and retried", self.dir.display())
        });
    }

    fn try_write(&mut self, now_ms: u64) -> io::Result<()> {
        let mut at = self.ready(now_ms)?;
        if self.lost > 0 {
            let made = at.record(now_ms, &Entry::Lost { records: self.lost }).map_err(too_long)?;
            at = self.put(&made, now_ms)?;
            self.lost = 0;
        }
        while !self.waiting.is_empty() {
            let (made, taken) = self.batch(at);
            if !made.text.is_empty() {
                at = self.put(&made, now_ms)?;
            }
            self.waiting.drain(..taken);
        }
        Ok(())
    }

    /// The next lines, as one piece, and how many entries they are of.
    fn batch(&mut self, at: Position) -> (Made, usize) {
        let mut all = Made { text: Vec::new(), next: at };
        let mut taken = 0;
        for (time_ms, entry) in &self.waiting {
            match all.next.record(*time_ms, entry) {
                Ok(made) => {
                    all.text.extend_from_slice(&made.text);
                    all.next = made.next;
                }
                Err(TooLong) => self.lost = self.lost.saturating_add(1),
            }
            taken += 1;
            if all.text.len() >= limits::LEDGER_BATCH_BYTES {
                break;
            }
        }
        (all, taken)
    }

    pub(super) fn try_checkpoint(&mut self, now_ms: u64) -> io::Result<()> {
        let at = self.ready(now_ms)?;
        let made = at.checkpoint(now_ms, &self.boot, &self.key).map_err(too_long)?;
        self.put(&made, now_ms)?;
        if let Some(today) = &self.today {
            today.file.sync_data()?;
        }
        let text = String::from_utf8_lossy(&made.text);
        state_dir::write(&self.copy, &text, Overwrite::Yes)?;
        self.signed_ms = Some(now_ms);
        Ok(())
    }

    /// A line that says that the chain begins at `begins` now.
    pub(super) fn try_anchor(&mut self, begins: Position, now_ms: u64) -> io::Result<()> {
        let at = self.ready(now_ms)?;
        let made = at.anchor(now_ms, begins).map_err(too_long)?;
        self.put(&made, now_ms).map(drop)
    }

    /// Appends lines to the day's file: whole, or the file is as before.
    fn put(&mut self, made: &Made, now_ms: u64) -> io::Result<Position> {
        let most = self.bytes;
        let today = self.day_file(now_ms)?;
        let after = today.bytes + made.text.len() as u64;
        if after > most {
            let why =
                "today's records alone fill the space allowed for the ledger in the segment file";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, why));
        }
        // What a failed write left behind. (A file that became shorter is left as it is, for the check to find.)
        if today.file.metadata()?.len() > today.bytes {
            today.file.set_len(today.bytes)?;
        }
        today.file.write_all(&made.text)?;
        today.bytes = after;
        self.at = Some(made.next);
        Ok(made.next)
    }

    /// The file for now. A clock that goes back does not: lines stand in the order they were written in.
    fn day_file(&mut self, now_ms: u64) -> io::Result<&mut Today> {
        let day = utc_day(now_ms);
        let old = match self.today.take() {
            Some(today) if today.day >= day && today.path.exists() => {
                return Ok(self.today.insert(today));
            }
            old => old,
        };
        let day = old.as_ref().map_or_else(|| day.clone(), |old| old.day.clone().max(day.clone()));
        match Today::open(&self.dir, day) {
            Ok(today) => {
                self.others += old.map_or(0, |old| old.bytes);
                Ok(self.today.insert(today))
            }
            Err(error) => {
                self.today = old;
                Err(error)
            }
        }
    }

    /// Where the next line stands; reads the files when it is asked first.
    fn ready(&mut self, now_ms: u64) -> io::Result<Position> {
        if let Some(at) = self.at {
            return Ok(at);
        }
        let found = recover::recover(&self.dir, &self.copy)?;
        self.others = found.others;
        self.today = found.day.map(|day| Today::open(&self.dir, day)).transpose()?;
        self.at = Some(found.at);
        for entry in found.entries.into_iter().rev() {
            self.waiting.push_front((now_ms, entry));
        }
        Ok(found.at)
    }
}

impl Today {
    fn open(dir: &Path, day: String) -> io::Result<Self> {
        let path = dir.join(format!("{day}.jsonl"));
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        File::open(dir)?.sync_all()?;
        let bytes = file.metadata()?.len();
        Ok(Self { day, path, file, bytes })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn lock(path: &Path) -> Result<File, CannotOpen> {
    let io = |error| CannotOpen::Io { path: path.to_path_buf(), error };
    let mut options = OpenOptions::new();
    let file =
        options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(CannotOpen::InUse { path: path.to_path_buf() }),
        Err(fs::TryLockError::Error(error)) => Err(io(error)),
    }
}

fn too_long(why: TooLong) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
