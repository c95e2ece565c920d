//! Text of devices made harmless for where it goes. The ledger's own text is printable already; a file that somebody
//! changed need not be.

use crate::ops::limits;
use crate::segment::DeviceText;

/// For a terminal: printable ASCII, the rest escaped, at most [`limits::DEVICE_TEXT_BYTES`] bytes.
pub(super) fn terminal(text: &str) -> String {
    let safe =
        text.len() <= limits::DEVICE_TEXT_BYTES && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    if safe { text.to_owned() } else { DeviceText::new(text.as_bytes()).to_string() }
}

/// For HTML, as text and in quoted attributes.
pub(super) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A quoted field of CSV (RFC 4180) that no spreadsheet takes for a formula.
pub(super) fn csv(text: &str) -> String {
    let text = terminal(text);
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '|', '%']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_harmless_everywhere() {
        for (text, on_terminal, in_html, in_csv) in [
            ("a.example", "a.example", "a.example", "\"a.example\""),
            (
                "<script>alert('1')</script>",
                "<script>alert('1')</script>",
                "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;",
                "\"<script>alert('1')</script>\"",
            ),
            (
                "=HYPERLINK(\"x\")",
                "=HYPERLINK(\"x\")",
                "=HYPERLINK(&quot;x&quot;)",
                "\"'=HYPERLINK(\"\"x\"\")\"",
            ),
            ("+1", "+1", "+1", "\"'+1\""),
            (
                "-1+cmd|' /C calc'!A0",
                "-1+cmd|' /C calc'!A0",
                "-1+cmd|&#39; /C calc&#39;!A0",
                "\"'-1+cmd|' /C calc'!A0\"",
            ),
            ("@SUM(A1)", "@SUM(A1)", "@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\\x09=1", "\\x09=1", "\"\\x09=1\""),
            ("  =1", "  =1", "  =1", "\"'  =1\""),
            ("\u{1b}[2J", "\\x1b[2J", "\\x1b[2J", "\"\\x1b[2J\""),
            ("a\nb\r", "a\\x0ab\\x0d", "a\\x0ab\\x0d", "\"a\\x0ab\\x0d\""),
            (
                "\u{202e}evil",
                "\\xe2\\x80\\xaeevil",
                "\\xe2\\x80\\xaeevil",
                "\"\\xe2\\x80\\xaeevil\"",
            ),
            ("a&amp;b", "a&amp;b", "a&amp;amp;b", "\"a&amp;b\""),
        ] {
            assert_eq!(terminal(text), on_terminal);
            assert_eq!(html(text), in_html);
            assert_eq!(csv(text), in_csv);
        }
        assert!(terminal(&"x".repeat(100_000)).len() <= limits::DEVICE_TEXT_BYTES);
    }
}
