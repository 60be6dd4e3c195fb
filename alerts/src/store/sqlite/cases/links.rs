//! Handlers' links, and the photos that come by them. Whether a link counts follows from the case within the transaction that asks.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{alert::Sha256, time::Wall};
use xueliang_proto::v1::{self, LinkState};

use super::{
    super::{
        super::{
            ActByLink, Answer, AuditEntry, CaseKey, DuePhoto, GiveLink, LinkStore, NewPhoto, Opened,
            SqliteStore,
        },
        convert::{alert_id, damaged, limit, signed, unsigned},
        rest,
        writer::Urgency,
    },
    Found, KnownRules, Rules, alone, find,
    history::{AlertFacts, File},
    touch,
};
use crate::{
    case::{Action, Actor, Case, State},
    error::{Error, Result},
    link::{self, Link, MOST_LINKS, MOST_PHOTO_BYTES, MOST_PHOTOS},
    reach::Reach,
};

const LINK: &str = "SELECT l.link_id, l.unit, l.dispatched, l.given_by, l.given_unit, l.given_us, l.until_us, o.opened_us, \
     e.ended_us, e.ended_by, e.ended_unit, l.case_id FROM handler_link l LEFT JOIN handler_link_opened o USING (link_id) \
     LEFT JOIN handler_link_end e USING (link_id)";
/// Photos of one case, in times of those that one feedback may name.
const ROUNDS: usize = 4;
const PHOTO: &str = "SELECT sha256, size_bytes, link_id, stored_us, deleted FROM case_photo";

fn link_row(row: &Row<'_>) -> rusqlite::Result<(Link, i64)> {
    let ended = match row.get::<_, Option<i64>>(8)? {
        Some(at) => Some((Wall(at), Actor::new(row.get::<_, String>(9)?, row.get::<_, String>(10)?))),
        None => None,
    };
    let link = Link {
        id: unsigned(row.get(0)?),
        unit: row.get(1)?,
        dispatched: unsigned(row.get(2)?),
        given_by: Actor::new(row.get::<_, String>(3)?, row.get::<_, String>(4)?),
        given: Wall(row.get(5)?),
        until: Wall(row.get(6)?),
        opened: row.get::<_, Option<i64>>(7)?.map(Wall),
        ended,
    };
    Ok((link, row.get(11)?))
}

fn photo_row(row: &Row<'_>) -> rusqlite::Result<v1::CaseProof> {
    Ok(v1::CaseProof {
        sha256: row.get(0)?,
        size_bytes: unsigned(row.get(1)?),
        link_id: unsigned(row.get(2)?),
        stored_unix_us: row.get(3)?,
        deleted: row.get(4)?,
    })
}

fn audit(db: &Connection, actor: &Actor, action: &'static str, subject: String, now: Wall) -> Result<()> {
    rest::audit(db, &AuditEntry { principal: actor.account.clone(), action, subject }, now)
}

/// The case that a key names, once somebody has touched it.
fn file_of(db: &Connection, key: &CaseKey, within: Option<&Vec<Reach>>) -> Result<Option<File>> {
    match find(db, key, within)? {
        Found::Case(id) => File::load(db, id).map(Some),
        Found::Untouched(..) => Ok(None),
    }
}

/// The link of a token, with its case.
fn by_digest(db: &Connection, digest: Sha256) -> Result<Option<(Link, File)>> {
    let mut query = db.prepare_cached(&format!("{LINK} WHERE l.digest = ?1"))?;
    let found = query.query_row([digest.to_string()], link_row).optional()?;
    found.map(|(link, case)| Ok((link, File::load(db, case)?))).transpose()
}

fn of_case(db: &Connection, case: i64) -> Result<Vec<Link>> {
    let mut query =
        db.prepare_cached(&format!("{LINK} WHERE l.case_id = ?1 ORDER BY l.link_id DESC LIMIT ?2"))?;
    let rows = query.query_map(params![case, limit(MOST_LINKS)], link_row)?;
    Ok(rows.map(|row| row.map(|(link, _)| link)).collect::<Result<_, _>>()?)
}

fn nobody() -> Error {
    Error::NotSignedIn("this link is none: ask whoever sent it for another".to_owned())
}

