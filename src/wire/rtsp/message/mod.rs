//! Messages: types and the strict writer. [`Decoder`] is the reader.

mod decoder;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Violation};

use bytes::{BufMut, Bytes, BytesMut};

/// An RTSP method. Tokens compare with case (RFC 2326 6.1).
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

impl Method {
    /// The method of a token.
    pub fn from_token(token: &str) -> Self {
        match token {
            "OPTIONS" => Self::Options,
            "DESCRIBE" => Self::Describe,
            "ANNOUNCE" => Self::Announce,
            "SETUP" => Self::Setup,
            "PLAY" => Self::Play,
            "PAUSE" => Self::Pause,
            "RECORD" => Self::Record,
            "REDIRECT" => Self::Redirect,
            "GET_PARAMETER" => Self::GetParameter,
            "SET_PARAMETER" => Self::SetParameter,
            "TEARDOWN" => Self::Teardown,
            _ => Self::Other,
        }
    }

    /// The token; `OTHER` for [`Method::Other`], whose own text only its request knows.
    pub fn token(self) -> &'static str {
        match self {
            Self::Options => "OPTIONS",
            Self::Describe => "DESCRIBE",
            Self::Announce => "ANNOUNCE",
            Self::Setup => "SETUP",
            Self::Play => "PLAY",
            Self::Pause => "PAUSE",
            Self::Record => "RECORD",
            Self::Redirect => "REDIRECT",
            Self::GetParameter => "GET_PARAMETER",
            Self::SetParameter => "SET_PARAMETER",
            Self::Teardown => "TEARDOWN",
            Self::Other => "OTHER",
        }
    }
}

/// Header lines in order; names compare without case. The decoder takes at most
/// [`crate::ops::limits::RTSP_HEADERS`].
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

    /// All lines in order, as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds a header. Control characters in `value` are replaced by spaces, and so is whatever may not
    /// stand in `name`: nothing written can open a new line.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        let name = name.chars().map(|c| if is_token_char(c) { c } else { '-' }).collect();
        self.0.push((name, one_line(value.into())));
    }

    fn fold_into_last(&mut self, more: &str) -> bool {
        let Some((_, value)) = self.0.last_mut() else {
            return false;
        };
        value.push(' ');
        value.push_str(&one_line(more.to_owned()));
        true
    }

    fn cseq(&self) -> Option<u32> {
        decimal(self.get("CSeq")?)
    }

    /// Writes all lines and the empty one. `Content-Length` is ours: the length of `body`.
    fn encode_with(&self, body: &Bytes, out: &mut BytesMut) {
        let mut states_length = !body.is_empty();
        for (name, value) in self.iter() {
            if name.eq_ignore_ascii_case(CONTENT_LENGTH) {
                states_length = true;
                continue;
            }
            put(out, &[name, ": ", value, "\r\n"]);
        }
        if states_length {
            put(out, &[CONTENT_LENGTH, ": ", &body.len().to_string(), "\r\n"]);
        }
        put(out, &["\r\n"]);
        out.put_slice(body);
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method; its own text in `method_text`.
    pub method: Method,
    /// The method token as it came.
    pub method_text: String,
    /// Request-URI as it came: printable ASCII, at most [`crate::ops::limits::RTSP_URI_BYTES`].
    pub uri: String,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}

impl Request {
    /// A request with no headers and no body.
    pub fn new(method: Method, uri: impl Into<String>) -> Self {
        Self {
            method,
            method_text: method.token().to_owned(),
            uri: uri.into(),
            headers: Headers::default(),
            body: Bytes::new(),
        }
    }

    /// The bytes on the wire. `Content-Length` is written for a body. What may not stand in a URI is
    /// percent-encoded: it cannot open a new line.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256 + self.body.len());
        out.extend(self.method_text.bytes().filter(|b| is_token_char(char::from(*b))));
        out.put_u8(b' ');
        for byte in self.uri.bytes() {
            if byte.is_ascii_graphic() {
                out.put_u8(byte);
            } else {
                put(&mut out, &[&format!("%{byte:02X}")]);
            }
        }
        put(&mut out, &[" RTSP/1.0\r\n"]);
        self.headers.encode_with(&self.body, &mut out);
        out.freeze()
    }

    /// `CSeq` as a number.
    pub fn cseq(&self) -> Option<u32> {
        self.headers.cseq()
    }
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

impl Response {
    /// A response with the RFC's reason phrase for `status`.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            reason: reason_phrase(status).to_owned(),
            headers: Headers::default(),
            body: Bytes::new(),
        }
    }

    /// The bytes on the wire. `Content-Length` is written for a body.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256 + self.body.len());
        let reason = one_line(self.reason.clone());
        put(&mut out, &["RTSP/1.0 ", &format!("{:03}", self.status), " ", &reason, "\r\n"]);
        self.headers.encode_with(&self.body, &mut out);
        out.freeze()
    }

    /// `CSeq` as a number.
    pub fn cseq(&self) -> Option<u32> {
        self.headers.cseq()
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

/// The reason phrase of RFC 2326 7.1.1; `Unknown` for codes it does not name.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        451 => "Parameter Not Understood",
        452 => "Conference Not Found",
        453 => "Not Enough Bandwidth",
        454 => "Session Not Found",
        455 => "Method Not Valid in This State",
        456 => "Header Field Not Valid for Resource",
        457 => "Invalid Range",
        458 => "Parameter Is Read-Only",
        459 => "Aggregate Operation Not Allowed",
        460 => "Only Aggregate Operation Allowed",
        461 => "Unsupported Transport",
        462 => "Destination Unreachable",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "RTSP Version Not Supported",
        551 => "Option Not Supported",
        _ => "Unknown",
    }
}

const CONTENT_LENGTH: &str = "Content-Length";

fn put(out: &mut BytesMut, parts: &[&str]) {
    for part in parts {
        out.put_slice(part.as_bytes());
    }
}

/// A decimal number and nothing else: `u32::from_str` would take a `+`.
fn decimal(text: &str) -> Option<u32> {
    let text = text.trim();
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn one_line(text: String) -> String {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    } else {
        text
    }
}

/// RFC 2326 15.1 `token`.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
