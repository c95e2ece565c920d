//! `camlock ledger show`.

use clap::Args;

use super::period::{Content, Period};
use super::table::{destination, name, number, port, table, who};
use super::{Where, output};
use crate::segment::utc_time;

/// Options of `camlock ledger show`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    period: Period,
}

const HEADS: [&str; 9] = [
    "DEVICE",
    "VENDOR",
    "PROTOCOL",
    "DESTINATION",
    "PORT",
    "NAME",
    "VERDICT",
    "COUNT",
    "LAST (UTC)",
];

pub(super) fn run(options: &Options) -> Result<(), String> {
    let content = options.period.read(&options.place)?;
    lines(content).iter().for_each(|line| output::line(line));
    Ok(())
}

fn lines(content: Content) -> Vec<String> {
    let (first, last, unreadable) = (content.first, content.last, content.unreadable);
    let mut rows = content.summary.over_days();
    rows.sort_by(|a, b| who(a).cmp(&who(b)).then(b.count.cmp(&a.count)));
    let attempts: u64 = rows.iter().map(|row| row.count).sum();
    let cells = rows.iter().map(|row| {
        vec![
            who(row),
            row.vendor.clone().unwrap_or_default(),
            row.attempt.protocol.name().to_owned(),
            destination(row),
            port(row),
            name(row),
            row.attempt.verdict.name().to_owned(),
            number(row.count),
            utc_time(row.last_ms),
        ]
    });
    let cells: Vec<Vec<String>> = cells.collect();
    let mut lines = if cells.is_empty() { Vec::new() } else { table(&HEADS, &cells, &[4, 7]) };
    let days = if first == last { first } else { format!("{first} to {last}") };
    lines.push(format!(
        "{days}: {} kinds of attempts, {} attempts",
        number(rows.len() as u64),
        number(attempts)
    ));
    if unreadable > 0 {
        lines.push(format!(
            "{unreadable} lines cannot be read; run `camlock ledger verify` for details"
        ));
    }
    lines
}
