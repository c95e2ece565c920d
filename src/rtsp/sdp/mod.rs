//! Session descriptions (RFC 8866, RFC 4566): a tolerant, bounded reader for cameras' and our strict writer.

use crate::media::Track;

/// What the gateway reads of a camera's session description. Everything else is left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionDescription {
    /// Session-level `a=control`.
    pub control: Option<String>,
    /// Its `m=` sections, in order.
    pub media: Vec<MediaSection>,
}

/// One `m=` section with a usable first payload type. Sections that cannot be read keep their place
/// with `payload_type: None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaSection {
    /// `video`, `audio`, `application`, ...
    pub media: String,
    /// Port as written (0 is normal for cameras).
    pub port: u16,
    /// Transport, e.g. `RTP/AVP`.
    pub protocol: String,
    /// First payload type.
    pub payload_type: Option<u8>,
    /// Encoding name of its last `a=rtpmap`, upper case, or the static one of RFC 3551.
    pub encoding: Option<String>,
    /// Clock rate of `a=rtpmap`, or the static one.
    pub clock_rate: Option<u32>,
    /// Channels of `a=rtpmap`.
    pub channels: Option<u8>,
    /// Its last `a=fmtp` as key and value pairs, keys in lower case; a key without `=` has an empty value.
    pub format: Vec<(String, String)>,
    /// `a=control`.
    pub control: Option<String>,
    /// Last valid `a=framerate`, frames in 1,000 s.
    pub frame_rate_milli: Option<u32>,
    /// `a=sendonly` / `a=recvonly` / ...: whether the camera wants to receive (a backchannel).
    pub receives: bool,
}

impl SessionDescription {
    /// Reads a camera's description: not UTF-8, TABs, trailing blanks and broken lines are tolerated.
    /// Fails over [`crate::limits::SDP_BYTES`] or [`crate::limits::SDP_MEDIA`].
    pub fn parse(text: &[u8]) -> Result<Self, BadDescription> {
        let _ = text;
        todo!()
    }
}

/// The session description broke a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum BadDescription {
    #[error("session description over {} bytes", crate::limits::SDP_BYTES)]
    TooLong,
    #[error("more than {} media sections", crate::limits::SDP_MEDIA)]
    TooManyMedia,
}

/// A track as our own description presents it.
#[derive(Debug, Clone)]
pub struct DescribedTrack<'a> {
    /// The track, parameter sets included.
    pub track: &'a Track,
    /// RTP payload type.
    pub payload_type: u8,
}

/// Writes the gateway's description of a stream: our strings, our ids, `a=control:trackID=N` for
/// [`crate::media::TrackId`] N, parameter sets in `fmtp`, `a=sendonly`... as clients expect.
/// `session_id` and `version` are decimal numbers for `o=`.
pub fn describe(session_id: u64, version: u64, tracks: &[DescribedTrack<'_>]) -> String {
    let _ = (session_id, version, tracks);
    todo!()
}
