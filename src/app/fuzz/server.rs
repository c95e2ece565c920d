//! The server's machine towards clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::now;
use crate::hub::Position;
use crate::media::{Codec, StreamName, Track, TrackId};
use crate::ops::limits;
use crate::serve::rtsp_server::machine::{
    Answer, Begin, CloseReason, Effect, Machine, Offered, PlayAction, Refusal, Refused, SessionId,
    Step,
};
use crate::trust::auth::{Denial, Principal};
use crate::wire::rtsp::{Decoder, Item, Method, Request, Response, Transport};

/// Bytes of a client. The shell knows `Authorization: ann` (everything but `attic/*`) and `bob` (`door/*`
/// only), `old` for a stale nonce and `slow` for a throttled one; blank lines let time pass.
pub fn rtsp_server_session(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    let mut decoder = Decoder::new();
    let start = now();
    let mut world =
        World { machine: Machine::new(TIMEOUT, start), now: start, made: 0, sessions: Vec::new() };
    while let Ok(Some(item)) = decoder.decode(&mut buffer) {
        let goes_on = match item {
            Item::Request(request) => world.request(request),
            Item::Interleaved { channel, .. } => {
                world.machine.interleaved(channel, world.now).is_ok()
            }
            Item::Response(_) => world.machine.stray(world.now).is_ok(),
            Item::Blank(count) => world.wait(count),
        };
        if !goes_on {
            return;
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(60);

struct World {
    machine: Machine,
    now: Instant,
    made: u8,
    sessions: Vec<Entry>,
}

/// A session that the machine told of.
struct Entry {
    id: SessionId,
    owner: Arc<Principal>,
    stream: StreamName,
    playing: bool,
}

/// What the shell was asked for one request.
#[derive(Default)]
struct Asked {
    who: Option<Arc<Principal>>,
    granted: Vec<StreamName>,
}

impl World {
    /// Three seconds for each blank byte.
    fn wait(&mut self, blanks: usize) -> bool {
        self.now += Duration::from_secs(3) * u32::try_from(blanks.min(100)).unwrap();
        match self.machine.expire(self.now) {
            Ok(expired) => {
                for id in expired {
                    let at = self.sessions.iter().position(|s| s.id == id).unwrap();
                    assert!(!self.sessions.remove(at).playing, "a session that plays has no end");
                }
                assert!(self.machine.deadline().is_none_or(|deadline| deadline > self.now));
                true
            }
            Err(reason) => {
                assert!(reason == CloseReason::Idle && self.sessions.is_empty());
                false
            }
        }
    }

    fn request(&mut self, request: Request) -> bool {
        let (method, cseq) = (request.method, request.cseq());
        let named = request.headers.get("Session").map(str::to_owned);
        let mut asked = Asked::default();
        let Answer { response, effect } = self.answer(request, &mut asked);
        check_response(&response, cseq);
        let needs_permit = matches!(method, Method::Describe | Method::Setup | Method::Play);
        if response.status == 200 && needs_permit {
            assert!(asked.who.is_some() && !asked.granted.is_empty(), "media without a permit");
        }
        if response.status == 200
            && let (Some(named), Some(who)) = (&named, &asked.who)
            && method != Method::Options
        {
            let own = |s: &Entry| named.trim().starts_with(&s.id.to_string()) && s.owner == *who;
            assert!(self.sessions.iter().any(own), "a session of nobody, or of somebody else");
        }
        self.take(&effect, method, response.status, &asked);
        assert!(self.sessions.len() <= limits::SESSIONS_PER_CONNECTION);
        if let (Method::Setup, 200) = (method, response.status) {
            let transport = Transport::parse_all(response.headers.get("Transport").unwrap());
            let (rtp, rtcp) = transport[0].interleaved.unwrap();
            assert_ne!(rtp, rtcp);
        }
        !matches!(effect, Effect::Close(_))
    }

    /// Plays the shell.
    fn answer(&mut self, request: Request, asked: &mut Asked) -> Answer {
        let mut step = self.machine.receive(request, self.now);
        loop {
            step = match step {
                Step::Answer(answer) => return answer,
                Step::Login(arrived) => {
                    let who = login(arrived.request());
                    self.machine.login(arrived, who)
                }
                Step::Open(open) => {
                    let outcome = asked.ask(open.principal(), open.stream()).map(|()| offer());
                    self.made = self.made.wrapping_add(1);
                    let id = SessionId::from_random([self.made; 16]);
                    self.machine.opened(open, outcome, id, self.now)
                }
                Step::Join(join) => {
                    self.owns(join.session(), join.principal(), join.stream());
                    let outcome = asked.ask(join.principal(), join.stream());
                    self.machine.joined(&join, outcome)
                }
                Step::Play(play) => {
                    self.owns(play.session(), play.principal(), play.stream());
                    let outcome = asked.ask(play.principal(), play.stream());
                    let outcome = outcome.map(|()| match play.action() {
                        PlayAction::Start => begins(play.tracks()),
                        PlayAction::GoOn => Vec::new(),
                    });
                    self.machine.played(&play, outcome)
                }
            };
        }
    }

    fn owns(&self, id: SessionId, who: &Principal, stream: &StreamName) {
        let entry = self.sessions.iter().find(|s| s.id == id).unwrap();
        assert!(*entry.owner == *who && entry.stream == *stream, "another's session");
    }

    /// Does as the machine says, if it may say so.
    fn take(&mut self, effect: &Effect, method: Method, status: u16, asked: &Asked) {
        let entry = |sessions: &mut Vec<Entry>, id: &SessionId| {
            sessions.iter().position(|session| session.id == *id).expect("a session that is there")
        };
        match effect {
            Effect::None => {}
            Effect::Keep => assert_eq!((method, status), (Method::Describe, 200)),
            Effect::Attach(id) => {
                assert_eq!((method, status), (Method::Setup, 200));
                let owner = Arc::clone(asked.who.as_ref().unwrap());
                let stream = asked.granted[0].clone();
                self.sessions.push(Entry { id: *id, owner, stream, playing: false });
            }
            Effect::Start { session, channels } => {
                assert_eq!((method, status), (Method::Play, 200));
                let at = entry(&mut self.sessions, session);
                assert!(!self.sessions[at].playing && !channels.is_empty());
                self.sessions[at].playing = true;
                let mut used: Vec<_> = channels.iter().flat_map(|c| [c.rtp, c.rtcp]).collect();
                let count = used.len();
                used.sort_unstable();
                used.dedup();
                assert_eq!(used.len(), count, "channels collide");
            }
            Effect::Stop(session) => {
                assert_eq!((method, status), (Method::Pause, 200));
                let at = entry(&mut self.sessions, session);
                assert!(self.sessions[at].playing);
                self.sessions[at].playing = false;
            }
            Effect::End(session) => {
                assert!(matches!(status, 200 | 404));
                let at = entry(&mut self.sessions, session);
                self.sessions.remove(at);
            }
            Effect::Close(reason) => {
                assert_eq!((status, *reason), (503, CloseReason::TooManyRequests));
            }
        }
    }
}

impl Asked {
    fn ask(&mut self, who: &Arc<Principal>, stream: &StreamName) -> Result<(), Refused> {
        self.who = Some(Arc::clone(who));
        let granted = match who.name() {
            "ann" => !stream.as_str().starts_with("attic/"),
            _ => stream.as_str().starts_with("door/"),
        };
        if !granted {
            return Err(Refused::NoStream);
        }
        if stream.as_str().ends_with("/slow") {
            return Err(Refused::NotReady);
        }
        self.granted.push(stream.clone());
        Ok(())
    }
}

fn login(request: &Request) -> Result<Arc<Principal>, Refusal> {
    let denial = match request.headers.get("Authorization") {
        Some(name @ ("ann" | "bob")) => return Ok(Principal::for_test(name)),
        None => Denial::LoginNeeded,
        Some("old") => Denial::StaleNonce,
        Some("slow") => Denial::Throttled,
        Some(_) => Denial::WrongCredential,
    };
    Err(Refusal { denial, challenges: vec!["Digest realm=\"x\"".into()] })
}

/// Two tracks of sound: what they are is nothing to the machine.
fn offer() -> Vec<Offered> {
    let track = |id| {
        let codec = Codec::Pcma { channels: 1 };
        let track = Arc::new(Track { id: TrackId(id), codec, clock_rate: 8_000 });
        Offered { track, ssrc: Some(9) }
    };
    vec![track(0), track(1)]
}

fn begins(tracks: &[TrackId]) -> Vec<Begin> {
    let position = Position { ssrc: 9, payload_type: 8, seq: 1, rtp_time: 2 };
    tracks.iter().map(|track| Begin { track: *track, position: Some(position) }).collect()
}

/// Statuses that the server may answer with.
const STATUSES: [u16; 18] =
    [200, 400, 401, 404, 405, 406, 415, 451, 453, 454, 455, 457, 459, 460, 461, 501, 503, 551];

/// Nothing that a client wrote opens a new line in what it is answered.
fn check_response(response: &Response, cseq: Option<u32>) {
    assert!(STATUSES.contains(&response.status), "{}", response.status);
    assert!(cseq.is_some() || matches!(response.status, 400 | 503));
    assert_eq!(response.cseq(), cseq, "CSeq is echoed");
    let mut bytes = BytesMut::from(&response.encode()[..]);
    let read = Decoder::new().decode(&mut bytes).unwrap();
    let Some(Item::Response(read)) = read else { panic!("{read:?}") };
    assert!(bytes.is_empty());
    assert_eq!((read.status, read.cseq(), &read.body), (response.status, cseq, &response.body));
    let names =
        |r: &Response| r.headers.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    let written = names(response)
        .into_iter()
        .chain((response.body != Bytes::new()).then(|| "Content-Length".to_owned()));
    assert_eq!(names(&read), written.collect::<Vec<_>>());
}
