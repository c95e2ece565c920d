//! One method after the other (RFC 2326 10), for a sender who is known.

use std::sync::Arc;
use std::time::Instant;

use super::answer::Reply;
use super::rules::{METHODS, NoTransport, PlayFrom, accepts_sdp, interleaved, is_parameters};
use super::session::{ChannelTaken, Session, SessionId, State, channels};
use super::step::{
    Answer, Begin, Effect, Join, NeedsLogin, Offered, Open, Play, PlayAction, Purpose, Refused,
    Step,
};
use super::target::{StreamUrl, Target};
use super::{Machine, named_id};
use crate::media::TrackId;
use crate::ops::limits::SESSIONS_PER_CONNECTION;
use crate::trust::auth::Principal;
use crate::wire::rtp::payload_type;
use crate::wire::rtsp::{
    DescribedTrack, Method, Request, RtpInfo, SessionHeader, Transport, TransportMode, describe,
};

/// What `*` and the bare server can be asked.
const SERVER_METHODS: &str = "OPTIONS, GET_PARAMETER, SET_PARAMETER";
/// What one track can be asked.
const TRACK_METHODS: &str = "OPTIONS, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

impl Machine {
    /// Needs no login: it says nothing that depends on anybody.
    pub(super) fn options(&self, reply: Reply, request: &Request) -> Step {
        let session = match named_id(request) {
            None => None,
            Some(Some(id)) if self.sessions.iter().any(|session| session.id == id) => Some(id),
            Some(_) => return reply.status(454),
        };
        let mut response = reply.response(200);
        response.headers.push("Public", METHODS);
        if let Some(session) = session {
            response.headers.push("Session", session.to_string());
        }
        Step::Answer(Answer { response, effect: Effect::None })
    }

    /// `named` is the place of a session of this connection and principal.
    pub(super) fn dispatch(
        &mut self,
        reply: Reply,
        arrived: NeedsLogin,
        principal: Arc<Principal>,
        named: Option<usize>,
    ) -> Step {
        let NeedsLogin { request, cseq, target } = arrived;
        match request.method {
            Method::GetParameter | Method::SetParameter => {
                return self.parameters(reply, &request, named);
            }
            Method::Describe
            | Method::Setup
            | Method::Play
            | Method::Pause
            | Method::Teardown
            | Method::Options
            | Method::Announce
            | Method::Record
            | Method::Redirect
            | Method::Other => {}
        }
        let url = match target {
            Target::Stream(url) => url,
            Target::Unknown => return reply.status(404),
            Target::Server => return reply.not_allowed(SERVER_METHODS),
        };
        match request.method {
            Method::Describe => describe_step(reply, cseq, &request, principal, url),
            Method::Setup => self.setup(reply, cseq, &request, principal, url, named),
            Method::Play => self.play(reply, cseq, &request, principal, &url, named),
            Method::Pause => self.pause(reply, &url, named),
            Method::Teardown => self.teardown(reply, &url, named),
            Method::Options
            | Method::GetParameter
            | Method::SetParameter
            | Method::Announce
            | Method::Record
            | Method::Redirect
            | Method::Other => reply.not_implemented(),
        }
    }

    /// DESCRIBE or a first SETUP has, or has not, a subscription. `id` is for a session made now.
    pub fn opened(
        &mut self,
        open: Open,
        outcome: Result<Vec<Offered>, Refused>,
        id: SessionId,
        now: Instant,
    ) -> Step {
        let reply = Reply::new(open.cseq);
        let offered = match outcome {
            Ok(offered) if offered.is_empty() => return reply.status(404),
            Ok(offered) => offered,
            Err(refused) => return reply.refused(refused),
        };
        match open.purpose {
            Purpose::Describe => {
                reply.described(open.url.base(), session_description(&open.url, &offered))
            }
            Purpose::SetUp(wanted) => {
                let session = Session {
                    id,
                    principal: open.principal,
                    url: open.url.whole(),
                    offered: offered.into(),
                    tracks: Vec::new(),
                    state: State::Ready,
                    seen: now,
                };
                self.sessions.push(session);
                let step = self.set_up(reply, id, open.url.track, wanted, Effect::Attach(id));
                if !is_success(&step) {
                    self.ended(id);
                }
                step
            }
        }
    }

