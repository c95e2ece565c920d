//! Sender reports (RFC 3550 6.4.1) with a source description (6.5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::media::Published;

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;
const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const CNAME: u8 = 1;
/// The item's length is one byte.
const CNAME_BYTES: usize = 255;

/// What a sender report says of a track: which RTP timestamp is which moment, and what was sent till then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportPoint {
    ssrc: u32,
    wallclock: SystemTime,
    rtp_time: u32,
    clock_rate: u32,
    packets: u32,
    octets: u32,
}

impl ReportPoint {
    /// The moment of `published`, with what was sent before it.
    pub fn before(published: &Published) -> Self {
        Self {
            ssrc: published.ssrc,
            wallclock: published.unit.wallclock,
            rtp_time: published.rtp_time,
            clock_rate: published.unit.track.clock_rate,
            packets: published.packets_before,
            octets: published.octets_before,
        }
    }

    /// The moment of `published`, with what was sent up to its last packet.
    pub fn after(published: &Published) -> Self {
        let before = Self::before(published);
        Self {
            packets: before.packets.wrapping_add(published.packets),
            octets: before.octets.wrapping_add(published.octets),
            ..before
        }
    }

    /// The same track `time` later, with nothing sent since.
    #[must_use]
    pub fn later(self, time: Duration) -> Self {
        let ticks = time.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        // RTP timestamps count modulo 2^32.
        let low = u32::try_from(ticks & u128::from(u32::MAX)).unwrap_or_default();
        let wallclock = self.wallclock.checked_add(time).unwrap_or(self.wallclock);
        Self { wallclock, rtp_time: self.rtp_time.wrapping_add(low), ..self }
    }
}

/// A sender report with an SDES CNAME (RFC 3550 6.4.1, 6.5.1), framed for interleaved `channel`, which
/// is the track's RTCP channel. A `cname` over 255 bytes is cut.
pub fn sender_report(point: &ReportPoint, channel: u8, cname: &str) -> Bytes {
    let cut = (0..=CNAME_BYTES.min(cname.len())).rev().find(|end| cname.is_char_boundary(*end));
    let cname = cname.get(..cut.unwrap_or(0)).unwrap_or_default();
    let mut report = Vec::with_capacity(28 + 12 + cname.len() + 4);
    report.extend_from_slice(&[0x80, SENDER_REPORT, 0, 6]);
    report.extend_from_slice(&point.ssrc.to_be_bytes());
    report.extend_from_slice(&ntp(point.wallclock).to_be_bytes());
    report.extend_from_slice(&point.rtp_time.to_be_bytes());
    report.extend_from_slice(&point.packets.to_be_bytes());
    report.extend_from_slice(&point.octets.to_be_bytes());
    source_description(point.ssrc, cname, &mut report);
    let length = u16::try_from(report.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    [&[b'$', channel, high, low], report.as_slice()].concat().into()
}

fn source_description(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    // SSRC, item type and length, text, and one to four null octets that end the list.
    let chunk = 4 + 2 + cname.len();
    let padded = chunk + (4 - chunk % 4);
    let words = u16::try_from(padded / 4).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0x81, SOURCE_DESCRIPTION]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[CNAME, u8::try_from(cname.len()).unwrap_or(u8::MAX)]);
    out.extend_from_slice(cname.as_bytes());
    out.resize(out.len() + (padded - chunk), 0);
}

/// NTP timestamp format, 32.32 bits (RFC 3550 4). The seconds wrap in 2036 as everybody's.
fn ntp(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().wrapping_add(NTP_OFFSET);
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_point_keeps_clock_and_timestamp_together() {
        let point = ReportPoint {
            ssrc: 1,
            wallclock: UNIX_EPOCH,
            rtp_time: u32::MAX - 89_999,
            clock_rate: 90_000,
            packets: 5,
            octets: 6,
        };
        let later = point.later(Duration::from_millis(1500));
        assert_eq!(later.rtp_time, 45_000);
        assert_eq!(later.wallclock, UNIX_EPOCH + Duration::from_millis(1500));
        assert_eq!((later.packets, later.octets), (5, 6));
        // Once around the 32 bits, and a second more.
        let around = point.later(Duration::from_nanos((1 << 32) * 1_000_000_000 / 90_000));
        assert!(around.rtp_time.wrapping_sub(point.rtp_time).wrapping_add(1) <= 1);
    }

    #[test]
    fn ntp_counts_from_1900() {
        // RFC 5905 figure 4: 1 January 1970 is 2,208,988,800.
        assert_eq!(ntp(UNIX_EPOCH), 2_208_988_800 << 32);
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        assert_eq!(ntp(at), 3_908_988_800 << 32 | 0x8000_0000);
        // Era 1 begins at 2036-02-07 06:28:16 UTC.
        assert_eq!(ntp(UNIX_EPOCH + Duration::from_secs(2_085_978_496)) >> 32, 0);
    }
}