/// The link of a token, where it is live.
fn live(db: &Connection, digest: Sha256, now: Wall) -> Result<(Link, File)> {
    let (link, file) = by_digest(db, digest)?.ok_or_else(nobody)?;
    match link.state(&file.case, &file.history, now) {
        LinkState::Live => Ok((link, file)),
        other => Err(link::refusal(other)),
    }
}

fn end(db: &Connection, link: &Link, by: &Actor, now: Wall) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO handler_link_end (link_id, ended_us, ended_by, ended_unit) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![signed(link.id), now.0, by.account, by.unit])?;
    audit(db, by, "link_ended", format!("link {} of {}", link.id, link.unit), now)
}

fn give(db: &Connection, rules: &Rules, give: &GiveLink, now: Wall) -> Result<(v1::HandlerLink, Case)> {
    let mut file = touch(db, find(db, &give.key, give.within.as_ref())?, rules)?;
    let earlier = of_case(db, file.id)?;
    if earlier.len() >= MOST_LINKS {
        return Err(Error::Exhausted(format!(
            "{MOST_LINKS} links were given for the case {}, no more are: dispatch it to somebody with an account",
            file.case.number
        )));
    }
    for old in earlier.iter().filter(|old| old.ended.is_none() && now < old.until) {
        end(db, old, &give.actor, now)?;
    }
    let unit = file.case.unit.clone().unwrap_or_default();
    db.prepare_cached(
        "INSERT INTO handler_link (digest, case_id, unit, dispatched, given_by, given_unit, given_us, until_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        give.digest.to_string(),
        file.id,
        unit,
        signed(link::dispatched(&file.history)),
        give.actor.account,
        give.actor.unit,
        now.0,
        give.until.0
    ])?;
    let id = unsigned(db.last_insert_rowid());
    // What is refused here takes all of it back: the whole is one savepoint of the writer's transaction.
    file.act(db, give.actor.clone(), Action::GiveLink(id, give.until), "", now, rules)?;
    audit(db, &give.actor, "link_given", format!("link {id} to {unit} for case {}", file.case.number), now)?;
    let links = of_case(db, file.id)?;
    let given = links.first().ok_or_else(damaged("link"))?;
    Ok((given.to_wire(&file.case, &file.history, now), file.case))
}

fn end_link(
    db: &Connection,
    id: u64,
    by: &Actor,
    within: Option<&Vec<Reach>>,
    now: Wall,
) -> Result<v1::HandlerLink> {
    let none = || Error::NotFound(format!("there is no link {id}"));
    let mut query = db.prepare_cached(&format!("{LINK} WHERE l.link_id = ?1"))?;
    let (link, case) = query.query_row([signed(id)], link_row).optional()?.ok_or_else(none)?;
    let file = File::load(db, case)?;
    let key = CaseKey::Number(file.case.number.clone());
    find(db, &key, within)
        .map_err(|error| if matches!(error, Error::NotFound(_)) { none() } else { error })?;
    if link.ended.is_none() {
        end(db, &link, by, now)?;
    }
    let link = of_case(db, case)?.into_iter().find(|one| one.id == id).ok_or_else(none)?;
    Ok(link.to_wire(&file.case, &file.history, now))
}

fn list(
    db: &Connection,
    key: &CaseKey,
    within: Option<&Vec<Reach>>,
    now: Wall,
) -> Result<v1::ListLinksResponse> {
    let Some(file) = file_of(db, key, within)? else { return Ok(v1::ListLinksResponse::default()) };
    let links = of_case(db, file.id)?;
    let links = links.iter().map(|link| link.to_wire(&file.case, &file.history, now));
    Ok(v1::ListLinksResponse { links: links.collect(), proofs: photos(db, file.id, 0)? })
}

