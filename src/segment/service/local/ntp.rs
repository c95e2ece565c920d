//! The segment's time: an NTP server's answer (RFC 5905) from the box's clock.
//!
//! The gateway does not know how its own clock is kept. So it claims little: a low rank among servers
//! ([`STRATUM`]), the local clock as reference, and half a second of possible error.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a packet without extension fields and authentication; the length of every answer.
pub const PACKET_BYTES: usize = 48;

/// Clients take 1 to 15; with this, any real server ranks before us.
const STRATUM: u8 = 10;
/// A server's reference that is its own clock, in the notation of an address, as for all strata over 1.
const LOCAL_CLOCK: [u8; 4] = [127, 127, 1, 1];
/// Kiss code of a server that has no time yet (RFC 5905 7.4).
const NO_TIME: [u8; 4] = *b"INIT";
/// The clock is read to about a microsecond: log2 of seconds.
const PRECISION: i8 = -20;
/// How far the clock may be off, 16.16 seconds: half a second. Clients refuse a server at one to three seconds.
const ROOT_DISPERSION: u32 = 0x8000;
/// Seconds from NTP's epoch, 1900, to UNIX's.
const EPOCH: u64 = 2_208_988_800;
/// A clock before 2020 was never set: 2020-01-01 in seconds of the UNIX epoch.
const CLOCK_IS_SET: u64 = 1_577_836_800;
/// Some clients want to see that the server's clock was set within a day; ours claims the last full period.
const REFERENCE_PERIOD: u64 = 64;

const MODE_SYMMETRIC_ACTIVE: u8 = 1;
const MODE_SYMMETRIC_PASSIVE: u8 = 2;
const MODE_CLIENT: u8 = 3;
const MODE_SERVER: u8 = 4;
const LEAP_UNSYNCHRONISED: u8 = 3;

/// The answer to one datagram, never longer than it. `None`: silence, for all but requests of clients (mode 3) and
/// of those that call themselves peers (mode 1, answered as passive) in versions 1 to 4. Management requests
/// (modes 6 and 7) get none. Extension fields and authentication are not answered.
pub fn answer(datagram: &[u8], now: SystemTime) -> Option<[u8; PACKET_BYTES]> {
    let request: &[u8; PACKET_BYTES] = datagram.get(..PACKET_BYTES)?.try_into().ok()?;
    let [first, _, poll, ..] = *request;
    let (version, mode) = (first >> 3 & 7, first & 7);
    let mode = match mode {
        MODE_CLIENT => MODE_SERVER,
        MODE_SYMMETRIC_ACTIVE => MODE_SYMMETRIC_PASSIVE,
        _ => return None,
    };
    if !(1..=4).contains(&version) {
        return None;
    }
    let [.., a, b, c, d, e, f, g, h] = *request;
    let origin = [a, b, c, d, e, f, g, h];
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let is_set = since.as_secs() >= CLOCK_IS_SET;
    let leap = if is_set { 0 } else { LEAP_UNSYNCHRONISED };
    let reference = if is_set { since.as_secs() / REFERENCE_PERIOD * REFERENCE_PERIOD } else { 0 };
    let reference = if is_set { timestamp(Duration::from_secs(reference)) } else { [0; 8] };
    let time = timestamp(since);
    let mut answer = [0; PACKET_BYTES];
    let fields: [&[u8]; 9] = [
        &[leap << 6 | version << 3 | mode, if is_set { STRATUM } else { 0 }, poll],
        &PRECISION.to_be_bytes(),
        // Root delay: there is no way to the clock.
        &[0; 4],
        &ROOT_DISPERSION.to_be_bytes(),
        if is_set { &LOCAL_CLOCK } else { &NO_TIME },
        &reference,
        &origin,
        &time,
        &time,
    ];
    for (to, from) in answer.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    Some(answer)
}

/// 32.32 seconds since 1900, which begin anew in 2036.
fn timestamp(since_1970: Duration) -> [u8; 8] {
    let seconds = since_1970.as_secs().wrapping_add(EPOCH);
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    (seconds << 32 | fraction).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29 12:00:00.25
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_795_953_600_250)
    }

    fn request(first: u8) -> [u8; PACKET_BYTES] {
        let mut request = [0; PACKET_BYTES];
        request[0] = first;
        request[2] = 6;
        request[40..].copy_from_slice(b"transmit");
        request
    }

    #[test]
    fn a_client_gets_the_time_of_the_box() {
        let answer = answer(&request(0x23), now()).unwrap();
        assert_eq!(answer[..4], [0x24, STRATUM, 6, 0xec]);
        assert_eq!(answer[4..12], [0, 0, 0, 0, 0, 0, 0x80, 0]);
        assert_eq!(answer[12..16], LOCAL_CLOCK);
        assert_eq!(answer[24..32], *b"transmit");
        let seconds = u32::try_from(1_795_953_600 + EPOCH).unwrap();
        let mut expected = seconds.to_be_bytes().to_vec();
        expected.extend([0x40, 0, 0, 0]);
        assert_eq!(answer[32..40], *expected);
        assert_eq!(answer[40..48], *expected);
        let reference = u32::from_be_bytes(answer[16..20].try_into().unwrap());
        assert!(seconds - reference < 64);
    }

    #[test]
    fn versions_and_peers_are_answered_in_kind() {
        for (asked, answered) in [(0x0b, 0x0c), (0x1b, 0x1c), (0xe3, 0x24), (0x21, 0x22)] {
            assert_eq!(answer(&request(asked), now()).unwrap()[0], answered, "{asked:x}");
        }
    }

    #[test]
    fn nothing_else_is_answered() {
        for first in 0..=255_u8 {
            let lawful = matches!(first & 7, 1 | 3) && matches!(first >> 3 & 7, 1..=4);
            assert_eq!(answer(&request(first), now()).is_some(), lawful, "{first:x}");
        }
        assert_eq!(answer(&request(0x23)[..47], now()), None);
        assert!(answer(&[0x23; 68], now()).is_some(), "an authenticated one gets a plain answer");
    }

    #[test]
    fn a_clock_that_was_never_set_says_so() {
        for unset in [UNIX_EPOCH, UNIX_EPOCH - Duration::from_secs(9)] {
            let answer = answer(&request(0x23), unset).unwrap();
            assert_eq!(answer[..2], [0xe4, 0]);
            assert_eq!(answer[12..16], NO_TIME);
        }
        let before = UNIX_EPOCH + Duration::from_secs(CLOCK_IS_SET - 1);
        assert_eq!(answer(&request(0x23), before).unwrap()[0], 0xe4);
        let set = UNIX_EPOCH + Duration::from_secs(CLOCK_IS_SET);
        assert_eq!(answer(&request(0x23), set).unwrap()[0], 0x24);
    }

    #[test]
    fn the_second_era_begins_in_2036() {
        let era = UNIX_EPOCH + Duration::from_secs((1 << 32) - EPOCH + 5);
        assert_eq!(answer(&request(0x23), era).unwrap()[40..48], [0, 0, 0, 5, 0, 0, 0, 0]);
    }
}
