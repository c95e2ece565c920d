//! A session with a camera: its socket, and the RTSP client that reads it. One task drives both.

use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, timeout, timeout_at};

use super::client::{Client, Next};
use super::received::Received;
use super::{Counts, EndReason, LoginMemory, LoginUsed, OpenedTrack, Sink, Starts};
use crate::ops::limits;

/// How a session ended, and what it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// What to pass into the next [`super::open()`].
    pub memory: LoginMemory,
    /// What passed and what was dropped, by reason.
    pub counts: Counts,
}

/// A session over `S`. Dropping it closes the connection without TEARDOWN: see [`Session::close`].
#[derive(Debug)]
pub struct Session<S> {
    camera: S,
    client: Client,
    received: Received,
    /// What was received is not looked at yet.
    is_unread: bool,
    outgoing: Outgoing,
    timer: Pin<Box<Sleep>>,
}

/// A request that is being written.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: Bytes,
    /// When the camera must have taken it.
    deadline: Option<Instant>,
}

/// What a session waited for.
enum Event {
    /// So many bytes.
    Bytes(usize),
    /// The connection ended.
    End(Option<io::Error>),
    /// A deadline of the client's.
    Time,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn new(camera: S, client: Client) -> Self {
        Self {
            camera,
            client,
            received: Received::new(),
            is_unread: false,
            outgoing: Outgoing::default(),
            timer: Box::pin(tokio::time::sleep_until(Instant::now())),
        }
    }

    /// Brings the camera to play. `redial` is called at most once.
    pub(super) async fn start<R, F>(&mut self, redial: R) -> Result<(), EndReason>
    where
        R: FnOnce() -> F,
        F: Future<Output = io::Result<S>>,
    {
        let mut redial = Some(redial);
        self.client.start(now());
        loop {
            let event = self.wait().await?;
            match self.take(event, &mut NoMedia)? {
                Next::GoOn => {}
                Next::Redial => {
                    let redial = redial.take().ok_or(EndReason::RedialFailed)?;
                    self.dial_again(redial()).await?;
                }
                Next::Play => {
                    self.is_unread = true;
                    return Ok(());
                }
            }
        }
    }

    /// Waits for bytes of the camera, or for a deadline, and acts on it: requests are written, access units go to
    /// `sink`. Cancel-safe. An error is the end of the session, but for [`Session::close`].
    pub async fn step(&mut self, sink: &mut impl Sink) -> Result<(), EndReason> {
        let event =
            if std::mem::take(&mut self.is_unread) { Event::Bytes(0) } else { self.wait().await? };
        match self.take(event, sink)? {
            Next::GoOn => Ok(()),
            // Neither is asked for while it plays.
            Next::Redial | Next::Play => Err(EndReason::CameraClosed),
        }
    }

    /// The tracks that are set up.
    pub fn tracks(&self) -> &[OpenedTrack] {
        self.client.tracks()
    }

    /// What the answer to PLAY said of the tracks' starts.
    pub fn starts(&self) -> Starts {
        self.client.starts().unwrap_or(Starts::Unknown)
    }

    /// What passed and what was dropped so far.
    pub fn counts(&self) -> Counts {
        self.client.counts()
    }

    /// What to pass into the next [`super::open()`].
    pub fn memory(&self) -> LoginMemory {
        self.client.memory()
    }

    /// How the requests are signed now.
    pub fn login(&self) -> LoginUsed {
        self.client.login_used()
    }

    /// Ends the session: TEARDOWN, if the camera holds one, and its answer, within [`limits::CAMERA_TEARDOWN`].
    pub async fn close(mut self) -> Closed {
        let closed = Closed { memory: self.memory(), counts: self.counts() };
        // A camera that does not answer, or is gone, is no reason to stay.
        let _too_slow = timeout(limits::CAMERA_TEARDOWN, self.tear_down()).await.is_err();
        closed
    }

