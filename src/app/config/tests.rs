use std::path::Path;

use super::*;
use crate::ingest::camera::StartMode;
use crate::ingest::segment::{CanaryPolicy, Mode};
use crate::ops::limits;

fn load_text(text: &str) -> Result<Loaded, Faults> {
    let read_file = |path: &Path| match path.to_str() {
        Some("/run/pw") => Ok(b"planted-secret-1".to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let env = |name: &str| (name == "PW").then(|| "planted-secret-2".to_owned());
    load("test.toml", text, Surroundings { read_file: &read_file, env: &env })
}

fn messages(text: &str) -> Vec<String> {
    load_text(text)
        .unwrap_err()
        .faults
        .into_iter()
        .map(|f| format!("{}:{} {}", f.line, f.column, f.message))
        .collect()
}

const CAMERA: &str = r#"
[[camera]]
name = "door"
address = "192.0.2.10:554"
user = "gateway"
password = "file:/run/pw"
[[camera.profile]]
name = "main"
path = "/1?profile=2"
[[camera.profile]]
name = "sub"
path = "/2"
start = "on-demand"
linger = "2min"
"#;

#[test]
fn the_smallest_configuration_has_the_documented_defaults() {
    let settings = load_text("[gateway]\nnames = [\"gateway.lan\", \"::1\"]").unwrap().settings;
    assert_eq!(settings.names.dns, ["gateway.lan"]);
    assert_eq!(settings.names.ip.len(), 1);
    assert_eq!(settings.rtsp.listen, ["0.0.0.0:8322".parse().unwrap()]);
    assert!(settings.rtsp.plain_listen.is_empty());
    assert_eq!(
        settings.rtsp.tunnels,
        crate::serve::tunnel::Settings { https: true, websocket: true }
    );
    assert!(settings.admin.is_none() && settings.cameras.is_empty());
    assert!(settings.auth.users.is_empty(), "closed by default");
    assert_eq!(settings.hub.reader_lag, limits::READER_LAG);
}

#[test]
fn memory_has_a_budget_and_rings_that_may_fill_it_are_told() {
    let with = |more: &str| load_text(&format!("[gateway]\nnames = [\"g\"]\n{more}")).unwrap();
    assert_eq!(with("").settings.load.memory, None);
    let loaded = with("[limits]\nmemory_mib = 513");
    assert_eq!((loaded.settings.load.memory, loaded.warnings), (Some(513 << 20), vec![]));
    let warnings = with("[limits]\nmemory_mib = 512").warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("test.toml:3:1: warning: limits.memory_mib (512)"),
        "{warnings:?}"
    );
}

#[test]
fn tunnels_can_be_closed() {
    let with = |tunnels: &str| format!("[gateway]\nnames = [\"g\"]\n[rtsp]\ntunnels = {tunnels}");
    let closed = load_text(&with("[]")).unwrap().settings.rtsp.tunnels;
    assert_eq!(closed, crate::serve::tunnel::Settings::CLOSED);
    let one = load_text(&with("[\"websocket\"]")).unwrap().settings.rtsp.tunnels;
    assert_eq!(one, crate::serve::tunnel::Settings { https: false, websocket: true });
    let wrong = messages(&with("[\"http\"]"));
    assert_eq!(
        wrong,
        ["4:12 rtsp.tunnels: \"http\" is not allowed; use \"https\" or \"websocket\""]
    );
}

#[test]
fn cameras_and_profiles_become_streams() {
    let loaded = load_text(&format!("[gateway]\nnames = [\"g\"]\n{CAMERA}")).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let camera = &loaded.settings.cameras[0];
    let streams: Vec<_> = camera.profiles.iter().map(|p| p.stream.as_str()).collect();
    assert_eq!(streams, ["door/main", "door/sub"]);
    assert_eq!(camera.profiles[0].start, StartMode::Always);
    assert_eq!(
        camera.profiles[1].start,
        StartMode::OnDemand { linger: std::time::Duration::from_secs(120) }
    );
    assert_eq!(loaded.settings.segment.cameras["door"], "192.0.2.10:554".parse().unwrap());
}

#[test]
fn secrets_show_in_no_debug_text_and_no_message() {
    let text = format!(
        "[gateway]\nnames = [\"g\"]\n[admin]\ntoken = \"env:PW\"\n{CAMERA}\n[[camera]]\nname = \"yard\"\naddress = \"192.0.2.11:554\"\nuser = \"u\"\npassword = \"planted-secret-3\"\n[[camera.profile]]\nname = \"main\"\npath = \"/1\""
    );
    let loaded = load_text(&text).unwrap();
    let shown = format!("{loaded:?}");
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(!shown.contains("planted-secret"), "{shown}");
    let broken = messages(&text.replace("[gateway]", "[gateway]\nwrong = 1"));
    assert!(!broken.join("\n").contains("planted-secret"), "{broken:?}");
}

#[test]
fn one_over_each_bound_of_the_file_is_refused() {
    let gateway = "[gateway]\nnames = [\"g\"]\n";
    let listen =
        format!("{gateway}[rtsp]\nlisten = [{}]", "\"127.0.0.1:1\",".repeat(limits::LISTENERS + 1));
    assert_eq!(messages(&listen).len(), 1);
    let long = format!(
        "{gateway}{}",
        CAMERA.replace("/2", &format!("/{}", "a".repeat(limits::RTSP_URI_BYTES / 2)))
    );
    assert_eq!(messages(&long).len(), 1);
    for rings in [
        "stream_mib = 257",
        "all_mib = 15",
        "reader_lag = \"11s\"",
        "reader_lag = \"199ms\"",
        "stream_mib = 100\nall_mib = 50",
    ] {
        assert_eq!(messages(&format!("{gateway}[rings]\n{rings}")).len(), 1, "{rings}");
    }
    for (all, ring, most) in [(512, 257, 256), (512, 0, 256), (64, 65, 64)] {
        let text = format!("{gateway}[rings]\nall_mib = {all}\n{CAMERA}ring_mib = {ring}\n");
        let said_all = messages(&text);
        let said =
            format!("camera.profile.ring_mib: must be a whole number of MiB from 1 to {most}");
        assert!(said_all.len() == 1 && said_all[0].ends_with(&said), "{said_all:?}");
        let fits = text.replace(&format!("ring_mib = {ring}"), &format!("ring_mib = {most}"));
        let profiles = load_text(&fits).unwrap().settings.cameras.remove(0).profiles;
        let rings: Vec<_> = profiles.iter().map(|profile| profile.ring_bytes).collect();
        assert_eq!(rings, [None, Some(most << 20)], "{fits}");
    }
    assert_eq!(
        messages(&format!("[gateway]\nnames = [{:?}]", format!("{}.lan", "a".repeat(64)))).len(),
        1
    );
}

#[test]
fn one_camera_or_profile_over_is_refused() {
    use std::fmt::Write;
    let text = |cameras: usize, profiles: usize| {
        let mut text = String::from("[gateway]\nnames = [\"g\"]\n");
        for camera in 0..cameras {
            let place = format!("name = \"c{camera}\"\naddress = \"192.0.2.10:554\"");
            write!(text, "[[camera]]\n{place}\n").unwrap();
            for profile in 0..profiles {
                let profile = format!("name = \"p{profile}\"\npath = \"/\"");
                write!(text, "[[camera.profile]]\n{profile}\n").unwrap();
            }
        }
        text
    };
    assert!(load_text(&text(limits::CAMERAS, 1)).is_ok());
    assert_eq!(
        messages(&text(limits::CAMERAS + 1, 1)),
        ["1:1 513 cameras; at most 512 are allowed"]
    );
    assert!(load_text(&text(1, limits::PROFILES)).is_ok());
    let over = messages(&text(1, limits::PROFILES + 1));
    assert_eq!(over, ["3:1 camera has 9 profiles; at most 8 are allowed"]);
}

#[test]
fn places_are_lines_and_characters_from_one() {
    let faults = messages("[gateway]\nnames = [\"é\", \"ü ü\"]\nsegment = \"full\"");
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(
        faults[0].starts_with("2:10 ")
            && faults[1].starts_with("2:15 ")
            && faults[2].starts_with("3:11 "),
        "{faults:?}"
    );
}

#[test]
fn the_segment_is_none_or_a_directory() {
    let place = |options: &str| format!("[gateway]\nnames = [\"gate\"]\n{options}\n{CAMERA}");
    let read = |options: &str| load_text(&place(options)).unwrap().settings.segment;
    assert_eq!((read("").mode, read("").canary), (Mode::Own, CanaryPolicy::Report));
    assert_eq!(read("segment = \"none\"").mode, Mode::Own);
    let remote = read("segment = \"/run/segment\"\ncanary = \"require\"");
    assert_eq!(remote.mode, Mode::Remote { run_dir: "/run/segment".into() });
    assert_eq!(remote.canary, CanaryPolicy::Require);
    let long = format!("segment = \"/{}\"", "x".repeat(90));
    for (options, expected) in [
        (
            "segment = \"full\"",
            "3:11 gateway.segment: \"full\" is not allowed; use \"none\" or the",
        ),
        ("segment = \"run/segment\"", "3:11 gateway.segment: \"run/segment\" is not allowed"),
        (&long, "3:11 gateway.segment: \"/xxx"),
        ("canary = \"require\"", "1:1 gateway.canary is \"require\", but without a camera segment"),
    ] {
        let told = messages(&place(options));
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
    }
    let six = place("segment = \"/run/segment\"").replace("192.0.2.10:554", "[2001:db8::1]:554");
    let told = messages(&six);
    assert!(told.len() == 1 && told[0].ends_with("a camera segment is IPv4 only"), "{told:?}");
}

/// The tables that a reader of TOML knows, each with its keys, as it names them to an unknown one.
fn tables_and_keys(faults_of: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), String::new())];
    while let Some((path, text)) = open.pop() {
        let unknown = if path.is_empty() { "zz".to_owned() } else { format!("{path}.zz") };
        let faults = faults_of(&format!("{text}zz = 1\n"));
        let Some(fault) = faults.iter().find(|fault| fault.starts_with(&format!("{unknown} ")))
        else {
            continue;
        };
        // The last words of the fault, with commas between them.
        for key in fault.split(", ").map(|part| part.rsplit(' ').next().unwrap()) {
            let name = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            found.push(name.clone());
            open.push((name.clone(), format!("{text}[{name}]\n")));
            open.push((name.clone(), format!("{text}[[{name}]]\n")));
        }
    }
    found.sort();
    found
}

