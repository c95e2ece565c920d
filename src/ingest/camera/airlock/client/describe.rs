//! The camera's session description: which tracks we take, their URLs and their formats.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use url::Url;

use crate::ingest::camera::airlock::{Encoding, EndReason};
use crate::ingest::camera::depacketise::Format;
use crate::media::{G726, Kinds, TrackKind};
use crate::ops::limits;
use crate::wire::rtsp::{MediaSection, Response, SessionDescription};

/// What a DESCRIBE answer says, as far as we take it.
#[derive(Debug)]
pub(super) struct Described {
    /// Base of relative URLs.
    pub(super) base: Url,
    /// URL of PLAY, keep-alives and TEARDOWN.
    pub(super) aggregate: String,
    /// Tracks that we take, in the camera's order.
    pub(super) media: Vec<Media>,
    /// Sections left out.
    pub(super) dropped: usize,
    pub(super) other_host: bool,
    pub(super) base_without_scheme: bool,
}

/// A track that we take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Media {
    /// Place in the camera's description.
    pub(super) section: usize,
    pub(super) format: Format,
    /// The camera's payload type.
    pub(super) declared: u8,
    /// Request-URI of its SETUP.
    pub(super) url: String,
}

impl Described {
    pub(super) fn read(
        request: &Url,
        response: &Response,
        kinds: Kinds,
    ) -> Result<Self, EndReason> {
        let description =
            SessionDescription::parse(&response.body).map_err(|_| EndReason::Description)?;
        let base = base(request, response);
        let aggregate = match &description.control {
            Some(control) => join(&base, control).ok_or(EndReason::NoUsableMedia)?,
            None => request.as_str().to_owned(),
        };
        let media: Vec<_> = (0..)
            .zip(&description.media)
            .filter_map(|(index, section)| Media::read(index, section, &base, &aggregate))
            .filter(|media| kinds.contains(media.format.encoding.kind()))
            .collect();
        let media: Vec<_> = beside_jpeg(media).take(limits::TRACKS).collect();
        if media.is_empty() {
            return Err(EndReason::NoUsableMedia);
        }
        let dropped = description.media.len().saturating_sub(media.len());
        let elsewhere =
            |url: &str| Url::parse(url).is_ok_and(|url| url.host_str() != request.host_str());
        let other_host = elsewhere(&aggregate) || media.iter().any(|media| elsewhere(&media.url));
        let base_without_scheme = base_header(response).is_some_and(|text| !is_absolute(text));
        Ok(Self { base, aggregate, media, dropped, other_host, base_without_scheme })
    }
}

impl Media {
    fn read(index: usize, section: &MediaSection, base: &Url, aggregate: &str) -> Option<Self> {
        let plain_rtp = section.protocol.starts_with("RTP/") || section.protocol.contains("/RTP/");
        if !plain_rtp || section.protocol.contains("SAVP") {
            return None;
        }
        let declared = section.payload_type?;
        let clock_rate = section.clock_rate?;
        let encoding = encoding(section, clock_rate)?;
        let parameters = match encoding {
            Encoding::H264 => h264_format(section),
            Encoding::H265 => h265_format(section)?,
            Encoding::Aac => aac_format(section)?,
            Encoding::Jpeg
            | Encoding::Pcma
            | Encoding::Pcmu
            | Encoding::G726(_)
            | Encoding::L16 => Vec::new(),
        };
        let url = match &section.control {
            Some(control) => join(base, control)?,
            None => aggregate.to_owned(),
        };
        Some(Self {
            section: index,
            format: Format {
                encoding,
                clock_rate,
                channels: section.channels.filter(|n| *n > 0),
                parameters: (!parameters.is_empty()).then(|| written(&parameters)),
            },
            declared,
            url,
        })
    }
}

