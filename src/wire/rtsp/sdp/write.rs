//! The strict writer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::media::{AacParameters, Codec, H264Parameters, H265Parameters, Track};

/// A track as our own description presents it.
#[derive(Debug, Clone)]
pub struct DescribedTrack<'a> {
    /// The track, parameter sets included.
    pub track: &'a Track,
    /// RTP payload type.
    pub payload_type: u8,
}

/// Writes the gateway's description of a stream: our strings, our ids, `a=control:trackID=N` for
/// [`crate::media::TrackId`] N, parameter sets in `fmtp`. `session_id` and `version` are the numbers of `o=`.
/// Lines end in CRLF, in the order of RFC 8866 5. No direction is stated: `sendrecv` is the default that
/// every client takes for "the server plays".
pub fn describe(session_id: u64, version: u64, tracks: &[DescribedTrack<'_>]) -> String {
    let mut out = format!(
        "v=0\r\n\
         o=- {session_id} {version} IN IP4 0.0.0.0\r\n\
         s=Camlock\r\n\
         c=IN IP4 0.0.0.0\r\n\
         t=0 0\r\n\
         a=control:*\r\n\
         a=range:npt=now-\r\n"
    );
    for DescribedTrack { track, payload_type: pt } in tracks {
        let media = match track.kind() {
            crate::media::TrackKind::Video => "video",
            crate::media::TrackKind::Audio => "audio",
        };
        let name = track.codec.encoding_name();
        let rate = track.clock_rate;
        let channels = channels(&track.codec);
        out.push_str(&format!(
            "m={media} 0 RTP/AVP {pt}\r\na=rtpmap:{pt} {name}/{rate}{channels}\r\n"
        ));
        if let Some(parameters) = format_parameters(&track.codec) {
            out.push_str(&format!("a=fmtp:{pt} {parameters}\r\n"));
        }
        out.push_str(&format!("a=control:trackID={}\r\n", track.id.0));
    }
    out
}

/// The third part of `rtpmap`: 1 is the default for plain samples and left out, RFC 3640 examples write it.
fn channels(codec: &Codec) -> String {
    match codec {
        Codec::H264(_) | Codec::H265(_) | Codec::Jpeg(_) | Codec::G726(_) => String::new(),
        Codec::Aac(aac) => format!("/{}", aac.channels),
        Codec::Pcma { channels } | Codec::Pcmu { channels } | Codec::L16 { channels } => {
            if *channels == 1 {
                String::new()
            } else {
                format!("/{channels}")
            }
        }
    }
}

fn format_parameters(codec: &Codec) -> Option<String> {
    match codec {
        Codec::H264(h264) => Some(h264_parameters(h264)),
        Codec::H265(h265) => Some(h265_parameters(h265)),
        Codec::Aac(aac) => Some(aac_parameters(aac)),
        Codec::Jpeg(_)
        | Codec::Pcma { .. }
        | Codec::Pcmu { .. }
        | Codec::G726(_)
        | Codec::L16 { .. } => None,
    }
}

/// RFC 6184 8.1.
fn h264_parameters(h264: &H264Parameters) -> String {
    format!(
        "packetization-mode=1;profile-level-id={:02X}{:02X}{:02X};sprop-parameter-sets={},{}",
        h264.profile,
        h264.constraints,
        h264.level,
        STANDARD.encode(&h264.sps),
        STANDARD.encode(&h264.pps),
    )
}

/// RFC 7798 7.1.
fn h265_parameters(h265: &H265Parameters) -> String {
    format!(
        "profile-id={};level-id={};sprop-vps={};sprop-sps={};sprop-pps={}",
        h265.profile,
        h265.level,
        STANDARD.encode(&h265.vps),
        STANDARD.encode(&h265.sps),
        STANDARD.encode(&h265.pps),
    )
}

/// RFC 3640 3.3.6 and 4.1, mode AAC-hbr.
fn aac_parameters(aac: &AacParameters) -> String {
    let config: String = aac.config.iter().map(|byte| format!("{byte:02X}")).collect();
    format!(
        "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
         indexdeltalength=3;config={config}"
    )
}
