//! One run, from the watchers to what they saw.

use std::fs::File;
use std::net::IpAddr;

use nix::net::if_::InterfaceFlags;
use rustix::fs::{FlockOperation, flock};
use tokio::time::Instant;

use super::attach::{Attached, CANARY};
use super::interfaces::{Interface, interfaces};
use super::ledger::Before;
use super::namespace::within;
use super::tries::{Sender, Tried, tries};
use super::watch::{self, Watched, Watcher};
use super::{Stop, service};
use crate::ops::limits;
use crate::ops::random::random;
use crate::segment::canary::{
    Control, Expect, Found, Mark, Marks, Report, Scene, Seen, Way, beacon, ways,
};
use crate::segment::{BRIDGE, CANARY_PORT, MacAddr, Place, Plan, Row, now_ms};

/// Why there is no report.
#[derive(Debug)]
pub(super) enum NoRun {
    /// It was told to stop.
    Stopped,
    /// Another one runs.
    Busy,
    /// It could not be done.
    Failed {
        /// When it began, ms of the UNIX epoch.
        at_ms: u64,
        /// Why, and what to do.
        why: String,
    },
}

/// What a run needs before the canary is attached.
struct Ready {
    scene: Scene,
    /// Interfaces that must show their beacon.
    uplinks: Vec<Result<Interface, String>>,
    before: Result<Before, String>,
    outside: Watcher,
    inside: Watcher,
    began: Instant,
}

/// What is known of the time when the canary was attached.
struct Out {
    scene: Scene,
    ways: Vec<Way>,
    tried: Tried,
    /// The segment's interfaces.
    segment: Vec<Interface>,
}

/// Sends the canary out and back.
pub(super) fn run(place: &Place, plan: &Plan, stop: &Stop) -> Result<Report, NoRun> {
    let at_ms = now_ms();
    let failed = |why| NoRun::Failed { at_ms, why };
    let file = File::open(&place.file).map_err(|error| failed(error.to_string()))?;
    // Held until the end of the run.
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| NoRun::Busy)?;
    let ready = prepare(place, plan).map_err(failed)?;
    beacons(&ready, 0);
    let Out { scene, ways, tried, segment } = attached(place, &ready, stop).map_err(failed)?;
    if stop.is_told() {
        return Err(NoRun::Stopped);
    }
    beacons(&ready, 1);
    let Ready { scene: _, uplinks, before, outside, inside, began: _ } = ready;
    let now = interfaces().map_err(failed)?;
    let (outside, inside) = (outside.stop(&now), inside.stop(&segment));
    let listed = listed(place, &scene, &ways, &before, stop);
    if stop.is_told() {
        return Err(NoRun::Stopped);
    }
    let mut controls = uplinks_held(&uplinks, &outside);
    controls.extend(watched(&scene, &outside, &inside));
    controls.extend(answered(&tried, &ways));
    let (rows, alive) = match listed {
        Ok(rows) => (Some(rows), None),
        Err(why) => (None, Some(why)),
    };
    let name = "the segment's service writes the ledger".to_owned();
    controls.push(Control { name, failed: alive });
    let seen = Seen {
        began_ms: &tried.began_ms,
        outside: &outside.found,
        inside: &inside.found,
        rows: rows.as_deref(),
    };
    Ok(Report { at_ms, outcomes: seen.outcomes(&scene, &ways), controls })
}

/// The report of a run that could not be done.
pub(super) fn failed(at_ms: u64, why: String) -> Report {
    let control = Control { name: "starting the canary".to_owned(), failed: Some(why) };
    Report { at_ms, outcomes: Vec::new(), controls: vec![control] }
}

fn prepare(place: &Place, plan: &Plan) -> Result<Ready, String> {
    let all = interfaces()?;
    let (socket, segment) =
        within(&place.pin(), || Ok::<_, String>((watch::open()?, interfaces()?)))??;
    let random = random::<48>().map_err(|error| error.to_string())?;
    let bridge = bridge(&segment)?;
    let scene =
        Scene::new(plan, bridge, addresses(&all), &random).map_err(|error| error.to_string())?;
    let began = Instant::now();
    let outside = Watcher::start(watch::open()?, Marks::new(&scene), began)?;
    let inside = Watcher::start(socket, Marks::new(&scene), began)?;
    Ok(Ready {
        uplinks: uplinks(plan, &all),
        before: Before::new(&place.ledger()),
        scene,
        outside,
        inside,
        began,
    })
}

/// The addresses of this machine on the other side.
fn addresses(all: &[Interface]) -> Vec<IpAddr> {
    let others = all.iter().filter(|one| !one.is_loopback());
    let own = others.flat_map(|one| one.addresses.iter().copied());
    own.filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())).collect()
}

/// Those of the plan; if it names none, all that are up. The loopback besides: what is sent there also comes in.
fn uplinks(plan: &Plan, all: &[Interface]) -> Vec<Result<Interface, String>> {
    let find = |name: &str| all.iter().find(|one| one.name == name).cloned();
    let mut found: Vec<_> = plan
        .uplinks
        .iter()
        .map(|name| find(name.as_str()).ok_or_else(|| format!("there is no interface {name}")))
        .collect();
    if found.is_empty() {
        let up = |one: &&Interface| one.is_up() && one.is_ethernet() && !one.is_loopback();
        found.extend(all.iter().filter(up).cloned().map(Ok));
    }
    if found.is_empty() {
        found.push(Err("no interface of this machine is up: nothing could get out now".to_owned()));
    }
    let loopback = all.iter().find(|one| one.is_loopback());
    found
        .extend(loopback.filter(|one| one.flags.contains(InterfaceFlags::IFF_UP)).cloned().map(Ok));
    found.truncate(limits::CANARY_BEACONS);
    found
}