    /// The SETUP of one more track is, or is not, still permitted.
    pub fn joined(&mut self, join: &Join, outcome: Result<(), Refused>) -> Step {
        let reply = Reply::new(join.cseq);
        match outcome {
            Ok(()) => self.set_up(reply, join.session, join.url.track, join.wanted, Effect::None),
            Err(refused) => self.lost(reply, join.session, refused),
        }
    }

    /// PLAY is, or is not, still permitted; `begins` is empty if it played already.
    pub fn played(&mut self, play: &Play, outcome: Result<Vec<Begin>, Refused>) -> Step {
        let reply = Reply::new(play.cseq);
        let begins = match outcome {
            Ok(begins) => begins,
            Err(refused) => return self.lost(reply, play.session, refused),
        };
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == play.session)
        else {
            return reply.status(454);
        };
        let mut response = reply.response(200);
        response.headers.push("Session", play.session.to_string());
        response.headers.push("Range", play.from.as_range());
        let effect = match play.action {
            PlayAction::GoOn => Effect::None,
            PlayAction::Start => {
                session.state = State::Playing;
                response
                    .headers
                    .push("RTP-Info", RtpInfo::encode_all(&rtp_info(&session.url, &begins)));
                Effect::Start { session: play.session, channels: session.tracks.clone() }
            }
        };
        Step::Answer(Answer { response, effect })
    }

    fn setup(
        &self,
        reply: Reply,
        cseq: u32,
        request: &Request,
        principal: Arc<Principal>,
        url: StreamUrl,
        named: Option<usize>,
    ) -> Step {
        let wanted = match interleaved(&request.headers) {
            Ok(wanted) => wanted,
            Err(NoTransport::Missing) => return reply.status(400),
            Err(NoTransport::Unsupported) => return reply.status(461),
        };
        let Some(session) = named.and_then(|index| self.sessions.get(index)) else {
            if self.sessions.len() >= SESSIONS_PER_CONNECTION {
                return reply.retry_later();
            }
            return Step::Open(Open { cseq, principal, url, purpose: Purpose::SetUp(wanted) });
        };
        if session.url.stream != url.stream {
            // One session over several streams would be an aggregate that nothing describes.
            return reply.status(459);
        }
        match session.state {
            State::Playing => reply.status(455),
            State::Ready => Step::Join(Join { cseq, principal, session: session.id, url, wanted }),
        }
    }

    /// Sets a track up in a session that exists; a second SETUP of a track moves it to other channels.
    fn set_up(
        &mut self,
        reply: Reply,
        id: SessionId,
        track: Option<TrackId>,
        wanted: Option<(u8, u8)>,
        effect: Effect,
    ) -> Step {
        let Some(session) = self.sessions.iter().find(|session| session.id == id) else {
            return reply.status(454);
        };
        let offered = match (track, &*session.offered) {
            (None, [only]) => only,
            (None, _) => return reply.status(459),
            (Some(track), all) => match all.iter().find(|offered| offered.track.id == track) {
                Some(offered) => offered,
                None => return reply.status(404),
            },
        };
        let (track, ssrc) = (offered.track.id, offered.ssrc);
        let is_taken = |channel| {
            self.sessions.iter().any(|other| {
                other
                    .tracks
                    .iter()
                    .any(|t| t.uses(channel) && !(other.id == id && t.track == track))
            })
        };
        let channels = match channels(track, wanted, is_taken) {
            Ok(channels) => channels,
            Err(ChannelTaken) => return reply.status(400),
        };
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.tracks.retain(|other| other.track != track);
            session.tracks.push(channels);
        }
        let transport = Transport {
            mode: TransportMode::Tcp,
            interleaved: Some((channels.rtp, channels.rtcp)),
            ssrc,
            ..Transport::default()
        };
        let header = SessionHeader { id: id.to_string(), timeout: Some(self.session_timeout) };
        let mut response = reply.response(200);
        response.headers.push("Session", header.encode());
        response.headers.push("Transport", transport.encode());
        Step::Answer(Answer { response, effect })
    }

    fn play(
        &self,
        reply: Reply,
        cseq: u32,
        request: &Request,
        principal: Arc<Principal>,
        url: &StreamUrl,
        named: Option<usize>,
    ) -> Step {
        let session = match self.aggregate(url, named) {
            Ok(session) => session,
            Err(status) => return reply.status(status),
        };
        let Some(from) = PlayFrom::parse(&request.headers) else {
            return reply.status(457);
        };
        Step::Play(Play {
            cseq,
            principal,
            session: session.id,
            url: session.url.clone(),
            tracks: session.tracks.iter().map(|channels| channels.track).collect(),
            from,
            action: match session.state {
                State::Ready => PlayAction::Start,
                State::Playing => PlayAction::GoOn,
            },
        })
    }

    fn pause(&mut self, reply: Reply, url: &StreamUrl, named: Option<usize>) -> Step {
        let id = match self.aggregate(url, named) {
            Ok(session) if session.state == State::Playing => session.id,
            Ok(_) => return reply.status(455),
            Err(status) => return reply.status(status),
        };
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.state = State::Ready;
        }
        reply.ok(Some(id), Effect::Stop(id))
    }

    fn teardown(&mut self, reply: Reply, url: &StreamUrl, named: Option<usize>) -> Step {
        match self.aggregate(url, named).map(|session| session.id) {
            Ok(id) => {
                self.ended(id);
                reply.ok(None, Effect::End(id))
            }
            Err(status) => reply.status(status),
        }
    }

    /// GET_PARAMETER and SET_PARAMETER without a body are keep-alives; no parameter is known by name.
    fn parameters(&self, reply: Reply, request: &Request, named: Option<usize>) -> Step {
        if request.body.is_empty() {
            let session =
                named.and_then(|index| self.sessions.get(index)).map(|session| session.id);
            reply.ok(session, Effect::None)
        } else if is_parameters(&request.headers) {
            reply.status(451)
        } else {
            reply.status(415)
        }
    }

    /// The session that PLAY, PAUSE and TEARDOWN mean, or a status: 454 without one, or for another
    /// stream's URL; 460 for one track of several; 404 for a track that is not set up.
    fn aggregate(&self, url: &StreamUrl, named: Option<usize>) -> Result<&Session, u16> {
        let session = named.and_then(|index| self.sessions.get(index)).ok_or(454_u16)?;
        if session.url.stream != url.stream {
            return Err(454);
        }
        match (url.track, session.tracks.as_slice()) {
            (None, _) => Ok(session),
            (Some(track), [only]) if only.track == track => Ok(session),
            (Some(track), all) if all.iter().any(|channels| channels.track == track) => Err(460),
            (Some(_), _) => Err(404),
        }
    }

    /// A session whose permit is gone goes too.
    fn lost(&mut self, reply: Reply, id: SessionId, refused: Refused) -> Step {
        match refused {
            Refused::NoStream => {
                self.ended(id);
                Step::Answer(Answer { response: reply.response(404), effect: Effect::End(id) })
            }
            Refused::NotReady | Refused::Full | Refused::Overloaded(_) | Refused::Unproven => {
                reply.refused(refused)
            }
        }
    }
}

