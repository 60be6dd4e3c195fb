//! Which driver reads a camera. Pure: times and outcomes in, choices out.
//!
//! Retina costs a tenth of GStreamer and cannot read everything. Where the configuration leaves the choice, a camera is
//! read over retina until there is a reason not to; the reason holds for a day, so that no camera goes to and fro. It is
//! looked at again when the camera is lost after that, or when its session is new: a stream that runs is never
//! interrupted for it.

use std::{fmt, time::Duration};

use xueliang_base::{
    config::{Stream, StreamSource, Transport},
    time::Mono,
};

use super::SessionError;

/// A reason holds for so long.
const HOLDS: Duration = Duration::from_secs(86_400);
/// A stream that retina gives up so often within [`STRIKES_WITHIN`] is GStreamer's: that goes on over more damage.
const STRIKES: usize = 3;
const STRIKES_WITHIN: Duration = Duration::from_secs(3_600);

/// A driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Driver {
    /// The `retina` crate.
    Retina,
    /// GStreamer's `rtspsrc`.
    Gstreamer,
}

impl Driver {
    /// The word for logs and metrics, as the configuration has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Retina => "retina",
            Self::Gstreamer => "gstreamer",
        }
    }
}

/// Why a camera is not read over retina.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The configuration says so.
    Configured,
    /// Its media come over UDP.
    Udp,
    /// It is read over TLS.
    Tls,
    /// Retina cannot read it, and says why.
    Unreadable(String),
    /// Nothing came over retina, for that reason, and something did over GStreamer.
    NothingCame(String),
}

impl Why {
    /// Every word of [`word`](Self::word).
    pub const WORDS: [&'static str; 5] = ["configured", "udp", "tls", "unreadable", "nothing_came"];
    /// The word for logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Udp => "udp",
            Self::Tls => "tls",
            Self::Unreadable(_) => "unreadable",
            Self::NothingCame(_) => "nothing_came",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("as configured"),
            Self::Udp => f.write_str("its media come over UDP"),
            Self::Tls => f.write_str("it is read over TLS"),
            Self::Unreadable(reason) => f.write_str(reason),
            Self::NothingCame(reason) => write!(f, "nothing came over retina: {reason}"),
        }
    }
}

/// What reads a camera now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The driver.
    pub driver: Driver,
    /// Why it is not retina; `None` where it is.
    pub why: Option<Why>,
}

/// The choice of one camera.
#[derive(Debug)]
pub(super) struct Choice {
    /// Retina, whatever it can read.
    retina_only: bool,
    /// Nothing that could change speaks against retina.
    never: Option<Why>,
    /// Until when something does.
    for_now: Option<(Why, Mono)>,
    /// The next attempt is to show whether GStreamer can read what retina could not.
    trial: Option<Why>,
    /// Units have come over retina.
    proven: bool,
    strikes: Vec<Mono>,
}

