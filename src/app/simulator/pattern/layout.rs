//! What is where in a picture, in blocks of 16 x 16 luma samples.
//!
//! **Bar code**, in the pictures of the clips as in those of the pattern: two rows of 20 square cells in the
//! top left corner. A cell is 16 samples wide in pictures narrower than 640, else 32. White is 1 and black 0.
//! The upper row holds the low 16 bits of the picture number, the lower row the high 16 bits:
//!
//! | cell | upper row | lower row |
//! |---|---|---|
//! | 0, 1 | white, black | black, white |
//! | 2–17 | bits 15 to 0 | bits 31 to 16 |
//! | 18 | even parity over cells 2–17 | the same |
//! | 19 | black | white |
//!
//! **Flash block**: two cells wide and high, one cell from the right and lower edge; white from 0.40 s to
//! 0.52 s of each second, as long as the sound beeps, else black. `tests/e2e/barcode.py` reads both.

/// Side of a block in luma samples: a macroblock of H.264, a coding tree block of the H.265 pattern.
pub(super) const BLOCK: usize = 16;

/// Luma of white and black.
pub(super) const WHITE: u8 = 235;
/// See [`WHITE`].
pub(super) const BLACK: u8 = 16;

/// What a block of the picture shall show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// One luma value.
    Flat(u8),
    /// Anything: here the bit rate is made.
    Texture,
}

/// The picture in blocks.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Blocks of a row.
    pub(super) columns: usize,
    /// Rows of blocks.
    pub(super) rows: usize,
    /// Side of a bar-code cell in blocks.
    cell: usize,
    /// The flash block: left, top, right, bottom in blocks.
    flash: [usize; 4],
    fps: u32,
}

impl Layout {
    pub(super) fn new(width: u16, height: u16, fps: u32) -> Self {
        let (width, height) = (usize::from(width), usize::from(height));
        let cell = if width >= 640 { 2 } else { 1 };
        let side = cell * BLOCK;
        let flash = [
            (width - (3 * side).min(width)) / BLOCK,
            (height - (3 * side).min(height)) / BLOCK,
            (width - side).div_ceil(BLOCK),
            (height - side).div_ceil(BLOCK),
        ];
        Self { columns: width.div_ceil(BLOCK), rows: height.div_ceil(BLOCK), cell, flash, fps }
    }

    /// The picture with this number.
    pub(super) fn paint(&self, number: u32) -> Vec<Block> {
        let mut blocks = vec![Block::Texture; self.columns * self.rows];
        self.paint_bar_code(&mut blocks, number);
        self.paint_digits(&mut blocks, number);
        let [left, top, right, bottom] = self.flash;
        let flash = is_flash(number, self.fps);
        self.fill(&mut blocks, [left, top, right - left, bottom - top], flash);
        blocks
    }

    fn paint_bar_code(&self, blocks: &mut [Block], number: u32) {
        let cell = self.cell;
        for (row, half) in [number & 0xFFFF, number >> 16].into_iter().enumerate() {
            let lower = row == 1;
            let bits = (0..16).rev().map(|bit| half >> bit & 1 == 1);
            let cells = [!lower, lower].into_iter().chain(bits);
            let cells = cells.chain([half.count_ones() % 2 == 1, lower]);
            for (column, white) in cells.enumerate() {
                self.fill(blocks, [column * cell, row * cell, cell, cell], white);
            }
        }
    }

    /// The last digits of the picture number for people, one block a dot.
    fn paint_digits(&self, blocks: &mut [Block], number: u32) {
        let places = (self.columns.saturating_sub(2) / 4).min(8);
        let top = 2 * self.cell + 1;
        let mut rest = number;
        for place in (0..places).rev() {
            let glyph = DIGITS.get(usize::try_from(rest % 10).unwrap_or(0)).copied().unwrap_or(0);
            rest /= 10;
            for dot in 0..15 {
                let at = [1 + place * 4 + dot % 3, top + dot / 3, 1, 1];
                self.fill(blocks, at, glyph >> (14 - dot) & 1 == 1);
            }
        }
    }

    /// Fills left, top, width, height.
    fn fill(&self, blocks: &mut [Block], [left, top, width, height]: [usize; 4], white: bool) {
        let value = if white { WHITE } else { BLACK };
        for row in blocks.chunks_mut(self.columns).skip(top).take(height) {
            row.iter_mut().skip(left).take(width).for_each(|block| *block = Block::Flat(value));
        }
    }
}

/// Whether the flash block is white in the picture at `number / fps` seconds.
fn is_flash(number: u32, fps: u32) -> bool {
    let thousandths = u64::from(number % fps.max(1)) * 1000 / u64::from(fps.max(1));
    (400..520).contains(&thousandths)
}

/// Dots of the digits, 3 x 5, from the top left.
const DIGITS: [u16; 10] = [
    0b111_101_101_101_111,
    0b010_110_010_010_111,
    0b111_001_111_100_111,
    0b111_001_111_001_111,
    0b101_101_111_001_001,
    0b111_100_111_001_111,
    0b111_100_111_101_111,
    0b111_001_010_010_010,
    0b111_101_111_101_111,
    0b111_101_111_001_111,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the bar code back from blocks, as `tests/e2e/barcode.py` does from samples.
    fn read(layout: &Layout, blocks: &[Block]) -> Option<u32> {
        let white = |row: usize, column: usize| {
            blocks[row * layout.cell * layout.columns + column * layout.cell] == Block::Flat(WHITE)
        };
        let mut number = 0;
        for row in [1, 0] {
            let sync = [white(row, 0), white(row, 1), white(row, 19)];
            let ones = (2..18).filter(|column| white(row, *column)).count();
            if sync != [row == 0, row == 1, row == 1] || white(row, 18) != (ones % 2 == 1) {
                return None;
            }
            number = (2..18).fold(number, |n, column| n << 1 | u32::from(white(row, column)));
        }
        Some(number)
    }

    #[test]
    fn every_number_can_be_read() {
        for (width, height) in [(320, 180), (640, 360), (1920, 1080)] {
            let layout = Layout::new(width, height, 25);
            for number in [0, 1, 0xFFFF, 0x1_0000, 0x8000_0001, 0xFFFF_FFFF, 0x1234_5678] {
                assert_eq!(read(&layout, &layout.paint(number)), Some(number));
            }
        }
    }

    #[test]
    fn a_damaged_bar_code_is_not_read() {
        let layout = Layout::new(320, 180, 25);
        let mut blocks = layout.paint(77);
        blocks[5] = Block::Flat(if blocks[5] == Block::Flat(WHITE) { BLACK } else { WHITE });
        assert_eq!(read(&layout, &blocks), None);
    }

    #[test]
    fn the_flash_comes_with_the_beep() {
        let flashes: Vec<u32> = (0..30).filter(|n| is_flash(*n, 25)).collect();
        assert_eq!(flashes, [10, 11, 12]);
    }
}
