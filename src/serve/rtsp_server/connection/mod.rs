//! One client connection: the shell around [`super::machine`]. One loop reads, writes and waits; no
//! direction blocks the other.

mod deadlines;
mod end;
mod jobs;
mod outbox;
mod readers;
#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::machine::{Answer, Begin, Effect, Machine, Play, PlayAction, Refused, SessionId, Step};
use super::{Peer, Server};
use crate::hub::{Interrupt, Subscription};
use crate::media::{StreamName, TrackId};
use crate::ops::limits;
use crate::ops::random::random;
use crate::serve::overload::{Lack, Reader};
use crate::trust::auth::{ConnectionLogin, PreAuthPlace, Principal};
use crate::wire::rtsp::{Decoder, Item, Response};

use deadlines::{Partial, Timer};
pub use end::End;
use jobs::{Done, Job};
use outbox::Outbox;
use readers::{Readers, Take};

/// Room made for each read.
const READ_BYTES: usize = 2048;
/// Units written one after the other before the loop looks at the client's requests again.
const UNITS_AT_ONCE: usize = 8;

/// Serves one client to the end, which comes within [`limits::GOODBYE`] once `stop` returns. `place` is given
/// back once the client has logged in.
pub async fn serve<S>(
    stream: S,
    peer: Peer,
    place: PreAuthPlace,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let _counted = server.metrics.rtsp_server.connection(&server.listener);
    let mut connection = Connection::new(stream, &peer, place, server);
    let ended = tokio::select! {
        biased;
        () = stop => None,
        end = connection.run() => Some(end),
    };
    let goodbye = Instant::now() + limits::GOODBYE;
    let end = match ended {
        Some(end) => end,
        None => connection.finish(goodbye).await,
    };
    connection.write_down(&end, peer.address.ip());
    connection.say_goodbye(&end, goodbye).await;
    tracing::debug!(peer = %peer.address, reason = %end, "RTSP connection ended");
    end
}

struct Connection<S> {
    server: Arc<Server>,
    stream: S,
    decoder: Decoder,
    buffer: BytesMut,
    outbox: Outbox,
    machine: Machine,
    /// `None` while a job has it.
    login: Option<Box<ConnectionLogin>>,
    job: Option<Job>,
    readers: Readers,
    /// Once it played: its place among those of whom the slowest go first.
    reader: Option<Reader>,
    described: Option<Described>,
    stage: Stage,
    partial: Partial,
    started: Instant,
    since: Instant,
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
    /// Nothing more is read; what is queued is written. With its place, if it never logged in.
    Closing(End, Option<PreAuthPlace>),
}

/// What the last DESCRIBE found: its demand holds until SETUP, for at most [`limits::DESCRIBED_KEPT`].
struct Described {
    subscription: Subscription,
    since: Instant,
}

