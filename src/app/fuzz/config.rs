//! Configuration files.

use std::path::Path;

use crate::app::config::{Faults, Surroundings, load};
use crate::ops::limits;

const SECRET: &str = "planted-secret";

/// A configuration is taken within its bounds, or its faults are told with their places, each in one line
/// and none with a secret in it.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read_file = |path: &Path| match path.to_str() {
        Some("/run/pw") => Ok(SECRET.as_bytes().to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let env = |name: &str| (name == "PW").then(|| SECRET.to_owned());
    match load("x.toml", text, Surroundings { read_file: &read_file, env: &env }) {
        Ok(loaded) => {
            let settings = &loaded.settings;
            assert!(settings.cameras.len() <= limits::CAMERAS);
            assert!(settings.cameras.iter().all(|c| c.profiles.len() <= limits::PROFILES));
            for camera in &settings.cameras {
                assert!(settings.segment.cameras.contains_key(&camera.name));
                assert!(camera.profiles.iter().all(|p| p.path.starts_with('/')));
            }
            assert!(settings.rtsp.listen.len() <= limits::LISTENERS);
            assert!(settings.rtsp.plain_listen.iter().all(|a| a.ip().is_loopback()));
            assert!(!settings.names.dns.is_empty() || !settings.names.ip.is_empty());
            for shown in [format!("{settings:?}"), loaded.warnings.join("\n")] {
                assert!(!shown.contains(SECRET) || text.contains(SECRET), "{shown}");
            }
        }
        Err(faults) => check_faults(&faults, text),
    }
}

fn check_faults(faults: &Faults, text: &str) {
    assert!(!faults.faults.is_empty());
    let lines = text.split('\n').count();
    for fault in &faults.faults {
        assert!((1..=lines).contains(&fault.line), "{fault:?}");
        let line = text.split('\n').nth(fault.line - 1).unwrap();
        assert!((1..=line.chars().count() + 1).contains(&fault.column), "{fault:?}");
        assert!(!fault.message.is_empty());
        assert!(!fault.message.contains(SECRET) || text.contains(SECRET), "{fault:?}");
    }
    let order = |a: &crate::app::config::Fault| (a.line, a.column);
    assert!(faults.faults.is_sorted_by_key(order), "in the order of their places");
}
