//! Digest authentication (RFC 2617 §3.2, MD5) as cameras do it, and the lock after failed logins.

use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use md5::{Digest, Md5};
use tokio::time::Instant;

/// An account and how it is guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Offer `qop="auth"`. Many cameras do not, and clients answer either way.
    pub with_qop: bool,
    /// When the account locks itself; `None`: never.
    pub lock: Option<LockPolicy>,
}

impl Account {
    /// An account without `qop` and without a lock.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into(), with_qop: false, lock: None }
    }
}

/// How an account locks itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockPolicy {
    /// Failed logins in a row that lock the account. A login counts each request with wrong credentials.
    pub attempts: u32,
    /// How long it stays locked.
    pub duration: Duration,
    /// The status a locked account answers with.
    pub answer: LockAnswer,
}

/// The status a locked account answers with, whatever the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockAnswer {
    /// 401 with a challenge, as if the password were wrong.
    Unauthorized,
    /// 403.
    Forbidden,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Granted,
    /// Ask for credentials. `wrong`: some were given.
    Challenge {
        wrong: bool,
        stale: bool,
    },
    LockedOut(LockAnswer),
}

/// Who is asking, as one request tells.
pub(crate) struct Claim<'a> {
    pub(crate) method: &'a str,
    /// The `Authorization` header.
    pub(crate) authorization: Option<&'a str>,
    /// The nonce this connection was given.
    pub(crate) nonce: &'a str,
    pub(crate) realm: &'a str,
}

/// The guard before a camera.
#[derive(Debug)]
pub(crate) struct Guard {
    account: Option<Account>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures_in_a_row: u32,
    locked_until: Option<Instant>,
    locked_on_command: bool,
}

impl Guard {
    pub(crate) fn new(account: Option<Account>) -> Self {
        Self { account, state: Mutex::default() }
    }

    pub(crate) fn has_account(&self) -> bool {
        self.account.is_some()
    }

    /// Locks the account until [`unlock`](Self::unlock).
    pub(crate) fn lock(&self) {
        self.state().locked_on_command = true;
    }

    /// Unlocks the account and forgets its failures.
    pub(crate) fn unlock(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Judges one request.
    pub(crate) fn judge(&self, claim: &Claim<'_>, now: Instant) -> Verdict {
        let Some(account) = &self.account else { return Verdict::Granted };
        let Some(authorization) = claim.authorization else {
            return Verdict::Challenge { wrong: false, stale: false };
        };
        let mut state = self.state();
        if state.locked_on_command || state.locked_until.is_some_and(|until| now < until) {
            return Verdict::LockedOut(account.lock.map_or(LockAnswer::Unauthorized, |lock| lock.answer));
        }
        match check(account, claim, authorization) {
            Check::Right => {
                state.failures_in_a_row = 0;
                Verdict::Granted
            }
            Check::OldNonce => Verdict::Challenge { wrong: false, stale: true },
            Check::Wrong => {
                state.failures_in_a_row += 1;
                if let Some(lock) = account.lock
                    && state.failures_in_a_row >= lock.attempts
                {
                    *state = State { locked_until: Some(now + lock.duration), ..State::default() };
                }
                Verdict::Challenge { wrong: true, stale: false }
            }
        }
    }

    /// The `WWW-Authenticate` header.
    pub(crate) fn challenge(&self, realm: &str, nonce: &str, stale: bool) -> String {
        let with_qop = self.account.as_ref().is_some_and(|account| account.with_qop);
        let qop = if with_qop { ", qop=\"auth\"" } else { "" };
        let stale = if stale { ", stale=TRUE" } else { "" };
        format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm=MD5{qop}{stale}")
    }
}

enum Check {
    Right,
    Wrong,
    /// The password fits, but to another connection's nonce.
    OldNonce,
}

fn check(account: &Account, claim: &Claim<'_>, authorization: &str) -> Check {
    let Some(fields) = authorization.trim().strip_prefix("Digest ").map(fields) else { return Check::Wrong };
    let field =
        |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let secret = hash(&[&account.user, claim.realm, &account.password]);
    let action = hash(&[claim.method, field("uri")]);
    let expected = match field("qop") {
        "" => hash(&[&secret, field("nonce"), &action]),
        qop => hash(&[&secret, field("nonce"), field("nc"), field("cnonce"), qop, &action]),
    };
    if field("username") != account.user || field("realm") != claim.realm || field("response") != expected {
        Check::Wrong
    } else if field("nonce") != claim.nonce {
        Check::OldNonce
    } else {
        Check::Right
    }
}

/// MD5 of `parts` joined by colons, in lower-case hexadecimal.
pub(crate) fn hash(parts: &[&str]) -> String {
    let mut hex = String::with_capacity(32);
    for byte in Md5::digest(parts.join(":")) {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
    }
    hex
}

/// `name=value` and `name="value"`, separated by commas.
fn fields(mut text: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((value, rest)) => (value, rest.split_once(',').map_or("", |(_, rest)| rest)),
                None => break,
            },
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        text = rest;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "rtsp://h/cam";

