//! What must hold between the checks of payloads and the depacketisers: a check for `crate::app::fuzz`.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "as in tests: a panic is the verdict")]

use super::framing::Framing;
use crate::ingest::camera::depacketise::{Depacketiser, Dropped, Encoding, Format, Packet};
use crate::media::{G726, G726Packing, G726Rate};
use crate::ops::limits;

const ENCODINGS: [Encoding; 8] = [
    Encoding::H264,
    Encoding::H265,
    Encoding::Jpeg,
    Encoding::Aac,
    Encoding::Pcma,
    Encoding::Pcmu,
    Encoding::G726(G726 { rate: G726Rate::Kbit24, packing: G726Packing::Rfc3551 }),
    Encoding::L16,
];
const AAC: &str = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408";

/// Payloads of one track: the first byte says of which coding and how much may be held; then pieces of `length, marker
/// and loss, step in time, payload`. What the checks let through becomes access units, or is dropped and said so: never
/// a panic, never more held than allowed, and after a drop the first unit is marked.
pub fn depacketise(data: &[u8]) {
    let Some((how, mut rest)) = data.split_first() else { return };
    let encoding = ENCODINGS[usize::from(how & 7)];
    let most = if how & 8 == 0 { limits::ACCESS_UNIT_BYTES } else { 300 };
    let (clock_rate, parameters) = match encoding {
        Encoding::H264 | Encoding::H265 | Encoding::Jpeg => (90_000, None),
        Encoding::Aac => (16_000, Some(AAC.to_owned())),
        Encoding::Pcma | Encoding::Pcmu | Encoding::G726(_) | Encoding::L16 => (8_000, None),
    };
    let format = Format { encoding, clock_rate, channels: None, parameters };
    let Some(mut depacketiser) = Depacketiser::new(format) else { panic!("{encoding:?}") };
    let (mut framing, mut timestamp) = (Framing::new(encoding), 0_u32);
    let (mut gap, mut was_dropped) = (false, false);
    while let Some(([length, flags, step], tail)) = rest.split_first_chunk() {
        let (payload, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        timestamp = timestamp.wrapping_add_signed(i32::from(step.cast_signed()));
        gap |= flags & 2 != 0;
        if gap {
            framing.lose();
        }
        let Ok(checked) = framing.check(payload, timestamp, flags & 1 != 0) else {
            gap = true;
            continue;
        };
        let packet = Packet {
            timestamp: timestamp.into(),
            marker: checked.marker,
            lost: std::mem::take(&mut gap) || checked.torn,
            begins: checked.units,
            payload,
        };
        let pushed = depacketiser.push(packet, most, &mut |frame| {
            assert!(frame.after_drop == was_dropped, "{frame:?}");
            assert!(!was_dropped || frame.lost, "{frame:?}");
            was_dropped = false;
        });
        assert!(pushed != Err(Dropped::Panicked), "{encoding:?} {packet:?}");
        assert!(depacketiser.held_bytes() <= most);
        if pushed.is_err() {
            (gap, was_dropped) = (true, true);
        }
    }
}
