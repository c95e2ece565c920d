//! Request-URIs as clients write them (RFC 2326 3.2), read into what they name.

use crate::media::{StreamName, TrackId};

/// What a request-URI names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// `*`, or a server without a path.
    Server,
    /// A stream, or one track of it.
    Stream(StreamUrl),
    /// A path that can be no stream of ours.
    Unknown,
}

/// A stream URL in its one canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamUrl {
    /// `scheme://authority` as the client reached us, without user info.
    origin: String,
    /// The stream.
    pub(super) stream: StreamName,
    /// `trackID=N`, if the URL names one track.
    pub(super) track: Option<TrackId>,
}

impl StreamUrl {
    /// The URL of the stream as a whole.
    pub(super) fn whole(&self) -> Self {
        Self { track: None, ..self.clone() }
    }

    /// Absolute, ends in `/`: what `Content-Base` says.
    pub(super) fn base(&self) -> String {
        format!("{}/{}/", self.origin, self.stream)
    }

    /// Absolute URL of one track: base and `a=control` joined.
    pub(super) fn track_url(&self, track: TrackId) -> String {
        format!("{}/{}/trackID={}", self.origin, self.stream, track.0)
    }
}

/// The URI is no RTSP URL at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Target {
    /// Reads a request-URI. Tolerated, because real clients send it: user info (left out), a query
    /// (ignored), slashes at the end, `trackID=N` appended with or without a slash or behind the query,
    /// `=` written as `%3D`.
    pub(super) fn parse(uri: &str) -> Result<Self, Malformed> {
        if uri == "*" {
            return Ok(Self::Server);
        }
        let (scheme, rest) = uri.split_once("://").ok_or(Malformed)?;
        let scheme = ["rtsp", "rtsps"]
            .into_iter()
            .find(|known| scheme.eq_ignore_ascii_case(known))
            .ok_or(Malformed)?;
        let (authority, path) = match rest.find(['/', '?']) {
            Some(end) => rest.split_at_checked(end).ok_or(Malformed)?,
            None => (rest, ""),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if !is_authority(host) {
            return Err(Malformed);
        }
        Ok(Self::of_path(format!("{scheme}://{host}"), path))
    }

    fn of_path(origin: String, path: &str) -> Self {
        let Some(path) = decode(path) else { return Self::Unknown };
        let (rest, track) = split_track(&path);
        let name = rest.split_once('?').map_or(rest, |(name, _)| name).trim_end_matches('/');
        if name.is_empty() {
            return if track.is_none() { Self::Server } else { Self::Unknown };
        }
        let track = match track {
            Some(number) => match number.parse() {
                Ok(number) => Some(TrackId(number)),
                Err(_) => return Self::Unknown,
            },
            None => None,
        };
        match name.strip_prefix('/').map(StreamName::parse) {
            Some(Ok(stream)) => Self::Stream(StreamUrl { origin, stream, track }),
            Some(Err(_)) | None => Self::Unknown,
        }
    }
}

/// Cuts `trackID=N` and what joins it off the end.
fn split_track(path: &str) -> (&str, Option<&str>) {
    const KEY: &str = "trackID=";
    let path = path.trim_end_matches('/');
    let digits = path.len() - path.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, number) = path.split_at_checked(digits).unwrap_or((path, ""));
    let key = before.len().checked_sub(KEY.len()).and_then(|at| before.split_at_checked(at));
    match key {
        Some((rest, key)) if !number.is_empty() && key.eq_ignore_ascii_case(KEY) => {
            (rest, Some(number))
        }
        Some(_) | None => (path, None),
    }
}

/// Percent-decodes once, and only what needed no encoding: nothing that was hidden can change what the
/// path means. `None` for any other escape.
fn decode(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut decoded = parts.next()?.to_owned();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2)?;
        let byte = u8::from_str_radix(hex, 16).ok()?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit())
            || !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='))
        {
            return None;
        }
        decoded.push(char::from(byte));
        decoded.push_str(rest);
    }
    Some(decoded)
}

/// Host and port are echoed to the client that sent them; only what a host may hold is.
fn is_authority(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(uri: &str) -> Option<(String, Option<u8>)> {
        match Target::parse(uri) {
            Ok(Target::Stream(url)) => Some((url.base(), url.track.map(|t| t.0))),
            Ok(Target::Server | Target::Unknown) | Err(Malformed) => None,
        }
    }

    #[test]
    fn the_ways_clients_write_a_stream() {
        let base = "rtsps://gate.example:322/door/main/".to_owned();
        for uri in [
            "rtsps://gate.example:322/door/main",
            "rtsps://gate.example:322/door/main/",
            "rtsps://gate.example:322/door/main//",
            "RTSPS://gate.example:322/door/main?transport=tcp&x=/y",
            "rtsps://gate.example:322/door/main/?x",
            "rtsps://user:p@ss@gate.example:322/door/main",
            "rtsps://gate.example:322/d%6For/main",
        ] {
            assert_eq!(stream(uri), Some((base.clone(), None)), "{uri}");
        }
        for uri in [
            "rtsps://gate.example:322/door/main/trackID=1",
            "rtsps://gate.example:322/door/main/trackID=1/",
            "rtsps://gate.example:322/door/main//trackID=1",
            "rtsps://gate.example:322/door/maintrackID=1",
            "rtsps://gate.example:322/door/main/trackid=1",
            "rtsps://gate.example:322/door/main/trackID%3D1",
            "rtsps://gate.example:322/door/main?a=b/trackID=1",
            "rtsps://gate.example:322/door/main/?a=b&trackID=1",
        ] {
            assert_eq!(stream(uri), Some((base.clone(), Some(1))), "{uri}");
        }
        assert_eq!(
            stream("rtsp://[2001:db8::1]:554/a/b/trackID=255"),
            Some(("rtsp://[2001:db8::1]:554/a/b/".to_owned(), Some(255)))
        );
    }

    #[test]
    fn what_is_no_stream() {
        for uri in [
            "rtsp://h/door",
            "rtsp://h//door/main",
            "rtsp://h/door/main/x",
            "rtsp://h/Door/main",
            "rtsp://h/door%2Fmain",
            "rtsp://h/door/../main",
            "rtsp://h/door/%2e%2e/main",
            "rtsp://h/door/main%00",
            "rtsp://h/door/main%+1",
            "rtsp://h/door/main%",
            "rtsp://h/door/main#x",
            "rtsp://h/door/main/trackID=256",
            "rtsp://h/door/main/trackID=",
            "rtsp://h/trackID=1",
        ] {
            assert_eq!(Target::parse(uri), Ok(Target::Unknown), "{uri}");
        }
        for uri in ["*", "rtsp://h", "rtsp://h/", "rtsp://h?x", "rtsps://u@h:1/"] {
            assert_eq!(Target::parse(uri), Ok(Target::Server), "{uri}");
        }
        for uri in [
            "",
            "/door/main",
            "http://h/door/main",
            "rtsp:/h/door/main",
            "rtsp:///door/main",
            "rtsp://a\"b/c/d",
            "rtsp://u@/a/b",
        ] {
            assert_eq!(Target::parse(uri), Err(Malformed), "{uri}");
        }
    }

    #[test]
    fn a_track_url_is_base_and_control() {
        let Ok(Target::Stream(url)) = Target::parse("rtsp://u:p@h/a/b?q") else { panic!() };
        assert_eq!(url.track_url(TrackId(3)), format!("{}trackID=3", url.base()));
        assert_eq!(url.track_url(TrackId(3)), "rtsp://h/a/b/trackID=3");
    }
}
