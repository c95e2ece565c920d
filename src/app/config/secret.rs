//! Secrets by reference: `file:`, `env:`, `credential:` (systemd). Plain text works, with a warning.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::fault::Collector;
use super::reader::At;
use crate::ops::limits;

/// What a configuration may look at outside its own text. Handed in, so that reading a configuration
/// stays a function of its arguments.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Reads a whole file.
    pub read_file: &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>,
    /// Reads an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Surroundings")
    }
}

/// Resolves a reference of the command line. Plain text is refused there: the process list and the shell's
/// history would show it. The message does not quote `reference`, lest it be the secret itself.
pub fn by_reference(
    what: &str,
    reference: &str,
    surroundings: Surroundings<'_>,
) -> Result<SecretString, String> {
    if !["file:", "env:", "credential:"].iter().any(|kind| reference.starts_with(kind)) {
        return Err(format!("{what} must be file:/path, env:NAME or credential:NAME"));
    }
    let (mut faults, mut warnings) = (Collector::new(""), Collector::new(""));
    let at = At { value: reference.to_owned(), span: 0..0 };
    resolve(what, &at, surroundings, &mut faults, &mut warnings).ok_or_else(|| {
        faults.finish().into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ")
    })
}

/// Resolves a reference. `what` names the option for faults and warnings; no message carries the value.
pub(super) fn resolve(
    what: &str,
    at: &At<String>,
    surroundings: Surroundings<'_>,
    faults: &mut Collector<'_>,
    warnings: &mut Collector<'_>,
) -> Option<SecretString> {
    let found = match at.value.split_once(':') {
        Some(("file", path)) => from_file(Path::new(path), surroundings),
        Some(("env", name)) => (surroundings.env)(name)
            .ok_or_else(|| format!("the environment variable {name} is not set")),
        Some(("credential", name)) => from_credential(name, surroundings),
        _ => {
            warnings.add(
                at.span.clone(),
                format!("{what} is in plain text; better use \"file:/path\", \"env:NAME\" or \"credential:NAME\""),
            );
            Ok(at.value.clone())
        }
    };
    match found {
        Ok(secret) if secret.is_empty() => fault(what, at, "is empty", faults),
        Ok(secret) if secret.len() > limits::CREDENTIAL_BYTES => {
            fault(what, at, &format!("is longer than {} bytes", limits::CREDENTIAL_BYTES), faults)
        }
        Ok(secret) if secret.chars().any(char::is_control) => {
            fault(what, at, "contains a control character (more than one line?)", faults)
        }
        Ok(secret) => Some(SecretString::from(secret)),
        Err(why) => fault(what, at, &format!("is not available: {why}"), faults),
    }
}

fn fault(
    what: &str,
    at: &At<String>,
    why: &str,
    faults: &mut Collector<'_>,
) -> Option<SecretString> {
    faults.add(at.span.clone(), format!("{what} {why}"));
    None
}

fn from_file(path: &Path, surroundings: Surroundings<'_>) -> Result<String, String> {
    let bytes =
        (surroundings.read_file)(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn from_credential(name: &str, surroundings: Surroundings<'_>) -> Result<String, String> {
    let directory = (surroundings.env)("CREDENTIALS_DIRECTORY").ok_or(
        "CREDENTIALS_DIRECTORY is not set; start the service by systemd with LoadCredential=",
    )?;
    if name.contains('/') {
        return Err(format!("{name:?} is not a credential name"));
    }
    from_file(&PathBuf::from(directory).join(name), surroundings)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn resolve_one(text: &str) -> (Option<SecretString>, Vec<String>, Vec<String>) {
        let read_file = |path: &Path| match path.to_str() {
            Some("/run/pw") => Ok(b"from file\n".to_vec()),
            Some("/creds/pw") => Ok(b"from systemd".to_vec()),
            Some("/run/long") => Ok(vec![b'a'; limits::CREDENTIAL_BYTES + 1]),
            Some("/run/lines") => Ok(b"a\nb\n".to_vec()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let env = |name: &str| match name {
            "PW" => Some("from env".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some("/creds".to_owned()),
            _ => None,
        };
        let (mut faults, mut warnings) = (Collector::new(text), Collector::new(text));
        let at = At { value: text.to_owned(), span: 0..0 };
        let surroundings = Surroundings { read_file: &read_file, env: &env };
        let secret = resolve("user.password", &at, surroundings, &mut faults, &mut warnings);
        let texts = |c: Collector<'_>| c.finish().into_iter().map(|f| f.message).collect();
        (secret, texts(faults), texts(warnings))
    }

    #[test]
    fn references_are_followed_and_plain_text_warns() {
        for (text, secret, warned) in [
            ("file:/run/pw", "from file", 0),
            ("env:PW", "from env", 0),
            ("credential:pw", "from systemd", 0),
            ("plain", "plain", 1),
        ] {
            let (found, faults, warnings) = resolve_one(text);
            assert_eq!(found.unwrap().expose_secret(), secret);
            assert_eq!((faults.len(), warnings.len()), (0, warned), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_had_is_a_fault_that_does_not_quote_the_secret() {
        for text in [
            "file:/nowhere",
            "env:NOWHERE",
            "credential:../pw",
            "file:/run/long",
            "file:/run/lines",
            "",
        ] {
            let (found, faults, _) = resolve_one(text);
            assert!(found.is_none() && faults.len() == 1, "{text}: {faults:?}");
            assert!(!faults[0].contains("aaaa"), "{faults:?}");
        }
    }

    #[test]
    fn the_command_line_takes_references_only() {
        let read_file = |_: &Path| Ok(b"from file\n".to_vec());
        let surroundings = Surroundings { read_file: &read_file, env: &|_| None };
        let found = by_reference("--password-ref", "file:/run/pw", surroundings).unwrap();
        assert_eq!(found.expose_secret(), "from file");
        for (reference, why) in [("planted", "must be file:/path"), ("env:NOWHERE", "is not set")] {
            let said = by_reference("--password-ref", reference, surroundings).unwrap_err();
            assert!(said.contains(why) && !said.contains("planted"), "{said}");
        }
    }
}
