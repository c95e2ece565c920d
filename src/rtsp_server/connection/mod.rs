//! One client connection: the shell around [`super::machine`]. One loop reads, writes and waits; no
//! direction blocks the other.

mod jobs;
mod outbox;
mod readers;
#[cfg(test)]
mod tests;

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::machine::{
    Answer, Begin, CloseReason, Effect, Machine, Play, PlayAction, Refused, SessionId, Step,
};
use super::{Peer, Server};
use crate::auth::{ConnectionLogin, PreAuthPlace, Principal};
use crate::hub::{EndReason, Interrupt, Subscription};
use crate::limits;
use crate::media::{StreamName, TrackId};
use crate::rtsp::{Decoder, Item, Response, Violation};

use jobs::{Done, Job};
use outbox::Outbox;
use readers::{Readers, Take};

/// Room made for each read.
const READ_BYTES: usize = 2048;
/// Best effort goodbye (a TLS `close_notify`).
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The client closed it.
    #[error("client closed the connection")]
    Closed,
    /// Reading or writing failed.
    #[error("connection failed: {0}")]
    Failed(io::ErrorKind),
    /// No byte within [`limits::FIRST_BYTE`].
    #[error("client sent nothing")]
    Silent,
    /// A message did not become whole within [`limits::REQUEST`].
    #[error("client did not finish a request in time")]
    SlowRequest,
    /// No login within [`limits::LOGIN`].
    #[error("client did not log in in time")]
    NoLogin,
    /// The client broke the grammar or a limit.
    #[error("client broke the protocol: {0}")]
    Violation(Violation),
    /// The client asked for too much, or for nothing.
    #[error("{0}")]
    Rules(CloseReason),
    /// No byte of a write taken within the write stall.
    #[error("client took no data")]
    Stalled,
    /// A permit of one of its sessions no longer holds.
    #[error("permit revoked")]
    Revoked,
    /// A stream it plays ended or changed its format.
    #[error("{0}")]
    Stream(EndReason),
}

/// Serves one client to the end. `place` is given back once the client has logged in.
pub async fn serve<S>(stream: S, peer: Peer, place: PreAuthPlace, server: Arc<Server>) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let _counted = server.metrics.rtsp_server.connection(&server.listener);
    let mut connection = Connection::new(stream, &peer, place, server);
    let end = connection.run().await;
    connection.say_goodbye(&end).await;
    tracing::debug!(peer = %peer.address, reason = %end, "RTSP connection ended");
    end
}

struct Connection<S> {
    server: Arc<Server>,
    read: ReadHalf<S>,
    write: WriteHalf<S>,
    decoder: Decoder,
    buffer: BytesMut,
    outbox: Outbox,
    machine: Machine,
    /// `None` while a job has it.
    login: Option<Box<ConnectionLogin>>,
    job: Option<Job>,
    readers: Readers,
    /// What the last DESCRIBE found: its demand holds until SETUP.
    described: Option<Subscription>,
    stage: Stage,
    partial: Partial,
    started: Instant,
    timer: Timer,
}

/// How far the client has come.
enum Stage {
    /// Nothing received.
    Silent(PreAuthPlace),
    /// Something received; not logged in.
    Strange(PreAuthPlace),
    /// Logged in.
    Known,
    /// Nothing more is read; what is queued is written.
    Closing(End),
}

/// Whether part of a message waits for its rest.
#[derive(Debug, Clone, Copy)]
enum Partial {
    Nothing,
    Since(Instant),
}

/// What woke the loop.
enum Event {
    Timer,
    Done(Box<Done>),
    Read(io::Result<usize>),
    Drained(io::Result<()>),
    Media(Result<readers::Chunks, Interrupt>),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    fn new(stream: S, peer: &Peer, place: PreAuthPlace, server: Arc<Server>) -> Self {
        let (read, write) = tokio::io::split(stream);
        let now = Instant::now();
        let login = server.authenticator.connection(
            peer.address.ip(),
            &server.offer,
            peer.identity.as_ref(),
        );
        Self {
            machine: Machine::new(server.settings.session_timeout, now.into_std()),
            server,
            read,
            write,
            decoder: Decoder::new(),
            buffer: BytesMut::with_capacity(READ_BYTES),
            outbox: Outbox::new(),
            login: Some(Box::new(login)),
            job: None,
            readers: Readers::default(),
            described: None,
            stage: Stage::Silent(place),
            partial: Partial::Nothing,
            started: now,
            timer: Timer::new(now),
        }
    }

