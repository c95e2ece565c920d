//! Why a session ended: a closed list, each in words an operator understands.

use strum::IntoStaticStr;

use crate::ops::limits;

/// Why the airlock ended a session, or never got one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum EndReason {
    /// The camera closed the connection.
    #[error("the camera closed the connection")]
    CameraClosed,
    /// The connection to the camera broke.
    #[error("the connection to the camera broke: check cable, Wi-Fi and power")]
    CameraLost,
    /// The camera broke the TLS protocol, or floods below it.
    #[error(
        "the camera broke its TLS connection: a record that does not verify, or a flood of what is no data"
    )]
    BrokenTls,
    /// The one re-dial after `401` and `Connection: close` failed.
    #[error("the camera closed after asking for a login and took no new connection")]
    RedialFailed,
    /// No answer to a request in time.
    #[error("the camera did not answer a request in time")]
    NoAnswer,
    /// A message was begun and not finished in time.
    #[error("the camera began a message and did not finish it in time")]
    SlowMessage,
    /// The camera does not take our requests off the wire.
    #[error("the camera does not take our requests")]
    CameraNotReading,
    /// Nothing usable came after PLAY.
    #[error("the camera plays but no picture or sound came in time")]
    NoFirstUnit,
    /// A video track went quiet.
    #[error("the camera's video went quiet")]
    Stalled,
    /// The camera plays slower than any valid stream.
    #[error("the camera sends almost no data")]
    TooSlow,
    /// The camera wants a login and none is configured.
    #[error("the camera wants a login and none is configured: set user and password")]
    LoginRequired,
    /// The camera refused the user or password.
    #[error("the camera refused user or password: correct them")]
    LoginRefused,
    /// The camera refused this account the stream (403).
    #[error("the camera forbids this account the stream: give the account the right")]
    Forbidden,
    /// The camera offers only Basic, which its settings do not allow.
    #[error(
        "the camera offers only Basic, which sends the password in the clear: enable Digest in the camera, or allow Basic for it"
    )]
    BasicRefused,
    /// The camera offers Basic although it offered Digest before.
    #[error(
        "the camera asks for the clear password although it offered Digest before: someone may have taken its place"
    )]
    BasicAfterDigest,
    /// The camera asks for a login in a way we do not know.
    #[error("the camera asks for a login in a way this gateway does not know")]
    UnknownChallenge,
    /// The camera has nothing at the path (404 and its like).
    #[error("the camera has no stream at this path: correct the URL")]
    NotFound,
    /// The camera has no session left (453, 503).
    #[error("the camera has no session left: close other viewers of the camera")]
    Busy,
    /// The camera sent us elsewhere (3xx). It is never followed.
    #[error("the camera points to another address; that is never followed")]
    Redirected,
    /// The camera answered with another error status.
    #[error("the camera refused a request with status {0}")]
    Status(u16),
    /// Not RTSP, or a message over the limits of the grammar.
    #[error("the camera breaks the RTSP grammar or its limits: {0}")]
    Grammar(crate::wire::rtsp::Violation),
    /// The session description breaks a limit.
    #[error("the camera's session description is over the limits")]
    Description,
    /// Nothing in the session description that we take.
    #[error(
        "the camera offers no H.264, H.265, MJPEG, AAC, G.711, G.726 or L16 track: choose another codec in the camera"
    )]
    NoUsableMedia,
    /// The camera does not send media over the RTSP connection.
    #[error("the camera does not send media over TCP: enable RTSP over TCP")]
    NotInterleaved,
    /// The camera gave two tracks the same channel.
    #[error("the camera gave two tracks the same channel: switch one track off")]
    ChannelConflict,
    /// Too many packets that break the RTP rules.
    #[error("the camera sent too many broken media packets")]
    BadPackets,
    /// One access unit over its bytes.
    #[error(
        "the camera sent an access unit over the size limit ({} bytes)",
        limits::ACCESS_UNIT_BYTES
    )]
    UnitBytes,
    /// One access unit over its packets.
    #[error("the camera sent an access unit of too many packets ({})", limits::ACCESS_UNIT_PACKETS)]
    UnitPackets,
    /// One access unit over its NAL units.
    #[error("the camera sent an access unit of too many NAL units ({})", limits::ACCESS_UNIT_NALS)]
    UnitNals,
    /// A JPEG picture of a kind that is not taken.
    #[error("{0}")]
    #[strum(serialize = "jpeg_form")]
    Jpeg(JpegForm),
    /// More access units a second than any valid stream.
    #[error("the camera sent too many access units a second ({})", limits::UNITS_PER_SECOND)]
    UnitRate,
    /// More bytes a second than a camera may send.
    #[error("the camera sent too many bytes a second: lower its bit rate")]
    ByteRate,
    /// Too much that is not media.
    #[error("the camera sent too much that is not media")]
    Overhead,
    /// The URL or user agent of the request cannot be put on the wire.
    #[error("the camera's URL cannot be used: rtsp, no account in it, at most 1 KiB")]
    BadRequest,
    /// We ended it.
    #[error("ended by the gateway")]
    Stopped,
}

