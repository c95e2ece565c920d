//! Every shipped configuration passes `camlock check`; every broken one fails with its golden text.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `EX_CONFIG` of sysexits.h: systemd does not restart a service that ends with it.
const BAD_CONFIG: i32 = 78;

#[test]
fn shipped_configurations_are_good() {
    let mut files = toml_files(Path::new("config"));
    // Data that is built in; its own tests are beside the code that reads it.
    files
        .retain(|file| !["vendors.toml", "endpoints.toml"].iter().any(|data| file.ends_with(data)));
    assert!(!files.is_empty());
    for file in files {
        let output = check(&file);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn broken_configurations_fail_with_their_golden_text() {
    let files = toml_files(Path::new("tests/config/invalid"));
    assert!(files.len() >= 6);
    for file in files {
        let output = check(&file);
        assert_eq!(output.status.code(), Some(BAD_CONFIG), "{}", file.display());
        let said = String::from_utf8(output.stderr).unwrap();
        let golden = fs::read_to_string(file.with_extension("txt")).unwrap();
        assert_eq!(said, golden, "{}", file.display());
    }
}

/// The commented lines of the sample are the defaults: with the marks taken away it still passes, but for
/// the files and secrets it names.
#[test]
fn every_option_of_the_sample_exists() {
    let live = live("config/camlock.toml");
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sample.toml");
    fs::write(&file, &live).unwrap();
    let said = String::from_utf8(check(&file).stderr).unwrap();
    assert!(live.contains("\n[[camera.profile]]\n") && live.contains("\nreader_lag = "), "{live}");
    assert!(!said.contains("is not an option") && !said.contains("not TOML"), "{said}");
}

#[test]
fn every_option_of_the_segment_s_sample_exists() {
    let live = live("config/segment.toml");
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("segment-sample.toml");
    fs::write(&file, &live).unwrap();
    let output = check(&file);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(live.contains("\n[[camera]]\n") && live.contains("\nports = "), "{live}");
}

/// A sample with its options no longer commented out.
fn live(sample: &str) -> String {
    let sample = fs::read_to_string(sample).unwrap();
    sample
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(option)
                if option.starts_with('[')
                    || option.split_once(" = ").is_some_and(|(k, _)| is_key(k)) =>
            {
                option
            }
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The segment file is read by a command of its own.
fn check(file: &Path) -> Output {
    let mut camlock = Command::new(env!("CARGO_BIN_EXE_camlock"));
    if file.file_name().unwrap().to_str().unwrap().starts_with("segment") {
        camlock.arg("segment");
    }
    camlock.arg("check").arg(file).output().unwrap()
}

fn toml_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}
