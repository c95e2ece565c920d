//! Messages and the bounded decoder.

use bytes::{Bytes, BytesMut};

/// An RTSP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum Method {
    Options,
    Describe,
    Announce,
    Setup,
    Play,
    Pause,
    Record,
    Redirect,
    GetParameter,
    SetParameter,
    Teardown,
    /// Any other token.
    Other,
}

/// Header lines in order; names compare without case. At most [`crate::limits::RTSP_HEADERS`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of `name`, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Adds a header. Control characters in `value` are replaced by spaces: nothing written can open a new line.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        let _ = (name, value.into());
        todo!()
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method; its own text in `method_text`.
    pub method: Method,
    /// The method token as it came.
    pub method_text: String,
    /// Request-URI as it came: printable ASCII, at most [`crate::limits::RTSP_URI_BYTES`].
    pub uri: String,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code, 100–999.
    pub status: u16,
    /// Reason phrase as it came; hostile text.
    pub reason: String,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}

impl Request {
    /// A request with no headers and no body.
    pub fn new(method: Method, uri: impl Into<String>) -> Self {
        let _ = (method, uri.into());
        todo!()
    }

    /// The bytes on the wire. `Content-Length` is written for a body.
    pub fn encode(&self) -> Bytes {
        todo!()
    }

    /// `CSeq` as a number.
    pub fn cseq(&self) -> Option<u32> {
        todo!()
    }
}

impl Response {
    /// A response with the RFC's reason phrase for `status`.
    pub fn new(status: u16) -> Self {
        let _ = status;
        todo!()
    }

    /// The bytes on the wire. `Content-Length` is written for a body.
    pub fn encode(&self) -> Bytes {
        todo!()
    }

    /// `CSeq` as a number.
    pub fn cseq(&self) -> Option<u32> {
        todo!()
    }
}

/// What a byte stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
    /// An interleaved frame (RFC 2326 10.12), without its 4-byte head.
    Interleaved {
        /// Channel.
        channel: u8,
        /// RTP or RTCP packet.
        payload: Bytes,
    },
    /// `\r` and `\n` between messages: how many bytes (the caller may count them).
    Blank(usize),
}

/// Bounded decoder of one direction of a connection. Holds no bytes: it takes whole items from the
/// caller's buffer, and says when the buffer can never become one.
#[derive(Debug, Clone, Default)]
pub struct Decoder {}

impl Decoder {
    /// A decoder with the limits of [`crate::limits`].
    pub fn new() -> Self {
        Self {}
    }

    /// Takes one item from the front of `buffer`; `None`: more bytes are needed. Accepts bare LF line
    /// ends. Never asks for more than head + body limit (or 65,539 bytes for a frame) before it fails.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Item>, Violation> {
        let _ = buffer;
        todo!()
    }
}

/// The peer broke the grammar or a limit; the connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Violation {
    #[error("message head over {} bytes", crate::limits::RTSP_HEAD_BYTES)]
    HeadTooLong,
    #[error("more than {} header lines", crate::limits::RTSP_HEADERS)]
    TooManyHeaders,
    #[error("body over {} bytes", crate::limits::RTSP_BODY_BYTES)]
    BodyTooLong,
    #[error("request-URI over {} bytes or not printable ASCII", crate::limits::RTSP_URI_BYTES)]
    BadUri,
    #[error("not RTSP/1.0")]
    NotRtsp,
    #[error("malformed header line")]
    BadHeader,
    #[error("malformed Content-Length")]
    BadLength,
}
