//! What the run proves: which ways were listed, on which something came out, and whether we would have seen it.

use super::{Expect, Found, Mark, Scene, Way};
use crate::segment::{BRIDGE, CANARY_PORT, CanaryResult, Row};

/// Names that a result carries at most, of each kind.
const NAMES: usize = 64;
/// Letters that a result tells of one failed control at most.
const WORDS: usize = 200;
/// Failed controls that a result carries at most.
const FAILED: usize = 16;

/// All that a run found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When it began, ms of the UNIX epoch.
    pub at_ms: u64,
    /// One for each way, in their order.
    pub outcomes: Vec<Outcome>,
    /// What must hold for the rest to prove anything.
    pub controls: Vec<Control>,
}

/// What became of one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The way's name.
    pub name: &'static str,
    /// Where it went, as the ledger must list it.
    pub sent: Vec<String>,
    /// What of this the ledger does not list; `None`: there was no ledger to look into.
    pub unseen: Option<Vec<String>>,
    /// Where something of it came out; each place once.
    pub escaped: Vec<String>,
}

/// Something that must hold for the run to prove anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// What must hold, in words.
    pub name: String,
    /// Why it does not.
    pub failed: Option<String>,
}

/// What was seen of a run. Times are ms since it began.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// When each way began; shorter than the ways if the run was cut.
    pub began_ms: &'a [u64],
    /// Marked frames on the machine's own interfaces, all that are not beacons.
    pub outside: &'a [Found],
    /// Marked frames on the segment's interfaces.
    pub inside: &'a [Found],
    /// The ledger's rows about the canary's Ethernet addresses; `None`: it could not be read.
    pub rows: Option<&'a [Row]>,
}

impl Seen<'_> {
    /// What became of each way.
    pub fn outcomes(&self, scene: &Scene, ways: &[Way]) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = ways.iter().map(|way| self.listed(way)).collect();
        let outside = self.outside.iter().filter(|found| !matches!(found.mark, Mark::Beacon(_)));
        let across = self.inside.iter().filter(|found| crossed(scene, found));
        for found in outside.chain(across) {
            let place = place(found);
            if let Some(outcome) = outcomes.get_mut(self.way(found, ways.len()))
                && !outcome.escaped.contains(&place)
            {
                outcome.escaped.push(place);
            }
        }
        outcomes
    }

    fn listed(&self, way: &Way) -> Outcome {
        let words = Expect::words;
        let unseen = self.rows.map(|rows| {
            let is_absent = |expect: &&Expect| !rows.iter().any(|row| expect.is(row));
            way.expects.iter().filter(is_absent).map(words).collect()
        });
        let sent = way.expects.iter().map(words).collect();
        Outcome { name: way.name, sent, unseen, escaped: Vec::new() }
    }

    /// The way that a frame belongs to: the one it says, or else the one that was tried when it came.
    fn way(&self, found: &Found, ways: usize) -> usize {
        match found.mark {
            Mark::Marker(Some(number)) if usize::from(number) < ways => usize::from(number),
            Mark::Marker(_) | Mark::Mac | Mark::Address | Mark::Beacon(_) => {
                self.began_ms.iter().take_while(|began| **began <= found.at_ms).count().max(1) - 1
            }
        }
    }
}

impl Outcome {
    /// Whether the ledger, which was looked into, does not list all of it.
    pub fn is_unseen(&self) -> bool {
        self.unseen.as_ref().is_some_and(|unseen| !unseen.is_empty())
    }
}

impl Report {
    /// What goes into the ledger and to the gateway.
    pub fn result(&self) -> CanaryResult {
        let names = |is: fn(&Outcome) -> bool| -> Vec<String> {
            let some = self.outcomes.iter().filter(|outcome| is(outcome));
            some.map(|outcome| outcome.name.to_owned()).take(NAMES).collect()
        };
        let failed = self.controls.iter().filter_map(|control| {
            let why = control.failed.as_ref()?;
            Some(format!("{}: {why}", control.name).chars().take(WORDS).collect())
        });
        CanaryResult {
            at_ms: self.at_ms,
            tries: u32::try_from(self.outcomes.len()).unwrap_or(u32::MAX),
            escaped: names(|outcome| !outcome.escaped.is_empty()),
            unseen: names(Outcome::is_unseen),
            failed_controls: failed.take(FAILED).collect(),
        }
    }
}

/// Whether a frame of the canary left the bridge by another device's port.
fn crossed(scene: &Scene, found: &Found) -> bool {
    let elsewhere = ![CANARY_PORT, BRIDGE, "lo"].contains(&found.interface.as_str());
    let ours = || found.source.is_some_and(|mac| [scene.mac, scene.other_mac].contains(&mac));
    let marked = match found.mark {
        Mark::Marker(_) => true,
        // The gateway's own ARP carries the canary's address, and its answers the canary's Ethernet address.
        Mark::Mac | Mark::Address => ours(),
        Mark::Beacon(_) => false,
    };
    found.outgoing && elsewhere && marked
}

fn place(found: &Found) -> String {
    let direction = if found.outgoing { "out on" } else { "in on" };
    format!("{direction} {}", found.interface)
}

