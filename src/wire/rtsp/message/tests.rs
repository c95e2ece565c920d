#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::ops::limits::{RTSP_BODY_BYTES, RTSP_HEAD_BYTES, RTSP_HEADERS, RTSP_URI_BYTES};

fn decode(text: &[u8]) -> Result<Option<Item>, Violation> {
    Decoder::new().decode(&mut BytesMut::from(text))
}

fn request(text: &str) -> Request {
    match decode(text.as_bytes()) {
        Ok(Some(Item::Request(request))) => request,
        other => panic!("{text:?}: {other:?}"),
    }
}

fn response(text: &[u8]) -> Response {
    match decode(text) {
        Ok(Some(Item::Response(response))) => response,
        other => panic!("{other:?}"),
    }
}

/// Everything in `pieces`, runs of blanks put together.
fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Item>, Violation> {
    let mut decoder = Decoder::new();
    let mut buffer = BytesMut::new();
    let mut items = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(item) = decoder.decode(&mut buffer)? {
            match (items.last_mut(), item) {
                (Some(Item::Blank(n)), Item::Blank(more)) => *n += more,
                (_, item) => items.push(item),
            }
        }
    }
    Ok(items)
}

#[test]
fn a_request_is_read() {
    let r =
        request("SETUP rtsp://h/a/trackID=1 RTSP/1.0\r\nCSeq: 7\r\nX:\r\nTransport : a\r\n\r\n");
    assert_eq!((r.method, r.method_text.as_str()), (Method::Setup, "SETUP"));
    assert_eq!(r.uri, "rtsp://h/a/trackID=1");
    assert_eq!(r.cseq(), Some(7));
    assert_eq!(r.headers.get("x"), Some(""));
    assert_eq!(r.headers.get("transport"), Some("a"));
    assert_eq!(r.headers.get("transpor"), None);
    assert_eq!(request("FLY * RTSP/1.0\n\n").method, Method::Other);
    assert_eq!(request("play * RTSP/1.0\n\n").method, Method::Other);
}

#[test]
fn loose_responses_are_read() {
    let r = response(b"RTSP/1.0 401\ncseq:  3  \nWWW-AUTHENTICATE: a\nwww-authenticate: b\n\n");
    assert_eq!((r.status, r.reason.as_str(), r.cseq()), (401, "", Some(3)));
    assert_eq!(r.headers.all("WWW-Authenticate").collect::<Vec<_>>(), ["a", "b"]);
    let r = response(b"rtsp/1.0   200  Very OK \r\nServer: a\xffb\x00\rc\r\n d\r\n\te\r\n\r\n");
    assert_eq!((r.status, r.reason.as_str()), (200, "Very OK"));
    assert_eq!(r.headers.get("server"), Some("a\u{fffd}b  c d e"));
    let r = response(b"RTSP/1.0 200 OK\r\nContent-Length: 03\r\nContent-Length: 3\r\n\r\nabcd");
    assert_eq!(r.body, "abc");
}

#[test]
fn cseq_is_a_plain_number() {
    for (text, cseq) in [("1", Some(1)), ("+1", None), ("", None), ("4294967296", None)] {
        assert_eq!(request(&format!("PLAY * RTSP/1.0\r\nCSeq: {text}\r\n\r\n")).cseq(), cseq);
    }
}

#[test]
fn frames_are_cut_out_without_a_copy() {
    let mut buffer = BytesMut::from(&b"$\x05\x00\x03abc$\x00\x00\x00$\x00\xff\xffx"[..]);
    let address = buffer.as_ptr() as usize;
    let mut decoder = Decoder::new();
    let Ok(Some(Item::Interleaved { channel, payload })) = decoder.decode(&mut buffer) else {
        panic!()
    };
    assert_eq!((channel, payload.as_ref()), (5, &b"abc"[..]));
    assert_eq!(payload.as_ptr() as usize, address + 4);
    let empty = Item::Interleaved { channel: 0, payload: Bytes::new() };
    assert_eq!(decoder.decode(&mut buffer), Ok(Some(empty)));
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
}

#[test]
fn blanks_between_messages_are_counted() {
    let items = decode_pieces([&b"\r\n\r\n$\x00\x00\x01a\n\n"[..]]).unwrap();
    let frame = Item::Interleaved { channel: 0, payload: Bytes::from_static(b"a") };
    assert_eq!(items, [Item::Blank(4), frame, Item::Blank(2)]);
}

#[test]
fn what_is_not_rtsp_is_refused() {
    for text in [
        "GET / HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "RTSP/2.0 200 OK\r\n\r\n",
        "RTSP/1.0 20 OK\r\n\r\n",
        "RTSP/1.0 099 OK\r\n\r\n",
        "RTSP/1.0 2000 OK\r\n\r\n",
        "RTSP/1.0\r\n\r\n",
        "PLAY *\r\n\r\n",
        "PLAY\r\n\r\n",
        "PL(AY * RTSP/1.0\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        " PLAY",
        "\0",
    ] {
        assert_eq!(decode(text.as_bytes()), Err(Violation::NotRtsp), "{text:?}");
    }
}

