//! What happens when CPU or memory runs short: first no new readers, then those that lag are ended. Cameras
//! are not touched (`docs/adr/0009-overload.md`).
//!
//! Nothing is measured for nobody: [`Load::judge`] says whether there is a reader or may soon be one.
//!
//! [`Load`] is told how late the runtime is and how much memory the process has, and answers whether one more
//! reader may come. It is also told when nobody may be served at all. What does *not* belong here: reading the system (`app`), what a refused client is told
//! (`rtsp_server`), fixed bounds ([`crate::ops::limits`]).

mod lateness;
mod level;
mod readers;
mod reason;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::ops::limits;
use crate::ops::metrics::{Metrics, ScarceMetrics};
use crate::trust::audit::{self, Event};

use lateness::Lateness;
pub use level::Level;
use level::{Ladder, Marks};
use readers::Readers;
pub use readers::{Behind, Reader};
pub use reason::Resource;

/// What operators may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Resident memory that the process may have, bytes. `None`: a share of what the machine or the cgroup has.
    pub memory: Option<u64>,
}

/// The load of the process: one, shared by all who must know.
#[derive(Debug)]
pub struct Load {
    metrics: Arc<Metrics>,
    readers: Arc<Readers>,
    state: Mutex<State>,
    /// A reader came, or asked whether it may.
    arrival: Notify,
}

/// Whether anybody is there for whom the load is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Readers, or some asked a while ago, or something is short.
    Readers,
    /// Nobody.
    Nobody,
}

/// How one resource stands, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub resource: Resource,
    /// Its level.
    pub level: Level,
    /// What was measured; if it is short, what follows and what to do.
    pub reason: String,
}

/// Why a reader may not come, or has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lack {
    /// There is too little of this.
    Of(Resource),
    /// Nobody is served: it is not proven that the cameras are kept in.
    Proof,
}

#[derive(Debug)]
struct State {
    /// Whether anybody may be served.
    serves: bool,
    lateness: Lateness,
    cpu: Ladder,
    /// `None` without a budget.
    memory: Option<Memory>,
    /// The last round of ending readers.
    shed_at: Option<Instant>,
    /// Somebody came since the last judgement.
    arrived: bool,
    /// The last judgement that found [`Demand::Readers`].
    demanded_at: Option<Instant>,
}

#[derive(Debug)]
struct Memory {
    budget: u64,
    ladder: Ladder,
    used: u64,
    /// Readers that may come before the next measurement.
    room: u64,
}

impl Load {
    /// Nothing is short. `budget` is what the process may have, bytes; without one memory is never short.
    pub fn new(budget: Option<u64>, metrics: Arc<Metrics>) -> Arc<Self> {
        let state = State {
            serves: true,
            lateness: Lateness::default(),
            cpu: Ladder::new(cpu_marks()),
            memory: budget.map(Memory::new),
            shed_at: None,
            arrived: false,
            demanded_at: None,
        };
        let (readers, arrival) = (Arc::default(), Notify::new());
        let this = Self { metrics, readers, state: Mutex::new(state), arrival };
        this.show(&this.state());
        Arc::new(this)
    }

    /// Puts another budget in force, and judges the last measurement by it.
    pub fn set_budget(&self, budget: Option<u64>, now: Instant) {
        let mut state = self.state();
        let used = state.memory.as_ref().map_or(0, |memory| memory.used);
        if state.memory.as_ref().map(|memory| memory.budget) == budget {
            return;
        }
        let before = state.levels();
        state.memory = budget.map(Memory::new);
        if let Some(memory) = &mut state.memory {
            memory.measured(used, now);
        }
        self.changed(state, before);
    }

    /// A task that sleeps [`limits::LATENESS_TICK`] at a time was woken so `late`.
    pub fn tick(&self, late: Duration, now: Instant) {
        self.state().lateness.tick(late, now);
    }

    /// Judges both resources, and ends readers that lag if it must be. `used` is the resident memory, bytes, if
    /// it could be read. Says whether to go on measuring: without demand the next measurement is at
    /// [`Self::demanded`].
    pub fn judge(&self, used: Option<u64>, now: Instant) -> Demand {
        let mut state = self.state();
        let before = state.levels();
        let late = state.lateness.median();
        state.cpu.judge(micros(late), now);
        if let (Some(memory), Some(used)) = (&mut state.memory, used) {
            memory.measured(used, now);
        }
        let sheds = state.sheds(now);
        let demand = state.demand(self.readers.is_empty(), now);
        self.changed(state, before);
        if let Some(resource) = sheds {
            self.scarce(resource).shed.inc_by(self.readers.shed(resource, now));
        }
        demand
    }

    /// Waits for a reader that comes or asks whether it may, unless one did since the last wait. Cancel-safe.
    pub async fn demanded(&self) {
        self.arrival.notified().await;
    }

    /// Whether anybody may be served from now on, for want of proof that the cameras are kept in. If not, all
    /// readers are told to go. Returns whether that is news.
    pub fn set_serves(&self, serves: bool) -> bool {
        let was = std::mem::replace(&mut self.state().serves, serves);
        if !serves {
            self.end_all();
        }
        was != serves
    }

    /// Whether anybody may be served.
    pub fn serves(&self) -> bool {
        self.state().serves
    }

    /// A connection plays from now on.
    pub fn reader(&self, now: Instant) -> Reader {
        let reader = self.readers.reader(now);
        self.arrival.notify_one();
        // Looked at once it can be told: it may have been let in before.
        if !self.serves() {
            self.end_all();
        }
        reader
    }

