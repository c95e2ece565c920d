//! Protocols known by a constant at their beginning.

use super::{Reading, Recognition, named};
use crate::segment::Protocol;

/// DHIP, by which Dahua's devices and tools speak: a header's length, and the letters.
const DHIP: &[u8] = b"\x20\0\0\0DHIP";
/// DVRIP, also called Sofia, of XMEye devices: a mark, a version of 0 or 1, and two bytes of nothing.
const DVRIP: [&[u8]; 2] = [&[0xff, 0, 0, 0], &[0xff, 1, 0, 0]];
/// STUN and TURN over TCP: a type below 0x4000, a length, and the cookie (RFC 8489 5).
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

pub(super) fn recognise(bytes: &[u8]) -> Reading {
    if bytes.starts_with(DHIP) {
        let name = named(Some(b"DHIP"), None);
        return Reading::Is(Recognition::done(Protocol::DhDiscover, name));
    }
    if DVRIP.iter().any(|mark| bytes.starts_with(mark)) {
        return Reading::Is(Recognition::done(Protocol::Xmeye, None));
    }
    if let [0..=0x3f, _, _, _, cookie @ ..] = bytes {
        if cookie.starts_with(&STUN_COOKIE) {
            return Reading::Is(Recognition::done(Protocol::Stun, None));
        }
        if STUN_COOKIE.starts_with(cookie) {
            return Reading::TooShort;
        }
    }
    let may_become = |mark: &&[u8]| mark.starts_with(bytes);
    let short_stun = matches!(bytes, [0..=0x3f, ..]) && bytes.len() < 4;
    if may_become(&DHIP) || DVRIP.iter().any(may_become) || short_stun {
        Reading::TooShort
    } else {
        Reading::No
    }
}
