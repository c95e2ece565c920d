//! One pull: dial, through the airlock, into the hub, until it ends.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use tokio::time::{Instant, MissedTickBehavior};

use crate::hub::Publisher;
use crate::ingest::segment::NoDoor;
use crate::media::{Refused, StreamName};
use crate::ops::limits;
use crate::ops::metrics::{CameraStreamMetrics, Metrics};
use crate::trust::audit::{self, Event};
use crate::trust::tls::Fingerprint;
use crate::trust::tls::client::Failure as TlsFailure;

use super::airlock::{Counts, EndReason, LoginMemory, Request, Session};
use super::certificate_book::BookFailure;
use super::dialer::{CameraLine, Connected, NotOpened, Way};
use super::intake::{Carry, Intake, Outlet, Phase};

/// Where a stream comes from and goes to. Unchanged while it is configured.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) stream: StreamName,
    pub(super) request: Request,
    pub(super) way: Way,
    pub(super) publisher: Publisher,
    pub(super) metrics: CameraStreamMetrics,
    pub(super) all_metrics: Arc<Metrics>,
}

/// Why a pull ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody wants it any more, or the gateway stops.
    Unwanted,
    /// No connection.
    Unreachable(io::ErrorKind),
    /// The segment's service gave no connection.
    Segment(NoDoor),
    /// No TLS, or not with the camera.
    Tls(TlsFailure),
    /// Another certificate than the first time.
    CertificateChanged {
        /// The one of the first time.
        expected: Fingerprint,
        /// The one that came.
        got: Fingerprint,
    },
    /// The certificates of the first time cannot be read, or one not be written.
    CertificateBook(BookFailure),
    /// The airlock's reason.
    Session(EndReason),
    /// The parameter sets are not lawful.
    Parameters(Refused),
    /// No picture came that the media policy lets through.
    NothingLawful,
    /// The format changed in mid-session.
    FormatChanged,
    /// A panic was caught.
    Panicked,
}

/// How a pull went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) ending: Ending,
    pub(super) memory: LoginMemory,
    /// Time that units were published.
    pub(super) played: Duration,
}

/// A future that returns when the pull is to end.
pub(super) type Unwanted<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

impl Source {
    /// Dials the camera and brings it to play, unless `unwanted` returns before.
    pub(super) async fn open(
        &self,
        memory: LoginMemory,
        unwanted: &mut Unwanted<'_>,
    ) -> Result<Session<CameraLine>, Ended> {
        self.metrics.attempts.inc();
        let connected = tokio::select! {
            biased;
            () = &mut *unwanted => Err(Ending::Unwanted),
            connected = self.way.connect() => connected,
        };
        let line = match connected {
            Ok(arrived) => self.welcome(arrived),
            Err(ending) => {
                return Err(Ended { ending, memory, played: Duration::ZERO });
            }
        };
        let mut was_wanted = true;
        let stop = async {
            unwanted.await;
            was_wanted = false;
        };
        match self.way.open(line, &self.request, memory, stop).await {
            Ok(session) => {
                self.metrics.sessions.inc();
                Ok(session)
            }
            Err(NotOpened { ending, memory, counts }) => {
                self.count(&counts, &Counts::default());
                let ending = if was_wanted { ending } else { Ending::Unwanted };
                Err(Ended { ending, memory, played: Duration::ZERO })
            }
        }
    }

    /// Shows who the camera said it is.
    fn welcome(&self, Connected { line, peer, first_use }: Connected) -> CameraLine {
        if let Some(peer) = peer {
            let (stream, version) = (self.stream.as_str(), peer.version.number());
            self.all_metrics.camera.tls(stream, version, peer.not_after);
            if first_use {
                let certificate = peer.fingerprint.to_string();
                let stream = &self.stream;
                audit::record(Event::CameraCertificateTaken { stream, certificate: &certificate });
            }
        }
        line
    }

    /// Publishes what comes until the session ends or `unwanted` returns. `on_first` is called when the
    /// first unit goes to the hub.
    pub(super) async fn play(
        &self,
        mut session: Session<CameraLine>,
        carry: &mut Carry,
        unwanted: &mut Unwanted<'_>,
        on_first: impl Fn(),
    ) -> Ended {
        let outlet = Outlet {
            stream: &self.stream,
            publisher: &self.publisher,
            metrics: &self.metrics,
            all_metrics: &self.all_metrics.camera,
        };
        let mut intake = Intake::new(outlet, carry, session.tracks().to_vec(), session.starts());
        let mut counted = Counts::default();
        let pass = self.pass(&mut session, &mut intake, unwanted, &mut counted, on_first);
        // Caught here, so that the camera's session can still be ended.
        let ending = AssertUnwindSafe(pass).catch_unwind().await.unwrap_or(Ending::Panicked);
        intake.count();
        let played = match intake.phase() {
            Phase::Collecting => Duration::ZERO,
            Phase::Publishing { since } => Instant::now().saturating_duration_since(since),
        };
        self.publisher.pause();
        let closed = session.close().await;
        self.count(&closed.counts, &counted);
        Ended { ending, memory: closed.memory, played }
    }

