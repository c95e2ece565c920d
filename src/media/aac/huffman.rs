//! Reading canonical Huffman codes.

use super::tables::{Codebook, SCALE_FACTOR_LENGTHS, SCALE_FACTORS, Tails};
use crate::media::Fault;
use crate::media::bits::BitReader;

/// Ones that may begin an escape sequence: values stay below 2^13.
const ESCAPE_PREFIX: usize = 8;

/// The position of the next codeword among all of a code in ascending order.
fn codeword(r: &mut BitReader<'_>, lengths: &[u16]) -> Result<usize, Fault> {
    // All bits that it may have, at once: to read them one by one is most of what a frame costs.
    let window = r.peek(lengths.len());
    let (mut first, mut index) = (0_u32, 0_u32);
    for (length, count) in (1..).zip(lengths) {
        let code = window >> (lengths.len() - length);
        first <<= 1;
        let count = u32::from(*count);
        if code < first + count {
            r.skip(length)?;
            return usize::try_from(index + code - first).map_err(|_| Fault::Truncated);
        }
        index += count;
        first += count;
    }
    Err(Fault::OutOfRange("a codeword"))
}

/// hcod_sf: a difference, -60 to 60.
pub(super) fn scale_factor(r: &mut BitReader<'_>) -> Result<i32, Fault> {
    let at = codeword(r, &SCALE_FACTOR_LENGTHS)?;
    let value = SCALE_FACTORS.get(at).ok_or(Fault::OutOfRange("hcod_sf"))?;
    Ok(i32::from(*value) - 60)
}

/// One codeword of a spectral codebook with its signs and escapes.
pub(super) fn spectral(r: &mut BitReader<'_>, book: &Codebook) -> Result<(), Fault> {
    let at = codeword(r, book.lengths)?;
    let digit = |tails: &[u8]| usize::from(tails.get(at).map_or(0, |t| t - b'0'));
    let (signs, escapes) = match book.tails {
        Tails::Signed => (0, 0),
        Tails::Signs(tails) => (digit(tails), 0),
        Tails::Escapes(tails) => match digit(tails) {
            both @ 0..=2 => (both, 0),
            both @ 3..=5 => (both - 3, 1),
            both => (both - 6, 2),
        },
    };
    r.skip(signs)?;
    for _ in 0..escapes {
        let mut ones = 0;
        while r.flag()? {
            ones += 1;
            if ones > ESCAPE_PREFIX {
                return Err(Fault::OutOfRange("hcod_esc"));
            }
        }
        r.skip(ones + 4)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tables::SPECTRAL;
    use super::*;

    #[test]
    fn the_codes_are_complete_and_of_the_right_size() {
        let sizes = [81, 81, 81, 81, 81, 81, 64, 64, 169, 169, 289];
        let all = SPECTRAL.iter().zip(sizes).map(|(book, size)| (book.lengths, size));
        for (lengths, size) in all.chain([(&SCALE_FACTOR_LENGTHS[..], 121)]) {
            assert_eq!(lengths.iter().sum::<u16>(), size);
            let kraft: u32 =
                (1..).zip(lengths).map(|(n, count)| u32::from(*count) << (19 - n)).sum();
            assert_eq!(kraft, 1 << 19, "every bit pattern is a codeword");
        }
        for (book, size) in SPECTRAL.iter().zip(sizes) {
            let (Tails::Signs(tails) | Tails::Escapes(tails)) = book.tails else { continue };
            assert_eq!(tails.len(), usize::from(size));
            assert_eq!(tails.iter().filter(|t| **t == b'0').count(), 1, "all values 0 once");
        }
        let mut differences = SCALE_FACTORS;
        differences.sort_unstable();
        assert!(differences.iter().zip(0..).all(|(a, b)| *a == b));
    }

    #[test]
    fn an_escape_is_bounded() {
        // Codebook 11: 0000 stands for (0, 0), 00100 for two escapes.
        let book = &SPECTRAL[10];
        assert_eq!(spectral(&mut BitReader::new(&[0]), book), Ok(()));
        let mut r = BitReader::new(&[0b0010_0000, 0b0000_0000, 0x7f]);
        assert_eq!((spectral(&mut r, book), r.position()), (Ok(()), 17));
        let mut r = BitReader::new(&[0b0010_0001, 0xff, 0xff, 0xff]);
        assert_eq!(spectral(&mut r, book), Err(Fault::OutOfRange("hcod_esc")));
    }
}
