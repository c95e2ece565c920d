//! The ledger's thread: whoever appends never waits for the disk.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::Entry;
use super::store::Store;
use crate::ops::limits;
use crate::segment::{Place, Plan};

/// A ledger that is open: this process alone writes it. Open it before the process confines itself, and let
/// [`Self::start`] make its thread afterwards: a thread keeps what was allowed when it was made.
#[derive(Debug)]
pub struct Opened {
    store: Store,
    run: String,
}

/// How the ledger is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stand {
    /// Lines that were written, ever.
    pub records: u64,
    /// Age of the newest checkpoint of this run, ms.
    pub checkpoint_age_ms: Option<u64>,
    /// Why it cannot be written, in words for the operator.
    pub fault: Option<String>,
}

/// Appends to the ledger. Dropped without [`Self::stop`], the thread ends by itself, and writes what it has.
#[derive(Debug)]
pub struct Ledger {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
    run: String,
    thread: thread::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    records: u64,
    signed_ms: Option<u64>,
    fault: Option<String>,
    /// Since when the thread works on what it took, ms of the UNIX epoch.
    busy_ms: Option<u64>,
}

#[derive(Debug)]
enum Order {
    Append(Box<Entry>, u64),
    Checkpoint(u64),
    Flush(u64, oneshot::Sender<Result<u64, String>>),
}

/// The ledger's directory cannot be used: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// A file or directory cannot be read or written.
    #[error("{}: {error}; the segment's service must be able to write its state directory", path.display())]
    Io {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The key is broken.
    #[error("{}: {why}; restore it from a backup, or move `ledger.key` and `ledger` away to begin a new ledger", path.display())]
    Key {
        /// The key's file.
        path: std::path::PathBuf,
        /// Why.
        why: crate::ops::hash_log::BadKey,
    },
    /// Another process writes it.
    #[error("{}: another process writes this ledger", path.display())]
    InUse {
        /// The lock.
        path: std::path::PathBuf,
    },
}

impl Opened {
    /// Makes the thread, and the first record.
    pub fn start(self) -> io::Result<Ledger> {
        let shared = Arc::new(Shared::default());
        let (orders, taken) = mpsc::channel(limits::LEDGER_QUEUE);
        let (store, seen) = (self.store, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || work(store, taken, &seen))?;
        Ok(Ledger { orders, shared, run: self.run, thread })
    }
}

impl Ledger {
    /// Opens the ledger of a place, and makes its directory and key if there are none. `run`: the run of this process
    /// as its rows name it; `boot`: the kernel's boot id; `now_ms`: ms of the UNIX epoch.
    pub fn open(
        place: &Place,
        plan: &Plan,
        run: &str,
        boot: &str,
        now_ms: u64,
    ) -> Result<Opened, CannotOpen> {
        Ok(Opened { store: Store::open(place, plan, run, boot, now_ms)?, run: run.to_owned() })
    }

    /// Appends an entry; never waits. When the disk is so slow that the queue is full, it is counted as lost, and a
    /// record says so later. Rows that grow are written at growing intervals, a heartbeat once a
    /// [`limits::LEDGER_CHECKPOINT`]; an append is also when a fault of the disk is tried again.
    pub fn append(&self, entry: Entry, now_ms: u64) {
        if self.orders.try_send(Order::Append(Box::new(entry), now_ms)).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks for a checkpoint; to be called every [`limits::LEDGER_CHECKPOINT`]. Never waits.
    pub fn checkpoint(&self, now_ms: u64) {
        // A full queue: the next minute's does as well.
        drop(self.orders.try_send(Order::Checkpoint(now_ms)));
    }

    /// Writes everything and a checkpoint. The lines that there are then, or the fault in words. Waits at most
    /// [`limits::LEDGER_FLUSH`].
    pub async fn flush(&self, now_ms: u64) -> Result<u64, String> {
        let (tell, told) = oneshot::channel();
        let ask = async {
            self.orders.send(Order::Flush(now_ms, tell)).await.ok()?;
            told.await.ok()
        };
        match tokio::time::timeout(limits::LEDGER_FLUSH, ask).await {
            Ok(Some(done)) => done,
            Ok(None) => Err("the ledger's thread has ended".to_owned()),
            Err(_) => Err(format!("the disk did not answer for {:?}", limits::LEDGER_FLUSH)),
        }
    }

    /// How it is.
    pub fn stand(&self, now_ms: u64) -> Stand {
        let state = self.shared.lock();
        let slow = state.busy_ms.map(|since| now_ms.saturating_sub(since));
        let slow = slow.filter(|ms| u128::from(*ms) > limits::LEDGER_SLOW.as_millis());
        Stand {
            records: state.records,
            checkpoint_age_ms: state.signed_ms.map(|at| now_ms.saturating_sub(at)),
            fault: match slow {
                Some(ms) => Some(format!("the disk has not answered for {} s", ms / 1000)),
                None => state.fault.clone(),
            },
        }
    }

    /// Writes that the run ends, everything, and a checkpoint. Waits as [`Self::flush`].
    pub async fn stop(self, now_ms: u64) -> Result<u64, String> {
        self.append(Entry::Stop { run: self.run.clone() }, now_ms);
        let done = self.flush(now_ms).await;
        let Self { orders, thread, .. } = self;
        drop(orders);
        // After a flush it has nothing to do; one that hangs in the disk is not waited for.
        if done.is_ok() {
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
        done
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread. It ends when the sender is gone.
fn work(mut store: Store, mut orders: mpsc::Receiver<Order>, shared: &Shared) {
    let mut last = 0;
    while let Some(first) = orders.blocking_recv() {
        store.lose(shared.lost.swap(0, Ordering::Relaxed));
        shared.lock().busy_ms = Some(first.now());
        let mut order = Some(first);
        let mut taken = 0;
        // What came together is written together.
        while let Some(one) = order {
            last = one.now();
            one.work(&mut store, shared);
            taken += 1;
            order = if taken < limits::LEDGER_QUEUE { orders.try_recv().ok() } else { None };
        }
        store.write(last);
        shared.show(&store);
    }
    store.flush(last);
}

impl Order {
    fn work(self, store: &mut Store, shared: &Shared) {
        match self {
            Self::Append(entry, now) => store.append(*entry, now),
            Self::Checkpoint(now) => store.checkpoint(now),
            Self::Flush(now, tell) => {
                store.flush(now);
                shared.show(store);
                let done = store.fault.clone().map_or_else(|| Ok(store.records()), Err);
                // Whoever asked may have stopped waiting.
                drop(tell.send(done));
            }
        }
    }

    fn now(&self) -> u64 {
        match self {
            Self::Append(_, now) | Self::Checkpoint(now) | Self::Flush(now, _) => *now,
        }
    }
}

impl Shared {
    fn show(&self, store: &Store) {
        let mut state = self.lock();
        state.records = store.records();
        state.signed_ms = store.signed_ms;
        state.fault.clone_from(&store.fault);
        state.busy_ms = None;
    }
}
