//! Unix sockets of the service, opened before it gives its rights up.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::ops::limits;

/// Listens at `path`, for those whom `mode` lets in; non-blocking. A socket that a process before left there goes;
/// anything else there is an error.
pub fn listen(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(left) if left.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    // The standard library's queue is too short for all streams of a large installation at once.
    rustix::net::listen(&listener, limits::SEGMENT_BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_before_left_goes_and_nothing_else() {
        let path = std::env::temp_dir().join(format!("camlock-listen-{}", std::process::id()));
        drop(listen(&path, 0o600).unwrap());
        let again = listen(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(again.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        assert_eq!(listen(&path, 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_file(&path).unwrap();
    }
}