#[test]
fn the_keys_are_these() {
    let gateway = |text: &str| {
        let faults = load_text(text).unwrap_err().faults;
        faults.into_iter().map(|fault| fault.message).collect()
    };
    let segment = |text: &str| {
        let faults = segment_file("s", text).unwrap_err().faults;
        faults.into_iter().map(|fault| fault.message).collect()
    };
    assert_surface!("camlock-toml-keys", tables_and_keys(&gateway).join("\n"));
    assert_surface!("segment-toml-keys", tables_and_keys(&segment).join("\n"));
}

#[test]
fn the_words_for_values_are_taken() {
    let camera = "[[camera]]\n";
    let profile = "[[camera]]\n[[camera.profile]]\n";
    for (table, key, words) in [
        ("[log]\n", "format", &["text", "json"][..]),
        ("[log]\n", "level", &["error", "warn", "info", "debug", "trace"]),
        ("[gateway]\n", "segment", &["none", "/run/camlock-segment"]),
        ("[gateway]\n", "canary", &["report", "require"]),
        ("[tls]\n", "oldest_version", &["1.2", "1.3"]),
        ("[tls]\n", "client_certificates", &["off", "optional", "required"]),
        ("[rtsp]\n", "login", &["basic", "digest-sha256", "digest-md5"]),
        ("[rtsp]\n", "tunnels", &["https", "websocket"]),
        (camera, "basic", &["refuse", "allow"]),
        (camera, "tls", &["first-use"]),
        (profile, "start", &["always", "on-demand"]),
        (profile, "linger", &["500ms", "10s", "2min"]),
        ("[[user]]\n[[user.grant]]\n", "may", &["view", "listen"]),
    ] {
        for word in words {
            let quoted = if matches!(key, "login" | "tunnels" | "may") {
                format!("[{word:?}]")
            } else {
                format!("{word:?}")
            };
            let text = format!("{table}{key} = {quoted}\n");
            let faults = load_text(&text).map_or_else(|faults| faults.faults, |_| Vec::new());
            let refused = |fault: &Fault| fault.message.contains(&format!(".{key}: {word:?}"));
            assert!(!faults.iter().any(refused), "{text}{faults:?}");
        }
        let list = matches!(key, "login" | "tunnels" | "may");
        let wrong = if list { "[\"zz\"]" } else { "\"zz\"" };
        let faults = load_text(&format!("{table}{key} = {wrong}\n")).unwrap_err().faults;
        assert!(
            faults.iter().any(|f| f.message.contains(&format!(".{key}: \"zz\""))),
            "{faults:?}"
        );
    }
    for dns in ["nxdomain", "sink"] {
        let text =
            format!("[segment]\ninterfaces = [\"e\"]\naddress = \"10.0.0.1/24\"\ndns = {dns:?}");
        assert!(segment_file("s", &text).is_ok(), "{dns}");
    }
}
