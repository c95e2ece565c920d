//! Who sent the transcripts, and in which words `docs/cameras.md` speaks of them. What they contain is read off
//! the run.

/// One transcript of the corpus.
#[derive(Debug)]
pub(super) struct Transcript {
    /// Name without `.txt`.
    pub(super) name: &'static str,
    /// Vendor and model, as far as known.
    pub(super) camera: &'static str,
    /// Further transcripts of the session, without `.txt`. What they leave open is plain.
    pub(super) with: &'static [&'static str],
    /// What is odd in it; empty if nothing is.
    pub(super) quirk: &'static str,
    /// What becomes of that.
    pub(super) answer: &'static str,
}

const fn plain(
    name: &'static str,
    camera: &'static str,
    with: &'static [&'static str],
) -> Transcript {
    Transcript { name, camera, with, quirk: "", answer: "" }
}

const fn odd(
    name: &'static str,
    camera: &'static str,
    with: &'static [&'static str],
    quirk: &'static str,
    answer: &'static str,
) -> Transcript {
    Transcript { name, camera, with, quirk, answer }
}

const ANPVIZ: &str = "Anpviz";
const BUNNY: &str = "Wowza Streaming Engine";
const DAHUA: &str = "Dahua";
const GW_MAIN: &str = "GW Security GW4089IP, main stream";
const GW_SUB: &str = "GW Security GW4089IP, sub-stream";
const H264DVR: &str = "H264DVR 1.0 (Xiongmai firmware)";
const HIKVISION: &str = "Hikvision";
const LUCKFOX: &str = "Luckfox (rkipc)";
const REOLINK: &str = "Reolink";

