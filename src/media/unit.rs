//! Access units, and how the hub publishes them.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use super::Track;

/// One picture, or one frame of sound, in decode order.
#[derive(Clone)]
pub struct AccessUnit {
    /// The track it belongs to, with the parameters it was coded with.
    pub track: Arc<Track>,
    /// Presentation time on the stream's own timeline, in ticks of the track's clock. All tracks of a
    /// stream share the timeline: equal `ticks / clock_rate` means at the same moment. Decode order is
    /// the order of units; B-pictures may go backward within a window.
    pub ticks: i64,
    /// When its last byte arrived here.
    pub received: Instant,
    /// The gateway's UTC for `ticks`: one smooth mapping for all tracks of a pull, never the camera's clock.
    pub wallclock: SystemTime,
    /// Whether a decoder may start here: an IDR or CRA picture, an H.264 intra picture at a recovery point,
    /// any JPEG picture, any audio frame.
    pub random_access: bool,
    /// H.264 and H.265: NAL units, each behind a 4-byte big-endian length, no parameter sets; before an H.264
    /// picture at a recovery point our own SEI message that says so. JPEG: the picture, from its start marker
    /// to its end marker. Audio: the raw frame.
    pub data: Bytes,
}

impl fmt::Debug for AccessUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessUnit")
            .field("track", &self.track.id)
            .field("ticks", &self.ticks)
            .field("random_access", &self.random_access)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// An access unit with its place in the stream. Everything a transport form needs is fixed here, at
/// publish, so that each form is a pure function of this value, whoever builds it and when.
#[derive(Debug)]
pub struct Published {
    /// The unit.
    pub unit: AccessUnit,
    /// Position in the stream over all tracks, from 0, without gaps.
    pub index: u64,
    /// RTP sequence number of its first packet.
    pub first_seq: u16,
    /// Number of its RTP packets.
    pub packets: u32,
    /// Payload octets of its packets (for sender reports).
    pub octets: u32,
    /// RTP timestamp of its packets.
    pub rtp_time: u32,
    /// Synchronisation source of its track; belongs to the stream, not to a pull or a reader.
    pub ssrc: u32,
    /// RTP payload type of its track.
    pub payload_type: u8,
    /// Packets of this track before this unit (for sender reports), modulo 2^32.
    pub packets_before: u32,
    /// Payload octets of this track before this unit (for sender reports), modulo 2^32.
    pub octets_before: u32,
    /// The interleaved RTP form (RFC 2326 10.12) for the usual channel, 2 x track id.
    pub interleaved: SharedForm,
}

/// A place for one transport form of a published unit: built once by whoever comes first, shared by all.
#[derive(Default)]
pub struct SharedForm(OnceLock<Bytes>);

impl SharedForm {
    /// The form, built now if nobody did before.
    pub fn get_or_build(&self, build: impl FnOnce() -> Bytes) -> &Bytes {
        self.0.get_or_init(build)
    }
}

impl fmt::Debug for SharedForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedForm({:?})", self.0.get().map(Bytes::len))
    }
}