/// Kinds of JPEG pictures that RFC 2435 can tell of, or hint at, and the gateway does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JpegForm {
    /// One of two fields.
    #[error("the camera sends interlaced JPEG: choose a progressive mode, or H.264, in the camera")]
    Interlaced,
    /// A type other than 0, 1, 64 and 65: neither 4:2:0 nor 4:2:2.
    #[error("the camera's JPEG is neither 4:2:0 nor 4:2:2: choose H.264 in the camera")]
    Sampling,
    /// Wider or higher than [`limits::JPEG_SIDE`], which is written as 0.
    #[error(
        "the camera's JPEG is over 2040 pixels wide or high, which RTP cannot tell: choose a smaller picture, or H.264, in the camera"
    )]
    Side,
    /// Quantisation tables of 16 bits, fewer or more than two, or not with each picture; a reserved Q.
    #[error(
        "the camera's JPEG does not bring two quantisation tables of 8 bits with each picture: choose H.264 in the camera"
    )]
    Tables,
    /// Over [`limits::JPEG_BYTES`].
    #[error("the camera sent a JPEG picture over 1.7 MB: lower its quality, or choose H.264")]
    Bytes,
}

/// Whose fault an end was; decides how the camera is dialled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The login was refused: dialling fast would lock the account.
    Login,
    /// The camera does not speak the protocol as we need it.
    Protocol,
    /// The camera broke a bound; it may be hostile.
    Limit,
    /// The network, or a camera too slow.
    Network,
    /// The camera went away or has no place for us.
    Gone,
    /// Ours.
    Ours,
}

impl EndReason {
    /// Whose fault.
    pub fn fault(self) -> Fault {
        match self {
            Self::CameraClosed | Self::Busy => Fault::Gone,
            Self::CameraLost
            | Self::RedialFailed
            | Self::NoAnswer
            | Self::SlowMessage
            | Self::CameraNotReading
            | Self::NoFirstUnit
            | Self::Stalled
            | Self::TooSlow => Fault::Network,
            Self::LoginRequired
            | Self::LoginRefused
            | Self::Forbidden
            | Self::BasicRefused
            | Self::BasicAfterDigest
            | Self::UnknownChallenge => Fault::Login,
            Self::NotFound
            | Self::Redirected
            | Self::Status(_)
            | Self::NoUsableMedia
            | Self::NotInterleaved
            | Self::ChannelConflict
            | Self::Jpeg(_) => Fault::Protocol,
            Self::Grammar(_)
            | Self::Description
            | Self::BadPackets
            | Self::UnitBytes
            | Self::UnitPackets
            | Self::UnitNals
            | Self::UnitRate
            | Self::ByteRate
            | Self::Overhead
            | Self::BrokenTls => Fault::Limit,
            Self::BadRequest | Self::Stopped => Fault::Ours,
        }
    }

    /// A stable word for metrics and machines.
    pub fn label(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_the_number_that_was_broken() {
        assert_eq!(
            EndReason::Status(451).to_string(),
            "the camera refused a request with status 451"
        );
        let grammar = EndReason::Grammar(crate::wire::rtsp::Violation::NotRtsp).to_string();
        assert!(grammar.ends_with(": not RTSP/1.0"), "{grammar}");
        assert!(EndReason::UnitNals.to_string().ends_with("(512)"));
        assert_eq!(EndReason::Status(451).label(), "status");
    }

    #[test]
    fn the_reasons_are_these() {
        let all = every!(EndReason; CameraClosed, CameraLost, BrokenTls, RedialFailed, NoAnswer, SlowMessage, CameraNotReading, NoFirstUnit, Stalled, TooSlow, LoginRequired, LoginRefused, Forbidden, BasicRefused, BasicAfterDigest, UnknownChallenge, NotFound, Busy, Redirected, Status(451), Grammar(crate::wire::rtsp::Violation::NotRtsp), Description, NoUsableMedia, NotInterleaved, ChannelConflict, BadPackets, UnitBytes, UnitPackets, UnitNals, Jpeg(JpegForm::Side), UnitRate, ByteRate, Overhead, BadRequest, Stopped);
        assert_surface!("camera-session-ends", all.map(EndReason::label).join("\n"));
    }
}
