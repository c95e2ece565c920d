//! The service's side of the news: a bounded queue, written to the one reader there is.
//!
//! One way: nothing is read from the reader. One that does not keep up misses news, which is counted, and holds
//! nothing up.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::ops::limits;
use crate::ops::systemd::Progress;
use crate::segment::News;
use crate::segment::shared::wire::encode_news;

/// News that waits to be read. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Bulletin(Arc<Board>);

#[derive(Debug, Default)]
struct Board {
    queue: Mutex<Queue>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    missed: u64,
    /// The newest pulse, sums and canary's result: an older one need not be told, and a new reader hears them first.
    newest: [Newest; 3],
}

#[derive(Debug, Default)]
struct Newest {
    frame: Vec<u8>,
    /// The reader has not heard it.
    waits: bool,
}

impl Bulletin {
    /// Tells something. Never waits.
    pub fn tell(&self, news: &News) {
        let mut queue = self.queue();
        let Ok(frame) = encode_news(news) else {
            queue.missed += 1;
            return;
        };
        let [pulse, sums, canary] = &mut queue.newest;
        match news {
            News::Pulse(_) => *pulse = Newest { frame, waits: true },
            News::Sums(_) => *sums = Newest { frame, waits: true },
            News::Canary(_) => *canary = Newest { frame, waits: true },
            News::Row(_) if queue.is_fuller_than(limits::SEGMENT_NEWS_QUEUE / 2) => {
                queue.missed += 1;
            }
            News::Row(_) | News::Device(_) => queue.push(frame),
        }
        self.0.told.notify_one();
    }

    /// News that was given up.
    pub fn missed(&self) -> u64 {
        self.queue().missed
    }

    /// Cancel-safe: what it took it gives.
    async fn next(&self) -> Vec<u8> {
        loop {
            if let Some(frame) = self.queue().next() {
                return frame;
            }
            self.0.told.notified().await;
        }
    }

    /// Another reader hears the newest of all.
    fn greet(&self) {
        for newest in &mut self.queue().newest {
            newest.waits = !newest.frame.is_empty();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Whole after each step.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_fuller_than(&self, frames: usize) -> bool {
        let bytes = limits::SEGMENT_NEWS_QUEUE_BYTES / limits::SEGMENT_NEWS_QUEUE * frames;
        self.frames.len() >= frames || self.bytes >= bytes
    }

    fn push(&mut self, frame: Vec<u8>) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
        while self.frames.len() > limits::SEGMENT_NEWS_QUEUE
            || self.bytes > limits::SEGMENT_NEWS_QUEUE_BYTES
        {
            if self.pop().is_none() {
                return;
            }
            self.missed += 1;
        }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.newest.iter_mut().find(|newest| newest.waits) {
            Some(newest) => {
                newest.waits = false;
                Some(newest.frame.clone())
            }
            None => self.pop(),
        }
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let frame = self.frames.pop_front()?;
        self.bytes = self.bytes.saturating_sub(frame.len());
        Some(frame)
    }
}

/// Writes what is told to the newest of those who connect, until the future is dropped. Advances its progress at least once a
/// second.
pub async fn serve(listener: UnixListener, bulletin: Bulletin, progress: Progress) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut reader: Option<Reader> = None;
    loop {
        tokio::select! {
            _ = second.tick() => progress.advance(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    bulletin.greet();
                    reader = Some(Reader::new(stream));
                }
                // Out of descriptors: who holds them gives them back; do not spin.
                Err(_) => tokio::time::sleep(limits::ACCEPT_PAUSE_MIN).await,
            },
            _gone = write(&mut reader, &bulletin) => reader = None,
        }
    }
}

#[derive(Debug)]
struct Reader {
    stream: UnixStream,
    pending: Vec<u8>,
    written: usize,
    /// When it took something last, or was up to date.
    took: Instant,
}

impl Reader {
    fn new(stream: UnixStream) -> Self {
        Self { stream, pending: Vec::new(), written: 0, took: Instant::now() }
    }
}

