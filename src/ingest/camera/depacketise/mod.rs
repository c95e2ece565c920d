//! The depacketiser of one track: checked RTP payloads in, access units out.
//!
//! This is the only file that imports retina. It uses two items that retina hides from its documentation
//! (`codec::Depacketizer`, `testutil::DepacketizeBuf`), so the version is pinned, and a golden test for each
//! codec shows an upgrade that behaves differently ([ADR 11](../../../docs/adr/0011-packets-to-the-depacketiser.md)).
//!
//! retina keeps the packets of an access unit until the unit is whole, without a bound of its own. The bound is
//! here: bytes, packets and NAL units pushed since the last access unit. A depacketiser that goes over it, that
//! refuses a packet or that panics is dropped and never touched again; the next packet gets a new one.

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use retina::codec::{CodecItem, Depacketizer, FrameFormat, ParametersRef, VideoParametersCodec};
use retina::rtp::PacketMeta;
use retina::testutil::DepacketizeBuf;
use retina::{PacketContext, Timestamp};

use crate::media::{
    AacParameters, Codec, G726, G726Packing, H264Parameters, H265Parameters, JpegParameters,
    Refused, TrackKind,
};
use crate::ops::limits;

/// The codings that have a depacketiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// H.264, RFC 6184.
    H264,
    /// H.265, RFC 7798.
    H265,
    /// JPEG, RFC 2435.
    Jpeg,
    /// AAC, RFC 3640 mode AAC-hbr.
    Aac,
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// G.726, RFC 3551 4.5.4.
    G726(G726),
    /// L16, RFC 3551 4.5.11.
    L16,
}

/// What the session description says of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) encoding: Encoding,
    /// RTP clock rate.
    pub(super) clock_rate: u32,
    /// Channels of sound, if the camera said.
    pub(super) channels: Option<u8>,
    /// `a=fmtp` parameters, checked and written by us: `key=value;key=value`.
    pub(super) parameters: Option<String>,
}

/// A checked RTP packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    /// RTP timestamp, unwrapped.
    pub(super) timestamp: i64,
    pub(super) marker: bool,
    /// Packets are missing before it.
    pub(super) lost: bool,
    /// NAL units, or audio frames, that begin in it.
    pub(super) begins: u32,
    pub(super) payload: &'a [u8],
}

/// An access unit: NAL units behind 4-byte lengths, a JPEG picture, or one audio frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// RTP timestamp, unwrapped.
    pub(super) timestamp: i64,
    /// Packets were missing before it.
    pub(super) lost: bool,
    /// The first one of a new depacketiser: the one before was dropped.
    pub(super) after_drop: bool,
    /// Parameters that came with it, if they differ from those before; refused if they are not valid.
    pub(super) parameters: Option<Result<Codec, Refused>>,
    pub(super) data: Bytes,
}

/// Why a depacketiser was dropped, and all it held with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    /// It refused the packet.
    Refused,
    /// More was pushed than one access unit may have.
    OverBound,
    /// It panicked.
    Panicked,
}

/// The depacketiser of one track.
pub(super) struct Depacketiser {
    format: Format,
    clock_rate: NonZeroU32,
    /// `None`: it was dropped.
    retina: Option<Depacketizer>,
    /// What retina's pieces point into. Made when it is needed.
    buffer: Option<DepacketizeBuf>,
    /// The most that the buffer has held.
    buffered: usize,
    pending: Pending,
    after_drop: bool,
}

/// What was pushed since the last access unit.
#[derive(Debug, Clone, Copy, Default)]
struct Pending {
    bytes: usize,
    packets: usize,
    nals: usize,
}

impl Encoding {
    /// Picture or sound.
    pub fn kind(self) -> TrackKind {
        match self {
            Self::H264 | Self::H265 | Self::Jpeg => TrackKind::Video,
            Self::Aac | Self::Pcma | Self::Pcmu | Self::G726(_) | Self::L16 => TrackKind::Audio,
        }
    }

    /// Media type and encoding name, in lower case.
    pub(super) fn names(self) -> (&'static str, String) {
        match self {
            Self::H264 => ("video", "h264".to_owned()),
            Self::H265 => ("video", "h265".to_owned()),
            Self::Jpeg => ("video", "jpeg".to_owned()),
            Self::Aac => ("audio", "mpeg4-generic".to_owned()),
            Self::Pcma => ("audio", "pcma".to_owned()),
            Self::Pcmu => ("audio", "pcmu".to_owned()),
            // retina does not look into the octets and knows only one of the two packings.
            Self::G726(g726) => {
                let plain = G726 { packing: G726Packing::Rfc3551, ..g726 };
                ("audio", plain.encoding_name().to_ascii_lowercase())
            }
            Self::L16 => ("audio", "l16".to_owned()),
        }
    }

