//! Session descriptions (RFC 8866, RFC 4566): a tolerant, bounded reader for cameras' and our strict writer.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::BadDescription;
pub use write::{DescribedTrack, describe};

/// What the gateway reads of a camera's session description. Everything else is left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionDescription {
    /// Session-level `a=control`, under the same rules as [`MediaSection::control`].
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
    /// First payload type, at most 127.
    pub payload_type: Option<u8>,
    /// Encoding name of its last `a=rtpmap`, upper case, or the static one of RFC 3551.
    pub encoding: Option<String>,
    /// Clock rate of `a=rtpmap`, or the static one; never 0.
    pub clock_rate: Option<u32>,
    /// Channels of `a=rtpmap`; never 0.
    pub channels: Option<u8>,
    /// Its last `a=fmtp` as key and value pairs, keys in lower case; a key without `=` has an empty value.
    /// At most [`crate::ops::limits::SDP_FORMAT_PARAMETERS`]; further ones are left out.
    pub format: Vec<(String, String)>,
    /// Last `a=control`, printable ASCII. One that is not, or is over
    /// [`crate::ops::limits::RTSP_URI_BYTES`], makes its section unusable (`payload_type: None`).
    pub control: Option<String>,
    /// Last valid `a=framerate`, frames in 1,000 s.
    pub frame_rate_milli: Option<u32>,
    /// Whether the camera wants to receive here (a backchannel, `a=sendonly` as ONVIF writes it from the
    /// client's side). Never so in a description that says it of pictures too: its writer means itself.
    pub receives: bool,
}

impl MediaSection {
    /// The last value of a format parameter; `key` in lower case.
    pub fn format_value(&self, key: &str) -> Option<&str> {
        self.format.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }
}
