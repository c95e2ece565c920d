//! The camera's session description: written here and not by `rtsp`, so that nothing of the gateway's own
//! description can be mistaken for the camera's.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::media::{Codec, Track, TrackKind};
use crate::wire::rtp;

/// The description of a profile.
pub(super) fn describe(tracks: &[Arc<Track>]) -> String {
    let mut sdp = String::from(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=Simulated camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
         a=tool:camlock simulator\r\na=control:*\r\n",
    );
    for track in tracks {
        describe_track(&mut sdp, track);
    }
    sdp
}

fn describe_track(sdp: &mut String, track: &Track) {
    let kind = match track.kind() {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    };
    let payload_type = rtp::payload_type(track.id, &track.codec, track.clock_rate);
    let (name, rate) = (track.codec.encoding_name(), track.clock_rate);
    let (channels, format) = format_of(&track.codec);
    // Writing to a string cannot fail.
    let _ = write!(
        sdp,
        "m={kind} 0 RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {name}/{rate}{channels}\r\n"
    );
    if let Some(format) = format {
        let _ = write!(sdp, "a=fmtp:{payload_type} {format}\r\n");
    }
    let _ = write!(sdp, "a=control:trackID={}\r\n", track.id.0);
}

/// What stands behind the clock rate, and the `fmtp` line.
fn format_of(codec: &Codec) -> (&'static str, Option<String>) {
    match codec {
        Codec::H264(p) => {
            let (sps, pps) = (STANDARD.encode(&p.sps), STANDARD.encode(&p.pps));
            let id = format!("{:02X}{:02X}{:02X}", p.profile, p.constraints, p.level);
            let line = format!(
                "packetization-mode=1; profile-level-id={id}; sprop-parameter-sets={sps},{pps}"
            );
            ("", Some(line))
        }
        Codec::H265(p) => {
            let [vps, sps, pps] = [&p.vps, &p.sps, &p.pps].map(|set| STANDARD.encode(set));
            ("", Some(format!("sprop-vps={vps}; sprop-sps={sps}; sprop-pps={pps}")))
        }
        Codec::Aac(p) => {
            let config: String = p.config.iter().map(|byte| format!("{byte:02X}")).collect();
            let line = format!(
                "streamtype=5; profile-level-id=1; mode=AAC-hbr; sizelength=13; indexlength=3; \
                 indexdeltalength=3; config={config}"
            );
            ("/1", Some(line))
        }
        Codec::Jpeg(_)
        | Codec::Pcma { .. }
        | Codec::Pcmu { .. }
        | Codec::G726(_)
        | Codec::L16 { .. } => ("", None),
    }
}
