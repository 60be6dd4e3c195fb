//! Who may sign in now. Recorders lock an account after three to five failed logins, and a recorder of 32 channels is 32
//! cameras with one account: of those, one tries, and the others wait for its result. Pure but for its lock: times in,
//! answers out.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use url::Url;
use xueliang_base::time::Mono;

use super::{SessionError, address};
use crate::credentials::Credentials;

/// Nobody tries an account that was refused for so long: three to five failures within 30 minutes lock it.
pub(super) const ACCOUNT_WAIT: Duration = Duration::from_secs(300);
/// A login that has not been answered by then was not refused: recorders say no at once. The next camera may try, so that
/// one dead channel holds up nobody.
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);

/// One user with one password at one address. With another password it is another account: whoever corrects it need not
/// wait.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    place: String,
    credentials: Credentials,
}

#[derive(Debug, Default)]
struct Account {
    /// Sessions that it has let in and that run.
    live: usize,
    /// Since when a first login is under way, and by whose turn.
    tried: Option<(Mono, u64)>,
    refused_until: Option<Mono>,
}

#[derive(Default)]
struct Book {
    accounts: BTreeMap<Key, Account>,
    turns: u64,
}

/// What is known of accounts, shared by all sessions. Clones share it. It holds an entry only for accounts that a session
/// uses now, or that were refused within [`ACCOUNT_WAIT`].
#[derive(Clone, Default)]
pub struct Accounts(Arc<Mutex<Book>>);

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("known", &self.book().accounts.len()).finish()
    }
}

/// Whether a session may sign in.
#[derive(Debug)]
pub(super) enum Entry {
    /// It may. What comes of it must be told to the admission.
    Open(Admission),
    /// Another session is trying the same account: ask again soon.
    Tried,
    /// The account was refused: nobody tries it until then.
    Refused(Mono),
}

impl Accounts {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no code panics while it holds this lock")
    }
    /// Asks for admission. Without credentials nothing can be refused for long.
    pub(super) fn enter(&self, url: &Url, credentials: Option<&Credentials>, now: Mono) -> Entry {
        let Some(credentials) = credentials else {
            return Entry::Open(Admission { accounts: self.clone(), key: None, turn: 0, live: false });
        };
        let mut book = self.book();
        book.accounts.retain(|_, account| account.in_use(now));
        book.turns += 1;
        let turn = book.turns;
        let port = url.port().or_else(|| address::default_port(url.scheme())).unwrap_or(0);
        let place = format!("{}:{port}", url.host_str().unwrap_or_default());
        let key = Key { place, credentials: credentials.clone() };
        let account = book.accounts.entry(key.clone()).or_default();
        if let Some(until) = account.refused_until.filter(|until| *until > now) {
            return Entry::Refused(until);
        }
        if account.live == 0 {
            if account.tried.is_some_and(|(since, _)| now.since(since) < ANSWER_PATIENCE) {
                return Entry::Tried;
            }
            account.tried = Some((now, turn));
        }
        Entry::Open(Admission { accounts: self.clone(), key: Some(key), turn, live: false })
    }
}

impl Account {
    fn in_use(&self, now: Mono) -> bool {
        self.live > 0 || self.tried.is_some() || self.refused_until.is_some_and(|until| until > now)
    }
}

/// One session's use of an account, from its login on. Dropping it ends it without a word about the account.
pub(super) struct Admission {
    accounts: Accounts,
    key: Option<Key>,
    turn: u64,
    live: bool,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("live", &self.live).finish_non_exhaustive()
    }
}

