//! SHA-256 of a certificate, as text and back.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// SHA-256 of a certificate in DER. Shown as `openssl x509 -fingerprint -sha256` shows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
        Self(bytes)
    }

    /// Its first four bytes, for messages that name two of them.
    pub fn short(&self) -> String {
        let mut text = colons(self.0.iter().take(4));
        text.push_str("..");
        text
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&colons(self.0.iter()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits, with or without colons between each two")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Takes `AB:CD:...` and `abcd...`.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digits: String = match text.len() {
            64 => text.to_owned(),
            95 => {
                let parts: Vec<_> = text.split(':').collect();
                if parts.iter().any(|part| part.len() != 2) {
                    return Err(NotAFingerprint);
                }
                parts.concat()
            }
            _ => return Err(NotAFingerprint),
        };
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotAFingerprint);
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * i..2 * i + 2).ok_or(NotAFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAFingerprint)?;
        }
        Ok(Self(bytes))
    }
}

fn colons<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    let mut text = String::new();
    for byte in bytes {
        if !text.is_empty() {
            text.push(':');
        }
        // Writing into a String does not fail.
        write!(text, "{byte:02X}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways_as_openssl_writes_it() {
        // printf abc | openssl dgst -sha256 -c
        let colons = "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
        let print = Fingerprint::of(b"abc");
        assert_eq!(print.to_string(), colons);
        assert_eq!(print.short(), "BA:78:16:BF..");
        assert_eq!(colons.parse(), Ok(print));
        assert_eq!(colons.replace(':', "").parse(), Ok(print));
        assert_eq!(colons.to_lowercase().parse(), Ok(print));
    }

    #[test]
    fn what_is_not_one_is_refused() {
        let good = Fingerprint::of(b"abc").to_string();
        for wrong in [
            String::new(),
            good.replace("BA", "BG"),
            good.replace("BA:78", "BA7:8"),
            good.replace(':', "-"),
            format!("{good}:00"),
            good.get(3..).unwrap().to_owned(),
            good.replace(':', "").replace("BA", "+A"),
            "ä".repeat(32),
        ] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NotAFingerprint), "{wrong}");
        }
    }
}
