//! UTC days and times as the ledger writes them.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime};

/// A day, ms.
pub const DAY_MS: u64 = 24 * 3600 * 1000;

/// The UTC day of a time in ms of the UNIX epoch: `2026-11-29`; times after the year 9999 count as its last second.
pub fn utc_day(ms: u64) -> String {
    let date = utc(ms).date();
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// The UTC time of a time in ms of the UNIX epoch: `2026-11-29 08:15:00`.
pub fn utc_time(ms: u64) -> String {
    let (hour, minute, second) = utc(ms).time().as_hms();
    format!("{} {hour:02}:{minute:02}:{second:02}", utc_day(ms))
}

/// The beginning of a day as [`utc_day`] writes it, ms of the UNIX epoch; `None`: there is no such day, or it is
/// not in 1970 to 9999.
pub fn day_start(day: &str) -> Option<u64> {
    let (year, month, date) = (day.get(0..4)?, day.get(5..7)?, day.get(8..10)?);
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, date.parse().ok()?).ok()?;
    let seconds = date.midnight().assume_utc().unix_timestamp();
    let start = u64::try_from(seconds).ok()?.checked_mul(1000)?;
    // One text for one day.
    (utc_day(start) == day).then_some(start)
}

fn utc(ms: u64) -> OffsetDateTime {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let last = PrimitiveDateTime::MAX.assume_utc();
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(last)
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
