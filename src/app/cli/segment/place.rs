//! Where the segment's things are, as every command of it takes it; and its file, read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::app::config;
use crate::segment::{Place, Plan};

/// Most bytes a segment file may have: 512 cameras with all their ports take 100 KiB.
const FILE_BYTES: u64 = 1024 * 1024;

/// Names and paths of one segment; the defaults are the package's.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::app::cli) struct PlaceOptions {
    /// Network namespace of the segment.
    #[arg(long, value_name = "NAME", default_value = "camlock", value_parser = namespace)]
    namespace: String,
    /// Segment file.
    #[arg(long, value_name = "FILE", default_value = "/etc/camlock/segment.toml")]
    file: PathBuf,
    /// Directory of the service's sockets.
    #[arg(long, value_name = "DIR", default_value = "/run/camlock-segment")]
    run_dir: PathBuf,
    /// Directory of the ledger and its key.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/camlock-segment")]
    state_dir: PathBuf,
}

impl PlaceOptions {
    /// The names and paths.
    pub(in crate::app::cli) fn place(&self) -> Place {
        Place {
            namespace: self.namespace.clone(),
            file: self.file.clone(),
            run_dir: self.run_dir.clone(),
            state_dir: self.state_dir.clone(),
        }
    }
}

/// The name becomes a file's in `/run/netns` and an argument of `ip`.
fn namespace(text: &str) -> Result<String, String> {
    let lawful = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=64).contains(&text.len()) && text.bytes().all(lawful) && !text.starts_with('-') {
        Ok(text.to_owned())
    } else {
        Err("a namespace's name is 1 to 64 characters of a-z A-Z 0-9 - _".to_owned())
    }
}

/// The plan of a segment file. When root reads it, nobody but root may be able to write it.
pub(in crate::app::cli) fn plan(file: &Path) -> Result<Plan, String> {
    let (plan, writers) = read(file)?;
    match writers {
        Err(why) if rustix::process::geteuid().is_root() => {
            Err(format!("{}: {why}", file.display()))
        }
        Ok(()) | Err(_) => Ok(plan),
    }
}

/// The text of a segment file, whatever it says.
pub(super) fn text(file: &Path) -> Result<String, String> {
    open(file).map(|(text, _)| text)
}

/// The plan of a segment file, and whether only root can write the file; or all faults, one a line.
pub(super) fn read(file: &Path) -> Result<(Plan, Result<(), String>), String> {
    let name = file.display().to_string();
    let (text, writers) = open(file).map_err(|why| format!("{name}: {why}"))?;
    let plan = config::segment_file(&name, &text).map_err(|faults| faults.to_string())?;
    Ok((plan, writers))
}

/// Owner, mode and text are of one open file: nobody can put another in between.
fn open(path: &Path) -> Result<(String, Result<(), String>), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(format!("over {FILE_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    Ok((text, writers(metadata.uid(), metadata.mode())))
}

/// Whether only root can write a file of this owner and mode.
fn writers(owner: u32, mode: u32) -> Result<(), String> {
    if owner != 0 {
        return Err(format!("user {owner} owns it and could open the segment: chown root:root"));
    }
    if mode & 0o022 != 0 {
        return Err(format!(
            "users other than root can write it (mode {:03o}) and could open the segment: chmod 0644",
            mode & 0o777
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_may_be_able_to_write_the_file() {
        assert_eq!(writers(0, 0o100_644), Ok(()));
        assert_eq!(writers(0, 0o100_600), Ok(()));
        assert!(writers(0, 0o100_664).unwrap_err().contains("mode 664"));
        assert!(writers(0, 0o100_646).is_err());
        assert!(writers(1000, 0o100_644).unwrap_err().contains("user 1000"));
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        assert_eq!(open(Path::new("/dev/zero")).unwrap_err(), "not a file");
    }

    #[test]
    fn the_defaults_are_the_package_s() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            place: PlaceOptions,
        }
        let line: Line = clap::Parser::try_parse_from(["camlock"]).unwrap();
        assert_eq!(line.place.place(), Place::default());
        for bad in ["", "../x", "a b", "-x"] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }
}
