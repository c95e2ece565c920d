//! Stream names and the patterns that grants are written in.

use std::fmt;
use std::sync::Arc;

/// The name of one camera profile, `camera/profile`: two parts of 1–64 characters `a-z 0-9 - _`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// Parses `camera/profile`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let (camera, profile) = text.split_once('/').ok_or(BadName)?;
        if is_part(camera) && is_part(profile) { Ok(Self(text.into())) } else { Err(BadName) }
    }

    /// The whole name, `camera/profile`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The camera's part.
    pub fn camera(&self) -> &str {
        self.0.split_once('/').map_or("", |(camera, _)| camera)
    }

    /// The profile's part.
    pub fn profile(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, profile)| profile)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which streams a grant covers: `*`, `door/*`, `*/sub` or one name. A part is a name or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPattern {
    camera: Option<Box<str>>,
    profile: Option<Box<str>>,
}

impl StreamPattern {
    /// Parses a pattern; `*` alone is `*/*`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let (camera, profile) =
            if text == "*" { ("*", "*") } else { text.split_once('/').ok_or(BadName)? };
        Ok(Self { camera: pattern_part(camera)?, profile: pattern_part(profile)? })
    }

    /// Whether the pattern covers `name`.
    pub fn matches(&self, name: &StreamName) -> bool {
        self.camera.as_deref().is_none_or(|camera| camera == name.camera())
            && self.profile.as_deref().is_none_or(|profile| profile == name.profile())
    }
}

/// The text is no stream name or pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is `camera/profile`, each 1 to 64 characters of a-z 0-9 - _")]
pub struct BadName;

fn pattern_part(text: &str) -> Result<Option<Box<str>>, BadName> {
    match text {
        "*" => Ok(None),
        part if is_part(part) => Ok(Some(part.into())),
        _ => Err(BadName),
    }
}

fn is_part(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_clean_parts() {
        let long = format!("{}/main", "a".repeat(65));
        for bad in [
            "",
            "door",
            "door/",
            "/main",
            "door/main/x",
            "Door/main",
            "door/ma in",
            "door/..",
            "dö/r",
            &long,
        ] {
            assert_eq!(StreamName::parse(bad), Err(BadName), "{bad}");
        }
        let name = StreamName::parse("door-1/main_2").unwrap();
        assert_eq!((name.camera(), name.profile()), ("door-1", "main_2"));
    }

    #[test]
    fn patterns_cover_what_they_say() {
        let name = StreamName::parse("door/sub").unwrap();
        for yes in ["*", "*/*", "door/*", "*/sub", "door/sub"] {
            assert!(StreamPattern::parse(yes).unwrap().matches(&name), "{yes}");
        }
        for no in ["door/main", "yard/*", "*/main"] {
            assert!(!StreamPattern::parse(no).unwrap().matches(&name), "{no}");
        }
        for bad in ["", "door", "d*/main", "**", "*/"] {
            assert!(StreamPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
