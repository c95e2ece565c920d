//! One RTSP connection: requests in, answers and interleaved media out, in one task and without a queue.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::ops::hex;
use crate::ops::random::{NoRandom, random};
use crate::wire::rtsp::{
    Decoder, Item, Method, Request, Response, RtpInfo, SessionHeader, Transport, TransportMode,
    Violation,
};

use super::camera::{Counters, Media, Shared};
use super::description;
use super::login::Guard;
use super::player::{Outgoing, Player};
use super::source::Feed;

/// The session timeout that clients are told, and a margin.
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_secs(70);
/// One write; a client that takes nothing for so long is dropped.
const WRITE: Duration = Duration::from_secs(3);
const PUBLIC: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN";

/// One connection and the session it may hold.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    media: watch::Receiver<Media>,
    guard: Guard,
    session_id: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle,
    /// Tracks of this profile are set up.
    Ready {
        profile: usize,
        tracks: Vec<Option<Outgoing>>,
    },
    Playing(Box<Player>),
}

/// When the next unit goes out.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// At once: a timer would cost up to a millisecond.
    Now,
    At(Instant),
    /// Not before something else happens.
    Never,
}

/// Why a connection ended. Only tests and counters care.
enum ConnectionEnd {
    Closed,
    Slow,
}

impl From<std::io::Error> for ConnectionEnd {
    fn from(_: std::io::Error) -> Self {
        Self::Closed
    }
}

