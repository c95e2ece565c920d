//! What must hold of a tunnel's readers whatever a client sends: a check for `crate::app::fuzz`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in tests: a panic is the verdict"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::head::{Asked, HeadEnd, Opening};
use super::{base64_stream, websocket};
use crate::ops::limits;

/// A request head, and base64 or WebSocket frames behind it: read the same however they are cut. The first byte
/// says how.
pub fn tunnel(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let piece = usize::from(*piece).max(1);
    opening(bytes, piece);
    let whole = HeadEnd::default().find(bytes);
    assert_eq!(whole, head_end(bytes, piece), "in pieces of {piece}");
    let Ok(Some(head)) = whole else { return };
    assert!(head <= limits::TUNNEL_HEAD_BYTES);
    let (head, body) = bytes.split_at(head);
    match Asked::parse(head) {
        Ok(Asked::Get(cookie) | Asked::Post(cookie)) => {
            assert!(!format!("{cookie:?}").contains('"'), "what joins the halves is not shown");
        }
        Ok(Asked::WebSocket(key)) => {
            let answer = key.answer();
            let lines = answer.matches("\r\n").count();
            assert!(answer.starts_with("HTTP/1.1 101 ") && lines == 6, "{answer}");
            return websocket::fuzz::frames(body, piece);
        }
        Err(reason) => {
            let status = reason.status();
            assert!(status.starts_with(['4', '5']) && !status.starts_with("401"), "{status}");
        }
    }
    base64(body, piece);
}

/// What more bytes come never changes what the first ones were taken for.
fn opening(bytes: &[u8], piece: usize) {
    let whole = Opening::of(bytes);
    let seen = Opening::of(&bytes[..piece.min(bytes.len())]);
    assert!(seen == Opening::Open || seen == whole, "{seen:?}, then {whole:?}");
}

fn head_end(bytes: &[u8], piece: usize) -> Result<Option<usize>, super::head::NotTunnel> {
    let mut end = HeadEnd::default();
    let mut known = 0;
    while known < bytes.len() {
        known = (known + piece).min(bytes.len());
        match end.find(&bytes[..known]) {
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}

fn base64(text: &[u8], piece: usize) {
    let whole = decode(text, text.len().max(1));
    assert_eq!(whole, decode(text, piece), "in pieces of {piece}");
    let Ok(bytes) = whole else { return };
    // Blanks may stand anywhere; padding fills its group of four, so another decoder knows each group.
    let characters: Vec<u8> = text.iter().copied().filter(|b| !b" \t\r\n".contains(b)).collect();
    let mut expected = Vec::new();
    for group in characters.chunks(4) {
        match group {
            [_, _, _, _] => expected.extend(STANDARD.decode(group).unwrap()),
            [first, second, b'='] => {
                expected.extend(STANDARD.decode([*first, *second, b'=', b'=']).unwrap());
            }
            _ => {}
        }
    }
    assert_eq!(bytes, expected, "as another decoder");
}

fn decode(text: &[u8], piece: usize) -> Result<Vec<u8>, base64_stream::NotBase64> {
    let (mut decoder, mut bytes) = (base64_stream::Decoder::default(), Vec::new());
    for piece in text.chunks(piece) {
        decoder.decode(piece, &mut bytes)?;
    }
    Ok(bytes)
}
