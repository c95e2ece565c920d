//! `camlock segment check FILE`.

use std::path::PathBuf;

use super::place;
use crate::app::cli::{Exit, output};

/// Options of `camlock segment check`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Segment file.
    file: PathBuf,
}

/// Checks a file and says all its faults.
pub(super) fn run(options: &Options) -> Exit {
    let file = options.file.display();
    match place::read(&options.file) {
        Ok((plan, writers)) => {
            if let Err(why) = writers {
                output::error(&format!("{file}: warning: {why}"));
            }
            let ports: usize = plan.cameras.iter().map(|camera| camera.ports.len()).sum();
            output::line(&format!(
                "{file}: OK ({}/{} on {} interfaces, {} cameras, {ports} ports)",
                plan.address,
                plan.prefix,
                plan.interfaces.len(),
                plan.cameras.len(),
            ));
            Exit::Done
        }
        Err(why) => {
            output::error(&why);
            Exit::BadConfig
        }
    }
}
