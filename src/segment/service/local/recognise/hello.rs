//! A TLS ClientHello (RFC 8446 4.1.2): server name and application protocols.
//!
//! rustls's own reader refuses what it could not talk to, such as the hello of a camera that knows TLS 1.0 only;
//! but the name in it is just what the ledger wants. Where rustls takes a hello, both must read the same: a test and
//! a fuzz target compare them.

use super::{Reading, Recognition, named};
use crate::ops::limits;
use crate::segment::Protocol;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

pub(super) fn recognise(bytes: &[u8]) -> Reading {
    match bytes {
        [HANDSHAKE, 3, ..] => {}
        [] | [HANDSHAKE] => return Reading::TooShort,
        // The hello of SSL 2.0 by which old clients begin any version: it holds no name.
        [0x80..=0x81, _, CLIENT_HELLO, 2 | 3, ..] => {
            return Reading::Is(Recognition::done(Protocol::Tls, None));
        }
        [0x80..=0x81] | [0x80..=0x81, _] | [0x80..=0x81, _, CLIENT_HELLO] => {
            return Reading::TooShort;
        }
        _ => return Reading::No,
    }
    let (handshake, is_cut) = handshake_bytes(bytes);
    Reading::Is(match read(&handshake) {
        Ok(hello) => {
            let name = named(hello.server_name.as_deref(), hello.protocols.as_deref());
            Recognition::done(Protocol::Tls, name)
        }
        Err(Bad::Short) if is_cut => Recognition::so_far(Protocol::Tls),
        // It is TLS to its first byte; nothing better will come.
        Err(Bad::Short | Bad::Wrong) => Recognition::done(Protocol::Tls, None),
    })
}

/// What is in the handshake records, put together, and whether more of them may follow.
fn handshake_bytes(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut handshake = Vec::with_capacity(bytes.len().min(limits::SINK_BYTES));
    loop {
        let [kind, 3, _, high, low, rest @ ..] = bytes else {
            // Cut within a header, or another protocol behind it.
            return (handshake, bytes.len() < 5);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind != HANDSHAKE || length == 0 {
            return (handshake, false);
        }
        let Some((record, rest)) = rest.split_at_checked(length) else {
            handshake.extend_from_slice(rest);
            return (handshake, true);
        };
        handshake.extend_from_slice(record);
        bytes = rest;
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Hello {
    server_name: Option<Vec<u8>>,
    /// With a blank between them.
    protocols: Option<Vec<u8>>,
}

/// Why there is no hello.
#[derive(Debug, PartialEq, Eq)]
enum Bad {
    /// It goes on behind the end.
    Short,
    /// It contradicts itself.
    Wrong,
}

/// Reads a hello that is there whole.
fn read(handshake: &[u8]) -> Result<Hello, Bad> {
    let mut outer = Reader(handshake);
    if outer.u8().map_err(|_| Bad::Short)? != CLIENT_HELLO {
        return Err(Bad::Wrong);
    }
    let body = outer.u24().and_then(|length| outer.take(length)).map_err(|_| Bad::Short)?;
    fields(Reader(body)).map_err(|Short| Bad::Wrong)
}

fn fields(mut body: Reader<'_>) -> Result<Hello, Short> {
    let _version_and_random = body.take(2 + 32)?;
    let _session = body.vector8()?;
    let _suites = body.vector16()?;
    let _compressions = body.vector8()?;
    let mut hello = Hello { server_name: None, protocols: None };
    if body.0.is_empty() {
        // Before TLS 1.2 there need not be any.
        return Ok(hello);
    }
    let mut extensions = Reader(body.vector16()?);
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let data = Reader(extensions.vector16()?);
        match kind {
            SERVER_NAME => hello.server_name = server_name(data)?,
            ALPN => hello.protocols = Some(protocols(data)?),
            _ => {}
        }
    }
    Ok(hello)
}

/// The first host name (RFC 6066 3).
fn server_name(mut data: Reader<'_>) -> Result<Option<Vec<u8>>, Short> {
    let mut list = Reader(data.vector16()?);
    while !list.0.is_empty() {
        let kind = list.u8()?;
        let name = list.vector16()?;
        if kind == 0 {
            // A name that ends in a dot is the same name.
            return Ok(Some(name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()));
        }
    }
    Ok(None)
}

fn protocols(mut data: Reader<'_>) -> Result<Vec<u8>, Short> {
    let mut list = Reader(data.vector16()?);
    let mut all = Vec::new();
    while !list.0.is_empty() {
        if !all.is_empty() {
            all.push(b' ');
        }
        all.extend_from_slice(list.vector8()?);
    }
    Ok(all)
}

/// The bytes end before the value does.
struct Short;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Short> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Short> {
        self.take(1)?.first().copied().ok_or(Short)
    }

    fn u16(&mut self) -> Result<u16, Short> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn u24(&mut self) -> Result<usize, Short> {
        Ok(usize::from(self.u8()?) << 16 | usize::from(self.u16()?))
    }

    fn vector8(&mut self) -> Result<&'a [u8], Short> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    fn vector16(&mut self) -> Result<&'a [u8], Short> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}
