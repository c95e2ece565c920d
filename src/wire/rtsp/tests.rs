//! The grammar against what real cameras sent: the answers that come with the retina package which cargo
//! resolved. They are read where they are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use bytes::BytesMut;

use super::*;

pub(crate) fn corpus() -> BTreeMap<String, Vec<u8>> {
    // without the filter cargo wants the packages of all platforms, and they are not there
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--frozen", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let retina = packages.iter().find(|p| p["name"] == "retina").unwrap();
    let manifest = PathBuf::from(retina["manifest_path"].as_str().unwrap());
    std::fs::read_dir(manifest.with_file_name("src/client/testdata"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
        })
        .collect()
}

fn response(file: &str, bytes: &[u8]) -> Response {
    let mut buffer = BytesMut::from(bytes);
    match Decoder::new().decode(&mut buffer) {
        Ok(Some(Item::Response(response))) => {
            assert!(buffer.iter().all(u8::is_ascii_whitespace), "{file}: {buffer:?}");
            response
        }
        other => panic!("{file}: {other:?}"),
    }
}

/// The tracks of a file in one line each: media, payload type, encoding/rate/channels, control, frame rate.
fn tracks(description: &SessionDescription) -> Vec<String> {
    let show = |section: &MediaSection| {
        assert_eq!((section.port, section.protocol.as_str()), (0, "RTP/AVP"));
        let mut line = match section.payload_type {
            Some(pt) => format!("{} {pt}", section.media),
            None => format!("{} -", section.media),
        };
        if let Some(encoding) = &section.encoding {
            line += &format!(" {encoding}/{}", section.clock_rate.unwrap());
        }
        if let Some(channels) = section.channels {
            line += &format!("/{channels}");
        }
        line += &format!(" {}", section.control.as_deref().unwrap());
        if let Some(rate) = section.frame_rate_milli {
            line += &format!(" {rate}");
        }
        line
    };
    description.media.iter().map(show).collect()
}

const HIKVISION: &str = "rtsp://192.168.5.106:554/Streaming/Channels/101/";
const ONVIF: &str = "?transportmode=unicast&profile=Profile_1";

/// Read off the files by eye.
fn expected(file: &str) -> Option<Vec<String>> {
    let lines: &[&str] = match file {
        "anpviz_sdp.txt" => {
            &["video 96 H264/90000 trackID=1", "audio 0 MPEG4-GENERIC/16000/2 trackID=2"]
        }
        "geovision_sdp.txt" => &[
            "video 105 H264/90000 rtsp://192.168.5.237/media/video1/video",
            "application 107 VND.ONVIF.METADATA/90000 rtsp://192.168.5.237/media/video1/metadata",
        ],
        "ubiquiti_sdp.txt" => &[
            "audio 96 MPEG4-GENERIC/48000/1 trackID=0",
            "audio 96 OPUS/48000/2 trackID=1",
            "video 97 H264/90000 trackID=2",
        ],
        "tplink_sdp.txt" => &[
            "video 96 H265/90000 track1",
            "audio 8 PCMA/8000 track2",
            "application/tp-link - track3",
        ],
        "anjvision_describe.txt" => &["video 96 H265/90000 trackID=1"],
        "bunny_describe.txt" => {
            &["audio 96 MPEG4-GENERIC/12000/2 trackID=1", "video 97 H264/90000 trackID=2 24000"]
        }
        "dahua_describe_h264_aac_onvif.txt" => &[
            "video 96 H264/90000 trackID=0 15000",
            "audio 97 MPEG4-GENERIC/48000 trackID=1",
            "application 107 VND.ONVIF.METADATA/90000 trackID=4",
        ],
        "dahua_describe_h265_pcma.txt" => {
            &["video 98 H265/90000 trackID=0 12000", "audio 8 PCMA/8000 trackID=1"]
        }
        "foscam_describe.txt" => &["video 96 H264/90000 track1", "audio 0 PCMU/8000/1 track2"],
        "gw_main_describe.txt" => &["video 96 H264/90000 video", "audio 8 PCMU/8000/1 audio"],
        "gw_sub_describe.txt" => &["video 96 H264/90000 video"],
        "h264dvr_describe.txt" => {
            &["video 96 H264/90000 trackID=3 25000", "audio 8 PCMA/8000/1 trackID=4"]
        }
        "hikvision_describe.txt" => {
            return Some(vec![
                format!("video 96 H264/90000 {HIKVISION}trackID=1{ONVIF}"),
                format!("application 107 VND.ONVIF.METADATA/90000 {HIKVISION}trackID=3{ONVIF}"),
            ]);
        }
        "ipcam_describe.txt" => &["video 96 H264/90000 trackID=1 25000"],
        "macrovideo_describe.txt" => &["video 96 H264/90000 track1"],
        "missing_content_type_describe.txt" => {
            &["video 96 H264/90000 streamid=0", "audio 97 MPEG4-GENERIC/48000/2 streamid=1"]
        }
        "reolink_describe.txt" | "reolink_describe_control_first.txt" => {
            &["video 96 H264/90000 trackID=1", "audio 97 MPEG4-GENERIC/16000 trackID=2"]
        }
        "vstarcam_describe.txt" => &["video 96 H264/90000 track0", "audio 8 PCMA/8000/1 track1"],
        _ => return None,
    };
    Some(lines.iter().map(|line| (*line).to_owned()).collect())
}

