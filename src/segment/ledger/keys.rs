//! The key that signs the ledger's checkpoints, in the state directory.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::ops::hash_log::{BadKey, PublicKey, SigningKey};
use crate::ops::limits;
use crate::ops::state_dir::{self, Overwrite};
use crate::segment::Place;

use super::CannotOpen;

/// Reads the key, or makes it if there is none; its public half lies beside it, for everyone to read.
pub(super) fn ensure(place: &Place) -> Result<SigningKey, CannotOpen> {
    let path = place.ledger_key();
    let key = match state_dir::read(&path, limits::LEDGER_KEY_BYTES) {
        Ok(text) => SigningKey::from_pem(&text.into())
            .map_err(|why| CannotOpen::Key { path: path.clone(), why })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path)?,
        Err(error) => return Err(CannotOpen::Io { path, error }),
    };
    let public = place.ledger_public_key();
    if read_public(&public).ok() != Some(key.public()) {
        publish(&public, &key).map_err(|error| CannotOpen::Io { path: public, error })?;
    }
    Ok(key)
}

/// Reads a public key's file.
pub fn read_public(path: &Path) -> io::Result<PublicKey> {
    let text = state_dir::read(path, limits::LEDGER_KEY_BYTES)?;
    PublicKey::from_pem(&text).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
}

fn make(path: &Path) -> Result<SigningKey, CannotOpen> {
    use secrecy::ExposeSecret as _;
    let bad = |why: BadKey| CannotOpen::Key { path: path.to_path_buf(), why };
    let (key, pem) = SigningKey::generate().map_err(bad)?;
    state_dir::write(path, pem.expose_secret(), Overwrite::No)
        .map_err(|error| CannotOpen::Io { path: path.to_path_buf(), error })?;
    Ok(key)
}

fn publish(path: &Path, key: &SigningKey) -> io::Result<()> {
    state_dir::write(path, &key.public().to_pem(), Overwrite::Yes)?;
    fs::set_permissions(path, Permissions::from_mode(0o644))
}
