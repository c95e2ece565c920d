//! The gateway's side of the news: it reads what the segment's service tells, and shows it: metrics, security log,
//! readiness. The service may lie, but only within bounds: what it writes is typed, and its texts are escaped.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::hub::status::{CanaryState, LinkState, SegmentBoard};
use crate::ops::limits;
use crate::ops::metrics::Metrics;
use crate::segment::shared::wire::{BadWire, NewsReader};
use crate::segment::{CanaryResult, DeviceEvent, News, Place, Protocol, Pulse, Sums, Verdict};
use crate::trust::audit::{self, Event, quoted};

/// Where news goes.
#[derive(Debug)]
pub struct Feed {
    board: SegmentBoard,
    metrics: Arc<Metrics>,
    canary: watch::Sender<Option<CanaryResult>>,
    /// What the sums were when they were told last, and of which run of the service.
    sums: (u64, BTreeMap<(Protocol, Verdict), u64>),
}

/// Why the news ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
enum NewsEnd {
    /// The service is not there, or does not let this process in.
    #[error(
        "the camera segment's service cannot be reached ({0}): is camlock-segment running, and gateway.segment its \
         directory?"
    )]
    Away(io::ErrorKind),
    /// It closed, or died.
    #[error(
        "the camera segment's service closed the connection, or another gateway is connected: see its log"
    )]
    Closed,
    /// It told nothing within [`limits::SEGMENT_SILENCE`].
    #[error("the camera segment's service stopped sending: see its log, restart it")]
    Silent,
    /// What it wrote is no news.
    #[error(
        "the camera segment's service sent an invalid message ({0}): do both run the same version?"
    )]
    #[strum(serialize = "bad_news")]
    Bad(BadWire),
}

impl Feed {
    /// Nothing is known yet.
    pub fn new(board: SegmentBoard, metrics: Arc<Metrics>) -> Self {
        Self { board, metrics, canary: watch::Sender::new(None), sums: (0, BTreeMap::new()) }
    }

    /// The canary's last result.
    pub fn canary(&self) -> watch::Receiver<Option<CanaryResult>> {
        self.canary.subscribe()
    }

    /// Reads the news of the service in `run_dir` until the future is dropped; connects again after each end.
    pub async fn follow(mut self, run_dir: &Path) {
        let mut pause = limits::SEGMENT_AGAIN_MIN;
        let mut told = None;
        loop {
            let (end, heard) = self.hear(&run_dir.join(Place::NEWS)).await;
            self.metrics.segment.up.set(0);
            self.metrics.segment.ended(end.label());
            self.board.update(|state| {
                state.link = Some(LinkState::Down { reason: end.to_string() });
            });
            // One that is away is said once, not at each attempt.
            if heard || told != Some(end) {
                tracing::warn!(reason = %end, "no status from the camera segment");
                told = Some(end);
            }
            pause = if heard { limits::SEGMENT_AGAIN_MIN } else { longer(pause) };
            sleep(pause).await;
        }
    }

    /// One connection, and whether it told anything.
    async fn hear(&mut self, news: &Path) -> (NewsEnd, bool) {
        let mut stream = match UnixStream::connect(news).await {
            Ok(stream) => stream,
            Err(error) => return (NewsEnd::Away(error.kind()), false),
        };
        let mut reader = NewsReader::default();
        let mut heard = false;
        let mut bytes = [0; 4096];
        loop {
            let room = bytes.len().min(reader.room());
            let piece = bytes.get_mut(..room).unwrap_or_default();
            let read = match timeout(limits::SEGMENT_SILENCE, stream.read(piece)).await {
                Ok(Ok(0) | Err(_)) => return (NewsEnd::Closed, heard),
                Ok(Ok(read)) => read,
                Err(_) => return (NewsEnd::Silent, heard),
            };
            reader.push(piece.get(..read).unwrap_or_default());
            loop {
                match reader.next_news() {
                    Ok(Some(news)) => {
                        if !heard {
                            heard = true;
                            self.up();
                        }
                        self.take(news);
                    }
                    Ok(None) => break,
                    Err(bad) => return (NewsEnd::Bad(bad), heard),
                }
            }
        }
    }

    fn up(&self) {
        self.metrics.segment.up.set(1);
        self.board.update(|state| state.link = Some(LinkState::Up));
        tracing::info!("connected to camlock-segment");
    }

    fn take(&mut self, news: News) {
        match news {
            News::Pulse(pulse) => self.pulse(&pulse),
            News::Row(_) => {
                self.metrics.segment.rows.inc();
            }
            News::Device(event) => self.device(&event),
            News::Canary(result) => self.canary_ran(result),
            News::Sums(sums) => self.sums(&sums),
        }
    }