#[cfg(test)]
mod tests {
    use super::super::scene::tests::scene;
    use super::super::ways::ways;
    use super::*;
    use crate::segment::{Attempt, MacAddr, Protocol, Verdict};

    fn row(expect: &Expect) -> Row {
        Row {
            day: "2026-11-29".to_owned(),
            run: "0123456789abcdef".to_owned(),
            device: expect.device,
            ip: None,
            camera: None,
            vendor: None,
            attempt: Attempt {
                protocol: expect.protocols[0],
                destination: expect.to,
                port: expect.port,
                name: expect.name.clone(),
                verdict: expect.verdicts[0],
            },
            count: 1,
            bytes: 60,
            first_ms: 1,
            last_ms: 1,
        }
    }

    fn found(at_ms: u64, interface: &str, mark: Mark) -> Found {
        Found { at_ms, interface: interface.to_owned(), outgoing: true, mark, source: None }
    }

    struct Run {
        scene: Scene,
        ways: Vec<Way>,
        began: Vec<u64>,
        rows: Vec<Row>,
    }

    fn run() -> Run {
        let scene = scene();
        let ways = ways(&scene);
        let began = (0..).step_by(30).take(ways.len()).collect();
        let rows = ways.iter().flat_map(|way| &way.expects).map(row).collect();
        Run { scene, ways, began, rows }
    }

    impl Run {
        fn result(&self, outside: &[Found], inside: &[Found]) -> CanaryResult {
            let seen = Seen { began_ms: &self.began, outside, inside, rows: Some(&self.rows) };
            let outcomes = seen.outcomes(&self.scene, &self.ways);
            Report { at_ms: 1, outcomes, controls: Vec::new() }.result()
        }
    }

    #[test]
    fn it_holds_if_all_is_listed_and_nothing_came_out() {
        let run = run();
        let result = run.result(&[found(5, "eth0", Mark::Beacon(Some(0)))], &[]);
        assert!(result.passed(), "{result:?}");
    }

    #[test]
    fn a_frame_outside_names_its_way() {
        let run = run();
        let frames = [
            found(900, "eth0", Mark::Marker(Some(3))),
            found(70, "eth0", Mark::Mac),
            found(0, "eth0", Mark::Address),
            found(9, "eth0", Mark::Marker(Some(u16::MAX))),
        ];
        let names = |n: usize| run.ways[n].name.to_owned();
        assert_eq!(run.result(&frames, &[]).escaped, [0, 2, 3].map(names));
    }

    #[test]
    fn a_row_that_is_missing_names_its_way() {
        let mut run = run();
        let gone = run.rows.iter().position(|row| row.attempt.protocol == Protocol::Gre).unwrap();
        run.rows.remove(gone);
        assert_eq!(run.result(&[], &[]).unseen, ["gre"]);
        // One that was answered, and should not have been, does not count as listed.
        let icmp = run.rows.iter_mut().find(|row| row.attempt.protocol == Protocol::Icmp).unwrap();
        icmp.attempt.verdict = Verdict::Answered;
        assert_eq!(run.result(&[], &[]).unseen, ["icmp-internet", "gre"]);
    }

    #[test]
    fn what_left_by_a_camera_s_port_escaped() {
        let run = run();
        let number = run.ways.iter().position(|way| way.name == "camera-to-camera").unwrap();
        let mark = Mark::Marker(Some(u16::try_from(number).unwrap()));
        assert_eq!(run.result(&[], &[found(0, "eth1", mark)]).escaped, ["camera-to-camera"]);
        let gateway = MacAddr([2, 0, 0, 0, 0, 1]);
        let mut arp = found(0, "eth1", Mark::Address);
        arp.source = Some(gateway);
        let mut coming = found(0, "eth1", mark);
        coming.outgoing = false;
        let own = found(0, CANARY_PORT, mark);
        assert!(run.result(&[], &[arp, coming, own]).passed());
        let mut flooded = found(0, "eth1", Mark::Mac);
        flooded.source = Some(run.scene.other_mac);
        assert!(!run.result(&[], &[flooded]).passed());
    }

    #[test]
    fn a_control_that_failed_proves_nothing_and_the_result_is_bounded() {
        let run = run();
        let outcome = Outcome {
            name: "x",
            sent: Vec::new(),
            unseen: Some(vec!["y".to_owned()]),
            escaped: vec!["z".to_owned()],
        };
        let control = |n: usize| Control { name: format!("{n}"), failed: Some("w".repeat(WORDS)) };
        let many = Report {
            at_ms: 1,
            outcomes: vec![outcome; NAMES + 1],
            controls: (0..=FAILED).map(control).collect(),
        };
        let result = many.result();
        assert_eq!((result.escaped.len(), result.unseen.len()), (NAMES, NAMES));
        assert_eq!(result.failed_controls.len(), FAILED);
        assert!(result.failed_controls.iter().all(|words| words.len() == WORDS));
        let seen = Seen { began_ms: &run.began, outside: &[], inside: &[], rows: Some(&run.rows) };
        let outcomes = seen.outcomes(&run.scene, &run.ways);
        assert!(!Report { at_ms: 1, outcomes, controls: vec![control(1)] }.result().passed());
    }
}
