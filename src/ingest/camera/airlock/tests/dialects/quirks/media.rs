//! Quirks of packets.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::peer::{Order, PLAIN_SDP, Script, Slot, describes, plain_media};
use super::super::seen::{Observed, Through, Until, bare, through};
use super::{Alone, assert_plain, both};
use crate::ingest::camera::airlock::Oddities;

/// A session with one H.264 track and this media.
async fn with(media: fn(&mut [Slot]) -> Vec<u8>) -> (Observed, Through, Alone) {
    both(Script { media: Arc::new(media), ..Script::plain() }).await
}

/// The pictures as their NAL units' first bytes, each behind its 4-byte length.
fn nals(seen: &Observed) -> Vec<Vec<u8>> {
    seen.items.iter().filter(|item| item.content.starts_with("video")).map(nals_of).collect()
}

fn nals_of(item: &super::super::seen::Item) -> Vec<u8> {
    let (_, hex) = item.content.split_once('[').unwrap();
    let bytes: Vec<u8> = hex
        .trim_end_matches(']')
        .split(", ")
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let (mut rest, mut firsts) = (&bytes[..], Vec::new());
    while let Some((length, nal)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        firsts.push(nal[0]);
        rest = &nal[length..];
    }
    firsts
}

/// The parameter sets of the plain description.
fn sets() -> [Vec<u8>; 2] {
    let (_, sets) = PLAIN_SDP.split_once("sprop-parameter-sets=").unwrap();
    let (sps, pps) = sets.trim().split_once(',').unwrap();
    [sps, pps].map(|set| STANDARD.decode(set).unwrap())
}

/// A session whose description has no parameter sets. They are read in the media, and not part of the pictures.
async fn with_sets(media: fn(&mut [Slot]) -> Vec<u8>) -> (Observed, Alone) {
    let sdp = PLAIN_SDP.split_inclusive("a=control:trackID=1\r\n").next().unwrap();
    let script = Script { describe: describes(sdp), media: Arc::new(media), ..Script::plain() };
    let (seen, _, alone) = both(script).await;
    assert_eq!((seen.described[0].size, seen.played[0].size), (None, Some((1920, 1080))));
    assert!(seen.items[0].content.starts_with("video (true, true)"), "{seen:?}");
    (seen, alone)
}

pub(super) async fn byte_stream_in_a_packet() -> Alone {
    let (seen, alone) = with_sets(|slots| {
        let [sps, pps] = sets();
        let parts: [&[u8]; 7] =
            [&sps, b"\0\0\0\x01", &pps, b"\0\0\x01", b"\x06sei", b"\0\0\0\x01", b"\x65picture"];
        let mut out = slots[0].packet(true, &parts.concat());
        slots[0].tick();
        out.extend(slots[0].unit(1));
        out
    })
    .await;
    assert_eq!(nals(&seen), [vec![0x06, 0x65], vec![0x41]]);
    alone
}

pub(super) async fn marker_on_sei() -> Alone {
    let (seen, _, alone) = with(|slots| {
        let mut out = slots[0].packet(true, b"\x06sei");
        out.extend(slots[0].unit(0));
        out.extend(slots[0].packet(true, b"\x06sei"));
        out.extend(slots[0].unit(1));
        out
    })
    .await;
    assert_eq!(nals(&seen), [[0x06, 0x65], [0x06, 0x41]]);
    alone
}

/// One picture in these fragments, then another.
async fn fragmented(fragments: &'static [&'static [u8]]) -> Alone {
    let media = move |slots: &mut [Slot]| {
        let last = fragments.len() - 1;
        let mut out: Vec<u8> = (0..)
            .zip(fragments)
            .flat_map(|(n, fragment)| slots[0].packet(n == last, fragment))
            .collect();
        slots[0].tick();
        out.extend(slots[0].unit(1));
        out
    };
    let (seen, _, alone) = both(Script { media: Arc::new(media), ..Script::plain() }).await;
    assert_eq!(nals(&seen), [[0x65], [0x41]]);
    assert!(seen.items.iter().all(|item| !item.lost));
    alone
}

pub(super) async fn type_changes_in_fragments() -> Alone {
    fragmented(&[b"\x7c\x85abc", b"\x7c\x01def", b"\x7c\x47ghi"]).await
}

pub(super) async fn empty_fragments() -> Alone {
    let alone = fragmented(&[b"\x7c\x85", b"\x7c\x05abc", b"\x7c\x05", b"\x7c\x45"]).await;
    let sdp = PLAIN_SDP.replace("H264", "H265").replace("a=fmtp:96", "a=x");
    let media = |slots: &mut [Slot]| {
        let fragments: [&[u8]; 4] =
            [b"\x62\x01\x93", b"\x62\x01\x13abc", b"\x62\x01\x13", b"\x62\x01\x53"];
        let packets = (0..).zip(fragments);
        packets.flat_map(|(n, fragment)| slots[0].packet(n == 3, fragment)).collect()
    };
    let script = Script { describe: describes(&sdp), media: Arc::new(media), ..Script::plain() };
    let (seen, _, h265) = both(script).await;
    assert_eq!(nals(&seen), [[0x26]]);
    assert_eq!(h265, alone);
    alone
}

