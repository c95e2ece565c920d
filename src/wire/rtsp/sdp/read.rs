//! The tolerant, bounded reader.

use super::{MediaSection, SessionDescription};
use crate::ops::limits::{RTSP_URI_BYTES, SDP_BYTES, SDP_FORMAT_PARAMETERS, SDP_MEDIA};

/// The session description broke a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum BadDescription {
    #[error("session description over {SDP_BYTES} bytes")]
    TooLong,
    #[error("more than {SDP_MEDIA} media sections")]
    TooManyMedia,
}

impl SessionDescription {
    /// Reads a camera's description: not UTF-8, TABs, trailing blanks and broken lines are tolerated.
    /// Fails over [`SDP_BYTES`] or [`SDP_MEDIA`].
    pub fn parse(text: &[u8]) -> Result<Self, BadDescription> {
        if text.len() > SDP_BYTES {
            return Err(BadDescription::TooLong);
        }
        let mut control = None;
        let mut drafts: Vec<Draft> = Vec::new();
        for line in text.split(|b| matches!(b, b'\r' | b'\n')) {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_matches(is_blank);
            let Some((kind, value)) = line.split_once('=') else { continue };
            match kind {
                "m" if drafts.len() == SDP_MEDIA => return Err(BadDescription::TooManyMedia),
                "m" => drafts.push(Draft::of_media_line(value)),
                "a" | "A" => match (drafts.last_mut(), attribute(value)) {
                    (Some(draft), (name, value)) => draft.attribute(&name, value),
                    (None, (name, value)) if name == "control" => control = printable(value),
                    (None, _) => {}
                },
                _ => {}
            }
        }
        let mut media: Vec<_> = drafts.into_iter().map(Draft::finish).collect();
        if media.iter().any(|section| section.media == "video" && section.receives) {
            media.iter_mut().for_each(|section| section.receives = false);
        }
        Ok(Self { control, media })
    }
}

/// A section whose attributes are still coming in.
struct Draft {
    section: MediaSection,
    control: Control,
}

enum Control {
    Usable,
    Unusable,
}

impl Draft {
    fn of_media_line(value: &str) -> Self {
        let mut words = value.split(is_blank).filter(|word| !word.is_empty());
        let mut word = || words.next().unwrap_or_default();
        let section = MediaSection {
            media: word().to_ascii_lowercase(),
            // `port/number of ports`
            port: word().split('/').next().and_then(decimal).unwrap_or(0),
            protocol: word().to_owned(),
            payload_type: decimal(word()).filter(|pt| *pt < 128),
            ..MediaSection::default()
        };
        Self { section, control: Control::Usable }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        match name {
            "rtpmap" => self.rtpmap(value),
            "fmtp" => self.format_parameters(value),
            "control" => {
                self.section.control = printable(value);
                self.control = match self.section.control {
                    Some(_) => Control::Usable,
                    None => Control::Unusable,
                };
            }
            "framerate" => {
                self.section.frame_rate_milli = milli(value).or(self.section.frame_rate_milli);
            }
            "sendonly" => self.section.receives = true,
            "recvonly" | "sendrecv" | "inactive" => self.section.receives = false,
            _ => {}
        }
    }

    /// What stands behind the payload type, if it is this section's.
    fn ours<'a>(&self, value: &'a str) -> Option<&'a str> {
        let (payload_type, rest) = value.split_once(is_blank).unwrap_or((value, ""));
        let payload_type = decimal::<u8>(payload_type)?;
        (self.section.payload_type == Some(payload_type)).then(|| rest.trim_matches(is_blank))
    }

    fn rtpmap(&mut self, value: &str) {
        let Some(map) = self.ours(value) else { return };
        let mut parts = map.split('/').map(|part| part.trim_matches(is_blank));
        let name = parts.next().filter(|name| is_encoding_name(name));
        self.section.encoding = name.map(str::to_ascii_uppercase);
        self.section.clock_rate = parts.next().and_then(decimal).filter(|rate| *rate > 0);
        self.section.channels = parts.next().and_then(decimal).filter(|channels| *channels > 0);
    }

    fn format_parameters(&mut self, value: &str) {
        // without any parameter the line says nothing
        let Some(parameters) = self.ours(value).filter(|text| !text.is_empty()) else { return };
        self.section.format = parameters
            .split(';')
            .map(|part| {
                let (key, value) = part.split_once('=').unwrap_or((part, ""));
                let key = key.trim_matches(is_blank).to_ascii_lowercase();
                (key, value.trim_matches(is_blank).to_owned())
            })
            .filter(|(key, _)| !key.is_empty())
            .take(SDP_FORMAT_PARAMETERS)
            .collect();
    }

    fn finish(self) -> MediaSection {
        let mut section = self.section;
        match self.control {
            Control::Usable => {}
            Control::Unusable => section.payload_type = None,
        }
        if section.encoding.is_none()
            && let Some((name, rate, channels)) = section.payload_type.and_then(static_type)
        {
            section.encoding = Some(name.to_owned());
            section.clock_rate = Some(rate);
            section.channels = channels;
        }
        section
    }
}

/// RFC 3551 tables 4 and 5: encoding, clock rate, channels of sound.
fn static_type(payload_type: u8) -> Option<(&'static str, u32, Option<u8>)> {
    Some(match payload_type {
        0 => ("PCMU", 8000, Some(1)),
        3 => ("GSM", 8000, Some(1)),
        4 => ("G723", 8000, Some(1)),
        5 => ("DVI4", 8000, Some(1)),
        6 => ("DVI4", 16_000, Some(1)),
        7 => ("LPC", 8000, Some(1)),
        8 => ("PCMA", 8000, Some(1)),
        9 => ("G722", 8000, Some(1)),
        10 => ("L16", 44_100, Some(2)),
        11 => ("L16", 44_100, Some(1)),
        12 => ("QCELP", 8000, Some(1)),
        13 => ("CN", 8000, Some(1)),
        14 => ("MPA", 90_000, None),
        15 => ("G728", 8000, Some(1)),
        16 => ("DVI4", 11_025, Some(1)),
        17 => ("DVI4", 22_050, Some(1)),
        18 => ("G729", 8000, Some(1)),
        25 => ("CELB", 90_000, None),
        26 => ("JPEG", 90_000, None),
        28 => ("NV", 90_000, None),
        31 => ("H261", 90_000, None),
        32 => ("MPV", 90_000, None),
        33 => ("MP2T", 90_000, None),
        34 => ("H263", 90_000, None),
        _ => return None,
    })
}

/// `name:value`, the name in lower case.
fn attribute(text: &str) -> (String, &str) {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    (name.trim_matches(is_blank).to_ascii_lowercase(), value.trim_matches(is_blank))
}

/// The text if it may go into a request of ours.
fn printable(text: &str) -> Option<String> {
    let usable = (1..=RTSP_URI_BYTES).contains(&text.len())
        && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    usable.then(|| text.to_owned())
}

fn is_encoding_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

/// A positive decimal fraction in thousandths, cut after the third place.
fn milli(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let places = fraction.bytes().chain([b'0'; 3]).take(3);
    let thousandths = places.fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    let milli = decimal::<u32>(whole)?.checked_mul(1000)?.checked_add(thousandths)?;
    (milli > 0).then_some(milli)
}

/// A decimal number and nothing else: `from_str` would take a `+`.
fn decimal<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}
