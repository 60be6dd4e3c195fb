//! What statistics are counted of: cases in a stretch of time, and the names of what stands in them by number.

use std::collections::HashMap;

use prost::Message as _;
use rusqlite::{Connection, Row};
use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, CaseFlag, StatisticsKey};

use super::{
    super::{
        super::{CaseQuery, StatisticsQuery},
        convert::{damaged, limit},
        query::Sql,
    },
    Rules,
    facts::MISS,
    search,
};
use crate::{
    account::Profile,
    case::{
        fact::{Took, Verdict, bit},
        tally::{Counted, Names, Roster, Tally, Told},
        wire,
    },
    error::{Error, Result},
    reach,
};

/// Cases that one answer counts: some seconds of reading, and how long each took in memory.
const MOST: usize = 2_000_000;

const COLUMNS: &str = "f.opened_us, f.kind, f.level, f.place, f.state, f.flags, f.limit_us, f.close_limit_us, f.verdict, \
     f.source, f.unit, f.judge_us, f.judge_late, f.dispatch_us, f.dispatch_late, f.accept_us, f.accept_late, \
     f.close_us, f.close_late, f.forced_late, f.checked";

/// A row of [`COLUMNS`].
fn counted(row: &Row<'_>) -> Result<Counted> {
    let wall = |at| Ok::<_, Error>(row.get::<_, Option<i64>>(at)?.map(Wall));
    let took = |at: usize| {
        let us: Option<i64> = row.get(at)?;
        let late = row.get(at + 1)?;
        Ok::<_, Error>(us.map(|us| Took { us, late }))
    };
    let bits: u32 = row.get::<_, Option<u32>>(5)?.unwrap_or(0);
    let verdict: u8 = row.get(8)?;
    Ok(Counted {
        opened: Wall(row.get(0)?),
        kind: row.get(1)?,
        level: row.get(2)?,
        place: row.get(3)?,
        state: Some(wire::state(row.get(4)?).map_err(|_| damaged("state of a case")())?),
        flags: bits & !MISS,
        is_miss: bits & MISS != 0,
        limit: wall(6)?,
        close_limit: wall(7)?,
        verdict: Verdict::ALL.get(usize::from(verdict)).copied().ok_or_else(damaged("verdict on a case"))?,
        source: row.get(9)?,
        unit: row.get(10)?,
        judge: took(11)?,
        dispatch: took(13)?,
        accept: took(15)?,
        close: took(17)?,
        forced_late: row.get(19)?,
        checked: row.get(20)?,
    })
}

fn untouched(row: &Row<'_>) -> Result<Counted> {
    Ok(Counted {
        opened: Wall(row.get(0)?),
        kind: row.get(1)?,
        level: row.get(2)?,
        place: row.get(3)?,
        source: row.get(4)?,
        flags: if row.get(5)? { bit(CaseFlag::Drill) } else { 0 },
        ..Counted::default()
    })
}

fn named<T>(db: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> Result<T>) -> Result<HashMap<i64, T>> {
    let all = Sql::new(sql).all(db, |row| Ok((row.get(0)?, read(row)?)))?;
    Ok(all.into_iter().collect())
}

/// How many people's accounts act for each unit: those that may be used now, machines not counted.
fn people(db: &Connection, now: Wall) -> Result<HashMap<String, usize>> {
    let mut people = HashMap::new();
    let all = Sql::new("SELECT content FROM account").all(db, |row| {
        let content = row.get_ref(0)?.as_blob().map_err(|_| damaged("account")())?;
        let account = v1::Account::decode(content).map_err(|_| damaged("account")())?;
        Profile::stored(&account).map_err(|_| damaged("account")())
    })?;
    for account in all.into_iter().filter(|account| account.in_use(now) && !account.machine) {
        *people.entry(account.unit).or_default() += 1;
    }
    Ok(people)
}

fn names(db: &Connection, rules: &Rules, query: &StatisticsQuery, now: Wall) -> Result<Names> {
    let by = |key| query.by.contains(&key);
    let zone = rules.policy.calendar.zone();
    let mut names = Names {
        places: named(db, "SELECT place, camera, path FROM case_place", |row| {
            let path: String = row.get(2)?;
            Ok((row.get(1)?, reach::own_divisions(&path).map(str::to_owned).collect()))
        })?,
        sources: named(db, "SELECT source, rule, model FROM case_source", |row| {
            Ok((row.get(1)?, row.get(2)?))
        })?,
        units: named(db, "SELECT unit, name FROM case_unit", |row| Ok(row.get(1)?))?,
        people: HashMap::new(),
        roster: Roster::default(),
        zone: zone.clone(),
        depth: query.depth,
    };
    if by(StatisticsKey::Unit) {
        names.people = people(db, now)?;
    }
    if by(StatisticsKey::Shift) {
        let zone = zone.iana_name().unwrap_or("UTC");
        names.roster = Roster::new(&rules.duty, query.from_inclusive, query.to_exclusive, zone);
    }
    Ok(names)
}

/// Reads what a statement finds, one by one, until there are too many.
fn each(
    db: &Connection,
    sql: &Sql,
    left: &mut usize,
    mut take: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    sql.each(db, |row| {
        *left = left.checked_sub(1).ok_or_else(|| {
            Error::Invalid(format!(
                "there are more than {MOST} such cases: ask for less time, or fewer places"
            ))
        })?;
        take(row)
    })
}

/// Counts cases.
pub(super) fn all(db: &Connection, rules: &Rules, query: &StatisticsQuery, now: Wall) -> Result<Told> {
    let once = db.unchecked_transaction()?;
    let names = names(&once, rules, query, now)?;
    let wanted = CaseQuery {
        filter: query.filter.clone(),
        from_inclusive: Some(query.from_inclusive),
        to_exclusive: Some(query.to_exclusive),
        ..CaseQuery::default()
    };
    let mut tally = Tally::new(&query.by, &names, now);
    let places = search::places(&once, &query.filter)?;
    if places.as_ref().is_some_and(Vec::is_empty) {
        return Ok(tally.told());
    }
    let drills = |one: &Counted| query.with_drills || one.flags & bit(CaseFlag::Drill) == 0;
    let mut left = MOST;
    let most = limit(MOST + 1);
    let mut sql = search::touched(&once, COLUMNS, &wanted, places.as_ref(), now)?;
    sql.add(" LIMIT ?", [most.into()]);
    each(&once, &sql, &mut left, |row| {
        let one = counted(row)?;
        if drills(&one) {
            tally.add(&one);
        }
        Ok(())
    })?;
    let columns = "a.untouched_us, a.kind, a.level, a.place, a.source, a.drill";
    for mut sql in search::untouched(columns, &wanted, places.as_ref()) {
        sql.add(" LIMIT ?", [most.into()]);
        each(&once, &sql, &mut left, |row| {
            let one = untouched(row)?;
            if drills(&one) {
                tally.add(&one);
            }
            Ok(())
        })?;
    }
    Ok(tally.told())
}
