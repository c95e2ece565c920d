//! `camlock ledger report`.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use super::html::{Page, page};
use super::period::{self, Period};
use super::{Exit, Where, output, verify};
use crate::segment::{DAY_MS, day_start, now_ms};

/// Options of `camlock ledger report`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Where,
    /// UTC day.
    #[arg(long, value_name = "DAY", value_parser = period::day)]
    day: String,
    /// File to write.
    #[arg(long, value_name = "FILE.html")]
    output: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<Exit, String> {
    let content = Period::of(&options.day).read(&options.place)?;
    let checked = verify::check(&options.place.place(), None, &[])?;
    let whole = checked.whole();
    let start = day_start(&options.day).unwrap_or(0);
    let now = now_ms();
    let page = page(Page {
        day: options.day.clone(),
        start_ms: start,
        end_ms: (start + DAY_MS).min(now),
        now_ms: now,
        content,
        checked,
    });
    let file = options.output.display();
    fs::write(&options.output, page).map_err(|error| format!("{file}: {error}"))?;
    if whole {
        output::line(&format!("{file}: written"));
        Ok(Exit::Done)
    } else {
        output::error(&format!(
            "{file}: written; it reports that the ledger is not intact: run `camlock ledger verify`"
        ));
        Ok(Exit::Failed)
    }
}
