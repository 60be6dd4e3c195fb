//! Public releases, and requests of those concerned. What was decided is append-only; every write is audited with it.

use rusqlite::{Connection, Row, params};
use xueliang_base::{time::Wall, wire};
use xueliang_proto::v1;

use super::{
    super::{Answer, AuditEntry, DisclosureStore, ReleaseDecision, ReleaseQuery, Taker, ViewingQuery},
    SqliteStore,
    convert::{limit, signed, unsigned},
    query::{Sql, int},
    register, rest,
};
use crate::{
    disclosure::{MAX_STEPS, MAX_WAITING, check_decision, check_step, release_state, word},
    error::{Error, Result},
    reach::Reach,
};

fn audit(db: &Connection, account: &str, action: &'static str, subject: String, now: Wall) -> Result<()> {
    rest::audit(db, &AuditEntry { principal: account.to_owned(), action, subject }, now)
}

fn release_row(row: &Row<'_>, now: Wall) -> Result<v1::Release> {
    let decided = match row.get::<_, Option<bool>>(9)? {
        Some(approved) => Some((approved, Wall(row.get(14)?))),
        None => None,
    };
    let text =
        |index: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(index)?.unwrap_or_default());
    Ok(v1::Release {
        release_id: unsigned(row.get(0)?),
        alert_id: row.get(1)?,
        camera_id: row.get(2)?,
        kind: row.get(3)?,
        sha256: row.get(4)?,
        reason: row.get(5)?,
        state: release_state(decided, now).into(),
        prepared_by: row.get(6)?,
        prepared_by_unit: row.get(7)?,
        prepared_unix_us: row.get(8)?,
        decided_by: text(10)?,
        decided_by_unit: text(11)?,
        decided_unix_us: row.get::<_, Option<i64>>(12)?.unwrap_or_default(),
        refusal: text(13)?,
        until_unix_us: row.get::<_, Option<i64>>(14)?.unwrap_or_default(),
    })
}

fn releases(db: &Connection, query: &ReleaseQuery, now: Wall) -> Result<Vec<v1::Release>> {
    let mut sql = Sql::new(
        "SELECT r.release_id, r.alert_id, r.camera, r.kind, r.sha256, r.reason, r.prepared_by, r.prepared_unit, \
         r.prepared_us, d.approved, d.decided_by, d.decided_unit, d.decided_us, d.refusal, d.until_us \
         FROM public_release r LEFT JOIN public_release_decision d USING (release_id) WHERE 1",
    );
    sql.add(" AND r.release_id < ?", [query.before_exclusive.map_or(i64::MAX, signed).into()]);
    if let Some(release) = query.release {
        sql.add(" AND r.release_id = ?", [int(release)]);
    }
    if let Some(alert) = query.alert {
        sql.add(" AND r.alert_id = ?", [alert.to_string().into()]);
    }
    match query.state {
        None | Some(v1::ReleaseState::Unspecified) => {}
        Some(v1::ReleaseState::Prepared) => {
            sql.add(" AND d.approved IS NULL", []);
        }
        Some(v1::ReleaseState::Refused) => {
            sql.add(" AND d.approved = 0", []);
        }
        Some(v1::ReleaseState::Approved) => {
            sql.add(" AND d.approved = 1 AND d.until_us > ?", [now.0.into()]);
        }
        Some(v1::ReleaseState::Expired) => {
            sql.add(" AND d.approved = 1 AND d.until_us <= ?", [now.0.into()]);
        }
    }
    sql.about("r.alert_id", query.within.as_ref());
    sql.add(" ORDER BY r.release_id DESC LIMIT ?", [limit(query.limit).into()])
        .all(db, |row| release_row(row, now))
}

fn release(db: &Connection, id: u64, by: &Taker, now: Wall) -> Result<v1::Release> {
    let query =
        ReleaseQuery { release: Some(id), within: by.within.clone(), limit: 1, ..ReleaseQuery::default() };
    let found = releases(db, &query, now)?.pop();
    found.ok_or_else(|| Error::NotFound(format!("there is no release {id}")))
}

fn prepare_release(db: &Connection, wanted: &v1::Release, now: Wall) -> Result<v1::Release> {
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM public_release r WHERE r.alert_id = ?1 AND NOT EXISTS \
         (SELECT 1 FROM public_release_decision d WHERE d.release_id = r.release_id)",
    )?;
    let waiting: u32 = query.query_row([&wanted.alert_id], |row| row.get(0))?;
    if waiting >= MAX_WAITING {
        return Err(Error::Exhausted(format!(
            "{waiting} releases of alert {} wait to be decided: have one of them decided first",
            wanted.alert_id
        )));
    }
    db.prepare_cached(
        "INSERT INTO public_release (alert_id, camera, kind, sha256, reason, prepared_by, prepared_unit, prepared_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        wanted.alert_id,
        wanted.camera_id,
        wanted.kind,
        wanted.sha256,
        wanted.reason,
        wanted.prepared_by,
        wanted.prepared_by_unit,
        now.0
    ])?;
    let id = unsigned(db.last_insert_rowid());
    let subject = format!(
        "release {id}: {} of alert {}, sha256 {}: {}",
        wanted.kind().as_str_name(),
        wanted.alert_id,
        wanted.sha256,
        wanted.reason
    );
    audit(db, &wanted.prepared_by, "release_prepared", subject, now)?;
    release(db, id, &Taker::default(), now)
}