/// `a=fmtp` parameters: numbers and codec configuration that was decoded and coded again, no text of the camera.
fn written(parameters: &[(&'static str, String)]) -> String {
    let pairs: Vec<_> = parameters.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(";")
}

/// JPEG stands alone: the depacketiser's buffer for it is reckoned in place of that of other video
/// ([`limits::camera_memory_bytes`]). The first video track says which it is.
fn beside_jpeg(media: Vec<Media>) -> impl Iterator<Item = Media> {
    let is_video = |media: &Media| media.format.encoding.kind() == TrackKind::Video;
    let first = media.iter().find(|media| is_video(media)).map(|media| media.section);
    let leads =
        media.iter().any(|m| Some(m.section) == first && m.format.encoding == Encoding::Jpeg);
    media.into_iter().filter(move |media| {
        let taken = if leads {
            Some(media.section) == first
        } else {
            media.format.encoding != Encoding::Jpeg
        };
        taken || !is_video(media)
    })
}

/// The codings we take. A camera that wants to receive sound (a backchannel) is not asked for any.
fn encoding(section: &MediaSection, clock_rate: u32) -> Option<Encoding> {
    let name = section.encoding.as_deref()?.to_ascii_uppercase();
    match (section.media.as_str(), name.as_str()) {
        ("video", "H264") if clock_rate == 90_000 => Some(Encoding::H264),
        ("video", "H265") if clock_rate == 90_000 => Some(Encoding::H265),
        ("video", "JPEG") if clock_rate == 90_000 => Some(Encoding::Jpeg),
        ("audio", _) if section.receives || !(8_000..=96_000).contains(&clock_rate) => None,
        ("audio", "MPEG4-GENERIC") => Some(Encoding::Aac),
        ("audio", "PCMA") => Some(Encoding::Pcma),
        ("audio", "PCMU") => Some(Encoding::Pcmu),
        ("audio", "L16") => {
            let channels = section.channels.unwrap_or(1);
            let known = limits::L16_RATES.contains(&clock_rate) && matches!(channels, 1 | 2);
            known.then_some(Encoding::L16)
        }
        ("audio", name) => {
            let mono_8_khz = clock_rate == 8_000 && section.channels.unwrap_or(1) == 1;
            G726::from_encoding_name(name).filter(|_| mono_8_khz).map(Encoding::G726)
        }
        _ => None,
    }
}

/// Packetization mode and parameter sets. What cannot be read is left out: cameras repeat it in band.
fn h264_format(section: &MediaSection) -> Vec<(&'static str, String)> {
    let mode = value(section, "packetization-mode").filter(|mode| matches!(*mode, "0" | "1"));
    let sets = value(section, "sprop-parameter-sets").and_then(|sets| {
        let sets: Option<Vec<_>> = sets.split(',').filter(|set| !set.is_empty()).map(set).collect();
        sets.filter(|sets| !sets.is_empty() && sets.len() <= 8).map(|sets| sets.join(","))
    });
    let mode = mode.map(|mode| ("packetization-mode", mode.to_owned()));
    mode.into_iter().chain(sets.map(|sets| ("sprop-parameter-sets", sets))).collect()
}

/// Parameter sets. Only single-session transmission is known to the depacketiser.
fn h265_format(section: &MediaSection) -> Option<Vec<(&'static str, String)>> {
    if value(section, "tx-mode").is_some_and(|mode| mode != "SRST") {
        return None;
    }
    let keys = ["sprop-vps", "sprop-sps", "sprop-pps"];
    let sets = keys.into_iter().filter_map(|key| Some((key, set(value(section, key)?)?)));
    Some(sets.collect())
}

/// Mode AAC-hbr with its usual lengths; nothing else has a depacketiser.
fn aac_format(section: &MediaSection) -> Option<Vec<(&'static str, String)>> {
    let is = |key: &str, wanted: &str| {
        value(section, key).is_some_and(|v| v.eq_ignore_ascii_case(wanted))
    };
    let known = is("mode", "AAC-hbr")
        && is("sizelength", "13")
        && is("indexlength", "3")
        && is("indexdeltalength", "3");
    let config = value(section, "config")?;
    let hex = config.len() <= 64 && config.bytes().all(|b| b.is_ascii_hexdigit());
    (known && hex && config.len() & 1 == 0).then(|| {
        vec![
            ("mode", "AAC-hbr".to_owned()),
            ("sizelength", "13".to_owned()),
            ("indexlength", "3".to_owned()),
            ("indexdeltalength", "3".to_owned()),
            ("config", config.to_ascii_lowercase()),
        ]
    })
}

fn value<'a>(section: &'a MediaSection, key: &str) -> Option<&'a str> {
    section.format_value(key).map(str::trim)
}

/// A parameter set, decoded and coded again.
fn set(text: &str) -> Option<String> {
    let tolerant = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(&STANDARD, tolerant).decode(text.trim()).ok()?;
    if bytes.is_empty() || bytes.len() > limits::PARAMETER_SET_BYTES {
        return None;
    }
    Some(base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// RFC 2326 C.1.1, with the scheme some cameras forget. What cannot be read is as if absent.
fn base(request: &Url, response: &Response) -> Url {
    base_header(response)
        .and_then(|text| {
            let absolute =
                Url::parse(text).ok().filter(|url| matches!(url.scheme(), "rtsp" | "rtsps"));
            absolute.or_else(|| Url::parse(&format!("{}://{text}", request.scheme())).ok())
        })
        .unwrap_or_else(|| request.clone())
}

fn base_header(response: &Response) -> Option<&str> {
    let headers = &response.headers;
    let header = headers.get("Content-Base").or_else(|| headers.get("Content-Location"));
    header.filter(|text| printable(text))
}

fn is_absolute(url: &str) -> bool {
    let begins = |scheme: &str| {
        url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins("rtsp://") || begins("rtsps://")
}

/// Joins as cameras expect: by string, with query strings staying in the middle. The result is opaque
/// text for the camera's own socket; the host in it is never dialled.
pub(super) fn join(base: &Url, control: &str) -> Option<String> {
    if !printable(control) {
        return None;
    }
    if control == "*" {
        return Some(base.as_str().to_owned());
    }
    let joined = if is_absolute(control) {
        Url::parse(control)
    } else {
        let slash = if base.as_str().ends_with('/') { "" } else { "/" };
        Url::parse(&format!("{base}{slash}{control}"))
    };
    let joined = String::from(joined.ok()?);
    printable(&joined).then_some(joined)
}

/// Whether text can stand as a request-URI.
pub(super) fn printable(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= limits::RTSP_URI_BYTES
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}
