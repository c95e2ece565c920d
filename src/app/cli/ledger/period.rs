//! Which part of the ledger: days, one device, one camera.

use clap::Args;

use super::Where;
use crate::segment::ledger::{self, Entry, Summary};
use crate::segment::{CanaryResult, DAY_MS, DeviceEvent, MacAddr, Row, day_start, now_ms, utc_day};

/// Which part of the ledger.
#[derive(Debug, Clone, Args)]
pub(super) struct Period {
    /// One UTC day; without it and `--from`, today.
    #[arg(long, value_name = "DAY", value_parser = day, conflicts_with_all = ["from", "to"])]
    day: Option<String>,
    /// First UTC day.
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<String>,
    /// Last UTC day; without it, today.
    #[arg(long, value_name = "DAY", value_parser = day, requires = "from")]
    to: Option<String>,
    /// This device alone: its Ethernet address.
    #[arg(long, value_name = "MAC")]
    device: Option<MacAddr>,
    /// This camera alone: its name in the segment file.
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
}

/// What the ledger says of a period.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) first: String,
    pub(super) last: String,
    pub(super) summary: Summary,
    pub(super) events: Vec<DeviceEvent>,
    pub(super) canary: Vec<CanaryResult>,
    /// Signs of life: when, and whether it is a stop. From a day before to a day after.
    pub(super) beats: Vec<(u64, bool)>,
    /// What the ledger says of itself: torn, cut, lost.
    pub(super) faults: Vec<(u64, Entry)>,
    pub(super) unreadable: u64,
}

impl Period {
    /// One whole day.
    pub(super) fn of(day: &str) -> Self {
        Self { day: Some(day.to_owned()), from: None, to: None, device: None, camera: None }
    }

    fn days(&self) -> Result<(String, String), String> {
        let today = utc_day(now_ms());
        let first = self.day.as_ref().or(self.from.as_ref()).unwrap_or(&today);
        let last = self.day.as_ref().or(self.to.as_ref()).unwrap_or(&today);
        if first > last {
            return Err(format!("{first} is after {last}"));
        }
        Ok((first.clone(), last.clone()))
    }

    fn wants(&self, row: &Row) -> bool {
        self.device.is_none_or(|device| row.device == device)
            && self.camera.as_ref().is_none_or(|camera| row.camera.as_ref() == Some(camera))
    }

    /// Reads it.
    pub(super) fn read(&self, place: &Where) -> Result<Content, String> {
        let dir = place.place().ledger();
        let why = |error: std::io::Error| format!("{}: {error}", dir.display());
        if ledger::days(&dir).map_err(why)?.is_empty() {
            return Err(format!("{}: no ledger found", dir.display()));
        }
        let (first, last) = self.days()?;
        let start = day_start(&first).unwrap_or(0);
        let end = day_start(&last).unwrap_or(0).saturating_add(DAY_MS);
        let mut content =
            Content { first: first.clone(), last: last.clone(), ..Content::default() };
        // A day's last rows are written just after it.
        let around = (utc_day(start.saturating_sub(DAY_MS)), utc_day(end));
        content.unreadable = ledger::entries(&dir, &around.0, &around.1, |time_ms, entry| {
            let within = (start..end).contains(&time_ms);
            match entry {
                Entry::Row(row) if (&first..=&last).contains(&&row.day) && self.wants(&row) => {
                    content.summary.take(row);
                }
                Entry::Row(_) => {}
                Entry::Start(_) | Entry::Pulse(_) => content.beats.push((time_ms, false)),
                Entry::Stop { .. } => content.beats.push((time_ms, true)),
                Entry::Device(event)
                    if (start..end).contains(&event.at_ms)
                        && self.device.is_none_or(|device| event.device == device) =>
                {
                    content.events.push(event);
                }
                Entry::Device(_) => {}
                Entry::Canary(result) if (start..end).contains(&result.at_ms) => {
                    content.canary.push(result);
                }
                Entry::Canary(_) => {}
                Entry::Torn { .. } | Entry::Cut { .. } | Entry::Lost { .. } => {
                    if within {
                        content.faults.push((time_ms, entry));
                    }
                }
            }
        })
        .map_err(why)?;
        Ok(content)
    }
}

/// A day as `--day` takes it.
pub(super) fn day(text: &str) -> Result<String, String> {
    match day_start(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("a UTC day, such as 2026-11-29".to_owned()),
    }
}
