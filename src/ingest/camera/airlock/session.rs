//! The task between camera and depacketiser, and what its owner holds.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, timeout};

use super::door::Door;
use super::received::Received;
use super::rewrite::{Next, Rewriter, Totals};
use super::{Counts, EndReason, LoginMemory, LoginUsed, OpenedTrack, Starts};
use crate::ops::limits;

/// How a session ended, and what it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Why.
    pub reason: EndReason,
    /// What to pass into the next [`super::open()`].
    pub memory: LoginMemory,
    /// What passed and what was dropped, by reason.
    pub counts: Counts,
}

/// The owner of a session's task. Dropping it ends the session; TEARDOWN goes out within
/// [`limits::CAMERA_TEARDOWN`].
#[derive(Debug)]
pub struct Running {
    task: JoinHandle<EndReason>,
    /// Dropped to stop the task, which then still says goodbye: that is why it is not aborted.
    stop: Option<oneshot::Sender<()>>,
    shared: Arc<Shared>,
    ended: Option<EndReason>,
}

impl Running {
    /// Starts the task: lets the depacketiser in, then stands between the two.
    pub(super) fn start<S, R, F>(
        camera: S,
        redial: R,
        door: Door,
        rewriter: Rewriter,
        shared: Arc<Shared>,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        R: FnOnce() -> F + Send + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let between = Between {
            camera,
            redial: Some(redial),
            rewriter,
            from_camera: Received::new(),
            from_consumer: BytesMut::new(),
            shared: Arc::clone(&shared),
            waited_for: Depacketiser::InTime,
        };
        let task = tokio::spawn(between.run(door, stopped));
        Self { task, stop: Some(stop), shared, ended: None }
    }

    /// Waits for the end of the session, TEARDOWN included. Cancel-safe.
    pub async fn ended(&mut self) -> Report {
        let reason = match self.ended {
            Some(reason) => reason,
            None => (&mut self.task).await.unwrap_or(EndReason::Panicked),
        };
        self.ended = Some(reason);
        Report { reason, memory: self.memory(), counts: self.counts() }
    }

    /// Ends the session and waits for it.
    pub async fn stop(mut self) -> Report {
        self.stop = None;
        self.ended().await
    }

    /// What passed and what was dropped so far.
    pub fn counts(&self) -> Counts {
        self.shared.status().counts
    }

    /// What to pass into the next [`super::open()`].
    pub fn memory(&self) -> LoginMemory {
        self.shared.status().memory
    }

    /// How the requests are signed now.
    pub fn login(&self) -> LoginUsed {
        self.shared.status().login
    }
}

/// What the task, the consumer and the owner share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    acknowledged: [AtomicU64; limits::TRACKS],
    /// Told of each of these.
    given: Notify,
    verdict: AtomicU8,
    presented: OnceLock<Vec<OpenedTrack>>,
    starts: OnceLock<Starts>,
    status: Mutex<Status>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Status {
    counts: Counts,
    memory: LoginMemory,
    login: LoginUsed,
}

/// How the depacketiser ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It saw the end of the stream, or was dropped.
    Ended,
    /// It refused the media.
    Refused,
    /// It panicked.
    Panicked,
}

impl Shared {
    pub(super) fn new(memory: LoginMemory) -> Self {
        Self { status: Mutex::new(Status { memory, ..Status::default() }), ..Self::default() }
    }

    pub(super) fn acknowledge(&self, stream: usize) {
        if let Some(count) = self.acknowledged.get(stream) {
            count.fetch_add(1, Ordering::Relaxed);
            self.given.notify_one();
        }
    }

    pub(super) fn judge(&self, verdict: Verdict) {
        let number = match verdict {
            Verdict::Ended => 0,
            Verdict::Refused => 1,
            Verdict::Panicked => 2,
        };
        self.verdict.store(number, Ordering::Release);
    }

