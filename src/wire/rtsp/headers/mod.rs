//! Typed headers: `Transport`, `Session`, `RTP-Info`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::ops::limits::{RTSP_URI_BYTES, SDP_MEDIA, SESSION_ID_BYTES, TRANSPORTS};

/// One alternative of a `Transport` header (RFC 2326 12.39).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transport {
    /// TCP, UDP unicast or multicast.
    pub mode: TransportMode,
    /// Whether the profile is secure (`SAVP`).
    pub secure: bool,
    /// `interleaved=a-b`; the second is a + 1 if left out.
    pub interleaved: Option<(u8, u8)>,
    /// `ssrc`, hex. Blanks, a `0x` and up to 3 missing leading zeros are tolerated. `None` if unreadable or
    /// of at most 4 digits: cameras that write those send another one in their packets.
    pub ssrc: Option<u32>,
    /// `mode=` says something other than PLAY.
    pub records: bool,
}

/// Lower transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportMode {
    /// `RTP/AVP/TCP`, or `RTP/AVP` with `interleaved`.
    #[default]
    Tcp,
    /// `RTP/AVP` or `RTP/AVP/UDP` without `multicast`.
    Udp,
    /// `multicast`.
    Multicast,
}

impl Transport {
    /// Every alternative that can be read, in the peer's order of preference; at most
    /// [`TRANSPORTS`] are looked at.
    pub fn parse_all(value: &str) -> Vec<Self> {
        split(value, ',').take(TRANSPORTS).filter_map(Self::parse).collect()
    }

    /// The header value.
    pub fn encode(&self) -> String {
        let profile = if self.secure { "RTP/SAVP" } else { "RTP/AVP" };
        let lower = match self.mode {
            TransportMode::Tcp => "/TCP;unicast",
            TransportMode::Udp => ";unicast",
            TransportMode::Multicast => ";multicast",
        };
        let mut out = format!("{profile}{lower}");
        if let Some((rtp, rtcp)) = self.interleaved {
            out.push_str(&format!(";interleaved={rtp}-{rtcp}"));
        }
        if let Some(ssrc) = self.ssrc {
            out.push_str(&format!(";ssrc={ssrc:08X}"));
        }
        if self.records {
            out.push_str(";mode=\"RECORD\"");
        }
        out
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = split(text, ';');
        let mut spec = parts.next()?.split('/').map(str::trim);
        if !spec.next()?.eq_ignore_ascii_case("RTP") {
            return None;
        }
        let secure = match spec.next()?.to_ascii_uppercase().as_str() {
            "AVP" | "AVPF" => false,
            "SAVP" | "SAVPF" => true,
            _ => return None,
        };
        let lower = match spec.next().map(str::to_ascii_uppercase).as_deref() {
            None => None,
            Some("TCP") => Some(TransportMode::Tcp),
            Some("UDP") => Some(TransportMode::Udp),
            Some(_) => return None,
        };
        let mut transport = Self { secure, ..Self::default() };
        let mut multicast = false;
        for (key, value) in parts.map(key_value) {
            match key.as_str() {
                "multicast" => multicast = true,
                "interleaved" => transport.interleaved = parse_channels(value),
                "ssrc" => transport.ssrc = parse_ssrc(value),
                "mode" => transport.records = !is_play(value),
                _ => {}
            }
        }
        transport.mode = match (lower, multicast, transport.interleaved) {
            (Some(TransportMode::Tcp), _, _) | (None, false, Some(_)) => TransportMode::Tcp,
            (_, true, _) => TransportMode::Multicast,
            (_, false, _) => TransportMode::Udp,
        };
        Some(transport)
    }
}

/// `Session: id;timeout=N`, id trimmed, 1–256 printable characters without `;`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionHeader {
    /// Session id.
    pub id: String,
    /// Timeout as sent, unclamped; absent or unreadable: `None`. At most 2^32 - 1 s.
    pub timeout: Option<Duration>,
}

impl SessionHeader {
    /// Parses; `None` if the id is empty, too long or not printable ASCII.
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = split(value, ';');
        let id = parts.next()?.trim();
        if !(1..=SESSION_ID_BYTES).contains(&id.len()) || !id.bytes().all(is_printable) {
            return None;
        }
        let timeout = parts
            .map(key_value)
            .find(|(key, _)| key == "timeout")
            .and_then(|(_, seconds)| decimal::<u32>(seconds))
            .map(|seconds| Duration::from_secs(seconds.into()));
        Some(Self { id: id.to_owned(), timeout })
    }

    /// The header value.
    pub fn encode(&self) -> String {
        match self.timeout {
            Some(timeout) => format!("{};timeout={}", self.id, timeout.as_secs()),
            None => self.id.clone(),
        }
    }
}

