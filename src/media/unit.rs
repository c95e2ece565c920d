//! Access units, and how the hub publishes them.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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

impl AccessUnit {
    /// What is published of it: all but its bytes, and these.
    pub fn split(self) -> (UnitInfo, Media) {
        let Self { track, ticks, received, wallclock, random_access, data } = self;
        (UnitInfo { track, ticks, received, wallclock, random_access }, Media::new(data))
    }
}

/// All of an [`AccessUnit`] but its bytes.
#[derive(Debug, Clone)]
pub struct UnitInfo {
    /// See [`AccessUnit::track`].
    pub track: Arc<Track>,
    /// See [`AccessUnit::ticks`].
    pub ticks: i64,
    /// See [`AccessUnit::received`].
    pub received: Instant,
    /// See [`AccessUnit::wallclock`].
    pub wallclock: SystemTime,
    /// See [`AccessUnit::random_access`].
    pub random_access: bool,
}

/// An access unit with its place in the stream. Everything a transport form needs is fixed here, at
/// publish, so that each form is a pure function of this value, whoever builds it and when.
#[derive(Debug)]
pub struct Published {
    /// The unit.
    pub unit: UnitInfo,
    /// Its bytes.
    pub media: Media,
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
}

/// The bytes of a published unit, in one form at a time: as they came until a reader asks for the interleaved RTP
/// form (RFC 2326 10.12, for the usual channel, 2 x track id), and that form from then on, shared by all readers.
pub struct Media {
    /// [`AccessUnit::data`]; empty once the other form is there.
    data: Mutex<Bytes>,
    interleaved: OnceLock<Bytes>,
}

impl Media {
    fn new(data: Bytes) -> Self {
        Self { data: Mutex::new(data), interleaved: OnceLock::new() }
    }

    /// The interleaved form. The first who asks builds it, from [`AccessUnit::data`].
    pub fn interleaved(&self, build: impl FnOnce(Bytes) -> Bytes) -> &Bytes {
        self.interleaved.get_or_init(|| {
            let data =
                std::mem::take(&mut *self.data.lock().unwrap_or_else(PoisonError::into_inner));
            build(data)
        })
    }

    /// [`AccessUnit::data`], if nobody has asked for the interleaved form yet.
    #[cfg(test)]
    pub(crate) fn data(&self) -> Option<Bytes> {
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        self.interleaved.get().is_none().then(|| data.clone())
    }

    /// Bytes it holds.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.len() + self.interleaved.get().map_or(0, Bytes::len)
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.interleaved.get().is_some() { "interleaved" } else { "data" };
        f.debug_tuple("Media").field(&form).finish()
    }
}
