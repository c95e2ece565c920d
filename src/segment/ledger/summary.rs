//! Rows summed up over the runs of the process: the last row of a run counts, and runs add up.

use std::collections::{BTreeMap, HashMap};

use crate::segment::{Attempt, MacAddr, Row};

/// Sums rows up, per day, device and attempt.
#[derive(Debug, Default)]
pub struct Summary {
    rows: HashMap<(String, String, MacAddr, Attempt), Row>,
}

impl Summary {
    /// Takes a row; a later one of the same run replaces an earlier one.
    pub fn take(&mut self, row: Row) {
        let key = (row.day.clone(), row.run.clone(), row.device, row.attempt.clone());
        self.rows.insert(key, row);
    }

    /// One row for each day, device and attempt; its `run` is empty.
    pub fn rows(self) -> Vec<Row> {
        self.sum(|row| row.day.clone())
    }

    /// One row for each device and attempt over all days; its `run` and `day` are empty.
    pub fn over_days(self) -> Vec<Row> {
        self.sum(|_| String::new())
    }

    fn sum(self, day: impl Fn(&Row) -> String) -> Vec<Row> {
        let mut sums: BTreeMap<(String, MacAddr, Attempt), Row> = BTreeMap::new();
        for row in self.rows.into_values() {
            let row = Row { day: day(&row), run: String::new(), ..row };
            let key = (row.day.clone(), row.device, row.attempt.clone());
            match sums.get_mut(&key) {
                Some(sum) => add(sum, row),
                None => drop(sums.insert(key, row)),
            }
        }
        sums.into_values().collect()
    }
}

/// Adds a row; what it says about the device counts if it is newer.
fn add(sum: &mut Row, row: Row) {
    sum.count = sum.count.saturating_add(row.count);
    sum.bytes = sum.bytes.saturating_add(row.bytes);
    sum.first_ms = sum.first_ms.min(row.first_ms);
    if row.last_ms >= sum.last_ms {
        sum.last_ms = row.last_ms;
        sum.ip = row.ip.or(sum.ip);
        sum.camera = row.camera.or_else(|| sum.camera.take());
        sum.vendor = row.vendor.or_else(|| sum.vendor.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::ledger::tests::{NOON, row};

    #[test]
    fn the_last_row_of_a_run_counts_and_runs_add_up() {
        let mut summary = Summary::default();
        summary.take(row(NOON, "a", 2));
        summary.take(row(NOON + 5, "a", 5));
        summary.take(Row { run: "b".repeat(16), ..row(NOON + 9, "a", 10) });
        summary.take(row(NOON, "b", 1));
        let rows = summary.rows();
        assert_eq!(rows.iter().map(|row| row.count).collect::<Vec<_>>(), [15, 1]);
        assert_eq!(rows[0].last_ms, NOON + 9);
    }

    #[test]
    fn days_add_up_when_asked_for() {
        let mut summary = Summary::default();
        summary.take(row(NOON, "a", 2));
        summary.take(row(NOON + 86_400_000, "a", 3));
        let rows = summary.over_days();
        assert_eq!(
            rows.iter().map(|row| (row.day.as_str(), row.count)).collect::<Vec<_>>(),
            [("", 5)]
        );
    }
}
