//! Moments as people name them.

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil, tz::TimeZone};
use xueliang_base::time::Wall;

/// How long a time without an end is.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// From and to, in this zone.
pub(super) fn range(from: &str, to: Option<&str>, now: Wall, zone: &str) -> anyhow::Result<(Wall, Wall)> {
    let tz = TimeZone::get(zone)
        .with_context(|| format!("--timezone {zone}: use an IANA name, as Asia/Shanghai"))?;
    let now = Timestamp::from_microsecond(now.0).context("the clock of this machine is far off")?;
    let since = moment(from, now, &tz)?;
    let until = match to {
        Some(text) if text.starts_with('+') => since.checked_add(duration(&text[1..])?)?,
        Some(text) => moment(text, now, &tz)?,
        None if from.starts_with('-') => now,
        None => since.checked_add(MINUTE)?,
    };
    if until <= since {
        bail!("{} is not after {from}: name the earlier moment first", to.unwrap_or("now"));
    }
    Ok((Wall(since.as_microsecond()), Wall(until.as_microsecond())))
}

fn duration(text: &str) -> anyhow::Result<SignedDuration> {
    let known: Option<SignedDuration> = text.parse().ok();
    known
        .filter(SignedDuration::is_positive)
        .with_context(|| format!("{text:?}: use a duration as 90s, 10m or 2h"))
}

fn moment(text: &str, now: Timestamp, tz: &TimeZone) -> anyhow::Result<Timestamp> {
    if text == "now" {
        return Ok(now);
    }
    if let Some(ago) = text.strip_prefix('-') {
        return Ok(now.checked_sub(duration(ago)?)?);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let here = |at: civil::DateTime| anyhow::Ok(tz.to_zoned(at)?.timestamp());
    // A time alone is the last one that was.
    if text.len() <= 12
        && let Ok(time) = text.parse::<civil::Time>()
    {
        let today = now.to_zoned(tz.clone()).date();
        let at = here(today.to_datetime(time))?;
        return if at > now { here(today.checked_sub(1.day())?.to_datetime(time)) } else { Ok(at) };
    }
    if text.len() > 12
        && let Ok(at) = text.parse::<civil::DateTime>()
    {
        return here(at);
    }
    bail!("{text:?} is no time: use 14:03, 14:03:20, -10m, now, or RFC 3339 as 2026-11-29T14:03:00+08:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-29T14:30:00+08:00";

    fn named(from: &str, to: Option<&str>) -> Result<(String, String), String> {
        let now = Wall(NOW.parse::<Timestamp>().unwrap().as_microsecond());
        let zone = "Asia/Shanghai";
        let (from, to) = range(from, to, now, zone).map_err(|error| error.to_string())?;
        Ok((from.rfc3339(zone)[5..19].to_owned(), to.rfc3339(zone)[5..19].to_owned()))
    }

    #[test]
    fn moments_are_read_in_the_sites_zone() {
        for (from, to, expected) in [
            ("14:03", None, ("11-29T14:03:00", "11-29T14:04:00")),
            ("14:03:20", None, ("11-29T14:03:20", "11-29T14:04:20")),
            ("14:03", Some("14:10"), ("11-29T14:03:00", "11-29T14:10:00")),
            ("-10m", None, ("11-29T14:20:00", "11-29T14:30:00")),
            ("-10m", Some("-5m"), ("11-29T14:20:00", "11-29T14:25:00")),
            ("-90s", Some("now"), ("11-29T14:28:30", "11-29T14:30:00")),
            ("2026-11-29T06:03:00Z", Some("+90s"), ("11-29T14:03:00", "11-29T14:04:30")),
            ("2026-11-28T23:50", Some("+1h"), ("11-28T23:50:00", "11-29T00:50:00")),
            // Not today yet: yesterday's.
            ("14:31", None, ("11-28T14:31:00", "11-28T14:32:00")),
        ] {
            let (from, to) = named(from, to).unwrap();
            assert_eq!((from.as_str(), to.as_str()), expected);
        }
    }

    #[test]
    fn what_is_no_time_is_said_with_what_would_be() {
        for (from, to, expected) in [
            ("noon", None, "use 14:03"),
            ("-later", None, "use a duration as 90s"),
            ("14:03", Some("14:00"), "name the earlier moment first"),
            ("14:03", Some("+soon"), "use a duration"),
        ] {
            let error = named(from, to).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(range("14:03", None, Wall(0), "Town/Hall").unwrap_err().to_string().contains("IANA"));
    }
}