impl Admission {
    /// The login was accepted: others may follow.
    pub(super) fn accepted(&mut self) {
        let Some(key) = self.key.as_ref().filter(|_| !self.live) else { return };
        self.live = true;
        let mut book = self.accounts.book();
        let account = book.accounts.entry(key.clone()).or_default();
        account.live += 1;
        account.tried = None;
        account.refused_until = None;
    }
    /// The attempt ended. A 401 stops everybody who would sign in. So does a 403, unless the account has others in: then it
    /// is this one stream that it may not see.
    pub(super) fn ended(mut self, error: &SessionError, now: Mono) {
        self.leave(Some((error, now)));
    }
    fn leave(&mut self, result: Option<(&SessionError, Mono)>) {
        let Some(key) = self.key.take() else { return };
        let mut book = self.accounts.book();
        let account = book.accounts.entry(key.clone()).or_default();
        if self.live {
            account.live -= 1;
        } else if account.tried.is_some_and(|(_, turn)| turn == self.turn) {
            account.tried = None;
        }
        let refused_at = result.and_then(|(error, now)| match error {
            SessionError::Unauthorized => Some(now),
            SessionError::Forbidden if account.live == 0 => Some(now),
            _ => None,
        });
        if let Some(now) = refused_at {
            account.refused_until = Some(now.plus(ACCOUNT_WAIT));
        } else if account.live == 0 && account.tried.is_none() && account.refused_until.is_none() {
            book.accounts.remove(&key);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.leave(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(3_600_000_000_000 + ms * 1_000_000)
    }

    struct Desk(Accounts);

    impl Desk {
        fn enter(&self, channel: u32, password: &str, now: Mono) -> Entry {
            let url = format!("rtsp://10.0.0.1/{channel}").parse().unwrap();
            self.0.enter(&url, Some(&Credentials::new("operator", password)), now)
        }
        fn open(&self, channel: u32, password: &str, now: Mono) -> Admission {
            match self.enter(channel, password, now) {
                Entry::Open(admission) => admission,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn of_all_cameras_of_a_recorder_one_tries_a_wrong_password() {
        let desk = Desk(Accounts::default());
        let first = desk.open(1, "wrong", at(0));
        assert!((2..33).all(|channel| matches!(desk.enter(channel, "wrong", at(10)), Entry::Tried)));
        first.ended(&SessionError::Unauthorized, at(20));
        for now in [at(30), at(299_000)] {
            assert!((1..33).all(
                |n| matches!(desk.enter(n, "wrong", now), Entry::Refused(until) if until == at(300_020))
            ));
        }
        // After the wait, one again; and whoever has corrected the password at once.
        let _corrected = desk.open(1, "right", at(40));
        let _again = desk.open(7, "wrong", at(300_020));
        assert!(matches!(desk.enter(8, "wrong", at(300_030)), Entry::Tried));
    }

    #[test]
    fn an_accepted_login_opens_the_way_for_all_and_a_late_answer_for_one_more() {
        let desk = Desk(Accounts::default());
        let mut first = desk.open(1, "right", at(0));
        let mut second = desk.open(2, "right", at(3_000));
        assert!(matches!(desk.enter(3, "right", at(3_001)), Entry::Tried));
        second.accepted();
        let third = desk.open(3, "right", at(3_002));
        first.accepted();
        // One stream that the user may not see is no reason to keep the others out; a password that was changed is.
        third.ended(&SessionError::Forbidden, at(4_000));
        desk.open(4, "right", at(4_001)).ended(&SessionError::Unauthorized, at(4_002));
        assert!(matches!(desk.enter(5, "right", at(4_003)), Entry::Refused(_)));
        drop(first);
        drop(second);
        assert!(matches!(desk.enter(5, "right", at(4_004)), Entry::Refused(_)));
    }

    #[test]
    fn what_says_nothing_about_the_account_is_forgotten() {
        let desk = Desk(Accounts::default());
        desk.open(1, "a", at(0)).ended(&SessionError::Refused, at(1));
        drop(desk.open(2, "a", at(2)));
        let mut third = desk.open(3, "a", at(3));
        third.accepted();
        third.ended(&SessionError::Closed, at(4));
        assert!(desk.0.book().accounts.is_empty());
        desk.open(1, "a", at(5)).ended(&SessionError::Unauthorized, at(6));
        let _other = desk.open(1, "b", at(400_000));
        assert_eq!(desk.0.book().accounts.len(), 1, "entries do not outlive their wait");
    }
}