#[test]
fn descriptions_of_real_cameras_are_read() {
    let mut compared = 0;
    for (file, bytes) in corpus() {
        let body = match file.as_str() {
            f if f.ends_with("_sdp.txt") => bytes.clone(),
            f if f.contains("describe") => response(&file, &bytes).body.to_vec(),
            _ => continue,
        };
        let description = SessionDescription::parse(&body).unwrap();
        assert!(!description.media.is_empty(), "{file}");
        for section in &description.media {
            let format = section.format_value("sprop-parameter-sets");
            let text = String::from_utf8_lossy(&body);
            assert!(
                format.is_none_or(|f| f.contains(',') && text.contains(f)),
                "{file}: {format:?}"
            );
        }
        if let Some(expected) = expected(&file) {
            assert_eq!(tracks(&description), expected, "{file}");
            compared += 1;
        }
    }
    assert!(compared >= 19, "only {compared} of the known files were found");
}

#[test]
fn answers_of_real_cameras_are_read() {
    let (mut setups, mut plays, mut challenged) = (0, 0, 0);
    for (file, bytes) in corpus() {
        if file.ends_with("_sdp.txt") {
            continue;
        }
        let response = response(&file, &bytes);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let has = |name: &str| text.contains(&format!("\n{name}:"));
        assert_eq!(response.cseq().is_some(), has("cseq"), "{file}");
        if has("session") {
            let session = SessionHeader::parse(response.headers.get("session").unwrap()).unwrap();
            assert!(
                text.contains(&session.id.to_lowercase()) && !session.id.contains(' '),
                "{file}"
            );
            assert_eq!(session.timeout.is_some(), text.contains("timeout="), "{file}");
        }
        if has("transport") {
            let value = response.headers.get("transport").unwrap();
            let transport = Transport::parse_all(value).pop().unwrap();
            assert_eq!(transport.interleaved.is_some(), value.contains("interleaved"), "{file}");
            assert_eq!(
                transport.mode == TransportMode::Tcp,
                value.contains("interleaved"),
                "{file}"
            );
            assert!(!transport.records, "{file}");
            setups += 1;
        }
        if has("rtp-info") {
            let info = RtpInfo::parse_all(response.headers.get("rtp-info").unwrap());
            assert_eq!(info.len(), text.matches("url=").count(), "{file}");
            assert!(info.iter().all(|i| i.seq.is_some() && !i.url.is_empty()), "{file}");
            let times = info.iter().filter(|i| i.rtp_time.is_some()).count();
            let bad = text.matches("rtptime=-").count();
            assert_eq!(times + bad, info.len(), "{file}");
            plays += 1;
        }
        challenged += usize::from(has("www-authenticate"));
    }
    assert!(setups >= 10 && plays >= 6 && challenged >= 2, "{setups} {plays} {challenged}");
}