fn describe_step(
    reply: Reply,
    cseq: u32,
    request: &Request,
    principal: Arc<Principal>,
    url: StreamUrl,
) -> Step {
    if url.track.is_some() {
        reply.not_allowed(TRACK_METHODS)
    } else if !accepts_sdp(&request.headers) {
        reply.status(406)
    } else {
        Step::Open(Open { cseq, principal, url, purpose: Purpose::Describe })
    }
}

/// `o=` names the stream by a hash of its name, and its version by a hash of its parameters.
fn session_description(url: &StreamUrl, offered: &[Offered]) -> String {
    let tracks: Vec<DescribedTrack<'_>> = offered
        .iter()
        .map(|Offered { track, .. }| DescribedTrack {
            track,
            payload_type: payload_type(track.id, &track.codec, track.clock_rate),
        })
        .collect();
    let version =
        fnv(offered.iter().map(|o| format!("{:?}", o.track)).collect::<String>().as_bytes());
    describe(fnv(url.stream.as_str().as_bytes()), version, &tracks)
}

/// FNV-1a, cut to 63 bits: some clients read the numbers of `o=` as signed.
fn fnv(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash >> 1
}

fn rtp_info(url: &StreamUrl, begins: &[Begin]) -> Vec<RtpInfo> {
    begins
        .iter()
        .map(|begin| RtpInfo {
            url: url.track_url(begin.track),
            seq: begin.position.map(|position| position.seq),
            rtp_time: begin.position.map(|position| position.rtp_time),
        })
        .collect()
}

fn is_success(step: &Step) -> bool {
    match step {
        Step::Answer(answer) => answer.response.status == 200,
        Step::Login(_) | Step::Open(_) | Step::Join(_) | Step::Play(_) => false,
    }
}
