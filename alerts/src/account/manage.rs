//! What those who manage accounts do with them.

use std::sync::Arc;

use xueliang_base::time::Wall;
use xueliang_proto::v1;

use super::{Account, AccountOptions, Accounts, Caller, MOST, Profile, Session, sign_in::note, token};
use crate::{
    error::{Error, Result},
    rights::{Principal, Right, check},
    store::accounts::{AccountWrite, TicketWrite},
};

/// What is handed on to whom an account is for: told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// A one-time token, or a machine's key.
    pub token: String,
    /// Until when a one-time token can be used.
    pub until: Option<Wall>,
}

impl Accounts {
    /// How accounts are kept.
    pub fn options(&self) -> &AccountOptions {
        &self.0.options
    }
    /// What an account is and whether its password must be changed first; `None` for callers without an account.
    pub fn of(&self, name: &str) -> Option<(Profile, bool)> {
        let account = self.find(name)?;
        Some((account.profile.clone(), account.must_change(&self.0.options, self.wall())))
    }
    /// Makes an account.
    pub async fn create(&self, by: &Principal, wire: &v1::Account) -> Result<(Profile, Handed)> {
        check(by, Right::ManageAccounts)?;
        let mut profile = Profile::wanted(wire)?;
        self.refuse_reserved(&profile.name)?;
        let _writing = self.0.writing.lock().await;
        if self.state().accounts.len() >= MOST {
            return Err(Error::Conflict(format!(
                "there are {MOST} accounts, no more are kept: use one that was disabled"
            )));
        }
        if self.find(&profile.name).is_some() {
            let name = &profile.name;
            return Err(Error::Conflict(format!("name: there is an account {name}, choose another name")));
        }
        (profile.revision, profile.created) = (1, self.wall());
        let account =
            Account { profile, password: String::new(), password_set: Wall(0), key: None, totp: None };
        self.hand(by, account, "created").await
    }
    /// Changes what an account is and may. Nobody changes their own, and what the service sets stays.
    pub async fn update(&self, by: &Principal, wire: &v1::Account) -> Result<Profile> {
        let wanted = Profile::wanted(wire)?;
        let (mut account, _writing) = self.another(by, &wanted.name).await?;
        let before = &account.profile;
        if wanted.revision != before.revision {
            return Err(Error::Conflict(format!(
                "revision: {} was changed meanwhile, read it again ({} now)",
                wanted.name, before.revision
            )));
        }
        if wanted.machine != before.machine {
            return Err(Error::Invalid("machine: stays what it was, make another account".to_owned()));
        }
        account.profile = Profile {
            disabled: before.disabled,
            is_set_up: before.is_set_up,
            has_totp: before.has_totp,
            created: before.created,
            revision: before.revision + 1,
            ..wanted
        };
        let note = note(&account.profile.name, &by.name, "updated", "");
        self.write(AccountWrite { account, note, ticket: TicketWrite::None, ends_but: None }).await
    }
    /// Takes an account out of use, or back into it; its sessions end.
    pub async fn disable(&self, by: &Principal, name: &str, reason: &str, enable: bool) -> Result<Profile> {
        let reason = reason.trim();
        if !(4..=500).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
            return Err(Error::Invalid("reason: say why in 4 to 500 characters".to_owned()));
        }
        let (mut account, _writing) = self.another(by, name).await?;
        account.profile.disabled = !enable;
        account.profile.revision += 1;
        let action = if enable { "enabled" } else { "disabled" };
        let note = note(name, &by.name, action, reason);
        self.write(AccountWrite { account, note, ticket: TicketWrite::None, ends_but: Some(None) }).await
    }
    /// Takes password, second factor and sessions of an account away. Its owner sets a new password with the token.
    pub async fn reset(&self, by: &Principal, name: &str) -> Result<Handed> {
        let (mut account, _writing) = self.another(by, name).await?;
        account.password.clear();
        (account.totp, account.key) = (None, None);
        account.profile.revision += 1;
        (account.profile.is_set_up, account.profile.has_totp) = (false, false);
        self.hand(by, account, "reset").await.map(|(_, handed)| handed)
    }
    /// Writes an account that has nothing to sign in with, and makes what its owner begins with. Only under `writing`.
    async fn hand(
        &self,
        by: &Principal,
        mut account: Account,
        action: &'static str,
    ) -> Result<(Profile, Handed)> {
        let (handed, ticket) = if account.profile.machine {
            let (secret, digest) = token::make(token::KEY)?;
            (account.key, account.profile.is_set_up) = (Some(digest), true);
            (Handed { token: secret, until: None }, TicketWrite::None)
        } else {
            let (secret, token) = token::make(token::ONCE)?;
            let until = self.wall().plus(self.0.options.ticket_life);
            (Handed { token: secret, until: Some(until) }, TicketWrite::Put { token, until })
        };
        let note = note(&account.profile.name, &by.name, action, "");
        let profile = self.write(AccountWrite { account, note, ticket, ends_but: Some(None) }).await?;
        Ok((profile, handed))
    }
    /// An account that is another's, as it is now, and the right to write it.
    async fn another(
        &self,
        by: &Principal,
        name: &str,
    ) -> Result<(Account, tokio::sync::MutexGuard<'_, ()>)> {
        check(by, Right::ManageAccounts)?;
        if by.name == name {
            return Err(Error::Forbidden(
                "nobody changes what their own account may: ask another security administrator".to_owned(),
            ));
        }
        let writing = self.0.writing.lock().await;
        let account = self.find(name);
        let account = account.ok_or_else(|| Error::NotFound(format!("name: there is no account {name}")))?;
        Ok((Arc::unwrap_or_clone(account), writing))
    }
    pub(super) fn refuse_reserved(&self, name: &str) -> Result<()> {
        match self.0.options.reserved.get(name) {
            Some(whose) => {
                Err(Error::Conflict(format!("name: {name} is the name of {whose}, choose another")))
            }
            None => Ok(()),
        }
    }
    /// Accounts after a name, in order; at most so many.
    pub fn list(&self, by: &Principal, after: &str, limit: usize) -> Result<Vec<Profile>> {
        check(by, Right::ReadAccounts)?;
        let state = self.state();
        let after = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let rest = state.accounts.range::<str, _>(after);
        Ok(rest.take(limit).map(|(_, account)| account.profile.clone()).collect())
    }
    /// Open sessions that the caller may see: its own, or with the right to it everyone's.
    pub fn list_sessions(&self, caller: &Caller, account: &str) -> Vec<Session> {
        let Principal { name, .. } = &caller.principal;
        let manages = caller.principal.may(Right::ManageAccounts);
        let state = self.state();
        let seen = state.sessions.all().into_iter().filter(|one| manages || one.row.account == *name);
        seen.filter(|one| account.is_empty() || one.row.account == account).cloned().collect()
    }
    /// Ends a session that the caller may see.
    pub async fn revoke(&self, caller: &Caller, id: u64) -> Result<()> {
        if !self.list_sessions(caller, "").iter().any(|one| one.row.id == id) {
            return Err(Error::NotFound(format!("session_id: there is no open session {id}")));
        }
        self.end(id, &caller.principal.name, "session_revoked").await
    }
}
