//! Durations as people write them: `500ms`, `30s`, `15m`, `1h 30m`.

use std::time::Duration;

/// What is longer is a mistake, and would overflow a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Parses a duration such as `500ms`, `30s`, `15m`, `1h30m` or `2d`.
///
/// # Errors
/// A message for people when the text is no duration, or is zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("a duration must be longer than zero".into()),
        Ok(duration) if duration > LONGEST => Err("a duration must be shorter than a year".into()),
        Ok(duration) => Ok(duration),
        Err(_) => {
            Err(format!("`{text}` is no duration; write a number and a unit, such as `500ms`, `30s`, `15m` or `1h`"))
        }
    }
}

/// Writes a duration for people, with two significant units at the most: `3ms`, `1.24s`, `2m 05s`.
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..=999 => format!("{millis}ms"),
        1_000..=59_999 => format!("{:.2}s", duration.as_secs_f64()),
        60_000..=3_599_999 => format!("{}m {:02}s", millis / 60_000, millis / 1_000 % 60),
        _ => format!("{}h {:02}m", millis / 3_600_000, millis / 60_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_people_write() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(parse_duration("soon").is_err());
        assert!(parse_duration("10").is_err());
        assert!(parse_duration("0s").is_err());
    }

    #[test]
    fn formats_for_people() {
        assert_eq!(format_duration(Duration::from_millis(3)), "3ms");
        assert_eq!(format_duration(Duration::from_millis(1240)), "1.24s");
        assert_eq!(format_duration(Duration::from_secs(125)), "2m 05s");
        assert_eq!(format_duration(Duration::from_secs(3_720)), "1h 02m");
    }
}
