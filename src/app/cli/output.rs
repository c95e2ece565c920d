//! Text for the person at the terminal. A closed pipe is not an error.

use std::io::Write;

/// One line on standard output.
pub(super) fn line(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Rewrites the current line of standard output.
pub(super) fn status(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(write!(out, "\r\x1b[K{text}").and_then(|()| out.flush()));
}

/// One line on standard error.
pub(super) fn error(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
