//! Lower-case hexadecimal text.

use data_encoding::HEXLOWER;

/// Two digits for each byte.
pub fn encode(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Exactly `N` bytes in lower-case digits: one text for one value.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // The length first: a long text takes no memory.
    if text.len() != N * 2 {
        return None;
    }
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_stands_for_one_value() {
        assert_eq!(encode(&[0x00, 0xaf]), "00af");
        assert_eq!(decode("00af"), Some([0x00, 0xaf]));
        for text in ["00AF", "00a", "00aff", "00ag", "0 af", ""] {
            assert_eq!(decode::<2>(text), None, "{text}");
        }
    }
}
