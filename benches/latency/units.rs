//! Access units on the wire, known again by what is in them.

use std::hash::{DefaultHasher, Hasher as _};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::shared::Result;

/// Reads up to the packet with the marker bit; when its first packet was there. What is in the unit tells it from all others: the payloads of
/// its packets, which camera and gateway cut alike.
pub(crate) async fn next_unit(tls: &mut TlsStream<TcpStream>) -> Result<(u64, Instant)> {
    let (mut content, mut first) = (DefaultHasher::new(), None);
    loop {
        let mut head = [0; 4];
        tls.read_exact(&mut head).await?;
        let [dollar, channel, high, low] = head;
        if dollar != b'$' {
            return Err("not an interleaved frame".into());
        }
        let mut packet = vec![0; u16::from_be_bytes([high, low]).into()];
        tls.read_exact(&mut packet).await?;
        if channel != 0 {
            continue;
        }
        let first = *first.get_or_insert_with(Instant::now);
        if take(&packet, &mut content) {
            return Ok((content.finish(), first));
        }
    }
}

/// The same of what a camera writes at once.
pub(crate) fn content_of(mut frames: &[u8]) -> u64 {
    let mut content = DefaultHasher::new();
    while let Some((&[_, channel, high, low], behind)) = frames.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((packet, rest)) = behind.split_at_checked(length) else { break };
        if channel == 0 {
            take(packet, &mut content);
        }
        frames = rest;
    }
    content.finish()
}

/// Adds the payload of an RTP packet; whether it is the unit's last.
pub(crate) fn take(packet: &[u8], content: &mut DefaultHasher) -> bool {
    content.write(packet.get(12..).unwrap_or_default());
    packet.get(1).is_some_and(|byte| byte & 0x80 != 0)
}