    /// Whether packets stay in the buffer until their access unit is whole. The others are copied out at once.
    fn keeps_packets(self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }
}

impl Depacketiser {
    /// `None`: retina cannot read the format, such as an AAC configuration it does not know.
    pub(super) fn new(format: Format) -> Option<Self> {
        let clock_rate = NonZeroU32::new(format.clock_rate)?;
        let retina = Some(open(&format)?);
        Some(Self {
            format,
            clock_rate,
            retina,
            buffer: None,
            buffered: 0,
            pending: Pending::default(),
            after_drop: false,
        })
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.format.encoding
    }

    /// Bytes that its buffer holds, or held: it does not shrink by itself.
    pub(super) fn held_bytes(&self) -> usize {
        self.buffered
    }

    /// The parameters as of the last access unit; `None` while the camera has not sent any.
    pub(super) fn codec(&self) -> Option<Result<Codec, Refused>> {
        codec(&self.format, self.retina.as_ref()?.parameters()?)
    }

    /// Pushes a packet and gives each access unit that it ends to `out`. At most `most` bytes may be held; one over
    /// it, or over the packets and NAL units of [`limits`], and what is held is dropped.
    pub(super) fn push(
        &mut self,
        packet: Packet<'_>,
        most: usize,
        out: &mut dyn FnMut(Frame),
    ) -> Result<(), Dropped> {
        let before = self.pending;
        self.pending = before.with(packet);
        if !self.pending.fits(most) {
            return Err(self.drop_it(Dropped::OverBound));
        }
        self.take(packet)?;
        let mut ended = None;
        while let Some(frame) = self.pull()? {
            ended = Some(frame.timestamp);
            out(frame);
        }
        if let Some(timestamp) = ended {
            self.ended(packet, timestamp);
        }
        Ok(())
    }

    fn take(&mut self, packet: Packet<'_>) -> Result<(), Dropped> {
        // retina counts a payload in 16 bits.
        if u16::try_from(packet.payload.len()).is_err() {
            return Err(self.drop_it(Dropped::Refused));
        }
        let Some(timestamp) = Timestamp::new(packet.timestamp, self.clock_rate, 0) else {
            return Err(self.drop_it(Dropped::Refused));
        };
        let was_dropped = self.retina.is_none();
        if was_dropped {
            self.retina = open(&self.format);
            self.after_drop = true;
        }
        let Some(retina) = &mut self.retina else { return Err(Dropped::Refused) };
        let meta = PacketMeta {
            ctx: PacketContext::dummy(),
            stream_id: 0,
            timestamp,
            sequence_number: 0,
            ssrc: 0,
            mark: packet.marker,
            loss: u16::from(packet.lost || was_dropped),
        };
        let buffer = self
            .buffer
            .get_or_insert_with(|| DepacketizeBuf::new(limits::DEPACKETISER_BUFFER_BYTES));
        self.buffered = self.buffered.max(self.pending.bytes);
        let pushed = guarded(|| buffer.push(retina, meta, packet.payload));
        match pushed {
            Ok(Ok(())) => Ok(()),
            // The text quotes the camera's bytes: it goes nowhere.
            Ok(Err(_)) => Err(self.drop_it(Dropped::Refused)),
            Err(Panicked) => Err(self.drop_it(Dropped::Panicked)),
        }
    }

    fn pull(&mut self) -> Result<Option<Frame>, Dropped> {
        let Some(retina) = &mut self.retina else { return Ok(None) };
        let item = match guarded(|| retina.pull()) {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(item))) => item,
            Ok(Some(Err(_))) => return Err(self.drop_it(Dropped::Refused)),
            Err(Panicked) => return Err(self.drop_it(Dropped::Panicked)),
        };
        let after_drop = std::mem::take(&mut self.after_drop);
        Ok(match item {
            CodecItem::VideoFrame(frame) => {
                let parameters = if frame.has_new_parameters() { self.codec() } else { None };
                let (timestamp, lost) = (frame.timestamp().timestamp(), frame.loss() > 0);
                let data = Bytes::from(frame.into_data());
                Some(Frame { timestamp, lost, after_drop, parameters, data })
            }
            CodecItem::AudioFrame(frame) => Some(Frame {
                timestamp: frame.timestamp().timestamp(),
                lost: frame.loss() > 0,
                after_drop,
                parameters: None,
                data: Bytes::copy_from_slice(frame.data()),
            }),
            // No depacketiser of ours gives these.
            CodecItem::MessageFrame(_) | CodecItem::Rtcp(_) | _ => None,
        })
    }

    /// An access unit ended with this packet, or before it.
    fn ended(&mut self, packet: Packet<'_>, timestamp: i64) {
        let holds_packet = self.format.encoding.keeps_packets()
            && !(packet.marker && timestamp == packet.timestamp);
        self.pending =
            if holds_packet { Pending::default().with(packet) } else { Pending::default() };
        // A buffer never shrinks: that of a large picture goes, unless something points into it.
        if !holds_packet && self.buffered > limits::DEPACKETISER_BUFFER_KEPT_BYTES {
            self.buffer = None;
            self.buffered = 0;
        }
    }

    fn drop_it(&mut self, why: Dropped) -> Dropped {
        // A destructor may panic too, after a panic.
        let (retina, buffer) = (self.retina.take(), self.buffer.take());
        let _dropped = guarded(|| drop((retina, buffer))).is_err();
        self.buffered = 0;
        self.pending = Pending::default();
        why
    }
}

