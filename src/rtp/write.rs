//! Writes the interleaved form.

use bytes::Bytes;

use super::{HEADER_BYTES, Marker, Plan, Sink, packetise, plan, usual_channel};
use crate::media::Published;

/// Version 2, no padding, no extension, no contributing sources.
const VERSION: u8 = 0x80;

/// One allocation of the planned size, one copy of the media bytes. Empty if the unit has no plan; the
/// hub publishes no such unit.
pub(super) fn build(published: &Published) -> Bytes {
    let Plan { wire_bytes, .. } = plan(&published.unit).unwrap_or_default();
    let mut writer = Writer {
        out: Vec::with_capacity(wire_bytes),
        channel: usual_channel(published.unit.track.id),
        payload_type: published.payload_type,
        seq: published.first_seq,
        rtp_time: published.rtp_time,
        ssrc: published.ssrc,
    };
    if wire_bytes > 0 && packetise(&published.unit, &mut writer).is_err() {
        return Bytes::new();
    }
    Bytes::from(writer.out)
}

struct Writer {
    out: Vec<u8>,
    channel: u8,
    payload_type: u8,
    seq: u16,
    rtp_time: u32,
    ssrc: u32,
}

impl Sink for Writer {
    fn packet(&mut self, parts: &[&[u8]], later: u32, marker: Marker) {
        let payload: usize = parts.iter().map(|part| part.len()).sum();
        // Payloads end at PAYLOAD_BYTES, far below 64 KiB.
        let length = u16::try_from(HEADER_BYTES + payload).unwrap_or(u16::MAX);
        let marker = match marker {
            Marker::Clear => 0,
            Marker::Set => 0x80,
        };
        self.out.extend_from_slice(&[b'$', self.channel]);
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(&[VERSION, marker | self.payload_type & 0x7f]);
        self.out.extend_from_slice(&self.seq.to_be_bytes());
        self.out.extend_from_slice(&self.rtp_time.wrapping_add(later).to_be_bytes());
        self.out.extend_from_slice(&self.ssrc.to_be_bytes());
        for part in parts {
            self.out.extend_from_slice(part);
        }
        self.seq = self.seq.wrapping_add(1);
    }
}
