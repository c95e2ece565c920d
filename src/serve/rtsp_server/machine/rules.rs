//! What the headers of a request say, one small question each.

use crate::ops::limits::QUOTED_TEXT_BYTES;
use crate::wire::rtsp::{Headers, Transport, TransportMode};

/// `Public` and `Allow`: the methods this server has (RFC 2326 10.1).
pub(super) const METHODS: &str =
    "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

/// Option tags that the client requires; we support none (RFC 2326 12.32). For `Unsupported`, cut short.
pub(super) fn unsupported(headers: &Headers) -> Option<String> {
    let tags: Vec<&str> = headers
        .all("Require")
        .chain(headers.all("Proxy-Require"))
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .collect();
    if tags.is_empty() {
        return None;
    }
    Some(tags.join(", ").chars().filter(char::is_ascii).take(QUOTED_TEXT_BYTES).collect())
}

/// Whether `Accept` lets a session description through (RFC 2326 12.1); without the header, anything.
pub(super) fn accepts_sdp(headers: &Headers) -> bool {
    let mut ranges = headers.all("Accept").flat_map(|value| value.split(',')).peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            ["application/sdp", "application/*", "*/*"]
                .iter()
                .any(|known| media.eq_ignore_ascii_case(known))
                && !parts.any(is_zero_quality)
        })
}

fn is_zero_quality(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(key, value)| {
        key.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0_f32)
    })
}

/// Zero of the NTP clock. rtspsrc asks for it in its `onvif-mode` when it means "from the beginning" (ONVIF
/// Streaming, Replay control). Any later time asks for a recording, which a live stream does not have.
const CLOCK_ZERO: &str = "19000101T000000Z";

/// Where PLAY is asked to begin. The stream is live, so both begin now; the answer repeats the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlayFrom {
    /// No `Range`, `npt=now-`, or the oldest there is by the wall clock ([`CLOCK_ZERO`]).
    Now,
    /// `npt=0-` in one of its spellings.
    Zero,
}

impl PlayFrom {
    /// Reads `Range` (RFC 2326 12.29); `None` for a range that a live stream does not have.
    pub(super) fn parse(headers: &Headers) -> Option<Self> {
        let Some(value) = headers.get("Range") else { return Some(Self::Now) };
        // `;time=` says when to begin; the stream begins when it is asked to.
        let range = value.split(';').next().unwrap_or_default();
        let (unit, range) = range.split_once('=')?;
        let from = range.trim().strip_suffix('-')?.trim();
        let unit = unit.trim();
        if unit.eq_ignore_ascii_case("clock") {
            from.eq_ignore_ascii_case(CLOCK_ZERO).then_some(Self::Now)
        } else if !unit.eq_ignore_ascii_case("npt") {
            None
        } else if from.eq_ignore_ascii_case("now") {
            Some(Self::Now)
        } else if is_npt_zero(from) {
            Some(Self::Zero)
        } else {
            None
        }
    }

    /// The `Range` of the answer.
    pub(super) fn as_range(self) -> &'static str {
        match self {
            Self::Now => "npt=now-",
            Self::Zero => "npt=0-",
        }
    }
}

/// `0`, `0.000`, `0:00:00.0`: digits that are all zero.
fn is_npt_zero(text: &str) -> bool {
    text.starts_with('0')
        && text.len() <= 16
        && text.bytes().all(|b| matches!(b, b'0' | b'.' | b':'))
}

/// Why no transport of the client's list can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTransport {
    /// No `Transport`.
    Missing,
    /// UDP, multicast, SRTP, recording, or nothing that can be read.
    Unsupported,
}

/// The first alternative that is interleaved, plain RTP and plays (RFC 2326 12.39); of that one the
/// channels the client wants, if it names any.
pub(super) fn interleaved(headers: &Headers) -> Result<Option<(u8, u8)>, NoTransport> {
    for transport in headers.all("Transport").flat_map(Transport::parse_all) {
        match transport.mode {
            TransportMode::Tcp if !transport.secure && !transport.records => {
                return Ok(transport.interleaved);
            }
            TransportMode::Tcp | TransportMode::Udp | TransportMode::Multicast => {}
        }
    }
    Err(headers.get("Transport").map_or(NoTransport::Missing, |_| NoTransport::Unsupported))
}

