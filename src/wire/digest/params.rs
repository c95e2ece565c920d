//! The parameter lists of both headers, read loosely.

/// One step through a header value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A word that is no parameter's key: a scheme.
    Scheme(&'a str),
    /// `key=value` or `key="value"`, quotes taken off.
    Parameter(&'a str, &'a str),
    /// A backslash within quotes, a quote that does not end, or a character that fits nowhere. What
    /// stands behind it cannot be told apart: the last part.
    Broken,
}

/// Reads `scheme key=value, key="value", scheme ...`. Commas between parameters may be missing: some
/// cameras leave them out.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn new(value: &'a str) -> Self {
        Self { rest: value }
    }

    fn broken(&mut self) -> Part<'a> {
        self.rest = "";
        Part::Broken
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let rest = self.rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return None;
        }
        let (word, behind) = cut(rest, |c| !is_token_char(c));
        if word.is_empty() {
            return Some(self.broken());
        }
        let Some(value) = behind.trim_start().strip_prefix('=').map(str::trim_start) else {
            self.rest = behind;
            return Some(Part::Scheme(word));
        };
        let Some(quoted) = value.strip_prefix('"') else {
            let (value, behind) = cut(value, |c| matches!(c, ',' | ' ' | '\t'));
            self.rest = behind;
            return Some(match value.contains(['"', '\\']) || value.contains(char::is_control) {
                true => self.broken(),
                false => Part::Parameter(word, value),
            });
        };
        let Some((value, behind)) = quoted.split_once('"') else {
            return Some(self.broken());
        };
        if value.contains('\\') || value.contains(char::is_control) {
            return Some(self.broken());
        }
        self.rest = behind;
        Some(Part::Parameter(word, value))
    }
}

fn cut(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let at = text.find(ends).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Sets an empty slot; `None` if it was set before: a parameter may stand only once.
pub(super) fn set_once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.is_none().then(|| *slot = Some(value))
}

/// `text` as the inside of a quoted string: what would end it early is escaped, controls are dropped.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
