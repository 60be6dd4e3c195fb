//! Sessions, as they are held in memory. Pure: time is a parameter.
//!
//! Within a life of the process sessions age by the monotonic clock. Over a restart only the wall clock tells how long it
//! was: what it says then is added, and a session that seems to begin in the future has ended, since the clock was set.

use std::{collections::HashMap, time::Duration};

use xueliang_base::{
    alert::Sha256,
    time::{Mono, Wall},
};
use xueliang_proto::v1;

use super::AccountOptions;
use crate::store::accounts::SessionRow;

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// As the store has it; `used` is newer here.
    pub row: SessionRow,
    /// When this process has known it from, and how old it was then.
    known: Mono,
    age: Duration,
    /// When it was used last, and how long before that by the wall clock where that was before this process.
    used: Mono,
    idle: Duration,
    /// Used since that was saved.
    unsaved: bool,
}

impl Session {
    pub(super) fn begun(row: SessionRow, now: Mono) -> Self {
        Self { row, known: now, age: Duration::ZERO, used: now, idle: Duration::ZERO, unsaved: false }
    }
    /// One of an earlier life of the process; `None`: it has ended since.
    fn taken_over(row: SessionRow, now: Mono, wall: Wall) -> Option<Self> {
        let since = |earlier: Wall| u64::try_from(wall.0 - earlier.0).ok().map(Duration::from_micros);
        let (age, idle) = (since(row.begun)?, since(row.used)?);
        Some(Self { row, known: now, age, used: now, idle, unsaved: false })
    }
    fn has_ended(&self, options: &AccountOptions, now: Mono) -> bool {
        self.age + now.since(self.known) >= options.longest
            || self.idle + now.since(self.used) >= options.idle
    }
    /// As people see it.
    pub fn wire(&self, options: &AccountOptions) -> v1::Session {
        v1::Session {
            session_id: self.row.id,
            account: self.row.account.clone(),
            begun_unix_us: self.row.begun.0,
            used_unix_us: self.row.used.0,
            until_unix_us: self.row.begun.plus(options.longest).0,
            address: self.row.address.clone(),
        }
    }
}

/// All sessions that are open, by the digests of their tokens.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<Sha256, Session>);

impl Sessions {
    /// Those of an earlier life of the process, and the rows of those that have ended since.
    pub(super) fn taken_over(
        rows: Vec<SessionRow>,
        options: &AccountOptions,
        now: Mono,
        wall: Wall,
    ) -> (Self, Vec<SessionRow>) {
        let (mut open, mut ended) = (HashMap::new(), Vec::new());
        for row in rows {
            match Session::taken_over(row.clone(), now, wall).filter(|one| !one.has_ended(options, now)) {
                Some(session) => drop(open.insert(row.token, session)),
                None => ended.push(row),
            }
        }
        (Self(open), ended)
    }
    pub(super) fn add(&mut self, session: Session) {
        self.0.insert(session.row.token, session);
    }
    /// The session of a token, used now.
    pub(super) fn used(
        &mut self,
        token: &Sha256,
        options: &AccountOptions,
        now: Mono,
        wall: Wall,
    ) -> Option<&Session> {
        let session = self.0.get_mut(token).filter(|one| !one.has_ended(options, now))?;
        (session.used, session.idle, session.row.used, session.unsaved) = (now, Duration::ZERO, wall, true);
        Some(session)
    }
    pub(super) fn by_id(&self, id: u64) -> Option<&Session> {
        self.0.values().find(|one| one.row.id == id)
    }
    /// Those of an account, oldest first.
    pub(super) fn of(&self, account: &str) -> Vec<&Session> {
        let mut own: Vec<_> = self.0.values().filter(|one| one.row.account == account).collect();
        own.sort_by_key(|one| one.row.id);
        own
    }
    pub(super) fn all(&self) -> Vec<&Session> {
        let mut all: Vec<_> = self.0.values().collect();
        all.sort_by_key(|one| one.row.id);
        all
    }
    /// Takes out those that are meant.
    pub(super) fn take(&mut self, meant: impl Fn(&Session) -> bool) -> Vec<SessionRow> {
        self.0.extract_if(|_, one| meant(one)).map(|(_, one)| one.row).collect()
    }
    /// Takes out those that have ended by themselves.
    pub(super) fn take_ended(&mut self, options: &AccountOptions, now: Mono) -> Vec<SessionRow> {
        self.take(|one| one.has_ended(options, now))
    }
    /// When sessions were used that were since this was asked last.
    pub(super) fn take_unsaved(&mut self) -> Vec<(u64, Wall)> {
        let used = self.0.values_mut().filter_map(|one| {
            let unsaved = std::mem::take(&mut one.unsaved);
            unsaved.then_some((one.row.id, one.row.used))
        });
        used.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Wall = Wall(1_790_000_000_000_000);
    const NOW: Mono = Mono(7_000_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn options() -> AccountOptions {
        AccountOptions { idle: HOUR, longest: 3 * HOUR, ..AccountOptions::default() }
    }
    fn row(id: u64) -> SessionRow {
        let token = Sha256::of(&id.to_le_bytes());
        SessionRow { id, token, account: "ana".into(), begun: WALL, used: WALL, address: String::new() }
    }

    #[test]
    fn a_session_ends_unused_after_a_while_and_used_at_its_end() {
        let mut sessions = Sessions::default();
        for id in [1, 2] {
            sessions.add(Session::begun(row(id), NOW));
        }
        let token = row(1).token;
        let mut now = NOW;
        for _ in 0..4 {
            now = now.plus(HOUR / 2);
            assert!(sessions.used(&token, &options(), now, WALL).is_some());
        }
        assert!(sessions.used(&row(2).token, &options(), now, WALL).is_none(), "unused for two hours");
        assert_eq!(sessions.take_ended(&options(), now), [row(2)]);
        assert_eq!(sessions.take_unsaved(), [(1, WALL)]);
        assert_eq!(sessions.take_unsaved(), []);
        now = now.plus(HOUR / 2);
        assert!(sessions.used(&token, &options(), now, WALL).is_some());
        now = now.plus(HOUR / 2);
        assert!(sessions.used(&token, &options(), now, WALL).is_none(), "three hours old");
        assert_eq!(sessions.take_ended(&options(), now).len(), 1);
    }

    #[test]
    fn a_restart_prolongs_no_session_and_one_of_the_future_has_ended() {
        let over = |begun: Wall, used: Wall, wall: Wall| {
            let rows = vec![SessionRow { begun, used, ..row(1) }];
            // The machine was started a second ago: its monotonic clock knows nothing of before.
            Sessions::taken_over(rows, &options(), Mono(1_000_000_000), wall)
        };
        let minute = Duration::from_secs(60);
        let (mut open, ended) = over(WALL, WALL.plus(HOUR * 2), WALL.plus(HOUR * 2).plus(minute));
        assert!(ended.is_empty());
        let later = Mono(1_000_000_000).plus(minute * 58);
        assert!(open.used(&row(1).token, &options(), later, WALL).is_some());
        let later = Mono(1_000_000_000).plus(minute * 59);
        assert!(open.used(&row(1).token, &options(), later, WALL).is_none(), "three hours old in all");
        assert_eq!(over(WALL, WALL, WALL.plus(HOUR)).1.len(), 1, "unused for an hour");
        assert_eq!(over(WALL, WALL.plus(HOUR * 3), WALL.plus(HOUR * 3)).1.len(), 1);
        assert_eq!(over(WALL.plus(minute), WALL.plus(minute), WALL).1.len(), 1, "the clock was set back");
    }
}
