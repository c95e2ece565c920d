//! The opening handshake (RFC 6455 4.2).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::serve::tunnel::head::{Fields, NotTunnel};

/// Where it is, as in ONVIF's examples; the stream is named inside.
const PATH: &str = "/rtspoverwebsocket";
/// The subprotocol of ONVIF's streaming specification.
const SUBPROTOCOL: &str = "rtsp.onvif.org";
/// What RFC 6455 1.3 adds to each key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Key`: 16 bytes as base64.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::serve::tunnel) struct Key(String);

/// Reads a GET without a cookie.
pub(in crate::serve::tunnel) fn asked(
    path: Option<&str>,
    fields: &Fields<'_>,
) -> Result<Key, NotTunnel> {
    let path = path.and_then(|path| path.split('?').next());
    if path != Some(PATH) || !fields.lists("Upgrade", "websocket") {
        return Err(NotTunnel::Other);
    }
    if !fields.lists("Connection", "upgrade") {
        return Err(NotTunnel::Malformed);
    }
    if fields.get("Sec-WebSocket-Version")? != Some(b"13") {
        return Err(NotTunnel::Version);
    }
    if !fields.lists("Sec-WebSocket-Protocol", SUBPROTOCOL) {
        return Err(NotTunnel::Subprotocol);
    }
    fields.get("Sec-WebSocket-Key")?.and_then(Key::parse).ok_or(NotTunnel::Malformed)
}

impl Key {
    fn parse(value: &[u8]) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(value).ok()?;
        let text = std::str::from_utf8(value).ok()?;
        (bytes.len() == 16).then(|| Self(text.to_owned()))
    }

    /// The answer that opens the WebSocket.
    pub(in crate::serve::tunnel) fn answer(&self) -> String {
        // SHA-1 is the protocol's: it shows that the server meant it, and protects nothing.
        let algorithm = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
        let text = format!("{}{GUID}", self.0);
        let accept = BASE64_STANDARD.encode(ring::digest::digest(algorithm, text.as_bytes()));
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::tunnel::head::Asked;

    const HEAD: &str = "GET /rtspoverwebsocket HTTP/1.1\r\nHost: gate:8322\r\nUpgrade: WebSocket\r\n\
                        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                        Sec-WebSocket-Protocol: chat, rtsp.onvif.org\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn parsed(head: &str) -> Result<Asked, NotTunnel> {
        Asked::parse(head.as_bytes())
    }

    #[test]
    fn the_key_of_the_rfc_gets_the_answer_of_the_rfc() {
        let Ok(Asked::WebSocket(key)) = parsed(HEAD) else { panic!("refused") };
        let answer = key.answer();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: rtsp.onvif.org\r\n"));
        assert!(!answer.contains("Extensions"), "none is agreed on");
    }

    #[test]
    fn what_is_no_handshake_of_ours_is_refused() {
        let refused = [
            ("/rtspoverwebsocket", "/", NotTunnel::Other),
            ("Upgrade: WebSocket", "Upgrade: h2c", NotTunnel::Other),
            ("keep-alive, Upgrade", "keep-alive", NotTunnel::Malformed),
            ("Version: 13", "Version: 8", NotTunnel::Version),
            ("Sec-WebSocket-Version: 13\r\n", "", NotTunnel::Version),
            ("chat, rtsp.onvif.org", "chat", NotTunnel::Subprotocol),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", NotTunnel::Malformed),
            ("dGhlIHNhbXBsZSBub25jZQ==", "a b", NotTunnel::Malformed),
            ("Host: gate:8322", "Origin: https://gate:8322", NotTunnel::WebPage),
        ];
        for (from, to, reason) in refused {
            let head = HEAD.replace(from, to);
            assert_ne!(head, HEAD, "{from}");
            assert_eq!(parsed(&head), Err(reason), "{to}");
        }
    }
}