impl From<Violation> for ConnectionEnd {
    fn from(_: Violation) -> Self {
        Self::Closed
    }
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        media: watch::Receiver<Media>,
    ) -> Result<Self, NoRandom> {
        let nonce = hex::encode(&random::<16>()?);
        let session_id = hex::encode(&random::<8>()?);
        let guard = Guard::new(shared.settings.login.clone(), nonce);
        Ok(Self { shared, media, guard, session_id, state: State::Idle })
    }

    /// Serves until either side ends it.
    pub(super) async fn run(mut self, mut stream: TcpStream) {
        let ended = self.serve(&mut stream).await;
        match ended {
            Ok(()) | Err(ConnectionEnd::Closed) => {}
            Err(ConnectionEnd::Slow) => Counters::add(&self.shared.counters.slow_clients),
        }
    }

    async fn serve(&mut self, stream: &mut TcpStream) -> Result<(), ConnectionEnd> {
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = stream.split();
        let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::with_capacity(4096));
        let mut heard = Instant::now();
        loop {
            let due = self.due();
            tokio::select! {
                read = reader.read_buf(&mut buffer) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    heard = Instant::now();
                    while let Some(item) = decoder.decode(&mut buffer)? {
                        if let Item::Request(request) = item {
                            let answer = self.answer(&request);
                            write(&mut writer, &answer.encode()).await?;
                        }
                    }
                }
                () = reached(due) => {
                    let bytes = self.next_bytes();
                    self.shared.tell_sent(&bytes);
                    write(&mut writer, &bytes).await?;
                }
                // Another pace. An error: the camera is gone.
                changed = self.media.changed() => changed.map_err(|_| ConnectionEnd::Closed)?,
                () = sleep_until(heard + SILENCE) => return Ok(()),
            }
        }
    }

    fn due(&self) -> Due {
        let State::Playing(player) = &self.state else { return Due::Never };
        let media = *self.media.borrow();
        match media {
            Media::Flowing | Media::Held => Due::At(player.due()),
            Media::Granted(most) if Counters::read(&self.shared.counters.units) < most => Due::Now,
            Media::Granted(_) => Due::Never,
        }
    }

    fn next_bytes(&mut self) -> Bytes {
        let State::Playing(player) = &mut self.state else { return Bytes::new() };
        let media = *self.media.borrow();
        match media {
            Media::Flowing => {
                Counters::add(&self.shared.counters.units);
                player.take()
            }
            Media::Held => {
                player.skip();
                Bytes::new()
            }
            // Another session of this camera may have taken it.
            Media::Granted(most) if self.shared.counters.claim_unit(most) => {
                player.make_due();
                player.take()
            }
            Media::Granted(_) => Bytes::new(),
        }
    }

    fn answer(&mut self, request: &Request) -> Response {
        Counters::add(&self.shared.counters.requests);
        let free = request.method == Method::Options;
        let login = if free { Ok(()) } else { self.guard.check(request) };
        let mut response = match login {
            Ok(()) => self.act(request),
            Err(challenged) => {
                if challenged.wrong {
                    Counters::add(&self.shared.counters.refused_logins);
                }
                with(401, &[("WWW-Authenticate", &challenged.header)])
            }
        };
        if let Some(cseq) = request.cseq() {
            response.headers.push("CSeq", cseq.to_string());
        }
        response.headers.push("Server", "camlock simulator");
        response
    }

    fn act(&mut self, request: &Request) -> Response {
        match request.method {
            Method::Options => with(200, &[("Public", PUBLIC)]),
            Method::Describe => self.describe(request),
            Method::Setup => self.set_up(request),
            Method::Play => self.in_session(request, Self::play),
            Method::GetParameter => self.in_session(request, |_, _| Response::new(200)),
            Method::Teardown => self.in_session(request, |connection, _| {
                connection.state = State::Idle;
                Response::new(200)
            }),
            Method::Announce
            | Method::Pause
            | Method::Record
            | Method::Redirect
            | Method::SetParameter
            | Method::Other => with(501, &[("Public", PUBLIC)]),
        }
    }

    fn describe(&self, request: &Request) -> Response {
        let Some((profile, None)) = self.locate(&request.uri) else { return Response::new(404) };
        let tracks = self.shared.tracks.get(profile).map_or(&[][..], Vec::as_slice);
        let base = format!("{}/", request.uri.trim_end_matches('/'));
        let mut response =
            with(200, &[("Content-Type", "application/sdp"), ("Content-Base", &base)]);
        response.body = Bytes::from(description::describe(tracks));
        response
    }

    fn set_up(&mut self, request: &Request) -> Response {
        let Some((profile, Some(track))) = self.locate(&request.uri) else {
            return Response::new(404);
        };
        let count = self.shared.tracks.get(profile).map_or(0, Vec::len);
        if track >= count {
            return Response::new(404);
        }
        let offered = Transport::parse_all(request.headers.get("Transport").unwrap_or_default());
        let usable = |t: &&Transport| t.mode == TransportMode::Tcp && !t.secure && !t.records;
        let Some(transport) = offered.iter().find(usable) else { return Response::new(461) };
        match &self.state {
            State::Idle => {
                let tracks = (0..count).map(|_| None).collect();
                self.state = State::Ready { profile, tracks };
            }
            State::Ready { .. } if !self.is_session(request) => return Response::new(454),
            State::Ready { profile: current, .. } if *current != profile => {
                return Response::new(459);
            }
            State::Ready { .. } => {}
            State::Playing(_) => return Response::new(455),
        }
        let State::Ready { tracks, .. } = &mut self.state else { return Response::new(455) };
        let usual = u8::try_from(track * 2).unwrap_or(0);
        let channels = transport.interleaved.unwrap_or((usual, usual + 1));
        let (Some(slot), Ok(outgoing)) = (tracks.get_mut(track), Outgoing::new(channels)) else {
            return Response::new(500);
        };
        let ssrc = Some(outgoing.ssrc);
        *slot = Some(outgoing);
        let transport = Transport { interleaved: Some(channels), ssrc, ..Transport::default() };
        let id = self.session_id.clone();
        let session = SessionHeader { id, timeout: Some(SESSION_TIMEOUT) };
        with(200, &[("Transport", &transport.encode()), ("Session", &session.encode())])
    }

    fn play(&mut self, request: &Request) -> Response {
        let State::Ready { profile, tracks } = &mut self.state else {
            return Response::new(455);
        };
        let Some(settings) = self.shared.settings.profiles.get(*profile) else {
            return Response::new(404);
        };
        let feed = Feed::new(settings.source, settings.audio, self.shared.epoch.elapsed());
        // The same settings opened when the camera was made.
        let Ok(feed) = feed else { return Response::new(500) };
        let described = feed.tracks().to_vec();
        let player = Player::new(feed, std::mem::take(tracks));
        let base = request.uri.trim_end_matches('/');
        let entries: Vec<RtpInfo> = described
            .iter()
            .filter_map(|track| {
                let (seq, rtp_time) = player.first(track)?;
                let url = format!("{base}/trackID={}", track.id.0);
                Some(RtpInfo { url, seq: Some(seq), rtp_time: Some(rtp_time) })
            })
            .collect();
        self.state = State::Playing(Box::new(player));
        Counters::add(&self.shared.counters.sessions);
        with(200, &[("Range", "npt=now-"), ("RTP-Info", &RtpInfo::encode_all(&entries))])
    }

    /// Runs `then` for a request that names the session of this connection.
    fn in_session(
        &mut self,
        request: &Request,
        then: impl FnOnce(&mut Self, &Request) -> Response,
    ) -> Response {
        // A keep-alive may come before there is a session.
        let has_session = !matches!(self.state, State::Idle);
        let keep_alive = request.method == Method::GetParameter;
        if !(has_session && self.is_session(request)) && (has_session || !keep_alive) {
            return Response::new(454);
        }
        let mut response = then(self, request);
        if has_session && response.status == 200 {
            response.headers.push("Session", self.session_id.clone());
        }
        response
    }

    fn is_session(&self, request: &Request) -> bool {
        let named = request.headers.get("Session").and_then(SessionHeader::parse);
        named.is_some_and(|session| session.id == self.session_id)
    }

    /// The profile a URL names, and the track if it names one.
    fn locate(&self, uri: &str) -> Option<(usize, Option<usize>)> {
        // The second behind somebody else's TLS.
        let rest = uri.strip_prefix("rtsp://").or_else(|| uri.strip_prefix("rtsps://"))?;
        let path = rest.get(rest.find('/')?..)?.trim_end_matches('/');
        let (path, track) = match path.rsplit_once("/trackID=") {
            Some((path, track)) => (path, Some(track.parse().ok()?)),
            None => (path, None),
        };
        let profiles = &self.shared.settings.profiles;
        Some((profiles.iter().position(|profile| profile.path == path)?, track))
    }
}

async fn reached(due: Due) {
    match due {
        Due::Now => {}
        Due::At(at) => sleep_until(at).await,
        Due::Never => pending().await,
    }
}

async fn write(writer: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<(), ConnectionEnd> {
    match timeout(WRITE, writer.write_all(bytes)).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ConnectionEnd::Slow),
    }
}

fn with(status: u16, headers: &[(&str, &str)]) -> Response {
    let mut response = Response::new(status);
    for (name, value) in headers {
        response.headers.push(name, *value);
    }
    response
}
