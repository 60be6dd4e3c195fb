//! All accounts as one process holds them: in memory for each call, in the store for ever.
//!
//! What each account may do stands in the bus's [`crate::rights::Rights`] as a grant under its name, so that a change is one
//! step for open streams and for calls. Writes go one after another; memory follows the disk.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;
use tracing::warn;
use xueliang_base::{alert::Sha256, shutdown::Stopping, time::Wall};

use super::{
    Account, AccountOptions, Profile, lockout::Lockout, password, second::Key, session::Sessions, token,
};
use crate::{
    bus::Bus,
    crew::Crew,
    error::{Error, Result},
    rights::{Grant, Principal, PrincipalKind},
    store::accounts::{AccountNote, AccountWrite, SessionRow},
};

/// Passwords that may wait to be hashed: a second of work. Who comes on top is asked to come again.
pub(super) const HASHING: usize = 32;
/// Refused sign-ins that wait for the log. Waits bound how many there are of one account.
const NOTES: usize = 1024;
/// How often the use of sessions is saved.
const SAVE_EVERY_S: u64 = 60;

/// What was done since the process started.
#[derive(Debug, Default)]
pub struct AccountCounts {
    /// Sign-ins.
    pub signed_in: AtomicU64,
    /// Sign-ins refused: name, password or code.
    pub refused: AtomicU64,
    /// Sign-ins refused unseen: too many failures, or too many at once.
    pub limited: AtomicU64,
    /// Refused sign-ins that are missing in the log because too many came at once.
    pub notes_lost: AtomicU64,
}

/// Who calls with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// With what it may do now.
    pub principal: Principal,
    /// Number of its session; `None` for a machine's key.
    pub session: Option<u64>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) accounts: BTreeMap<String, Arc<Account>>,
    keys: HashMap<Sha256, String>,
    pub(super) sessions: Sessions,
    notes: VecDeque<AccountNote>,
    /// What each account is held to, for the same names.
    held: BTreeMap<String, Grant>,
}

pub(super) struct Inner {
    pub(super) bus: Bus,
    pub(super) options: AccountOptions,
    pub(super) key: Key,
    pub(super) lockout: Mutex<Lockout>,
    pub(super) counts: AccountCounts,
    /// One write after another.
    pub(super) writing: tokio::sync::Mutex<()>,
    /// The hash of a password that nobody knows: who has no account takes as long as who has one.
    pub(super) nobody: String,
    state: Mutex<State>,
    hashers: Crew<()>,
    hashing: Semaphore,
}

/// All accounts. Clones share them.
#[derive(Clone)]
pub struct Accounts(pub(super) Arc<Inner>);

