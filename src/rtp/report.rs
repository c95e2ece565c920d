//! Sender reports (RFC 3550 6.4.1) with a source description (6.5).

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::media::Published;

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;
const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const CNAME: u8 = 1;
/// The item's length is one byte.
const CNAME_BYTES: usize = 255;

/// A sender report with an SDES CNAME (RFC 3550 6.4.1, 6.5.1), framed for interleaved `channel`, which
/// is the track's RTCP channel. Says what was sent before `published`, and that its timestamp is its
/// wallclock. A `cname` over 255 bytes is cut.
pub fn sender_report(published: &Published, channel: u8, cname: &str) -> Bytes {
    let cut = (0..=CNAME_BYTES.min(cname.len())).rev().find(|end| cname.is_char_boundary(*end));
    let cname = cname.get(..cut.unwrap_or(0)).unwrap_or_default();
    let mut report = Vec::with_capacity(28 + 12 + cname.len() + 4);
    report.extend_from_slice(&[0x80, SENDER_REPORT, 0, 6]);
    report.extend_from_slice(&published.ssrc.to_be_bytes());
    report.extend_from_slice(&ntp(published.unit.wallclock).to_be_bytes());
    report.extend_from_slice(&published.rtp_time.to_be_bytes());
    report.extend_from_slice(&published.packets_before.to_be_bytes());
    report.extend_from_slice(&published.octets_before.to_be_bytes());
    source_description(published.ssrc, cname, &mut report);
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
    use std::time::Duration;

    use super::*;

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
