//! Random request sequences on two connections of two principals, against an independent book of what
//! may be answered; and seeded bugs, each of which the book must notice.

#![allow(clippy::wildcard_enum_match_arm, reason = "the book names what it looks at")]

mod book;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::tests::{begins, now, offer};
use super::*;
use crate::ops::limits::SESSIONS_PER_CONNECTION;
use crate::wire::rtsp::{Response, Transport};

const SEQUENCES: u64 = 100_000;
const TIMEOUT: Duration = Duration::from_secs(60);
const STREAMS: [&str; 3] = ["door/main", "yard/main", "attic/main"];
/// Index of a stream in [`STREAMS`], and a track of it.
type Names = (usize, Option<u8>);
/// URIs with what they name.
const URIS: [(&str, Option<Names>); 14] = [
    ("rtsps://g/door/main", Some((0, None))),
    ("rtsps://g/door/main/", Some((0, None))),
    ("rtsps://g/door/main/trackID=0", Some((0, Some(0)))),
    ("rtsps://u:p@g/door/main/trackID=0?x", Some((0, Some(0)))),
    ("rtsps://g/door/main/trackID=1", Some((0, Some(1)))),
    ("rtsps://g/door/main?a/trackID=1", Some((0, Some(1)))),
    ("rtsps://g/door/main/trackID=2", Some((0, Some(2)))),
    ("rtsps://g/yard/main", Some((1, None))),
    ("rtsps://g/yard/main/trackID=0", Some((1, Some(0)))),
    ("rtsps://g/yard/main/trackID=1", Some((1, Some(1)))),
    ("rtsps://g/attic/main/trackID=0", Some((2, Some(0)))),
    ("rtsps://g/Nothing", None),
    ("*", None),
    ("gopher://g/door/main", None),
];

/// What is planted between the machine and the book: each stands for a fault in the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    CSeqNotEchoed,
    LoginSkipped,
    PrincipalNotCompared,
    ForeignSessionTaken,
    RefusalTurnedIntoSuccess,
    PermitNotAskedAtOpen,
    PermitNotAskedAtJoin,
    PermitNotAskedAtPlay,
    PauseSendsOn,
    TeardownLeaks,
    StartsTwice,
    ChannelsCollide,
    SessionsUnbounded,
    ExpiresEarly,
    ExpiresPlaying,
    NeverExpires,
}

const BUGS: [Bug; 16] = [
    Bug::CSeqNotEchoed,
    Bug::LoginSkipped,
    Bug::PrincipalNotCompared,
    Bug::ForeignSessionTaken,
    Bug::RefusalTurnedIntoSuccess,
    Bug::PermitNotAskedAtOpen,
    Bug::PermitNotAskedAtJoin,
    Bug::PermitNotAskedAtPlay,
    Bug::PauseSendsOn,
    Bug::TeardownLeaks,
    Bug::StartsTwice,
    Bug::ChannelsCollide,
    Bug::SessionsUnbounded,
    Bug::ExpiresEarly,
    Bug::ExpiresPlaying,
    Bug::NeverExpires,
];

#[test]
fn no_sequence_breaks_the_rules() {
    let start = now();
    let mut successes = [0_u64; 3];
    for seed in 0..SEQUENCES {
        match sequence(seed, Bug::None, start) {
            Ok(counts) => successes.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n),
            Err(wrong) => panic!("seed {seed}: {wrong}"),
        }
    }
    // A book that saw no success checked nothing.
    assert!(successes.iter().all(|n| *n > SEQUENCES / 100), "{successes:?}");
}

