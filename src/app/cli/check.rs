//! `camlock check FILE`.

use std::io::Read;
use std::path::Path;

use super::{Exit, output};
use crate::app::config::{self, Loaded, Surroundings};

/// Most bytes a configuration may have: 1,000 cameras take about 400 KiB.
const CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Checks a file and says all its faults.
pub(super) fn check(file: &Path) -> Exit {
    match load(file) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                output::error(warning);
            }
            let settings = &loaded.settings;
            let streams: usize = settings.cameras.iter().map(|camera| camera.profiles.len()).sum();
            output::line(&format!(
                "{}: OK ({} cameras, {streams} streams, {} accounts)",
                file.display(),
                settings.cameras.len(),
                settings.auth.users.len()
            ));
            Exit::Done
        }
        Err(faults) => {
            output::error(&faults);
            Exit::BadConfig
        }
    }
}

/// Reads a configuration with this process's files and environment, or all its faults, one a line.
pub(super) fn load(file: &Path) -> Result<Loaded, String> {
    let name = file.display().to_string();
    let text = read(file).map_err(|why| format!("{name}: {why}"))?;
    config::load(&name, &text, surroundings()).map_err(|faults| faults.to_string())
}

/// The real files and environment.
pub(super) fn surroundings() -> Surroundings<'static> {
    #[allow(clippy::disallowed_methods, reason = "this is where `env:` references are resolved")]
    fn env(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
    Surroundings { read_file: &read_file, env: &env }
}

fn read(file: &Path) -> Result<String, String> {
    let bytes = read_file(file).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    // Devices and pipes tell no length: the bound is on what is read.
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(CONFIG_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CONFIG_BYTES {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            format!("over {CONFIG_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = read_file(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    }
}
