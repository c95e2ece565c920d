//! Readers that know how much media each of them took, without decrypting it.
//!
//! They read the headers of TLS records, which are in the clear: a record of TLS 1.3 is 17 bytes longer than what is
//! in it, however a server cuts its units into records. A sender report counts as media: 100 bytes every 5 s.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::{Result, child, reader};

/// Readers that connect at once from one address: the gateway's places before login.
const AT_ONCE: usize = camlock::ops::limits::UNAUTHENTICATED_PER_SOURCE;
/// Addresses they connect from.
const SOURCES: usize = camlock::ops::limits::UNAUTHENTICATED / AT_ONCE;
/// All is quiet when no media came for so long.
const QUIET: Duration = Duration::from_millis(500);
/// What comes at once and is no longer is a sender report; these go on without media.
const REPORT_BYTES: usize = 200;

/// What readers there shall be; goes over the command line.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub port: u16,
    pub ca: PathBuf,
    pub readers: usize,
    /// What they play; empty: a server that sends as soon as the handshake is done.
    pub stream: String,
}

impl Wanted {
    /// For [`child::Part::role`].
    pub fn arguments(&self) -> Vec<String> {
        let ca = self.ca.display().to_string();
        vec![self.port.to_string(), ca, self.readers.to_string(), self.stream.clone()]
    }
}

/// What all readers took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// TLS records, with their headers.
    pub wire: u64,
    /// What is in them.
    pub media: u64,
    /// The reader that took least, and the one that took most.
    pub least: u64,
    pub most: u64,
}

impl Taken {
    /// The answer to `taken`.
    pub fn parse(line: &str) -> Result<Self> {
        let numbers: Option<Vec<u64>> = line.split(' ').map(|word| word.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[wire, media, least, most]) => Ok(Self { wire, media, least, most }),
            _ => Err(format!("a reader {line}").into()),
        }
    }
}

/// The role `readers`: PORT CA READERS STREAM. Says `playing` when all play. Then it answers lines: `quiet` waits until
/// nothing comes, and counts anew from there; `listen` gives the port where a publisher asks whether all have
/// taken a number of bytes; `taken` gives [`Taken`].
pub fn role(arguments: &[String]) -> Result<()> {
    let [port, ca, readers, stream] = arguments else {
        return Err("readers: PORT CA READERS STREAM".into());
    };
    let (port, ca, stream) = (port.parse()?, ca.into(), stream.clone());
    let wanted = Wanted { port, ca, readers: readers.parse()?, stream };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let book = Arc::new(Book::new(wanted.readers));
    runtime.block_on(start_all(&wanted, &book))?;
    child::say("playing")?;
    child::answer_lines(|line| match line {
        "quiet" => book.wait_until_quiet(),
        "listen" => match runtime.block_on(listen(&book)) {
            Ok(port) => port.to_string(),
            Err(error) => error.to_string(),
        },
        _ => book.taken(),
    })
}

async fn start_all(wanted: &Wanted, book: &Arc<Book>) -> Result<()> {
    let connector = reader::connector(&wanted.ca).await?;
    let mut starting = tokio::task::JoinSet::new();
    for number in 0..wanted.readers {
        if starting.len() >= AT_ONCE * SOURCES {
            starting.join_next().await.ok_or("no reader")???;
        }
        let (connector, book, wanted) = (connector.clone(), Arc::clone(book), wanted.clone());
        starting.spawn(async move {
            let source = Ipv4Addr::new(127, 0, 0, u8::try_from(1 + number % SOURCES)?);
            let tls = if wanted.stream.is_empty() {
                reader::connect_from(source, &connector, wanted.port).await?
            } else {
                reader::play_from(source, &connector, wanted.port, &wanted.stream).await?
            };
            tokio::spawn(read(tls.into_inner().0, number, book));
            Result::Ok(())
        });
    }
    while let Some(started) = starting.join_next().await {
        started??;
    }
    Ok(())
}

async fn read(mut socket: TcpStream, number: usize, book: Arc<Book>) {
    let mut block = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = socket.read(&mut block).await {
        book.read(number, block.get(..length).unwrap_or_default());
    }
}

