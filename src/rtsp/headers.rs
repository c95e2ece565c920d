//! Typed headers: `Transport`, `Session`, `RTP-Info`.

use std::time::Duration;

/// `Transport`, the first alternative of a list that is read one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transport {
    /// TCP, UDP unicast or multicast.
    pub mode: TransportMode,
    /// Whether the profile is secure (`SAVP`).
    pub secure: bool,
    /// `interleaved=a-b`; the second is a + 1 if left out.
    pub interleaved: Option<(u8, u8)>,
    /// `ssrc`, hex, spaces and odd lengths tolerated; unreadable: `None`.
    pub ssrc: Option<u32>,
    /// `mode=` says something other than PLAY.
    pub records: bool,
}

/// Lower transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportMode {
    /// `RTP/AVP/TCP`.
    #[default]
    Tcp,
    /// `RTP/AVP` or `RTP/AVP/UDP` with `unicast`.
    Udp,
    /// `multicast`.
    Multicast,
}

impl Transport {
    /// Every alternative that can be read, in the peer's order of preference; at most 8 are looked at.
    pub fn parse_all(value: &str) -> Vec<Self> {
        let _ = value;
        todo!()
    }

    /// The header value.
    pub fn encode(&self) -> String {
        todo!()
    }
}

/// `Session: id;timeout=N`, id trimmed, 1–256 printable characters without `;`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionHeader {
    /// Session id.
    pub id: String,
    /// Timeout as sent, unclamped; absent or unreadable: `None`.
    pub timeout: Option<Duration>,
}

impl SessionHeader {
    /// Parses; `None` if the id is empty or too long.
    pub fn parse(value: &str) -> Option<Self> {
        let _ = value;
        todo!()
    }

    /// The header value.
    pub fn encode(&self) -> String {
        todo!()
    }
}

/// One entry of `RTP-Info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpInfo {
    /// `url` as sent.
    pub url: String,
    /// `seq`.
    pub seq: Option<u16>,
    /// `rtptime`; unreadable or out of range: `None`.
    pub rtp_time: Option<u32>,
}

impl RtpInfo {
    /// Parses all entries that can be read, at most [`crate::limits::SDP_MEDIA`].
    pub fn parse_all(value: &str) -> Vec<Self> {
        let _ = value;
        todo!()
    }

    /// The header value for a list of entries.
    pub fn encode_all(entries: &[Self]) -> String {
        let _ = entries;
        todo!()
    }
}
