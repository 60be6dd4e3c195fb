//! What people do with their own account: set it up, sign in and out, change the password, add a second factor.

use std::{net::IpAddr, sync::Arc, sync::atomic::Ordering};

use xueliang_proto::v1;

use super::{Account, Accounts, Caller, Profile, Session, Totp, password, token};
use crate::{
    error::{Error, Result},
    role::Role,
    store::accounts::{AccountNote, AccountWrite, SessionRow, TicketWrite},
};

/// Said whatever was wrong, so that nobody learns which names exist.
const REFUSED: &str =
    "name, password or code is wrong, or the account is not in use: ask whoever manages accounts";

/// Who wants to sign in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Name of the account.
    pub name: &'a str,
    /// Its password.
    pub password: &'a str,
    /// A code of its second factor; empty: none.
    pub code: &'a str,
    /// Where the call comes from; `None`: the local socket.
    pub address: Option<IpAddr>,
}

/// What came of signing in.
#[derive(Debug)]
pub enum SignedIn {
    /// A code is needed besides.
    CodeNeeded,
    /// A session.
    Session {
        /// Its token.
        token: String,
        /// The session.
        session: Session,
        /// The account.
        profile: Box<Profile>,
        /// Whether the password must be changed before anything else.
        must_change: bool,
    },
}

fn refused() -> Error {
    Error::NotSignedIn(REFUSED.to_owned())
}

pub(super) fn note(
    account: &str,
    actor: &str,
    action: &'static str,
    detail: impl Into<String>,
) -> AccountNote {
    AccountNote { account: account.to_owned(), actor: actor.to_owned(), action, detail: detail.into() }
}

