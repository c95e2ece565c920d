//! Every way to touch a chain is found, and named at its line.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ops::limits;

const BOOT: &str = "5ed1b7c0-0000-4000-8000-000000000001";

/// A chain in files, and its newest checkpoint's copy.
#[derive(Clone)]
struct Store {
    files: Vec<Vec<u8>>,
    copy: Vec<u8>,
    key: PublicKey,
}

/// `sizes`: lines of each file. Every third line is a checkpoint, and the last one.
fn store(key: &SigningKey, sizes: &[usize], word: &str) -> Store {
    let (mut at, mut files, mut copy) = (Position::GENESIS, Vec::new(), Vec::new());
    let total: usize = sizes.iter().sum();
    let mut n = 0;
    for size in sizes {
        let mut file = Vec::new();
        for _ in 0..*size {
            n += 1;
            let time = 1_000 * n as u64;
            let made = if n % 3 == 0 || n == total {
                at.checkpoint(time, BOOT, key).unwrap()
            } else {
                at.record(time, &json!({ "word": word, "n": n })).unwrap()
            };
            if n % 3 == 0 || n == total {
                copy.clone_from(&made.text);
            }
            file.extend_from_slice(&made.text);
            at = made.next;
        }
        files.push(file);
    }
    Store { files, copy, key: key.public() }
}

fn a_store() -> Store {
    store(&key(), &[7, 5, 8], "door")
}

/// As after a retention: the first file is gone, an anchor says so.
fn an_anchored_store() -> Store {
    let key = key();
    anchored(&store(&key, &[7, 5, 8], "door"), &key)
}

fn anchored(store: &Store, key: &SigningKey) -> Store {
    let mut store = store.clone();
    let first = Line::parse(lines(&store.files[1])[0]).unwrap();
    let at = end(&store);
    let anchor = at.anchor(90_000, first.at).unwrap();
    let sealed = anchor.next.checkpoint(91_000, BOOT, key).unwrap();
    store.copy.clone_from(&sealed.text);
    store.files.push([anchor.text, sealed.text].concat());
    store.files.remove(0);
    store
}

fn end(store: &Store) -> Position {
    let file = store.files.last().unwrap();
    let last = *lines(file).last().unwrap();
    Line::parse(last).unwrap().at.after(last)
}

fn key() -> SigningKey {
    SigningKey::generate().unwrap().0
}

fn lines(file: &[u8]) -> Vec<&[u8]> {
    file.strip_suffix(b"\n").unwrap_or(file).split(|b| *b == b'\n').collect()
}

fn verify(store: &Store) -> Verified {
    verify_with(store, vec![Kept::parse(&store.copy).unwrap()])
}

fn verify_with(store: &Store, kept: Vec<Kept>) -> Verified {
    let mut verifier = Verifier::new(Some(store.key), kept);
    for (n, file) in store.files.iter().enumerate() {
        let name: Arc<str> = format!("{n}").into();
        let mut rest = file.as_slice();
        let mut line = 0;
        while !rest.is_empty() {
            line += 1;
            let at = At { file: Arc::clone(&name), line };
            match rest.iter().position(|b| *b == b'\n') {
                Some(end) => verifier.line(at, &rest[..end]),
                None => verifier.torn(at),
            }
            rest = rest.iter().position(|b| *b == b'\n').map_or(&[], |end| &rest[end + 1..]);
        }
    }
    verifier.finish()
}

fn place(verified: &Verified) -> String {
    verified.fault.as_ref().unwrap().at.to_string()
}

/// File and line of a byte.
fn place_of(store: &Store, file: usize, byte: usize) -> String {
    let line = store.files[file][..byte].iter().filter(|b| **b == b'\n').count() + 1;
    format!("{file}:{line}")
}

