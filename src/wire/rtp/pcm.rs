//! G.711, G.726 and L16 (RFC 3551 4.5): whole sample groups, split over packets when they are many.

use super::{Malformed, Marker, PAYLOAD_BYTES, Sink};
use crate::media::{Codec, SampleGroup};

/// A split unit's packets advance their timestamps by the samples before them, as if they had been
/// units of their own. The marker stays clear: the gateway knows of no talk spurts.
pub(super) fn packetise(
    codec: &Codec,
    samples: &[u8],
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    let group =
        SampleGroup::of(codec).filter(|group| group.fits(samples.len())).ok_or(Malformed)?;
    let most = (PAYLOAD_BYTES / group.bytes).max(1);
    let mut later = 0_u32;
    for part in samples.chunks(most.saturating_mul(group.bytes)) {
        sink.packet(&[part], later, Marker::Clear);
        let groups = u32::try_from(part.len() / group.bytes).map_err(|_| Malformed)?;
        later = later.wrapping_add(groups.wrapping_mul(group.ticks));
    }
    Ok(())
}