/// Photos of a case that came after a revision of it, newest first.
fn photos(db: &Connection, case: i64, after: u64) -> Result<Vec<v1::CaseProof>> {
    let mut query = db.prepare_cached(&format!(
        "{PHOTO} WHERE case_id = ?1 AND after >= ?2 ORDER BY photo_id DESC LIMIT ?3"
    ))?;
    let rows = query.query_map(params![case, signed(after), limit(MOST_PHOTOS)], photo_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The revision with which the work began that is under way.
fn begun(file: &File) -> u64 {
    let last = file.history.iter().rposition(|event| matches!(event.action, Action::Start));
    last.map_or(0, |at| at as u64 + 1)
}

fn open(db: &Connection, digest: Sha256, now: Wall) -> Result<Option<Opened>> {
    let Some((link, file)) = by_digest(db, digest)? else { return Ok(None) };
    let state = link.state(&file.case, &file.history, now);
    let case = &file.case;
    let facts = case.subject.alert.map(|alert| AlertFacts::read(db, alert)).transpose()?.flatten();
    let place = facts.as_ref().and_then(AlertFacts::place).cloned().unwrap_or_default();
    let last = link::last(&file.history);
    let named =
        if place.camera_name.is_empty() { case.subject.camera.to_string() } else { place.camera_name };
    let began = facts.as_ref().map_or(case.opened.0, AlertFacts::started);
    let wire = case.to_wire(now);
    let told = v1::HandledCase {
        number: wire.number,
        revision: wire.revision,
        state: wire.state,
        kind: case.subject.kind.number(),
        level: wire.level,
        drill: case.subject.drill,
        unit: wire.unit,
        place: named,
        division: place.division_name,
        address: place.address,
        started_unix_us: began,
        condition_ended_unix_us: facts.as_ref().and_then(AlertFacts::ended).map_or(0, |at| at.0),
        timers: wire.timers,
        asked: link::asked(&file.history),
        last_act: last.map_or(0, |(_, act)| act.into()),
        last_unit: last.map(|(event, _)| event.actor.unit.clone()).unwrap_or_default(),
        last_unix_us: last.map_or(0, |(event, _)| event.at.0),
        last_is_own: last.is_some_and(|(event, _)| event.actor == link.actor()),
        has_alert: facts.is_some(),
        proofs: if case.state == State::Handling { photos(db, file.id, begun(&file))? } else { Vec::new() },
        may: match state {
            LinkState::Live => link::may(case.state).iter().map(|act| i32::from(*act)).collect(),
            _ => Vec::new(),
        },
    };
    Ok(Some(Opened { link, state, case: file.case, told }))
}

fn note_opened(db: &Connection, id: u64, now: Wall) -> Result<()> {
    let new = db
        .prepare_cached("INSERT OR IGNORE INTO handler_link_opened (link_id, opened_us) VALUES (?1, ?2)")?
        .execute(params![signed(id), now.0])?;
    if new > 0 {
        let (principal, subject) = (link::account(id), format!("link {id}"));
        rest::audit(db, &AuditEntry { principal, action: "link_opened", subject }, now)?;
    }
    Ok(())
}

fn act(db: &Connection, rules: &Rules, act: &ActByLink, now: Wall) -> Result<()> {
    let (link, mut file) = by_digest(db, act.digest)?.ok_or_else(nobody)?;
    let state = link.state(&file.case, &file.history, now);
    let counts = matches!(state, LinkState::Live | LinkState::Checked);
    // An answer that was lost is given again, also where what was done was to hand it back.
    if counts && file.was_done(act.revision, &link.actor(), &act.action, &act.note)? {
        return Ok(());
    }
    if state != LinkState::Live {
        return Err(link::refusal(state));
    }
    if let Action::Feedback(proofs) = &act.action {
        let came = photos(db, file.id, begun(&file))?;
        let missing = proofs.iter().find(|sum| {
            let sum = sum.to_string();
            !came.iter().any(|photo| photo.sha256 == sum && !photo.deleted)
        });
        if let Some(sum) = missing {
            return Err(Error::Invalid(format!(
                "proof_sha256: no photo {sum} came since the work began, send it first"
            )));
        }
    }
    file.hear(db, now, rules)?;
    file.act(db, link.actor(), act.action.clone(), &act.note, now, rules)
}

fn kept(db: &Connection) -> Result<u64> {
    let mut query =
        db.prepare_cached("SELECT coalesce(sum(size_bytes), 0) FROM case_photo WHERE deleted = 0")?;
    Ok(unsigned(query.query_row([], |row| row.get(0))?))
}

fn put_photo(db: &Connection, photo: &NewPhoto, now: Wall) -> Result<v1::CaseProof> {
    let (link, file) = live(db, photo.digest, now)?;
    if file.case.state != State::Handling {
        return Err(Error::Conflict(format!(
            "the case {} is {}: photos are taken while it is being handled",
            file.case.number, file.case.state
        )));
    }
    let sum = photo.sha256.to_string();
    let mut known = db.prepare_cached(&format!("{PHOTO} WHERE case_id = ?1 AND sha256 = ?2"))?;
    if let Some(there) = known.query_row(params![file.id, sum], photo_row).optional()? {
        if there.deleted {
            let message = "this photo was kept for earlier work and is deleted: take another";
            return Err(Error::Conflict(message.to_owned()));
        }
        return Ok(there);
    }
    // What came for earlier work proves none of this.
    let mut count = db.prepare_cached(
        "SELECT coalesce(sum(after >= ?2), 0), count(*) FROM case_photo WHERE case_id = ?1",
    )?;
    let (round, all): (u32, u32) =
        count.query_row(params![file.id, signed(begun(&file))], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if round as usize >= MOST_PHOTOS || all as usize >= MOST_PHOTOS * ROUNDS {
        return Err(Error::Exhausted(format!(
            "the case {} has {all} photos, no more are kept: hand it back with those that came since the work began",
            file.case.number
        )));
    }
    if kept(db)?.saturating_add(photo.size_bytes) > MOST_PHOTO_BYTES {
        return Err(Error::Exhausted(
            "there is no room for more photos: tell the command centre, and hand back with those that came"
                .to_owned(),
        ));
    }
    db.prepare_cached(
        "INSERT INTO case_photo (case_id, sha256, size_bytes, link_id, after, stored_us, keep_until_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        file.id,
        sum,
        signed(photo.size_bytes),
        signed(link.id),
        signed(file.case.revision),
        now.0,
        photo.keep_until.0
    ])?;
    let subject = format!("case {}, photo sha256:{sum}", file.case.number);
    audit(db, &link.actor(), "proof_kept", subject, now)?;
    Ok(known.query_row(params![file.id, sum], photo_row)?)
}

fn photo(
    db: &Connection,
    key: &CaseKey,
    within: Option<&Vec<Reach>>,
    sha256: Sha256,
) -> Result<(v1::CaseProof, Case)> {
    let none = || Error::NotFound(format!("the case has no photo {sha256}"));
    let file = file_of(db, key, within)?.ok_or_else(none)?;
    let mut query = db.prepare_cached(&format!("{PHOTO} WHERE case_id = ?1 AND sha256 = ?2"))?;
    let found = query.query_row(params![file.id, sha256.to_string()], photo_row).optional()?;
    Ok((found.ok_or_else(none)?, file.case))
}

/// Photos of cases that are over, under no hold of the case or of its alert's evidence.
fn due(db: &Connection, now: Wall, most: usize, only: Option<u64>) -> Result<Vec<Result<DuePhoto>>> {
    let mut query = db.prepare_cached(
        "SELECT p.photo_id, c.alert_id, p.sha256, p.size_bytes, p.stored_us, p.keep_until_us, p.case_id FROM case_photo p \
         LEFT JOIN case_alert c USING (case_id) WHERE p.deleted = 0 AND p.keep_until_us < ?1 AND NOT EXISTS \
         (SELECT 1 FROM legal_hold h WHERE h.alert_id = c.alert_id AND h.lifted_us IS NULL) \
         AND (?3 IS NULL OR p.photo_id = ?3) ORDER BY random() LIMIT ?2",
    )?;
    // In no order: those of cases that stay open must not keep the others from being looked at.
    let mut rows = query.query(params![now.0, limit(most), only.map(signed)])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let case = File::load(db, row.get(6)?).map(|file| file.case);
        if case.as_ref().is_ok_and(|case| case.state.is_open() || case.legal_hold) {
            continue;
        }
        let read = || -> Result<DuePhoto> {
            case?;
            let sum: String = row.get(2)?;
            let alert: Option<String> = row.get(1)?;
            Ok(DuePhoto {
                id: unsigned(row.get(0)?),
                alert: alert.map(|id| alert_id(&id)).transpose()?,
                sha256: sum.parse().map_err(|_| damaged("photo")())?,
                size_bytes: unsigned(row.get(3)?),
                stored: Wall(row.get(4)?),
                promised: Wall(row.get(5)?),
            })
        };
        all.push(read());
    }
    Ok(all)
}

fn shared(db: &Connection, sha256: Sha256, but: u64) -> Result<bool> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM evidence WHERE sha256 = ?1 AND deleted = 0) \
         OR EXISTS (SELECT 1 FROM case_photo WHERE sha256 = ?1 AND deleted = 0 AND photo_id <> ?2)",
    )?;
    Ok(query.query_row(params![sha256.to_string(), signed(but)], |row| row.get(0))?)
}

