//! The quirks of the field one by one: each a session, a test and a row of `docs/cameras.md`.

mod logins;
mod media;
mod messages;

use super::peer::Script;
use super::replay::differences;
use super::seen::{Observed, PANICKED, Through, Until, bare, through};

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) test: &'static str,
    /// Cameras it was seen in.
    pub(super) who: &'static str,
    pub(super) quirk: &'static str,
    pub(super) answer: &'static str,
    pub(super) alone: Alone,
}

/// How retina fares without the airlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// It sees the same.
    Same,
    /// It plays, but not what came early.
    Loses,
    /// It gives the session up.
    Fails,
    Panics,
    /// It would ask another host than the camera.
    NotAsked,
}

macro_rules! quirks {
    ($($module:ident::$test:ident: $who:literal, $quirk:literal => $answer:literal;)*) => {
        /// Runs all of them.
        pub(super) async fn rows() -> Vec<Row> {
            vec![$(Row {
                test: stringify!($test),
                who: $who,
                quirk: $quirk,
                answer: $answer,
                alone: $module::$test().await,
            }),*]
        }

        mod each {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test().await;
            })*
        }
    };
}

quirks! {
    messages::content_base_without_scheme: "Anjvision",
        "`Content-Base` without a scheme" => "the scheme is put before it";
    messages::content_base_of_another_host: "many behind NAT, or with an old address",
        "`Content-Base` and controls name another host"
        => "sent back to the camera as text; the only address dialled is the configured one";
    messages::control_before_the_rest: "Reolink",
        "`a=control` before the other attributes" => "any order";
    messages::media_line_not_readable: "TP-Link",
        "a media line that cannot be read" => "that one is left out, the others play";
    messages::payload_type_35: "Bosch", "H.264 with payload type 35, outside of the dynamic range"
        => "any type with a map is taken";
    messages::no_payload_type: "none known; a hostile one",
        "a media line without payload type" => "that one is left out, the others play";
    messages::blank_before_the_timeout: "none known; a hostile one",
        "`Session: abc ;timeout=60`" => "blanks are cut off";
    messages::content_type_with_charset: "several",
        "`Content-Type: application/sdp; charset=utf-8`" => "read as a session description";
    messages::blank_behind_cseq: "Longse", "a blank behind the number of `CSeq`" => "cut off";
    messages::no_cseq: "several", "answers without `CSeq`"
        => "an answer without number belongs to the open request";
    messages::line_feeds_only: "several", "lines end in LF alone" => "read";
    messages::other_channels: "several", "`interleaved=` other than asked for, and not adjacent"
        => "mapped to what the depacketiser asked for";
    messages::source_with_a_blank: "Hikvision", "`ssrc= d6d6627`: a blank in place of the leading zero"
        => "seven digits are read; packets of another source are dropped";
    messages::source_of_16_bits: "Rubetek and others",
        "`ssrc` of at most 4 digits, and the packets have another" => "not expected";
    messages::source_in_decimal: "Dahua", "`ssrc` of `RTP-Info` in decimal" => "not read";
    messages::sequence_said_to_be_0: "Hikvision", "`seq=0` in `RTP-Info`, always"
        => "0 is not expected as the first number";
    messages::sequence_said_to_be_1: "Tapo", "`seq=1` in `RTP-Info`, always"
        => "1 is not expected as the first number";
    messages::user_agent_wanted: "several", "requests without `User-Agent` are refused"
        => "every request has one";
    messages::set_parameter_answered_badly: "Tapo",
        "`Public` has SET_PARAMETER; the answer to it is `400` with the number of the request before"
        => "SET_PARAMETER is never sent: OPTIONS, then GET_PARAMETER if there is one";
    messages::keep_alive_with_a_wrong_number: "several",
        "answers to keep-alives have the wrong `CSeq`"
        => "counted and left aside; while media flows a keep-alive needs no answer";
    messages::keep_alive_unanswered: "several", "keep-alives are not answered"
        => "while media flows a keep-alive needs no answer";
    messages::teardown_answered_with_500: "several", "TEARDOWN is answered with `500`"
        => "any answer to it is the end";
    logins::several_challenges: "many", "Basic, MD5 and SHA-256 offered in three headers"
        => "the strongest Digest is answered; Basic never, once Digest was seen";
    logins::odd_parameters: "many",
        "Digest with a quoted algorithm, `domain`, an empty `opaque`, `stale=\"FALSE\"` and own parameters"
        => "read; parameters we do not know are left aside";
    logins::no_algorithm: "Longse and other old ones", "Digest without algorithm and `qop`"
        => "answered with MD5 as in RFC 2069";
    logins::sha_256_only: "Hikvision OEM, cameras for India's STQC", "SHA-256 alone is offered"
        => "answered";
    logins::new_nonce_each_time: "several", "every answer to a request is a `401` with `stale=true` first"
        => "authenticated again and sent once more";
    media::byte_stream_in_a_packet: "several",
        "Annex B start codes inside one packet, parameter sets and picture together"
        => "split, and each NAL unit counted against the limit";
    media::marker_on_sei: "several", "the marker is on the SEI before the picture"
        => "passed; the unit ends with the picture";
    media::type_changes_in_fragments: "several", "the NAL type of a later fragment is another"
        => "the first counts";
    media::empty_fragments: "several", "fragments without bytes" => "passed";
    media::one_fragment: "several", "a fragment that is first and last at once" => "a whole NAL unit";
    media::empty_packet: "several", "a packet without payload" => "dropped and counted";
    media::type_50: "GeoVision", "packets of payload type 50 between the media" => "dropped";
    media::undeclared_payload_type: "several", "another payload type than the description says"
        => "the channel counts, not the type";
    media::sets_in_band_only: "several", "parameter sets before each key picture and not in the description"
        => "read there";
    media::early_report_of_another_source: "Reolink",
        "a sender report before the first packet, of another source"
        => "held until the first packet tells whose it is, then dropped";
    media::report_of_another_source: "Reolink", "sender reports of another source than the packets"
        => "dropped";
    media::leftovers_of_another_session: "Reolink and others with an old live555",
        "packets of a session closed before, on a new one's channel" => "dropped by their source";
    media::numbers_go_back: "several", "a packet comes twice" => "the second is dropped";
    media::media_before_the_answer: "several", "media before the answer to PLAY"
        => "held, up to a limit, and passed on behind it";
    media::no_marker_on_sound: "several", "AAC frames without marker" => "a whole frame gets one";
    media::extension_and_padding: "several", "RTP header extension and padding"
        => "left out";
}

/// Runs a session both ways. It must play through the airlock, and as with retina alone if that plays.
async fn both(script: Script) -> (Observed, Through, Alone) {
    let alone = bare(script.clone(), Until::End).await.result;
    let through = through(script, Until::End).await;
    judge(alone, through)
}

fn judge(alone: Result<Observed, String>, through: Through) -> (Observed, Through, Alone) {
    let seen = through.result.clone().unwrap_or_else(|reason| panic!("{reason}; alone {alone:?}"));
    let alone = match alone {
        Ok(alone) => {
            let differences = differences(&alone, &seen);
            assert!(differences.is_empty(), "{differences:#?}");
            Alone::Same
        }
        Err(error) if error == PANICKED => Alone::Panics,
        Err(_) => Alone::Fails,
    };
    (seen, through, alone)
}

/// The plain session's three pictures, whole and without a loss, and its report.
fn assert_plain(seen: &Observed) {
    let kinds: Vec<_> = seen.items.iter().map(|item| &item.content[..12]).collect();
    assert_eq!(kinds, ["video (true,", "report 16140", "video (false", "video (false"], "{seen:?}");
    assert!(seen.items.iter().all(|item| !item.lost), "{seen:?}");
}
