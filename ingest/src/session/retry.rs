//! When to try a camera again. Pure: failures and times in, waits out.

use std::time::Duration;

use xueliang_base::{backoff::Backoff, time::Mono};

use super::{SessionError, accounts::ACCOUNT_WAIT};

/// A stream that delivered this long was a success: the next failure is its first.
const LASTED: Duration = Duration::from_secs(10);
/// A camera gone shorter than this is tried often.
const GONE_SHORTLY: Duration = Duration::from_secs(300);
/// With an attempt that was in vain for up to a second, a camera that is back delivers within 2 s.
const SHORT_CAP: Duration = Duration::from_millis(800);
const LONG_CAP: Duration = Duration::from_secs(60);

/// The waits of one camera.
#[derive(Debug)]
pub struct Retry {
    short: Backoff,
    long: Backoff,
    gone_since: Option<Mono>,
    /// It has delivered before: even a "not found" may pass, as while a recorder restarts.
    worked: bool,
}

impl Retry {
    /// Waits whose jitter comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            short: Backoff::new(Duration::from_millis(300), SHORT_CAP, seed),
            long: Backoff::new(Duration::from_secs(1), LONG_CAP, seed.wrapping_add(1)),
            gone_since: None,
            worked: false,
        }
    }
    /// How long to wait after a failure at `now`; `streamed` is the time from the first to the last access unit of
    /// the attempt that failed, `None` where there was none.
    pub fn wait(&mut self, error: &SessionError, streamed: Option<Duration>, now: Mono) -> Duration {
        if let Some(streamed) = streamed {
            self.worked = true;
            // Gone since now, however short it was there: a flapping camera must not end among those gone for long.
            self.gone_since = None;
            if streamed >= LASTED {
                self.short.reset();
                self.long.reset();
            }
        }
        let gone_since = *self.gone_since.get_or_insert(now);
        let short = self.short.next_wait();
        if error.locks_accounts() {
            return ACCOUNT_WAIT + self.long.next_wait() / 4;
        }
        let passing = error.gone_for_now() || (self.worked && *error == SessionError::NotFound);
        if passing && now.since(gone_since) < GONE_SHORTLY {
            return short;
        }
        self.long.next_wait()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000_000)
    }

    #[test]
    fn a_camera_gone_shortly_is_tried_often_and_one_gone_long_seldom() {
        let mut retry = Retry::new(7);
        assert_eq!(retry.wait(&SessionError::Refused, None, at(0)), Duration::ZERO);
        for s in 1..300 {
            assert!(retry.wait(&SessionError::Refused, None, at(s)) <= SHORT_CAP);
        }
        let late: Vec<_> =
            (0..10).map(|n| retry.wait(&SessionError::Refused, None, at(300 + 60 * n))).collect();
        assert!(late.iter().all(|wait| *wait <= LONG_CAP));
        assert!(late[9] >= LONG_CAP / 2, "{late:?}");
    }

    #[test]
    fn a_camera_that_never_worked_is_not_asked_again_and_again_for_what_it_has_not() {
        let mut retry = Retry::new(7);
        let waits: Vec<_> = (0..10).map(|s| retry.wait(&SessionError::NotFound, None, at(s))).collect();
        assert!(waits[9] >= LONG_CAP / 2, "{waits:?}");
        let mut retry = Retry::new(7);
        for s in 0..100 {
            let streamed = (s == 0).then_some(Duration::from_secs(60));
            assert!(retry.wait(&SessionError::NotFound, streamed, at(s)) <= SHORT_CAP);
        }
    }

    #[test]
    fn a_camera_that_flaps_for_hours_is_still_tried_often() {
        let mut retry = Retry::new(7);
        let eight = Duration::from_secs(8);
        let mut now = at(0);
        for _ in 0..500 {
            let mut wait = retry.wait(&SessionError::Closed, Some(eight), now);
            let back = now.plus(eight);
            loop {
                assert!(wait <= SHORT_CAP, "{wait:?} after {now:?}");
                now = now.plus(wait.max(Duration::from_millis(1)));
                if now >= back {
                    break;
                }
                wait = retry.wait(&SessionError::Refused, None, now);
            }
            assert!(now.since(back) <= SHORT_CAP, "it is met {:?} after its return", now.since(back));
            now = now.plus(eight);
        }
    }

    #[test]
    fn an_account_is_tried_at_most_every_five_minutes() {
        for error in [SessionError::Unauthorized, SessionError::CredentialsMissing, SessionError::Forbidden] {
            let mut retry = Retry::new(7);
            for n in 0..20 {
                assert!(retry.wait(&error, None, at(n * 300)) >= ACCOUNT_WAIT);
            }
        }
    }

    #[test]
    fn a_stream_that_lasted_starts_the_waits_anew() {
        let mut retry = Retry::new(7);
        for s in 0..20 {
            retry.wait(&SessionError::NotRtsp, None, at(s));
        }
        assert!(retry.wait(&SessionError::NotRtsp, Some(Duration::from_secs(9)), at(30)) >= LONG_CAP / 2);
        assert_eq!(retry.wait(&SessionError::Closed, Some(Duration::from_secs(10)), at(900)), Duration::ZERO);
    }
}
