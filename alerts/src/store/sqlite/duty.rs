//! Divisions, duty rules and the roster: append-only versions, read as a whole.

use std::sync::{Arc, Mutex};

use prost::Message as _;
use rusqlite::{Connection, Row, params};
use xueliang_base::time::Wall;
use xueliang_proto::v1;

use super::{
    super::{Answer, AuditEntry, DutyStore},
    SqliteStore,
    convert::{damaged, signed, unsigned},
    rest,
};
use crate::{
    duty::{Division, Duty, Edit, Edited, NewVersion, Rule, Shift, What, history::Version},
    error::{Error, Result},
};

/// Numbers of what a version is of.
const DIVISION: i64 = 1;
const RULE: i64 = 2;
const SHIFT: i64 = 3;

/// All versions with the number of the last one: versions are only ever added, so that number says whether they are current.
type Numbered = (u64, Arc<Duty>);

/// All versions, as last read, and as the last edit leaves them.
#[derive(Default)]
pub(super) struct Known {
    read: Mutex<Option<Numbered>>,
    /// What is being committed, or was. Only the writer puts something here, in the transaction that makes it so: where that
    /// fails its numbers are used again, and whoever uses them puts its own here first.
    edited: Mutex<Option<Numbered>>,
    /// Held by whoever edits: what an edit makes is made beside the writer, of what there is when it is committed.
    editing: Arc<tokio::sync::Mutex<()>>,
}

impl Known {
    fn of(&self, last: u64) -> Option<Arc<Duty>> {
        [&self.read, &self.edited].into_iter().find_map(|known| {
            let known = known.lock().expect("no code panics under this lock");
            known.as_ref().filter(|(number, _)| *number == last).map(|(_, duty)| Arc::clone(duty))
        })
    }
    /// As a reader finds them; they are kept in mind.
    pub(super) fn read(&self, db: &Connection) -> Result<Arc<Duty>> {
        self.numbered(db).map(|(_, duty)| duty)
    }
    fn numbered(&self, db: &Connection) -> Result<Numbered> {
        let last = last_version(db)?;
        let known = match self.of(last) {
            Some(duty) => (last, duty),
            None => load(db)?,
        };
        *self.read.lock().expect("no code panics under this lock") = Some(known.clone());
        Ok(known)
    }
    /// As the writer finds them. It does not keep in mind what it reads: that may not be committed yet.
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
        let (clock, known) = (self.clock.clone(), Arc::clone(&self.duty));
        let editing = Arc::clone(&known.editing);
        let made: Arc<Mutex<Option<Made>>> = Arc::default();
        let slot = Arc::clone(&made);
        // Not before those who wait for one answer: a large tree takes tens of milliseconds to check.
        let make = self.catch_up({
            let known = Arc::clone(&known);
            move |db| {
                let (last, duty) = known.numbered(db)?;
                let made = Made::of(last, &duty, edit, clock.wall())?;
                let (number, is_empty) = (made.number, made.rows.is_empty());
                *slot.lock().expect("no code panics under this lock") = Some(made);
                Ok((number, is_empty))
            }
        });
        let keep = self.write(move |db, _| {
            let made = made.lock().expect("no code panics under this lock").take();
            let made =
                made.ok_or_else(|| Error::Internal("an edit was committed before it was made".to_owned()))?;
            made.keep(db, &known)
        });
        Box::pin(async move {
            let _alone = editing.lock().await;
            match make.await? {
                (number, true) => Ok(number),
                (number, false) => keep.await.map(|()| number),
            }
        })
    }
}

/// What an edit came to, ready to be kept: the writer checks nothing and encodes nothing, since alerts wait for it.
struct Made {
    /// Number of the last version that it was made of.
    last: u64,
    rows: Vec<NewRow>,
    duty: Arc<Duty>,
    audit: AuditEntry,
    now: Wall,
    number: u64,
}

struct NewRow {
    what: i64,
    key: String,
    from: Wall,
    to: Option<Wall>,
    content: Vec<u8>,
}

impl Made {
    fn of(last: u64, duty: &Arc<Duty>, edit: Edit, now: Wall) -> Result<Self> {
        let Edited { versions, audit, number } = edit(duty, now)?;
        let rows = versions.iter().map(NewRow::of).collect();
        let duty = match &versions[..] {
            [] => Arc::clone(duty),
            versions => Arc::new(duty.with(versions, last, &audit.principal, now)),
        };
        Ok(Self { last, rows, duty, audit, now, number })
    }
    fn keep(self, db: &Connection, known: &Known) -> Result<()> {
        // An edit whose caller gave up is committed without its turn.
        if last_version(db)? != self.last {
            return Err(Error::Conflict("another change was made at this moment: try again".to_owned()));
        }
        let mut insert = db.prepare_cached(
            "INSERT INTO duty_version (version, what, key, valid_from_us, valid_to_us, author, made_us, content) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        let mut number = self.last;
        for NewRow { what, key, from, to, content } in &self.rows {
            number += 1;
            let (to, author) = (to.map(|to| to.0), &self.audit.principal);
            insert.execute(params![signed(number), what, key, from.0, to, author, self.now.0, content])?;
        }
        rest::audit(db, &self.audit, self.now)?;
        *known.edited.lock().expect("no code panics under this lock") = Some((number, self.duty));
        Ok(())
    }
}

impl NewRow {
    fn of(version: &NewVersion) -> Self {
        let NewVersion { from, to, what } = version;
        let (what, key, content) = match what {
            What::Division(one) => (DIVISION, one.code.to_string(), one.stored().encode_to_vec()),
            What::Rule(number, rule) => (RULE, number.to_string(), rule.stored().encode_to_vec()),
            What::Shift(number, shift) => (SHIFT, number.to_string(), shift.stored().encode_to_vec()),
        };
        Self { what, key, from: *from, to: *to, content }
    }
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