impl Accounts {
    /// Reads the accounts of a bus's store; `folder` is its state folder, where the key of second factors lies.
    pub async fn open(bus: &Bus, folder: &Path, options: AccountOptions) -> Result<Self> {
        let (store, clock) = (bus.store(), &bus.0.clock);
        let accounts = store.accounts().await?;
        let rows = store.sessions().await?;
        let (sessions, ended) = Sessions::taken_over(rows, &options, clock.mono(), clock.wall());
        let key = Key::load_or_make(folder)?;
        let hashers = Crew::spawn("passwords", 1, HASHING, || ())?;
        let (secret, _) = token::make("")?;
        let cost = options.cost;
        let nobody = hashers.run(move |()| password::hash(&secret, cost)).await??;
        let state = State { sessions, ..State::default() };
        let this = Self(Arc::new(Inner {
            bus: bus.clone(),
            key,
            lockout: Mutex::new(Lockout::new()),
            counts: AccountCounts::default(),
            writing: tokio::sync::Mutex::default(),
            nobody,
            state: Mutex::new(state),
            hashers,
            hashing: Semaphore::new(HASHING),
            options,
        }));
        for account in accounts {
            let name = &account.profile.name;
            if let Some(whose) = this.0.options.reserved.get(name) {
                warn!(account = %name, "cannot be used: its name is that of {whose} now");
            }
            this.put(account);
        }
        store.end_sessions(ended.into_iter().map(|row| expired(&row)).collect()).await?;
        Ok(this)
    }
    /// What was done since the process started.
    pub fn counts(&self) -> &AccountCounts {
        &self.0.counts
    }
    /// The bus that they are of.
    pub(crate) fn bus(&self) -> &Bus {
        &self.0.bus
    }
    /// Whether there is no account yet.
    pub fn is_empty(&self) -> bool {
        self.state().accounts.is_empty()
    }
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no code panics while it holds this lock")
    }
    pub(super) fn wall(&self) -> Wall {
        self.0.bus.0.clock.wall()
    }
    /// The account of a name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Account>> {
        self.state().accounts.get(name).cloned()
    }
    /// Who calls with a token, as far as it is one of a session or a machine that may be used now. The session counts as
    /// used.
    pub fn caller(&self, token: &str) -> Option<Caller> {
        let digest = Sha256::of(token.as_bytes());
        let clock = &self.0.bus.0.clock;
        let (mono, wall) = (clock.mono(), clock.wall());
        let state = &mut *self.state();
        let (name, session) = match state.keys.get(&digest) {
            Some(name) => (name.clone(), None),
            None => {
                let session = state.sessions.used(&digest, &self.0.options, mono, wall)?;
                (session.row.account.clone(), Some(session.row.id))
            }
        };
        let account = state.accounts.get(&name)?;
        if !account.profile.in_use(wall) || self.0.options.reserved.contains_key(&name) {
            return None;
        }
        let Grant { rights, divisions, classes } = account.grant(&self.0.options, wall);
        let unit = Some(account.profile.unit.clone());
        let principal = Principal { name, kind: PrincipalKind::Console, unit, rights, divisions, classes };
        Some(Caller { principal, session })
    }
    /// Hashes a new password, or says that too many are.
    pub(super) async fn hash(&self, password: String) -> Result<String> {
        let cost = self.0.options.cost;
        self.hashing(move || password::hash(&password, cost)).await?
    }
    /// Whether a password is that of a hash, or that too many are tried.
    pub(super) async fn is_password(&self, password: String, hash: String) -> Result<bool> {
        self.hashing(move || password::is(&password, &hash)).await
    }
    async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let Ok(_place) = self.0.hashing.try_acquire() else {
            self.0.counts.limited.fetch_add(1, Ordering::Relaxed);
            return Err(Error::TooMany {
                message: "too many are signing in: try again in a second".to_owned(),
                retry_after: Duration::from_secs(1),
            });
        };
        self.0.hashers.run(move |()| work()).await
    }
    /// Writes an account and takes it over; its open streams end where its rights or its key change. Only under `writing`.
    pub(super) async fn write(&self, write: AccountWrite) -> Result<Profile> {
        let account = write.account.clone();
        let but = write.ends_but;
        self.0.bus.store().write_account(write).await?;
        let profile = account.profile.clone();
        let name = &profile.name;
        let key = self.find(name).and_then(|before| before.key);
        // What was opened with a key that no longer counts.
        let mut ends = key.is_some() && key != account.key;
        self.put(account);
        if let Some(but) = but {
            let ended = self.state().sessions.take(|one| one.row.account == *name && Some(one.row.id) != but);
            ends |= !ended.is_empty();
        }
        if ends {
            self.0.bus.cut(name);
        }
        Ok(profile)
    }
    /// Takes over what an account is now.
    fn put(&self, mut account: Account) {
        let name = account.profile.name.clone();
        {
            let mut state = self.state();
            // As the store does: a code that was used meanwhile stays used.
            let before = state.accounts.get(&name).and_then(|before| before.totp.as_ref());
            if let (Some(factor), Some(before)) = (account.totp.as_mut(), before)
                && factor.sealed == before.sealed
            {
                factor.last_step = factor.last_step.max(before.last_step);
            }
            state.keys.retain(|_, owner| *owner != name);
            if let Some(key) = account.key {
                state.keys.insert(key, name.clone());
            }
            state.accounts.insert(name.clone(), Arc::new(account));
        }
        self.hold(&name);
    }
    /// Holds an account to what it may do now. A grant binds whoever has the name: under one that is another principal's
    /// there is none, or that principal would be held to it.
    fn hold(&self, name: &str) {
        let now = self.wall();
        let grant = {
            let mut state = self.state();
            let Some(account) = state.accounts.get(name) else { return };
            let grant = account.grant(&self.0.options, now);
            if state.held.insert(name.to_owned(), grant.clone()).as_ref() == Some(&grant) {
                return;
            }
            if self.0.options.reserved.contains_key(name) {
                return;
            }
            grant
        };
        self.0.bus.grant(name, Some(grant));
    }
    /// Keeps a refused sign-in for the log: writing it at once would tell by its time that the name exists.
    pub(super) fn note_later(&self, note: AccountNote) {
        let mut state = self.state();
        if state.notes.len() < NOTES {
            state.notes.push_back(note);
        } else {
            self.0.counts.notes_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
    /// Works until asked to stop: sessions and accounts end at their time, and their open streams with them.
    pub async fn run(&self, mut stopping: Stopping) {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticks = 0_u64;
        loop {
            tokio::select! {
                () = stopping.wait() => break,
                _ = every_second.tick() => {}
            }
            ticks += 1;
            self.tend().await;
            if ticks.is_multiple_of(SAVE_EVERY_S) {
                self.save_use().await;
            }
        }
        self.tend().await;
        self.save_use().await;
    }
    /// Ends what has ended by itself, and brings to disk what waits.
    pub(crate) async fn tend(&self) {
        let (now, wall) = (self.0.bus.0.clock.mono(), self.wall());
        let (ended, notes, changed) = {
            let state = &mut *self.state();
            let ended = state.sessions.take_ended(&self.0.options, now);
            let notes: Vec<_> = state.notes.drain(..).collect();
            // All else changes by `put` only. Every role has some right.
            let differs = |((name, account), held): ((&String, &Arc<Account>), &Grant)| {
                let idle = account.is_idle(&self.0.options, wall);
                (held.rights.is_empty() != idle).then(|| name.clone())
            };
            let both = state.accounts.iter().zip(state.held.values());
            let changed: Vec<String> = both.filter_map(differs).collect();
            (ended, notes, changed)
        };
        changed.iter().for_each(|name| self.hold(name));
        ended.iter().for_each(|row| self.0.bus.cut(&row.account));
        let store = self.0.bus.store();
        if !ended.is_empty() {
            let ended = ended.iter().map(expired).collect();
            if let Err(error) = store.end_sessions(ended).await {
                // They are forgotten here, and end by their age in the next life.
                warn!(%error, "sessions have ended, and that is not on disk");
            }
        }
        if !notes.is_empty() {
            let count = notes.len();
            if let Err(error) = store.note_accounts(notes).await {
                self.0.counts.notes_lost.fetch_add(count as u64, Ordering::Relaxed);
                warn!(%error, count, "refused sign-ins are missing in the log");
            }
        }
    }
    async fn save_use(&self) {
        let used = self.state().sessions.take_unsaved();
        if used.is_empty() {
            return;
        }
        if let Err(error) = self.0.bus.store().touch_sessions(used).await {
            warn!(%error, "when sessions were used is not on disk: after a restart some may end early");
        }
    }
}

fn expired(row: &SessionRow) -> (u64, AccountNote) {
    let note = AccountNote {
        account: row.account.clone(),
        actor: "bus".to_owned(),
        action: "session_expired",
        detail: row.address.clone(),
    };
    (row.id, note)
}
