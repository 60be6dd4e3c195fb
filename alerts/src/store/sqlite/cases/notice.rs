//! What sinks are told of cases, and how far each has come.

use rusqlite::{Connection, OptionalExtension as _, params};
use tracing::error;
use xueliang_proto::v1;

use super::{
    super::{
        super::{CaseNotice, NoticeWay},
        convert::{signed, unsigned},
        query::Sql,
        sinks::note_share,
    },
    history::File,
};
use crate::{
    case::{Action, Case, Event, Owner, replay},
    error::{Error, Result},
    filter::Filter,
};

/// Notices that one read looks at.
const SCAN: i64 = 256;

/// Whether other systems are told of an event: a desk is told, or a case that another platform keeps was judged.
pub(super) fn is_told(event: &Event, case: &Case) -> bool {
    match event.action {
        Action::Escalate(..) => true,
        Action::Confirm => case.subject.owner == Owner::External,
        _ => false,
    }
}

pub(super) fn place(db: &Connection, way: &NoticeWay) -> Result<u64> {
    let key = way.key();
    let mut known = db.prepare_cached("SELECT place FROM case_notice_place WHERE sink = ?1")?;
    if let Some(place) = known.query_row([&key], |row| row.get(0)).optional()? {
        return Ok(unsigned(place));
    }
    let mut last = db.prepare_cached("SELECT coalesce(max(notice_id), 0) FROM case_notice")?;
    let last: i64 = last.query_row([], |row| row.get(0))?;
    db.prepare_cached("INSERT INTO case_notice_place (sink, place) VALUES (?1, ?2)")?
        .execute(params![key, last])?;
    Ok(unsigned(last))
}

pub(super) fn next(db: &Connection, filter: &Filter, after: u64) -> Result<(Option<CaseNotice>, u64)> {
    let mut sql = Sql::new(
        "SELECT n.notice_id, n.case_id, n.revision FROM case_notice n JOIN case_file a USING (case_id) \
         WHERE n.notice_id > ? AND n.notice_id <= ?",
    );
    let upto = unsigned(signed(after).saturating_add(SCAN));
    sql.add("", [signed(after).into(), signed(upto).into()]);
    sql.filter(filter, "a.level").add(" ORDER BY n.notice_id", []);
    let rows =
        sql.all(db, |row| Ok((unsigned(row.get(0)?), row.get::<_, i64>(1)?, unsigned(row.get(2)?))))?;
    for (id, case_id, revision) in rows {
        match read(db, case_id, revision) {
            Ok((case, event)) => return Ok((Some(CaseNotice { id, case, event }), id)),
            Err(error) => error!(case_id, %error, "a notice about a case is told to nobody"),
        }
    }
    let mut last = db.prepare_cached("SELECT coalesce(max(notice_id), 0) FROM case_notice")?;
    let last = unsigned(last.query_row([], |row| row.get(0))?);
    Ok((None, upto.min(last).max(after)))
}

fn read(db: &Connection, case_id: i64, revision: u64) -> Result<(Case, Event)> {
    let mut history = File::load(db, case_id)?.history;
    history.truncate(usize::try_from(revision).unwrap_or(usize::MAX));
    let case = replay(&history)?;
    let none = || Error::Internal("a notice about no event".to_owned());
    Ok((case.ok_or_else(none)?, history.pop().ok_or_else(none)?))
}

pub(super) fn settle(
    db: &Connection,
    way: &NoticeWay,
    upto: Option<u64>,
    share: Option<&v1::Share>,
) -> Result<()> {
    if let Some(share) = share {
        note_share(db, &way.sink, share)?;
    }
    if let Some(upto) = upto {
        db.prepare_cached("UPDATE case_notice_place SET place = max(place, ?2) WHERE sink = ?1")?
            .execute(params![way.key(), signed(upto)])?;
    }
    Ok(())
}
