//! What it costs to send units whole, where a camera paces its key frames.
//!
//! A simulated camera writes a unit at once. Before it stands a pacer, which sends the packets of a key frame evenly
//! over [`OVER`], as cameras with little buffer do. Behind the pacer, in turn: the gateway, which sends a unit once it
//! has its last packet; and a relay, which passes on what it reads as it reads it, over the same TLS, and does nothing
//! else.

#![expect(clippy::disallowed_methods, reason = "pacer and relay are not the gateway")]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::shared::decrypted::Frames;
use super::shared::{Result, serve};
use super::units;

/// How long a key frame takes from its first packet to its last.
const OVER: Duration = Duration::from_millis(16);
/// Larger units are key frames.
const KEY_FRAME_BYTES: usize = 30_000;

/// When a unit's first and last packet were sent, or came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) first: Instant,
    pub(crate) last: Instant,
}

/// The key frames that a pacer sent.
pub(crate) type Sent = Arc<Mutex<HashMap<u64, Times>>>;

/// Stands before a camera: where, and what it sends.
pub(crate) async fn pacer(camera: SocketAddr) -> Result<(SocketAddr, Sent)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let (address, sent) = (listener.local_addr()?, Sent::default());
    let to = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pace(client, camera, Arc::clone(&to)));
        }
    });
    Ok((address, sent))
}

async fn pace(client: TcpStream, camera: SocketAddr, sent: Sent) -> Result<()> {
    let camera = TcpStream::connect(camera).await?;
    client.set_nodelay(true)?;
    camera.set_nodelay(true)?;
    let (from_camera, mut to_camera) = camera.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_camera).await });
    let (mut from_camera, mut unit) = (BufReader::new(from_camera), Vec::new());
    let mut content = DefaultHasher::new();
    loop {
        let item = item(&mut from_camera).await?;
        let is_last = match item.split_first_chunk() {
            Some((&[b'$', 0, _, _], packet)) => units::take(packet, &mut content),
            // Answers and reports go before the unit under way.
            _ => {
                to_client.write_all(&item).await?;
                continue;
            }
        };
        unit.push(item);
        if !is_last {
            continue;
        }
        let packets = std::mem::take(&mut unit);
        let content = std::mem::take(&mut content).finish();
        let is_key = packets.iter().map(Vec::len).sum::<usize>() > KEY_FRAME_BYTES;
        let over = if is_key { OVER } else { Duration::ZERO };
        let times = send(&packets, over, &mut to_client, |times| {
            if is_key {
                sent.lock().unwrap_or_else(PoisonError::into_inner).insert(content, times);
            }
        });
        times.await?;
    }
}

/// Sends the packets evenly over a time; tells the times just before the last goes out.
async fn send(
    packets: &[Vec<u8>],
    over: Duration,
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    tell: impl FnOnce(Times),
) -> Result<()> {
    let first = Instant::now();
    let Some((last, others)) = packets.split_last() else { return Ok(()) };
    let step = over / u32::try_from(packets.len().max(2) - 1)?;
    for (number, packet) in others.iter().enumerate() {
        sleep_until(first + step * u32::try_from(number)?).await;
        to.write_all(packet).await?;
    }
    sleep_until(first + over).await;
    tell(Times { first, last: Instant::now() });
    Ok(to.write_all(last).await?)
}

/// A whole interleaved frame, or an answer with its body.
async fn item(from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>> {
    let first = from.read_u8().await?;
    if first == b'$' {
        let [channel, high, low] = {
            let mut rest = [0; 3];
            from.read_exact(&mut rest).await?;
            rest
        };
        let head = vec![first, channel, high, low];
        return with_body(head, u16::from_be_bytes([high, low]).into(), from).await;
    }
    let mut head = vec![first];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    with_body(head, length.map_or(Ok(0), str::parse)?, from).await
}

async fn with_body(
    mut head: Vec<u8>,
    length: usize,
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Vec<u8>> {
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    head.append(&mut body);
    Ok(head)
}

/// Passes on what it reads from `camera`; its port.
pub(crate) async fn relay(camera: SocketAddr, ca: &Path) -> Result<u16> {
    let acceptor = serve::acceptor(ca)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                client.set_nodelay(true)?;
                let mut tls = acceptor.accept(client).await?;
                let mut camera = TcpStream::connect(camera).await?;
                camera.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut tls, &mut camera).await?;
                Result::Ok(())
            });
        }
    });
    Ok(port)
}

/// How much later than sent a reader has the first packet, and the last, of each key frame until `until`.
pub(crate) async fn watch(
    mut frames: Frames,
    sent: Sent,
    until: Instant,
) -> Result<Vec<(Duration, Duration)>> {
    let (began, mut arrived) = (Instant::now(), Vec::new());
    while Instant::now() < until {
        let (content, first) = units::next_unit(&mut frames).await?;
        arrived.push((content, Times { first, last: Instant::now() }));
    }
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
    let late = |(content, came): (u64, Times)| {
        // What was there before the reader was not late for it.
        let sent = sent.get(&content).filter(|sent| sent.first >= began)?;
        let first = came.first.saturating_duration_since(sent.first);
        Some((first, came.last.saturating_duration_since(sent.last)))
    };
    Ok(arrived.into_iter().filter_map(late).collect())
}
