//! Quirks of answers.

use super::super::peer::{PLAIN_SDP, Script, Then, describes};
use super::super::replay::{BEAT, kept_alive};
use super::super::seen::{Observed, Through, Until, bare, through};
use super::{Alone, assert_plain, both, judge};
use crate::ingest::camera::airlock::Oddities;
use crate::wire::rtsp::Method;

/// A plain session with this answer to DESCRIBE.
async fn described(describe: String) -> (Observed, Alone) {
    described_oddly(describe, Oddities::default()).await
}

/// The same, where the airlock notes this.
async fn described_oddly(describe: String, odd: Oddities) -> (Observed, Alone) {
    let (seen, through, alone) = both(Script { describe, ..Script::plain() }).await;
    assert_plain(&seen);
    assert_eq!(through.counts.odd, odd);
    (seen, alone)
}

/// A plain session with this answer to SETUP.
async fn set_up(headers: &str) -> (Observed, Through, Alone) {
    let answer = format!("RTSP/1.0 200 OK\r\nCSeq: 0\r\n{headers}\r\n");
    both(Script { setups: vec![(0, answer)], ..Script::plain() }).await
}

/// A plain session with this `RTP-Info`, where the stream begins elsewhere.
async fn told(info: &str) -> Alone {
    let play = format!("RTSP/1.0 200 OK\r\nCSeq: 0\r\nSession: 5\r\nRTP-Info: {info}\r\n\r\n");
    let (seen, _, alone) = both(Script { play, ..Script::plain() }).await;
    assert_plain(&seen);
    alone
}

fn with_base(base: &str) -> String {
    describes(PLAIN_SDP).replacen("\r\nContent", &format!("\r\nContent-Base: {base}\r\nContent"), 1)
}

pub(super) async fn content_base_without_scheme() -> Alone {
    let odd = Oddities { base_without_scheme: true, other_host: true, ..Oddities::default() };
    let (seen, alone) = described_oddly(with_base("192.0.2.9:554/stream0/"), odd).await;
    assert_eq!(seen.wire[1], "SETUP rtsp://192.0.2.9:554/stream0/trackID=1");
    alone
}

pub(super) async fn content_base_of_another_host() -> Alone {
    let base = "rtsp://198.51.100.1/cam?channel=1/";
    let odd = Oddities { other_host: true, ..Oddities::default() };
    let (seen, alone) = described_oddly(with_base(base), odd).await;
    assert_eq!(seen.wire[1..], [format!("SETUP {base}trackID=1"), format!("PLAY {base}")]);
    alone
}

pub(super) async fn control_before_the_rest() -> Alone {
    let sdp = PLAIN_SDP.replace("a=control:trackID=1\r\n", "");
    let sdp = sdp.replace("RTP/AVP 96\r\n", "RTP/AVP 96\r\na=control:trackID=1\r\n");
    described(describes(&sdp)).await.1
}

pub(super) async fn media_line_not_readable() -> Alone {
    let odd = "m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\na=control:track3\r\n";
    let (first, last) = PLAIN_SDP.split_at(PLAIN_SDP.find("m=").unwrap());
    let alone = described(describes(&[first, odd, last].concat())).await.1;
    assert_eq!(described(describes(&[first, last, odd].concat())).await.1, alone);
    alone
}

pub(super) async fn payload_type_35() -> Alone {
    described(describes(&PLAIN_SDP.replace("96", "35"))).await.1
}

pub(super) async fn no_payload_type() -> Alone {
    described(describes(&format!("{PLAIN_SDP}m=audio 0 RTP/AVP  \r\n"))).await.1
}

pub(super) async fn blank_before_the_timeout() -> Alone {
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    let (seen, through, alone) = set_up(&format!("{transport}Session: abc ;timeout=60\r\n")).await;
    assert_plain(&seen);
    assert_eq!(through.requests[2].headers.get("Session"), Some("abc"));
    alone
}

pub(super) async fn content_type_with_charset() -> Alone {
    described(describes(PLAIN_SDP).replace("/sdp\r\n", "/sdp; charset=utf-8\r\n")).await.1
}

