//! Base64 that never ends, as the POST half of a tunnel carries it.

use crate::ops::limits;

/// Decoder of a stream of base64 (RFC 4648, standard alphabet). A client encodes each RTSP message for
/// itself, so padding may stand between groups; blanks and line ends may stand anywhere. Holds at most
/// three characters.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Bits of the group that is not whole.
    bits: u32,
    /// Characters of it.
    have: u8,
    /// Padding characters that must follow.
    owed: u8,
    /// Blanks since the last character.
    blanks: usize,
}

/// The body is no base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body of the POST is not base64")]
pub(super) struct NotBase64;

impl Decoder {
    /// Appends what `text` stands for to `bytes`: at most three bytes for four characters.
    pub(super) fn decode(&mut self, text: &[u8], bytes: &mut Vec<u8>) -> Result<(), NotBase64> {
        for character in text {
            match character {
                b'\r' | b'\n' | b' ' | b'\t' => {
                    self.blanks += 1;
                    if self.blanks > limits::TUNNEL_BLANKS {
                        return Err(NotBase64);
                    }
                    continue;
                }
                b'=' => self.padding(bytes)?,
                _ => self.sextet(value(*character).ok_or(NotBase64)?, bytes)?,
            }
            self.blanks = 0;
        }
        Ok(())
    }

    fn sextet(&mut self, value: u8, bytes: &mut Vec<u8>) -> Result<(), NotBase64> {
        if self.owed > 0 {
            return Err(NotBase64);
        }
        self.bits = self.bits << 6 | u32::from(value);
        self.have += 1;
        if self.have == 4 {
            let [_, group @ ..] = self.bits.to_be_bytes();
            bytes.extend_from_slice(&group);
            (self.bits, self.have) = (0, 0);
        }
        Ok(())
    }

    /// The first padding character ends the group; bits that stand for no byte must be zero.
    fn padding(&mut self, bytes: &mut Vec<u8>) -> Result<(), NotBase64> {
        if self.owed > 0 {
            self.owed -= 1;
            return Ok(());
        }
        let (unused, owed) = match self.have {
            2 => (4, 1),
            3 => (2, 0),
            _ => return Err(NotBase64),
        };
        if self.bits.trailing_zeros() < unused {
            return Err(NotBase64);
        }
        let [.., high, low] = (self.bits >> unused).to_be_bytes();
        if self.have == 3 {
            bytes.push(high);
        }
        bytes.push(low);
        *self = Self { owed, ..Self::default() };
        Ok(())
    }
}

fn value(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &[u8]) -> Result<Vec<u8>, NotBase64> {
        let mut bytes = Vec::new();
        Decoder::default().decode(text, &mut bytes).map(|()| bytes)
    }

    proptest! {
        /// Whatever the messages, and wherever the network cuts them.
        #[test]
        fn messages_each_padded_for_itself_come_out_joined(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in 1_usize..9,
        ) {
            let text: String = messages.iter().map(|m| BASE64_STANDARD.encode(m) + "\r\n").collect();
            let (mut decoder, mut bytes) = (Decoder::default(), Vec::new());
            for piece in text.as_bytes().chunks(cut) {
                prop_assert!(decoder.decode(piece, &mut bytes).is_ok());
                prop_assert!(decoder.have < 4);
            }
            prop_assert_eq!(bytes, messages.concat());
        }

        #[test]
        fn any_bytes_are_refused_or_shrink(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = Vec::new();
            Decoder::default().decode(&text, &mut bytes).unwrap_or_default();
            prop_assert!(bytes.len() * 4 <= text.len() * 3);
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for bad in ["=", "A=", "====", "QQ=A", "QR==", "QUJ=", "QQ==="] {
            assert_eq!(decoded(bad.as_bytes()), Err(NotBase64), "{bad}");
        }
        for bad in [b"QU\0J".as_slice(), b"QUJ-", b"QUJ_", b"$", b"\x80"] {
            assert_eq!(decoded(bad), Err(NotBase64), "{bad:?}");
        }
        assert_eq!(decoded(b"QQ==QUI=QUJD").unwrap(), b"AABABC");
    }

    #[test]
    fn one_blank_too_many_is_refused() {
        let blanks = vec![b'\n'; limits::TUNNEL_BLANKS];
        let text = [b"QQ=".as_slice(), &blanks, b"=", &blanks, b"QQ=="].concat();
        assert_eq!(decoded(&text).unwrap(), b"AA");
        assert_eq!(decoded(&[&blanks, b"\n".as_slice()].concat()), Err(NotBase64));
    }
}
