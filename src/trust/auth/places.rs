//! Places for connections that have not logged in: few in all, fewer for one source; others wait in
//! the order they came.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::source::Source;
use crate::ops::limits;

/// The places of the process, shared by all listeners.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shared>);

/// What becomes of a connection that arrives.
#[derive(Debug)]
pub enum Arrival {
    /// There is a place.
    Enters(PreAuthPlace),
    /// It waits; the place comes from [`Waiting::turn`].
    Waits(Waiting),
    /// Too many of its source wait already: close it.
    Refused,
}

/// A connection's place among those that have not logged in. Drop gives it back.
#[derive(Debug)]
pub struct PreAuthPlace {
    shared: Arc<Shared>,
    source: Source,
}

/// A connection's place in the waiting line. Drop leaves the line.
#[derive(Debug)]
pub struct Waiting {
    shared: Arc<Shared>,
    number: u64,
    turn: oneshot::Receiver<PreAuthPlace>,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    inside: usize,
    inside_of: HashMap<Source, usize>,
    waiting: VecDeque<Waiter>,
    next_number: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    source: Source,
    turn: oneshot::Sender<PreAuthPlace>,
}

impl Places {
    /// All places free.
    #[allow(clippy::new_without_default, reason = "made once, by the composition root")]
    pub fn new() -> Self {
        Self(Arc::new(Shared { line: Mutex::default() }))
    }

    /// Takes a place for a connection from `address`, or a place in the waiting line.
    pub fn arrive(&self, address: IpAddr) -> Arrival {
        let source = Source::from(address);
        let mut line = self.0.line();
        let same = line.waiting.iter().filter(|waiter| waiter.source == source).count();
        // With a free place for this source nobody of it waits: places are handed on when they free.
        if line.has_place(source) {
            line.enter(source);
            return Arrival::Enters(PreAuthPlace { shared: Arc::clone(&self.0), source });
        }
        if same >= limits::WAITING_PER_SOURCE {
            return Arrival::Refused;
        }
        if line.waiting.len() >= limits::WAITING && line.make_room(same).is_none() {
            return Arrival::Refused;
        }
        let (send, turn) = oneshot::channel();
        let number = line.next_number;
        line.next_number += 1;
        line.waiting.push_back(Waiter { number, source, turn: send });
        Arrival::Waits(Waiting { shared: Arc::clone(&self.0), number, turn })
    }

    /// Connections inside and waiting.
    pub fn count(&self) -> (usize, usize) {
        let line = self.0.line();
        (line.inside, line.waiting.len())
    }
}

impl Waiting {
    /// The place, when the turn came. Cancel-safe: a place that came meanwhile is given back.
    pub async fn turn(mut self) -> Option<PreAuthPlace> {
        (&mut self.turn).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Declared before the lock so that what is taken out is dropped after it is released.
        let _left;
        let mut line = self.shared.line();
        _left = line
            .waiting
            .iter()
            .position(|waiter| waiter.number == self.number)
            .and_then(|at| line.waiting.remove(at));
        drop(line);
    }
}