    fn pulse(&self, pulse: &Pulse) {
        let metrics = &self.metrics.segment;
        metrics.devices.set(i64::from(pulse.devices));
        metrics.aggregated.set(gauge(pulse.aggregated));
        metrics.missed.set(gauge(pulse.missed));
        metrics.ledger_records.set(gauge(pulse.ledger_records));
        metrics.checkpoint_age.set(pulse.checkpoint_age_ms.map_or(-1, gauge));
        metrics.ledger_fault.set(i64::from(pulse.ledger_fault.is_some()));
        let fault = pulse.ledger_fault.as_deref().map(quoted);
        self.board.update(|state| {
            if let (Some(fault), false) = (&fault, state.ledger_fault == fault) {
                tracing::error!(fault, "the segment's ledger cannot be written");
            }
            state.devices = pulse.devices;
            state.attempts = pulse.attempts;
            state.ledger_records = pulse.ledger_records;
            state.ledger_fault = fault;
        });
    }

    fn device(&self, event: &DeviceEvent) {
        let change = event.what.name();
        self.metrics.segment.device(change);
        let (device, detail) = (event.device.to_string(), event.what.to_string());
        audit::record(Event::SegmentDevice { device: &device, change, detail: &detail });
    }

    /// A service that was connected to again tells the same result again.
    fn canary_ran(&self, result: CanaryResult) {
        if self.canary.borrow().as_ref() == Some(&result) {
            return;
        }
        let (passed, faults) = (result.passed(), result.faults());
        let metrics = &self.metrics.segment;
        metrics.canary_time.set(gauge(result.at_ms / 1000));
        metrics.canary_passed.set(i64::from(passed));
        if passed {
            tracing::info!(
                tries = result.tries,
                "the canary did not get out of the camera segment"
            );
        } else {
            audit::record(Event::CanaryFailed { tries: result.tries, reason: &faults });
        }
        let state = CanaryState { at_ms: result.at_ms, passed, faults: quoted(&faults) };
        self.board.update(|board| board.canary = Some(state));
        self.canary.send_replace(Some(result));
    }

    fn sums(&mut self, sums: &Sums) {
        let (run, before) = &mut self.sums;
        if *run != sums.started_ms {
            *run = sums.started_ms;
            before.clear();
        }
        for sum in &sums.sums {
            let before = before.entry((sum.protocol, sum.verdict)).or_default();
            let more = sum.count.saturating_sub(*before);
            *before = sum.count.max(*before);
            self.metrics.segment.attempts(sum.protocol.name(), sum.verdict.name(), more);
        }
    }
}

impl NewsEnd {
    /// A stable word for metrics.
    fn label(self) -> &'static str {
        self.into()
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(limits::SEGMENT_AGAIN_MAX)
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixListener;
    use tokio::task::JoinSet;

    use super::*;
    use crate::segment::shared::wire::encode_news;
    use crate::segment::{DeviceChange, MacAddr, Sum};

    struct Told {
        dir: PathBuf,
        listener: UnixListener,
        board: SegmentBoard,
        metrics: Arc<Metrics>,
        canary: watch::Receiver<Option<CanaryResult>>,
        _task: JoinSet<()>,
    }

    impl Told {
        fn new(name: &str) -> Self {
            let dir =
                std::env::temp_dir().join(format!("camlock-feed-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let listener = UnixListener::bind(dir.join("news.sock")).unwrap();
            let board = SegmentBoard::new("namespace", None);
            let metrics = Metrics::new();
            let feed = Feed::new(board.clone(), Arc::clone(&metrics));
            let canary = feed.canary();
            let mut task = JoinSet::new();
            let run_dir = dir.clone();
            task.spawn(async move { feed.follow(&run_dir).await });
            Self { dir, listener, board, metrics, canary, _task: task }
        }

        async fn service(&self) -> UnixStream {
            self.listener.accept().await.unwrap().0
        }

        async fn down(&self) -> String {
            let mut board = self.board.watch();
            let down = |state: &crate::hub::status::SegmentState| {
                matches!(state.link, Some(LinkState::Down { .. }))
            };
            let state = board.wait_for(down).await.unwrap().clone();
            let Some(LinkState::Down { reason }) = state.link else { panic!("{state:?}") };
            reason
        }
    }

    impl Drop for Told {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.dir).unwrap();
        }
    }

    fn pulse(fault: Option<&str>) -> News {
        News::Pulse(Pulse {
            started_ms: 1,
            devices: 2,
            attempts: 3,
            aggregated: 0,
            missed: 4,
            ledger_records: 5,
            checkpoint_age_ms: None,
            ledger_fault: fault.map(str::to_owned),
        })
    }

    fn sums(started_ms: u64, count: u64) -> News {
        let sum = Sum { protocol: Protocol::Dns, verdict: Verdict::Answered, count };
        News::Sums(Sums { started_ms, sums: vec![sum] })
    }

