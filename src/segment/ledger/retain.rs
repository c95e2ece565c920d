//! Days that are too old, or for which there is no room: deleted, oldest first, and the chain says so before.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use super::files::{self, DayFile, Next};
use super::store::Store;
use crate::ops::hash_log::{Line, Position};
use crate::segment::{DAY_MS, utc_day};

/// Deletes what the bounds do not let stay. The file that is written to stays always.
pub(super) fn retain(store: &mut Store, now_ms: u64) -> io::Result<()> {
    let Some(today) = store.today.as_ref() else {
        return Ok(());
    };
    // A look at the directory only when something may have to go.
    let oldest = utc_day(now_ms.saturating_sub(u64::from(store.days) * DAY_MS));
    let full = store.others + today.bytes() > store.bytes;
    if !full && store.looked.as_ref() == Some(&oldest) {
        return Ok(());
    }
    let days = files::days(&store.dir)?;
    let keep = first_kept(&days, &oldest, store.bytes, &today.day);
    let (gone, kept) = days.split_at(keep);
    if let (false, Some(first)) = (gone.is_empty(), kept.first()) {
        let begins = first_line(first)?;
        store.try_anchor(begins, now_ms)?;
        store.try_checkpoint(now_ms)?;
        delete(&store.dir, gone, first)?;
    }
    store.others = kept.iter().filter(|day| day.day != today_of(store)).map(|day| day.bytes).sum();
    store.looked = Some(oldest);
    Ok(())
}

fn today_of(store: &Store) -> &str {
    store.today.as_ref().map_or("", |today| &today.day)
}

/// The index of the first file that stays.
fn first_kept(days: &[DayFile], oldest: &str, most: u64, today: &str) -> usize {
    let mut left: u64 = days.iter().map(|day| day.bytes).sum();
    let mut keep = 0;
    for day in days {
        let stays = day.day.as_str() >= oldest && left <= most;
        if stays || day.day == today {
            break;
        }
        left -= day.bytes;
        keep += 1;
    }
    keep
}

fn first_line(day: &DayFile) -> io::Result<Position> {
    let mut file = BufReader::new(File::open(&day.path)?);
    let mut buffer = Vec::new();
    let next = files::next_line(&mut file, &mut buffer)?;
    match Line::parse(&buffer) {
        Ok(line) if next == Next::Line => Ok(line.at),
        Ok(_) | Err(_) => {
            let why = format!(
                "{} does not begin with a line of the ledger, so nothing before it is deleted; run `camlock ledger verify` for details",
                day.path.display()
            );
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
    }
}

/// Oldest first: a crash in between leaves a chain that begins before the anchor.
fn delete(dir: &Path, gone: &[DayFile], first: &DayFile) -> io::Result<()> {
    for day in gone {
        fs::remove_file(&day.path)?;
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let torn = name.to_str().filter(|name| name.ends_with(".torn"));
        if torn.is_some_and(|name| name < first.day.as_str()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
