//! Why a session ended: a closed list, each in words an operator understands.

use std::fmt;

use crate::ops::limits;

/// Why the airlock ended a session, or never got one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The camera closed the connection.
    CameraClosed,
    /// The connection to the camera broke.
    CameraLost,
    /// The camera broke the TLS protocol, or floods below it.
    BrokenTls,
    /// The one re-dial after `401` and `Connection: close` failed.
    RedialFailed,
    /// No answer to a request in time.
    NoAnswer,
    /// A message was begun and not finished in time.
    SlowMessage,
    /// The camera does not take our requests off the wire.
    CameraNotReading,
    /// Nothing usable came after PLAY.
    NoFirstUnit,
    /// A video track went quiet.
    Stalled,
    /// The camera plays slower than any lawful stream.
    TooSlow,
    /// The camera wants a login and none is configured.
    LoginRequired,
    /// The camera refused the user or password.
    LoginRefused,
    /// The camera refused this account the stream (403).
    Forbidden,
    /// The camera offers only Basic, which its settings do not allow.
    BasicRefused,
    /// The camera offers Basic although it offered Digest before.
    BasicAfterDigest,
    /// The camera asks for a login in a way we do not know.
    UnknownChallenge,
    /// The camera has nothing at the path (404 and its like).
    NotFound,
    /// The camera has no session left (453, 503).
    Busy,
    /// The camera sent us elsewhere (3xx). It is never followed.
    Redirected,
    /// The camera answered with another error status.
    Status(u16),
    /// Not RTSP, or a message over the limits of the grammar.
    Grammar(crate::wire::rtsp::Violation),
    /// The session description breaks a limit.
    Description,
    /// Nothing in the session description that we take.
    NoUsableMedia,
    /// The camera does not send media over the RTSP connection.
    NotInterleaved,
    /// The camera gave two tracks the same channel.
    ChannelConflict,
    /// Too many packets that break the RTP rules.
    BadPackets,
    /// One access unit over its bytes.
    UnitBytes,
    /// One access unit over its packets.
    UnitPackets,
    /// One access unit over its NAL units.
    UnitNals,
    /// A JPEG picture of a kind that is not taken.
    Jpeg(JpegForm),
    /// More access units a second than any lawful stream.
    UnitRate,
    /// More bytes a second than a camera may send.
    ByteRate,
    /// Too much that is not media.
    Overhead,
    /// The URL or user agent of the request cannot be put on the wire.
    BadRequest,
    /// We ended it.
    Stopped,
}