impl Drop for PreAuthPlace {
    fn drop(&mut self) {
        let next = {
            let mut line = self.shared.line();
            line.leave(self.source);
            line.admit_next()
        };
        if let Some(waiter) = next {
            let place = Self { shared: Arc::clone(&self.shared), source: waiter.source };
            // Outside the lock: if the waiter just gave up, the place comes back and drops right here.
            drop(waiter.turn.send(place));
        }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn has_place(&self, source: Source) -> bool {
        self.inside < limits::UNAUTHENTICATED
            && self.inside_of.get(&source).copied().unwrap_or(0)
                < limits::UNAUTHENTICATED_PER_SOURCE
    }

    fn enter(&mut self, source: Source) {
        self.inside += 1;
        *self.inside_of.entry(source).or_default() += 1;
    }

    fn leave(&mut self, source: Source) {
        self.inside = self.inside.saturating_sub(1);
        if let Some(n) = self.inside_of.get_mut(&source) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.inside_of.remove(&source);
            }
        }
    }

    /// Turns away the newest waiter of the source that [`Source::to_make_room`] names.
    fn make_room(&mut self, same: usize) -> Option<Waiter> {
        let sources = self.waiting.iter().map(|waiter| waiter.source);
        let most = Source::to_make_room(sources, same)?;
        let at = self.waiting.iter().rposition(|waiter| waiter.source == most)?;
        self.waiting.remove(at)
    }

    /// The first waiter whose source has a place; it counts as inside from now on.
    fn admit_next(&mut self) -> Option<Waiter> {
        let at = self.waiting.iter().position(|waiter| self.has_place(waiter.source))?;
        let waiter = self.waiting.remove(at)?;
        self.enter(waiter.source);
        Some(waiter)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn enter(places: &Places, address: [u8; 4]) -> PreAuthPlace {
        match places.arrive(address.into()) {
            Arrival::Enters(place) => place,
            other @ (Arrival::Waits(_) | Arrival::Refused) => panic!("{other:?}"),
        }
    }

    fn wait(places: &Places, address: [u8; 4]) -> Waiting {
        match places.arrive(address.into()) {
            Arrival::Waits(waiting) => waiting,
            other @ (Arrival::Enters(_) | Arrival::Refused) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_ninth_of_a_source_waits_while_others_enter() {
        let places = Places::new();
        let mut inside: Vec<_> =
            (0..limits::UNAUTHENTICATED_PER_SOURCE).map(|_| enter(&places, [1; 4])).collect();
        let first = wait(&places, [1; 4]);
        let second = wait(&places, [1; 4]);
        let other = enter(&places, [2; 4]);
        drop(other);
        assert_eq!(places.count(), (8, 2), "another source's place is no use to them");
        inside.pop();
        assert!(first.turn().now_or_never().flatten().is_some(), "in the order they came");
        // `first`'s place was dropped at once, so it is the second's turn.
        assert!(second.turn().now_or_never().flatten().is_some());
        drop(inside);
        assert_eq!(places.count(), (0, 0));
        assert!(places.0.line().inside_of.is_empty());
    }

    #[test]
    fn all_sources_together_have_64_places() {
        let places = Places::new();
        let mut inside: Vec<_> = (0..64).map(|n| enter(&places, [n, 0, 0, 1])).collect();
        let waiting = wait(&places, [99; 4]);
        inside.pop();
        assert_eq!(places.count(), (64, 0));
        drop(waiting);
        assert_eq!(places.count(), (63, 0), "a place on its way to one who left comes back");
    }

    #[test]
    fn whoever_leaves_the_line_is_passed_over() {
        let places = Places::new();
        let inside: Vec<_> = (0..8).map(|_| enter(&places, [1; 4])).collect();
        let gone = wait(&places, [1; 4]);
        let stays = wait(&places, [1; 4]);
        drop(gone);
        assert_eq!(places.count(), (8, 1));
        drop(inside);
        assert!(stays.turn().now_or_never().flatten().is_some());
    }

    #[test]
    fn the_line_is_bounded_for_one_source_and_for_all() {
        let places = Places::new();
        let _inside: Vec<_> = (0..64).map(|n| enter(&places, [n, 0, 0, 1])).collect();
        let mut line: Vec<_> =
            (0..limits::WAITING_PER_SOURCE).map(|_| wait(&places, [9; 4])).collect();
        assert!(matches!(places.arrive([9; 4].into()), Arrival::Refused));
        while line.len() < limits::WAITING {
            line.push(wait(&places, [10; 4]));
        }
        let _other = wait(&places, [11; 4]);
        assert_eq!(places.count(), (64, limits::WAITING), "one of the many left for it");
        let is_turned_away = |waiting: &mut Waiting| {
            matches!(waiting.turn.try_recv(), Err(oneshot::error::TryRecvError::Closed))
        };
        assert_eq!(line.iter_mut().map(is_turned_away).filter(|away| *away).count(), 1);
        drop(line);
        let _line: Vec<_> = (1..limits::WAITING)
            .map(|n| [77, 0, u8::try_from(n >> 8).unwrap(), u8::try_from(n & 255).unwrap()])
            .map(|address| wait(&places, address))
            .collect();
        assert_eq!(places.count(), (64, limits::WAITING));
        let arrival = places.arrive([12; 4].into());
        assert!(matches!(arrival, Arrival::Refused), "nobody has more than it would have");
    }

    #[test]
    fn whoever_fills_the_line_keeps_nobody_else_out() {
        let places = Places::new();
        let fill = |address: [u8; 4]| -> Vec<Arrival> {
            let most = limits::UNAUTHENTICATED_PER_SOURCE + limits::WAITING_PER_SOURCE;
            (0..most).map(|_| places.arrive(address.into())).collect()
        };
        let _two_sources = (fill([1; 4]), fill([2; 4]));
        assert_eq!(places.count(), (16, limits::WAITING));
        let mut others: Vec<_> = (0..8).map(|_| places.arrive([3; 4].into())).collect();
        assert!(others.iter().all(|other| matches!(other, Arrival::Enters(_))));
        others.push(places.arrive([3; 4].into()));
        assert!(matches!(others.last(), Some(Arrival::Waits(_))), "and it may wait as well");
        assert_eq!(places.count(), (24, limits::WAITING));
    }
}
