//! What a connection must do by when.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Connection, End, Stage};
use crate::ops::limits;

/// Whether part of a message waits for its rest.
#[derive(Debug, Clone, Copy)]
pub(super) enum Partial {
    Nothing,
    Since(Instant),
}

impl<S> Connection<S> {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let stage = match self.stage {
            Stage::Silent(_) => Some(self.started + limits::FIRST_BYTE),
            Stage::Strange(_) => Some(self.since + limits::LOGIN),
            Stage::Known | Stage::Closing(..) => None,
        };
        let request = self.partial.since().map(|since| since + limits::REQUEST);
        let stall = self.outbox.deadline(self.server.settings.write_stall);
        let machine = self.machine.deadline().map(Instant::from_std);
        let described =
            self.described.as_ref().map(|described| described.since + limits::DESCRIBED_KEPT);
        // A report waits for its turn behind what is being written.
        let report = self.readers.report_deadline().filter(|_| self.outbox.is_idle());
        [stage, request, stall, machine, described, report].into_iter().flatten().min()
    }

    pub(super) fn on_timer(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let has_passed =
            |since: Instant, time: Duration| now.saturating_duration_since(since) >= time;
        if self.outbox.deadline(self.server.settings.write_stall).is_some_and(|at| now >= at) {
            return Err(End::Stalled);
        }
        match self.stage {
            Stage::Silent(_) if has_passed(self.started, limits::FIRST_BYTE) => {
                return Err(End::Silent);
            }
            Stage::Strange(_) if has_passed(self.since, limits::LOGIN) => {
                return Err(End::NoLogin);
            }
            Stage::Silent(_) | Stage::Strange(_) | Stage::Known | Stage::Closing(..) => {}
        }
        if self.partial.since().is_some_and(|since| has_passed(since, limits::REQUEST)) {
            return Err(End::SlowRequest);
        }
        if self.described.as_ref().is_some_and(|d| has_passed(d.since, limits::DESCRIBED_KEPT)) {
            self.described = None;
        }
        if self.outbox.is_idle() {
            for report in self.readers.overdue_reports(now) {
                self.outbox.push(report);
            }
        }
        for id in self.machine.expire(now.into_std()).map_err(End::Rules)? {
            self.readers.end(id);
        }
        Ok(())
    }
}

impl Partial {
    pub(super) fn of(self, buffer: &BytesMut) -> Self {
        match self {
            Self::Since(since) if !buffer.is_empty() => Self::Since(since),
            Self::Nothing if !buffer.is_empty() => Self::Since(Instant::now()),
            Self::Since(_) | Self::Nothing => Self::Nothing,
        }
    }

    pub(super) fn since(self) -> Option<Instant> {
        match self {
            Self::Nothing => None,
            Self::Since(since) => Some(since),
        }
    }
}

/// One timer for all deadlines of a connection. It may fire early: re-arming at every write would cost
/// more than a look at the clock.
pub(super) struct Timer(Pin<Box<Sleep>>);

impl Timer {
    pub(super) fn new(now: Instant) -> Self {
        Self(Box::pin(sleep_until(now)))
    }

    pub(super) fn poll_at(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if self.0.is_elapsed() || self.0.deadline() > deadline {
            self.0.as_mut().reset(deadline);
        }
        self.0.as_mut().poll(cx)
    }
}