/// Whether a body, if there is one, is of the only type that parameters come in.
pub(super) fn is_parameters(headers: &Headers) -> bool {
    headers.get("Content-Type").is_none_or(|value| {
        let media = value.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case("text/parameters")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Headers {
        let mut headers = Headers::default();
        headers.push(name, value);
        headers
    }

    #[test]
    fn ranges_of_a_live_stream() {
        for (value, from) in [
            ("npt=now-", Some(PlayFrom::Now)),
            ("npt = now-", Some(PlayFrom::Now)),
            ("npt=0-", Some(PlayFrom::Zero)),
            ("npt=0.000-", Some(PlayFrom::Zero)),
            ("NPT=0:00:00.000-", Some(PlayFrom::Zero)),
            ("npt=0.000-;time=19970123T143720Z", Some(PlayFrom::Zero)),
            ("npt=5-", None),
            ("npt=0-10", None),
            ("npt=-5", None),
            ("npt=-", None),
            ("npt=now", None),
            ("clock=19000101T000000Z-", Some(PlayFrom::Now)),
            ("CLOCK = 19000101t000000z-", Some(PlayFrom::Now)),
            ("clock=19000101T000000Z-20260101T000000Z", None),
            ("clock=20260101T000000Z-", None),
            ("smpte=0:00:00-", None),
            ("", None),
        ] {
            assert_eq!(PlayFrom::parse(&with("Range", value)), from, "{value}");
        }
        assert_eq!(PlayFrom::parse(&Headers::default()), Some(PlayFrom::Now));
    }

    #[test]
    fn accept_lists() {
        for yes in ["application/sdp", "text/html, Application/SDP;q=0.5", "*/*", "application/*"] {
            assert!(accepts_sdp(&with("Accept", yes)), "{yes}");
        }
        for no in ["text/html", "application/rtsl", "application/sdp;q=0", "", "application/sdpx"] {
            assert!(!accepts_sdp(&with("Accept", no)), "{no}");
        }
        assert!(accepts_sdp(&Headers::default()));
    }

    #[test]
    fn required_options_are_named_and_cut() {
        assert_eq!(unsupported(&Headers::default()), None);
        assert_eq!(unsupported(&with("Require", " ")), None);
        let backchannel = "www.onvif.org/ver20/backchannel";
        assert_eq!(unsupported(&with("Require", backchannel)).as_deref(), Some(backchannel));
        let long = "x".repeat(QUOTED_TEXT_BYTES + 1);
        assert_eq!(unsupported(&with("Proxy-Require", &long)).unwrap().len(), QUOTED_TEXT_BYTES);
    }

    #[test]
    fn the_first_usable_transport_is_taken() {
        for (value, expected) in [
            ("RTP/AVP/TCP;unicast;interleaved=2-3", Ok(Some((2, 3)))),
            ("RTP/AVP/TCP;unicast", Ok(None)),
            ("RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;interleaved=0-1", Ok(Some((0, 1)))),
            ("RTP/AVP;unicast;client_port=5000-5001", Err(NoTransport::Unsupported)),
            ("RTP/AVP;multicast", Err(NoTransport::Unsupported)),
            ("RTP/SAVP/TCP;unicast;interleaved=0-1", Err(NoTransport::Unsupported)),
            ("RTP/AVP/TCP;interleaved=0-1;mode=RECORD", Err(NoTransport::Unsupported)),
            ("RAW/RAW/UDP;unicast", Err(NoTransport::Unsupported)),
        ] {
            assert_eq!(interleaved(&with("Transport", value)), expected, "{value}");
        }
        assert_eq!(interleaved(&Headers::default()), Err(NoTransport::Missing));
    }
}