impl fmt::Debug for Depacketiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Depacketiser")
            .field("format", &self.format)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl Pending {
    fn with(self, packet: Packet<'_>) -> Self {
        let begins = usize::try_from(packet.begins).unwrap_or(usize::MAX);
        Self {
            bytes: self.bytes.saturating_add(packet.payload.len()),
            packets: self.packets.saturating_add(1),
            nals: self.nals.saturating_add(begins),
        }
    }

    fn fits(self, most: usize) -> bool {
        self.bytes <= most
            && self.packets <= limits::DEPACKETISER_PACKETS
            && self.nals <= limits::DEPACKETISER_NALS
    }
}

/// retina panicked. What it says may quote the camera, and goes nowhere.
struct Panicked;

fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    std::panic::catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

fn open(format: &Format) -> Option<Depacketizer> {
    let (media, name) = format.encoding.names();
    let channels = match format.encoding.kind() {
        TrackKind::Audio => format.channels.and_then(|n| NonZeroU16::new(u16::from(n))),
        TrackKind::Video => None,
    };
    let parameters = format.parameters.as_deref();
    let made = guarded(|| {
        let made = Depacketizer::new(media, &name, format.clock_rate, channels, parameters);
        made.map(|mut depacketizer| {
            depacketizer.set_frame_format(FrameFormat::MP4);
            depacketizer
        })
    });
    made.ok()?.ok()
}

/// A track's parameters, checked. `None`: retina's are of another kind than the track.
pub(super) fn codec(
    format: &Format,
    parameters: ParametersRef<'_>,
) -> Option<Result<Codec, Refused>> {
    let channels = format.channels.unwrap_or(1).clamp(1, 2);
    let codec = match (format.encoding, parameters) {
        (Encoding::H264 | Encoding::H265 | Encoding::Jpeg, ParametersRef::Video(video)) => {
            return video_codec(format.encoding, video);
        }
        (Encoding::Aac, ParametersRef::Audio(audio)) => {
            AacParameters::new(audio.extra_data()).map(Codec::Aac)
        }
        (Encoding::Pcma, ParametersRef::Audio(_)) => Ok(Codec::Pcma { channels }),
        (Encoding::Pcmu, ParametersRef::Audio(_)) => Ok(Codec::Pcmu { channels }),
        (Encoding::G726(g726), ParametersRef::Audio(_)) => Ok(Codec::G726(g726)),
        (Encoding::L16, ParametersRef::Audio(_)) => Ok(Codec::L16 { channels }),
        (
            Encoding::H264 | Encoding::H265 | Encoding::Jpeg,
            ParametersRef::Audio(_) | ParametersRef::Message(_),
        )
        | (
            Encoding::Aac | Encoding::Pcma | Encoding::Pcmu | Encoding::G726(_) | Encoding::L16,
            ParametersRef::Video(_) | ParametersRef::Message(_),
        ) => return None,
    };
    Some(codec)
}

fn video_codec(
    encoding: Encoding,
    video: &retina::codec::VideoParameters,
) -> Option<Result<Codec, Refused>> {
    let codec = match (encoding, video.codec_params()) {
        (Encoding::H264, VideoParametersCodec::H264 { sps, pps }) => {
            H264Parameters::new(sps, pps).map(Codec::H264)
        }
        (Encoding::H265, VideoParametersCodec::H265 { vps, sps, pps }) => {
            H265Parameters::new(vps, sps, pps).map(Codec::H265)
        }
        (Encoding::Jpeg, VideoParametersCodec::Jpeg) => {
            // What does not fit is refused as 0 is.
            let side = |side: u32| u16::try_from(side).unwrap_or(0);
            let (width, height) = video.pixel_dimensions();
            JpegParameters::new(side(width), side(height)).map(Codec::Jpeg)
        }
        (_, _) => return None,
    };
    Some(codec)
}