    async fn run(&mut self) -> End {
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    async fn step(&mut self) -> Result<(), End> {
        self.look_at_buffer()?;
        if let (Stage::Closing(end), true) = (&self.stage, self.outbox.is_idle()) {
            return Err(end.clone());
        }
        match self.wait().await {
            Event::Timer => self.on_timer(),
            Event::Done(done) => self.on_done(*done),
            Event::Read(Ok(0)) => Err(End::Closed),
            Event::Read(Ok(_)) => {
                self.stage.heard();
                Ok(())
            }
            Event::Read(Err(error)) | Event::Drained(Err(error)) => Err(End::Failed(error.kind())),
            Event::Drained(Ok(())) => Ok(()),
            Event::Media(Ok(chunks)) => {
                if let Some(report) = chunks.report {
                    self.outbox.push(report);
                }
                self.outbox.push(chunks.unit);
                Ok(())
            }
            Event::Media(Err(Interrupt::Ended(reason))) => Err(End::Stream(reason)),
            Event::Media(Err(Interrupt::Revoked | Interrupt::Lagged { .. })) => Err(End::Revoked),
        }
    }

    /// Media is taken up only when nothing waits to be written: an answer stands between units, and a
    /// reader that is slow leaves the backlog in the ring, where the lag policy sees it.
    async fn wait(&mut self) -> Event {
        let deadline = self.deadline();
        let is_open = !matches!(self.stage, Stage::Closing(_));
        let may_read = is_open && self.buffer.len() < limits::CLIENT_BUFFER_BYTES;
        if may_read {
            self.buffer.reserve(READ_BYTES);
        }
        let take = match self.outbox.is_idle() && is_open {
            true => Take::Media,
            false => Take::Revocation,
        };
        tokio::select! {
            biased;
            next = self.readers.next(take) => Event::Media(next),
            () = self.timer.at(deadline) => Event::Timer,
            done = finished(&mut self.job) => Event::Done(Box::new(done)),
            read = self.read.read_buf(&mut self.buffer), if may_read => Event::Read(read),
            drained = self.outbox.drain(&mut self.write), if !self.outbox.is_idle() => {
                Event::Drained(drained)
            }
        }
    }

    /// Takes whole items off the buffer, as long as no request is being worked on and answers are taken.
    fn look_at_buffer(&mut self) -> Result<(), End> {
        while self.job.is_none()
            && self.outbox.len() < limits::CLIENT_QUEUE
            && !matches!(self.stage, Stage::Closing(_))
        {
            match self.decoder.decode(&mut self.buffer) {
                Ok(Some(item)) => {
                    self.partial = Partial::Nothing;
                    self.on_item(item)?;
                }
                Ok(None) => {
                    self.partial = self.partial.of(&self.buffer);
                    break;
                }
                Err(violation) => {
                    let mut response = Response::new(400);
                    response.headers.push("Connection", "close");
                    self.outbox.push(response.encode());
                    self.stage = Stage::Closing(End::Violation(violation));
                }
            }
        }
        Ok(())
    }

    fn on_item(&mut self, item: Item) -> Result<(), End> {
        let now = Instant::now().into_std();
        match item {
            Item::Request(request) => {
                let step = self.machine.receive(request, now);
                self.advance(step)
            }
            Item::Interleaved { channel, .. } => {
                self.machine.interleaved(channel, now).map_err(End::Rules)
            }
            Item::Response(_) | Item::Blank(_) => self.machine.stray(now).map_err(End::Rules),
        }
    }

    fn advance(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Login(arrived) => {
                // A request is looked at only when no job runs, so the login is here.
                let login = self.login.take().ok_or(End::Failed(io::ErrorKind::Other))?;
                self.job = Some(jobs::login(Arc::clone(&self.server), login, arrived));
            }
            Step::Open(open) => {
                let kept = self.described.take();
                self.job = Some(jobs::open(Arc::clone(&self.server), open, kept));
            }
            Step::Join(join) => {
                let outcome = self
                    .still_permitted(join.session(), join.principal(), join.stream())
                    .map(|_| ());
                let step = self.machine.joined(&join, outcome);
                self.answer(step, None);
            }
            Step::Play(play) => {
                let outcome = self.play(&play);
                let step = self.machine.played(&play, outcome);
                self.answer(step, None);
            }
            step @ Step::Answer(_) => self.answer(step, None),
        }
        Ok(())
    }

    fn on_done(&mut self, done: Done) -> Result<(), End> {
        self.job = None;
        match done {
            Done::Login(login, arrived, who) => {
                self.login = Some(login);
                if who.is_ok() {
                    // Gives the place before login back.
                    self.stage = Stage::Known;
                }
                let step = self.machine.login(arrived, who);
                self.advance(step)
            }
            Done::Open(open, outcome) => {
                let (subscription, offered) = match outcome {
                    Ok(opened) => (Some(opened.subscription), Ok(opened.offered)),
                    Err(refused) => (None, Err(refused)),
                };
                let id = fresh_id().ok_or(End::Failed(io::ErrorKind::Other))?;
                let now = Instant::now().into_std();
                let step = self.machine.opened(open, offered, id, now);
                self.answer(step, subscription);
                Ok(())
            }
        }
    }

    fn play(&mut self, play: &Play) -> Result<Vec<Begin>, Refused> {
        let subscription = self.still_permitted(play.session(), play.principal(), play.stream())?;
        match play.action() {
            PlayAction::GoOn => Ok(Vec::new()),
            PlayAction::Start => {
                subscription.select(play.tracks());
                subscription.start();
                let begin = |track: &TrackId| Begin {
                    track: *track,
                    position: subscription.position(*track),
                };
                Ok(play.tracks().iter().map(begin).collect())
            }
        }
    }