    /// The tracks presented to the depacketiser, once the camera described them.
    pub(super) fn presented(&self) -> &[OpenedTrack] {
        self.presented.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// What the answer to PLAY said of the tracks' starts.
    pub(super) fn starts(&self) -> Starts {
        self.starts.get().copied().unwrap_or(Starts::Unknown)
    }

    /// Why the depacketiser hung up.
    fn hung_up(&self) -> EndReason {
        match self.verdict.load(Ordering::Acquire) {
            0 => EndReason::Stopped,
            1 => EndReason::Depacketiser,
            _ => EndReason::Panicked,
        }
    }

    fn totals(&self) -> Totals {
        self.acknowledged.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    fn status(&self) -> Status {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's state.
struct Between<S, R> {
    camera: S,
    redial: Option<R>,
    rewriter: Rewriter,
    from_camera: Received,
    from_consumer: BytesMut,
    shared: Arc<Shared>,
    waited_for: Depacketiser,
}

/// Whether a pause for it was enough, when it was last given one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depacketiser {
    InTime,
    Late,
}

impl<S, R, F> Between<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: FnOnce() -> F,
    F: Future<Output = io::Result<S>>,
{
    async fn run(mut self, door: Door, mut stop: oneshot::Receiver<()>) -> EndReason {
        let reason = tokio::select! {
            guest = door.admit() => match guest {
                Ok(guest) => {
                    self.rewriter.intruders(guest.intruders);
                    self.from_consumer = guest.bytes;
                    self.stand(guest.stream, &mut stop).await
                }
                Err(_) => EndReason::Door,
            },
            _ = &mut stop => EndReason::Stopped,
        };
        self.publish();
        // A slow goodbye is no reason to stay, nor is a failed one.
        let _too_slow = timeout(limits::CAMERA_TEARDOWN, self.say_goodbye()).await.is_err();
        reason
    }

    /// Stands between the two until the session ends. The consumer's socket closes with it.
    async fn stand(
        &mut self,
        mut consumer: TcpStream,
        stop: &mut oneshot::Receiver<()>,
    ) -> EndReason {
        tokio::select! {
            reason = self.pass(&mut consumer) => match reason {
                Ok(never) => match never {},
                Err(reason) => reason,
            },
            _ = stop => EndReason::Stopped,
        }
    }

    async fn pass(
        &mut self,
        consumer: &mut TcpStream,
    ) -> Result<std::convert::Infallible, EndReason> {
        let timer = tokio::time::sleep_until(Instant::now());
        tokio::pin!(timer);
        self.rewriter.consumer_bytes(&mut self.from_consumer, now())?;
        loop {
            self.flush(consumer).await?;
            self.let_catch_up().await;
            wind(timer.as_mut(), self.rewriter.deadline());
            tokio::select! {
                read = self.from_camera.read(&mut self.camera) => {
                    self.rewriter.acknowledge(&self.shared.totals(), now());
                    let next = match read {
                        Ok(0) => self.rewriter.camera_closed()?,
                        Ok(fresh) => {
                            self.rewriter.camera_bytes(self.from_camera.bytes(), fresh, now())?
                        }
                        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                            return Err(EndReason::BrokenTls);
                        }
                        Err(_) => match self.rewriter.camera_closed() {
                            Ok(next) => next,
                            Err(_) => return Err(EndReason::CameraLost),
                        },
                    };
                    match next {
                        Next::GoOn => {}
                        Next::Redial => self.dial_again().await?,
                    }
                }
                read = consumer.read_buf(&mut self.from_consumer) => match read {
                    Ok(0) | Err(_) => return Err(self.shared.hung_up()),
                    Ok(_) => self.rewriter.consumer_bytes(&mut self.from_consumer, now())?,
                },
                () = timer.as_mut() => {
                    self.rewriter.acknowledge(&self.shared.totals(), now());
                    self.rewriter.on_time(now())?;
                    self.publish();
                    // Wound again at once: a timer that fired stays ready.
                    let next = self.rewriter.deadline().map_or_else(far, Instant::from_std);
                    timer.as_mut().reset(next);
                }
            }
        }
    }

    async fn flush(&mut self, consumer: &mut TcpStream) -> Result<(), EndReason> {
        let for_camera = self.rewriter.take_for_camera();
        if !for_camera.is_empty() {
            match timeout(limits::CAMERA_ANSWER, tell(&mut self.camera, &for_camera)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(EndReason::CameraLost),
                Err(_) => return Err(EndReason::CameraNotReading),
            }
        }
        if self.shared.presented.get().is_none() {
            let presented = self.rewriter.presented();
            if !presented.is_empty() {
                self.shared.presented.get_or_init(|| presented);
            }
        }
        // Known before the depacketiser gets the answer to PLAY; what the login taught is known with it.
        if self.shared.starts.get().is_none()
            && let Some(starts) = self.rewriter.starts()
        {
            self.shared.starts.get_or_init(|| starts);
            self.publish();
        }
        let for_consumer = self.rewriter.for_consumer();
        if for_consumer.is_empty() {
            return Ok(());
        }
        match timeout(limits::DOOR_WRITE, consumer.write_all_buf(for_consumer)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.shared.hung_up()),
            Err(_) => Err(EndReason::ConsumerStalled),
        }
    }

    /// A depacketiser that is late is no fault of the camera's: it gets time for the units that are under
    /// way, once. What never becomes a unit meets its bound behind this.
    async fn let_catch_up(&mut self) {
        if !self.rewriter.is_ahead() {
            self.waited_for = Depacketiser::InTime;
        } else if self.waited_for == Depacketiser::InTime {
            let catches_up = async {
                while self.rewriter.is_ahead() {
                    self.shared.given.notified().await;
                    self.rewriter.acknowledge(&self.shared.totals(), now());
                }
            };
            if timeout(limits::UNACKNOWLEDGED_PAUSE, catches_up).await.is_err() {
                self.waited_for = Depacketiser::Late;
            }
        }
    }

    async fn dial_again(&mut self) -> Result<(), EndReason> {
        let redial = self.redial.take().ok_or(EndReason::RedialFailed)?;
        let connect = limits::CAMERA_CONNECT + limits::CAMERA_HANDSHAKE;
        let camera = timeout(connect, redial()).await;
        self.camera = camera.ok().and_then(Result::ok).ok_or(EndReason::RedialFailed)?;
        self.from_camera.bytes().clear();
        self.rewriter.redialled(now());
        Ok(())
    }

    /// TEARDOWN, and its answer, so that the camera's session slot is free before the socket closes; and the end
    /// of TLS, if there is any.
    async fn say_goodbye(&mut self) -> io::Result<()> {
        self.tear_down().await?;
        self.camera.shutdown().await
    }

    async fn tear_down(&mut self) -> io::Result<()> {
        let Some((bytes, cseq)) = self.rewriter.teardown() else { return Ok(()) };
        tell(&mut self.camera, &bytes).await?;
        while !self.rewriter.is_farewell(self.from_camera.bytes(), cseq) {
            if self.from_camera.read(&mut self.camera).await? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn publish(&self) {
        let status = Status {
            counts: self.rewriter.counts(),
            memory: self.rewriter.memory(),
            login: self.rewriter.login_used(),
        };
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// Writes all, down to the wire: TLS may keep the end of it back.
async fn tell(camera: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    camera.write_all(bytes).await?;
    camera.flush().await
}

/// Sets the timer earlier if need be. Later is left to its firing: most reads move a deadline back.
fn wind(timer: std::pin::Pin<&mut Sleep>, deadline: Option<std::time::Instant>) {
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