    /// Writes what there is to write, then waits. Cancel-safe.
    async fn wait(&mut self) -> Result<Event, EndReason> {
        self.write().await?;
        wind(self.timer.as_mut(), self.client.deadline());
        tokio::select! {
            read = self.received.read(&mut self.camera) => Ok(match read {
                Ok(0) => Event::End(None),
                Ok(fresh) => Event::Bytes(fresh),
                Err(error) => Event::End(Some(error)),
            }),
            () = self.timer.as_mut() => Ok(Event::Time),
        }
    }

    fn take(&mut self, event: Event, sink: &mut dyn Sink) -> Result<Next, EndReason> {
        match event {
            Event::Bytes(fresh) => {
                self.client.camera_bytes(self.received.bytes(), fresh, now(), sink)
            }
            Event::End(Some(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Err(EndReason::BrokenTls)
            }
            Event::End(None) => self.client.camera_closed(),
            Event::End(Some(_)) => self.client.camera_closed().map_err(|_| EndReason::CameraLost),
            Event::Time => {
                self.client.on_time(now())?;
                // Set again at once: a timer that fired stays ready.
                let next = self.client.deadline().map_or_else(far, Instant::from_std);
                self.timer.as_mut().reset(next);
                Ok(Next::GoOn)
            }
        }
    }

    async fn write(&mut self) -> Result<(), EndReason> {
        if self.outgoing.deadline.is_none() {
            let bytes = self.client.take_for_camera();
            if bytes.is_empty() {
                return Ok(());
            }
            let deadline = Some(Instant::now() + limits::CAMERA_ANSWER);
            self.outgoing = Outgoing { bytes, deadline };
        }
        let deadline = self.outgoing.deadline.unwrap_or_else(Instant::now);
        let written = timeout_at(deadline, write_all(&mut self.camera, &mut self.outgoing.bytes));
        match written.await {
            Ok(Ok(())) => self.outgoing = Outgoing::default(),
            Ok(Err(_)) => return Err(EndReason::CameraLost),
            Err(_) => return Err(EndReason::CameraNotReading),
        }
        Ok(())
    }

    async fn dial_again(
        &mut self,
        redial: impl Future<Output = io::Result<S>>,
    ) -> Result<(), EndReason> {
        let connect = limits::CAMERA_CONNECT + limits::CAMERA_HANDSHAKE;
        let camera = timeout(connect, redial).await;
        self.camera = camera.ok().and_then(Result::ok).ok_or(EndReason::RedialFailed)?;
        self.received.bytes().clear();
        self.outgoing = Outgoing::default();
        self.client.redialled(now());
        Ok(())
    }

    /// TEARDOWN, and its answer, so that the camera's session is free before the socket closes; and the end of TLS,
    /// if there is any.
    async fn tear_down(&mut self) -> io::Result<()> {
        if let Some((mut bytes, cseq)) = self.client.teardown() {
            // A request that was cut off would swallow it.
            write_all(&mut self.camera, &mut self.outgoing.bytes).await?;
            write_all(&mut self.camera, &mut bytes).await?;
            while !self.client.is_farewell(self.received.bytes(), cseq) {
                if self.received.read(&mut self.camera).await? == 0 {
                    break;
                }
            }
        }
        self.camera.shutdown().await
    }
}

/// Before PLAY is answered there is none.
struct NoMedia;

impl Sink for NoMedia {
    fn unit(&mut self, _: super::Unit) {}
    fn report(&mut self, _: super::ReportedTime) {}
}

/// Writes all, down to the wire: TLS may keep the end of it back. What is left in `bytes` is not written yet.
async fn write_all(camera: &mut (impl AsyncWrite + Unpin), bytes: &mut Bytes) -> io::Result<()> {
    while bytes.has_remaining() {
        if camera.write_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    camera.flush().await
}

/// Sets the timer earlier if need be. Later is left to its firing: most reads move a deadline back.
fn wind(timer: Pin<&mut Sleep>, deadline: Option<std::time::Instant>) {
    let deadline = deadline.map_or_else(far, Instant::from_std);
    if timer.is_elapsed() || deadline < timer.deadline() {
        timer.reset(deadline);
    }
}

fn far() -> Instant {
    Instant::now() + limits::SESSION_TIMEOUT_MAX
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