pub(super) async fn one_fragment() -> Alone {
    fragmented(&[b"\x7c\xc5picture"]).await
}

/// Plain media with something between the first unit and the rest.
fn between(slots: &mut [Slot], odd: impl FnOnce(&mut Slot) -> Vec<u8>) -> Vec<u8> {
    let slot = &mut slots[0];
    let mut out = slot.unit(0);
    out.extend(slot.report(slot.source));
    out.extend(odd(slot));
    out.extend(slot.unit(1));
    out.extend(slot.unit(2));
    out
}

pub(super) async fn empty_packet() -> Alone {
    let (seen, through, alone) = with(|slots| between(slots, |slot| slot.packet(false, b""))).await;
    assert_eq!(nals(&seen).len(), 3);
    assert_eq!(through.counts.dropped_payload, 1);
    alone
}

pub(super) async fn type_50() -> Alone {
    let (seen, through, alone) = with(|slots| {
        between(slots, |slot| {
            let mut other = Slot { payload_type: 50, ..slot.clone() };
            other.packet(true, b"\xff not media")
        })
    })
    .await;
    assert_plain(&seen);
    assert_eq!(through.counts.dropped_payload, 1);
    alone
}

pub(super) async fn undeclared_payload_type() -> Alone {
    let (seen, through, alone) = with(|slots| {
        slots[0].payload_type = 33;
        plain_media(slots)
    })
    .await;
    assert_plain(&seen);
    assert_eq!(through.counts.odd, Oddities { other_payload_type: true, ..Oddities::default() });
    alone
}

pub(super) async fn sets_in_band_only() -> Alone {
    let (seen, alone) = with_sets(|slots| {
        let mut out: Vec<u8> = sets().iter().flat_map(|set| slots[0].packet(false, set)).collect();
        out.extend(plain_media(slots));
        out
    })
    .await;
    assert_eq!(nals(&seen), [[0x65], [0x41], [0x41]]);
    alone
}

pub(super) async fn early_report_of_another_source() -> Alone {
    let (seen, through, alone) = with(|slots| {
        let mut out = slots[0].report(7);
        out.extend(plain_media(slots));
        out
    })
    .await;
    assert_plain(&seen);
    assert_eq!(through.counts.sender_reports, 1);
    alone
}

pub(super) async fn report_of_another_source() -> Alone {
    let (seen, through, alone) = with(|slots| between(slots, |slot| slot.report(7))).await;
    assert_plain(&seen);
    assert_eq!((through.counts.sender_reports, through.counts.dropped_rtcp), (1, 1));
    alone
}

pub(super) async fn leftovers_of_another_session() -> Alone {
    let (seen, through, alone) = with(|slots| {
        between(slots, |slot| {
            let mut stale = Slot { source: 7, sequence: 9, ..slot.clone() };
            stale.unit(1)
        })
    })
    .await;
    assert_plain(&seen);
    assert_eq!(through.counts.dropped_source, 1);
    alone
}

pub(super) async fn numbers_go_back() -> Alone {
    let (seen, through, alone) = with(|slots| {
        between(slots, |slot| {
            let mut twice = Slot { sequence: slot.sequence - 1, ..slot.clone() };
            twice.unit(0)
        })
    })
    .await;
    assert_plain(&seen);
    assert_eq!(through.counts.dropped_sequence, 1);
    alone
}

pub(super) async fn media_before_the_answer() -> Alone {
    let script = Script { order: Order::MediaFirst, ..Script::plain() };
    let alone = bare(script.clone(), Until::End).await.result.unwrap();
    let through = through(script, Until::End).await;
    assert_plain(&through.result.unwrap());
    assert_eq!((through.counts.dropped_early, through.counts.dropped_channel), (0, 0));
    if alone.items.is_empty() { Alone::Loses } else { Alone::Same }
}

pub(super) async fn no_marker_on_sound() -> Alone {
    let sdp = "v=0\r\nt=0 0\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000\r\n\
        a=fmtp:97 mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3\r\n\
        a=control:trackID=1\r\n";
    let media = |slots: &mut [Slot]| {
        let mut out = Vec::new();
        for _ in 0..3 {
            out.extend(slots[0].packet(false, b"\0\x10\0\x28sound"));
            slots[0].tick();
        }
        out
    };
    let script = Script { describe: describes(sdp), media: Arc::new(media), ..Script::plain() };
    let (seen, through, alone) = both(script).await;
    assert_eq!(seen.items.len(), 3);
    assert_eq!(through.counts.odd, Oddities { no_markers: true, ..Oddities::default() });
    alone
}

pub(super) async fn extension_and_padding() -> Alone {
    let (seen, _, alone) = with(|slots| {
        let mut out = plain_media(slots);
        // The first packet again, now with both.
        let rest = out.split_off(4 + 12);
        out[4] |= 0x30;
        let (payload, rest) = rest.split_at(65);
        let tail = [b"\xbe\xde\0\x01EXT1", payload, b"PAD\x04"].concat();
        out[2..4].copy_from_slice(&u16::try_from(12 + tail.len()).unwrap().to_be_bytes());
        [&out, &tail[..], rest].concat()
    })
    .await;
    assert_plain(&seen);
    alone
}
