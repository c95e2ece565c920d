//! One transcript: a session made of it, and how it goes both ways.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cameras::Transcript;
use super::peer::{Script, Then, describes, response};
use super::seen::{Bare, Observed, Through, Until, bare, through};
use crate::ingest::camera::airlock::{Counts, EndReason};
use crate::wire::rtsp::{Method, SessionDescription};

/// The transcripts by name.
pub(super) type Corpus = BTreeMap<String, String>;

/// Which step of a session a transcript is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Refusal,
    Describe,
    Setup(usize),
    Play,
    Options,
    Teardown,
}

/// How one transcript went.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) outcome: Outcome,
    /// Tracks that bare retina lists and the airlock does not take, by their encoding.
    pub(super) left: Vec<String>,
    /// Media lines that neither reads.
    pub(super) unreadable: usize,
    pub(super) counts: Counts,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The same as with retina alone.
    Same(Observed),
    /// A named refusal where retina fails too.
    Refused(EndReason),
    /// Something else: a fault of ours.
    Differs(Vec<String>),
}

pub(super) fn corpus() -> Corpus {
    let files = crate::wire::rtsp::tests::corpus().into_iter();
    files
        .map(|(file, bytes)| {
            (file.trim_end_matches(".txt").to_owned(), String::from_utf8(bytes).unwrap())
        })
        .collect()
}

/// The session a transcript and those it goes with make.
pub(super) fn script(transcript: &Transcript, corpus: &Corpus) -> Script {
    let mut script = Script::plain();
    for name in transcript.with.iter().chain([&transcript.name]) {
        let text = &corpus[*name];
        match step(name) {
            Step::Refusal => script.refusal = Some(text.clone()),
            Step::Describe if text.starts_with("RTSP/") => script.describe.clone_from(text),
            Step::Describe => script.describe = describes(text),
            Step::Setup(n) => script.setups.push((n, text.clone())),
            Step::Play => script.play.clone_from(text),
            Step::Options => {
                script.options.clone_from(text);
                script.then = Then::Beat(BEAT);
            }
            Step::Teardown => {
                script.teardown.clone_from(text);
                script.then = Then::Beat(BEAT);
            }
        }
    }
    script
}

fn step(name: &str) -> Step {
    match name {
        _ if name.ends_with("_sdp") || name.contains("describe") => Step::Describe,
        _ if name.ends_with("_setup_audio") => Step::Setup(1),
        _ if name.contains("setup") => Step::Setup(0),
        _ if name.contains("play") || name == "bad_rtptime" => Step::Play,
        _ if name.ends_with("_options") => Step::Options,
        _ if name.ends_with("_teardown") => Step::Teardown,
        _ if name.ends_with("_unauthorized") => Step::Refusal,
        _ => panic!("{name}: which step of a session is it?"),
    }
}

/// Twenty units a second on each track: over the least rate of bytes.
pub(super) const BEAT: Duration = Duration::from_millis(50);

/// Replays a transcript both ways and compares.
pub(super) async fn replay(transcript: &Transcript, corpus: &Corpus) -> Replayed {
    let script = script(transcript, corpus);
    let description = SessionDescription::parse(&response(&script.describe).body).unwrap();
    let (bare, through) = match step(transcript.name) {
        Step::Options => kept_alive(&script, Until::Items(2600)).await,
        Step::Teardown => said_goodbye(&script).await,
        Step::Refusal | Step::Describe | Step::Setup(_) | Step::Play => {
            (bare(script.clone(), Until::End).await, through(script, Until::End).await)
        }
    };
    let listed = bare.left.len() + bare.result.as_ref().map_or(0, |seen| seen.described.len());
    Replayed {
        left: bare.left.iter().map(|track| track.encoding.clone()).collect(),
        unreadable: if bare.result.is_ok() { description.media.len() - listed } else { 0 },
        counts: through.counts,
        outcome: compare(bare.result, through.result),
    }
}

/// A session with units in beats, on a clock that jumps when nobody has anything to do: in small steps, so that it does
/// not run ahead of the sockets.
pub(super) async fn kept_alive(script: &Script, until: Until) -> (Bare, Through) {
    tokio::time::pause();
    let metronome = tokio::spawn(async {
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        loop {
            ticks.tick().await;
            // On a busy machine the kernel delivers when others get the processor.
            std::thread::yield_now();
        }
    });
    let both = (bare(script.clone(), until).await, through(script.clone(), until).await);
    metronome.abort();
    tokio::time::resume();
    both
}

/// Ended by us. retina alone says no goodbye here: it would say it to the address the camera names.
async fn said_goodbye(script: &Script) -> (Bare, Through) {
    let until = Until::Items(8);
    let bare = bare(script.clone(), until).await;
    let through = through(script.clone(), until).await;
    let goodbyes = through.requests.iter().filter(|asked| asked.method == Method::Teardown);
    assert_eq!(goodbyes.count(), 1);
    (bare, through)
}

/// What came of a session both ways.
pub(super) fn compare(
    bare: Result<Observed, String>,
    through: Result<Observed, EndReason>,
) -> Outcome {
    match (bare, through) {
        (Ok(bare), Ok(through)) => match differences(&bare, &through) {
            none if none.is_empty() => Outcome::Same(through),
            some => Outcome::Differs(some),
        },
        (Err(_), Err(reason)) => Outcome::Refused(reason),
        (Ok(_), Err(reason)) => Outcome::Differs(vec![format!("refused: {reason}")]),
        (Err(error), Ok(_)) => Outcome::Differs(vec![format!("retina alone fails: {error}")]),
    }
}

/// Each way in which the airlock changed what is seen.
pub(super) fn differences(bare: &Observed, through: &Observed) -> Vec<String> {
    let mut out = Vec::new();
    each(&mut out, "described", &bare.described, &through.described);
    each(&mut out, "played", &bare.played, &through.played);
    each(&mut out, "item", &bare.items, &through.items);
    each(&mut out, "request", &bare.wire, &through.wire);
    out
}

fn each<T: PartialEq + std::fmt::Debug>(
    out: &mut Vec<String>,
    what: &str,
    bare: &[T],
    through: &[T],
) {
    if bare.len() != through.len() {
        out.push(format!("{what}: {} alone, {} through the airlock", bare.len(), through.len()));
    }
    for (n, (bare, through)) in bare.iter().zip(through).enumerate() {
        if bare != through {
            out.push(format!("{what} {n}: alone {bare:?}, through the airlock {through:?}"));
        }
    }
}