/// Answers a publisher's numbers, each once all readers have taken so much.
async fn listen(book: &Arc<Book>) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let book = Arc::clone(book);
    tokio::spawn(async move {
        let (mut publisher, _) = listener.accept().await?;
        publisher.set_nodelay(true)?;
        // Ends with the publisher.
        while let Ok(target) = publisher.read_u64().await {
            book.all_took(target).await;
            publisher.write_u64(target).await?;
        }
        std::io::Result::Ok(())
    });
    Ok(port)
}

/// What each reader took since `quiet`.
struct Book {
    entries: Mutex<Entries>,
    all_took: Notify,
}

struct Entries {
    readers: Vec<Reader>,
    wire: u64,
    /// When more came than a sender report.
    moved: Instant,
    /// Set once something came that is no record of application data.
    broken: bool,
    target: u64,
    /// Readers that have not taken it.
    missing: usize,
}

#[derive(Default)]
struct Reader {
    media: u64,
    /// None before the first `quiet`: the place in the records is not known.
    records: Option<Records>,
}

impl Book {
    fn new(readers: usize) -> Self {
        let readers = std::iter::repeat_with(Reader::default).take(readers).collect();
        let moved = Instant::now();
        let entries = Entries { readers, wire: 0, moved, broken: false, target: 0, missing: 0 };
        Self { entries: Mutex::new(entries), all_took: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, number: usize, bytes: &[u8]) {
        let mut entries = self.lock();
        let entries = &mut *entries;
        entries.wire += bytes.len() as u64;
        if bytes.len() > REPORT_BYTES {
            entries.moved = Instant::now();
        }
        let Some(reader) = entries.readers.get_mut(number) else { return };
        let Some(records) = &mut reader.records else { return };
        let before = reader.media;
        match records.take(bytes) {
            Some(media) => reader.media += media,
            None => entries.broken = true,
        }
        if before < entries.target && reader.media >= entries.target {
            entries.missing -= 1;
            if entries.missing == 0 {
                self.all_took.notify_one();
            }
        }
    }

    async fn all_took(&self, target: u64) {
        let missing = {
            let mut entries = self.lock();
            entries.target = target;
            entries.missing = entries.readers.iter().filter(|r| r.media < target).count();
            entries.missing
        };
        if missing > 0 {
            self.all_took.notified().await;
        }
    }

    /// What a server had to write is read then, and all stand between two records.
    fn wait_until_quiet(&self) -> String {
        let asked = Instant::now();
        while self.lock().moved.max(asked).elapsed() < QUIET {
            std::thread::sleep(Duration::from_millis(20));
        }
        let taken = self.taken();
        let mut entries = self.lock();
        entries.wire = 0;
        for reader in &mut entries.readers {
            *reader = Reader { media: 0, records: Some(Records::default()) };
        }
        taken
    }

    fn taken(&self) -> String {
        let entries = self.lock();
        if entries.broken {
            return "got what is no record of application data".to_owned();
        }
        let media = || entries.readers.iter().map(|reader| reader.media);
        let (least, most) = (media().min().unwrap_or(0), media().max().unwrap_or(0));
        format!("{} {} {least} {most}", entries.wire, media().sum::<u64>())
    }
}

/// A place in a row of TLS records.
#[derive(Default)]
struct Records {
    header: Vec<u8>,
    /// Bytes of the record that did not come yet.
    left: usize,
    media: u64,
}

impl Records {
    /// What is in the records that these bytes end. `None`: they are something else.
    fn take(&mut self, mut bytes: &[u8]) -> Option<u64> {
        let mut media = 0;
        while !bytes.is_empty() {
            if self.left == 0 {
                let wanted = (5 - self.header.len()).min(bytes.len());
                let (header, behind) = bytes.split_at_checked(wanted)?;
                self.header.extend_from_slice(header);
                bytes = behind;
                if self.header.len() < 5 {
                    continue;
                }
                let [0x17, 3, 3, high, low] = self.header[..] else { return None };
                let length = u16::from_be_bytes([high, low]);
                self.media = u64::from(length.checked_sub(17)?);
                self.left = length.into();
            }
            let taken = self.left.min(bytes.len());
            bytes = bytes.get(taken..)?;
            self.left -= taken;
            if self.left == 0 {
                self.header.clear();
                media += self.media;
            }
        }
        Some(media)
    }
}
