//! Writes the interleaved form.

use bytes::Bytes;

use super::{FRAME_BYTES, HEADER_BYTES, Marker, Plan, Sink, packetise, usual_channel};
use crate::media::Published;

/// Version 2, no padding, no extension, no contributing sources.
const VERSION: u8 = 0x80;

/// One allocation of the size that it will have, one copy of the media bytes. Empty if the unit has nothing to send; the
/// hub publishes no such unit.
pub(super) fn build(published: &Published, data: &[u8]) -> Bytes {
    let Published { packets, octets, .. } = *published;
    let mut writer = Writer {
        out: Vec::with_capacity(Plan { packets, octets }.wire_bytes()),
        channel: usual_channel(published.unit.track.id),
        payload_type: published.payload_type,
        seq: published.first_seq,
        rtp_time: published.rtp_time,
        ssrc: published.ssrc,
    };
    match packetise(&published.unit.track.codec, published.unit.random_access, data, &mut writer) {
        Ok(()) => Bytes::from(writer.out),
        Err(_) => Bytes::new(),
    }
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
        let second = marker | self.payload_type & 0x7f;
        let ([l0, l1], [s0, s1]) = (length.to_be_bytes(), self.seq.to_be_bytes());
        let [t0, t1, t2, t3] = self.rtp_time.wrapping_add(later).to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        // In one piece: what makes room for each field costs more than the field.
        let head: [u8; FRAME_BYTES + HEADER_BYTES] =
            [b'$', self.channel, l0, l1, VERSION, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
        self.out.extend_from_slice(&head);
        for part in parts {
            self.out.extend_from_slice(part);
        }
        self.seq = self.seq.wrapping_add(1);
    }
}
