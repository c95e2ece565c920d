//! The bounded reader of one direction of a connection.

use bytes::{Buf, BytesMut};

use super::{CONTENT_LENGTH, Headers, Item, Method, Request, Response, is_token_char};
use crate::ops::limits::{RTSP_BODY_BYTES, RTSP_HEAD_BYTES, RTSP_HEADERS, RTSP_URI_BYTES};

/// Bounded decoder of one direction of a connection. Holds no bytes: it takes whole items from the
/// caller's buffer, and says when the buffer can never become one. An empty buffer between calls means
/// that the peer is between items. Each byte is looked at once, however small the pieces it comes in.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// In a head: bytes searched for line ends, where the current line begins, lines ended.
    Head { searched: usize, line: usize, lines: usize },
    /// The head is read (its bytes still stand in the buffer), the body is not whole.
    Body { head: Box<Head>, head_bytes: usize, body_bytes: usize },
}

impl Default for State {
    fn default() -> Self {
        Self::Head { searched: 0, line: 0, lines: 0 }
    }
}

#[derive(Debug, Clone)]
struct Head {
    start: StartLine,
    headers: Headers,
}

#[derive(Debug, Clone)]
enum StartLine {
    Request { method_text: String, uri: String },
    Response { status: u16, reason: String },
}

/// The peer broke the grammar or a limit; the connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Violation {
    #[error("message head over {RTSP_HEAD_BYTES} bytes")]
    HeadTooLong,
    #[error("more than {RTSP_HEADERS} header lines")]
    TooManyHeaders,
    #[error("body over {RTSP_BODY_BYTES} bytes")]
    BodyTooLong,
    #[error("request-URI over {RTSP_URI_BYTES} bytes or not printable ASCII")]
    BadUri,
    #[error("not RTSP/1.0")]
    NotRtsp,
    #[error("malformed header line")]
    BadHeader,
    #[error("malformed Content-Length")]
    BadLength,
}

impl Decoder {
    /// A decoder with the limits of [`crate::ops::limits`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one item from the front of `buffer`; `None`: more bytes are needed. Accepts bare LF line
    /// ends and folded header lines. Never asks for more than head + body limit (or 65,539 bytes for a
    /// frame) before it fails. Payloads and bodies share the buffer's memory.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Item>, Violation> {
        if let State::Head { searched, line, lines } = self.state {
            if searched == 0 {
                match buffer.first() {
                    None => return Ok(None),
                    Some(b'$') => return Ok(take_frame(buffer)),
                    Some(b'\r' | b'\n') => return Ok(Some(take_blank(buffer))),
                    Some(first) if !is_token_char(char::from(*first)) => {
                        return Err(Violation::NotRtsp);
                    }
                    Some(_) => {}
                }
            }
            let Some(head_bytes) = self.find_head(buffer, searched, line, lines)? else {
                return Ok(None);
            };
            let head = Head::parse(buffer.get(..head_bytes).unwrap_or_default())?;
            let body_bytes = body_length(&head.headers)?;
            self.state = State::Body { head: Box::new(head), head_bytes, body_bytes };
        }
        Ok(self.take_message(buffer))
    }

    /// The channel and payload of the interleaved frame that `buffer` begins with, if it is whole and no message is
    /// under way: [`Self::decode`] would give the same. It has four bytes more on the wire.
    pub fn peek_frame<'a>(&self, buffer: &'a [u8]) -> Option<(u8, &'a [u8])> {
        let State::Head { searched: 0, .. } = self.state else { return None };
        let (&[b'$', channel, high, low], rest) = buffer.split_first_chunk()? else { return None };
        Some((channel, rest.get(..usize::from(u16::from_be_bytes([high, low])))?))
    }

    /// The length of the head, the empty line included, once it is whole.
    fn find_head(
        &mut self,
        buffer: &BytesMut,
        mut searched: usize,
        mut line: usize,
        mut lines: usize,
    ) -> Result<Option<usize>, Violation> {
        let window = buffer.get(..buffer.len().min(RTSP_HEAD_BYTES)).unwrap_or_default();
        while let Some(at) = window.get(searched..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = searched + at;
            if matches!(window.get(line..end), Some(b"" | b"\r")) {
                return Ok(Some(end + 1));
            }
            lines += 1;
            // the start line is not a header
            if lines > RTSP_HEADERS + 1 {
                return Err(Violation::TooManyHeaders);
            }
            searched = end + 1;
            line = searched;
        }
        if window.len() == RTSP_HEAD_BYTES {
            return Err(Violation::HeadTooLong);
        }
        self.state = State::Head { searched: window.len(), line, lines };
        Ok(None)
    }

    fn take_message(&mut self, buffer: &mut BytesMut) -> Option<Item> {
        let (head_bytes, body_bytes) = match &self.state {
            State::Body { head_bytes, body_bytes, .. } => (*head_bytes, *body_bytes),
            State::Head { .. } => return None,
        };
        if buffer.len() < head_bytes + body_bytes {
            return None;
        }
        let head = match std::mem::take(&mut self.state) {
            State::Body { head, .. } => *head,
            State::Head { .. } => return None,
        };
        buffer.advance(head_bytes);
        let body = buffer.split_to(body_bytes).freeze();
        let headers = head.headers;
        Some(match head.start {
            StartLine::Request { method_text, uri } => {
                let method = Method::from_token(&method_text);
                Item::Request(Request { method, method_text, uri, headers, body })
            }
            StartLine::Response { status, reason } => {
                Item::Response(Response { status, reason, headers, body })
            }
        })
    }
}