pub(super) async fn blank_behind_cseq() -> Alone {
    twisted(Oddities::default(), |_, answer| {
        let (cseq, rest) = answer.split_once("CSeq: ").unwrap();
        format!("{cseq}CSeq: {}", rest.replacen("\r\n", " \r\n", 1))
    })
    .await
}

pub(super) async fn no_cseq() -> Alone {
    let odd = Oddities { no_cseq: true, ..Oddities::default() };
    twisted(odd, |_, answer| answer.replace("CSeq", "X-Seq")).await
}

pub(super) async fn line_feeds_only() -> Alone {
    twisted(Oddities::default(), |_, answer| {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        format!("{}\n\n{body}", head.replace('\r', ""))
    })
    .await
}

pub(super) async fn user_agent_wanted() -> Alone {
    twisted(Oddities::default(), |asked, answer| match asked.headers.get("User-Agent") {
        Some(agent) if !agent.is_empty() => answer,
        Some(_) | None => answer.replace("200 OK", "400 Bad Request"),
    })
    .await
}

/// A plain session whose answers are all changed; what the airlock notes of it.
async fn twisted(odd: Oddities, twist: fn(&crate::wire::rtsp::Request, String) -> String) -> Alone {
    let (seen, through, alone) = both(Script { twist, ..Script::plain() }).await;
    assert_plain(&seen);
    assert_eq!(through.counts.odd, odd);
    alone
}

pub(super) async fn other_channels() -> Alone {
    let (seen, _, alone) = set_up("Transport: RTP/AVP/TCP;interleaved=8-9\r\nSession: 5\r\n").await;
    assert_plain(&seen);
    let odd = "Transport: RTP/AVP/TCP;interleaved=5-7\r\nSession: 5\r\n";
    let script = Script {
        media: std::sync::Arc::new(|slots| (0..3).flat_map(|n| slots[0].unit(n)).collect()),
        setups: vec![(0, format!("RTSP/1.0 200 OK\r\nCSeq: 0\r\n{odd}\r\n"))],
        ..Script::plain()
    };
    let (seen, through, not_adjacent) = both(script).await;
    assert_eq!(seen.items.len(), 3);
    assert_eq!(through.counts.odd, Oddities { other_channels: true, ..Oddities::default() });
    assert_eq!(alone, Alone::Same);
    not_adjacent
}

pub(super) async fn source_with_a_blank() -> Alone {
    let headers = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= d6d6627\r\nSession: 5\r\n";
    let (seen, through, alone) = set_up(headers).await;
    assert_plain(&seen);
    assert_eq!((through.counts.dropped_source, through.counts.odd), (0, Oddities::default()));
    // A stale packet comes first: only who has read the announcement knows which is the stream.
    let script = Script {
        setups: vec![(0, format!("RTSP/1.0 200 OK\r\nCSeq: 0\r\n{headers}\r\n"))],
        media: std::sync::Arc::new(|slots| {
            let mut stale = slots[0].clone();
            stale.source = 7;
            let mut out = stale.unit(1);
            out.extend((0..3).flat_map(|n| slots[0].unit(n)));
            out.extend(stale.unit(1));
            out
        }),
        ..Script::plain()
    };
    let (seen, through, stale) = both(script).await;
    assert_eq!(seen.items.iter().filter(|item| item.content.contains("(true,")).count(), 1);
    assert_eq!(through.counts.dropped_source, 1);
    assert_eq!(through.counts.odd, Oddities { other_source: true, ..Oddities::default() });
    assert_eq!(stale, Alone::Fails);
    alone
}

pub(super) async fn source_of_16_bits() -> Alone {
    let mut all = Vec::new();
    for source in ["0x6f7c", "A046", "0"] {
        let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc={source}\r\n");
        let (seen, _, alone) = set_up(&format!("{transport}Session: 5\r\n")).await;
        assert_plain(&seen);
        all.push(alone);
    }
    assert!(all.iter().all(|alone| *alone == all[0]), "{all:?}");
    all[0]
}