impl Accounts {
    /// Makes the one-time token of a service without accounts: its first account, a security administrator, is made with
    /// it. `None` where there is an account. The token of an earlier start no longer counts.
    pub async fn first_token(&self) -> Result<Option<String>> {
        let _writing = self.0.writing.lock().await;
        if !self.is_empty() {
            return Ok(None);
        }
        let (secret, digest) = token::make(token::ONCE)?;
        let until = self.wall().plus(self.0.options.ticket_life);
        self.0.bus.store().put_first_ticket(digest, until).await?;
        Ok(Some(secret))
    }
    /// Uses a one-time token.
    pub async fn set_up(&self, request: &v1::SetUpRequest) -> Result<Profile> {
        let digest = xueliang_base::alert::Sha256::of(request.token.as_bytes());
        let store = self.0.bus.store();
        let ticket = store.ticket(digest).await?.filter(|ticket| ticket.until > self.wall());
        let ticket = ticket.ok_or_else(|| {
            Error::NotSignedIn("this one-time token is unknown, used or too old: ask for another".to_owned())
        })?;
        let first = ticket.account.is_empty();
        let name = if first { &request.name } else { &ticket.account };
        let fresh = if first { Some(self.first(request)?) } else { None };
        password::check(&request.password, name)?;
        let hash = self.hash(request.password.clone()).await?;
        let _writing = self.0.writing.lock().await;
        let mut profile = match fresh {
            Some(_) if !self.is_empty() => {
                return Err(Error::Conflict("there is an account already: sign in".to_owned()));
            }
            Some(fresh) => fresh,
            None => {
                let gone = || Error::NotSignedIn("the account of this one-time token is gone".to_owned());
                self.find(name).ok_or_else(gone)?.profile.clone()
            }
        };
        profile.revision += 1;
        (profile.is_set_up, profile.has_totp) = (true, false);
        let account = Account { profile, password: hash, password_set: self.wall(), key: None, totp: None };
        let note = note(&account.profile.name, &account.profile.name, "set_up", "");
        let ticket = TicketWrite::Take(digest);
        self.write(AccountWrite { account, note, ticket, ends_but: Some(None) }).await
    }
    /// The first account of a service: it makes all others.
    fn first(&self, request: &v1::SetUpRequest) -> Result<Profile> {
        let profile = Profile::wanted(&v1::Account {
            name: request.name.clone(),
            display_name: request.display_name.clone(),
            unit: request.unit.clone(),
            roles: vec![v1::Role::from(Role::SecurityAdmin).into()],
            whole_town: true,
            ..v1::Account::default()
        })?;
        self.refuse_reserved(&profile.name)?;
        Ok(Profile { created: self.wall(), ..profile })
    }
    /// Signs in.
    pub async fn sign_in(&self, wanted: Wanted<'_>) -> Result<SignedIn> {
        let Wanted { name, password, code, address } = wanted;
        if name.is_empty() || password.is_empty() {
            return Err(Error::Invalid("name, password: both are needed".to_owned()));
        }
        if name.len() > 64 || password.len() > password::LONGEST || code.len() > 16 {
            return Err(refused());
        }
        let tried =
            self.lockout(|lockout, now| lockout.begin(name, address, now)).map_err(|retry_after| {
                self.0.counts.limited.fetch_add(1, Ordering::Relaxed);
                let seconds = retry_after.as_secs() + 1;
                let message = format!(
                    "too many failures to sign in with this name or from here: try again in {seconds} s"
                );
                Error::TooMany { message, retry_after }
            })?;
        let known = self.find(name).filter(|account| !account.password.is_empty());
        let hash = known.as_ref().map_or_else(|| self.0.nobody.clone(), |account| account.password.clone());
        // What fails by our own fault is no failure of theirs.
        let undo = |_: &Error| self.lockout(|lockout, _| lockout.passed(tried, false));
        let right = self.is_password(password.to_owned(), hash.clone()).await.inspect_err(undo)?;
        let _writing = self.0.writing.lock().await;
        // What it is now, which may be another than before the password was looked at.
        let account = self.find(name).filter(|account| account.password == hash);
        let usable = |account: &Arc<Account>| {
            let Profile { name, machine, .. } = &account.profile;
            !machine && account.profile.in_use(self.wall()) && !self.0.options.reserved.contains_key(name)
        };
        let from = address.map(|address| address.to_string()).unwrap_or_default();
        let refuse = |why: &str| {
            self.0.counts.refused.fetch_add(1, Ordering::Relaxed);
            if known.is_some() {
                self.note_later(note(name, name, "sign_in_refused", format!("{why} {from}").trim_end()));
            }
            Err(refused())
        };
        let Some(account) = account.filter(usable).filter(|_| right) else { return refuse("password") };
        let mut step = 0;
        if let Some(factor) = account.totp.as_ref().filter(|factor| factor.confirmed) {
            if code.is_empty() {
                self.lockout(|lockout, _| lockout.passed(tried, false));
                return Ok(SignedIn::CodeNeeded);
            }
            match self.0.key.step(name, factor, code, self.wall()) {
                Some(used) => step = used,
                None => return refuse("code"),
            }
        }
        let (session, secret) = self.begin(&account, step, from).await.inspect_err(undo)?;
        self.lockout(|lockout, _| lockout.passed(tried, true));
        self.0.counts.signed_in.fetch_add(1, Ordering::Relaxed);
        Ok(SignedIn::Session {
            token: secret,
            session,
            profile: Box::new(account.profile.clone()),
            must_change: account.must_change(&self.0.options, self.wall()),
        })
    }
    /// Begins a session. Only under `writing`.
    async fn begin(&self, account: &Account, step: u64, address: String) -> Result<(Session, String)> {
        let (secret, token) = token::make(token::SESSION)?;
        let wall = self.wall();
        let name = &account.profile.name;
        let too_many: Vec<u64> = {
            let state = self.state();
            let own = state.sessions.of(name);
            let over = (own.len() + 1).saturating_sub(self.0.options.sessions.max(1));
            own.iter().take(over).map(|one| one.row.id).collect()
        };
        let mut row = SessionRow { id: 0, token, account: name.clone(), begun: wall, used: wall, address };
        row.id = self.0.bus.store().begin_session(row.clone(), step, too_many.clone()).await?;
        let session = Session::begun(row, self.0.bus.0.clock.mono());
        let state = &mut *self.state();
        state.sessions.take(|one| too_many.contains(&one.row.id));
        state.sessions.add(session.clone());
        if step > 0
            && let Some(account) = state.accounts.get_mut(name)
            && let Some(factor) = Arc::make_mut(account).totp.as_mut()
        {
            factor.last_step = factor.last_step.max(step);
        }
        if !too_many.is_empty() {
            self.0.bus.cut(name);
        }
        Ok((session, secret))
    }
    fn lockout<T>(
        &self,
        work: impl FnOnce(&mut super::lockout::Lockout, xueliang_base::time::Mono) -> T,
    ) -> T {
        let mut lockout = self.0.lockout.lock().expect("no code panics while it holds this lock");
        work(&mut lockout, self.0.bus.0.clock.mono())
    }
    /// The account that calls, with its session.
    fn own(&self, caller: &Caller) -> Result<(Arc<Account>, u64)> {
        let account = self.find(&caller.principal.name);
        account.zip(caller.session).ok_or_else(|| {
            let name = &caller.principal.name;
            Error::Conflict(format!("{name} has not signed in with a password: there is nothing to change"))
        })
    }
    /// Refuses a wrong password of who is signed in, with the same waits as signing in.
    async fn check_own(&self, account: &Account, given: &str) -> Result<()> {
        let name = &account.profile.name;
        let tried = self.lockout(|lockout, now| lockout.begin(name, None, now)).map_err(|retry_after| {
            Error::TooMany { message: "too many wrong passwords: wait".to_owned(), retry_after }
        })?;
        if given.len() > password::LONGEST
            || !self.is_password(given.to_owned(), account.password.clone()).await?
        {
            self.note_later(note(name, name, "password_refused", ""));
            return Err(Error::Forbidden("password: is not the present one".to_owned()));
        }
        self.lockout(|lockout, _| lockout.passed(tried, false));
        Ok(())
    }
    /// Changes the password of the account that calls; its other sessions end.
    pub async fn change_password(&self, caller: &Caller, old: &str, new: &str) -> Result<()> {
        let (account, session) = self.own(caller)?;
        self.check_own(&account, old).await?;
        password::check(new, &account.profile.name)?;
        if old == new {
            return Err(Error::Invalid("new_password: is the present one, choose another".to_owned()));
        }
        let hash = self.hash(new.to_owned()).await?;
        let password_set = self.wall();
        self.change_own(&account, session, "password_changed", |account| {
            (account.password, account.password_set) = (hash, password_set);
        })
        .await
    }
    /// Makes a new second factor of the account that calls: its secret in base 32, and as a URL. One that
    /// counts already is taken away by a reset only, or whoever finds a console open could replace it.
    pub async fn enrol_totp(&self, caller: &Caller, password: &str) -> Result<(String, String)> {
        let (account, session) = self.own(caller)?;
        self.check_own(&account, password).await?;
        if account.profile.has_totp {
            return Err(Error::Conflict(
                "the account has a second factor: whoever manages accounts takes it away by a reset"
                    .to_owned(),
            ));
        }
        let (sealed, secret, url) = self.0.key.enrol(&account.profile.name)?;
        self.change_own(&account, session, "totp_enrolled", |account| {
            account.totp = Some(Totp { sealed, confirmed: false, last_step: 0 });
        })
        .await?;
        Ok((secret, url))
    }
    /// Confirms the second factor of the account that calls; its other sessions end.
    pub async fn confirm_totp(&self, caller: &Caller, code: &str) -> Result<()> {
        let (account, session) = self.own(caller)?;
        let waiting = account.totp.as_ref().filter(|factor| !factor.confirmed);
        let factor = waiting.ok_or_else(|| {
            Error::Conflict("no second factor waits to be confirmed: call EnrolTotp first".to_owned())
        })?;
        let step = self.0.key.step(&account.profile.name, factor, code, self.wall());
        let step = step.ok_or_else(|| {
            Error::Invalid("code: is not the present one, look at the clock of your device".to_owned())
        })?;
        self.change_own(&account, session, "totp_confirmed", |account| {
            account.profile.has_totp = true;
            if let Some(factor) = &mut account.totp {
                (factor.confirmed, factor.last_step) = (true, step);
            }
        })
        .await
    }
    /// Changes what the account that calls signs in with.
    async fn change_own(
        &self,
        before: &Account,
        session: u64,
        action: &'static str,
        change: impl FnOnce(&mut Account),
    ) -> Result<()> {
        let _writing = self.0.writing.lock().await;
        let mut account = before.clone();
        change(&mut account);
        account.profile.revision += 1;
        let name = &account.profile.name;
        let note = note(name, name, action, "");
        let ends_but = Some(Some(session));
        self.write(AccountWrite { account, note, ticket: TicketWrite::None, ends_but }).await.map(drop)
    }
    /// Ends the session that calls.
    pub async fn sign_out(&self, caller: &Caller) -> Result<()> {
        let session = caller.session.ok_or_else(|| {
            Error::Conflict(format!("{} has no session: there is nothing to end", caller.principal.name))
        })?;
        self.end(session, &caller.principal.name, "signed_out").await
    }
    /// Ends a session, and the streams of its account: who has another comes back at once.
    pub(super) async fn end(&self, id: u64, actor: &str, action: &'static str) -> Result<()> {
        let _writing = self.0.writing.lock().await;
        let row = self.state().sessions.by_id(id).map(|one| one.row.clone());
        let row = row.ok_or_else(|| Error::NotFound(format!("session_id: there is no open session {id}")))?;
        let note = note(&row.account, actor, action, row.address.clone());
        self.0.bus.store().end_sessions(vec![(id, note)]).await?;
        self.state().sessions.take(|one| one.row.id == id);
        self.0.bus.cut(&row.account);
        Ok(())
    }
}
