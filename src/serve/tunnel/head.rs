//! What the first bytes of a connection are, and the HTTP request heads of tunnels.

use std::fmt;

use super::websocket::{self, Key};
use crate::ops::limits;

/// What a connection's first bytes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// Too few bytes to tell.
    Open,
    /// RTSP, or nonsense that the RTSP decoder will refuse.
    Rtsp,
    /// An HTTP request head.
    Http,
}

impl Opening {
    /// Looks at all bytes that came. RTSP knows `GET_PARAMETER` and no `POST`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        const METHODS: [&[u8]; 2] = [b"GET ", b"POST "];
        if METHODS.iter().any(|method| bytes.starts_with(method)) {
            Self::Http
        } else if METHODS.iter().any(|method| method.starts_with(bytes)) {
            Self::Open
        } else {
            Self::Rtsp
        }
    }
}

/// The value of `x-sessioncookie`: it joins the halves of a tunnel. Within its time it is what only the
/// client knows, so it is not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Cookie(Box<str>);

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

impl Cookie {
    /// Printable ASCII without blanks, quotes and separators of lists.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let is_character =
            |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b',' | b';');
        let fits = (1..=limits::TUNNEL_COOKIE_BYTES).contains(&value.len());
        if !fits || !value.iter().all(is_character) {
            return None;
        }
        std::str::from_utf8(value).ok().map(|text| Self(text.into()))
    }
}

/// What an HTTP request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The half from us to the client.
    Get(Cookie),
    /// The half from the client to us.
    Post(Cookie),
    /// A WebSocket, with the key to be answered.
    WebSocket(Key),
}

/// Why a request is no tunnel of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTunnel {
    #[error("HTTP request head too long or with too many headers")]
    TooLong,
    #[error("malformed HTTP request")]
    Malformed,
    #[error("HTTP request that asks for no tunnel")]
    Other,
    #[error("HTTP request of a web page")]
    WebPage,
    #[error("chunked POST")]
    Chunked,
    #[error("WebSocket without the subprotocol rtsp.onvif.org")]
    Subprotocol,
    #[error("WebSocket of another version than 13")]
    Version,
}

impl NotTunnel {
    /// The HTTP status that says so.
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::TooLong => "431 Request Header Fields Too Large",
            Self::Malformed | Self::Subprotocol => "400 Bad Request",
            Self::Other => "404 Not Found",
            Self::WebPage => "403 Forbidden",
            Self::Chunked => "501 Not Implemented",
            // RFC 6455 4.2.2: with the version that would do.
            Self::Version => "426 Upgrade Required\r\nSec-WebSocket-Version: 13",
        }
    }
}

/// Finds the end of a head, looking at each byte once.
#[derive(Debug, Default)]
pub(super) struct HeadEnd {
    searched: usize,
    line: usize,
}

impl HeadEnd {
    /// The length of the head that `bytes` begin with, the empty line included, once it is whole.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, NotTunnel> {
        let window = bytes.get(..bytes.len().min(limits::TUNNEL_HEAD_BYTES)).unwrap_or_default();
        while let Some(at) =
            window.get(self.searched..).and_then(|rest| memchr::memchr(b'\n', rest))
        {
            let end = self.searched + at;
            if matches!(window.get(self.line..end), Some(b"" | b"\r")) {
                return Ok(Some(end + 1));
            }
            self.searched = end + 1;
            self.line = self.searched;
        }
        if window.len() == limits::TUNNEL_HEAD_BYTES {
            return Err(NotTunnel::TooLong);
        }
        self.searched = window.len();
        Ok(None)
    }
}

impl Asked {
    /// Reads a whole head.
    pub(super) fn parse(head: &[u8]) -> Result<Self, NotTunnel> {
        let mut headers = [httparse::EMPTY_HEADER; limits::TUNNEL_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(NotTunnel::Malformed),
            Err(httparse::Error::TooManyHeaders) => return Err(NotTunnel::TooLong),
            Err(_) => return Err(NotTunnel::Malformed),
        }
        let fields = Fields(request.headers);
        // Players send none. A page that a person has open could otherwise use that person's client
        // certificate or network.
        if fields.get("Origin")?.is_some() {
            return Err(NotTunnel::WebPage);
        }
        let cookie = match fields.get("x-sessioncookie")? {
            Some(value) => Some(Cookie::parse(value).ok_or(NotTunnel::Malformed)?),
            None => None,
        };
        match (request.method, cookie) {
            (Some("GET"), Some(cookie)) => Ok(Self::Get(cookie)),
            (Some("POST"), Some(_)) if fields.get("Transfer-Encoding")?.is_some() => {
                Err(NotTunnel::Chunked)
            }
            (Some("POST"), Some(cookie)) => Ok(Self::Post(cookie)),
            (Some("GET"), None) => websocket::asked(request.path, &fields).map(Self::WebSocket),
            _ => Err(NotTunnel::Other),
        }
    }
}

/// The headers of a request.
pub(super) struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    /// The value of a header that may stand once.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a [u8]>, NotTunnel> {
        let mut found = self.all(name);
        let first = found.next();
        if found.next().is_some() { Err(NotTunnel::Malformed) } else { Ok(first) }
    }

    /// Whether a comma-separated header has that word.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|b| *b == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let same = move |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|header| header.value.trim_ascii())
    }
}

/// The answer to the GET half: one recorder refuses a status line of HTTP/1.1.
pub(super) const OPENED: &str = "HTTP/1.0 200 OK\r\nConnection: close\r\nCache-Control: no-store\r\n\
                                 Pragma: no-cache\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n";

