//! RTP out (RFC 3550, 6184, 7798, 3640, 3551): packetisation, sender reports, and the interleaved form.
//! Pure functions of a published unit.

use std::time::SystemTime;

use bytes::Bytes;

use crate::media::{AccessUnit, Codec, Published, TrackId};

/// The RTP payload type the gateway gives a track: 0 and 8 for mono 8 kHz G.711, else 96 + track id.
pub fn payload_type(track: TrackId, codec: &Codec, clock_rate: u32) -> u8 {
    let _ = (track, codec, clock_rate);
    todo!()
}

/// What the interleaved form of a unit will be, known from its NAL lengths alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// RTP packets.
    pub packets: u32,
    /// Payload octets (without RTP headers), for sender reports.
    pub octets: u32,
    /// Bytes of the interleaved form.
    pub wire_bytes: usize,
}

/// Counts. Parameter sets of the unit's track stand before a random access point. `None`: the unit has
/// nothing to send (no NAL, or lengths that do not add up).
pub fn plan(unit: &AccessUnit) -> Option<Plan> {
    let _ = unit;
    todo!()
}

/// The interleaved form for the usual channel (2 x track id): `$`, channel, length, packet, for each
/// packet. Built once, shared; the marker bit stands on the last packet.
pub fn interleaved(published: &Published) -> Bytes {
    published.interleaved.get_or_build(|| todo!()).clone()
}

/// A patched copy of an interleaved form for a reader that asked for another channel.
pub fn on_channel(form: &Bytes, channel: u8) -> Bytes {
    let _ = (form, channel);
    todo!()
}

/// A sender report with an SDES CNAME (RFC 3550 6.4.1, 6.5.1), framed for interleaved `channel`.
/// `wallclock` is the gateway's UTC at `rtp_time`.
pub fn sender_report(published: &Published, channel: u8, cname: &str) -> Bytes {
    let _ = (published, channel, cname, SystemTime::UNIX_EPOCH);
    todo!()
}
