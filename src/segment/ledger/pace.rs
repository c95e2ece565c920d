//! When a row that grows is written again: a camera that asks the same name every second would fill the disk.

use std::collections::HashMap;
use std::time::Duration;

use crate::ops::limits;
use crate::segment::{Attempt, MacAddr, Row, utc_day};

/// Holds back rows that were written lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    rows: HashMap<Key, Paced>,
}

type Key = (String, String, MacAddr, Attempt);

#[derive(Debug)]
struct Paced {
    written_ms: u64,
    pause: Duration,
    held: Option<Row>,
}

impl Pace {
    /// Takes a row, new or grown; gives it back if it is to be written now. What is held is never lost: a later row
    /// replaces it, or [`Self::due`] gives it out.
    pub(super) fn row(&mut self, row: Row, now_ms: u64) -> Option<Row> {
        let key = (row.day.clone(), row.run.clone(), row.device, row.attempt.clone());
        if let Some(paced) = self.rows.get_mut(&key) {
            paced.held = Some(row);
            return paced.take_due(now_ms);
        }
        if self.rows.len() < limits::LEDGER_PACED_ROWS {
            let paced = Paced { written_ms: now_ms, pause: limits::LEDGER_ROW_PAUSE, held: None };
            self.rows.insert(key, paced);
        }
        Some(row)
    }

    /// The held rows that are to be written now; all of a day that is over.
    pub(super) fn due(&mut self, now_ms: u64) -> Vec<Row> {
        let today = utc_day(now_ms);
        let mut due = Vec::new();
        self.rows.retain(|(day, ..), paced| {
            let over = *day != today;
            due.extend(if over { paced.held.take() } else { paced.take_due(now_ms) });
            !over
        });
        due
    }

    /// All held rows.
    pub(super) fn all(&mut self) -> Vec<Row> {
        self.rows.values_mut().filter_map(|paced| paced.held.take()).collect()
    }
}

impl Paced {
    fn take_due(&mut self, now_ms: u64) -> Option<Row> {
        let since = Duration::from_millis(now_ms.saturating_sub(self.written_ms));
        // A clock that went back holds nothing back.
        if since < self.pause && now_ms >= self.written_ms {
            return None;
        }
        let row = self.held.take()?;
        self.written_ms = now_ms;
        self.pause = (self.pause * 2).min(limits::LEDGER_ROW_PAUSE_MAX);
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::ledger::tests::{NOON, row};

    #[test]
    fn a_row_that_grows_for_a_day_is_written_some_tens_of_times() {
        let mut pace = Pace::default();
        let (mut written, mut last) = (0, 0);
        let start = NOON / 86_400_000 * 86_400_000;
        for n in 0..8_640 {
            let now = start + n * 10_000;
            let rows = pace.row(row(now, "a.example", n + 1), now).into_iter().chain(pace.due(now));
            for row in rows {
                written += 1;
                last = row.count;
            }
        }
        assert!((20..60).contains(&written), "{written}");
        assert!(last < 8_640);
        // The day is over: what was held comes out, and is forgotten.
        let rest = pace.due(start + 86_400_000);
        assert_eq!(rest.iter().map(|row| row.count).collect::<Vec<_>>(), [8_640]);
        assert!(pace.rows.is_empty() && pace.all().is_empty());
    }

    #[test]
    fn beyond_the_bound_rows_are_written_as_they_come() {
        let mut pace = Pace::default();
        for n in 0..=limits::LEDGER_PACED_ROWS {
            assert!(pace.row(row(NOON, &n.to_string(), 1), NOON).is_some());
        }
        assert_eq!(pace.rows.len(), limits::LEDGER_PACED_ROWS);
        let over = limits::LEDGER_PACED_ROWS.to_string();
        assert!(pace.row(row(NOON, "0", 2), NOON).is_none());
        assert!(pace.row(row(NOON, &over, 2), NOON).is_some());
        assert_eq!(pace.all().len(), 1);
    }

    #[test]
    fn a_clock_that_went_back_holds_nothing_back() {
        let mut pace = Pace::default();
        assert!(pace.row(row(NOON, "a", 1), NOON).is_some());
        assert!(pace.row(row(NOON, "a", 2), NOON + 1).is_none());
        assert!(pace.row(row(NOON, "a", 3), NOON - 1).is_some());
    }
}
