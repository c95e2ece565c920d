//! Protocols of lines: HTTP, RTSP, SSH and SMTP.

use super::{Reading, Recognition, named};
use crate::ops::limits;
use crate::segment::Protocol;

/// A first line without an end in so many bytes is none of ours; a URI may be long.
const LINE_BYTES: usize = 2048;

pub(super) fn recognise(bytes: &[u8]) -> Reading {
    let line_end = bytes.iter().position(|b| *b == b'\n');
    let line = bytes.get(..line_end.unwrap_or(bytes.len())).unwrap_or_default();
    let is_text = |b: &u8| matches!(b, b' '..=b'~' | b'\r' | b'\t');
    if line.len() > LINE_BYTES || !line.iter().all(is_text) {
        return Reading::No;
    }
    if line_end.is_none() {
        return beginning(line);
    }
    let line = line.trim_ascii();
    let mut words = line.split(|b| *b == b' ').filter(|word| !word.is_empty());
    let (first, second, last) = (words.next(), words.next(), words.next_back());
    match (first, second, last) {
        (Some(first), _, _) if first.starts_with(b"SSH-") => {
            Reading::Is(Recognition::done(Protocol::Ssh, named(Some(line), None)))
        }
        (Some(first), Some(name), _)
            if [b"EHLO", b"HELO"].iter().any(|verb| first.eq_ignore_ascii_case(*verb)) =>
        {
            Reading::Is(Recognition::done(Protocol::Smtp, named(Some(name), None)))
        }
        (Some(_), Some(uri), Some(version)) if version.starts_with(b"RTSP/") => {
            Reading::Is(Recognition::done(Protocol::Rtsp, named(host(uri), None)))
        }
        (Some(_), Some(_), Some(version)) if version.starts_with(b"HTTP/") => {
            Reading::Is(http(bytes))
        }
        _ => Reading::No,
    }
}

/// A first line that is still coming: told from noise by its first word.
fn beginning(line: &[u8]) -> Reading {
    let mut words = line.split(|b| *b == b' ');
    let first = words.next().unwrap_or_default();
    let lawful = first.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    // The longest method there is has 17 letters.
    if lawful && first.len() <= 32 || first.starts_with(b"SSH-") {
        Reading::TooShort
    } else {
        Reading::No
    }
}

/// The host named by the lines that have come whole.
fn http(bytes: &[u8]) -> Recognition {
    // "PRI * HTTP/2.0": what follows is no text.
    if bytes.starts_with(b"PRI * HTTP/2") {
        return Recognition::done(Protocol::Http, None);
    }
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    // An end is put where it is still missing, so that the reader gives what is there.
    let mut head = bytes.get(..whole).unwrap_or_default().to_vec();
    head.extend_from_slice(b"\r\n");
    let mut headers = [httparse::EMPTY_HEADER; limits::SINK_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(status) = request.parse(&head) else {
        return Recognition::done(Protocol::Http, None);
    };
    let asked = request.path.map(str::as_bytes);
    let named_host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
    let name = match (named_host, request.method) {
        (Some(header), _) => Some(header.value),
        // A proxy is asked for a host and port.
        (None, Some("CONNECT")) => asked,
        (None, _) => asked.and_then(host),
    };
    // The head's own end is the one that was put there, unless it came before.
    let is_whole = matches!(status, httparse::Status::Complete(end) if end < head.len());
    let is_done = name.is_some() || is_whole;
    let name = named(name.map(<[u8]>::trim_ascii), None);
    Recognition { protocol: Protocol::Http, name, is_done }
}

/// The host of a URI with its port; never what stands before an `@`.
fn host(uri: &[u8]) -> Option<&[u8]> {
    let start = uri.windows(3).position(|three| three == b"://")? + 3;
    let rest = uri.get(start..)?;
    let authority = rest.split(|b| matches!(b, b'/' | b'?' | b'#')).next()?;
    authority.rsplit(|b| *b == b'@').next().filter(|host| !host.is_empty())
}
