//! The names that frames carry. Each is read from bytes that anybody may have sent; what is no name gives none.

use hickory_proto::op::{Header, Query};
use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
use memchr::memmem;

use crate::segment::DeviceText;

/// The first question of a DNS, mDNS or LLMNR message, or what its first answer is about (RFC 1035 §4.1; RFC 6762).
pub(super) fn dns(message: &[u8]) -> Option<DeviceText> {
    first_name(message).and_then(|name| {
        let labels: Vec<_> = name.iter().map(<[u8]>::to_ascii_lowercase).collect();
        text(&labels.join(&b'.'))
    })
}

fn first_name(message: &[u8]) -> Option<Name> {
    let mut decoder = BinDecoder::new(message);
    let counts = Header::read(&mut decoder).ok()?.counts;
    if counts.queries > 0 {
        Query::read(&mut decoder).ok().map(|query| query.name().clone())
    } else if counts.answers > 0 {
        Name::read(&mut decoder).ok()
    } else {
        None
    }
}

/// The first name of a NetBIOS message, its letters put together again (RFC 1001 §14.1).
pub(super) fn net_bios(message: &[u8]) -> Option<DeviceText> {
    let name = first_name(message)?;
    let label = name.iter().next().filter(|label| label.len() == 32)?;
    let half = |letter: &u8| letter.to_ascii_lowercase().checked_sub(b'a').filter(|n| *n < 16);
    let bytes = label.chunks_exact(2).map(|pair| match pair {
        [high, low] => Some(half(high)? << 4 | half(low)?),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    // The last byte is the kind of service.
    text(bytes?.get(..15)?.trim_ascii_end())
}

/// `host (vendor class)` of a DHCP message (RFC 2132 §3.14, §9.13).
pub(super) fn dhcp(message: &[u8]) -> Option<DeviceText> {
    let mut options = message.get(236..)?.strip_prefix(&[99, 130, 83, 99])?;
    let (mut host, mut class) = (None, None);
    loop {
        options = match options {
            [] | [255, ..] => break,
            [0, rest @ ..] => rest,
            [kind, length, rest @ ..] => {
                let Some((value, rest)) = rest.split_at_checked((*length).into()) else { break };
                match kind {
                    12 => host = Some(value),
                    60 => class = Some(value),
                    _ => {}
                }
                rest
            }
            [_] => break,
        };
    }
    match (host, class) {
        (Some(host), Some(class)) => text(&[host, b" (", class, b")"].concat()),
        (Some(name), None) => text(name),
        (None, Some(class)) => text(&[b"(", class, b")"].concat()),
        (None, None) => None,
    }
}

/// What an SSDP message looks for or offers: `ST`, else `NT`, else `USN`.
pub(super) fn ssdp(message: &[u8]) -> Option<DeviceText> {
    let header = |wanted: &[u8]| {
        message.split(|b| *b == b'\n').find_map(|line| {
            let at = memchr::memchr(b':', line)?;
            let (name, value) = line.split_at(at);
            name.trim_ascii().eq_ignore_ascii_case(wanted).then(|| value.get(1..))?
        })
    };
    let found = header(b"ST").or_else(|| header(b"NT")).or_else(|| header(b"USN"))?;
    text(found.trim_ascii())
}

/// The types a WS-Discovery message is about, else its action.
pub(super) fn ws_discovery(message: &[u8]) -> Option<DeviceText> {
    let action = || element(message, b"Action").map(|action| after_last(action, b'/'));
    element(message, b"Types").or_else(action).and_then(text)
}

/// What a message of Hikvision's discovery wants (`inquiry`), or the serial number of who answers.
pub(super) fn sadp(message: &[u8]) -> Option<DeviceText> {
    element(message, b"DeviceSN").or_else(|| element(message, b"Types")).and_then(text)
}

/// The magic cookie of RFC 8489 §5.
pub(super) fn is_stun(message: &[u8]) -> bool {
    let (Some([kind, _, _, low]), Some(cookie)) = (message.first_chunk(), message.get(4..8)) else {
        return false;
    };
    kind & 0xc0 == 0 && low & 3 == 0 && cookie == [0x21, 0x12, 0xa4, 0x42] && message.len() >= 20
}

/// The user name of a STUN message, else the software's name (RFC 8489 §14).
pub(super) fn stun(message: &[u8]) -> Option<DeviceText> {
    let (mut user, mut software) = (None, None);
    let mut rest = message.get(20..)?;
    while let [a, b, c, d, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let Some(value) = after.get(..length) else { break };
        match u16::from_be_bytes([*a, *b]) {
            0x0006 => user = user.or(Some(value)),
            0x8022 => software = software.or(Some(value)),
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    user.or(software).and_then(text)
}

/// A long header with a version and a connection id of a lawful length (RFC 9000 §17.2).
pub(super) fn is_quic_initial(message: &[u8]) -> bool {
    let Some([first, version @ .., id]) = message.first_chunk::<6>() else { return false };
    first & 0xc0 == 0xc0 && *version != [0; 4] && *id <= 20 && message.len() > usize::from(*id) + 6
}

/// The system name of an LLDP frame, else its description (IEEE 802.1AB §8.5).
pub(super) fn lldp(frame: &[u8]) -> Option<DeviceText> {
    let (mut name, mut description) = (None, None);
    let mut rest = frame;
    while let [a, b, after @ ..] = rest {
        let head = u16::from_be_bytes([*a, *b]);
        let Some((value, next)) = after.split_at_checked((head & 0x01ff).into()) else { break };
        match head >> 9 {
            0 => break,
            5 => name = Some(value),
            6 => description = Some(value),
            _ => {}
        }
        rest = next;
    }
    name.or(description).and_then(text)
}

/// The text of the first XML element of this name, whatever its prefix. No parser: what a device sends need not be
/// XML, and nothing hangs on it.
fn element<'a>(message: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    for at in memmem::find_iter(message, name) {
        let (before, rest) = message.split_at_checked(at)?;
        let opens = match after_last(before, b'<') {
            prefix if prefix.len() == before.len() => false,
            prefix => prefix.is_empty() || is_prefix(prefix),
        };
        let close = memchr::memchr(b'>', rest)?;
        let (tag, content) = rest.split_at_checked(close)?;
        let whole = tag.get(name.len()).is_none_or(|b| b.is_ascii_whitespace());
        if opens && whole && !tag.ends_with(b"/") {
            let content = content.get(1..)?;
            let end = memchr::memchr(b'<', content).unwrap_or(content.len());
            return content.get(..end).map(<[u8]>::trim_ascii);
        }
    }
    None
}

fn is_prefix(text: &[u8]) -> bool {
    text.split_last().is_some_and(|(last, rest)| {
        *last == b':' && rest.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })
}

fn after_last(text: &[u8], byte: u8) -> &[u8] {
    memchr::memrchr(byte, text).and_then(|at| text.get(at + 1..)).unwrap_or(text)
}

/// Of nothing there is no name.
fn text(bytes: &[u8]) -> Option<DeviceText> {
    (!bytes.is_empty()).then(|| DeviceText::new(bytes))
}
