//! Durations as people write them: `500ms`, `20s`, `1.5m`, `2h`.

use std::time::Duration;

use crate::error::Error;

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, Error> {
    let bad = || Error::BadDuration { text: text.to_owned() };
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    let number: f64 = number.parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| bad())
}

/// Writes a duration as [`parse`] reads it, to the millisecond.
pub(crate) fn text(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}