    async fn pass(
        &self,
        session: &mut Session<CameraLine>,
        intake: &mut Intake<'_>,
        unwanted: &mut Unwanted<'_>,
        counted: &mut Counts,
        on_first: impl Fn(),
    ) -> Ending {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut phase = intake.phase();
        loop {
            tokio::select! {
                biased;
                () = &mut *unwanted => return Ending::Unwanted,
                _ = second.tick() => {
                    let counts = session.counts();
                    self.count(&counts, counted);
                    *counted = counts;
                    intake.count();
                    if intake.progress().elapsed() >= limits::CAMERA_RANDOM_ACCESS {
                        let refused = intake.refused();
                        return refused.map_or(Ending::NothingLawful, Ending::Parameters);
                    }
                }
                stepped = session.step(intake) => {
                    if intake.has_changed_format() {
                        return Ending::FormatChanged;
                    }
                    if let Err(reason) = stepped {
                        return Ending::Session(reason);
                    }
                }
            }
            if phase != intake.phase() {
                phase = intake.phase();
                on_first();
            }
        }
    }

    /// A panic was caught. Its payload may quote the camera and goes nowhere; the panic hook says where it was.
    pub(super) fn panicked(&self) {
        self.metrics.panics.inc();
        audit::record(Event::PanicCaught { task: self.stream.as_str() });
    }

    /// Adds what the airlock counted since `before`.
    fn count(&self, now: &Counts, before: &Counts) {
        self.metrics.wire_bytes.inc_by(now.bytes.saturating_sub(before.bytes));
        self.metrics.lost_packets.inc_by(now.lost.saturating_sub(before.lost));
        for _ in before.panics..now.panics {
            self.panicked();
        }
        for ((reason, now), (_, before)) in now.dropped().into_iter().zip(before.dropped()) {
            let count = now.saturating_sub(before);
            if count > 0 {
                self.all_metrics.camera.dropped(self.stream.as_str(), reason, count);
            }
        }
    }
}

impl Ending {
    /// A stable word for metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Unwanted => "unwanted",
            Self::Unreachable(_) => "unreachable",
            Self::Segment(why) => why.label(),
            Self::Tls(failure) => failure.label(),
            Self::CertificateChanged { .. } => "tls_certificate_changed",
            Self::CertificateBook(_) => "certificate_book",
            Self::Session(reason) => reason.label(),
            Self::Parameters(_) => "parameters",
            Self::NothingLawful => "nothing_lawful",
            Self::FormatChanged => "format_changed",
            Self::Panicked => "panicked",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwanted => f.write_str("no longer wanted"),
            Self::Unreachable(kind) => {
                write!(f, "no connection to the camera ({kind}): check address, power and network")
            }
            Self::Segment(why) => why.fmt(f),
            Self::Tls(failure) => failure.fmt(f),
            Self::CertificateChanged { expected, got } => write!(
                f,
                "the camera's certificate changed: expected {}, got {got}; another device may impersonate it. If the new one is right, pin it: tls = \"sha256:...\"",
                expected.short()
            ),
            Self::CertificateBook(BookFailure::Unreadable) => f.write_str(
                "the gateway cannot read the remembered camera certificates (STATE_DIR/\
                 camera-certificates): mend the file, and restart",
            ),
            Self::CertificateBook(BookFailure::Unwritable) => f.write_str(
                "the gateway cannot save the camera's certificate (STATE_DIR/camera-certificates): check disk space and that the directory is writable",
            ),
            Self::Session(reason) => write!(f, "{reason}"),
            Self::Parameters(refused) => {
                write!(f, "the camera's parameter sets are not accepted: {refused}")
            }
            Self::NothingLawful => f.write_str(
                "the camera sent no picture to start with, or none that passes the media checks: \
                 shorten its key-frame interval",
            ),
            Self::FormatChanged => f.write_str("the camera changed its video format"),
            Self::Panicked => {
                f.write_str("the gateway failed on this camera (a bug: please report it)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Fault, ParameterSet};

    #[test]
    fn the_reasons_are_these() {
        let print = Fingerprint::of(b"");
        let all = every!(
            Ending; Unwanted, Unreachable(io::ErrorKind::Other), Segment(NoDoor::Silent),
            Tls(TlsFailure::Closed), CertificateChanged { expected: print, got: print },
            CertificateBook(BookFailure::Unreadable), Session(EndReason::Stopped),
            Parameters(Refused { set: ParameterSet::H264Sps, why: Fault::Truncated }),
            NothingLawful, FormatChanged, Panicked,
        );
        assert_surface!("camera-pull-ends", all.map(Ending::label).join("\n"));
    }
}
