//! Picture rates, and the places in time of a stream's pictures.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;

/// Ticks a second of the RTP clock for video (RFC 6184 §8.2.1, RFC 7798 §7.1, RFC 2435 §3).
pub(crate) const RTP_CLOCK_HZ: u32 = 90_000;

/// Pictures a second, exact to a thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PictureRate {
    millihertz: u32,
}

impl PictureRate {
    /// A rate in pictures a second, from 0.1 to 240.
    pub fn from_hz(hz: f64) -> Result<Self, Error> {
        if (0.1..=240.0).contains(&hz) {
            // In range by the check above.
            Ok(Self { millihertz: (hz * 1000.0).round() as u32 })
        } else {
            Err(Error::BadPictureRate { rate: hz.to_string() })
        }
    }

    /// Pictures a second.
    pub fn hz(self) -> f64 {
        f64::from(self.millihertz) / 1000.0
    }

    /// The rate in a file name such as `gate@12.5fps.h264`; `None` where the name has none.
    pub fn from_file_name(path: &Path) -> Result<Option<Self>, Error> {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { return Ok(None) };
        stem.rsplit_once('@')
            .and_then(|(_, suffix)| suffix.strip_suffix("fps"))
            .map(Self::from_str)
            .transpose()
    }

    /// How long after the first picture the `n`th is due.
    pub fn time_of(self, n: u64) -> Duration {
        let nanoseconds = u128::from(n) * 1_000_000_000_000 / u128::from(self.millihertz);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// The first picture due at or after `elapsed`.
    pub fn first_from(self, elapsed: Duration) -> u64 {
        let pictures = (elapsed.as_nanos() * u128::from(self.millihertz)).div_ceil(1_000_000_000_000);
        let n = u64::try_from(pictures).unwrap_or(u64::MAX);
        // `time_of` rounds down to a nanosecond, so the picture before can be due exactly now.
        if n > 0 && self.time_of(n - 1) >= elapsed { n - 1 } else { n }
    }

    /// The RTP clock at the `n`th picture; `n` may lie before the first.
    pub(crate) fn ticks_of(self, n: i64) -> i64 {
        (n * i64::from(RTP_CLOCK_HZ) * 1000).div_euclid(i64::from(self.millihertz))
    }
}

impl FromStr for PictureRate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadPictureRate { rate: text.to_owned() };
        text.parse().map_err(|_| bad()).and_then(|hz| Self::from_hz(hz).map_err(|_| bad()))
    }
}

impl fmt::Display for PictureRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.hz())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_tells_its_rate() {
        let rate =
            |name: &str| PictureRate::from_file_name(Path::new(name)).map(|rate| rate.map(PictureRate::hz));
        assert_eq!(rate("a/gate@10fps.h264").unwrap(), Some(10.0));
        assert_eq!(rate("gate@12.5fps.h265").unwrap(), Some(12.5));
        assert_eq!(rate("gate.h264").unwrap(), None);
        assert_eq!(rate("a@b.h264").unwrap(), None);
        assert!(rate("gate@0fps.h264").is_err());
        assert!(rate("gate@fastfps.h264").is_err());
    }

    #[test]
    fn first_from_is_the_inverse_of_time_of() {
        for hz in [0.1, 1.0, 7.0, 15.0, 25.0, 29.97, 240.0] {
            let rate = PictureRate::from_hz(hz).unwrap();
            for n in (0..200).chain(1_000_000..1_000_100) {
                let at = rate.time_of(n);
                assert_eq!(rate.first_from(at), n, "{hz} Hz, picture {n}");
                assert_eq!(rate.first_from(at + Duration::from_nanos(1)), n + 1, "{hz} Hz, picture {n}");
            }
        }
    }

    #[test]
    fn ticks_run_at_90_khz_and_do_not_drift() {
        let rate = PictureRate::from_hz(29.97).unwrap();
        assert_eq!(rate.ticks_of(2_997), 9_000_000);
        assert_eq!(PictureRate::from_hz(25.0).unwrap().ticks_of(-1), -3_600);
    }
}