/// Shows the watcher a frame on each uplink. What cannot be sent is not seen, and told then.
fn beacons(ready: &Ready, round: u16) {
    let Ok(sender) = Sender::new() else { return };
    for (number, interface) in (0_u16..).zip(&ready.uplinks) {
        if let Ok(interface) = interface {
            let frame = beacon(interface.mac(), &ready.scene.beacon, 2 * number + round);
            drop(sender.send(&frame, &interface.link));
        }
    }
}

/// The bridge's Ethernet address.
fn bridge(segment: &[Interface]) -> Result<MacAddr, String> {
    let bridge = segment.iter().find(|one| one.name == BRIDGE);
    bridge.map(Interface::mac).ok_or_else(|| format!("the segment has no {BRIDGE}: is it up?"))
}

/// The tries, between attaching the canary and taking it away, and some time after.
fn attached(place: &Place, ready: &Ready, stop: &Stop) -> Result<Out, String> {
    let canary = Attached::new(place, &ready.scene)?;
    let segment = within(&place.pin(), interfaces)??;
    // A bridge whose address nobody set takes that of a new port.
    let scene = Scene { gateway_mac: bridge(&segment)?, ..ready.scene.clone() };
    let ways = ways(&scene);
    let tried = within(&canary.pin(), || {
        let own = interfaces()?.into_iter().find(|one| one.name == CANARY);
        let own = own.ok_or_else(|| format!("there is no {CANARY}"))?;
        tries(&ways, &own, ready.began, stop)
    })??;
    stop.sleep(limits::CANARY_AFTER);
    Ok(Out { scene, ways, tried, segment })
}

/// The ledger's rows, once they list all that they must, or when it had the time for it.
fn listed(
    place: &Place,
    scene: &Scene,
    ways: &[Way],
    before: &Result<Before, String>,
    stop: &Stop,
) -> Result<Vec<Row>, String> {
    let before = before.as_ref().map_err(Clone::clone)?;
    let until = Instant::now() + limits::CANARY_LISTED;
    loop {
        service::flush(place)?;
        let rows = before.rows(&[scene.mac, scene.other_mac])?;
        let is_listed = |expect: &Expect| rows.iter().any(|row| expect.is(row));
        let all = ways.iter().flat_map(|way| &way.expects).all(is_listed);
        if all || stop.is_told() || Instant::now() >= until {
            return Ok(rows);
        }
        stop.sleep(std::time::Duration::from_millis(500));
    }
}

/// Each uplink showed its beacon, before the tries and after.
fn uplinks_held(uplinks: &[Result<Interface, String>], watched: &Watched) -> Vec<Control> {
    let controls = (0_u16..).zip(uplinks).map(|(number, uplink)| match uplink {
        Err(why) => Control { name: "uplink".to_owned(), failed: Some(why.clone()) },
        Ok(interface) => {
            let seen = |round: u16| {
                let mark = Mark::Beacon(Some(2 * number + round));
                let is = |found: &Found| found.mark == mark && found.interface == interface.name;
                let both = !interface.is_loopback()
                    || watched.found.iter().any(|found| is(found) && !found.outgoing);
                both && watched.found.iter().any(|found| is(found) && found.outgoing)
            };
            let failed = match (seen(0), seen(1)) {
                (true, true) => None,
                _ if !interface.is_up() => Some("it is down".to_owned()),
                _ => Some(
                    "a frame sent there was not seen: something would hide an escape too"
                        .to_owned(),
                ),
            };
            Control { name: format!("frames on {} are seen", interface.name), failed }
        }
    });
    controls.collect()
}

/// Both watchers saw all frames, and the canary was on the bridge.
fn watched(scene: &Scene, outside: &Watched, inside: &Watched) -> Vec<Control> {
    let on_bridge = inside.found.iter().any(|found| {
        found.interface == CANARY_PORT && !found.outgoing && found.source == Some(scene.mac)
    });
    let absent = (!on_bridge).then(|| format!("no frame of it came in by {CANARY_PORT}"));
    let control = |name: &str, failed: &Option<String>| Control {
        name: name.to_owned(),
        failed: failed.clone(),
    };
    vec![
        control("no frame of this machine was missed", &outside.fault),
        control("no frame of the segment was missed", &inside.fault),
        control("the canary is on the bridge", &absent),
    ]
}

/// The local services answered, and all was sent.
fn answered(tried: &Tried, ways: &[Way]) -> Vec<Control> {
    let failed = |all: Vec<&str>| (!all.is_empty()).then(|| all.join(", "));
    let unanswered = failed(tried.unanswered.clone());
    let cut = (tried.began_ms.len() < ways.len()).then(|| "not all attempts were made".to_owned());
    let unsent = failed(tried.unsent.iter().map(String::as_str).collect());
    vec![
        Control { name: "DNS and time are answered on the segment".to_owned(), failed: unanswered },
        Control { name: "all was sent".to_owned(), failed: cut.or(unsent) },
    ]
}