#[test]
fn malformed_headers_are_refused() {
    for line in ["no colon", ": no name", "bad name: a", "b\u{e4}d: a", "a\0: b"] {
        let text = format!("PLAY * RTSP/1.0\r\n{line}\r\n\r\n");
        assert_eq!(decode(text.as_bytes()), Err(Violation::BadHeader), "{line:?}");
    }
    assert_eq!(decode(b"PLAY * RTSP/1.0\r\n folds nothing: a\r\n\r\n"), Err(Violation::BadHeader));
}

#[test]
fn a_content_length_is_one_plain_number() {
    for lines in ["-1", "+1", "0x1", "1 1", "", "1,1", "1\r\nContent-Length: 2", "1\r\n 2"] {
        let text = format!("PLAY * RTSP/1.0\r\ncontent-length: {lines}\r\n\r\nab");
        assert_eq!(decode(text.as_bytes()), Err(Violation::BadLength), "{lines:?}");
    }
}

#[test]
fn each_limit_holds_and_one_over_fails() {
    let head = |bytes: usize| {
        let start = "PLAY * RTSP/1.0\r\nA: ";
        format!("{start}{}\r\n\r\n", "a".repeat(bytes - start.len() - 4))
    };
    assert_eq!(head(RTSP_HEAD_BYTES).len(), RTSP_HEAD_BYTES);
    assert!(matches!(decode(head(RTSP_HEAD_BYTES).as_bytes()), Ok(Some(_))));
    assert_eq!(decode(head(RTSP_HEAD_BYTES + 1).as_bytes()), Err(Violation::HeadTooLong));
    assert_eq!(decode(&vec![b'a'; RTSP_HEAD_BYTES - 1]), Ok(None));
    assert_eq!(decode(&vec![b'a'; RTSP_HEAD_BYTES]), Err(Violation::HeadTooLong));

    let headers = |n: usize| format!("PLAY * RTSP/1.0\r\n{}\r\n", "A: b\r\n".repeat(n));
    assert!(matches!(decode(headers(RTSP_HEADERS).as_bytes()), Ok(Some(_))));
    assert_eq!(decode(headers(RTSP_HEADERS + 1).as_bytes()), Err(Violation::TooManyHeaders));

    let uri = |n: usize| format!("PLAY {} RTSP/1.0\r\n\r\n", "u".repeat(n));
    assert!(matches!(decode(uri(RTSP_URI_BYTES).as_bytes()), Ok(Some(_))));
    assert_eq!(decode(uri(RTSP_URI_BYTES + 1).as_bytes()), Err(Violation::BadUri));
    assert_eq!(decode(b"PLAY RTSP/1.0\r\n\r\n"), Err(Violation::BadUri));
    assert_eq!(decode("PLAY rtsp://h\u{e4} RTSP/1.0\r\n\r\n".as_bytes()), Err(Violation::BadUri));
    assert_eq!(decode(b"PLAY a b RTSP/1.0\r\n\r\n"), Err(Violation::BadUri));

    let body = |n: &str| decode(format!("RTSP/1.0 200\r\nContent-Length: {n}\r\n\r\n").as_bytes());
    assert_eq!(body(&RTSP_BODY_BYTES.to_string()), Ok(None));
    assert_eq!(body(&(RTSP_BODY_BYTES + 1).to_string()), Err(Violation::BodyTooLong));
    assert_eq!(body("99999999999999999999999999"), Err(Violation::BodyTooLong));
}

#[test]
fn nothing_written_can_open_a_new_line() {
    let mut r = Response::new(200);
    r.reason = "O\r\nX: 1".into();
    r.headers.push("A\r\nB", "c\r\nD: e\0\u{85}");
    assert_eq!(r.encode(), "RTSP/1.0 200 O  X: 1\r\nA--B: c  D: e  \r\n\r\n");
    let mut r = Request::new(Method::Other, "rtsp://h/\r\nA: b \u{e4}");
    r.method_text = "FLY \r\nA: b".into();
    assert_eq!(r.encode(), "FLYAb rtsp://h/%0D%0AA:%20b%20%C3%A4 RTSP/1.0\r\n\r\n");
}

#[test]
fn the_length_written_is_the_bodys() {
    let mut r = Response::new(454);
    r.headers.push("Content-Length", "7");
    assert_eq!(r.encode(), "RTSP/1.0 454 Session Not Found\r\nContent-Length: 0\r\n\r\n");
    r.body = Bytes::from_static(b"abc");
    assert_eq!(r.encode(), "RTSP/1.0 454 Session Not Found\r\nContent-Length: 3\r\n\r\nabc");
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9-]{0,12}".prop_filter("ours", |t| !t.eq_ignore_ascii_case("Content-Length"))
}

