use std::task::{Context, Poll, Waker};

use super::*;

const MIB: u64 = 1 << 20;
const SAMPLE: Duration = limits::LOAD_SAMPLE;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn load(budget: Option<u64>) -> Arc<Load> {
    Load::new(budget, Metrics::new())
}

fn level(load: &Load, resource: Resource) -> Level {
    load.standings().into_iter().find(|s| s.resource == resource).unwrap().level
}

/// Ticks and judgements as the sampler makes them, for so long; gives the time after.
fn run(load: &Load, from: Instant, long: Duration, late: Duration, used: u64) -> Instant {
    let (mut now, mut judged) = (from, from);
    while now < from + long {
        now += limits::LATENESS_TICK + late;
        load.tick(late, now);
        if now - judged >= SAMPLE {
            judged = now;
            load.judge(Some(used), now);
        }
    }
    now
}

#[test]
fn memory_at_its_mark_takes_no_reader_and_below_another_takes_them_again() {
    let load = load(Some(1000 * MIB));
    let from = now();
    load.judge(Some(900 * MIB - 2 * limits::READER_BYTES), from);
    assert_eq!((load.admit(), load.admit()), (Ok(()), Ok(())));
    assert_eq!(load.admit(), Err(Lack::Of(Resource::Memory)), "one more than there is room for");
    load.judge(Some(900 * MIB - 1), from + SAMPLE);
    assert_eq!(level(&load, Resource::Memory), Level::Normal);
    load.judge(Some(900 * MIB), from + 2 * SAMPLE);
    assert_eq!(level(&load, Resource::Memory), Level::Full);
    let later =
        run(&load, from + 3 * SAMPLE, limits::OVERLOAD_EASES * 2, Duration::ZERO, 850 * MIB);
    assert_eq!(load.admit(), Err(Lack::Of(Resource::Memory)), "not below the lower mark");
    let later = run(&load, later, limits::OVERLOAD_EASES, Duration::ZERO, 850 * MIB - 1);
    assert_eq!(load.admit(), Err(Lack::Of(Resource::Memory)), "not for long enough");
    run(&load, later, 2 * SAMPLE, Duration::ZERO, 850 * MIB - 1);
    assert_eq!((load.admit(), level(&load, Resource::Memory)), (Ok(()), Level::Normal));
    assert_eq!(load.metrics.overload.resource("memory").refused.get(), 3);
}

#[test]
fn memory_over_its_budget_for_long_sheds() {
    let load = load(Some(1000 * MIB));
    let from = now();
    let later = run(&load, from, limits::MEMORY_SHED_AFTER * 2, Duration::ZERO, 1000 * MIB - 1);
    assert_eq!(level(&load, Resource::Memory), Level::Full);
    run(&load, later, limits::MEMORY_SHED_AFTER + 2 * SAMPLE, Duration::ZERO, 1000 * MIB);
    assert_eq!(level(&load, Resource::Memory), Level::Shedding);
    assert_eq!(load.metrics.overload.resource("memory").level.get(), 2);
}

#[test]
fn readers_that_lag_go_one_round_a_second_until_it_is_enough() {
    let load = load(Some(1000 * MIB));
    let from = now();
    let readers = [(); 3].map(|()| load.reader(from));
    for reader in &readers {
        reader.behind().waits(from);
    }
    let shed = || load.metrics.overload.resource("memory").shed.get();
    load.judge(Some(1000 * MIB), from);
    let from = from + limits::MEMORY_SHED_AFTER;
    load.judge(Some(1000 * MIB), from - Duration::from_millis(1));
    assert_eq!(shed(), 0, "not for long enough");
    load.judge(Some(1000 * MIB), from);
    load.judge(Some(1000 * MIB), from + limits::SHED_PAUSE - Duration::from_millis(1));
    assert_eq!(shed(), 1, "one round a second");
    load.judge(Some(1000 * MIB), from + limits::SHED_PAUSE);
    assert_eq!(shed(), 2);
    load.judge(Some(1000 * MIB - 1), from + 2 * limits::SHED_PAUSE);
    assert_eq!(shed(), 2, "it is enough");
}

#[test]
fn measuring_ends_a_while_after_the_last_reader_and_not_while_anything_is_short() {
    let load = load(Some(1000 * MIB));
    let from = now();
    let at = |seconds| from + Duration::from_secs(seconds);
    let judge = |used, seconds| load.judge(Some(used), at(seconds));
    assert_eq!(judge(0, 0), Demand::Nobody);
    let reader = load.reader(from);
    assert_eq!(judge(0, 100), Demand::Readers);
    drop(reader);
    assert_eq!((judge(0, 109), judge(0, 110)), (Demand::Readers, Demand::Nobody));
    load.admit().unwrap();
    assert_eq!((judge(0, 200), judge(0, 209)), (Demand::Readers, Demand::Readers));
    assert_eq!(judge(0, 210), Demand::Nobody);
    assert_eq!((judge(900 * MIB, 300), judge(900 * MIB, 400)), (Demand::Readers, Demand::Readers));
    // What was late before is no reason to refuse those who come later.
    load.tick(limits::LATENESS_FULL, at(500));
    assert_eq!(judge(0, 500), Demand::Readers);
    load.tick(Duration::ZERO, at(510));
    assert_eq!(judge(0, 510), Demand::Nobody);
    assert_eq!(load.standings()[0].reason, "tasks wait 0 ms for a CPU (short from 200 ms on)");
}

