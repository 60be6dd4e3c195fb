//! Accounts, sessions, one-time tokens and the log of what was done with them. Each entry of the log has one in the audit,
//! in its transaction: the log tells, and the audit's chain vouches for it.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{alert::Sha256, time::Wall};
use xueliang_proto::v1;

use super::{
    super::{
        Answer, AuditEntry, SqliteStore,
        accounts::{
            AccountChangeQuery, AccountNote, AccountStore, AccountWrite, SessionRow, Ticket, TicketWrite,
        },
    },
    convert::{damaged, limit, signed, unsigned},
    query::{Sql, int},
    rest,
};
use crate::{
    account::{Account, Profile, Totp},
    error::{Error, Result},
};

impl AccountStore for SqliteStore {
    fn accounts(&self) -> Answer<Vec<Account>> {
        self.read(accounts)
    }
    fn sessions(&self) -> Answer<Vec<SessionRow>> {
        self.read(sessions)
    }
    fn write_account(&self, one: AccountWrite) -> Answer<()> {
        self.write(move |db, batch| write(db, &one, batch.wall()))
    }
    fn ticket(&self, token: Sha256) -> Answer<Option<Ticket>> {
        self.read(move |db| ticket(db, token))
    }
    fn put_first_ticket(&self, token: Sha256, until: Wall) -> Answer<()> {
        self.write(move |db, _| {
            let there: bool = db.query_row("SELECT EXISTS (SELECT 1 FROM account)", [], |row| row.get(0))?;
            if there {
                return Err(Error::Conflict("there is an account already: sign in".to_owned()));
            }
            put_ticket(db, "", token, until)
        })
    }
    fn begin_session(&self, session: SessionRow, totp_step: u64, ends: Vec<u64>) -> Answer<u64> {
        self.write(move |db, batch| begin(db, &session, totp_step, &ends, batch.wall()))
    }
    fn end_sessions(&self, sessions: Vec<(u64, AccountNote)>) -> Answer<()> {
        self.write(move |db, batch| sessions.iter().try_for_each(|(id, why)| end(db, *id, why, batch.wall())))
    }
    fn touch_sessions(&self, used: Vec<(u64, Wall)>) -> Answer<()> {
        self.write(move |db, _| {
            let mut update =
                db.prepare_cached("UPDATE account_session SET used_us = ?2 WHERE session_id = ?1")?;
            used.iter().try_for_each(|(id, at)| {
                update.execute(params![signed(*id), at.0])?;
                Ok(())
            })
        })
    }
    fn note_accounts(&self, notes: Vec<AccountNote>) -> Answer<()> {
        self.write(move |db, batch| notes.iter().try_for_each(|one| note(db, one, None, batch.wall())))
    }
    fn account_changes(&self, query: AccountChangeQuery) -> Answer<Vec<v1::AccountChange>> {
        self.read(move |db| changes(db, &query))
    }
}

fn digest(bytes: Vec<u8>) -> Result<Sha256> {
    bytes.try_into().map(Sha256).map_err(|_| damaged("digest")())
}

fn accounts(db: &Connection) -> Result<Vec<Account>> {
    Sql::new("SELECT content, password, password_us, key, totp, totp_confirmed, totp_step FROM account").all(
        db,
        |row| {
            let content: Vec<u8> = row.get(0)?;
            let wire = v1::Account::decode(content.as_slice()).map_err(|_| damaged("account")())?;
            let sealed: Vec<u8> = row.get(4)?;
            let totp = Totp { sealed, confirmed: row.get(5)?, last_step: unsigned(row.get(6)?) };
            Ok(Account {
                profile: Profile::stored(&wire).map_err(|_| damaged("account")())?,
                password: row.get(1)?,
                password_set: Wall(row.get(2)?),
                key: row.get::<_, Option<Vec<u8>>>(3)?.map(digest).transpose()?,
                totp: (!totp.sealed.is_empty()).then_some(totp),
            })
        },
    )
}

fn sessions(db: &Connection) -> Result<Vec<SessionRow>> {
    Sql::new("SELECT session_id, token, account, begun_us, used_us, address FROM account_session").all(
        db,
        |row| {
            Ok(SessionRow {
                id: unsigned(row.get(0)?),
                token: digest(row.get(1)?)?,
                account: row.get(2)?,
                begun: Wall(row.get(3)?),
                used: Wall(row.get(4)?),
                address: row.get(5)?,
            })
        },
    )
}

fn write(db: &Connection, one: &AccountWrite, now: Wall) -> Result<()> {
    let Account { profile, password, password_set, key, totp } = &one.account;
    match one.ticket {
        TicketWrite::None => {}
        TicketWrite::Put { token, until } => put_ticket(db, &profile.name, token, until)?,
        TicketWrite::Take(token) => {
            let taken = db
                .prepare_cached("DELETE FROM account_ticket WHERE token = ?1")?
                .execute([token.0.as_slice()])?;
            if taken == 0 {
                return Err(Error::Conflict("the one-time token was used already: ask for another".into()));
            }
        }
    }
    let values = params![
        profile.name,
        profile.wire().encode_to_vec(),
        signed(profile.revision),
        password,
        password_set.0,
        key.as_ref().map(|key| key.0.as_slice()),
        totp.as_ref().map(|totp| totp.sealed.as_slice()).unwrap_or_default(),
        totp.as_ref().is_some_and(|totp| totp.confirmed),
        totp.as_ref().map_or(0, |totp| signed(totp.last_step)),
    ];
    let written = if profile.revision == 1 {
        db.prepare_cached(
            "INSERT OR IGNORE INTO account (name, content, revision, password, password_us, key, totp, \
             totp_confirmed, totp_step) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(values)?
    } else {
        db.prepare_cached(
            "UPDATE account SET content = ?2, revision = ?3, password = ?4, password_us = ?5, key = ?6, totp = ?7, \
             totp_confirmed = ?8, totp_step = max(?9, totp_step * (totp = ?7)) WHERE name = ?1 AND revision = ?3 - 1",
        )?
        .execute(values)?
    };
    if written == 0 {
        return Err(Error::Conflict(format!(
            "account {} was changed meanwhile, or its name is taken: read it again",
            profile.name
        )));
    }
    if let Some(but) = one.ends_but {
        db.prepare_cached("DELETE FROM account_session WHERE account = ?1 AND session_id <> ?2")?
            .execute(params![profile.name, but.map_or(-1, signed)])?;
    }
    note(db, &one.note, Some(profile), now)
}

fn put_ticket(db: &Connection, account: &str, token: Sha256, until: Wall) -> Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO account_ticket (account, token, until_us) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![account, token.0.as_slice(), until.0])?;
    Ok(())
}

