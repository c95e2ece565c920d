//! Bits of a raw byte sequence payload (H.264 7.2, H.265 7.2), and of AAC.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use bytes::Bytes;

use super::Fault;
use crate::ops::limits;

/// Takes the emulation prevention bytes out of a NAL unit behind its header. The payload ends where a
/// start code begins: some cameras leave one behind each parameter set.
pub(super) fn unescape(payload: &[u8]) -> Result<Vec<u8>, Fault> {
    if payload.len() > limits::PARAMETER_SET_BYTES {
        return Err(Fault::TooLong);
    }
    Ok(unescape_all(payload))
}

/// As [`unescape`], for bytes that the caller has bounded.
pub(super) fn unescape_all(payload: &[u8]) -> Vec<u8> {
    let mut rbsp = Vec::with_capacity(payload.len());
    let mut rest = payload;
    while let Some(at) = rest.windows(2).position(|pair| pair == [0, 0]) {
        let (run, behind) = rest.split_at(at + 2);
        rbsp.extend_from_slice(run);
        rest = match behind {
            [0..=2, ..] => &[],
            [3, behind @ ..] => behind,
            behind => behind,
        };
    }
    rbsp.extend_from_slice(rest);
    while rbsp.last() == Some(&0) {
        rbsp.pop();
    }
    rbsp
}

/// A NAL unit of `header` and `rbsp`, with emulation prevention.
pub(super) fn escape(header: &[u8], rbsp: &[u8]) -> Bytes {
    let mut nal = Vec::with_capacity(header.len() + rbsp.len() + rbsp.len() / 16);
    nal.extend_from_slice(header);
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros == 2 && byte <= 3 {
            nal.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        nal.push(byte);
    }
    nal.into()
}

/// The first bytes of a coded slice behind its NAL header, without emulation prevention.
pub(super) fn slice_start(payload: &[u8]) -> Cow<'_, [u8]> {
    /// The longest slice header that is read: H.265 with weights for 15 + 15 pictures and entry points.
    const BYTES: usize = 1024;
    let start = payload.get(..BYTES).unwrap_or(payload);
    if memchr::memmem::find(start, &[0, 0, 3]).is_none() {
        return Cow::Borrowed(start);
    }
    Cow::Owned(unescape_all(start))
}

