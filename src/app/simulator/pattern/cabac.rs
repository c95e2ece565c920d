//! The arithmetic encoder of H.265 (9.3.4.x), as far as the pattern needs it.

use super::bits::BitWriter;

/// A context variable: probability state and most probable symbol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    state: u8,
    most_probable: bool,
}

impl Context {
    /// From an `initValue` at slice quantiser 26 (9.3.2.2).
    pub(super) fn new(init_value: u8) -> Self {
        let slope = i32::from(init_value >> 4) * 5 - 45;
        let offset = (i32::from(init_value & 15) << 3) - 16;
        let state = (((slope * 26) >> 4) + offset).clamp(1, 126);
        let most_probable = state > 63;
        let state = if most_probable { state - 64 } else { 63 - state };
        Self { state: u8::try_from(state).unwrap_or(0), most_probable }
    }
}

/// The encoder, writing into a [`BitWriter`].
#[derive(Debug)]
pub(super) struct Cabac {
    pub(super) out: BitWriter,
    low: u32,
    range: u32,
    outstanding: u32,
    first: bool,
}

impl Cabac {
    /// Starts at an aligned place of `out`.
    pub(super) fn new(out: BitWriter) -> Self {
        Self { out, low: 0, range: 510, outstanding: 0, first: true }
    }

    /// One bin with a context.
    pub(super) fn encode(&mut self, context: &mut Context, bin: bool) {
        let state = usize::from(context.state);
        let quarter = usize::try_from(self.range >> 6 & 3).unwrap_or(0);
        let lps =
            RANGE_LPS.get(state).and_then(|row| row.get(quarter)).map_or(2, |r| u32::from(*r));
        self.range -= lps;
        if bin == context.most_probable {
            context.state = (context.state + 1).min(62);
        } else {
            self.low += self.range;
            self.range = lps;
            if context.state == 0 {
                context.most_probable = !context.most_probable;
            }
            context.state = NEXT_LPS.get(state).copied().unwrap_or(0);
        }
        self.renormalise();
    }

    /// One bin without a context.
    pub(super) fn bypass(&mut self, bin: bool) {
        self.low <<= 1;
        if bin {
            self.low += self.range;
        }
        if self.low >= 1024 {
            self.put(true);
            self.low -= 1024;
        } else if self.low < 512 {
            self.put(false);
        } else {
            self.low -= 512;
            self.outstanding += 1;
        }
    }

    /// A terminating bin. After a true one the encoder is flushed, stop bit included, and the caller goes on
    /// with bytes or the end; [`Self::restart`] starts it again.
    pub(super) fn terminate(&mut self, bin: bool) {
        self.range -= 2;
        if bin {
            self.low += self.range;
            self.range = 2;
            self.renormalise();
            self.put(self.low >> 9 & 1 == 1);
            self.out.bits(self.low >> 7 & 3 | 1, 2);
        } else {
            self.renormalise();
        }
    }

    /// Starts again behind raw bytes; contexts go on.
    pub(super) fn restart(&mut self) {
        (self.low, self.range, self.outstanding, self.first) = (0, 510, 0, true);
    }

    fn renormalise(&mut self) {
        while self.range < 256 {
            if self.low < 256 {
                self.put(false);
            } else if self.low >= 512 {
                self.low -= 512;
                self.put(true);
            } else {
                self.low -= 256;
                self.outstanding += 1;
            }
            self.range <<= 1;
            self.low <<= 1;
        }
    }

    fn put(&mut self, bit: bool) {
        if self.first {
            self.first = false;
        } else {
            self.out.flag(bit);
        }
        while self.outstanding > 0 {
            self.out.flag(!bit);
            self.outstanding -= 1;
        }
    }
}

/// Table 9-46, `rangeTabLps`.
#[rustfmt::skip]
const RANGE_LPS: [[u8; 4]; 64] = [
    [128, 176, 208, 240], [128, 167, 197, 227], [128, 158, 187, 216], [123, 150, 178, 205],
    [116, 142, 169, 195], [111, 135, 160, 185], [105, 128, 152, 175], [100, 122, 144, 166],
    [95, 116, 137, 158], [90, 110, 130, 150], [85, 104, 123, 142], [81, 99, 117, 135],
    [77, 94, 111, 128], [73, 89, 105, 122], [69, 85, 100, 116], [66, 80, 95, 110],
    [62, 76, 90, 104], [59, 72, 86, 99], [56, 69, 81, 94], [53, 65, 77, 89],
    [51, 62, 73, 85], [48, 59, 69, 80], [46, 56, 66, 76], [43, 53, 63, 72],
    [41, 50, 59, 69], [39, 48, 56, 65], [37, 45, 54, 62], [35, 43, 51, 59],
    [33, 41, 48, 56], [32, 39, 46, 53], [30, 37, 43, 50], [29, 35, 41, 48],
    [27, 33, 39, 45], [26, 31, 37, 43], [24, 30, 35, 41], [23, 28, 33, 39],
    [22, 27, 32, 37], [21, 26, 30, 35], [20, 24, 29, 33], [19, 23, 27, 31],
    [18, 22, 26, 30], [17, 21, 25, 28], [16, 20, 23, 27], [15, 19, 22, 25],
    [14, 18, 21, 24], [14, 17, 20, 23], [13, 16, 19, 22], [12, 15, 18, 21],
    [12, 14, 17, 20], [11, 14, 16, 19], [11, 13, 15, 18], [10, 12, 15, 17],
    [10, 12, 14, 16], [9, 11, 13, 15], [9, 11, 12, 14], [8, 10, 12, 14],
    [8, 9, 11, 13], [7, 9, 11, 12], [7, 9, 10, 12], [7, 8, 10, 11],
    [6, 8, 9, 11], [6, 7, 9, 10], [6, 7, 8, 9], [2, 2, 2, 2],
];

/// Table 9-47, `transIdxLps`.
#[rustfmt::skip]
const NEXT_LPS: [u8; 64] = [
    0, 0, 1, 2, 2, 4, 4, 5, 6, 7, 8, 9, 9, 11, 11, 12,
    13, 13, 15, 15, 16, 16, 18, 18, 19, 19, 21, 21, 22, 22, 23, 24,
    24, 25, 26, 26, 27, 27, 28, 29, 29, 30, 30, 30, 31, 32, 32, 33,
    33, 33, 34, 34, 35, 35, 35, 36, 36, 36, 37, 37, 37, 38, 38, 63,
];