#[test]
fn an_untouched_chain_is_good() {
    let verified = verify(&a_store());
    assert_eq!(verified.fault, None);
    assert_eq!((verified.lines, verified.checkpoints, verified.unsigned), (20, 7, 0));
    assert_eq!((verified.signed_ms, verified.backward), (Some(20_000), 0));
    assert_eq!(verified.kept, [KeptFound::Here]);
    let verified = verify(&an_anchored_store());
    assert_eq!((verified.fault, verified.begins.seq), (None, 7));
}

#[test]
fn a_clock_that_goes_back_is_noted_only() {
    let key = key();
    let first = Position::GENESIS.record(2_000, &1).unwrap();
    let second = first.next.record(1_000, &2).unwrap();
    let sealed = second.next.checkpoint(3_000, BOOT, &key).unwrap();
    let file = [first.text, second.text, sealed.text.clone()].concat();
    let verified = verify(&Store { files: vec![file], copy: sealed.text, key: key.public() });
    assert_eq!((verified.fault, verified.backward), (None, 1));
    assert_eq!(verified.first_backward.unwrap().to_string(), "0:2");
}

#[test]
fn a_key_is_stored_and_read() {
    let (made, pem) = SigningKey::generate().unwrap();
    let read = SigningKey::from_pem(&pem).unwrap();
    assert_eq!(read.public(), made.public());
    assert_eq!(PublicKey::from_pem(&made.public().to_pem()), Ok(made.public()));
    assert_eq!(PublicKey::from_pem("hello"), Err(BadKey::Public));
    assert_eq!(SigningKey::from_pem(&"hello".to_owned().into()).unwrap_err(), BadKey::Private);
    assert!(!format!("{made:?}").contains(&made.public().to_string()));
}

#[test]
fn a_line_has_a_bound() {
    let long = "x".repeat(limits::LEDGER_LINE_BYTES);
    assert_eq!(Position::GENESIS.record(0, &long).unwrap_err(), TooLong);
    let made = Position::GENESIS.record(0, &"x").unwrap();
    let most = limits::LEDGER_LINE_BYTES - (made.text.len() - 1) + 1;
    let made = Position::GENESIS.record(0, &"x".repeat(most)).unwrap();
    assert_eq!(made.text.len() - 1, limits::LEDGER_LINE_BYTES);
    assert!(Line::parse(&made.text[..made.text.len() - 1]).is_ok());
    let over = [&made.text[..made.text.len() - 1], b" "].concat();
    assert_eq!(Line::parse(&over), Err(NotALine));
    // Nor has the boot id room for more.
    let made = Position::GENESIS.checkpoint(0, &"b".repeat(100_000), &key()).unwrap();
    assert!(made.text.len() < 1_024);
}