    fn canary(escaped: &[&str]) -> CanaryResult {
        CanaryResult {
            at_ms: 1_700_000_000_000,
            tries: 30,
            escaped: escaped.iter().map(|&way| way.to_owned()).collect(),
            unseen: Vec::new(),
            failed_controls: Vec::new(),
        }
    }

    async fn tell(service: &mut UnixStream, news: &[News]) {
        for news in news {
            service.write_all(&encode_news(news).unwrap()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn news_is_shown_where_operators_look() {
        let mut told = Told::new("shown");
        let mut service = told.service().await;
        let what = DeviceChange::Unknown { ip: None, vendor: None, name: None };
        let device = DeviceEvent { at_ms: 1, device: MacAddr([2, 0, 0, 0, 0, 9]), what };
        let news = [
            pulse(Some("no\nspace")),
            sums(1, 10),
            sums(1, 12),
            sums(2, 5),
            News::Device(device),
            News::Canary(canary(&["icmp"])),
        ];
        tell(&mut service, &news).await;
        told.canary.wait_for(Option::is_some).await.unwrap();
        let state = told.board.now();
        assert_eq!((state.link, state.devices, state.ledger_records), (Some(LinkState::Up), 2, 5));
        assert_eq!(state.ledger_fault.as_deref(), Some("no\\nspace"));
        let faults = state.canary.map(|canary| (canary.passed, canary.faults));
        assert_eq!(faults, Some((false, "got out by: icmp".to_owned())));
        let metrics = told.metrics.encode();
        for line in [
            "camlock_segment_up 1",
            "camlock_segment_attempts_total{protocol=\"dns\",verdict=\"answered\"} 17",
            "camlock_segment_device_events_total{change=\"unknown\"} 1",
            "camlock_segment_canary_time_seconds 1700000000",
            "camlock_segment_canary_passed 0",
            "camlock_segment_ledger_fault 1",
            "camlock_segment_checkpoint_age_ms -1",
        ] {
            assert!(metrics.contains(line), "{line} in {metrics}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_end_is_named_and_the_news_is_read_again() {
        let told = Told::new("ends");
        let over = u32::try_from(limits::SEGMENT_NEWS_BYTES + 1).unwrap().to_be_bytes();
        let many = vec!["x".to_owned(); limits::CANARY_WAYS + 1];
        let many = News::Canary(CanaryResult { unseen: many, ..canary(&[]) });
        let sum = Sum { protocol: Protocol::Dns, verdict: Verdict::Answered, count: 1 };
        let all = vec![sum; limits::SEGMENT_SUMS + 1];
        let all = News::Sums(Sums { started_ms: 1, sums: all });
        for (bytes, reason) in [
            (over.to_vec(), "invalid message (a length out of bounds)"),
            (b"\0\0\0\x02{}".to_vec(), "invalid message (no news of a known form)"),
            (encode_news(&many).unwrap(), "invalid message (no news of a known form)"),
            (encode_news(&all).unwrap(), "invalid message (no news of a known form)"),
            (b"\0\0".to_vec(), "stopped sending"),
            (Vec::new(), "stopped sending"),
        ] {
            let mut service = told.service().await;
            tell(&mut service, &[pulse(None)]).await;
            let up = |state: &crate::hub::status::SegmentState| state.link == Some(LinkState::Up);
            told.board.watch().wait_for(up).await.unwrap();
            service.write_all(&bytes).await.unwrap();
            let end = told.down().await;
            assert!(end.contains(reason), "{end} for {bytes:?}");
            assert_eq!(told.metrics.segment.up.get(), 0);
        }
        let service = told.service().await;
        drop(service);
        let closed = |state: &crate::hub::status::SegmentState| {
            let link = format!("{:?}", state.link);
            link.contains("closed the connection")
        };
        told.board.watch().wait_for(closed).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_away_is_tried_again_within_two_seconds() {
        let told = Told::new("away");
        let path = told.dir.join("news.sock");
        let service = told.service().await;
        std::fs::remove_file(&path).unwrap();
        drop(service);
        sleep(Duration::from_secs(60)).await;
        assert!(told.down().await.contains("cannot be reached"));
        let again = UnixListener::bind(&path).unwrap();
        let begun = tokio::time::Instant::now();
        let _service = again.accept().await.unwrap();
        assert!(begun.elapsed() <= limits::SEGMENT_AGAIN_MAX);
    }

    #[test]
    fn the_reasons_are_these() {
        let all = every!(NewsEnd; Away(io::ErrorKind::Other), Closed, Silent, Bad(BadWire::News));
        assert_surface!("segment-news-ends", all.map(NewsEnd::label).join("\n"));
    }
}