/// Writes to the reader until it is gone; without one it waits. Cancel-safe.
async fn write(reader: &mut Option<Reader>, bulletin: &Bulletin) -> io::Error {
    let Some(reader) = reader else { return std::future::pending().await };
    loop {
        let rest = reader.pending.get(reader.written..).unwrap_or_default();
        if rest.is_empty() {
            reader.pending = bulletin.next().await;
            reader.written = 0;
            reader.took = Instant::now();
            continue;
        }
        let deadline = reader.took + limits::SEGMENT_NEWS_WRITE;
        match timeout_at(deadline, reader.stream.writable()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(_) => return io::ErrorKind::TimedOut.into(),
        }
        match reader.stream.try_write(rest) {
            Ok(written) => {
                reader.written += written;
                reader.took = Instant::now();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return error,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::task::JoinSet;

    use super::*;
    use crate::ops::systemd::Watched;
    use crate::segment::shared::wire::NewsReader;
    use crate::segment::{
        Attempt, CanaryResult, Destination, DeviceChange, DeviceEvent, MacAddr, Protocol, Row,
        Verdict,
    };

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    fn row(count: u64) -> News {
        let attempt = Attempt {
            protocol: Protocol::Dns,
            destination: Destination::Many,
            port: None,
            name: None,
            verdict: Verdict::Answered,
        };
        News::Row(Row {
            day: "2026-11-29".to_owned(),
            run: "0123456789abcdef".to_owned(),
            device: MAC,
            ip: None,
            camera: None,
            vendor: None,
            attempt,
            count,
            bytes: 0,
            first_ms: 0,
            last_ms: 0,
        })
    }

    fn device(at_ms: u64) -> News {
        let what = DeviceChange::Unknown { ip: None, vendor: None, name: None };
        News::Device(DeviceEvent { at_ms, device: MAC, what })
    }

    fn canary(at_ms: u64) -> News {
        News::Canary(CanaryResult {
            at_ms,
            tries: 30,
            escaped: Vec::new(),
            unseen: Vec::new(),
            failed_controls: Vec::new(),
        })
    }

    struct Served {
        path: std::path::PathBuf,
        bulletin: Bulletin,
        _task: JoinSet<()>,
    }

    impl Served {
        fn start(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("camlock-news-{name}-{}", std::process::id()));
            let listener = UnixListener::bind(&path).unwrap();
            let bulletin = Bulletin::default();
            let mut task = JoinSet::new();
            task.spawn(serve(listener, bulletin.clone(), Watched::default().part("news")));
            Self { path, bulletin, _task: task }
        }

        async fn reader(&self) -> Heard {
            Heard(UnixStream::connect(&self.path).await.unwrap(), NewsReader::default())
        }
    }

    impl Drop for Served {
        fn drop(&mut self) {
            std::fs::remove_file(&self.path).unwrap();
        }
    }

    struct Heard(UnixStream, NewsReader);

    impl Heard {
        async fn next(&mut self) -> Option<News> {
            loop {
                if let Some(news) = self.1.next_news().unwrap() {
                    return Some(news);
                }
                let mut bytes = vec![0; self.1.room()];
                let read = self.0.read(&mut bytes).await.unwrap();
                if read == 0 {
                    return None;
                }
                self.1.push(&bytes[..read]);
            }
        }
    }

    #[tokio::test]
    async fn a_reader_hears_the_last_verdict_first_and_a_newer_reader_replaces_it() {
        let served = Served::start("order");
        let mut first = served.reader().await;
        served.bulletin.tell(&canary(1));
        assert_eq!(first.next().await, Some(canary(1)));
        let mut second = served.reader().await;
        assert_eq!(second.next().await, Some(canary(1)), "the greeting");
        assert_eq!(first.next().await, None, "replaced");
        served.bulletin.tell(&row(1));
        served.bulletin.tell(&device(2));
        assert_eq!(second.next().await, Some(row(1)));
        assert_eq!(second.next().await, Some(device(2)));
        assert_eq!(served.bulletin.missed(), 0);
    }

    #[test]
    fn the_queue_is_bounded_and_rows_make_room_for_what_matters() {
        let bulletin = Bulletin::default();
        let half = limits::SEGMENT_NEWS_QUEUE as u64 / 2;
        for count in 0..half + 5 {
            bulletin.tell(&row(count));
        }
        assert_eq!(bulletin.missed(), 5, "rows beyond half of it");
        for at in 0..half {
            bulletin.tell(&device(at));
        }
        assert_eq!(bulletin.missed(), 5);
        bulletin.tell(&device(half));
        assert_eq!(bulletin.missed(), 6, "the oldest went");
        let queue = bulletin.queue();
        assert_eq!(queue.frames.len(), limits::SEGMENT_NEWS_QUEUE);
        assert_eq!(queue.frames.front(), Some(&encode_news(&row(1)).unwrap()));
        assert_eq!(queue.frames.back(), Some(&encode_news(&device(half)).unwrap()));
    }

    #[test]
    fn the_queue_is_bounded_in_bytes() {
        let bulletin = Bulletin::default();
        let vendor = Some("x".repeat(20_000));
        let what = DeviceChange::Unknown { ip: None, vendor, name: None };
        let long = News::Device(DeviceEvent { at_ms: 0, device: MAC, what });
        for _ in 0..100 {
            bulletin.tell(&long);
        }
        let queue = bulletin.queue();
        assert!(queue.bytes <= limits::SEGMENT_NEWS_QUEUE_BYTES && queue.missed > 0);
        assert_eq!(queue.bytes, queue.frames.iter().map(Vec::len).sum::<usize>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_reads_nothing_is_left_and_holds_nothing_up() {
        let served = Served::start("stuck");
        let stuck = served.reader().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        for at in 0..100_000 {
            served.bulletin.tell(&device(at));
            if at % 256 == 0 {
                tokio::task::yield_now().await;
            }
        }
        tokio::time::sleep(limits::SEGMENT_NEWS_WRITE + Duration::from_secs(1)).await;
        let mut rest = stuck;
        let mut heard = 0;
        // What lies in the kernel, and then the end: perhaps in the middle of a frame.
        while let Some(News::Device(_)) = rest.next().await {
            heard += 1;
        }
        assert!(heard > 0 && heard < 100_000 - limits::SEGMENT_NEWS_QUEUE, "{heard}");
        assert!(served.bulletin.missed() > 0);
        let mut next = served.reader().await;
        assert!(next.next().await.is_some());
    }
}
