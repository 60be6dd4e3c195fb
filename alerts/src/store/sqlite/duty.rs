//! Divisions, duty rules and the roster: append-only versions, read as a whole.

use std::sync::{Arc, Mutex};

use prost::Message as _;
use rusqlite::{Connection, Row, params};
use xueliang_base::time::Wall;
use xueliang_proto::v1;

use super::{
    super::{Answer, DutyStore},
    SqliteStore,
    convert::{damaged, unsigned},
    rest,
    writer::Batch,
};
use crate::{
    duty::{Division, Duty, Edit, NewVersion, Rule, Shift, What, history::Version},
    error::Result,
};

/// Numbers of what a version is of.
const DIVISION: i64 = 1;
const RULE: i64 = 2;
const SHIFT: i64 = 3;

/// All versions, as last read, with the number of the last one: versions are only ever added, so that number says whether
/// they are current.
#[derive(Default)]
pub(super) struct Known(Mutex<Option<(u64, Arc<Duty>)>>);

impl Known {
    fn of(&self, last: u64) -> Option<Arc<Duty>> {
        let known = self.0.lock().expect("no code panics under this lock");
        known.as_ref().filter(|(number, _)| *number == last).map(|(_, duty)| Arc::clone(duty))
    }
    fn keep(&self, last: u64, duty: &Arc<Duty>) {
        *self.0.lock().expect("no code panics under this lock") = Some((last, Arc::clone(duty)));
    }
    /// As a reader finds them; they are kept in mind.
    pub(super) fn read(&self, db: &Connection) -> Result<Arc<Duty>> {
        if let Some(duty) = self.of(last_version(db)?) {
            return Ok(duty);
        }
        let (last, duty) = load(db)?;
        self.keep(last, &duty);
        Ok(duty)
    }
    /// As the writer finds them. What is not committed yet is not kept in mind: the commit may fail, and its numbers are
    /// used again then.
    pub(super) fn within(&self, db: &Connection) -> Result<Arc<Duty>> {
        match self.of(last_version(db)?) {
            Some(duty) => Ok(duty),
            None => Ok(load(db)?.1),
        }
    }
}

impl DutyStore for SqliteStore {
    fn duty(&self) -> Answer<Arc<Duty>> {
        let known = Arc::clone(&self.duty);
        self.read(move |db| known.read(db))
    }
    fn edit_duty(&self, edit: Edit) -> Answer<u64> {
        let known = Arc::clone(&self.duty);
        self.write(move |db, batch| apply(db, batch, &known, edit))
    }
}

fn apply(db: &Connection, batch: &Batch<'_>, known: &Known, edit: Edit) -> Result<u64> {
    let duty = known.within(db)?;
    let now = batch.wall();
    let edited = edit(&duty, now)?;
    if edited.versions.is_empty() {
        return Ok(edited.number);
    }
    let mut insert = db.prepare_cached(
        "INSERT INTO duty_version (what, key, valid_from_us, valid_to_us, author, made_us, content) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for NewVersion { from, to, what } in &edited.versions {
        let (number, key, content) = match what {
            What::Division(one) => (DIVISION, one.code.to_string(), one.stored().encode_to_vec()),
            What::Rule(number, rule) => (RULE, number.to_string(), rule.stored().encode_to_vec()),
            What::Shift(number, shift) => (SHIFT, number.to_string(), shift.stored().encode_to_vec()),
        };
        insert.execute(params![
            number,
            key,
            from.0,
            to.map(|to| to.0),
            edited.audit.principal,
            now.0,
            content
        ])?;
    }
    rest::audit(db, &edited.audit, now)?;
    Ok(edited.number)
}

fn last_version(db: &Connection) -> Result<u64> {
    let mut query = db.prepare_cached("SELECT coalesce(max(version), 0) FROM duty_version")?;
    Ok(unsigned(query.query_row([], |row| row.get(0))?))
}

fn load(db: &Connection) -> Result<(u64, Arc<Duty>)> {
    let mut query = db.prepare_cached(
        "SELECT version, what, key, valid_from_us, valid_to_us, author, made_us, content FROM duty_version \
         ORDER BY version",
    )?;
    let mut rows = query.query([])?;
    let (mut last, mut duty) = (0, Duty::default());
    while let Some(row) = rows.next()? {
        last = unsigned(row.get(0)?);
        let content = row.get_ref(7)?.as_blob().map_err(|_| damaged("duty")())?;
        let wrong = damaged("duty version");
        match row.get::<_, i64>(1)? {
            DIVISION => {
                let wire = v1::Division::decode(content).map_err(|_| damaged("division")())?;
                let one = Division::read(wire).map_err(|_| wrong())?;
                duty.tree.0.add(one.code.clone(), version(row, one)?);
            }
            RULE => {
                let wire = v1::DutyRule::decode(content).map_err(|_| damaged("duty rule")())?;
                duty.rules.add(number(row)?, version(row, Rule::read(wire).map_err(|_| wrong())?)?);
            }
            SHIFT => {
                let wire = v1::Shift::decode(content).map_err(|_| damaged("shift")())?;
                duty.shifts.add(number(row)?, version(row, Shift::read(wire).map_err(|_| wrong())?)?);
            }
            _ => return Err(wrong()),
        }
    }
    Ok((last, Arc::new(duty)))
}

fn number(row: &Row<'_>) -> Result<u64> {
    row.get::<_, String>(2)?.parse().map_err(|_| damaged("number of duty")())
}

fn version<T>(row: &Row<'_>, what: T) -> Result<Version<T>> {
    Ok(Version {
        number: unsigned(row.get(0)?),
        from: Wall(row.get(3)?),
        to: row.get::<_, Option<i64>>(4)?.map(Wall),
        author: row.get(5)?,
        made: Wall(row.get(6)?),
        what,
    })
}