    /// Whether one more reader may come; else why not. It is counted either way.
    pub fn admit(&self) -> Result<(), Lack> {
        let mut state = self.state();
        if !state.serves {
            self.metrics.segment.refused_readers.inc();
            return Err(Lack::Proof);
        }
        state.arrived = true;
        self.arrival.notify_one();
        state.admit().map_err(|resource| {
            self.scarce(resource).refused.inc();
            Lack::Of(resource)
        })
    }

    fn end_all(&self) {
        self.metrics.segment.ended_readers.inc_by(self.readers.end_all(Lack::Proof));
    }

    /// How the resources stand.
    pub fn standings(&self) -> [Standing; 2] {
        let state = self.state();
        Resource::ALL.map(|resource| state.standing(resource))
    }

    /// Shows the state, and writes each change of a level down, once.
    fn changed(&self, state: MutexGuard<'_, State>, before: [Level; 2]) {
        self.show(&state);
        if state.levels() == before {
            return;
        }
        let standings = Resource::ALL.map(|resource| state.standing(resource));
        drop(state);
        for (Standing { resource, level, reason }, before) in standings.iter().zip(before) {
            if *level != before {
                let (resource, level) = (resource.name(), level.name());
                audit::record(Event::Overload { resource, level, reason });
            }
        }
    }

    fn show(&self, state: &State) {
        let metrics = &self.metrics.overload;
        for (resource, level) in Resource::ALL.into_iter().zip(state.levels()) {
            self.scarce(resource).level.set(level as i64);
        }
        metrics.lateness.set(state.lateness.median().as_secs_f64());
        let budget = state.memory.as_ref().map_or(0, |memory| memory.budget);
        metrics.memory_budget.set(i64::try_from(budget).unwrap_or(i64::MAX));
    }

    fn scarce(&self, resource: Resource) -> ScarceMetrics {
        self.metrics.overload.resource(resource.name())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn level(&self, resource: Resource) -> Level {
        match resource {
            Resource::Cpu => self.cpu.level(),
            Resource::Memory => {
                self.memory.as_ref().map_or(Level::Normal, |memory| memory.ladder.level())
            }
        }
    }

    fn levels(&self) -> [Level; 2] {
        Resource::ALL.map(|resource| self.level(resource))
    }

    fn admit(&mut self) -> Result<(), Resource> {
        for resource in Resource::ALL {
            if self.level(resource) != Level::Normal {
                return Err(resource);
            }
        }
        match &mut self.memory {
            Some(memory) => {
                memory.room = memory.room.checked_sub(1).ok_or(Resource::Memory)?;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether measuring goes on: for readers, for a while after the last one or its question, and until nothing is short
    /// any more. Without, what was measured is forgotten.
    fn demand(&mut self, no_readers: bool, now: Instant) -> Demand {
        let arrived = std::mem::take(&mut self.arrived);
        if arrived || !no_readers || self.levels() != [Level::Normal; 2] {
            self.demanded_at = Some(now);
        }
        let is_recent = |at: Instant| now.saturating_duration_since(at) < limits::OVERLOAD_EASES;
        if self.demanded_at.is_some_and(is_recent) {
            return Demand::Readers;
        }
        self.lateness = Lateness::default();
        self.cpu = Ladder::new(cpu_marks());
        Demand::Nobody
    }

    /// For want of what a round of readers is to be ended now.
    fn sheds(&mut self, now: Instant) -> Option<Resource> {
        let resource = Resource::ALL.into_iter().find(|one| self.level(*one) == Level::Shedding)?;
        let waits = |at: Instant| now.saturating_duration_since(at) < limits::SHED_PAUSE;
        if self.shed_at.is_some_and(waits) {
            return None;
        }
        self.shed_at = Some(now);
        Some(resource)
    }

    fn standing(&self, resource: Resource) -> Standing {
        let level = self.level(resource);
        let reason = match (resource, &self.memory) {
            (Resource::Cpu, _) => reason::cpu(level, self.lateness.median()),
            (Resource::Memory, Some(memory)) => reason::memory(level, memory.used, memory.budget),
            (Resource::Memory, None) => reason::NO_BUDGET.to_owned(),
        };
        Standing { resource, level, reason }
    }
}

impl Memory {
    fn new(budget: u64) -> Self {
        let ladder = Ladder::new(memory_marks(budget));
        let room = ladder.marks().full / limits::READER_BYTES;
        Self { budget, ladder, used: 0, room }
    }

    /// Readers that come faster than they are measured are counted, at what one is taken to cost.
    fn measured(&mut self, used: u64, now: Instant) {
        self.used = used;
        self.ladder.judge(used, now);
        self.room = self.ladder.marks().full.saturating_sub(used) / limits::READER_BYTES;
    }
}

/// In microseconds of lateness. One mark for both levels: if refusing does not help for long, more has to go.
fn cpu_marks() -> Marks {
    Marks {
        full: micros(limits::LATENESS_FULL),
        full_after: limits::CPU_FULL_AFTER,
        shed: micros(limits::LATENESS_FULL),
        shed_after: limits::CPU_SHED_AFTER,
        easy: micros(limits::LATENESS_EASY),
        eases: limits::OVERLOAD_EASES,
    }
}

/// In bytes. A measurement is exact, so the first one counts.
fn memory_marks(budget: u64) -> Marks {
    Marks {
        full: percent(budget, limits::MEMORY_FULL_PERCENT),
        full_after: Duration::ZERO,
        shed: budget,
        shed_after: limits::MEMORY_SHED_AFTER,
        easy: percent(budget, limits::MEMORY_EASY_PERCENT),
        eases: limits::OVERLOAD_EASES,
    }
}

fn percent(of: u64, percent: u64) -> u64 {
    (of / 100).saturating_mul(percent)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