/// How an answer's status line begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Version {
    /// Towards the halves of a tunnel, as [`OPENED`].
    Http10,
    /// Towards everybody else: there are WebSocket clients that take no other.
    Http11,
}

/// An answer that refuses. Never 401: the login is RTSP's.
pub(super) fn refusal(version: Version, status: &str) -> String {
    let version = match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    };
    format!("HTTP/{version} {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(head: &str) -> Result<Asked, NotTunnel> {
        Asked::parse(head.as_bytes())
    }

    fn cookie(text: &str) -> Cookie {
        Cookie::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn http_is_told_from_rtsp_by_its_first_bytes() {
        for open in ["", "G", "GET", "P", "POST"] {
            assert_eq!(Opening::of(open.as_bytes()), Opening::Open, "{open}");
        }
        for rtsp in ["OPTIONS * RTSP/1.0", "GET_", "PL", "PA", "POSTER", "get ", "$", "\r\n", "\0"]
        {
            assert_eq!(Opening::of(rtsp.as_bytes()), Opening::Rtsp, "{rtsp}");
        }
        for http in ["GET ", "POST / HTTP/1.1"] {
            assert_eq!(Opening::of(http.as_bytes()), Opening::Http, "{http}");
        }
    }

    #[test]
    fn the_heads_of_ffmpeg_and_gstreamer_are_read() {
        let get = "GET /door/main HTTP/1.1\r\nUser-Agent: Lavf/62\r\nAccept: application/x-rtsp-tunnelled\r\n\
                   Range: bytes=0-\r\nConnection: close\r\nHost: 127.0.0.1:8322\r\nIcy-MetaData: 1\r\n\
                   x-sessioncookie: 0123456789abcdef\r\nPragma: no-cache\r\n\r\n";
        assert_eq!(asked(get), Ok(Asked::Get(cookie("0123456789abcdef"))));
        let post = "POST /door/main HTTP/1.0\r\nx-sessioncookie: ABg/+k==\r\n\
                    Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n\
                    Expires: Sun, 9 Jan 1972 00:00:00 GMT\r\n\r\n";
        assert_eq!(asked(post), Ok(Asked::Post(cookie("ABg/+k=="))));
        // Bare line feeds are no reason to refuse a player.
        assert!(asked(&post.replace('\r', "")).is_ok());
    }

    #[test]
    fn what_asks_for_no_tunnel_is_refused() {
        let refused = [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", NotTunnel::Other),
            ("POST / HTTP/1.1\r\n\r\n", NotTunnel::Other),
            ("GET /\r\n\r\n", NotTunnel::Malformed),
            ("GET / HTTP/1.1\r\nx-session cookie: a\r\n\r\n", NotTunnel::Malformed),
            ("GET / HTTP/1.1\r\nx-sessioncookie: \r\n\r\n", NotTunnel::Malformed),
            ("GET / HTTP/1.1\r\nx-sessioncookie: a b\r\n\r\n", NotTunnel::Malformed),
            ("GET / HTTP/1.1\r\nx-sessioncookie: a\u{e9}\r\n\r\n", NotTunnel::Malformed),
            (
                "GET / HTTP/1.1\r\nx-sessioncookie: a\r\nX-SessionCookie: b\r\n\r\n",
                NotTunnel::Malformed,
            ),
            (
                "GET / HTTP/1.1\r\nx-sessioncookie: a\r\nOrigin: https://page.example\r\n\r\n",
                NotTunnel::WebPage,
            ),
            (
                "POST / HTTP/1.1\r\nx-sessioncookie: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                NotTunnel::Chunked,
            ),
        ];
        for (head, reason) in refused {
            assert_eq!(asked(head), Err(reason), "{head}");
            let answer = refusal(Version::Http11, reason.status());
            assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 501"));
            assert!(!answer.contains("401") && answer.ends_with("\r\n\r\n"), "{answer}");
        }
    }

    #[test]
    fn a_cookie_and_the_number_of_headers_have_bounds() {
        let longest = "c".repeat(limits::TUNNEL_COOKIE_BYTES);
        let head = |cookie: &str| format!("GET / HTTP/1.1\r\nx-sessioncookie: {cookie}\r\n\r\n");
        assert!(asked(&head(&longest)).is_ok());
        assert_eq!(asked(&head(&(longest + "c"))), Err(NotTunnel::Malformed));

        let head = |others: usize| {
            format!("GET / HTTP/1.1\r\nx-sessioncookie: a\r\n{}\r\n", "n: v\r\n".repeat(others))
        };
        assert!(asked(&head(limits::TUNNEL_HEADERS - 1)).is_ok());
        assert_eq!(asked(&head(limits::TUNNEL_HEADERS)), Err(NotTunnel::TooLong));
        assert!(!format!("{:?}", cookie("planted")).contains("planted"));
    }

    #[test]
    fn a_head_that_does_not_end_is_refused_at_its_bound() {
        let mut head = b"GET / HTTP/1.1\r\nn: ".to_vec();
        head.resize(limits::TUNNEL_HEAD_BYTES - 4, b'v');
        head.extend_from_slice(b"\r\n\r\n");
        // However it is cut, and each byte is looked at once.
        let mut end = HeadEnd::default();
        for known in 0..head.len() {
            assert_eq!(end.find(&head[..known]), Ok(None));
        }
        assert_eq!(end.find(&head), Ok(Some(limits::TUNNEL_HEAD_BYTES)));

        head.insert(20, b'v');
        assert_eq!(HeadEnd::default().find(&head), Err(NotTunnel::TooLong));
    }
}