/// One entry of `RTP-Info` (RFC 2326 12.33).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpInfo {
    /// `url` as sent; empty if left out.
    pub url: String,
    /// `seq`; unreadable or out of range: `None`.
    pub seq: Option<u16>,
    /// `rtptime`; unreadable or out of range: `None`.
    pub rtp_time: Option<u32>,
}

impl RtpInfo {
    /// Parses all entries that can be read, at most [`SDP_MEDIA`]. A comma or semicolon belongs to the
    /// URL unless a parameter that we know follows. `ssrc` is no parameter of RTSP/1.0 and not read.
    pub fn parse_all(value: &str) -> Vec<Self> {
        let mut entries: Vec<Self> = Vec::new();
        for piece in split(value, ',') {
            let first = split(piece, ';').next().map(key_value);
            let begins = first.is_some_and(|(key, _)| is_info_key(&key));
            match entries.last_mut() {
                Some(last) if !begins => last.go_on(piece),
                Some(_) | None => {
                    if entries.len() == SDP_MEDIA {
                        break;
                    }
                    let mut entry = Self { url: String::new(), seq: None, rtp_time: None };
                    entry.read(piece, InUrl::No);
                    entries.push(entry);
                }
            }
        }
        entries.retain(|entry| entry.url.len() <= RTSP_URI_BYTES && !entry.is_empty());
        entries
    }

    /// The header value for a list of entries.
    pub fn encode_all(entries: &[Self]) -> String {
        let entries = entries.iter().map(|entry| {
            let mut out = format!("url={}", entry.url);
            if let Some(seq) = entry.seq {
                out.push_str(&format!(";seq={seq}"));
            }
            if let Some(rtp_time) = entry.rtp_time {
                out.push_str(&format!(";rtptime={rtp_time}"));
            }
            out
        });
        entries.collect::<Vec<_>>().join(",")
    }

    /// Takes what stands behind a comma: the rest of the URL, unless the entry is past it.
    fn go_on(&mut self, piece: &str) {
        if self.url.is_empty() || self.seq.is_some() || self.rtp_time.is_some() {
            return;
        }
        self.url.push(',');
        self.read(piece, InUrl::Yes);
    }

    fn read(&mut self, piece: &str, mut in_url: InUrl) {
        for (at, part) in split(piece, ';').enumerate() {
            let (key, value) = key_value(part);
            match (key.as_str(), in_url) {
                ("seq", _) => self.seq = decimal(value),
                ("rtptime", _) => self.rtp_time = decimal(value),
                ("ssrc", _) => {}
                ("url", InUrl::No) if self.url.is_empty() => value.clone_into(&mut self.url),
                (_, InUrl::Yes) => {
                    if at > 0 {
                        self.url.push(';');
                    }
                    self.url.push_str(part.trim());
                }
                (_, InUrl::No) => {}
            }
            if is_info_key(&key) {
                in_url = if key == "url" { InUrl::Yes } else { InUrl::No };
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.url.is_empty() && self.seq.is_none() && self.rtp_time.is_none()
    }
}

/// Whether a part that is no known parameter belongs to the URL before it.
#[derive(Clone, Copy)]
enum InUrl {
    Yes,
    No,
}

/// Splits at `separator`, but not within double quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

/// `Key = "value"` as the key in lower case and the value without blanks and quotes.
fn key_value(part: &str) -> (String, &str) {
    let (key, value) = part.split_once('=').unwrap_or((part, ""));
    (key.trim().to_ascii_lowercase(), value.trim().trim_matches('"').trim())
}

fn is_info_key(key: &str) -> bool {
    matches!(key, "url" | "seq" | "rtptime" | "ssrc")
}

fn is_play(modes: &str) -> bool {
    modes.is_empty() || modes.split(',').all(|m| m.trim().eq_ignore_ascii_case("PLAY"))
}

fn parse_channels(value: &str) -> Option<(u8, u8)> {
    let (rtp, rtcp) = value.split_once('-').unwrap_or((value, ""));
    let rtp: u8 = decimal(rtp)?;
    let rtcp = if rtcp.trim().is_empty() { rtp.checked_add(1) } else { decimal(rtcp) };
    Some((rtp, rtcp?))
}

fn parse_ssrc(value: &str) -> Option<u32> {
    let digits = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X")).unwrap_or(value);
    let is_whole = (5..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_whole.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A decimal number and nothing else: `from_str` would take a `+`.
fn decimal<N: std::str::FromStr>(text: &str) -> Option<N> {
    let text = text.trim();
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_printable(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}
