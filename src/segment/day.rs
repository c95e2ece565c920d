//! UTC days and times as the ledger writes them.

/// A day, ms.
pub const DAY_MS: u64 = 24 * 3600 * 1000;

/// The UTC day of a time in ms of the UNIX epoch: `2026-11-29`.
pub fn utc_day(ms: u64) -> String {
    let (year, month, day) = civil(ms / DAY_MS);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The UTC time of a time in ms of the UNIX epoch: `2026-11-29 08:15:00`.
pub fn utc_time(ms: u64) -> String {
    let seconds = ms % DAY_MS / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{} {hour:02}:{minute:02}:{second:02}", utc_day(ms))
}

/// The beginning of a day as [`utc_day`] writes it, ms of the UNIX epoch; `None`: there is no such day, or it is
/// not in 1970 to 9999.
pub fn day_start(day: &str) -> Option<u64> {
    let digits = |range: std::ops::Range<usize>| day.get(range)?.parse::<u64>().ok();
    let (year, month, date) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    if year < 1970 {
        return None;
    }
    let start = days(year, month, date)? * DAY_MS;
    // One text for one day.
    (utc_day(start) == day).then_some(start)
}

/// Year, month and day of a number of days since 1970-01-01; years begin with March here, so that the leap day is
/// the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + of_year;
    (year / 400 * 146_097 + of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_calendar_s() {
        for (ms, day) in [
            (0, "1970-01-01"),
            (951_782_399_999, "2000-02-28"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (4_107_542_400_000, "2100-03-01"),
            (1_795_910_400_000, "2026-11-29"),
        ] {
            assert_eq!(utc_day(ms), day);
            assert_eq!(day_start(day), Some(ms / DAY_MS * DAY_MS), "{day}");
        }
        assert_eq!(utc_time(1_795_910_400_000 + 29_701_000), "2026-11-29 08:15:01");
        for n in (0..60_000).step_by(17) {
            assert_eq!(day_start(&utc_day(n * DAY_MS)), Some(n * DAY_MS));
        }
        for bad in [
            "",
            "2026-11-31",
            "2026-1-1",
            "1969-12-31",
            "2026-13-01",
            "2026-11-29 ",
            "+026-11-29",
            "é026-11-29",
        ] {
            assert_eq!(day_start(bad), None, "{bad}");
        }
    }
}