fn headers() -> impl Strategy<Value = Headers> {
    prop::collection::vec((token(), "([!-~\u{e4}]([ -~]{0,20}[!-~])?)?"), 0..8).prop_map(|lines| {
        let mut headers = Headers::default();
        for (name, value) in lines {
            headers.push(&name, value);
        }
        headers
    })
}

fn item() -> impl Strategy<Value = Item> {
    let body = || prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from);
    let request = ("[A-Z_]{1,12}", "[!-~]{1,40}", headers(), body()).prop_filter_map(
        "a response's start",
        |(method_text, uri, headers, body)| {
            let method = Method::from_token(&method_text);
            Some(Item::Request(Request { method, method_text, uri, headers, body }))
        },
    );
    let response = (100..1000u16, "([!-~]([ -~]{0,20}[!-~])?)?", headers(), body()).prop_map(
        |(status, reason, headers, body)| {
            Item::Response(Response { status, reason, headers, body })
        },
    );
    let frame =
        (any::<u8>(), body()).prop_map(|(channel, payload)| Item::Interleaved { channel, payload });
    prop_oneof![request, response, frame, (1..4usize).prop_map(Item::Blank)]
}

fn encode(item: &Item) -> Bytes {
    match item {
        Item::Request(request) => request.encode(),
        Item::Response(response) => response.encode(),
        Item::Interleaved { channel, payload } => {
            let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
            [&[b'$', *channel], &length[..], payload].concat().into()
        }
        Item::Blank(n) => "\r\n\r\n"[..*n].to_owned().into(),
    }
}

/// As it reads back: `Content-Length` is written, runs of blanks are one.
fn normal(items: Vec<Item>) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::new();
    for mut item in items {
        match &mut item {
            Item::Request(Request { headers, body, .. })
            | Item::Response(Response { headers, body, .. }) => {
                if !body.is_empty() {
                    headers.push("Content-Length", body.len().to_string());
                }
            }
            Item::Interleaved { .. } | Item::Blank(_) => {}
        }
        match (out.last_mut(), item) {
            (Some(Item::Blank(n)), Item::Blank(more)) => *n += more,
            (_, item) => out.push(item),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_reads_back_at_every_split(
        items in prop::collection::vec(item(), 1..4),
        size in 1..40usize,
    ) {
        let wire: Vec<u8> = items.iter().flat_map(|item| encode(item).to_vec()).collect();
        let items = normal(items);
        prop_assert_eq!(&decode_pieces(wire.chunks(1)).unwrap(), &items);
        prop_assert_eq!(&decode_pieces(wire.chunks(size)).unwrap(), &items);
        for at in 0..=wire.len() {
            let (a, b) = wire.split_at(at);
            prop_assert_eq!(&decode_pieces([a, b]).unwrap(), &items);
        }
    }

    #[test]
    fn any_bytes_end_in_items_or_a_violation(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..200),
        size in 1..20usize,
    ) {
        let found = decode_pieces(bytes.chunks(size));
        prop_assert!(found.is_err() || found.is_ok_and(|items| items.len() <= bytes.len()));
        let mut after_start = b"RTSP/1.0 200 OK\r\n".to_vec();
        after_start.extend(&bytes);
        let whole = decode_pieces([&after_start[..]]);
        prop_assert_eq!(decode_pieces(after_start.chunks(size)), whole);
    }

    #[test]
    fn changed_messages_never_panic(
        items in prop::collection::vec(item(), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        size in 1..40usize,
    ) {
        let mut wire: Vec<u8> = items.iter().flat_map(|item| encode(item).to_vec()).collect();
        for (at, byte) in changes {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        prop_assert_eq!(decode_pieces(wire.chunks(size)), decode_pieces([&wire[..]]));
    }
}

#[test]
fn a_frame_is_peeked_as_it_is_decoded() {
    let mut buffer = BytesMut::from(&b"$\x05\0\x03abcOPTIONS * RTSP/1.0\r\n"[..]);
    let mut decoder = Decoder::new();
    assert_eq!(decoder.peek_frame(&buffer[..6]), None, "not whole");
    assert_eq!(decoder.peek_frame(&buffer), Some((5, &b"abc"[..])));
    assert!(matches!(decoder.decode(&mut buffer), Ok(Some(Item::Interleaved { channel: 5, .. }))));
    assert_eq!(decoder.peek_frame(&buffer), None, "a message");
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
    // Within a message, no frame begins.
    assert_eq!(decoder.peek_frame(b"$\0\0\x01a"), None);
}