/// Whether an account was given the very piece of a release since that was prepared.
fn has_seen(db: &Connection, release: &v1::Release, account: &str) -> Result<bool> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM register WHERE alert_id = ?1 AND kind = ?2 AND sha256 = ?3 AND principal = ?4 \
         AND granted = 1 AND at_us >= ?5)",
    )?;
    let seen = params![release.alert_id, release.kind, release.sha256, account, release.prepared_unix_us];
    Ok(query.query_row(seen, |row| row.get(0))?)
}

fn decide_release(db: &Connection, by: &Taker, decision: &ReleaseDecision, now: Wall) -> Result<v1::Release> {
    let found = release(db, decision.release, by, now)?;
    check_decision(&found, &by.account)?;
    let (until, refusal) = match &decision.verdict {
        Ok(until) => (until.0, ""),
        Err(refusal) => (0, refusal.as_str()),
    };
    let approved = decision.verdict.is_ok();
    if approved && !has_seen(db, &found, &by.account)? {
        return Err(Error::Conflict(format!(
            "release {}: look at the {} of alert {} before it is approved",
            found.release_id,
            wire::word(found.kind().as_str_name(), "EVIDENCE_KIND_"),
            found.alert_id
        )));
    }
    db.prepare_cached(
        "INSERT INTO public_release_decision (release_id, approved, decided_by, decided_unit, decided_us, refusal, until_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![signed(found.release_id), approved, by.account, by.unit, now.0, refusal, until])?;
    let (action, subject) = match approved {
        true => ("release_approved", format!("release {}, sha256 {}", found.release_id, found.sha256)),
        false => ("release_refused", format!("release {}: {refusal}", found.release_id)),
    };
    audit(db, &by.account, action, subject, now)?;
    release(db, found.release_id, by, now)
}

const STEP: &str =
    "state, at_us, account, unit, refusal, alert_id, kind, shown_to, register_entry_id, outcome";

fn step_row(row: &Row<'_>) -> rusqlite::Result<v1::ViewingStep> {
    Ok(v1::ViewingStep {
        state: row.get(0)?,
        at_unix_us: row.get(1)?,
        account: row.get(2)?,
        unit: row.get(3)?,
        refusal: row.get(4)?,
        alert_id: row.get(5)?,
        kind: row.get(6)?,
        shown_to: row.get(7)?,
        register_entry_id: unsigned(row.get(8)?),
        outcome: row.get(9)?,
    })
}

fn viewings(db: &Connection, query: &ViewingQuery) -> Result<Vec<v1::Viewing>> {
    let mut sql = Sql::new(
        "SELECT a.request_id, a.camera, a.from_us, a.to_us, a.basis, a.party FROM viewing a WHERE 1",
    );
    sql.add(" AND a.request_id < ?", [query.before_exclusive.map_or(i64::MAX, signed).into()]);
    if let Some(request) = query.request {
        sql.add(" AND a.request_id = ?", [int(request)]);
    }
    if let Some(state) = query.state.filter(|state| *state != v1::ViewingState::Unspecified) {
        sql.add(
            " AND (SELECT s.state FROM viewing_step s WHERE s.request_id = a.request_id ORDER BY s.step_id DESC LIMIT 1) = ?",
            [i64::from(i32::from(state)).into()],
        );
    }
    if let Some(camera) = &query.camera {
        sql.add(" AND a.camera = ?", [camera.clone().into()]);
    }
    if let Some(within) = &query.within {
        sql.under(within.iter().map(Reach::as_str));
    }
    sql.add(" ORDER BY a.request_id DESC LIMIT ?", [limit(query.limit).into()]);
    let mut all = sql.all(db, |row| {
        Ok(v1::Viewing {
            request_id: unsigned(row.get(0)?),
            camera_id: row.get(1)?,
            from_unix_us: row.get(2)?,
            to_unix_us: row.get(3)?,
            basis: row.get(4)?,
            party: row.get(5)?,
            ..v1::Viewing::default()
        })
    })?;
    let mut steps = db.prepare_cached(&format!(
        "SELECT {STEP} FROM viewing_step WHERE request_id = ?1 ORDER BY step_id LIMIT ?2"
    ))?;
    for one in &mut all {
        let rows = steps.query_map(params![signed(one.request_id), limit(MAX_STEPS)], step_row)?;
        one.steps = rows.collect::<Result<_, _>>()?;
        one.state = one.steps.last().map_or(0, |step| step.state);
    }
    Ok(all)
}

fn viewing(db: &Connection, id: u64, by: &Taker) -> Result<v1::Viewing> {
    let query =
        ViewingQuery { request: Some(id), within: by.within.clone(), limit: 1, ..ViewingQuery::default() };
    let found = viewings(db, &query)?.pop();
    found.ok_or_else(|| Error::NotFound(format!("there is no request {id}")))
}

fn receive_viewing(
    db: &Connection,
    by: &Taker,
    wanted: &v1::Viewing,
    path: &str,
    now: Wall,
) -> Result<v1::Viewing> {
    db.prepare_cached(
        "INSERT INTO viewing (camera, path, from_us, to_us, basis, party) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        wanted.camera_id,
        path,
        wanted.from_unix_us,
        wanted.to_unix_us,
        wanted.basis,
        wanted.party
    ])?;
    let id = unsigned(db.last_insert_rowid());
    let step = v1::ViewingStep { state: v1::ViewingState::Received.into(), ..v1::ViewingStep::default() };
    keep_step(db, by, id, &step, now)?;
    viewing(db, id, &Taker::default())
}

