//! The system's clock, as the ledger and the news tell time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, ms of the UNIX epoch; 0 if the clock stands before it.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
