//! `docs/cameras.md`, made of what was seen and of the words in [`super::cameras`] and [`super::quirks`].

use super::cameras::{TRANSCRIPTS, Transcript};
use super::quirks::{self, Alone};
use super::replay::{Corpus, Outcome, Replayed, replay};
use super::seen::Track;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cameras.md");

const TEXT: &str = "# Cameras

Written by `CAMLOCK_WRITE_TABLES=1 cargo test dialects` and compared with every run of the tests
(`src/ingest/camera/airlock/tests/dialects`).

## What cameras answered

Each row is a message that a real camera sent, as it comes with the depacketiser's package (retina,
`src/client/testdata`). A scripted camera answers with it over a socket, once to the library whole (retina, its own RTSP client)
and once to the airlock, which uses only its depacketisers; what the message leaves open is answered plainly. Tracks, codecs,
parameter sets, timestamps, units of media, sender reports and the requests on the wire must be the same both ways, or the airlock
refuses with a reason of its own where retina fails too. No text of the camera reaches the depacketiser but codec configuration,
decoded and coded again.

- Plays: what came out. *Left out* are tracks that are never set up: a camera's metadata on purpose (its own text), other codings
  because nothing unpacks them.

";

const QUIRKS: &str = "
## Quirks

Each is a session of its own with a scripted camera, which must play through the airlock; if it plays with retina alone, then as
there. *Not asked*: retina would send TEARDOWN to the address the camera names. What one camera does of it, `camlock probe` notes.

| quirk | seen in | what we do | retina alone | test |
|---|---|---|---|---|
";

/// The whole file.
pub(super) async fn render(corpus: &Corpus) -> String {
    let mut text = TEXT.to_owned();
    text += "| camera | message | quirk | what we do | plays |\n|---|---|---|---|---|\n";
    for transcript in TRANSCRIPTS {
        let replayed = replay(transcript, corpus).await;
        text += &row(transcript, &replayed);
    }
    text += QUIRKS;
    for quirks::Row { test, who, quirk, answer, alone } in quirks::rows().await {
        let alone = match alone {
            Alone::Same => "the same",
            Alone::Loses => "loses it",
            Alone::Fails => "fails",
            Alone::Panics => "panics",
            Alone::NotAsked => "not asked",
        };
        text += &format!("| {quirk} | {who} | {answer} | {alone} | {test} |\n");
    }
    text
}

/// Writes the file if told to; the lines in which it differs from `expected`.
pub(super) fn write_or_compare(expected: &str) -> Vec<String> {
    if std::env::var_os("CAMLOCK_WRITE_TABLES").is_some() {
        std::fs::write(FILE, expected).unwrap();
    }
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    if text == expected {
        return Vec::new();
    }
    let not_in = |lines: &str, other: &str| -> Vec<String> {
        let missing = lines.lines().filter(|line| !other.lines().any(|l| l == *line));
        missing.map(str::to_owned).collect()
    };
    let mut stale = vec!["lines of one and not of the other:".to_owned()];
    stale.extend(not_in(expected, &text));
    stale.extend(not_in(&text, expected));
    stale
}

fn row(transcript: &Transcript, replayed: &Replayed) -> String {
    let Transcript { name, camera, quirk, answer, .. } = transcript;
    let dash = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
    let (quirk, answer) = (dash(quirk), dash(answer));
    format!("| {camera} | {name} | {quirk} | {answer} | {} |\n", plays(replayed))
}

fn plays(replayed: &Replayed) -> String {
    let seen = match &replayed.outcome {
        Outcome::Same(seen) => seen,
        Outcome::Refused(reason) => return format!("refused (`{}`): {reason}", reason.label()),
        Outcome::Differs(how) => return format!("{how:?}"),
    };
    let mut text = seen.played.iter().map(track).collect::<Vec<_>>().join(", ");
    if !replayed.left.is_empty() {
        text += &format!("; left out: {}", replayed.left.join(", "));
    }
    if replayed.unreadable > 0 {
        text += &format!("; {} not readable", replayed.unreadable);
    }
    text
}

fn track(track: &Track) -> String {
    let name = match track.encoding.as_str() {
        "h264" => "H.264",
        "h265" => "H.265",
        "mpeg4-generic" => "AAC",
        "pcma" => "A-law",
        "pcmu" => "µ-law",
        other => panic!("no name for {other}"),
    };
    let size = track.size.map(|(width, height)| format!(" {width}×{height}")).unwrap_or_default();
    let rate = match track.media.as_str() {
        "audio" => format!(" {} Hz", track.clock_rate),
        _ => String::new(),
    };
    format!("{name}{size}{rate}")
}
