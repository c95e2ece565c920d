//! MPEG-4 AAC, mode AAC-hbr (RFC 3640 3.3.6): one frame a packet, or one frame over several.

use super::{Malformed, Marker, PAYLOAD_BYTES, Sink};

/// AU-headers-length and one AU-header (13 bits size, 3 bits index).
const AU_SECTION_BYTES: usize = 4;
/// Bits of the one AU-header.
const AU_HEADER_BITS: u16 = 16;
/// What 13 bits can say.
const FRAME_BYTES_MAX: usize = (1 << 13) - 1;

/// Each fragment repeats the AU-header with the size of the whole frame; the marker says that the frame
/// is complete (RFC 3640 3.1).
pub(super) fn packetise(frame: &[u8], sink: &mut impl Sink) -> Result<(), Malformed> {
    if frame.is_empty() || frame.len() > FRAME_BYTES_MAX {
        return Err(Malformed);
    }
    let size = u16::try_from(frame.len()).map_err(|_| Malformed)?;
    let [length_high, length_low] = AU_HEADER_BITS.to_be_bytes();
    let [header_high, header_low] = (size << 3).to_be_bytes();
    let section = [length_high, length_low, header_high, header_low];
    let mut fragments = frame.chunks(PAYLOAD_BYTES - AU_SECTION_BYTES).peekable();
    while let Some(fragment) = fragments.next() {
        let marker = if fragments.peek().is_none() { Marker::Set } else { Marker::Clear };
        sink.packet(&[&section, fragment], 0, marker);
    }
    Ok(())
}
