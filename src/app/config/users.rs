//! `[[user]]`: who may log in, by what, and what they may take.

use std::collections::BTreeSet;

use super::Reading;
use super::reader::{At, Table};
use super::secret;
use crate::media::{Kinds, StreamPattern};
use crate::trust::auth;

const MAY: &[(&str, Kinds)] = &[
    ("view", Kinds { video: true, audio: false }),
    ("listen", Kinds { video: false, audio: true }),
];

pub(super) fn read(root: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> auth::Settings {
    let mut names = BTreeSet::new();
    let mut users = Vec::new();
    for mut table in root.tables("user", &mut reading.faults) {
        let name = table.required("name", "give the account a name", &mut reading.faults);
        let credential = credential(&mut table, name.as_ref(), reading);
        let grants = grants(&mut table, reading);
        table.finish(&mut reading.faults);
        let Some(name) = name else { continue };
        if !names.insert(name.value.clone()) {
            reading
                .faults
                .add(name.span.clone(), format!("user.name: {:?} is given twice", name.value));
        }
        let Some(credential) = credential else { continue };
        match auth::User::new(&name.value, credential, grants) {
            Ok(user) => users.push(user),
            Err(error) => reading.faults.add(name.span, format!("user.name: {error}")),
        }
    }
    auth::Settings { users }
}

/// Exactly one of `password_hash`, `secret`, `secret_ha1` and `certificate`.
fn credential(
    table: &mut Table<'_, '_>,
    name: Option<&At<String>>,
    reading: &mut Reading<'_>,
) -> Option<auth::Credential> {
    const KINDS: &str = "password_hash, secret, secret_ha1 or certificate";
    let hash = table.string("password_hash", &mut reading.faults);
    let secret = table.string("secret", &mut reading.faults);
    let ha1 = table.strings("secret_ha1", &mut reading.faults);
    let certificate = table.string("certificate", &mut reading.faults);
    let given = [
        table.has("password_hash"),
        table.has("secret"),
        table.has("secret_ha1"),
        table.has("certificate"),
    ];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => {
            reading.faults.add(table.span(), format!("user has no way to log in; give {KINDS}"));
            return None;
        }
        _ => {
            reading.faults.add(
                table.span(),
                format!("user has more than one way to log in; give one of {KINDS}"),
            );
            return None;
        }
    }
    if let Some(at) = hash {
        return password_hash(&at, reading);
    }
    if let Some(at) = secret {
        return generated(&at, &name?.value, reading);
    }
    if let Some(pair) = ha1 {
        return stored_pair(table, &pair, reading);
    }
    certificate_match(&certificate?, reading)
}

fn password_hash(at: &At<String>, reading: &mut Reading<'_>) -> Option<auth::Credential> {
    match auth::PasswordHash::parse(&at.value) {
        Ok(hash) => Some(auth::Credential::Argon2id(hash)),
        Err(error) => {
            reading.faults.add(at.span.clone(), format!("user.password_hash: {error}"));
            None
        }
    }
}

/// Digest needs a fast hash of the secret, so a guessable one would fall to whoever steals the file.
fn generated(at: &At<String>, user: &str, reading: &mut Reading<'_>) -> Option<auth::Credential> {
    use secrecy::ExposeSecret;
    let secret = secret::resolve(
        "user.secret",
        at,
        reading.surroundings,
        &mut reading.faults,
        &mut reading.warnings,
    )?;
    let text = secret.expose_secret();
    if text.len() < 22 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        reading.faults.add(
            at.span.clone(),
            "user.secret: must be generated, not chosen: 22 or more of A-Z a-z 0-9 - _; make one with `camlock hash-password --generate USER`",
        );
        return None;
    }
    Some(auth::Credential::Generated(auth::GeneratedSecret::new(user, &secret)))
}

fn stored_pair(
    table: &Table<'_, '_>,
    pair: &[At<String>],
    reading: &mut Reading<'_>,
) -> Option<auth::Credential> {
    let made = match pair {
        [md5, sha256] => auth::GeneratedSecret::from_hex(&md5.value, &sha256.value),
        _ => None,
    };
    if made.is_none() {
        let span = pair.first().map_or_else(|| table.span(), |at| at.span.clone());
        reading.faults.add(
            span,
            "user.secret_ha1: must be two lower-case hex strings of 32 and 64 digits; make them with `camlock hash-password --generate USER`",
        );
    }
    made.map(auth::Credential::Generated)
}

fn certificate_match(at: &At<String>, reading: &mut Reading<'_>) -> Option<auth::Credential> {
    let found = match at.value.split_once(':') {
        Some(("cn", name)) if (1..=64).contains(&name.len()) => {
            Some(auth::CertificateMatch::CommonName(name.to_owned()))
        }
        // Colons are taken wherever they stand.
        Some(("sha256", hex)) => {
            hex.replace(':', "").parse().ok().map(auth::CertificateMatch::Fingerprint)
        }
        _ => None,
    };
    if found.is_none() {
        reading.faults.add(
            at.span.clone(),
            format!(
                "user.certificate: {:?} must be \"cn:COMMON NAME\" or \"sha256:64 HEX DIGITS\"",
                at.value
            ),
        );
    }
    found.map(auth::Credential::Certificate)
}

fn grants(table: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> Vec<auth::Grant> {
    let mut grants = Vec::new();
    for mut grant in table.tables("grant", &mut reading.faults) {
        let streams = grant.required(
            "streams",
            "name streams, such as \"*\" or \"door/*\"",
            &mut reading.faults,
        );
        let pattern = streams.and_then(|at| match StreamPattern::parse(&at.value) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                reading.faults.add(
                    at.span,
                    format!("user.grant.streams: {:?}: {error}, or `*` for a part", at.value),
                );
                None
            }
        });
        let kinds = grant
            .choices("may", MAY, &mut reading.faults)
            .map(|all| all.into_iter().fold(Kinds::NONE, Kinds::union));
        if kinds.is_none_or(Kinds::is_empty) && !grant.has("may") {
            reading.faults.add(
                grant.span(),
                "user.grant.may is missing; use [\"view\"], [\"listen\"] or both",
            );
        }
        grant.finish(&mut reading.faults);
        if let (Some(streams), Some(kinds)) = (pattern, kinds) {
            grants.push(auth::Grant { streams, kinds });
        }
    }
    grants
}
