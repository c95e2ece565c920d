//! What a connection that ends in the sink is, by the first bytes its client sent.
//!
//! Names are the ledger's: the server a device wanted, or what it calls itself. Never a path, a parameter, a
//! password, or another part that may hold one.

mod binary;
mod hello;
mod mqtt;
mod text;

use crate::segment::{DeviceText, Protocol};

/// What the bytes so far tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognition {
    /// What is spoken; [`Protocol::Tcp`] if nobody knows.
    pub protocol: Protocol,
    /// The name in it, in a form of the protocol:
    ///
    /// | protocol | name |
    /// |---|---|
    /// | TLS | server name, and application protocols in brackets: `cloud.example (h2 http/1.1)` |
    /// | HTTP | host, with its port if one is written |
    /// | RTSP | host of the URI, with its port if one is written |
    /// | MQTT | client id, and user name in brackets: `camera-1 (serial)` |
    /// | SSH, SMTP, DHIP | the client's banner, the name it greets by, `DHIP` |
    pub name: Option<DeviceText>,
    /// Whether more bytes would tell no more.
    pub is_done: bool,
}

impl Recognition {
    fn done(protocol: Protocol, name: Option<DeviceText>) -> Self {
        Self { protocol, name, is_done: true }
    }

    /// Known, but the name may still come.
    fn so_far(protocol: Protocol) -> Self {
        Self { protocol, name: None, is_done: false }
    }

    /// Nothing known yet.
    fn open() -> Self {
        Self::so_far(Protocol::Tcp)
    }

    /// Nobody knows.
    fn unknown() -> Self {
        Self::done(Protocol::Tcp, None)
    }
}

/// Recognises the first bytes of a client. Never panics, whatever they are; takes time in proportion to them.
pub fn recognise(bytes: &[u8]) -> Recognition {
    // Each looks at its own first bytes; no two take the same.
    let readers = [hello::recognise, mqtt::recognise, binary::recognise, text::recognise];
    let mut could_be = false;
    for reader in readers {
        match reader(bytes) {
            Reading::Is(recognition) => return recognition,
            Reading::TooShort => could_be = true,
            Reading::No => {}
        }
    }
    if could_be { Recognition::open() } else { Recognition::unknown() }
}

/// What one reader makes of the bytes.
enum Reading {
    /// It is this.
    Is(Recognition),
    /// It may be, with more bytes.
    TooShort,
    /// It is not, whatever follows.
    No,
}

/// `name (addition)`, without what is missing.
fn named(name: Option<&[u8]>, addition: Option<&[u8]>) -> Option<DeviceText> {
    let name = name.filter(|name| !name.is_empty());
    let addition = addition.filter(|addition| !addition.is_empty());
    let mut text = name.unwrap_or_default().to_vec();
    if let Some(addition) = addition {
        if name.is_some() {
            text.push(b' ');
        }
        text.push(b'(');
        text.extend_from_slice(addition);
        text.push(b')');
    }
    (!text.is_empty()).then(|| DeviceText::new(&text))
}

#[cfg(test)]
mod tests;
