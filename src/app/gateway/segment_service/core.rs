//! What is known, and where it goes: from the observer and the canary into ledger and news.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::verdict::Kept;
use crate::ops::limits;
use crate::ops::systemd::Progress;
use crate::segment::ledger::{Entry, Ledger};
use crate::segment::service::control::{Command, Reply};
use crate::segment::service::events_server::Bulletin;
use crate::segment::service::observe::Observer;
use crate::segment::{CanaryResult, News, Plan, Pulse, Row, Sums, now_ms};

/// Shared by all who have something to tell.
#[derive(Debug)]
pub(super) struct Core {
    ledger: Ledger,
    observer: Arc<Observer>,
    bulletin: Bulletin,
    /// Where the canary's last result is kept.
    verdict: PathBuf,
    started_ms: u64,
}

impl Core {
    pub(super) fn new(
        ledger: Ledger,
        observer: Arc<Observer>,
        bulletin: Bulletin,
        kept: Kept,
    ) -> Self {
        let verdict = kept.file().to_owned();
        if let Some(last) = kept.last {
            bulletin.tell(&News::Canary(last));
        }
        Self { ledger, observer, bulletin, verdict, started_ms: now_ms() }
    }

    /// The cameras are others.
    pub(super) fn set_plan(&self, plan: Arc<Plan>) {
        self.observer.set_plan(plan);
    }

    /// Writes what changed, every [`limits::SEGMENT_PULSE`], with a pulse; a checkpoint when it is due. Advances its progress every
    /// [`limits::SEGMENT_BEAT`].
    pub(super) async fn keep(self: Arc<Self>, progress: Progress) {
        let mut second = tokio::time::interval(limits::SEGMENT_BEAT);
        let (mut told, mut signed): (Option<Instant>, Instant) = (None, Instant::now());
        let over = |since: Instant, long: Duration| since.elapsed() >= long;
        loop {
            second.tick().await;
            if told.is_none_or(|told| over(told, limits::SEGMENT_PULSE)) {
                told = Some(Instant::now());
                self.rows(self.observer.due_rows());
                self.pulse();
            }
            if over(signed, limits::LEDGER_CHECKPOINT) {
                signed = Instant::now();
                self.ledger.checkpoint(now_ms());
            }
            progress.advance();
        }
    }

    /// Tells events of devices as they come.
    pub(super) async fn tell_devices(self: Arc<Self>) {
        loop {
            for event in self.observer.events().await {
                self.bulletin.tell(&News::Device(event.clone()));
                self.ledger.append(Entry::Device(event), now_ms());
            }
        }
    }

    /// Does what root asks.
    pub(super) async fn act(&self, command: Command) -> Reply {
        match command {
            Command::Flush(_) => self.flush().await,
            Command::Canary(result) => self.canary(result).await,
        }
    }

    /// The run ends.
    pub(super) async fn stop(self) {
        self.rows(self.observer.changed_rows());
        match self.ledger.stop(now_ms()).await {
            Ok(records) => tracing::info!(records, "stopped; ledger written"),
            Err(error) => tracing::error!(error, "stopped; the ledger could not be written"),
        }
    }

    async fn flush(&self) -> Reply {
        self.rows(self.observer.changed_rows());
        match self.ledger.flush(now_ms()).await {
            Ok(records) => Reply::Records(records),
            Err(error) => Reply::Error(error),
        }
    }

    async fn canary(&self, result: CanaryResult) -> Reply {
        let news = News::Canary(result.clone());
        if !news.is_bounded() {
            return Reply::Error("lists longer than they may be".to_owned());
        }
        self.bulletin.tell(&news);
        self.ledger.append(Entry::Canary(result.clone()), now_ms());
        let file = self.verdict.clone();
        let written = tokio::task::spawn_blocking(move || Kept::write(&file, &result)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!("the canary's result cannot be kept in the state directory");
        }
        match self.ledger.flush(now_ms()).await {
            Ok(_) => Reply::Ok(true),
            Err(error) => Reply::Error(error),
        }
    }

    fn rows(&self, rows: Vec<Row>) {
        for row in rows {
            self.bulletin.tell(&News::Row(row.clone()));
            self.ledger.append(Entry::Row(row), now_ms());
        }
    }

    fn pulse(&self) {
        let now = now_ms();
        let (totals, stand) = (self.observer.totals(), self.ledger.stand(now));
        let pulse = Pulse {
            started_ms: self.started_ms,
            devices: totals.devices,
            attempts: totals.attempts,
            aggregated: totals.aggregated,
            missed: self.bulletin.missed(),
            ledger_records: stand.records,
            checkpoint_age_ms: stand.checkpoint_age_ms,
            ledger_fault: stand.fault,
        };
        self.bulletin.tell(&News::Pulse(pulse.clone()));
        self.bulletin
            .tell(&News::Sums(Sums { started_ms: self.started_ms, sums: self.observer.sums() }));
        self.ledger.append(Entry::Pulse(pulse), now);
    }
}