fn ticket(db: &Connection, token: Sha256) -> Result<Option<Ticket>> {
    let mut query = db.prepare_cached("SELECT account, until_us FROM account_ticket WHERE token = ?1")?;
    let read = |row: &Row<'_>| Ok(Ticket { account: row.get(0)?, until: Wall(row.get(1)?) });
    Ok(query.query_row([token.0.as_slice()], read).optional()?)
}

fn begin(db: &Connection, session: &SessionRow, totp_step: u64, ends: &[u64], now: Wall) -> Result<u64> {
    let note_of = |action, actor: &str| AccountNote {
        account: session.account.clone(),
        actor: actor.to_owned(),
        action,
        detail: session.address.clone(),
    };
    for id in ends {
        end(db, *id, &note_of("session_replaced", &session.account), now)?;
    }
    db.prepare_cached(
        "INSERT INTO account_session (token, account, begun_us, used_us, address) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        session.token.0.as_slice(),
        session.account,
        session.begun.0,
        session.used.0,
        session.address
    ])?;
    let id = unsigned(db.last_insert_rowid());
    db.prepare_cached("UPDATE account SET totp_step = max(totp_step, ?2) WHERE name = ?1")?
        .execute(params![session.account, signed(totp_step)])?;
    note(db, &note_of("signed_in", &session.account), None, now)?;
    Ok(id)
}

fn end(db: &Connection, id: u64, why: &AccountNote, now: Wall) -> Result<()> {
    let ended =
        db.prepare_cached("DELETE FROM account_session WHERE session_id = ?1")?.execute([signed(id)])?;
    if ended > 0 { note(db, why, None, now) } else { Ok(()) }
}

fn note(db: &Connection, one: &AccountNote, after: Option<&Profile>, now: Wall) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO account_change (at_us, account, actor, action, detail, content) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        now.0,
        one.account,
        one.actor,
        one.action,
        one.detail,
        after.map(|after| after.wire().encode_to_vec())
    ])?;
    let entry = AuditEntry { principal: one.actor.clone(), action: one.action, subject: subject(one, after) };
    rest::audit(db, &entry, now)
}

/// What the audit says of an entry: the account, why or from where, and all that the account is and may after a change.
/// What it signs in with is no part of that.
fn subject(one: &AccountNote, after: Option<&Profile>) -> String {
    let mut parts = vec![format!("account {}", one.account)];
    parts.extend(Some(one.detail.clone()).filter(|detail| !detail.is_empty()));
    if let Some(after) = after {
        let joined = |words: Vec<String>| words.join(", ");
        let divisions = after.divisions.as_ref().map(|codes| codes.iter().map(ToString::to_string).collect());
        parts.extend([
            format!("revision {}", after.revision),
            format!("roles {}", joined(after.roles.iter().map(|role| role.word()).collect())),
            divisions.map_or_else(|| "whole town".to_owned(), |codes| format!("divisions {}", joined(codes))),
            format!("unit {}", after.unit),
            format!("display name {}", after.display_name),
        ]);
        // Said where it is bound to some: what is not said is not narrowed.
        parts.extend(after.classes.as_ref().map(|classes| {
            format!("classes of points {}", joined(classes.iter().map(ToString::to_string).collect()))
        }));
        parts.extend(after.valid_until.map(|until| format!("valid until {until}")));
        parts.extend(after.trained_until.map(|until| format!("trained until {until}")));
        let flags = [
            (after.machine, "machine"),
            (after.disabled, "disabled"),
            (after.is_set_up, "set up"),
            (after.has_totp, "second factor"),
        ];
        parts.extend(flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1.to_owned()));
    }
    parts.join("; ")
}

fn changes(db: &Connection, query: &AccountChangeQuery) -> Result<Vec<v1::AccountChange>> {
    let mut sql = Sql::new(
        "SELECT change_id, at_us, account, actor, action, detail, content FROM account_change WHERE 1",
    );
    if let Some(account) = &query.account {
        sql.add(" AND account = ?", [account.clone().into()]);
    }
    if let Some(before) = query.before_exclusive {
        sql.add(" AND change_id < ?", [int(before)]);
    }
    sql.add(" ORDER BY change_id DESC LIMIT ?", [limit(query.limit).into()]).all(db, |row| {
        let content: Option<Vec<u8>> = row.get(6)?;
        let after = content.map(|content| v1::Account::decode(content.as_slice())).transpose();
        Ok(v1::AccountChange {
            change_id: unsigned(row.get(0)?),
            at_unix_us: row.get(1)?,
            account: row.get(2)?,
            actor: row.get(3)?,
            action: row.get(4)?,
            detail: row.get(5)?,
            after: after.map_err(|_| damaged("account")())?,
        })
    })
}
