//! What a device wrote, made harmless.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ops::limits;

/// A text that a device chose (a DNS name, a TLS server name, an HTTP host): printable ASCII, everything else
/// escaped as `\xNN`, at most [`limits::DEVICE_TEXT_BYTES`] bytes; what was longer ends in `~`.
/// Safe for a terminal. HTML and spreadsheets need their own escapes on top.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct DeviceText(String);

impl DeviceText {
    /// Escapes and cuts.
    pub fn new(bytes: &[u8]) -> Self {
        let mut text = String::new();
        for &byte in bytes {
            let escaped = match byte {
                b'\\' => "\\\\".to_owned(),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            };
            if text.len() + escaped.len() > limits::DEVICE_TEXT_BYTES - 1 {
                text.push('~');
                break;
            }
            text.push_str(&escaped);
        }
        Self(text)
    }

    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for DeviceText {
    /// Of a text that was escaped before, or else escapes what is not printable; never longer than the bound.
    fn from(text: String) -> Self {
        if text.len() <= limits::DEVICE_TEXT_BYTES && text.bytes().all(|b| matches!(b, b' '..=b'~'))
        {
            return Self(text);
        }
        Self::new(text.as_bytes())
    }
}

impl From<DeviceText> for String {
    fn from(text: DeviceText) -> Self {
        text.0
    }
}

impl fmt::Display for DeviceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_printable_and_bounded() {
        assert_eq!(DeviceText::new(b"a\x1b[2J\\\xff").as_str(), "a\\x1b[2J\\\\\\xff");
        let most = vec![b'a'; limits::DEVICE_TEXT_BYTES - 1];
        assert_eq!(DeviceText::new(&most).as_str().len(), most.len());
        let over = vec![b'a'; limits::DEVICE_TEXT_BYTES + 1];
        assert_eq!(DeviceText::new(&over).as_str().len(), limits::DEVICE_TEXT_BYTES);
        assert!(DeviceText::new(&over).as_str().ends_with("a~"));
        assert!(DeviceText::new(&[0; 4096]).as_str().len() <= limits::DEVICE_TEXT_BYTES);
        let escaped = DeviceText::new(b"\n");
        assert_eq!(DeviceText::from(String::from(escaped.clone())), escaped);
        assert_eq!(DeviceText::from("\u{1b}".to_owned()).as_str(), "\\x1b");
    }
}