fn keep_step(db: &Connection, by: &Taker, id: u64, step: &v1::ViewingStep, now: Wall) -> Result<()> {
    db.prepare_cached(&format!(
        "INSERT INTO viewing_step (request_id, {STEP}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    ))?
    .execute(params![
        signed(id),
        step.state,
        now.0,
        by.account,
        by.unit,
        step.refusal,
        step.alert_id,
        step.kind,
        step.shown_to,
        signed(step.register_entry_id),
        step.outcome
    ])?;
    let mut subject = format!("request {id}");
    if step.refusal != 0 {
        subject += &format!(", {}", step.refusal().as_str_name());
    }
    if step.register_entry_id != 0 {
        subject += &format!(", alert {}, register {}", step.alert_id, step.register_entry_id);
    }
    if step.outcome != 0 {
        subject += &format!(", {}", step.outcome().as_str_name());
    }
    let action = match step.state() {
        v1::ViewingState::Received => "viewing_received",
        v1::ViewingState::Examined => "viewing_examined",
        v1::ViewingState::Granted => "viewing_granted",
        v1::ViewingState::Refused => "viewing_refused",
        v1::ViewingState::Shown => "viewing_shown",
        v1::ViewingState::Closed => "viewing_closed",
        state @ v1::ViewingState::Unspecified => {
            return Err(Error::Internal(format!("a request cannot become {}", word(state))));
        }
    };
    audit(db, &by.account, action, subject, now)
}

fn step_viewing(
    db: &Connection,
    by: &Taker,
    id: u64,
    step: &v1::ViewingStep,
    now: Wall,
) -> Result<v1::Viewing> {
    let step = v1::ViewingStep { account: by.account.clone(), ..step.clone() };
    check_step(&viewing(db, id, by)?, &step)?;
    keep_step(db, by, id, &step, now)?;
    viewing(db, id, by)
}

fn show_viewing(
    db: &Connection,
    by: &Taker,
    entry: &v1::RegisterEntry,
    step: &v1::ViewingStep,
    now: Wall,
) -> Result<v1::Viewing> {
    // A step that is refused takes the entry back: the whole is one savepoint of the writer's transaction.
    let register_entry_id = register::add(db, entry)?;
    let step = v1::ViewingStep { register_entry_id, ..step.clone() };
    step_viewing(db, by, entry.request_id, &step, now)
}

impl DisclosureStore for SqliteStore {
    fn prepare_release(&self, release: v1::Release) -> Answer<v1::Release> {
        self.write(move |db, batch| prepare_release(db, &release, batch.wall()))
    }
    fn decide_release(&self, by: Taker, decision: ReleaseDecision) -> Answer<v1::Release> {
        self.write(move |db, batch| decide_release(db, &by, &decision, batch.wall()))
    }
    fn releases(&self, query: ReleaseQuery) -> Answer<Vec<v1::Release>> {
        let now = self.clock.wall();
        self.read(move |db| releases(db, &query, now))
    }
    fn receive_viewing(&self, by: Taker, viewing: v1::Viewing, path: String) -> Answer<v1::Viewing> {
        self.write(move |db, batch| receive_viewing(db, &by, &viewing, &path, batch.wall()))
    }
    fn step_viewing(&self, by: Taker, request: u64, step: v1::ViewingStep) -> Answer<v1::Viewing> {
        self.write(move |db, batch| step_viewing(db, &by, request, &step, batch.wall()))
    }
    fn show_viewing(
        &self,
        by: Taker,
        entry: v1::RegisterEntry,
        step: v1::ViewingStep,
    ) -> Answer<v1::Viewing> {
        self.write(move |db, batch| show_viewing(db, &by, &entry, &step, batch.wall()))
    }
    fn viewings(&self, query: ViewingQuery) -> Answer<Vec<v1::Viewing>> {
        self.read(move |db| viewings(db, &query))
    }
}