/// All of them, in the order of their names.
pub(super) const TRANSCRIPTS: &[Transcript] = &[
    odd(
        "anjvision_describe",
        "Anjvision",
        &[],
        "`Content-Base` without a scheme, with a foreign address; parameter sets twice (`config`)",
        "the scheme is put before it; the address is text for the camera, never dialled",
    ),
    odd(
        "anpviz_sdp",
        ANPVIZ,
        &[],
        "payload type 0, which is µ-law, is mapped to AAC; no AAC mode is given",
        "the map counts; without a mode the sound cannot be unpacked, and the pictures go on alone",
    ),
    odd(
        "bad_rtptime",
        BUNNY,
        &["bunny_describe"],
        "`rtptime=-1`",
        "as if absent: each track counts from its first packet",
    ),
    plain("bunny_describe", BUNNY, &[]),
    odd(
        "bunny_play",
        BUNNY,
        &["bunny_describe", "bunny_setup"],
        "one URL of `RTP-Info` is relative, one absolute; `seq=1` although it does not begin there; \
         another session id than at SETUP",
        "both are joined and compared; 0 and 1 are not expected as the first number; the first id counts",
    ),
    plain("bunny_setup", BUNNY, &["bunny_describe"]),
    odd(
        "dahua_describe_h264_aac_onvif",
        DAHUA,
        &[],
        "the query stands in the middle of the control URL; ONVIF metadata as a third track",
        "joined by string, as the camera expects; the metadata is not set up",
    ),
    odd(
        "dahua_describe_h265_pcma",
        DAHUA,
        &[],
        "`Content-Base` with a host name that only the camera knows",
        "text for the camera, never looked up",
    ),
    odd(
        "dahua_options",
        DAHUA,
        &["dahua_describe_h264_aac_onvif", "dahua_setup", "dahua_play"],
        "names SET_PARAMETER and GET_PARAMETER, with another session id",
        "kept alive by OPTIONS, then by GET_PARAMETER",
    ),
    odd(
        "dahua_play",
        DAHUA,
        &["dahua_describe_h264_aac_onvif", "dahua_setup"],
        "`RTP-Info` of a track that was not set up; another session id",
        "left aside",
    ),
    odd(
        "dahua_play_decimal_ssrc",
        DAHUA,
        &["dahua_describe_h264_aac_onvif"],
        "`ssrc` of `RTP-Info` in decimal, and only one of the tracks listed",
        "that `ssrc` is not read; each track counts from its first packet",
    ),
    plain("dahua_setup", DAHUA, &["dahua_describe_h264_aac_onvif"]),
    odd(
        "foscam_describe",
        "Foscam",
        &[],
        "no `rtpmap` for payload type 0; a foreign address in `o=`",
        "the static type of RFC 3551; `o=` is ours",
    ),
    odd(
        "geovision_sdp",
        "GeoVision",
        &[],
        "no session-level control; absolute controls to a foreign address",
        "PLAY goes to the stream's own URL; the controls are text for the camera",
    ),
    odd(
        "gw_main_describe",
        GW_MAIN,
        &[],
        "payload type 8, which is A-law, is mapped to µ-law; a start code behind each parameter set",
        "the map counts; the start code is cut off",
    ),
    odd(
        "gw_main_play",
        GW_MAIN,
        &["gw_main_describe", "gw_main_setup_video", "gw_main_setup_audio"],
        "the URL of `RTP-Info` belongs to no track; another timeout than at SETUP",
        "that entry is left aside; the timeout of SETUP counts",
    ),
    odd(
        "gw_main_setup_audio",
        GW_MAIN,
        &["gw_main_describe", "gw_main_setup_video"],
        "`destination` and `source` over TCP; a blank before `timeout`",
        "the addresses are not read",
    ),
    odd(
        "gw_main_setup_video",
        GW_MAIN,
        &["gw_main_describe"],
        "`destination` and `source` over TCP; a blank before `timeout`",
        "the addresses are not read",
    ),
    odd(
        "gw_sub_describe",
        GW_SUB,
        &[],
        "`sprop-parameter-sets` with a start code, once cut in its middle",
        "the start code is cut off",
    ),
    odd(
        "gw_sub_play",
        GW_SUB,
        &["gw_sub_describe", "gw_sub_setup"],
        "the URL of `RTP-Info` is not that of the track",
        "with one track there is no doubt whose it is",
    ),
    odd(
        "gw_sub_setup",
        GW_SUB,
        &["gw_sub_describe"],
        "`destination` and `source` over TCP; a blank before `timeout`",
        "the addresses are not read",
    ),
    odd(
        "h264dvr_describe",
        H264DVR,
        &[],
        "`Content-Base` names the camera's own loopback; a blank behind `rtpmap`; `framerate:0S`",
        "text for the camera; blanks are cut; the last frame rate that is a number counts",
    ),
    odd(
        "h264dvr_play",
        H264DVR,
        &["h264dvr_describe"],
        "no `RTP-Info`",
        "each track counts from its first packet",
    ),
    odd(
        "h264dvr_setup_audio",
        H264DVR,
        &["h264dvr_describe"],
        "asked for TCP, answers with UDP",
        "refused: UDP is not taken from cameras",
    ),
    odd(
        "h264dvr_setup_video",
        H264DVR,
        &["h264dvr_describe"],
        "asked for TCP, answers with UDP",
        "refused: UDP is not taken from cameras",
    ),
    odd(
        "hikvision_describe",
        HIKVISION,
        &[],
        "absolute controls with a query; an aggregate control that is not `*`; ONVIF metadata",
        "as written, to the camera only; the metadata is not set up",
    ),
    odd(
        "hikvision_play",
        HIKVISION,
        &["hikvision_describe", "hikvision_setup"],
        "eight blanks before the session id",
        "cut off",
    ),
    odd(
        "hikvision_setup",
        HIKVISION,
        &["hikvision_describe"],
        "eight blanks before the session id; `mode=\"play\"` in lower case",
        "cut off; any case",
    ),
    odd(
        "hikvision_setup_ssrc_space",
        HIKVISION,
        &["hikvision_describe"],
        "`ssrc= d6d6627`: a blank in place of the leading zero",
        "seven digits are read",
    ),
    odd(
        "ipcam_describe",
        "IPCAM C9F0SeZ3N0PbL0",
        &[],
        "no `Content-Base`; a blank behind `rtpmap`; `framerate:0S`",
        "the stream's own URL is the base; blanks are cut; the last number counts",
    ),
    odd(
        "laureii_play",
        "Laureii",
        &[],
        "`seq=0;rtptime=0;`, and the stream begins elsewhere",
        "0 is not expected as the first number",
    ),
    odd(
        "longse_unauthorized",
        "Longse",
        &[],
        "a blank behind the number of `CSeq`; Digest without algorithm or `qop`",
        "cut off; answered with MD5 of RFC 2069",
    ),
    odd(
        "luckfox_rkipc_setup_tcp",
        LUCKFOX,
        &[],
        "`ssrc` before `interleaved`; no `unicast`",
        "any order",
    ),
    odd(
        "luckfox_rkipc_setup_udp",
        LUCKFOX,
        &[],
        "asked for TCP, answers with UDP",
        "refused: UDP is not taken from cameras",
    ),
    odd(
        "macrovideo_describe",
        "Macro-Video",
        &[],
        "no `o=`; `c=` after the attributes; `profile-level-id` in base64",
        "none of them is read",
    ),
    odd(
        "missing_content_type_describe",
        "unknown (libavformat)",
        &[],
        "no `Content-Type`; a session id at DESCRIBE",
        "read as a session description; the session id of SETUP counts",
    ),
    odd(
        "reolink_describe",
        REOLINK,
        &[],
        "`tool` of an old live555, which sends leftovers of closed sessions; \
         `fmtp` ends in `; profile=1;`",
        "`tool` ends here; packets of another source are dropped; keys we do not know are left out",
    ),
    odd(
        "reolink_describe_control_first",
        REOLINK,
        &[],
        "`a=control` before the other attributes",
        "any order",
    ),
    odd(
        "reolink_play",
        REOLINK,
        &["reolink_describe", "reolink_setup"],
        "`ssrc` in `RTP-Info`, which RTSP/1.0 does not have",
        "not read",
    ),
    odd(
        "reolink_setup",
        REOLINK,
        &["reolink_describe"],
        "`destination` and `source` over TCP",
        "the addresses are not read",
    ),
    plain("reolink_teardown", REOLINK, &["reolink_describe", "reolink_setup", "reolink_play"]),
    odd(
        "rubetek_setup_ssrc_0x",
        "Rubetek",
        &[],
        "`ssrc=0x6f7c`, of 16 bits, and the packets have another; a challenge in a `200`",
        "not expected; only the challenge of a `401` is answered",
    ),
    odd(
        "setup_ssrc_4_hex_digits",
        "unknown",
        &[],
        "`ssrc=A046`, and the packets have another",
        "not expected",
    ),
    odd(
        "tplink_sdp",
        "TP-Link",
        &[],
        "a media line that cannot be read (`application/TP-LINK`, payload type `smart/1/90000`)",
        "that one is left out, the others play",
    ),
    odd(
        "ubiquiti_sdp",
        "Ubiquiti",
        &[],
        "an empty `fmtp`; `SizeLength` in capitals; two audio tracks with the same payload type",
        "left aside; any case; the one with a codec we take plays, by its channel",
    ),
    odd(
        "vstarcam_describe",
        "VStarcam",
        &[],
        "a tab and a blank behind the payload type; no session-level control",
        "cut off; PLAY goes to the stream's own URL",
    ),
];
