//! `camlock ledger export`.

use clap::{Args, ValueEnum};

use super::escape;
use super::gaps::{Gap, gaps};
use super::period::{Content, Period};
use super::table::{destination, name, port};
use super::{Where, output};
use crate::segment::{CanaryResult, DAY_MS, DeviceEvent, Row, day_start, now_ms, utc_time};

/// Options of `camlock ledger export`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    period: Period,
    /// CSV: rows alone. JSON: rows, events, canary results, gaps.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Json,
}

#[derive(serde::Serialize)]
struct Json {
    from: String,
    to: String,
    rows: Vec<Row>,
    events: Vec<DeviceEvent>,
    canary: Vec<CanaryResult>,
    gaps: Vec<Gap>,
    unreadable_lines: u64,
}

const HEADS: &str = "day,device,ip,camera,vendor,protocol,destination,port,name,verdict,count,bytes,first_utc,last_utc";

pub(super) fn run(options: &Options) -> Result<(), String> {
    let content = options.period.read(&options.place)?;
    match options.format {
        Format::Csv => {
            output::line(HEADS);
            content.summary.rows().iter().for_each(|row| output::line(&csv(row)));
        }
        Format::Json => output::line(&json(content)?),
    }
    Ok(())
}

fn csv(row: &Row) -> String {
    let ip = row.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let cells = [
        row.day.clone(),
        row.device.to_string(),
        ip,
        row.camera.clone().unwrap_or_default(),
        row.vendor.clone().unwrap_or_default(),
        row.attempt.protocol.name().to_owned(),
        destination(row),
        port(row),
        name(row),
        row.attempt.verdict.name().to_owned(),
        row.count.to_string(),
        row.bytes.to_string(),
        utc_time(row.first_ms),
        utc_time(row.last_ms),
    ];
    cells.iter().map(|cell| escape::csv(cell)).collect::<Vec<_>>().join(",")
}

fn json(content: Content) -> Result<String, String> {
    let start = day_start(&content.first).unwrap_or(0);
    let end = day_start(&content.last).unwrap_or(0).saturating_add(DAY_MS).min(now_ms());
    let json = Json {
        from: content.first,
        to: content.last,
        rows: content.summary.rows(),
        events: content.events,
        canary: content.canary,
        gaps: gaps(content.beats, start, end),
        unreadable_lines: content.unreadable,
    };
    serde_json::to_string_pretty(&json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::DeviceText;
    use crate::segment::ledger::tests::{NOON, row};

    #[test]
    fn a_row_is_one_line_with_as_many_fields_as_heads() {
        let mut row = row(NOON, "a", 3);
        row.attempt.name = Some(DeviceText::new(b"=cmd|' /C calc'!A0\n\",\""));
        row.vendor = Some("@evil\n".to_owned());
        let line = csv(&row);
        assert_eq!(line.lines().count(), 1);
        assert_eq!(line.matches("\",\"").count(), HEADS.matches(',').count() + 1, "{line}");
        assert!(line.contains("\"'=cmd|") && line.contains("\"'@evil\\x0a\""), "{line}");
    }

    #[test]
    fn the_columns_and_keys_are_these() {
        let json = Json {
            from: "2026-11-28".to_owned(),
            to: "2026-11-29".to_owned(),
            rows: Vec::new(),
            events: Vec::new(),
            canary: Vec::new(),
            gaps: vec![Gap { from_ms: 1, to_ms: 2, stopped: true }],
            unreadable_lines: 0,
        };
        let json = serde_json::to_string(&json).unwrap();
        assert_surface!("ledger-export", format!("{HEADS}\n{json}"));
    }
}