fn certify(db: &Connection, photo: &DuePhoto, deleted: Wall, proof: v1::DeletionProof) -> Result<()> {
    db.prepare_cached("UPDATE case_photo SET deleted = 1 WHERE photo_id = ?1")?
        .execute([signed(photo.id)])?;
    db.prepare_cached(
        "INSERT INTO evidence_deleted (alert_id, kind, sha256, size_bytes, stored_us, deleted_us, promised_us, proof) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        photo.alert.map(|id| id.to_string()).unwrap_or_default(),
        i32::from(v1::EvidenceKind::Proof),
        photo.sha256.to_string(),
        signed(photo.size_bytes),
        photo.stored.0,
        deleted.0,
        photo.promised.0,
        i32::from(proof)
    ])?;
    Ok(())
}

impl LinkStore for SqliteStore {
    fn give_link(&self, wanted: GiveLink) -> Answer<(v1::HandlerLink, Case)> {
        let known = KnownRules::of(self);
        Box::pin(self.writer.run(Urgency::Urgent, move |db, batch| {
            give(db, &known.within(db)?, &wanted, batch.wall()).map_err(alone)
        }))
    }
    fn end_link(&self, link: u64, by: Actor, within: Option<Vec<Reach>>) -> Answer<v1::HandlerLink> {
        self.write(move |db, batch| end_link(db, link, &by, within.as_ref(), batch.wall()).map_err(alone))
    }
    fn links(&self, key: CaseKey, within: Option<Vec<Reach>>) -> Answer<v1::ListLinksResponse> {
        let now = self.clock.wall();
        self.read(move |db| list(db, &key, within.as_ref(), now))
    }
    fn open_link(&self, digest: Sha256) -> Answer<Option<Opened>> {
        let now = self.clock.wall();
        self.read(move |db| open(db, digest, now))
    }
    fn note_opened(&self, link: u64) -> Answer<()> {
        self.write(move |db, batch| note_opened(db, link, batch.wall()))
    }
    fn act_by_link(&self, wanted: ActByLink) -> Answer<()> {
        let known = KnownRules::of(self);
        Box::pin(self.writer.run(Urgency::Urgent, move |db, batch| {
            act(db, &known.within(db)?, &wanted, batch.wall()).map_err(alone)
        }))
    }
    fn put_photo(&self, photo: NewPhoto) -> Answer<v1::CaseProof> {
        self.write(move |db, batch| put_photo(db, &photo, batch.wall()).map_err(alone))
    }
    fn photo(
        &self,
        key: CaseKey,
        within: Option<Vec<Reach>>,
        sha256: Sha256,
    ) -> Answer<(v1::CaseProof, Case)> {
        self.read(move |db| photo(db, &key, within.as_ref(), sha256))
    }
    fn photos_due(&self, now: Wall, limit: usize, only: Option<u64>) -> Answer<Vec<Result<DuePhoto>>> {
        self.read(move |db| due(db, now, limit, only))
    }
    fn photo_shared(&self, sha256: Sha256, but: u64) -> Answer<bool> {
        self.read(move |db| shared(db, sha256, but))
    }
    fn certify_photo(&self, photo: DuePhoto, deleted: Wall, proof: v1::DeletionProof) -> Answer<()> {
        self.write(move |db, _| certify(db, &photo, deleted, proof))
    }
}
