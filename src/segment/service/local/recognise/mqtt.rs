//! MQTT: a CONNECT packet (3.1, 3.1.1 and 5.0). The password stands last, and is never read.

use super::{Reading, Recognition, named};
use crate::segment::Protocol;

const CONNECT: u8 = 0x10;
const HAS_USER: u8 = 0x80;
const HAS_WILL: u8 = 0x04;
const VERSION_5: u8 = 5;

pub(super) fn recognise(bytes: &[u8]) -> Reading {
    let rest = match bytes {
        [CONNECT, rest @ ..] => rest,
        [] => return Reading::TooShort,
        _ => return Reading::No,
    };
    let (length, body) = match variable(rest) {
        Ok(found) => found,
        Err(Bad::Short) => return Reading::TooShort,
        Err(Bad::Wrong) => return Reading::No,
    };
    let body = body.get(..length).unwrap_or(body);
    let is_cut = body.len() < length;
    let mut body = Reader(body);
    match body.text() {
        Ok(b"MQTT" | b"MQIsdp") => {}
        Err(_) if is_cut && body.could_be_mqtt() => return Reading::TooShort,
        Ok(_) | Err(_) => return Reading::No,
    }
    Reading::Is(match names(body) {
        Ok((client, user)) => Recognition::done(Protocol::Mqtt, named(Some(client), user)),
        Err(Bad::Short) if is_cut => Recognition::so_far(Protocol::Mqtt),
        Err(_) => Recognition::done(Protocol::Mqtt, None),
    })
}

/// Client id, and user name if there is one.
fn names(mut body: Reader<'_>) -> Result<(&[u8], Option<&[u8]>), Bad> {
    let [version, flags, _, _] = *body.take(4)? else { return Err(Bad::Wrong) };
    // The bridges of one broker set the highest bit.
    let version = version & 0x7f;
    if version == VERSION_5 {
        body.properties()?;
    }
    let client = body.text()?;
    if flags & HAS_WILL != 0 {
        if version == VERSION_5 {
            body.properties()?;
        }
        let _topic = body.text()?;
        let _message = body.text()?;
    }
    let user = if flags & HAS_USER == 0 { None } else { Some(body.text()?) };
    Ok((client, user))
}

enum Bad {
    Short,
    Wrong,
}

/// A length of one to four bytes, and what is behind it.
fn variable(bytes: &[u8]) -> Result<(usize, &[u8]), Bad> {
    let mut value = 0;
    for (n, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(n + 1..).unwrap_or_default()));
        }
    }
    Err(if bytes.len() < 4 { Bad::Short } else { Bad::Wrong })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Bad::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Behind its length in two bytes. Takes nothing if it is cut.
    fn text(&mut self) -> Result<&'a [u8], Bad> {
        let [high, low, rest @ ..] = self.0 else { return Err(Bad::Short) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (text, rest) = rest.split_at_checked(length).ok_or(Bad::Short)?;
        self.0 = rest;
        Ok(text)
    }

    fn properties(&mut self) -> Result<(), Bad> {
        let (length, rest) = variable(self.0)?;
        self.0 = rest;
        self.take(length).map(|_| ())
    }

    /// Whether the cut text is the beginning of the protocol's name.
    fn could_be_mqtt(&self) -> bool {
        [b"\0\x04MQTT".as_slice(), b"\0\x06MQIsdp"].iter().any(|name| name.starts_with(self.0))
    }
}
