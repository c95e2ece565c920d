//! RTP out (RFC 3550, 6184, 7798, 2435, 3640, 3551): packetisation, sender reports, and the interleaved form.
//! Pure functions of a published unit.
//!
//! The packets of a unit are walked by one piece of code for each payload format ([`aac`], [`jpeg`],
//! [`pcm`], [`video`]); [`plan`] counts what it walks and [`interleaved`] writes it, so the two agree.

mod aac;
mod jpeg;
mod pcm;
mod report;
mod video;
mod write;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::media::{AccessUnit, Codec, Published, TrackId};
use crate::ops::limits;

pub use report::{ReportPoint, sender_report};

/// RTP header without contributing sources and extension (RFC 3550 5.1).
const HEADER_BYTES: usize = 12;
/// `$`, channel, length (RFC 2326 10.12).
const FRAME_BYTES: usize = 4;
/// What a packet can carry.
const PAYLOAD_BYTES: usize = limits::RTP_PACKET_BYTES - HEADER_BYTES;

/// The RTP payload type the gateway gives a track: the static one (RFC 3551 6) of JPEG, mono 8 kHz G.711
/// and 44.1 kHz L16, else 96 + track id.
pub fn payload_type(track: TrackId, codec: &Codec, clock_rate: u32) -> u8 {
    match codec {
        Codec::Pcmu { channels: 1 } if clock_rate == 8_000 => 0,
        Codec::Pcma { channels: 1 } if clock_rate == 8_000 => 8,
        Codec::L16 { channels: 2 } if clock_rate == 44_100 => 10,
        Codec::L16 { channels: 1 } if clock_rate == 44_100 => 11,
        Codec::Jpeg(_) if clock_rate == 90_000 => 26,
        Codec::H264(_)
        | Codec::H265(_)
        | Codec::Jpeg(_)
        | Codec::Aac(_)
        | Codec::Pcma { .. }
        | Codec::Pcmu { .. }
        | Codec::G726(_)
        | Codec::L16 { .. } => 96 + track.0 % 32,
    }
}

/// What the interleaved form of a unit will be, known from its NAL lengths alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plan {
    /// RTP packets.
    pub packets: u32,
    /// Payload octets (without RTP headers), for sender reports.
    pub octets: u32,
}

impl Plan {
    /// Bytes of the interleaved form.
    pub fn wire_bytes(self) -> usize {
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        size(self.packets)
            .saturating_mul(FRAME_BYTES + HEADER_BYTES)
            .saturating_add(size(self.octets))
    }
}

/// Counts. Parameter sets of the unit's track stand before a random access point. `None`: the unit has
/// nothing to send (no NAL, or lengths that do not add up).
pub fn plan(unit: &AccessUnit) -> Option<Plan> {
    let mut plan = Plan::default();
    packetise(&unit.track.codec, unit.random_access, &unit.data, &mut plan).ok()?;
    (plan.packets > 0).then_some(plan)
}

/// The interleaved form for the usual channel (2 x track id): `$`, channel, length, packet, for each
/// packet. Built once, shared, and kept in place of the unit's data; the marker bit stands on the last packet of a
/// picture.
pub fn interleaved(published: &Published) -> Bytes {
    published.media.interleaved(|data| write::build(published, &data)).clone()
}

/// A patched copy of an interleaved form for a reader that asked for another channel.
pub fn on_channel(form: &Bytes, channel: u8) -> Bytes {
    let mut copy = form.to_vec();
    let mut rest = copy.as_mut_slice();
    while let Some((frame, behind)) = rest.split_first_chunk_mut::<FRAME_BYTES>() {
        let [_, on, high, low] = frame;
        *on = channel;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((_, next)) = behind.split_at_mut_checked(length) else { break };
        rest = next;
    }
    Bytes::from(copy)
}

/// The usual channel of a track's RTP; its RTCP has the next one.
fn usual_channel(track: TrackId) -> u8 {
    track.0.wrapping_mul(2)
}

/// Where the packets of a unit go: counted ([`Plan`]) or written.
trait Sink {
    /// One packet whose payload is `parts` in a row, `later` ticks behind the unit's timestamp.
    fn packet(&mut self, parts: &[&[u8]], later: u32, marker: Marker);
}

/// The marker bit of a packet (RFC 3550 5.1); its meaning is the payload format's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Clear,
    Set,
}

/// The unit's bytes are not what its codec says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Malformed;

impl Sink for Plan {
    fn packet(&mut self, parts: &[&[u8]], _later: u32, _marker: Marker) {
        let payload: usize = parts.iter().map(|part| part.len()).sum();
        self.packets = self.packets.saturating_add(1);
        self.octets = self.octets.saturating_add(u32::try_from(payload).unwrap_or(u32::MAX));
    }
}

fn packetise(
    codec: &Codec,
    random_access: bool,
    data: &[u8],
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    match codec {
        Codec::H264(parameters) => video::packetise::<video::H264>(
            &[&parameters.sps, &parameters.pps],
            random_access,
            data,
            sink,
        ),
        Codec::H265(parameters) => video::packetise::<video::H265>(
            &[&parameters.vps, &parameters.sps, &parameters.pps],
            random_access,
            data,
            sink,
        ),
        Codec::Jpeg(_) => jpeg::packetise(data, sink),
        Codec::Aac(_) => aac::packetise(data, sink),
        Codec::Pcma { .. } | Codec::Pcmu { .. } | Codec::G726(_) | Codec::L16 { .. } => {
            pcm::packetise(codec, data, sink)
        }
    }
}
