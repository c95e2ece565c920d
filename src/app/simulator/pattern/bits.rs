//! Bits, Exp-Golomb codes and NAL units (ITU-T H.264 7.3.1, 9.1; H.265 7.3.1, 9.2).

/// Writes bits, most significant first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl BitWriter {
    /// The low `count` (0–32) bits of `value`.
    pub(super) fn bits(&mut self, value: u32, count: u32) {
        let mask = (1_u64 << count.min(32)) - 1;
        self.held = self.held << count | u64::from(value) & mask;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let [.., byte] = (self.held >> self.count).to_be_bytes();
            self.bytes.push(byte);
        }
    }

    /// One bit.
    pub(super) fn flag(&mut self, value: bool) {
        self.bits(u32::from(value), 1);
    }

    /// Unsigned Exp-Golomb code; `value` below 2^32 - 1.
    pub(super) fn ue(&mut self, value: u32) {
        let code = value.saturating_add(1);
        let zeros = code.ilog2();
        self.bits(0, zeros);
        self.bits(code, zeros + 1);
    }

    /// Signed Exp-Golomb code.
    pub(super) fn se(&mut self, value: i32) {
        let twice = value.unsigned_abs() * 2;
        self.ue(if value > 0 { twice - 1 } else { twice });
    }

    /// Zero bits up to the next byte.
    pub(super) fn align(&mut self) {
        self.bits(0, (8 - self.count % 8) % 8);
    }

    /// Whole bytes; the writer must be aligned.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0);
        self.bytes.extend_from_slice(bytes);
    }

    /// Whole bytes, all of one value; the writer must be aligned.
    pub(super) fn repeat(&mut self, byte: u8, count: usize) {
        debug_assert_eq!(self.count, 0);
        self.bytes.resize(self.bytes.len() + count, byte);
    }

    /// Stop bit and alignment (`rbsp_trailing_bits`), then a NAL unit with this header.
    pub(super) fn into_nal(mut self, header: &[u8]) -> Vec<u8> {
        self.bits(1, 1);
        self.into_stopped_nal(header)
    }

    /// As [`Self::into_nal`] where the stop bit was already written (the end of CABAC data).
    pub(super) fn into_stopped_nal(mut self, header: &[u8]) -> Vec<u8> {
        self.align();
        let mut nal = Vec::with_capacity(self.bytes.len() + self.bytes.len() / 64 + 8);
        nal.extend_from_slice(header);
        let mut zeros = 0;
        for byte in self.bytes {
            // Emulation prevention: no start code inside.
            if zeros == 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_those_of_the_standard() {
        // H.264 table 9-2: 0 -> 1, 1 -> 010, 2 -> 011, 3 -> 00100; se: 1 -> 010, -1 -> 011.
        let mut w = BitWriter::default();
        for value in 0..4 {
            w.ue(value);
        }
        w.se(1);
        w.se(-1);
        assert_eq!(w.into_nal(&[]), [0b1010_0110, 0b0100_0100, 0b1110_0000]);
    }

    #[test]
    fn start_codes_are_prevented() {
        let mut w = BitWriter::default();
        w.bytes(&[0, 0, 0, 0, 0, 1, 0, 0, 4]);
        assert_eq!(w.into_nal(&[0x65]), [0x65, 0, 0, 3, 0, 0, 3, 0, 1, 0, 0, 4, 0x80]);
    }
}
