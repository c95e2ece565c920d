//! JPEG (RFC 2435), types 0 and 1, with restart markers 64 and 65: the tables with each picture.

use super::{Malformed, Marker, PAYLOAD_BYTES, Sink};
use crate::media::{JpegHead, JpegSampling};

/// The tables are in the first packet and may change with each picture (3.1.8).
const Q_IN_BAND: u8 = 255;
/// Added to the type where restart markers are (3.1.3).
const WITH_RESTARTS: u8 = 64;
/// Main header, restart header, quantisation table header with its two tables.
const MAIN_BYTES: usize = 8;
const RESTART_BYTES: usize = 4;
const TABLES_BYTES: usize = 4 + 2 * 64;
/// 8-bit values, 128 bytes of them (3.1.8).
const TABLES_HEADER: [u8; 4] = [0, 0, 0, 128];
/// First and last packet of an interval in one, and no count: intervals do not follow packets (3.1.7).
const WHOLE_PICTURE: [u8; 2] = [0xff, 0xff];

/// The end marker goes along with the coded data: some depacketisers look for it before they add one.
pub(super) fn packetise(picture: &[u8], sink: &mut impl Sink) -> Result<(), Malformed> {
    let (head, coded) = JpegHead::split(picture).ok_or(Malformed)?;
    let eighths = |side: u16| u8::try_from(side / 8).map_err(|_| Malformed);
    let (width, height) = (eighths(head.size.width)?, eighths(head.size.height)?);
    let restart = match head.restart_interval {
        0 => None,
        interval => Some([interval.to_be_bytes(), WHOLE_PICTURE].concat()),
    };
    let kind = match head.sampling {
        JpegSampling::Yuv422 => 0,
        JpegSampling::Yuv420 => 1,
    };
    let kind = if restart.is_some() { kind + WITH_RESTARTS } else { kind };
    let restart = restart.unwrap_or_default();
    let room = PAYLOAD_BYTES - MAIN_BYTES - if restart.is_empty() { 0 } else { RESTART_BYTES };
    let (mut rest, mut offset) = (coded, 0_usize);
    loop {
        let first = offset == 0;
        let most = if first { room - TABLES_BYTES } else { room };
        let (part, behind) = rest.split_at_checked(most).unwrap_or((rest, &[]));
        let [0, o1, o2, o3] = u32::try_from(offset).map_err(|_| Malformed)?.to_be_bytes() else {
            return Err(Malformed);
        };
        let main = [0, o1, o2, o3, kind, Q_IN_BAND, width, height];
        let [luma, chroma] = &head.tables;
        let marker = if behind.is_empty() { Marker::Set } else { Marker::Clear };
        if first {
            sink.packet(&[&main, &restart, &TABLES_HEADER, luma, chroma, part], 0, marker);
        } else {
            sink.packet(&[&main, &restart, part], 0, marker);
        }
        if behind.is_empty() {
            return Ok(());
        }
        (rest, offset) = (behind, offset + part.len());
    }
}
