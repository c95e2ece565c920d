//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An Ethernet address (IEEE 802 MAC-48), written `aa:bb:cc:dd:ee:ff`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Whether a frame to it is for more than one station (broadcast included).
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The maker's part, the first three bytes; meaningless if [`Self::is_local`].
    pub fn oui(self) -> [u8; 3] {
        let [a, b, c, ..] = self.0;
        [a, b, c]
    }

    /// Whether the address was given by software, not by the maker.
    pub fn is_local(self) -> bool {
        self.0[0] & 2 == 2
    }
}

/// The text is no Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Ethernet address is six pairs of hexadecimal digits, such as \"aa:bb:cc:dd:ee:ff\"")]
pub struct BadMac;

impl FromStr for MacAddr {
    type Err = BadMac;

    /// Takes `:` or `-` between the pairs.
    fn from_str(text: &str) -> Result<Self, BadMac> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(BadMac)?;
            if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(BadMac);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        if parts.next().is_some() { Err(BadMac) } else { Ok(Self(bytes)) }
    }
}

impl TryFrom<String> for MacAddr {
    type Error = BadMac;

    fn try_from(text: String) -> Result<Self, BadMac> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_pairs_and_nothing_else() {
        let mac: MacAddr = "02:AB:cd-00:ff:10".parse().unwrap();
        assert_eq!(mac.to_string(), "02:ab:cd:00:ff:10");
        assert!(mac.is_local() && !mac.is_group());
        for bad in
            ["", "02:ab:cd:00:ff", "02:ab:cd:00:ff:10:11", "2:ab:cd:00:ff:10", "+2:ab:cd:00:ff:10"]
        {
            assert_eq!(bad.parse::<MacAddr>(), Err(BadMac), "{bad}");
        }
    }
}
