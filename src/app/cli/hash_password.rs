//! `camlock hash-password`.

use std::io::{BufRead, IsTerminal, Read};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{Exit, output};
use crate::ops::limits;
use crate::trust::auth;

/// Options of `hash-password`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Make a random secret for this account (a VMS) in place of hashing a password.
    #[arg(long, value_name = "USER")]
    generate: Option<String>,
}

pub(super) fn run(options: &Options) -> Exit {
    let done = match &options.generate {
        Some(user) => generate(user),
        None => hash(),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(why) => {
            output::error(&why);
            Exit::Failed
        }
    }
}

fn generate(user: &str) -> Result<(), String> {
    let (secret, stored) = secret_for(user)?;
    output::line(&format!("# secret for the VMS, shown only once: {}", secret.expose_secret()));
    output::line(&format!("secret_ha1 = [{:?}, {:?}]", stored.md5_hex(), stored.sha256_hex()));
    Ok(())
}

/// A secret for an account that the configuration will take.
fn secret_for(user: &str) -> Result<(SecretString, auth::GeneratedSecret), String> {
    let (secret, stored) = auth::generate_secret(user);
    auth::User::new(user, auth::Credential::Generated(stored.clone()), Vec::new())
        .map_err(|error| error.to_string())?;
    Ok((secret, stored))
}

fn hash() -> Result<(), String> {
    let password = read_password()?;
    let hash = auth::hash_password(&password).map_err(|error| error.to_string())?;
    output::line(&format!("password_hash = \"{hash}\""));
    Ok(())
}

/// The first line of standard input, bounded.
fn read_password() -> Result<SecretString, String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        output::error(
            "Password (visible while you type; `printf %s \"$PW\" | camlock hash-password` does not show it):",
        );
    }
    let mut line = String::new();
    let most = u64::try_from(limits::CREDENTIAL_BYTES + 2).unwrap_or(u64::MAX);
    stdin
        .lock()
        .take(most)
        .read_line(&mut line)
        .map_err(|error| format!("cannot read the password: {error}"))?;
    let password = line.trim_end_matches(['\r', '\n']);
    match password.len() {
        0..8 => Err("the password is shorter than 8 characters".to_owned()),
        length if length > limits::CREDENTIAL_BYTES => {
            Err(format!("the password is longer than {} bytes", limits::CREDENTIAL_BYTES))
        }
        _ => Ok(password.to_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_only_for_a_name_that_the_configuration_takes() {
        assert!(secret_for("vms").is_ok());
        for name in ["", "a:b", "a\nb", "quo\"te", " edge"] {
            assert!(secret_for(name).unwrap_err().starts_with("a user name"), "{name:?}");
        }
    }
}