#[test]
fn another_budget_is_in_force_at_once() {
    let load = load(Some(100 * MIB));
    load.judge(Some(95 * MIB), now());
    assert_eq!(load.admit(), Err(Lack::Of(Resource::Memory)));
    load.set_budget(Some(200 * MIB), now());
    assert_eq!(load.admit(), Ok(()));
    load.set_budget(Some(105 * MIB), now());
    assert_eq!(load.admit(), Err(Lack::Of(Resource::Memory)));
    assert_eq!(load.metrics.overload.memory_budget.get(), 105 << 20);
    load.set_budget(None, now());
    load.judge(Some(u64::MAX), now());
    assert_eq!((load.admit(), load.metrics.overload.memory_budget.get()), (Ok(()), 0));
}

#[test]
fn cpu_that_is_short_for_seconds_takes_no_reader_and_then_sheds() {
    let load = load(None);
    let late = limits::LATENESS_FULL;
    let under = late - Duration::from_millis(1);
    let from = run(&load, now(), Duration::from_secs(60), under, 0);
    assert_eq!(level(&load, Resource::Cpu), Level::Normal, "one under the mark");
    let from = run(&load, from, limits::LATENESS_WINDOW / 2, late, 0);
    assert_eq!(load.admit(), Ok(()), "not for long enough");
    let from = run(&load, from, limits::CPU_FULL_AFTER + SAMPLE * 2, late, 0);
    assert_eq!(load.admit(), Err(Lack::Of(Resource::Cpu)));
    assert_eq!(level(&load, Resource::Cpu), Level::Full);
    let from = run(&load, from, limits::CPU_SHED_AFTER - limits::CPU_FULL_AFTER, late, 0);
    assert_eq!(level(&load, Resource::Cpu), Level::Shedding);
    // As soon as it is better nobody else has to go; readers come later.
    let from = run(&load, from, limits::LATENESS_WINDOW, limits::LATENESS_EASY, 0);
    assert_eq!(level(&load, Resource::Cpu), Level::Full);
    let from = run(&load, from, limits::OVERLOAD_EASES * 2, limits::LATENESS_EASY, 0);
    assert_eq!(level(&load, Resource::Cpu), Level::Full, "not below the lower mark");
    let eases = limits::LATENESS_WINDOW + limits::OVERLOAD_EASES;
    run(&load, from, eases, Duration::from_millis(1), 0);
    assert_eq!((load.admit(), load.metrics.overload.resource("cpu").level.get()), (Ok(()), 0));
    assert_eq!(load.metrics.overload.resource("cpu").refused.get(), 1);
}

#[test]
fn a_machine_that_stands_still_refuses_nobody() {
    let load = load(None);
    let mut from = now();
    for _ in 0..20 {
        from = run(&load, from, Duration::from_secs(1), Duration::from_millis(1), 0);
        from = run(&load, from, Duration::from_millis(1), Duration::from_millis(500), 0);
        assert_eq!(load.admit(), Ok(()));
    }
    run(&load, from, Duration::from_millis(1), Duration::from_secs(60), 0);
    assert_eq!(load.admit(), Ok(()), "a minute at once, too");
}

#[test]
fn operators_are_told_what_was_measured_and_what_to_do() {
    let load = load(Some(400 * MIB));
    let reason = |load: &Load| load.standings()[1].reason.clone();
    load.judge(Some(100 * MIB), now());
    assert_eq!(reason(&load), "100 MiB of 400 MiB (limits.memory_mib)");
    load.judge(Some(380 * MIB), now());
    let said = reason(&load);
    assert!(
        said.starts_with("380 MiB of 400 MiB (limits.memory_mib): new readers are refused; raise"),
        "{said}"
    );
}

#[test]
fn without_proof_nobody_comes_and_all_go() {
    let load = Load::new(None, Metrics::new());
    let now = || tokio::time::Instant::now().into_std();
    let told = |reader: &mut Reader| reader.poll_shed(&mut Context::from_waker(Waker::noop()));
    let mut early = load.reader(now());
    assert!(!load.set_serves(true), "no news");
    assert_eq!((load.admit(), told(&mut early)), (Ok(()), Poll::Pending));
    assert!(load.set_serves(false));
    assert_eq!((load.admit(), told(&mut early)), (Err(Lack::Proof), Poll::Ready(Lack::Proof)));
    let mut late = load.reader(now());
    assert_eq!(told(&mut late), Poll::Ready(Lack::Proof), "it was let in before");
    assert!(load.set_serves(true));
    let mut again = load.reader(now());
    assert_eq!((load.admit(), told(&mut again)), (Ok(()), Poll::Pending));
    let metrics = &load.metrics.segment;
    assert_eq!((metrics.refused_readers.get(), metrics.ended_readers.get()), (1, 2));
}
