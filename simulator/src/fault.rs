//! What can go wrong with a camera on command.
//!
//! A fault belongs to one of five sides of a camera, and faults of different sides hold together: what it shows
//! ([`Dark`](Fault::Dark), [`Away`](Fault::Away), [`Show`](Fault::Show), [`ChangeClip`](Fault::ChangeClip)) and whether
//! that moves ([`Freeze`](Fault::Freeze)); the damage done to its bits ([`Corrupt`](Fault::Corrupt)); its service
//! ([`Stall`](Fault::Stall), [`HalfOpen`](Fault::HalfOpen), [`Refuse`](Fault::Refuse), [`Stop`](Fault::Stop),
//! [`Restart`](Fault::Restart)); its account ([`LockAccount`](Fault::LockAccount)); how long it takes to begin
//! ([`FirstAfter`](Fault::FirstAfter)). A fault replaces the one before it on its side. `CameraHandle::clear` ends them all.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::clip::Clip;
use crate::duration;
use crate::error::Error;

/// Name of the clip that [`Fault::Dark`] shows.
pub const DARK: &str = "dark";
/// Name of the clip that [`Fault::Away`] shows.
pub const AWAY: &str = "away";

/// Every fault's text form, for help and errors.
pub const FORMS: &str = "dark, away, show=NAME, freeze, corrupt=RATE (0 to 1), stall, half-open, refuse, stop, \
                         restart=5s (any time), lock, first=20s";

/// One thing that goes wrong. Its text form stands with each, as a [`Schedule`](crate::Schedule) takes it.
#[derive(Debug, Clone)]
pub enum Fault {
    /// `dark`: the lens is covered or the lamp is out. Shows the camera's clip `dark`.
    Dark,
    /// `away`: somebody turned the camera. Shows the camera's clip `away`.
    Away,
    /// `show=NAME`: shows another of the camera's clips, from its next keyframe on. With another size the change is
    /// told in band only; with another codec all sessions are closed, as cameras do.
    Show(String),
    /// As [`Show`](Fault::Show), with a clip the camera was not given before. It has no text form.
    ChangeClip(Arc<Clip>),
    /// `freeze`: the last keyframe is sent again and again, with timestamps that advance.
    Freeze,
    /// `corrupt=RATE`: each bit of media payload is flipped with this probability, 0 to 1. All clients see the same
    /// damage: it is the camera's, not the network's.
    Corrupt(f64),
    /// `stall`: sessions stay and RTSP is answered, but no media and no reports are sent.
    Stall,
    /// `half-open`: the camera neither reads nor writes, and keeps its sockets.
    HalfOpen,
    /// `refuse`: a connection without a session is closed on its first request for this camera, unanswered. Sessions
    /// stay. (The port is shared by all cameras; `Simulator::close_port` has the system itself refuse.)
    Refuse,
    /// `stop`: all connections are closed, requests are answered with 404.
    Stop,
    /// `restart=5s`: as [`Stop`](Fault::Stop), for so long.
    Restart(Duration),
    /// `first=20s`: sessions that begin from now on send their first picture so long after PLAY, as a platform does that calls
    /// its cameras up when somebody wants them. RTSP is answered meanwhile.
    FirstAfter(Duration),
    /// `lock`: the account is locked whatever the password, until the faults are cleared.
    LockAccount,
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadFault { text: text.to_owned() };
        let (word, argument) = match text.split_once('=') {
            Some((word, argument)) => (word, Some(argument)),
            None => (text, None),
        };
        match (word, argument) {
            ("dark", None) => Ok(Self::Dark),
            ("away", None) => Ok(Self::Away),
            ("show", Some(clip)) if !clip.is_empty() => Ok(Self::Show(clip.to_owned())),
            ("freeze", None) => Ok(Self::Freeze),
            ("corrupt", Some(rate)) => {
                let rate: f64 = rate.parse().map_err(|_| bad())?;
                if (0.0..=1.0).contains(&rate) { Ok(Self::Corrupt(rate)) } else { Err(bad()) }
            }
            ("stall", None) => Ok(Self::Stall),
            ("half-open", None) => Ok(Self::HalfOpen),
            ("refuse", None) => Ok(Self::Refuse),
            ("stop", None) => Ok(Self::Stop),
            ("restart", Some(down)) => Ok(Self::Restart(duration::parse(down)?)),
            ("lock", None) => Ok(Self::LockAccount),
            ("first", Some(after)) => Ok(Self::FirstAfter(duration::parse(after)?)),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dark => f.write_str("dark"),
            Self::Away => f.write_str("away"),
            Self::Show(clip) => write!(f, "show={clip}"),
            Self::ChangeClip(clip) => {
                write!(f, "show {:?} {}x{}", clip.codec(), clip.width(), clip.height())
            }
            Self::Freeze => f.write_str("freeze"),
            Self::Corrupt(rate) => write!(f, "corrupt={rate}"),
            Self::Stall => f.write_str("stall"),
            Self::HalfOpen => f.write_str("half-open"),
            Self::Refuse => f.write_str("refuse"),
            Self::Stop => f.write_str("stop"),
            Self::Restart(down) => write!(f, "restart={}", duration::text(*down)),
            Self::LockAccount => f.write_str("lock"),
            Self::FirstAfter(after) => write!(f, "first={}", duration::text(*after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_is_told_is_understood_and_every_fault_is_told() {
        let told: Vec<Fault> = FORMS
            .split(", ")
            .map(|form| {
                form.split(' ').next().unwrap_or_default().replace("RATE", "0.5").replace("NAME", "small")
            })
            .map(|form| form.parse().unwrap_or_else(|error| panic!("{form}: {error}")))
            .collect();
        // `ChangeClip` has no text form.
        let faults = [
            Fault::Dark,
            Fault::Away,
            Fault::Show("small".to_owned()),
            Fault::Freeze,
            Fault::Corrupt(0.5),
            Fault::Stall,
            Fault::HalfOpen,
            Fault::Refuse,
            Fault::Stop,
            Fault::Restart(Duration::from_secs(5)),
            Fault::LockAccount,
            Fault::FirstAfter(Duration::from_secs(20)),
        ];
        assert_eq!(told.len(), faults.len());
        for (told, fault) in told.iter().zip(&faults) {
            assert_eq!(told.to_string(), fault.to_string());
        }
    }

    #[test]
    fn a_fault_without_the_value_it_needs_is_refused_with_the_form_that_has_it() {
        for text in ["restart", "corrupt", "show", "show=", "dark=1", "corrupt=2", "first"] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains("restart=5s") && error.contains("show=NAME"), "{text}: {error}");
        }
    }
}
