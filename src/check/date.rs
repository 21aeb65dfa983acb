//! Days, as exceptions and allowances name them: `2026-12-31`, in UTC.

use std::time::SystemTime;

/// Today in UTC.
pub fn today() -> String {
    let mut now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.truncate(10);
    now
}

/// Whether a last day has passed. Both are `YYYY-MM-DD`, whose order is that of their text.
pub fn has_expired(last_day: &str, today: &str) -> bool {
    last_day < today
}
