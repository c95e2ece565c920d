//! The corpora, without a fuzzer: what one found once stays found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn names(directory: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_check_holds_on_its_corpus() {
    for (name, check) in TARGETS {
        let files: Vec<_> = std::fs::read_dir(fuzz().join("corpus").join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(files.len() >= 5, "{name} has {} inputs only", files.len());
        for file in files {
            let data = std::fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| check(&data));
            assert!(outcome.is_ok(), "{name} does not hold on {}", file.display());
        }
    }
}

#[test]
fn every_check_holds_on_what_real_cameras_said() {
    let answers = crate::wire::rtsp::tests::corpus();
    assert!(answers.len() >= 40, "{}", answers.len());
    for answer in answers.values() {
        for check in [rtsp_message, sdp, airlock_response] {
            check(answer);
        }
    }
}

#[test]
fn every_check_has_a_target_and_a_corpus() {
    let checks: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(checks, names(&fuzz().join("fuzz_targets")));
    assert_eq!(checks, names(&fuzz().join("corpus")));
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in checks {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not built");
    }
}
