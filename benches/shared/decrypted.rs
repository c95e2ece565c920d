//! Readers that decrypt what arrives, and see what is missing in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::reader::{self, Wanted};
use super::{Result, child};

/// Decrypted at once: several packets.
const BUFFER_BYTES: usize = 16 * 1024;

/// The interleaved frames (RFC 2326 10.12) of a reader that plays.
#[derive(Debug)]
pub struct Frames {
    tls: BufReader<TlsStream<TcpStream>>,
    packet: Vec<u8>,
}

impl Frames {
    pub fn new(tls: TlsStream<TcpStream>) -> Self {
        Self { tls: BufReader::with_capacity(BUFFER_BYTES, tls), packet: Vec::new() }
    }

    /// The channel and the packet of the next one.
    pub async fn next(&mut self) -> Result<(u8, &[u8])> {
        let mut head = [0; 4];
        self.tls.read_exact(&mut head).await?;
        let [dollar, channel, high, low] = head;
        if dollar != b'$' {
            return Err("not an interleaved frame".into());
        }
        self.packet.resize(u16::from_be_bytes([high, low]).into(), 0);
        self.tls.read_exact(&mut self.packet).await?;
        Ok((channel, &self.packet))
    }

    /// Reads on up to the end of a unit.
    pub async fn unit(&mut self) -> Result<()> {
        loop {
            let (channel, packet) = self.next().await?;
            if channel == 0 && ends_unit(packet) {
                return Ok(());
            }
        }
    }

    /// The socket, for who does not decrypt on.
    pub fn into_socket(self) -> TcpStream {
        self.tls.into_inner().into_inner().0
    }
}

/// The channels and packets of frames that are there as a whole.
pub fn split(mut frames: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[_, channel, high, low], behind) = frames.split_first_chunk()?;
        let (packet, rest) = behind.split_at_checked(u16::from_be_bytes([high, low]).into())?;
        frames = rest;
        Some((channel, packet))
    })
}

/// Whether an RTP packet has the marker bit.
pub fn ends_unit(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|byte| byte & 0x80 != 0)
}

/// What all readers of a process got so far.
#[derive(Debug, Default)]
struct Totals {
    packets: AtomicU64,
    units: AtomicU64,
    /// Packets that are missing between their sequence numbers. What a reader is made to skip is missing too: the
    /// stream's units are numbered before anybody reads them.
    missing: AtomicU64,
    /// Readers whose connection ended.
    ended: AtomicU64,
}

/// What readers got, as one line.
#[derive(Debug, Clone, Copy)]
pub struct Got {
    pub packets: u64,
    pub units: u64,
    pub missing: u64,
    pub ended: u64,
}

impl Got {
    /// Of the answer of the role.
    pub fn parse(line: &str) -> Result<Self> {
        let numbers: Vec<u64> =
            line.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
        let [packets, units, missing, ended] = numbers[..] else {
            return Err("players: PACKETS UNITS MISSING ENDED".into());
        };
        Ok(Self { packets, units, missing, ended })
    }
}

/// The role `players`: says `playing` when all play, then answers each line with what they got and missed so far.
pub fn role(arguments: &[String]) -> Result<()> {
    let wanted = Wanted::parse(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let totals = Arc::new(Totals::default());
    let to = Arc::clone(&totals);
    runtime.block_on(reader::bring(&wanted, move |tls| {
        tokio::spawn(watch(Frames::new(tls), Arc::clone(&to)));
    }))?;
    child::say("playing")?;
    child::answer_lines(|_| {
        let [packets, units, missing, ended] =
            [&totals.packets, &totals.units, &totals.missing, &totals.ended]
                .map(|total| total.load(Ordering::Relaxed));
        format!("{packets} {units} {missing} {ended}")
    })
}

async fn watch(mut frames: Frames, totals: Arc<Totals>) {
    let mut last: Option<u16> = None;
    while let Ok((channel, packet)) = frames.next().await {
        let Some(number) = packet.get(2..4).and_then(|bytes| bytes.try_into().ok()) else { break };
        if channel != 0 {
            continue;
        }
        let number = u16::from_be_bytes(number);
        if let Some(last) = last {
            let missing = number.wrapping_sub(last).wrapping_sub(1);
            totals.missing.fetch_add(missing.into(), Ordering::Relaxed);
        }
        last = Some(number);
        totals.packets.fetch_add(1, Ordering::Relaxed);
        totals.units.fetch_add(ends_unit(packet).into(), Ordering::Relaxed);
    }
    totals.ended.fetch_add(1, Ordering::Relaxed);
}
