use std::collections::BTreeMap;

use clap::Parser;
use serde_json::json;

use super::*;
use crate::app::config::Surroundings;
use crate::app::simulator::{Audio, ClipName, Feed, Source};
use crate::ingest::camera::airlock::{Counts, LoginUsed};
use crate::ingest::camera::probe::{ProbedTrack, Quirk};
use crate::media::{Codec, DropCounts, DropReason, Track, TrackId, TrackKind};
use crate::wire::digest::Algorithm;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(line: &[&str]) -> Result<Options, clap::Error> {
    Line::try_parse_from(["probe"].iter().chain(line)).map(|line| line.options)
}

fn track(codec: Codec, clock_rate: u32, dropped: &[DropReason]) -> ProbedTrack {
    let kind = codec.kind();
    let mut counts = DropCounts::default();
    dropped.iter().for_each(|reason| counts.add(*reason));
    ProbedTrack {
        kind,
        track: Some(Track { id: TrackId(0), codec, clock_rate }.into()),
        refused: None,
        units: 150,
        rate: Some(25.0),
        bit_rate: Some(800_000.0),
        random_access: 6,
        interval: (kind == TrackKind::Video).then_some((25, 50)),
        dropped: counts,
    }
}

fn probed(login: LoginUsed) -> Probed {
    let feed = Feed::new(Source::Clip(ClipName::Door), Audio::None, Duration::ZERO).unwrap();
    let h264 = feed.tracks()[0].codec.clone();
    Probed {
        login,
        peer: None,
        watched: Duration::from_secs(6),
        tracks: vec![
            track(h264, 90_000, &[DropReason::Sei, DropReason::Sei]),
            track(Codec::Pcmu { channels: 2 }, 8000, &[]),
        ],
        counts: Counts { bytes: 4321, dropped_sections: 1, ..Counts::default() },
        quirks: vec![Quirk::VaryingInterval],
        ended: None,
    }
}

const ENTRY: Entry<'static> = Entry {
    camera: "door",
    profile: "sub",
    address: std::net::SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10)),
        554,
    ),
    path: "/a?b=\"\\'c",
    tls: Vec::new(),
    account: Some(("gate\"way", "file:/run/pw")),
};

#[test]
fn the_text_is_a_configuration_that_loads() {
    let read_file = |path: &std::path::Path| match path.to_str() {
        Some("/run/pw") => Ok(b"planted".to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let surroundings = Surroundings { read_file: &read_file, env: &|_| None };
    let logins = [
        (LoginUsed::Basic, BasicPolicy::Allow),
        (LoginUsed::Digest(Algorithm::Md5), BasicPolicy::Refuse),
    ];
    for (login, basic) in logins {
        let probed = probed(login);
        let text = ProbeReport { entry: ENTRY, probed: &probed }.text();
        assert!(!text.contains("planted"));
        let whole = format!("[gateway]\nnames = [\"g\"]\n{text}");
        let loaded = config::load("probe.toml", &whole, surroundings).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let [camera] = &*loaded.settings.cameras else { panic!("{text}") };
        assert_eq!(camera.login.as_ref().unwrap().user, "gate\"way");
        assert_eq!(camera.basic, basic);
        assert_eq!(camera.profiles[0].stream.as_str(), "door/sub");
        assert_eq!(camera.profiles[0].path, ENTRY.path);
        let addresses: BTreeMap<_, _> = [("door".to_owned(), ENTRY.address)].into();
        assert_eq!(loaded.settings.segment.cameras, addresses);
    }
}

#[test]
fn the_text_says_what_was_found() {
    let probed = probed(LoginUsed::Digest(Algorithm::Md5));
    let text = ProbeReport { entry: ENTRY, probed: &probed }.text();
    for part in [
        "watched for 6.0 s, login: digest-md5",
        "# video: H.264 ",
        ", 640x360\n",
        "25.00 fps, 800 kbit/s, key frame every 25 to 50 pictures (2.0 s)",
        "#   stripped: sei 2\n",
        "# audio: G.711 µ-law, 8000 Hz, stereo\n",
        "#   dropped: section 1\n",
        "# note: the key-frame interval varies",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let value = ProbeReport { entry: ENTRY, probed: &probed }.json();
    assert_eq!(value["tracks"][0]["codec"], json!("H.264"));
    assert_eq!(value["tracks"][0]["stripped"], json!({ "sei": 2 }));
    assert_eq!(value["tracks"][0]["key_frame_interval"]["most_pictures"], json!(50));
    assert_eq!(value["tracks"][1]["channels"], json!(2));
    assert_eq!(value["airlock"]["dropped"], json!({ "section": 1 }));
    assert_eq!(value["quirks"][0]["quirk"], json!("varying_interval"));
}

#[test]
fn the_command_line_is_one_camera_with_a_whole_account() {
    for line in [
        &[][..],
        &["rtsp://192.0.2.1/", "--dahua", "192.0.2.1"],
        &["--axis", "192.0.2.1", "--dahua", "192.0.2.1"],
        &["rtsp://192.0.2.1/", "--user", "u"],
        &["rtsp://192.0.2.1/", "--password-ref", "env:X"],
        &["rtsp://192.0.2.1/", "--channel", "2"],
        &["rtsp://192.0.2.1/", "--seconds", "61"],
        &["rtsp://192.0.2.1/", "--seconds", "0"],
        &["--axis", "192.0.2.1", "--channel", "0"],
    ] {
        assert!(options(line).is_err(), "{line:?}");
    }
    let options = |line: &[&str]| options(line).unwrap();
    let nvr = options(&["--dahua", "192.0.2.1:5554", "--recorder", "--channel", "7"]);
    let nvr = Prepared::new(&nvr).unwrap();
    assert_eq!(nvr.settings.path, "/cam/realmonitor?channel=7&subtype=0");
    assert_eq!(nvr.settings.address, "192.0.2.1:5554".parse().unwrap());
    assert_eq!(nvr.settings.basic, BasicPolicy::Refuse);
    for (vendor, path) in [
        ("--hikvision", "/Streaming/Channels/101"),
        ("--axis", "/axis-media/media.amp?camera=1"),
        ("--reolink", "/Preview_01_main"),
        ("--uniview", "/media/video1"),
        ("--hanwha", "/profile2/media.smp"),
        ("--tapo", "/stream1"),
    ] {
        assert_eq!(options(&[vendor, "192.0.2.1"]).target().unwrap().path, path);
    }
    for (line, why) in [
        (&["--tapo", "camera.example"][..], "IP address"),
        (&["rtsp://192.0.2.1/", "--name", "Front Door"], "--name"),
        (&["rtsp://192.0.2.1/", "--user", "u", "--password-ref", "planted"], "file:/path"),
    ] {
        let said = Prepared::new(&options(line)).err().unwrap();
        assert!(said.contains(why) && !said.contains("planted"), "{said}");
    }
}

#[test]
fn the_report_for_machines_has_these_keys() {
    let probed = probed(LoginUsed::Digest(Algorithm::Md5));
    let mut found = Vec::new();
    keys("probe", &ProbeReport { entry: ENTRY, probed: &probed }.json(), &mut found);
    found.sort();
    found.dedup();
    assert_surface!("probe-report", found.join("\n"));
}

fn keys(path: &str, value: &serde_json::Value, found: &mut Vec<String>) {
    if let Some(object) = value.as_object() {
        for (key, value) in object {
            keys(&format!("{path}.{key}"), value, found);
        }
    } else if let Some(list) = value.as_array() {
        for value in list {
            keys(&format!("{path}[]"), value, found);
        }
    } else {
        found.push(path.to_owned());
    }
}
