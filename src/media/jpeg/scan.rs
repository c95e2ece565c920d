//! The entropy-coded data of the one scan: its markers, not its codes.

use memchr::memchr_iter;

use super::EOI;
use crate::media::Fault;

/// The coded data of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scan<'a> {
    /// Coded bytes and restart markers, without the end marker.
    pub(super) coded: &'a [u8],
    /// Whether something stands behind them, or before the end marker, that is no part of a picture.
    pub(super) trailing: bool,
}

/// Walks to the end marker, or to the end: a depacketiser may leave the marker out. All restart markers
/// that the head calls for must be there, in their order, with coded data between them.
pub(super) fn walk(data: &[u8], restarts: u32) -> Result<Scan<'_>, Fault> {
    let (mut seen, mut begins) = (0_u32, 0_usize);
    let mut end = (data.len(), false);
    for at in memchr_iter(0xff, data) {
        match data.get(at + 1).copied() {
            // A stuffed byte.
            Some(0) => {}
            Some(restart @ 0xd0..=0xd7) => {
                if u32::from(restart & 7) != seen & 7 || at == begins {
                    return Err(Fault::OutOfRange("a restart marker"));
                }
                seen = seen.saturating_add(1);
                begins = at + 2;
            }
            Some(EOI) => {
                end = (at, data.len() > at + 2);
                break;
            }
            // Half a marker, or fill bytes, which may stand only before the end.
            Some(0xff) | None => {
                let behind = data.get(at..).unwrap_or_default();
                let marker = behind.iter().copied().find(|byte| *byte != 0xff);
                if marker.is_some_and(|marker| marker != EOI) {
                    return Err(Fault::Unsupported("fill bytes within the coded data"));
                }
                end = (at, true);
                break;
            }
            Some(_) => return Err(Fault::Unsupported("a marker within the coded data")),
        }
    }
    let (end, trailing) = end;
    if seen != restarts {
        return Err(Fault::OutOfRange("the number of restart markers"));
    }
    match data.get(..end) {
        Some(coded) if end > begins => Ok(Scan { coded, trailing }),
        Some(_) | None => Err(Fault::Truncated),
    }
}