#[test]
fn each_seeded_bug_is_noticed() {
    let start = now();
    for bug in BUGS {
        let seed = (0..20_000).find(|seed| sequence(*seed, bug, start).is_err());
        assert!(seed.is_some(), "{bug:?} is not noticed");
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

struct World {
    random: Random,
    bug: Bug,
    now: Instant,
    principals: [Arc<Principal>; 2],
    /// By principal and stream; changes as the sequence goes on.
    grants: [[bool; 3]; 2],
    next_id: u128,
    connections: [Side; 2],
    issued: Vec<SessionId>,
}

/// A machine and the book kept on it.
struct Side {
    machine: Machine,
    book: Vec<Entry>,
}

struct Entry {
    id: SessionId,
    owner: usize,
    stream: usize,
    playing: bool,
    tracks: Vec<(u8, (u8, u8))>,
    seen: Instant,
}

/// One request as it was drawn.
struct Drawn {
    request: Request,
    cseq: Option<u32>,
    session: Drawer,
    names: Option<Names>,
    who: Result<usize, Denial>,
    requires: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawer {
    None,
    Garbage,
    Id(SessionId),
}

/// What the driver saw besides the answer.
#[derive(Default)]
struct Asked {
    login: bool,
    /// Principal, stream and whether it was granted.
    permits: Vec<(usize, usize, bool)>,
}

fn sequence(seed: u64, bug: Bug, now: Instant) -> Result<[u64; 3], String> {
    let side = || Side { machine: Machine::new(TIMEOUT, now), book: Vec::new() };
    let mut world = World {
        random: Random(seed),
        bug,
        now,
        principals: [Principal::for_test("ann"), Principal::for_test("bob")],
        grants: [[true, false, false], [true, true, false]],
        next_id: 1,
        connections: [side(), side()],
        issued: Vec::new(),
    };
    let length = if seed.is_multiple_of(128) { 160 } else { 1 + world.random.below(8) };
    // Many sequences begin with what clients do, so that the rest meets a session that plays.
    let opening = world.random.below(4);
    let mut counts = [0; 3];
    for at in 0..length {
        let connection = usize::from(at >= opening && world.random.one_in(4));
        world.pass_time(connection)?;
        let drawn = if at < opening { world.usual(at) } else { world.draw(connection) };
        let (response, effect, asked) = world.exchange(connection, &drawn);
        if response.status == 200 {
            match drawn.request.method {
                Method::Setup => counts[0] += 1,
                Method::Play => counts[1] += 1,
                Method::Pause => counts[2] += 1,
                _ => {}
            }
        }
        let name = format!("{:?} {}", drawn.request.method, drawn.request.uri);
        world
            .check(connection, &drawn, &response, &effect, &asked)
            .map_err(|wrong| format!("{name} -> {} {effect:?}: {wrong}", response.status))?;
    }
    Ok(counts)
}

impl World {
    fn pass_time(&mut self, connection: usize) -> Result<(), String> {
        let seconds = if self.random.one_in(10) { self.random.pick(&[10, 30, 45, 61]) } else { 0 };
        self.now += Duration::from_secs(seconds) + Duration::from_millis(40);
        if self.random.one_in(12) {
            let (principal, stream) = (self.random.below(2), self.random.below(2));
            self.grants[principal][stream] ^= true;
        }
        let side = &mut self.connections[connection];
        if self.random.one_in(4) {
            let channel = u8::try_from(self.random.below(6)).unwrap();
            side.machine.interleaved(channel, self.now).map_err(|e| e.to_string())?;
            let uses =
                |e: &Entry| e.tracks.iter().any(|(_, (a, b))| *a == channel || *b == channel);
            side.book.iter_mut().filter(|e| uses(e)).for_each(|e| e.seen = self.now);
        }
        let due: Vec<SessionId> = side
            .book
            .iter()
            .filter(|e| !e.playing && self.now - e.seen >= TIMEOUT)
            .map(|e| e.id)
            .collect();
        let expired = match self.bug {
            Bug::ExpiresEarly => side.machine.expire(self.now + TIMEOUT / 2),
            Bug::ExpiresPlaying => {
                let playing: Vec<_> =
                    side.book.iter().filter(|e| e.playing).map(|e| e.id).collect();
                playing.iter().for_each(|id| side.machine.ended(*id));
                side.machine.expire(self.now).map(|expired| [playing, expired].concat())
            }
            Bug::NeverExpires => Ok(Vec::new()),
            _ => side.machine.expire(self.now),
        };
        match expired {
            Ok(expired) if expired == due => side.book.retain(|e| !due.contains(&e.id)),
            Ok(expired) => return Err(format!("expired {expired:?}, due were {due:?}")),
            Err(CloseReason::Idle) if side.book.is_empty() => {
                side.machine = Machine::new(TIMEOUT, self.now);
            }
            Err(reason) => return Err(format!("closed: {reason}")),
        }
        Ok(())
    }

    /// The usual beginning of the first principal: two tracks set up, then PLAY.
    fn usual(&self, at: usize) -> Drawn {
        let own = self.connections[0].book.first().map(|e| e.id);
        let (method, (uri, names)) = match at {
            0 => (Method::Setup, URIS[2]),
            1 => (Method::Setup, URIS[4]),
            _ => (Method::Play, URIS[0]),
        };
        let mut request = Request::new(method, uri);
        request.headers.push("CSeq", "1");
        request.headers.push("Transport", "RTP/AVP/TCP;unicast");
        if let Some(id) = own {
            request.headers.push("Session", id.to_string());
        }
        let session = own.map_or(Drawer::None, Drawer::Id);
        Drawn { request, cseq: Some(1), session, names, who: Ok(0), requires: false }
    }

    fn draw(&mut self, connection: usize) -> Drawn {
        let random = &mut self.random;
        let other = random.pick(&[
            Method::SetParameter,
            Method::Announce,
            Method::Record,
            Method::Redirect,
            Method::Other,
        ]);
        let method = random.pick(&[
            Method::Options,
            Method::Describe,
            Method::Setup,
            Method::Setup,
            Method::Setup,
            Method::Setup,
            Method::Play,
            Method::Play,
            Method::Play,
            Method::Pause,
            Method::Pause,
            Method::GetParameter,
            Method::Teardown,
            other,
        ]);
        let (uri, names) =
            if random.one_in(3) { random.pick(&URIS) } else { random.pick(&URIS[..5]) };
        let mut request = Request::new(method, uri);
        let cseq = (!random.one_in(30)).then(|| u32::try_from(random.below(1 << 31)).unwrap());
        if let Some(cseq) = cseq {
            request.headers.push("CSeq", cseq.to_string());
        }
        let own: Vec<_> = self.connections[connection].book.iter().map(|e| e.id).collect();
        let session = match random.below(12) {
            0 => Drawer::Garbage,
            1 if !self.issued.is_empty() => Drawer::Id(random.pick(&self.issued)),
            2 => Drawer::None,
            3..=9 if method == Method::Setup => Drawer::None,
            _ if own.is_empty() => Drawer::None,
            _ => Drawer::Id(random.pick(&own)),
        };
        match session {
            Drawer::None => {}
            Drawer::Garbage => {
                request.headers.push("Session", random.pick(&["", "abc", "0;timeout=60", ";"]));
            }
            Drawer::Id(id) => request.headers.push("Session", format!("{id};timeout=60")),
        }
        if !random.one_in(8) {
            request.headers.push(
                "Transport",
                random.pick(&[
                    "RTP/AVP/TCP;unicast",
                    "RTP/AVP/TCP;unicast",
                    "RTP/AVP/TCP;unicast;interleaved=0-1",
                    "RTP/AVP/TCP;unicast;interleaved=5-4",
                    "RTP/AVP/TCP;unicast;interleaved=2-3",
                    "RTP/AVP;unicast;client_port=9-10,RTP/AVP/TCP;unicast;interleaved=1-2",
                    "RTP/AVP;unicast;client_port=9-10",
                ]),
            );
        }
        if random.one_in(3) {
            request.headers.push("Range", random.pick(&["npt=0-", "npt=now-", "npt=7-", "x"]));
        }
        let requires = random.one_in(20);
        if requires {
            request.headers.push("Require", "www.onvif.org/ver20/backchannel");
        }
        if random.one_in(20) {
            request.body = Bytes::from_static(b"x: y");
        }
        let denials =
            [Denial::LoginNeeded, Denial::WrongCredential, Denial::StaleNonce, Denial::Throttled];
        let who = match random.below(10) {
            0 => Err(random.pick(&denials)),
            1 => Ok(1),
            _ => Ok(0),
        };
        Drawn { request, cseq, session, names, who, requires }
    }

    fn exchange(&mut self, connection: usize, drawn: &Drawn) -> (Response, Effect, Asked) {
        let bug = self.bug;
        let side = &mut self.connections[connection];
        let mut asked = Asked::default();
        let mut request = drawn.request.clone();
        if bug == Bug::ForeignSessionTaken
            && let (Drawer::Id(_), Some(own)) = (drawn.session, side.book.first())
        {
            request = renamed(&request, own.id);
        }
        if bug == Bug::SessionsUnbounded
            && side.book.len() == SESSIONS_PER_CONNECTION
            && let Some(first) = side.book.first()
        {
            side.machine.ended(first.id);
        }
        let mut step = side.machine.receive(request, self.now);
        let answer = loop {
            step = match step {
                Step::Answer(answer) => break answer,
                Step::Login(arrived) => {
                    asked.login = true;
                    let mut who = drawn.who;
                    if bug == Bug::LoginSkipped {
                        who = Ok(who.unwrap_or(0));
                    }
                    if bug == Bug::PrincipalNotCompared
                        && let Drawer::Id(id) = drawn.session
                        && let Some(entry) = side.book.iter().find(|e| e.id == id)
                    {
                        who = who.map(|_| entry.owner);
                    }
                    let who = who
                        .map(|index| Arc::clone(&self.principals[index]))
                        .map_err(|denial| Refusal { denial, challenges: vec!["Basic".into()] });
                    side.machine.login(arrived, who)
                }
                Step::Open(open) => {
                    let outcome =
                        self.grants.ask(&mut asked, open.principal(), open.stream().as_str());
                    let outcome = unless(bug == Bug::PermitNotAskedAtOpen, outcome);
                    self.next_id += 1;
                    let id = SessionId::from_random(self.next_id.to_be_bytes());
                    side.machine.opened(open, outcome.map(|()| offer()), id, self.now)
                }
                Step::Join(join) => {
                    let outcome =
                        self.grants.ask(&mut asked, join.principal(), join.stream().as_str());
                    let outcome = unless(bug == Bug::PermitNotAskedAtJoin, outcome);
                    side.machine.joined(&join, outcome)
                }
                Step::Play(play) => {
                    let outcome =
                        self.grants.ask(&mut asked, play.principal(), play.stream().as_str());
                    let outcome = unless(bug == Bug::PermitNotAskedAtPlay, outcome);
                    let outcome = outcome.map(|()| match play.action() {
                        PlayAction::Start => begins(play.tracks()),
                        PlayAction::GoOn => Vec::new(),
                    });
                    side.machine.played(&play, outcome)
                }
            };
        };
        let (response, effect) = distort(bug, answer, drawn);
        (response, effect, asked)
    }
}

fn unless(bug: bool, outcome: Result<(), Refused>) -> Result<(), Refused> {
    if bug { Ok(()) } else { outcome }
}

/// Faults that show only in the answer.
fn distort(bug: Bug, answer: Answer, drawn: &Drawn) -> (Response, Effect) {
    let Answer { mut response, mut effect } = answer;
    match (bug, &effect) {
        (Bug::CSeqNotEchoed, _) => response = without(&response, "CSeq"),
        (Bug::RefusalTurnedIntoSuccess, _) if response.status == 454 => response.status = 200,
        (Bug::PauseSendsOn, Effect::Stop(_)) | (Bug::TeardownLeaks, Effect::End(_)) => {
            effect = Effect::None;
        }
        (Bug::StartsTwice, Effect::None) if drawn.request.method == Method::Play => {
            if let (200, Drawer::Id(session)) = (response.status, drawn.session) {
                effect = Effect::Start { session, channels: Vec::new() };
            }
        }
        (Bug::ChannelsCollide, _) if response.headers.get("Transport").is_some() => {
            response = without(&response, "Transport");
            response.headers.push("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
        }
        _ => {}
    }
    (response, effect)
}

fn without(response: &Response, name: &str) -> Response {
    let mut other = Response::new(response.status);
    for (key, value) in response.headers.iter().filter(|(key, _)| *key != name) {
        other.headers.push(key, value);
    }
    other
}

fn renamed(request: &Request, id: SessionId) -> Request {
    let mut other = Request::new(request.method, request.uri.clone());
    for (key, value) in request.headers.iter().filter(|(key, _)| *key != "Session") {
        other.headers.push(key, value);
    }
    other.headers.push("Session", id.to_string());
    other
}

trait Ask {
    fn ask(&self, asked: &mut Asked, who: &Principal, stream: &str) -> Result<(), Refused>;
}

impl Ask for [[bool; 3]; 2] {
    fn ask(&self, asked: &mut Asked, who: &Principal, stream: &str) -> Result<(), Refused> {
        let principal = usize::from(who.name() == "bob");
        let stream = STREAMS.iter().position(|name| *name == stream).unwrap();
        let is_granted = self[principal][stream];
        asked.permits.push((principal, stream, is_granted));
        if is_granted { Ok(()) } else { Err(Refused::NoStream) }
    }
}
