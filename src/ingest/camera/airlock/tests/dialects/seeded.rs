//! The comparison can fail: faults seeded into what the airlock is given, each of which must show.

use std::sync::Arc;

use super::cameras::TRANSCRIPTS;
use super::peer::{Script, plain_media};
use super::replay::{Outcome, compare, corpus, script};
use super::seen::{Until, bare, through};

/// A fault in one of the camera's messages or in its media.
type Fault = fn(&mut Script);

const FAULTS: &[(&str, Fault)] = &[
    ("another parameter set", |s| {
        in_description(
            s,
            "Z2QAHqwsaoLA9puCgIKgAAADACAAAAMD0IAA",
            "Z00AKpWoHgCJ+WEAAAMAAQAAAwAyhA==",
        );
    }),
    ("no parameter sets", |s| in_description(s, "sprop-parameter-sets", "xprop-parameter-sets")),
    ("tracks changed round", swap_tracks),
    ("another codec", |s| in_description(s, "H264/90000", "H265/90000")),
    ("another clock rate of sound", |s| in_description(s, "GENERIC/48000", "GENERIC/32000")),
    ("another configuration of sound", |s| in_description(s, "config=1188", "config=1190")),
    ("more channels", |s| in_description(s, "GENERIC/48000", "GENERIC/48000/2")),
    ("another control URL", |s| in_description(s, "trackID=1", "trackID=7")),
    ("another base URL", |s| s.describe = s.describe.replace("subtype=1", "subtype=0")),
    ("sound not readable", |s| in_description(s, "mode=AAC-hbr", "mode=AAC-lbr")),
    ("no start announced", |s| s.play = s.play.replace("RTP-Info", "RTP-Xnfo")),
    ("a start one tick off", |s| s.play = s.play.replace("3475222385", "3475222386")),
    ("a first number off", |s| with_media(s, |slots| slots[0].sequence -= 2)),
    ("answered with UDP", |s| {
        s.setups[0].1 =
            s.setups[0].1.replace("RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast");
    }),
    ("packets on each other's channels", |s| {
        with_media(s, |slots| {
            let first = slots[0].channel;
            slots[0].channel = slots[1].channel;
            slots[1].channel = first;
        });
    }),
    ("a byte changed", |s| {
        s.media = Arc::new(|slots| {
            let mut bytes = plain_media(slots);
            bytes[30] ^= 1;
            bytes
        });
    }),
    ("a unit missing at the end", |s| {
        s.media = Arc::new(|slots| {
            let mut bytes = plain_media(slots);
            bytes.truncate(bytes.len() - 84);
            bytes
        });
    }),
];

#[tokio::test]
async fn every_seeded_fault_shows() {
    let corpus = corpus();
    let transcript = TRANSCRIPTS.iter().find(|t| t.name == "dahua_play").unwrap();
    let whole = script(transcript, &corpus);
    let alone = bare(whole.clone(), Until::End).await.result;
    let same = compare(alone.clone(), through(whole.clone(), Until::End).await.result);
    assert!(matches!(same, Outcome::Same(_)), "{same:?}");
    let mut unnoticed = Vec::new();
    for (name, fault) in FAULTS {
        let mut broken = whole.clone();
        fault(&mut broken);
        let outcome = compare(alone.clone(), through(broken, Until::End).await.result);
        if !matches!(outcome, Outcome::Differs(_)) {
            unnoticed.push(name);
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}

/// Changes the session description, and its length with it.
fn in_description(script: &mut Script, from: &str, to: &str) {
    assert!(script.describe.contains(from), "{from}");
    let (head, body) = script.describe.split_once("\r\n\r\n").unwrap();
    let before = format!("Content-Length: {}", body.len());
    assert!(head.contains(&before), "{head}");
    let body = body.replace(from, to);
    let head = head.replace(&before, &format!("Content-Length: {}", body.len()));
    script.describe = format!("{head}\r\n\r\n{body}");
}

fn swap_tracks(script: &mut Script) {
    let text = script.describe.clone();
    let starts: Vec<_> = text
        .match_indices("m=")
        .map(|(at, _)| at)
        .filter(|at| text[..*at].ends_with('\n'))
        .collect();
    let [video, audio, rest] = starts[..] else { panic!("{text}") };
    script.describe =
        [&text[..video], &text[audio..rest], &text[video..audio], &text[rest..]].concat();
}

/// Changes the tracks before their media is made.
fn with_media(script: &mut Script, change: fn(&mut [super::peer::Slot])) {
    script.media = Arc::new(move |slots| {
        change(slots);
        plain_media(slots)
    });
}
