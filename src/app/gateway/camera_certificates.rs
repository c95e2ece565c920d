//! The certificates of cameras trusted on first use, kept in the state directory: `camera-certificates`, a
//! name and a fingerprint on each line.

use std::io;
use std::path::Path;

use crate::ingest::camera::{CertificateBook, Certificates};
use crate::ops::limits;
use crate::ops::state_dir::{self, Overwrite};

/// Most bytes of the file: every certificate with the longest name.
const FILE_BYTES: u64 = (limits::CAMERA_CERTIFICATES_KNOWN as u64) * (64 + 1 + 95 + 1);

/// The book with what the file says. A file that cannot be read is said, and makes a book that trusts nobody.
pub(super) fn open(folder: &Path) -> CertificateBook {
    let file = folder.join("camera-certificates");
    let known = match read(&file) {
        Ok(known) => Some(known),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Certificates::new()),
        Err(error) => {
            tracing::error!(
                file = %file.display(), %error,
                "cannot read the remembered camera certificates; cameras with tls = \"first-use\" are not pulled"
            );
            None
        }
    };
    CertificateBook::new(known, move |all| write(&file, all))
}

fn write(file: &Path, all: &Certificates) -> io::Result<()> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    state_dir::make(folder)?;
    let text: String = all.iter().map(|(name, print)| format!("{name} {print}\n")).collect();
    state_dir::write(file, &text, Overwrite::Yes)
}

fn read(file: &Path) -> io::Result<Certificates> {
    let text = state_dir::read(file, FILE_BYTES)?;
    let mut known = Certificates::new();
    for (number, line) in text.lines().enumerate() {
        let entry =
            line.split_once(' ').and_then(|(name, print)| Some((name, print.parse().ok()?)));
        let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("line {}", number + 1));
        let (name, print) = entry.ok_or_else(broken)?;
        known.insert(name.to_owned(), print);
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tls::Fingerprint;

    /// A folder that is gone with the test.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("camlock-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = Folder::new("certificates");
        let file = folder.0.join("state/camera-certificates");
        let mut all = Certificates::new();
        for name in ["door", "yard"] {
            all.insert(name.to_owned(), Fingerprint::of(name.as_bytes()));
            write(&file, &all).unwrap();
            assert_eq!(read(&file).unwrap(), all);
        }
        assert!(!file.with_extension("new").exists());
    }

    #[test]
    fn a_broken_or_endless_file_is_not_taken_for_an_empty_one() {
        let folder = Folder::new("broken-certificates");
        let file = folder.0.join("camera-certificates");
        let good = [("door".to_owned(), Fingerprint::of(b"door"))].into();
        write(&file, &good).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let long = "x".repeat(usize::try_from(FILE_BYTES).unwrap());
        for broken in [text.get(..40).unwrap().to_owned(), format!("{text}yard\n"), text + &long] {
            std::fs::write(&file, broken).unwrap();
            assert!(read(&file).is_err());
        }
        std::fs::write(&file, [0xff]).unwrap();
        assert!(read(&file).is_err());
    }

    #[test]
    fn the_files_of_the_state_directory_are_these() {
        let folder = Folder::new("surface");
        let state = folder.0.join("state");
        let names = crate::trust::pki::Names { dns: vec!["g".to_owned()], ip: Vec::new() };
        crate::trust::pki::ensure(&state, &names, std::time::SystemTime::now()).unwrap();
        let print = Fingerprint::of(b"");
        write(&state.join("camera-certificates"), &[("door".to_owned(), print)].into()).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(&state).unwrap().flatten().collect();
        files.sort_by_key(std::fs::DirEntry::file_name);
        let names = files.iter().map(|file| file.file_name().into_string().unwrap());
        let names = names.collect::<Vec<_>>().join("\n");
        let book = std::fs::read_to_string(state.join("camera-certificates")).unwrap();
        assert_surface!("state-files", format!("{names}\n\n{book}"));
    }
}
