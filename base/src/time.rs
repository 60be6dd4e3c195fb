//! Time is a parameter.
//!
//! [`Mono`] orders and measures; all processes of one machine share it. [`Wall`] names moments to people and
//! is never subtracted to measure. A camera's own clock is a [`CameraTime`]: an estimate with an error bound.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Nanoseconds of `CLOCK_MONOTONIC`: comparable between processes of one machine since its boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub u64);

impl Mono {
    /// Time passed since `earlier`, zero when `earlier` lies ahead.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
    /// This moment and `by` more.
    #[must_use]
    pub fn plus(self, by: Duration) -> Mono {
        Mono(self.0.saturating_add(nanos(by)))
    }
    /// This moment less `by`, not before the clock's zero.
    #[must_use]
    pub fn minus(self, by: Duration) -> Mono {
        Mono(self.0.saturating_sub(nanos(by)))
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// A duration in whole microseconds, as the wire and the tables of record carry it.
pub fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// Whether an IANA zone of that name is known here.
pub fn is_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

/// Microseconds since 1970-01-01T00:00:00Z by this machine's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

impl Wall {
    /// This moment and `by` more.
    #[must_use]
    pub fn plus(self, by: Duration) -> Wall {
        Wall(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
    /// This moment less `by`.
    #[must_use]
    pub fn minus(self, by: Duration) -> Wall {
        Wall(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
    /// RFC 3339 in the named IANA zone, milliseconds shown; UTC when the zone is not known here.
    pub fn rfc3339(self, zone: &str) -> String {
        let Ok(stamp) = jiff::Timestamp::from_microsecond(self.0) else {
            return format!("{}us", self.0);
        };
        let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        stamp.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    }
    /// Day of the week (1 Monday to 7 Sunday) and minute of the day in the named IANA zone; `None` when the zone is not
    /// known here.
    pub fn day_and_minute(self, zone: &str) -> Option<(u8, u16)> {
        let stamp = jiff::Timestamp::from_microsecond(self.0).ok()?;
        let local = stamp.to_zoned(jiff::tz::TimeZone::get(zone).ok()?);
        let day = local.weekday().to_monday_one_offset().unsigned_abs();
        Some((day, u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())))
    }
    /// The time of day in the named IANA zone to a tenth of a second, as `14:03:12.4`.
    pub fn time_of_day(self, zone: &str) -> String {
        let text = self.rfc3339(zone);
        text.get(11..21).unwrap_or(&text).to_owned()
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339("UTC"))
    }
}

/// A moment by the camera's own clock, as estimated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraTime {
    /// The camera's claim.
    pub wall: Wall,
    /// Half width of the interval the true value lies in, as far as the source of the estimate is sane.
    pub error_us: u64,
}

/// One life of a machine's monotonic clock. Readings of two boots cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot(Arc<str>);

impl Boot {
    /// A boot of that name.
    pub fn new(name: &str) -> Self {
        Self(name.trim().into())
    }
    /// This machine's, as Linux names it. Without a name no two processes share a monotonic clock, as far as can be told.
    pub fn of_this_machine() -> Self {
        static BOOT: OnceLock<Boot> = OnceLock::new();
        let read = || match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
            Ok(name) => Self::new(&name),
            Err(_) => Self::new(&uuid::Uuid::now_v7().to_string()),
        };
        BOOT.get_or_init(read).clone()
    }
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where time comes from. Code takes one; only `main` and tests choose which.
pub trait Clock: Send + Sync + 'static {
    /// Now, for order and measure.
    fn mono(&self) -> Mono;
    /// Now, for people.
    fn wall(&self) -> Wall;
    /// Whose monotonic clock this is.
    fn boot(&self) -> Boot {
        Boot::of_this_machine()
    }
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clocks, shared.
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn mono(&self) -> Mono {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Mono(u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0))
    }
    fn wall(&self) -> Wall {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Wall(t.tv_sec * 1_000_000 + t.tv_nsec / 1_000)
    }
}

/// A clock that a test drives.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Mono, Wall)>);

impl ManualClock {
    /// Starts one hour after boot at the given wall time.
    pub fn at(wall: Wall) -> Arc<Self> {
        Arc::new(Self(Mutex::new((Mono(3_600_000_000_000), wall))))
    }
    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().expect("no code panics while it holds this lock");
        now.0 = now.0.plus(by);
        now.1 = now.1.plus(by);
    }
    /// Steps the wall clock alone, as time synchronisation does.
    pub fn step_wall(&self, to: Wall) {
        self.0.lock().expect("no code panics while it holds this lock").1 = to;
    }
}

impl Clock for ManualClock {
    fn mono(&self) -> Mono {
        self.0.lock().expect("no code panics while it holds this lock").0
    }
    fn wall(&self) -> Wall {
        self.0.lock().expect("no code panics while it holds this lock").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_is_printed_in_the_sites_zone() {
        let t = Wall(1_767_225_600_123_456);
        assert_eq!(t.rfc3339("Asia/Shanghai"), "2026-01-01T08:00:00.123+08:00");
        assert_eq!(t.to_string(), "2026-01-01T00:00:00.123+00:00");
        assert_eq!(t.time_of_day("Asia/Shanghai"), "08:00:00.1");
        // A Thursday, and still the day before in New York.
        assert_eq!(t.day_and_minute("Asia/Shanghai"), Some((4, 480)));
        assert_eq!(t.day_and_minute("America/New_York"), Some((3, 19 * 60)));
        assert_eq!(t.day_and_minute("Mars/Olympus"), None);
        assert!(is_zone("UTC") && !is_zone("Mars/Olympus"));
    }

    #[test]
    fn a_step_of_the_wall_clock_leaves_durations_alone() {
        let clock = ManualClock::at(Wall(0));
        let start = clock.mono();
        clock.step_wall(Wall(-5_000_000));
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.mono().since(start), Duration::from_secs(2));
    }
}
