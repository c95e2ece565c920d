//! G.711 (RFC 3551 4.5.14): whole samples of all channels, split over packets when they are many.

use super::{Malformed, Marker, PAYLOAD_BYTES, Sink};

/// A split unit's packets advance their timestamps by the samples before them, as if they had been
/// units of their own. The marker stays clear: the gateway knows of no talk spurts.
pub(super) fn packetise(
    channels: u8,
    samples: &[u8],
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    let frame = usize::from(channels.max(1));
    if samples.is_empty() || !samples.len().is_multiple_of(frame) {
        return Err(Malformed);
    }
    let most = PAYLOAD_BYTES - PAYLOAD_BYTES % frame;
    let mut later = 0_u32;
    for part in samples.chunks(most) {
        sink.packet(&[part], later, Marker::Clear);
        later = later.wrapping_add(u32::try_from(part.len() / frame).map_err(|_| Malformed)?);
    }
    Ok(())
}