/// Kinds of JPEG pictures that RFC 2435 can tell of, or hint at, and the gateway does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JpegForm {
    /// One of two fields.
    Interlaced,
    /// A type other than 0, 1, 64 and 65: neither 4:2:0 nor 4:2:2.
    Sampling,
    /// Wider or higher than [`limits::JPEG_SIDE`], which is written as 0.
    Side,
    /// Quantisation tables of 16 bits, fewer or more than two, or not with each picture; a reserved Q.
    Tables,
    /// Over [`limits::JPEG_BYTES`].
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
        match self {
            Self::CameraClosed => "camera_closed",
            Self::CameraLost => "camera_lost",
            Self::BrokenTls => "broken_tls",
            Self::RedialFailed => "redial_failed",
            Self::NoAnswer => "no_answer",
            Self::SlowMessage => "slow_message",
            Self::CameraNotReading => "camera_not_reading",
            Self::NoFirstUnit => "no_first_unit",
            Self::Stalled => "stalled",
            Self::TooSlow => "too_slow",
            Self::LoginRequired => "login_required",
            Self::LoginRefused => "login_refused",
            Self::Forbidden => "forbidden",
            Self::BasicRefused => "basic_refused",
            Self::BasicAfterDigest => "basic_after_digest",
            Self::UnknownChallenge => "unknown_challenge",
            Self::NotFound => "not_found",
            Self::Busy => "busy",
            Self::Redirected => "redirected",
            Self::Status(_) => "status",
            Self::Grammar(_) => "grammar",
            Self::Description => "description",
            Self::NoUsableMedia => "no_usable_media",
            Self::NotInterleaved => "not_interleaved",
            Self::ChannelConflict => "channel_conflict",
            Self::BadPackets => "bad_packets",
            Self::UnitBytes => "unit_bytes",
            Self::UnitPackets => "unit_packets",
            Self::UnitNals => "unit_nals",
            Self::Jpeg(_) => "jpeg_form",
            Self::UnitRate => "unit_rate",
            Self::ByteRate => "byte_rate",
            Self::Overhead => "overhead",
            Self::BadRequest => "bad_request",
            Self::Stopped => "stopped",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::CameraClosed => "the camera closed the connection",
            Self::CameraLost => "the connection to the camera broke: check cable, Wi-Fi and power",
            Self::BrokenTls => {
                "the camera broke its TLS connection: a record that does not verify, or a flood of what is \
                 no data"
            }
            Self::RedialFailed => {
                "the camera closed after asking for a login and took no new connection"
            }
            Self::NoAnswer => "the camera did not answer a request in time",
            Self::SlowMessage => "the camera began a message and did not finish it in time",
            Self::CameraNotReading => "the camera does not take our requests",
            Self::NoFirstUnit => "the camera plays but no picture or sound came in time",
            Self::Stalled => "the camera's video went quiet",
            Self::TooSlow => "the camera sends almost no data",
            Self::LoginRequired => {
                "the camera wants a login and none is configured: set user and password"
            }
            Self::LoginRefused => "the camera refused user or password: correct them",
            Self::Forbidden => {
                "the camera forbids this account the stream: give the account the right"
            }
            Self::BasicRefused => {
                "the camera offers only Basic, which sends the password in the clear: \
                 enable Digest in the camera, or allow Basic for it"
            }
            Self::BasicAfterDigest => {
                "the camera asks for the clear password although it offered Digest before: \
                 someone may have taken its place"
            }
            Self::UnknownChallenge => {
                "the camera asks for a login in a way this gateway does not know"
            }
            Self::NotFound => "the camera has no stream at this path: correct the URL",
            Self::Busy => "the camera has no session left: close other viewers of the camera",
            Self::Redirected => "the camera points to another address; that is never followed",
            Self::Status(_) => "the camera refused a request with status",
            Self::Grammar(_) => "the camera breaks the RTSP grammar or its limits",
            Self::Description => "the camera's session description is over the limits",
            Self::NoUsableMedia => {
                "the camera offers no H.264, H.265, MJPEG, AAC, G.711, G.726 or L16 track: \
                 choose another codec in the camera"
            }
            Self::Jpeg(form) => form.words(),
            Self::NotInterleaved => "the camera does not send media over TCP: enable RTSP over TCP",
            Self::ChannelConflict => {
                "the camera gave two tracks the same channel: switch one track off"
            }
            Self::BadPackets => "the camera sent too many broken media packets",
            Self::UnitBytes => "the camera sent an access unit over the size limit",
            Self::UnitPackets => "the camera sent an access unit of too many packets",
            Self::UnitNals => "the camera sent an access unit of too many NAL units",
            Self::UnitRate => "the camera sent too many access units a second",
            Self::ByteRate => "the camera sent too many bytes a second: lower its bit rate",
            Self::Overhead => "the camera sent too much that is not media",
            Self::BadRequest => {
                "the camera's URL cannot be used: rtsp, no account in it, at most 1 KiB"
            }
            Self::Stopped => "ended by the gateway",
        }
    }
}

impl JpegForm {
    fn words(self) -> &'static str {
        match self {
            Self::Interlaced => {
                "the camera sends interlaced JPEG: choose a progressive mode, or H.264, in the camera"
            }
            Self::Sampling => {
                "the camera's JPEG is neither 4:2:0 nor 4:2:2: choose H.264 in the camera"
            }
            Self::Side => {
                "the camera's JPEG is over 2040 pixels wide or high, which RTP cannot tell: \
                 choose a smaller picture, or H.264, in the camera"
            }
            Self::Tables => {
                "the camera's JPEG does not bring two quantisation tables of 8 bits with each picture: \
                 choose H.264 in the camera"
            }
            Self::Bytes => {
                "the camera sent a JPEG picture over 1.7 MB: lower its quality, or choose H.264"
            }
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())?;
        match self {
            Self::Status(status) => write!(f, " {status}"),
            Self::Grammar(violation) => write!(f, ": {violation}"),
            Self::UnitBytes => write!(f, " ({} bytes)", limits::ACCESS_UNIT_BYTES),
            Self::UnitPackets => write!(f, " ({})", limits::ACCESS_UNIT_PACKETS),
            Self::UnitNals => write!(f, " ({})", limits::ACCESS_UNIT_NALS),
            Self::UnitRate => write!(f, " ({})", limits::UNITS_PER_SECOND),
            Self::CameraClosed
            | Self::CameraLost
            | Self::BrokenTls
            | Self::RedialFailed
            | Self::NoAnswer
            | Self::SlowMessage
            | Self::CameraNotReading
            | Self::NoFirstUnit
            | Self::Stalled
            | Self::TooSlow
            | Self::LoginRequired
            | Self::LoginRefused
            | Self::Forbidden
            | Self::BasicRefused
            | Self::BasicAfterDigest
            | Self::UnknownChallenge
            | Self::NotFound
            | Self::Busy
            | Self::Redirected
            | Self::Description
            | Self::NoUsableMedia
            | Self::NotInterleaved
            | Self::ChannelConflict
            | Self::BadPackets
            | Self::Jpeg(_)
            | Self::ByteRate
            | Self::Overhead
            | Self::BadRequest
            | Self::Stopped => Ok(()),
        }
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
