//! What the store keeps of accounts. Each write is one transaction with its entry in the log of changes.

use xueliang_base::{alert::Sha256, time::Wall};
use xueliang_proto::v1;

use super::Answer;
use crate::account::Account;

/// An entry of the log of changes, before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountNote {
    /// Name of the account.
    pub account: String,
    /// Who did it.
    pub actor: String,
    /// What was done: a word.
    pub action: &'static str,
    /// Why, or from where.
    pub detail: String,
}

/// What a write does about one-time tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketWrite {
    /// Nothing.
    None,
    /// The account gets this one, in place of any before.
    Put {
        /// Digest of the token.
        token: Sha256,
        /// Until when it can be used.
        until: Wall,
    },
    /// This one is used up. Where it is not there any more, nothing is written.
    Take(Sha256),
}

/// A write of one account.
#[derive(Debug, Clone)]
pub struct AccountWrite {
    /// All that it is now; its revision is one more than before, or 1 for a new one.
    pub account: Account,
    /// What is said of it in the log; its `account` is the account's name.
    pub note: AccountNote,
    /// One-time tokens.
    pub ticket: TicketWrite,
    /// Sessions of the account that end with it: all but `Some(this one)`; `None`: none does.
    pub ends_but: Option<Option<u64>>,
}

/// A one-time token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The account that it sets up; empty: the first one of a new service.
    pub account: String,
    /// Until when it can be used.
    pub until: Wall,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its number; 0 before it has one.
    pub id: u64,
    /// Digest of its token.
    pub token: Sha256,
    /// The account.
    pub account: String,
    /// When it began.
    pub begun: Wall,
    /// When it was used last, as far as that was saved.
    pub used: Wall,
    /// Address that it was begun from; empty for the local socket.
    pub address: String,
}

/// Which entries of the log to list, latest first.
#[derive(Debug, Clone, Default)]
pub struct AccountChangeQuery {
    /// Only of this account.
    pub account: Option<String>,
    /// Only entries before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Accounts, their sessions and one-time tokens.
pub trait AccountStore {
    /// All accounts.
    fn accounts(&self) -> Answer<Vec<Account>>;
    /// All sessions that have not ended.
    fn sessions(&self) -> Answer<Vec<SessionRow>>;
    /// Writes an account. A conflict where its revision does not follow the one that is stored, where the name of a new
    /// one is there already, or where its one-time token is gone.
    fn write_account(&self, write: AccountWrite) -> Answer<()>;
    /// A one-time token that was not used, ended or not.
    fn ticket(&self, token: Sha256) -> Answer<Option<Ticket>>;
    /// Keeps the one-time token of the first account, in place of any before. A conflict where there is an account.
    fn put_first_ticket(&self, token: Sha256, until: Wall) -> Answer<()>;
    /// Begins a session, with the last step of the account's second factor that was used; sessions of `ends` end.
    /// Returns its number.
    fn begin_session(&self, session: SessionRow, totp_step: u64, ends: Vec<u64>) -> Answer<u64>;
    /// Ends sessions; those that have ended stay so.
    fn end_sessions(&self, sessions: Vec<(u64, AccountNote)>) -> Answer<()>;
    /// Saves when sessions were used last.
    fn touch_sessions(&self, used: Vec<(u64, Wall)>) -> Answer<()>;
    /// Adds to the log.
    fn note_accounts(&self, notes: Vec<AccountNote>) -> Answer<()>;
    /// Reads the log.
    fn account_changes(&self, query: AccountChangeQuery) -> Answer<Vec<v1::AccountChange>>;
}