fn take_frame(buffer: &mut BytesMut) -> Option<Item> {
    let &[_, channel, high, low] = buffer.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if buffer.len() < 4 + length {
        return None;
    }
    buffer.advance(4);
    Some(Item::Interleaved { channel, payload: buffer.split_to(length).freeze() })
}

fn take_blank(buffer: &mut BytesMut) -> Item {
    let blank = buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    buffer.advance(blank);
    Item::Blank(blank)
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, Violation> {
        let mut lines = bytes.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
        let start = StartLine::parse(lines.next().unwrap_or_default())?;
        let mut headers = Headers::default();
        for line in lines.take_while(|line| !line.is_empty()) {
            let text = String::from_utf8_lossy(line);
            if text.starts_with([' ', '\t']) {
                // RFC 2326 follows RFC 2068: a line may go on in the next
                if !headers.fold_into_last(text.trim()) {
                    return Err(Violation::BadHeader);
                }
                continue;
            }
            let (name, value) = text.split_once(':').ok_or(Violation::BadHeader)?;
            let name = name.trim_end();
            if name.is_empty() || !name.chars().all(is_token_char) {
                return Err(Violation::BadHeader);
            }
            headers.push(name, value.trim());
        }
        Ok(Self { start, headers })
    }
}

impl StartLine {
    fn parse(line: &[u8]) -> Result<Self, Violation> {
        let line = line.trim_ascii();
        let (first, rest) = split_blank(line);
        if first.first_chunk().is_some_and(|scheme: &[u8; 5]| scheme.eq_ignore_ascii_case(b"RTSP/"))
        {
            return Self::parse_response(first, rest);
        }
        let (uri, version) = rsplit_blank(rest);
        if !is_our_version(version) || !first.iter().all(|b| is_token_char(char::from(*b))) {
            return Err(Violation::NotRtsp);
        }
        if uri.is_empty() || uri.len() > RTSP_URI_BYTES || !uri.iter().all(u8::is_ascii_graphic) {
            return Err(Violation::BadUri);
        }
        Ok(Self::Request {
            method_text: String::from_utf8_lossy(first).into_owned(),
            uri: String::from_utf8_lossy(uri).into_owned(),
        })
    }

    fn parse_response(version: &[u8], rest: &[u8]) -> Result<Self, Violation> {
        let (status, reason) = split_blank(rest);
        let status = match status {
            [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
                status.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'))
            }
            _ => return Err(Violation::NotRtsp),
        };
        if !is_our_version(version) {
            return Err(Violation::NotRtsp);
        }
        let reason = super::one_line(String::from_utf8_lossy(reason).into_owned());
        Ok(Self::Response { status, reason })
    }
}

fn is_our_version(version: &[u8]) -> bool {
    version.eq_ignore_ascii_case(b"RTSP/1.0")
}

/// The part before the first blank, and the part behind the blanks.
fn split_blank(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(bytes.len());
    let (first, rest) = bytes.split_at_checked(at).unwrap_or((bytes, b""));
    (first, rest.trim_ascii_start())
}

/// The part before the last blanks, and the part behind them.
fn rsplit_blank(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1);
    let (rest, last) = bytes.split_at_checked(at).unwrap_or((b"", bytes));
    (rest.trim_ascii_end(), last)
}

/// Strict: where a body ends must never be a matter of opinion.
fn body_length(headers: &Headers) -> Result<usize, Violation> {
    let mut length = None;
    for value in headers.all(CONTENT_LENGTH) {
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Violation::BadLength);
        }
        let value: usize = value.parse().map_err(|_| Violation::BodyTooLong)?;
        if length.is_some_and(|other| other != value) {
            return Err(Violation::BadLength);
        }
        length = Some(value);
    }
    let length = length.unwrap_or(0);
    if length > RTSP_BODY_BYTES { Err(Violation::BodyTooLong) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that come one by one must not be looked at again and again.
    #[test]
    fn the_work_grows_with_the_bytes_only() {
        let head = format!("RTSP/1.0 200\r\nA: {}\r\nContent-Length: 9\r\n", "a".repeat(9_000));
        let mut decoder = Decoder::new();
        let mut buffer = BytesMut::new();
        for byte in head.bytes() {
            buffer.extend_from_slice(&[byte]);
            assert_eq!(decoder.decode(&mut buffer), Ok(None));
            assert!(
                matches!(decoder.state, State::Head { searched, .. } if searched == buffer.len()),
                "the next search begins where this one ended"
            );
        }
        buffer.extend_from_slice(b"\r\n");
        for _ in 0..9 {
            assert_eq!(decoder.decode(&mut buffer), Ok(None));
            assert!(matches!(decoder.state, State::Body { .. }), "the head is not read again");
            buffer.extend_from_slice(b"b");
        }
        assert!(matches!(decoder.decode(&mut buffer), Ok(Some(Item::Response(_)))));
        assert!(buffer.is_empty());
    }
}