impl Choice {
    pub(super) fn new(stream: &Stream) -> Self {
        let never = match stream.source {
            StreamSource::Gstreamer => Some(Why::Configured),
            _ if stream.transport == Transport::Udp => Some(Why::Udp),
            _ if stream.url.scheme() == "rtsps" => Some(Why::Tls),
            _ => None,
        };
        let retina_only = stream.source == StreamSource::Retina;
        Self { retina_only, never, for_now: None, trial: None, proven: false, strikes: Vec::new() }
    }
    /// What makes the next attempt.
    pub(super) fn next(&mut self, now: Mono) -> Reading {
        if self.for_now.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.for_now = None;
        }
        let why = self.never.as_ref().or(self.for_now.as_ref().map(|(why, _)| why)).or(self.trial.as_ref());
        let why = why.filter(|_| !self.retina_only).cloned();
        Reading { driver: if why.is_some() { Driver::Gstreamer } else { Driver::Retina }, why }
    }
    /// How an attempt of that driver ended. True when the other one is to try at once: the camera has answered, and nobody
    /// needs to know that it was not understood.
    pub(super) fn ended(&mut self, driver: Driver, error: &SessionError, delivered: bool, now: Mono) -> bool {
        if self.retina_only || self.never.is_some() {
            return false;
        }
        if driver == Driver::Gstreamer {
            // Where GStreamer reads no more than retina did, the camera is to blame.
            self.for_now = self
                .trial
                .take()
                .filter(|_| delivered)
                .map(|why| (why, now.plus(HOLDS)))
                .or(self.for_now.take());
            return false;
        }
        self.proven |= delivered;
        match error {
            SessionError::Unreadable { reason } => {
                self.strikes.retain(|at| now.since(*at) < STRIKES_WITHIN);
                self.strikes.push(now);
                if delivered && self.strikes.len() < STRIKES {
                    return false;
                }
                self.strikes.clear();
                self.for_now = Some((Why::Unreadable(reason.clone()), now.plus(HOLDS)));
                !delivered
            }
            SessionError::Closed
            | SessionError::Rejected { .. }
            | SessionError::NotRtsp
            | SessionError::NoFirstUnit { .. }
                if !self.proven =>
            {
                self.trial = Some(Why::NothingCame(error.to_string()));
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(change: impl FnOnce(&mut Stream)) -> Choice {
        let mut stream = Stream {
            url: "rtsp://192.0.2.1/a".parse().unwrap(),
            transport: Transport::Tcp,
            credentials: None,
            first_unit_timeout: Duration::from_secs(30),
            source: StreamSource::Auto,
        };
        change(&mut stream);
        Choice::new(&stream)
    }

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000_000)
    }

    fn unreadable() -> SessionError {
        SessionError::Unreadable { reason: "MJPEG".to_owned() }
    }

    #[test]
    fn what_retina_cannot_carry_or_may_not_is_gstreamers_for_ever() {
        for (mut choice, word) in [
            (of(|s| s.transport = Transport::Udp), "udp"),
            (of(|s| s.url = "rtsps://192.0.2.1/a".parse().unwrap()), "tls"),
            (of(|s| s.source = StreamSource::Gstreamer), "configured"),
        ] {
            for s in [0, 1, 1_000_000] {
                let reading = choice.next(at(s));
                assert_eq!(reading.driver, Driver::Gstreamer);
                assert_eq!(reading.why.map(|why| why.word()), Some(word));
                assert!(!choice.ended(Driver::Gstreamer, &SessionError::Closed, false, at(s)));
            }
        }
    }

    #[test]
    fn a_reason_holds_for_a_day_and_no_longer() {
        let mut choice = of(|_| {});
        assert_eq!(choice.next(at(0)), Reading { driver: Driver::Retina, why: None });
        assert!(choice.ended(Driver::Retina, &unreadable(), false, at(1)), "at once");
        for s in [1, 2, 40_000, 86_400] {
            assert_eq!(choice.next(at(s)).why, Some(Why::Unreadable("MJPEG".to_owned())));
            assert!(!choice.ended(Driver::Gstreamer, &SessionError::Closed, s % 2 == 0, at(s)));
        }
        assert_eq!(choice.next(at(86_401)).driver, Driver::Retina);
    }

    #[test]
    fn damage_in_a_stream_that_ran_moves_it_only_when_it_comes_again_and_again() {
        let mut seldom = of(|_| {});
        for n in 0..20 {
            assert!(!seldom.ended(Driver::Retina, &unreadable(), true, at(n * 1_900)));
            assert_eq!(seldom.next(at(n * 1_900)).driver, Driver::Retina);
        }
        let mut often = of(|_| {});
        for n in 0..3 {
            assert_eq!(often.next(at(n)).driver, Driver::Retina);
            assert!(!often.ended(Driver::Retina, &unreadable(), true, at(n)));
        }
        assert_eq!(often.next(at(3)).driver, Driver::Gstreamer);
    }

    #[test]
    fn gstreamer_keeps_a_camera_that_gave_retina_nothing_only_if_it_gives_something() {
        let mut choice = of(|_| {});
        for s in 0..10 {
            assert_eq!(choice.next(at(s)).driver, Driver::Retina, "the camera is down");
            assert!(!choice.ended(Driver::Retina, &SessionError::Closed, false, at(s)));
            assert_eq!(choice.next(at(s)).why.map(|why| why.word()), Some("nothing_came"));
            assert!(!choice.ended(Driver::Gstreamer, &SessionError::Closed, s == 9, at(s)));
        }
        assert_eq!(choice.next(at(11)).driver, Driver::Gstreamer);
        // One that has worked over retina is down when it gives nothing.
        let mut proven = of(|_| {});
        proven.ended(Driver::Retina, &SessionError::Closed, true, at(0));
        for s in 1..10 {
            proven.ended(Driver::Retina, &SessionError::Closed, false, at(s));
            assert_eq!(proven.next(at(s)).driver, Driver::Retina);
        }
    }

    #[test]
    fn who_asks_for_retina_gets_nothing_else() {
        let mut choice = of(|s| s.source = StreamSource::Retina);
        for s in 0..5 {
            assert!(!choice.ended(Driver::Retina, &unreadable(), false, at(s)));
            assert_eq!(choice.next(at(s)).driver, Driver::Retina);
        }
    }
}
