//! Access units on the wire, known again by what is in them.

use std::hash::{DefaultHasher, Hasher as _};

use tokio::time::Instant;

use super::shared::Result;
use super::shared::decrypted::{Frames, ends_unit, split};

/// Reads up to the packet with the marker bit; when its first packet was there. What is in the unit tells it from
/// all others: the payloads of its packets, which camera and gateway cut alike.
pub(crate) async fn next_unit(frames: &mut Frames) -> Result<(u64, Instant)> {
    let (mut content, mut first) = (DefaultHasher::new(), None);
    loop {
        let (channel, packet) = frames.next().await?;
        if channel != 0 {
            continue;
        }
        let first = *first.get_or_insert_with(Instant::now);
        if take(packet, &mut content) {
            return Ok((content.finish(), first));
        }
    }
}

/// The same of what a camera writes at once.
pub(crate) fn content_of(frames: &[u8]) -> u64 {
    let mut content = DefaultHasher::new();
    for (_, packet) in split(frames).filter(|(channel, _)| *channel == 0) {
        take(packet, &mut content);
    }
    content.finish()
}

/// Adds the payload of an RTP packet; whether it is the unit's last.
pub(crate) fn take(packet: &[u8], content: &mut DefaultHasher) -> bool {
    content.write(packet.get(12..).unwrap_or_default());
    ends_unit(packet)
}