#[test]
fn a_line_is_one_of_three_kinds() {
    let prev = Hash::ZERO;
    for text in [
        String::new(),
        "{}".to_owned(),
        format!(r#"{{"seq":0,"time_ms":1,"prev":"{prev}"}}"#),
        format!(r#"{{"seq":0,"time_ms":1,"prev":"{prev}","body":1,"more":2}}"#),
        format!(r#"{{"seq":0,"time_ms":1,"prev":"{prev}","body":1,"body":2}}"#),
        format!(r#"{{"seq":-1,"time_ms":1,"prev":"{prev}","body":1}}"#),
        r#"{"seq":0,"time_ms":1,"prev":"00","body":1}"#.to_owned(),
        format!(
            r#"{{"seq":0,"time_ms":1,"prev":"{prev}","body":1,"anchor":{{"seq":0,"prev":"{prev}"}}}}"#
        ),
    ] {
        assert_eq!(Line::parse(text.as_bytes()), Err(NotALine), "{text}");
    }
}

#[test]
fn a_removed_line_is_found_at_the_next() {
    for store in [a_store(), an_anchored_store()] {
        each_line(&store, |file, line| {
            let mut touched = store.clone();
            remove(&mut touched.files[file], line);
            let verified = verify(&touched);
            let kind = verified.fault.unwrap().kind;
            let number = number(&store, file, line);
            let vouched = Kept::parse(&store.copy).unwrap().lines() + 1;
            if number + 1 == vouched {
                assert_eq!(kind, FaultKind::CutOff { vouched, found: number });
            } else {
                // Without its first line a chain begins later: all before is missing.
                let first = if (file, line) == (0, 0) { 0 } else { number };
                assert_eq!(kind, FaultKind::Removed { first, last: number });
            }
        });
    }
}

#[test]
fn repeated_and_swapped_lines_are_found() {
    for store in [a_store(), an_anchored_store()] {
        each_line(&store, |file, line| {
            let mut touched = store.clone();
            insert(&mut touched.files[file], line + 1, lines(&store.files[file])[line]);
            let verified = verify(&touched);
            assert_eq!(place(&verified), format!("{file}:{}", line + 2));
            let found = number(&store, file, line);
            assert_eq!(verified.fault.unwrap().kind, FaultKind::Repeated { found });
            if line + 1 < lines(&store.files[file]).len() {
                let mut touched = store.clone();
                let next = lines(&store.files[file])[line + 1];
                remove(&mut touched.files[file], line + 1);
                insert(&mut touched.files[file], line, next);
                let verified = verify(&touched);
                assert_eq!(place(&verified), format!("{file}:{}", line + 1));
                let kind = FaultKind::Moved { found: found + 1, expected: found };
                assert_eq!(verified.fault.unwrap().kind, kind);
            }
        });
    }
}

#[test]
fn a_missing_file_is_found() {
    for (gone, place_of_it) in [(0, "0:1"), (1, "1:1")] {
        let mut touched = a_store();
        touched.files.remove(gone);
        let verified = verify(&touched);
        assert_eq!(place(&verified), place_of_it);
        assert!(matches!(verified.fault.unwrap().kind, FaultKind::Removed { .. }));
    }
    let mut touched = a_store();
    touched.files.pop();
    assert_eq!(verify(&touched).fault.unwrap().kind, FaultKind::CutOff { vouched: 20, found: 12 });
    touched.files.clear();
    assert_eq!(verify(&touched).fault.unwrap().kind, FaultKind::CutOff { vouched: 20, found: 0 });
}

#[test]
fn an_anchor_vouches_for_its_own_place_only() {
    let mut touched = an_anchored_store();
    touched.files.remove(0);
    assert!(matches!(verify(&touched).fault.unwrap().kind, FaultKind::Removed { first: 0, .. }));
}

#[test]
fn a_foreign_key_is_found() {
    let ours = a_store();
    let mut theirs = store(&key(), &[7, 5, 8], "door");
    theirs.key = ours.key;
    let verified = verify_with(&theirs, Vec::new());
    assert_eq!(place(&verified), "0:3");
    assert_eq!(verified.fault.unwrap().kind, FaultKind::ForeignKey);
    // Whoever kept a checkpoint needs no key file.
    let mut verifier = Verifier::new(None, vec![Kept::parse(&ours.copy).unwrap()]);
    for (n, line) in lines(&theirs.files[0]).into_iter().enumerate() {
        verifier.line(At { file: "0".into(), line: n as u64 + 1 }, line);
    }
    assert_eq!(verifier.finish().fault.unwrap().kind, FaultKind::ForeignKey);
}

#[test]
fn a_kept_checkpoint_exposes_a_chain_that_was_written_anew() {
    let key = key();
    let ours = store(&key, &[7, 5, 8], "door");
    let anew = store(&key, &[7, 5, 8, 4], "yard");
    assert_eq!(verify(&anew).fault, None);
    let kept = lines(&ours.files[0])[2];
    let verified = verify_with(&anew, vec![Kept::parse(kept).unwrap()]);
    assert_eq!(place(&verified), "0:3");
    assert_eq!(verified.fault.unwrap().kind, FaultKind::Rewritten);
}

#[test]
fn a_kept_checkpoint_may_be_older_than_the_chain() {
    let key = key();
    let whole = store(&key, &[7, 5, 8], "door");
    let kept = Kept::parse(lines(&whole.files[0])[2]).unwrap();
    let verified = verify_with(&anchored(&whole, &key), vec![kept]);
    assert_eq!((verified.fault, verified.kept), (None, vec![KeptFound::Retired]));
}

#[test]
fn a_kept_checkpoint_must_be_whole() {
    let store = a_store();
    assert!(Kept::parse(&store.copy).is_ok());
    assert_eq!(Kept::parse(lines(&store.files[0])[0]), Err(NotKept::NotACheckpoint));
    let text = String::from_utf8(store.copy).unwrap().replace("\"seq\":19", "\"seq\":18");
    assert_eq!(Kept::parse(text.as_bytes()), Err(NotKept::BadSignature));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_is_found_at_its_line(at in any::<prop::sample::Index>(), bit in 0_u8..8, anchored: bool) {
        let store = if anchored { an_anchored_store() } else { a_store() };
        let total: usize = store.files.iter().map(Vec::len).sum();
        let mut byte = at.index(total);
        let mut file = 0;
        while byte >= store.files[file].len() {
            byte -= store.files[file].len();
            file += 1;
        }
        let mut touched = store.clone();
        touched.files[file][byte] ^= 1_u8 << bit;
        let verified = verify(&touched);
        prop_assert_eq!(place(&verified), place_of(&store, file, byte));
    }

    #[test]
    fn any_cut_is_found(at in any::<prop::sample::Index>(), anchored: bool) {
        let store = if anchored { an_anchored_store() } else { a_store() };
        let total: usize = store.files.iter().map(Vec::len).sum();
        let mut left = at.index(total);
        let mut touched = store;
        for file in &mut touched.files {
            let here = left.min(file.len());
            file.truncate(here);
            left -= here;
        }
        touched.files.retain(|file| !file.is_empty());
        let fault = verify(&touched).fault.unwrap();
        prop_assert!(matches!(fault.kind, FaultKind::CutOff { .. } | FaultKind::Torn), "{:?}", fault);
    }

    #[test]
    fn any_bytes_do_no_harm(files in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..3)) {
        let store = Store { files, ..a_store() };
        prop_assert!(verify(&store).fault.is_some());
    }
}

fn each_line(store: &Store, mut f: impl FnMut(usize, usize)) {
    for (n, file) in store.files.iter().enumerate() {
        (0..lines(file).len()).for_each(|line| f(n, line));
    }
}

fn number(store: &Store, file: usize, line: usize) -> u64 {
    Line::parse(lines(&store.files[file])[line]).unwrap().at.seq
}

fn remove(file: &mut Vec<u8>, line: usize) {
    let mut all: Vec<_> = lines(file).into_iter().map(<[u8]>::to_vec).collect();
    all.remove(line);
    *file = join(&all);
}

fn insert(file: &mut Vec<u8>, line: usize, text: &[u8]) {
    let mut all: Vec<_> = lines(file).into_iter().map(<[u8]>::to_vec).collect();
    all.insert(line, text.to_vec());
    *file = join(&all);
}

fn join(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect()
}

#[test]
fn the_lines_have_this_form() {
    let (key, _) = SigningKey::generate().unwrap();
    let first = Position::GENESIS.record(1_000, &json!({ "kind": "lost", "records": 1 })).unwrap();
    let second = first.next.record(2_000, &json!({ "kind": "lost", "records": 2 })).unwrap();
    let third = second.next.anchor(3_000, first.next).unwrap();
    let seal = second.next.checkpoint(4_000, BOOT, &key).unwrap();
    let mut text = String::new();
    for made in [first, second, third, seal] {
        text.push_str(std::str::from_utf8(&made.text).unwrap());
    }
    let mut parts: Vec<_> = text.split('"').map(str::to_owned).collect();
    let (key, signature) = (parts.len() - 6, parts.len() - 2);
    for (at, digits) in [(key, 64), (signature, 128)] {
        assert_eq!(parts[at].len(), digits, "{}", parts[at]);
        parts[at] = format!("{digits} digits");
    }
    assert_surface!("ledger-lines", parts.join("\""));
}
