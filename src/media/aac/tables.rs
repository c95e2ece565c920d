//! Numbers of ISO/IEC 14496-3: Huffman codebooks (tables 4.A.1 to 4.A.12) and scale factor bands
//! (tables 4.110 to 4.128), in the shortest form that a walk without decoding needs.

/// A codebook. Its codewords in ascending order are canonical: all of one length follow each other.
#[derive(Debug)]
pub(super) struct Codebook {
    /// Codewords of 1, 2, 3... bits.
    pub(super) lengths: &'static [u16],
    /// Values that one codeword stands for.
    pub(super) dimension: usize,
    /// What follows each codeword, in ascending order.
    pub(super) tails: Tails,
}

/// What follows a codeword.
#[derive(Debug)]
pub(super) enum Tails {
    /// Nothing: the values are signed.
    Signed,
    /// One sign bit for each value that is not 0: so many, as digits.
    Signs(&'static [u8]),
    /// Sign bits and escapes, as digits: sign bits plus three times the escapes.
    Escapes(&'static [u8]),
}

/// Codebooks 1 to 11.
pub(super) static SPECTRAL: [Codebook; 11] = [
    Codebook { lengths: &[1, 0, 0, 0, 8, 0, 24, 0, 24, 8, 16], dimension: 4, tails: Tails::Signed },
    Codebook { lengths: &[0, 0, 1, 1, 7, 24, 15, 19, 14], dimension: 4, tails: Tails::Signed },
    Codebook {
        lengths: &[1, 0, 0, 4, 2, 6, 3, 5, 15, 15, 8, 9, 3, 3, 5, 2],
        dimension: 4,
        tails: Tails::Signs(
            b"01111222223234331122323233122122433432324433233322324334423333334444223343444323\
              3",
        ),
    },
    Codebook {
        lengths: &[0, 0, 0, 10, 6, 0, 9, 21, 8, 14, 11, 2],
        dimension: 4,
        tails: Tails::Signs(
            b"43333120222212114444333333333333222222222222111144444433333333343334442222224333\
              3",
        ),
    },
    Codebook {
        lengths: &[1, 0, 0, 4, 4, 0, 4, 12, 12, 12, 18, 10, 4],
        dimension: 2,
        tails: Tails::Signed,
    },
    Codebook { lengths: &[0, 0, 0, 9, 0, 16, 13, 8, 23, 8, 4], dimension: 2, tails: Tails::Signed },
    Codebook {
        lengths: &[1, 0, 2, 1, 0, 4, 5, 10, 14, 15, 8, 4],
        dimension: 2,
        tails: Tails::Signs(b"0112221122211222222221122212122222222211222222222222112222222222"),
    },
    Codebook {
        lengths: &[0, 0, 1, 5, 7, 10, 14, 15, 8, 4],
        dimension: 2,
        tails: Tails::Signs(b"2212120112222222221122222222221212222222121222222222221212222112"),
    },
    Codebook {
        lengths: &[1, 0, 2, 1, 0, 4, 3, 8, 11, 20, 31, 38, 32, 14, 4],
        dimension: 2,
        tails: Tails::Signs(
            b"01122211222112222222211222222212122222222122222222122212222122221122222222222221\
              22212222222222222222222212212222222122222222222222212212222122222222222222222222\
              222222222",
        ),
    },
    Codebook {
        lengths: &[0, 0, 0, 3, 8, 14, 17, 25, 31, 41, 22, 8],
        dimension: 2,
        tails: Tails::Signs(
            b"22221122222112222022112222222222221212222222222221212222222222222222221222221222\
              22222222222222121222222212222221222222222222222221212122222222222222212122212221\
              222222122",
        ),
    },
    Codebook {
        lengths: &[0, 0, 0, 2, 6, 7, 16, 59, 55, 95, 43, 6],
        dimension: 2,
        tails: Tails::Escapes(
            b"02811222222121222222211222222222222222555552512152555522222552255522525552522552\
              22155222212552252522222225221222222122222222222222122222222222422222242122222222\
              22222222222222222222221222222222222222222122222222222222222222222222211222222222\
              2222222222222222212212122212222211222212212112112",
        ),
    },
];

/// Scale factor codewords of 1, 2, 3... bits.
pub(super) static SCALE_FACTOR_LENGTHS: [u16; 19] =
    [1, 0, 1, 3, 2, 4, 3, 5, 4, 6, 6, 6, 5, 8, 4, 7, 3, 7, 46];
/// The difference plus 60 that each of them stands for.
pub(super) static SCALE_FACTORS: [u8; 121] = [
    60, 59, 61, 58, 62, 57, 63, 56, 64, 55, 65, 66, 54, 67, 53, 68, 52, 69, 51, 70, 50, 49, 71, 72,
    48, 73, 47, 74, 46, 76, 75, 77, 78, 45, 43, 44, 79, 42, 41, 80, 40, 81, 39, 82, 38, 83, 37, 35,
    85, 33, 36, 34, 84, 32, 87, 89, 30, 31, 86, 29, 26, 27, 28, 24, 88, 25, 22, 23, 90, 21, 19, 3,
    1, 2, 0, 98, 99, 100, 101, 102, 117, 97, 91, 92, 93, 94, 95, 96, 104, 111, 112, 113, 114, 115,
    116, 110, 105, 106, 107, 108, 109, 118, 6, 8, 9, 10, 5, 103, 120, 119, 4, 7, 15, 16, 18, 20,
    17, 11, 12, 14, 13,
];

/// Widths of the bands of a long and of a short window, as (how many, how wide).
#[derive(Debug)]
pub(super) struct Bands {
    pub(super) long: &'static [(u8, u8)],
    pub(super) short: &'static [(u8, u8)],
}

const LONG_16: &[(u8, u8)] = &[
    (11, 8),
    (9, 12),
    (4, 16),
    (3, 20),
    (2, 24),
    (2, 28),
    (1, 32),
    (1, 36),
    (2, 40),
    (1, 44),
    (1, 48),
    (1, 52),
    (1, 56),
    (1, 60),
    (3, 64),
];
const LONG_24: &[(u8, u8)] = &[
    (11, 4),
    (10, 8),
    (4, 12),
    (3, 16),
    (2, 20),
    (2, 24),
    (2, 28),
    (1, 32),
    (2, 36),
    (1, 40),
    (1, 44),
    (1, 48),
    (2, 52),
    (5, 64),
];
const LONG_32: &[(u8, u8)] =
    &[(10, 4), (7, 8), (4, 12), (2, 16), (2, 20), (2, 24), (2, 28), (22, 32)];
const LONG_48: &[(u8, u8)] =
    &[(10, 4), (7, 8), (4, 12), (2, 16), (2, 20), (2, 24), (2, 28), (19, 32), (1, 96)];
const LONG_64: &[(u8, u8)] =
    &[(14, 4), (4, 8), (3, 12), (3, 16), (1, 20), (2, 24), (1, 28), (1, 36), (18, 40)];
const LONG_8: &[(u8, u8)] = &[
    (13, 12),
    (7, 16),
    (4, 20),
    (3, 24),
    (2, 28),
    (1, 32),
    (2, 36),
    (1, 40),
    (1, 44),
    (1, 48),
    (1, 52),
    (1, 56),
    (1, 60),
    (1, 64),
    (1, 80),
];
const LONG_96: &[(u8, u8)] =
    &[(14, 4), (5, 8), (5, 12), (2, 16), (1, 24), (1, 28), (1, 36), (1, 44), (11, 64)];
const SHORT_16: &[(u8, u8)] = &[(8, 4), (2, 8), (2, 12), (1, 16), (2, 20)];
const SHORT_24: &[(u8, u8)] = &[(7, 4), (3, 8), (2, 12), (2, 16), (1, 20)];
const SHORT_48: &[(u8, u8)] = &[(5, 4), (3, 8), (3, 12), (3, 16)];
const SHORT_8: &[(u8, u8)] = &[(7, 4), (4, 8), (1, 12), (1, 16), (2, 20)];
const SHORT_96: &[(u8, u8)] = &[(6, 4), (3, 8), (1, 16), (1, 28), (1, 36)];

/// By `samplingFrequencyIndex`.
pub(super) static BANDS: [Bands; 13] = [
    Bands { long: LONG_96, short: SHORT_96 },
    Bands { long: LONG_96, short: SHORT_96 },
    Bands { long: LONG_64, short: SHORT_96 },
    Bands { long: LONG_48, short: SHORT_48 },
    Bands { long: LONG_48, short: SHORT_48 },
    Bands { long: LONG_32, short: SHORT_48 },
    Bands { long: LONG_24, short: SHORT_24 },
    Bands { long: LONG_24, short: SHORT_24 },
    Bands { long: LONG_16, short: SHORT_16 },
    Bands { long: LONG_16, short: SHORT_16 },
    Bands { long: LONG_16, short: SHORT_16 },
    Bands { long: LONG_8, short: SHORT_8 },
    Bands { long: LONG_8, short: SHORT_8 },
];
