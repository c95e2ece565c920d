//! The manners of real cameras: every transcript that comes with the retina package which cargo resolved,
//! replayed to retina alone and through the airlock; and the quirks of the field one by one.
//!
//! What was seen is written to `docs/cameras.md`. `CAMLOCK_WRITE_TABLES=1 cargo test dialects` writes it; any
//! other run fails if the file says something else.

mod cameras;
mod peer;
mod quirks;
mod replay;
mod seeded;
mod seen;
mod table;

use super::EndReason;
use cameras::TRANSCRIPTS;
use replay::{Outcome, corpus, replay};

/// Transcripts that neither retina nor the airlock can play.
const REFUSED: &[(&str, EndReason)] = &[
    ("h264dvr_setup_audio", EndReason::NotInterleaved),
    ("h264dvr_setup_video", EndReason::NotInterleaved),
    ("luckfox_rkipc_setup_udp", EndReason::NotInterleaved),
];

#[tokio::test]
async fn every_transcript_plays_as_with_retina_alone_or_is_refused_by_name() {
    let corpus = corpus();
    let known: Vec<_> = TRANSCRIPTS.iter().map(|transcript| transcript.name).collect();
    let there: Vec<_> = corpus.keys().map(String::as_str).collect();
    assert_eq!(known, there, "the transcripts of the retina package, and those this test knows");
    let (mut refused, mut wrong) = (Vec::new(), Vec::new());
    for transcript in TRANSCRIPTS {
        let replayed = replay(transcript, &corpus).await;
        match replayed.outcome {
            Outcome::Same(_) => {
                let left = replayed.left.len() + replayed.unreadable;
                assert_eq!(replayed.counts.dropped_sections, left as u64, "{}", transcript.name);
                let others = [replayed.counts.stray_answers, replayed.counts.dropped_payload];
                assert_eq!(others, [0, 0], "{}", transcript.name);
            }
            Outcome::Refused(reason) => refused.push((transcript.name, reason)),
            Outcome::Differs(how) => wrong.push((transcript.name, how)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(refused, REFUSED);
}

#[tokio::test]
async fn the_table_of_cameras_says_what_was_seen() {
    let stale = table::write_or_compare(&table::render(&corpus()).await);
    assert!(stale.is_empty(), "rewrite docs/cameras.md (see {}): {stale:#?}", file!());
}