/// What woke the loop. Media goes its way without waking it.
enum Event {
    Timer,
    Done(Box<Done>),
    Read(io::Result<usize>),
    /// All was written, and that was waited for; or it failed.
    Written(io::Result<()>),
    Interrupted(Interrupt),
    HasToGo(Lack),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    fn new(stream: S, peer: &Peer, place: PreAuthPlace, server: Arc<Server>) -> Self {
        let now = Instant::now();
        let login = server.authenticator.connection(
            peer.address.ip(),
            &server.offer,
            peer.identity.as_ref(),
        );
        Self {
            machine: Machine::new(server.settings.session_timeout, now.into_std()),
            server,
            stream,
            decoder: Decoder::new(),
            buffer: BytesMut::with_capacity(READ_BYTES),
            outbox: Outbox::new(),
            login: Some(Box::new(login)),
            job: None,
            readers: Readers::default(),
            reader: None,
            described: None,
            stage: Stage::Silent(place),
            partial: Partial::Nothing,
            started: now,
            since: peer.since,
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

    /// Writes what was begun, and takes up nothing new.
    async fn finish(&mut self, deadline: Instant) -> End {
        self.job = None;
        self.stage.close(End::Stopping);
        timeout_at(deadline, self.run()).await.unwrap_or(End::Stopping)
    }

    async fn step(&mut self) -> Result<(), End> {
        self.look_at_buffer()?;
        if let (Stage::Closing(end, _), true) = (&self.stage, self.outbox.is_idle()) {
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
            Event::Read(Err(error)) | Event::Written(Err(error)) => Err(End::of(&error)),
            Event::Written(Ok(())) => Ok(()),
            Event::HasToGo(Lack::Of(resource)) => Err(End::Overloaded(resource)),
            Event::HasToGo(Lack::Proof) => Err(End::Unproven),
            Event::Interrupted(Interrupt::Ended(reason)) => Err(End::Stream(reason)),
            Event::Interrupted(Interrupt::Revoked | Interrupt::Lagged { .. }) => Err(End::Revoked),
        }
    }

    async fn wait(&mut self) -> Event {
        poll_fn(|cx| {
            if let Some(Poll::Ready(lack)) = self.reader.as_mut().map(|one| one.poll_shed(cx)) {
                return Poll::Ready(Event::HasToGo(lack));
            }
            let event = self.poll_event(cx);
            // Only who has to be waited for costs more than a look.
            if let (Some(reader), false) = (&self.reader, self.outbox.is_idle()) {
                reader.behind().waits(Instant::now().into_std());
            }
            event
        })
        .await
    }

    /// Media is taken up only when nothing waits to be written: an answer stands between units, and a
    /// reader that is slow leaves the backlog in the ring, where the lag policy sees it. A unit is written as soon
    /// as it is taken up: a reader that keeps up costs one turn for each unit.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let was_idle = self.outbox.is_idle();
        let mut units = 0_usize;
        loop {
            let drained = self.outbox.poll_drain(&mut self.stream, cx);
            if let (Some(reader), Poll::Ready(_)) = (&self.reader, &drained) {
                reader.behind().took_all();
            }
            match drained {
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Written(Err(error))),
                Poll::Ready(Ok(())) if !was_idle && units == 0 => {
                    return Poll::Ready(Event::Written(Ok(())));
                }
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            let took = match self.readers.poll_next(self.wanted(), cx) {
                Poll::Ready(Ok(chunks)) => {
                    self.outbox.extend(chunks.report);
                    self.outbox.push(chunks.unit);
                    units += 1;
                    true
                }
                Poll::Ready(Err(interrupt)) => return Poll::Ready(Event::Interrupted(interrupt)),
                Poll::Pending => false,
            };
            if took && !units.is_multiple_of(UNITS_AT_ONCE) {
                continue;
            }
            let event = self.poll_client(cx);
            if event.is_ready() || !took {
                return event;
            }
        }
    }

    fn wanted(&self) -> Take {
        match self.outbox.is_idle() && self.is_open() {
            true => Take::Media,
            false => Take::Revocation,
        }
    }

    /// What the client does, or fails to do.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let deadline = self.deadline();
        if self.timer.poll_at(deadline, cx).is_ready() {
            return Poll::Ready(Event::Timer);
        }
        if let Some(job) = &mut self.job
            && let Poll::Ready(done) = job.as_mut().poll(cx)
        {
            return Poll::Ready(Event::Done(Box::new(done)));
        }
        if !self.is_open() || self.buffer.len() >= limits::CLIENT_BUFFER_BYTES {
            return Poll::Pending;
        }
        self.buffer.reserve(READ_BYTES);
        pin!(self.stream.read_buf(&mut self.buffer)).poll(cx).map(Event::Read)
    }

    fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Closing(..))
    }

    /// Takes whole items off the buffer, as long as no request is being worked on and answers are taken.
    fn look_at_buffer(&mut self) -> Result<(), End> {
        while self.job.is_none()
            && self.outbox.len() < limits::CLIENT_QUEUE
            && !matches!(self.stage, Stage::Closing(..))
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
                    self.stage.close(End::Violation(violation));
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
                let kept = self.described.take().map(|described| described.subscription);
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
            Effect::Keep => {
                let since = Instant::now();
                self.described = opened.map(|subscription| Described { subscription, since });
            }
            Effect::Attach(id) => {
                let counted = self.server.metrics.rtsp_server.session(&self.server.listener);
                if let Some(subscription) = opened {
                    self.readers.attach(id, subscription, counted);
                }
            }
            Effect::Start { session, channels } => {
                let metrics = &self.server.metrics.rtsp_server;
                if let Some(subscription) = self.readers.subscription(session) {
                    let permit = subscription.permit();
                    let principal = permit.principal().name();
                    tracing::debug!(?session, principal, stream = %permit.stream(), "plays");
                    let meter = metrics.reader(permit.stream().as_str());
                    let now = Instant::now().into_std();
                    let reader = self.reader.get_or_insert_with(|| self.server.load.reader(now));
                    let behind = Arc::clone(reader.behind());
                    self.readers.start(session, channels, meter, behind);
                }
            }
            Effect::Stop(id) => self.readers.stop(id),
            Effect::End(id) => self.readers.end(id),
            Effect::Close(reason) => self.stage.close(End::Rules(reason)),
        }
    }
}

impl Stage {
    fn heard(&mut self) {
        // A place can only be moved out of a stage that is replaced at once.
        *self = match std::mem::replace(self, Self::Known) {
            Self::Silent(place) | Self::Strange(place) => Self::Strange(place),
            Self::Known => Self::Known,
            closing @ Self::Closing(..) => closing,
        };
    }

    fn close(&mut self, end: End) {
        *self = match std::mem::replace(self, Self::Known) {
            Self::Silent(place) | Self::Strange(place) => Self::Closing(end, Some(place)),
            Self::Known => Self::Closing(end, None),
            closing @ Self::Closing(..) => closing,
        };
    }
}

fn fresh_id() -> Option<SessionId> {
    Some(SessionId::from_random(random().ok()?))
}