pub(super) async fn source_in_decimal() -> Alone {
    let play = "RTSP/1.0 200 OK\r\nCSeq: 0\r\nSession: 5\r\n\
        RTP-Info: url=trackID=1;seq=13210;rtptime=1067824145;ssrc=4294962989\r\n\r\n";
    let (seen, _, alone) = both(Script { play: play.to_owned(), ..Script::plain() }).await;
    assert!(seen.items[0].lost, "two packets after the number that was given");
    alone
}

pub(super) async fn sequence_said_to_be_0() -> Alone {
    told("url=trackID=1;seq=0;rtptime=0").await
}

pub(super) async fn sequence_said_to_be_1() -> Alone {
    told("url=trackID=1;seq=1").await
}

/// A session of 35 s with a keep-alive every 10 s.
async fn long(script: Script) -> (Observed, Through, Alone) {
    let set_up = "RTSP/1.0 200 OK\r\nCSeq: 0\r\nSession: 5;timeout=20\r\n\
        Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n";
    let setups = vec![(0, set_up.to_owned())];
    let script = Script { setups, then: Then::Beat(BEAT), ..script };
    let (bare, through) = kept_alive(&script, Until::Items(700)).await;
    let (seen, through, alone) = judge(bare.result, through);
    assert!(through.counts.keep_alives >= 3, "{:?}", through.counts);
    (seen, through, alone)
}

pub(super) async fn set_parameter_answered_badly() -> Alone {
    let options = "RTSP/1.0 200 OK\r\nCSeq: 0\r\nPublic: OPTIONS, PLAY, SET_PARAMETER\r\n\r\n";
    let script = Script {
        options: options.to_owned(),
        parameter: "RTSP/1.0 400 Bad Request\r\nCSeq: 0\r\n\r\n".to_owned(),
        twist: |asked, answer| {
            let bad = asked.method == Method::SetParameter;
            if bad { one_behind(asked, &answer) } else { answer }
        },
        ..Script::plain()
    };
    let (_, through, alone) = long(script.clone()).await;
    let sent = |through: &Through, method| {
        through.requests.iter().filter(|asked| asked.method == method).count()
    };
    assert_eq!((sent(&through, Method::Options), sent(&through, Method::SetParameter)), (3, 0));
    let options = options.replace("SET_PARAMETER", "SET_PARAMETER, GET_PARAMETER");
    let parameter = Script::plain().parameter;
    let (_, through, both_known) = long(Script { options, parameter, ..script }).await;
    assert_eq!((sent(&through, Method::Options), sent(&through, Method::GetParameter)), (1, 2));
    assert_eq!(both_known, Alone::Same);
    alone
}

pub(super) async fn keep_alive_with_a_wrong_number() -> Alone {
    let twist = |asked: &crate::wire::rtsp::Request, answer: String| {
        if asked.method == Method::Options { one_behind(asked, &answer) } else { answer }
    };
    let (_, through, alone) = long(Script { twist, ..Script::plain() }).await;
    assert_eq!(through.counts.stray_answers, 3);
    alone
}

pub(super) async fn keep_alive_unanswered() -> Alone {
    let twist = |asked: &crate::wire::rtsp::Request, answer| {
        if asked.method == Method::Options { String::new() } else { answer }
    };
    long(Script { twist, ..Script::plain() }).await.2
}

fn one_behind(asked: &crate::wire::rtsp::Request, answer: &str) -> String {
    let cseq = asked.cseq().unwrap();
    answer.replace(&format!("CSeq: {cseq}"), &format!("CSeq: {}", cseq - 1))
}

/// retina alone is not let say goodbye: it would say it to the address the camera names.
pub(super) async fn teardown_answered_with_500() -> Alone {
    let script = Script {
        teardown: "RTSP/1.0 500 Internal Server Error\r\nCSeq: 0\r\n\r\n".to_owned(),
        then: Then::Beat(BEAT),
        ..Script::plain()
    };
    let until = Until::Items(4);
    let (seen, through, _) =
        judge(bare(script.clone(), until).await.result, through(script, until).await);
    assert_plain(&seen);
    assert_eq!(through.requests.last().unwrap().method, Method::Teardown);
    Alone::NotAsked
}