    /// The session's subscription, if its principal may still have the stream.
    fn still_permitted(
        &mut self,
        session: SessionId,
        principal: &Arc<Principal>,
        stream: &StreamName,
    ) -> Result<&mut Subscription, Refused> {
        self.server.authenticator.permit(principal, stream).map_err(|_| Refused::NoStream)?;
        self.readers
            .subscription(session)
            .filter(|subscription| subscription.permit().is_valid())
            .ok_or(Refused::NoStream)
    }

    /// Queues the answer and does what goes with it. `opened` is dropped unless the answer keeps it.
    fn answer(&mut self, step: Step, opened: Option<Subscription>) {
        let Step::Answer(Answer { response, effect }) = step else { return };
        self.outbox.push(response.encode());
        match effect {
            Effect::None => {}
            Effect::Keep => self.described = opened,
            Effect::Attach(id) => {
                let counted = self.server.metrics.rtsp_server.session(&self.server.listener);
                if let Some(subscription) = opened {
                    self.readers.attach(id, subscription, counted);
                }
            }
            Effect::Start { session, channels } => {
                let metrics = &self.server.metrics.rtsp_server;
                if let Some(subscription) = self.readers.subscription(session) {
                    let meter = metrics.reader(subscription.permit().stream().as_str());
                    self.readers.start(session, channels, meter);
                }
            }
            Effect::Stop(id) => self.readers.stop(id),
            Effect::End(id) => self.readers.end(id),
            Effect::Close(reason) => self.stage = Stage::Closing(End::Rules(reason)),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let stage = match self.stage {
            Stage::Silent(_) => Some(self.started + limits::FIRST_BYTE),
            Stage::Strange(_) => Some(self.started + limits::LOGIN),
            Stage::Known | Stage::Closing(_) => None,
        };
        let request = self.partial.since().map(|since| since + limits::REQUEST);
        let stall = self.outbox.waits_since().map(|since| since + self.server.settings.write_stall);
        let machine = self.machine.deadline().map(Instant::from_std);
        [stage, request, stall, machine].into_iter().flatten().min()
    }

    fn on_timer(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let has_passed =
            |since: Instant, time: Duration| now.saturating_duration_since(since) >= time;
        if self
            .outbox
            .waits_since()
            .is_some_and(|s| has_passed(s, self.server.settings.write_stall))
        {
            return Err(End::Stalled);
        }
        match self.stage {
            Stage::Silent(_) if has_passed(self.started, limits::FIRST_BYTE) => {
                return Err(End::Silent);
            }
            Stage::Strange(_) if has_passed(self.started, limits::LOGIN) => {
                return Err(End::NoLogin);
            }
            Stage::Silent(_) | Stage::Strange(_) | Stage::Known | Stage::Closing(_) => {}
        }
        if self.partial.since().is_some_and(|since| has_passed(since, limits::REQUEST)) {
            return Err(End::SlowRequest);
        }
        for id in self.machine.expire(now.into_std()).map_err(End::Rules)? {
            self.readers.end(id);
        }
        Ok(())
    }

    /// A clean end says so, where nothing hangs half written.
    async fn say_goodbye(&mut self, end: &End) {
        let is_clean = match end {
            End::Silent
            | End::SlowRequest
            | End::NoLogin
            | End::Violation(_)
            | End::Rules(_)
            | End::Stream(_) => self.outbox.is_idle(),
            End::Closed | End::Failed(_) | End::Stalled | End::Revoked => false,
        };
        if is_clean {
            // Nobody waits for the outcome: the connection is dropped next.
            timeout(GOODBYE, self.write.shutdown()).await.ok();
        }
    }
}

impl Stage {
    fn heard(&mut self) {
        // A place can only be moved out of a stage that is replaced at once.
        *self = match std::mem::replace(self, Self::Known) {
            Self::Silent(place) | Self::Strange(place) => Self::Strange(place),
            Self::Known => Self::Known,
            Self::Closing(end) => Self::Closing(end),
        };
    }
}

impl Partial {
    fn of(self, buffer: &BytesMut) -> Self {
        match self {
            Self::Since(since) if !buffer.is_empty() => Self::Since(since),
            Self::Nothing if !buffer.is_empty() => Self::Since(Instant::now()),
            Self::Since(_) | Self::Nothing => Self::Nothing,
        }
    }

    fn since(self) -> Option<Instant> {
        match self {
            Self::Nothing => None,
            Self::Since(since) => Some(since),
        }
    }
}

/// One timer for all deadlines of a connection. It may fire early: re-arming at every write would cost
/// more than a look at the clock.
struct Timer(Pin<Box<Sleep>>);

impl Timer {
    fn new(now: Instant) -> Self {
        Self(Box::pin(sleep_until(now)))
    }

    async fn at(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return pending().await };
        if self.0.is_elapsed() || self.0.deadline() > deadline {
            self.0.as_mut().reset(deadline);
        }
        self.0.as_mut().await;
    }
}

async fn finished(job: &mut Option<Job>) -> Done {
    match job {
        Some(job) => job.await,
        None => pending().await,
    }
}

fn fresh_id() -> Option<SessionId> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(SessionId::from_random(bytes))
}