/// Reads bits, most significant first. Never reads past the end.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bits read so far.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Bits that are left.
    pub(super) fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.position)
    }

    /// u(1) as a flag.
    #[inline]
    pub(super) fn flag(&mut self) -> Result<bool, Fault> {
        let byte = *self.bytes.get(self.position / 8).ok_or(Fault::Truncated)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// u(n), n ≤ 32.
    #[inline]
    pub(super) fn bits(&mut self, n: usize) -> Result<u32, Fault> {
        debug_assert!(n <= 32, "u({n})");
        if n > self.left() {
            return Err(Fault::Truncated);
        }
        let value = self.peek(n);
        self.position += n;
        Ok(value)
    }

    /// The next n ≤ 32 bits without taking them; zeros stand for bits past the end.
    #[inline]
    pub(super) fn peek(&self, n: usize) -> u32 {
        let first = self.position / 8;
        let window = match self.bytes.get(first..).and_then(<[u8]>::first_chunk) {
            Some(eight) => u64::from_be_bytes(*eight),
            None => self.last_window(first),
        };
        let window = window << (self.position % 8) >> 32 >> (32 - n);
        u32::try_from(window).unwrap_or(0)
    }

    /// Less than eight bytes, and zeros behind them.
    fn last_window(&self, first: usize) -> u64 {
        (first..first + 8)
            .fold(0, |window, at| window << 8 | u64::from(self.bytes.get(at).copied().unwrap_or(0)))
    }

    /// Passes over n bits.
    #[inline]
    pub(super) fn skip(&mut self, n: usize) -> Result<(), Fault> {
        if n > self.left() {
            return Err(Fault::Truncated);
        }
        self.position += n;
        Ok(())
    }

    /// n bits that must be zero.
    pub(super) fn zeros(&mut self, n: usize, name: &'static str) -> Result<(), Fault> {
        for _ in 0..n {
            if self.flag()? {
                return Err(Fault::Unsupported(name));
            }
        }
        Ok(())
    }

    /// ue(v): 0 to 2^32 - 2.
    pub(super) fn ue(&mut self) -> Result<u32, Fault> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Fault::OutOfRange("an Exp-Golomb code"));
            }
        }
        Ok((1_u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// ue(v) not above `max`.
    pub(super) fn ue_to(&mut self, max: u32, name: &'static str) -> Result<u32, Fault> {
        let value = self.ue()?;
        if value <= max { Ok(value) } else { Err(Fault::OutOfRange(name)) }
    }

    /// se(v) within `range`.
    pub(super) fn se_in(
        &mut self,
        range: RangeInclusive<i32>,
        name: &'static str,
    ) -> Result<i32, Fault> {
        let code = i64::from(self.ue()?);
        let value = if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) };
        let value = i32::try_from(value).map_err(|_| Fault::OutOfRange(name))?;
        if range.contains(&value) { Ok(value) } else { Err(Fault::OutOfRange(name)) }
    }

    /// se(v) of any value the standards allow.
    pub(super) fn se(&mut self) -> Result<i32, Fault> {
        self.se_in(-i32::MAX..=i32::MAX, "an Exp-Golomb code")
    }

    /// Whether anything but rbsp_trailing_bits is left. True for a payload without them.
    pub(super) fn more_rbsp_data(&self) -> bool {
        let end = self.bytes.iter().rposition(|b| *b != 0);
        let Some((end, last)) = end.and_then(|i| Some((i, self.bytes.get(i)?))) else {
            return false;
        };
        let stop = end * 8 + 7 - usize::try_from(last.trailing_zeros()).unwrap_or(0);
        self.position < stop
    }

    /// Takes rbsp_trailing_bits; gives the bytes up to their end.
    pub(super) fn finish(mut self) -> Result<&'a [u8], Fault> {
        if !self.flag()? {
            return Err(Fault::Behind);
        }
        while !self.position.is_multiple_of(8) {
            if self.flag()? {
                return Err(Fault::Behind);
            }
        }
        self.bytes.get(..self.position / 8).ok_or(Fault::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_prevention_goes_there_and_back() {
        let rbsp = [0, 0, 1, 0, 0, 0, 3, 0, 0, 2, 4, 0, 0, 4, 0x80];
        let nal = escape(&[0x67], &rbsp);
        assert!(memchr::memmem::find(&nal, &[0, 0, 1]).is_none());
        assert_eq!(unescape(&nal[1..]), Ok(rbsp.to_vec()));
    }

    #[test]
    fn emulation_prevention_is_taken_out_as_the_standard_says() {
        let byte_by_byte = |payload: &[u8]| {
            let (mut rbsp, mut zeros) = (Vec::new(), 0);
            for &byte in payload {
                match (zeros, byte) {
                    (2, 0..=2) => break,
                    (2, 3) => zeros = 0,
                    (_, byte) => {
                        zeros = if byte == 0 { zeros + 1 } else { 0 };
                        rbsp.push(byte);
                    }
                }
            }
            rbsp.truncate(rbsp.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1));
            rbsp
        };
        for length in 0..8 {
            for number in 0..4_usize.pow(length) {
                let digit = |place| [0, 1, 3, 7][number >> (2 * place) & 3];
                let payload: Vec<u8> = (0..length).map(digit).collect();
                assert_eq!(unescape_all(&payload), byte_by_byte(&payload), "{payload:?}");
            }
        }
    }

    #[test]
    fn a_start_code_ends_the_payload() {
        assert_eq!(unescape(&[1, 0x80, 0, 0, 0, 1, 9, 9]), Ok(vec![1, 0x80]));
        assert_eq!(unescape(&[1, 0x80, 0, 0, 2, 9]), Ok(vec![1, 0x80]));
    }

    #[test]
    fn a_parameter_set_has_a_limit() {
        assert!(unescape(&[1; limits::PARAMETER_SET_BYTES]).is_ok());
        assert_eq!(unescape(&[1; limits::PARAMETER_SET_BYTES + 1]), Err(Fault::TooLong));
    }

    #[test]
    fn a_look_ahead_is_what_the_flags_say() {
        let bytes = [0x9d, 0x2c, 0x01, 0xff, 0x80, 0x37, 0xe4, 0x5a, 0xc3, 0x10, 0xfe];
        for position in 0..=bytes.len() * 8 {
            let mut r = BitReader::new(&bytes);
            r.skip(position).unwrap();
            let mut flags = r.clone();
            let mut expected = 0;
            for n in 0..=32 {
                assert_eq!(r.peek(n), expected, "{n} bits at {position}");
                expected = expected << 1 | u32::from(flags.flag().unwrap_or(false));
            }
        }
    }

    #[test]
    fn codes_of_the_standard() {
        // H.264 table 9-2: 1 010 011 00100 00101.
        let mut r = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| r.ue().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        let mut r = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| r.se().unwrap()).collect::<Vec<_>>(), [0, 1, -1, 2, -2]);
        let mut r = BitReader::new(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(r.ue(), Ok(u32::MAX - 1), "31 zeros and all ones");
        assert_eq!(BitReader::new(&[0; 9]).ue(), Err(Fault::OutOfRange("an Exp-Golomb code")));
        assert_eq!(BitReader::new(&[0; 2]).ue(), Err(Fault::Truncated));
        assert_eq!(BitReader::new(&[0x28]).ue_to(3, "x"), Err(Fault::OutOfRange("x")));
        assert_eq!(BitReader::new(&[0x12, 0x34, 0x56, 0x78]).bits(32), Ok(0x1234_5678));
        assert_eq!(BitReader::new(&[0x12, 0x34, 0x56]).bits(25), Err(Fault::Truncated));
    }

    #[test]
    fn trailing_bits_are_strict() {
        let at = |bytes: &'static [u8], n| {
            let mut r = BitReader::new(bytes);
            r.skip(n).unwrap();
            (r.more_rbsp_data(), r.finish())
        };
        assert_eq!(at(&[0b1011_0000], 3), (false, Ok(&[0b1011_0000][..])));
        assert_eq!(at(&[0b1011_0000], 2), (true, Err(Fault::Behind)));
        assert_eq!(at(&[0b1010_0000], 3), (false, Err(Fault::Behind)));
        assert_eq!(at(&[0xff, 0x80], 8), (false, Ok(&[0xff, 0x80][..])));
        assert_eq!(at(&[0xff], 8), (false, Err(Fault::Truncated)));
        assert_eq!(at(&[0xff, 0x80, 7], 8), (true, Ok(&[0xff, 0x80][..])));
    }

    #[test]
    fn a_peek_sees_zeros_past_the_end() {
        let mut r = BitReader::new(&[0xff]);
        r.skip(4).unwrap();
        assert_eq!(r.peek(16), 0xf000);
        assert_eq!((r.position(), r.left()), (4, 4));
    }
}