    fn guard(attempts: u32) -> Guard {
        let lock = LockPolicy { attempts, duration: Duration::from_secs(30), answer: LockAnswer::Forbidden };
        Guard::new(Some(Account { lock: Some(lock), ..Account::new("u", "p") }))
    }

    fn authorization(password: &str, nonce: &str) -> String {
        let response = hash(&[&hash(&["u", "r", password]), nonce, &hash(&["PLAY", URI])]);
        format!(
            "Digest username=\"u\", realm=\"r\",nonce=\"{nonce}\", uri=\"{URI}\", response=\"{response}\""
        )
    }

    fn judge(guard: &Guard, authorization: Option<&str>, now: Instant) -> Verdict {
        guard.judge(&Claim { method: "PLAY", authorization, nonce: "n", realm: "r" }, now)
    }

    #[test]
    fn the_example_of_rfc_2617_is_granted() {
        // §3.5, whose method is GET; the nonce and qop are the RFC's.
        let account = Account { with_qop: true, ..Account::new("Mufasa", "Circle Of Life") };
        let authorization = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001, \
            cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", \
            opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let claim = Claim {
            method: "GET",
            authorization: Some(authorization),
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            realm: "testrealm@host.com",
        };
        assert_eq!(Guard::new(Some(account)).judge(&claim, Instant::now()), Verdict::Granted);
    }

    #[test]
    fn an_account_locks_after_failures_in_a_row_and_opens_again() {
        let guard = guard(2);
        let start = Instant::now();
        let (right, wrong) = (authorization("p", "n"), authorization("x", "n"));
        let challenge = |wrong| Verdict::Challenge { wrong, stale: false };
        assert_eq!(judge(&guard, None, start), challenge(false));
        assert_eq!(judge(&guard, Some(&wrong), start), challenge(true));
        assert_eq!(judge(&guard, Some(&right), start), Verdict::Granted);
        assert_eq!(judge(&guard, Some(&wrong), start), challenge(true));
        assert_eq!(judge(&guard, Some(&wrong), start), challenge(true));
        let locked = start + Duration::from_secs(29);
        assert_eq!(judge(&guard, Some(&right), locked), Verdict::LockedOut(LockAnswer::Forbidden));
        assert_eq!(judge(&guard, Some(&right), start + Duration::from_secs(30)), Verdict::Granted);
        guard.lock();
        assert_eq!(judge(&guard, Some(&right), start), Verdict::LockedOut(LockAnswer::Forbidden));
        guard.unlock();
        assert_eq!(judge(&guard, Some(&right), start), Verdict::Granted);
    }

    #[test]
    fn a_nonce_of_another_connection_is_stale_and_no_failure() {
        let verdict = judge(&guard(1), Some(&authorization("p", "other")), Instant::now());
        assert_eq!(verdict, Verdict::Challenge { wrong: false, stale: true });
    }

    #[test]
    fn garbage_is_a_failed_login() {
        for garbage in ["", "Basic dTpw", "Digest ", "Digest =,=\"", "Digest username=\"u"] {
            let verdict = judge(&guard(9), Some(garbage), Instant::now());
            assert_eq!(verdict, Verdict::Challenge { wrong: true, stale: false }, "{garbage}");
        }
    }
}
