//! The grids of a township, from a CSV file: one set a town, the whole file or nothing.
//!
//! The file says of each grid, micro-grid and, if wanted, village of one township its code, the code above it, level and name.
//! Grids of the township that it does not have end; villages stay. `docs/duty.md` describes the columns.

use std::collections::{BTreeMap, BTreeSet};

use xueliang_base::{id::DivisionCode, time::Wall};
use xueliang_proto::v1;

use super::{
    Duty, Edit,
    division::{Division, Level},
    edit::{Edited, NewVersion, check_owns, division_ends, division_version, tree_with},
};
use crate::{
    error::{Error, Result},
    rights::Principal,
};

/// Rows of a file: a township has some hundred grids, and one commit keeps them all.
const MOST_ROWS: usize = 5000;
/// Faults that are told.
const MOST_FAULTS: usize = 100;

/// Columns by the words that may head them; the first four are needed.
const COLUMNS: [[&str; 2]; 7] = [
    ["code", "编码"],
    ["parent", "上级编码"],
    ["level", "层级"],
    ["name", "名称"],
    ["kind", "类别"],
    ["short_name", "简称"],
    ["centre_name", "中心名称"],
];
const NEEDED: usize = 4;

/// What an import does.
#[derive(Debug, Default)]
pub struct GridPlan {
    /// What the answer says of it.
    pub told: v1::ImportGridResponse,
    versions: Vec<NewVersion>,
}

struct Row {
    line: u32,
    one: Division,
}

/// Puts the grids of a file in the place of what their township had.
pub fn import_grid(who: Principal, csv: bytes::Bytes) -> Edit {
    Box::new(move |duty, now| {
        let plan = GridPlan::make(duty, now, &who, &csv)?;
        if let Some(fault) = plan.told.faults.first() {
            return Err(Error::Conflict(format!(
                "the tree has changed meanwhile, import again (line {}: {})",
                fault.line, fault.message
            )));
        }
        let v1::ImportGridResponse { town_code, added, changed, ended, .. } = &plan.told;
        let subject = format!("grids of {town_code}: {added} added, {changed} changed, {ended} ended");
        Ok(Edited::with(&who.name, "import-grid", subject, plan.versions))
    })
}

impl GridPlan {
    /// What a file would do now. Faults of the file stand in the answer; an error is for who may not import it.
    pub fn make(duty: &Duty, now: Wall, who: &Principal, csv: &[u8]) -> Result<Self> {
        let mut plan = Self::default();
        let rows = plan.read(csv);
        let Some(town) = plan.town_of(duty, &rows, now) else {
            plan.told.faults.sort_by_key(|fault| fault.line);
            return Ok(plan);
        };
        check_owns(who, &duty.tree, &town)?;
        plan.told.town_code = town.to_string();
        let mut kept: BTreeSet<DivisionCode> = BTreeSet::new();
        for row in &rows {
            kept.insert(row.one.code.clone());
            plan.put(duty, now, &town, row);
        }
        for (code, version) in duty.tree.0.all_at(now) {
            let grid = version.what.level.is_some_and(|level| level >= Level::Grid);
            let ours =
                grid && !kept.contains(code) && duty.tree.lies_in(code, std::slice::from_ref(&town), now);
            if ours && !version.what.is_configured() {
                plan.told.ended += 1;
                plan.versions.extend(division_ends(&duty.tree, code, now));
            }
        }
        plan.check(duty, now, &rows);
        plan.told.faults.sort_by_key(|fault| fault.line);
        if !plan.told.faults.is_empty() {
            plan.versions.clear();
        }
        Ok(plan)
    }
    fn fault(&mut self, line: u32, message: impl Into<String>) {
        if self.told.faults.len() < MOST_FAULTS {
            self.told.faults.push(v1::ImportFault { line, message: message.into() });
        }
    }
    /// The rows of a file, as far as they can be read.
    fn read(&mut self, csv: &[u8]) -> Vec<Row> {
        let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(csv);
        let heads = match reader.headers() {
            Ok(heads) => heads.clone(),
            Err(error) => {
                self.fault(1, unreadable(&error));
                return Vec::new();
            }
        };
        let places = COLUMNS.map(|words| heads.iter().position(|head| words.contains(&head)));
        for (words, place) in COLUMNS.iter().zip(places).take(NEEDED) {
            if place.is_none() {
                self.fault(1, format!("there is no column {} ({})", words[0], words[1]));
            }
        }
        for head in heads.iter().filter(|head| !COLUMNS.iter().any(|words| words.contains(head))) {
            self.fault(1, format!("the column {head:?} is not known: take it out"));
        }
        if !self.told.faults.is_empty() {
            return Vec::new();
        }
        let mut rows: Vec<Row> = Vec::new();
        let mut lines: BTreeMap<DivisionCode, u32> = BTreeMap::new();
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.fault(number(line), unreadable(&error));
                    continue;
                }
            };
            let line = number(record.position().map_or(0, csv::Position::line));
            if rows.len() >= MOST_ROWS {
                self.fault(line, format!("more than {MOST_ROWS} rows: import a township by itself"));
                break;
            }
            if record.len() != heads.len() {
                self.fault(line, format!("{} fields, the head has {}", record.len(), heads.len()));
                continue;
            }
            let field = |index: usize| places[index].and_then(|place| record.get(place)).unwrap_or_default();
            match row(field) {
                Ok(one) => {
                    if let Some(first) = lines.insert(one.code.clone(), line) {
                        self.fault(line, format!("code: {} stands in line {first} already", one.code));
                    } else {
                        rows.push(Row { line, one });
                    }
                }
                Err(fault) => self.fault(line, fault.to_string()),
            }
        }
        if rows.is_empty() && self.told.faults.is_empty() {
            self.fault(0, "there is no row: an empty file would end all grids");
        }
        rows
    }
    /// The township in which all rows lie.
    fn town_of(&mut self, duty: &Duty, rows: &[Row], now: Wall) -> Option<DivisionCode> {
        let by_code: BTreeMap<&DivisionCode, &Row> = rows.iter().map(|row| (&row.one.code, row)).collect();
        let mut town: Option<DivisionCode> = None;
        for row in rows {
            // Up through the file to a code that the tree has; a circle within the file ends nowhere.
            let mut above = row.one.parent.as_ref();
            for _ in 0..Level::ALL.len() {
                above = match above.and_then(|code| by_code.get(code)) {
                    Some(next) => next.one.parent.as_ref(),
                    None => break,
                };
            }
            let path = above.map(|code| duty.tree.path(code, now)).unwrap_or_default();
            let township = |code: &&DivisionCode| {
                duty.tree.at(code, now).is_some_and(|version| version.what.level == Some(Level::Township))
            };
            match (path.iter().find(township), &town) {
                (None, _) => self.fault(row.line, "parent: leads to no township that is in force"),
                (Some(found), None) => town = Some(found.clone()),
                (Some(found), Some(town)) if found != town => {
                    self.fault(
                        row.line,
                        format!(
                            "parent: lies in {found}, and the rows before in {town}: one file a township"
                        ),
                    );
                }
                _ => {}
            }
        }
        town
    }
    /// Takes a row.
    fn put(&mut self, duty: &Duty, now: Wall, town: &DivisionCode, row: &Row) {
        let Row { line, one } = row;
        let Some(there) = duty.tree.at(&one.code, now) else {
            self.told.added += 1;
            self.versions.push(division_version(now, None, one.clone()));
            return;
        };
        if !duty.tree.lies_in(&one.code, std::slice::from_ref(town), now) {
            self.fault(*line, format!("code: {} lies outside of {town}", one.code));
            return;
        }
        let before = &there.what;
        if before.is_configured() && (before.parent != one.parent || before.name() != one.name()) {
            self.fault(
                *line,
                format!("{} is declared by the configuration: change its parent and name there", one.code),
            );
            return;
        }
        let wire = v1::Division {
            steps: before.wire.steps.clone(),
            ladder: before.wire.ladder.clone(),
            statutory_code: before.wire.statutory_code.clone(),
            configured: before.wire.configured,
            ..one.wire.clone()
        };
        let wanted = Division { steps: before.steps.clone(), wire, ..one.clone() };
        if wanted == *before && there.to.is_none() {
            self.told.unchanged += 1;
        } else {
            self.told.changed += 1;
            self.versions.push(division_version(now, None, wanted));
        }
    }
    /// Holds the tree as it would be to what must hold.
    fn check(&mut self, duty: &Duty, now: Wall, rows: &[Row]) {
        let touched: BTreeSet<DivisionCode> = self
            .versions
            .iter()
            .filter_map(|version| match &version.what {
                super::edit::What::Division(one) => Some(one.code.clone()),
                _ => None,
            })
            .collect();
        let lines: BTreeMap<&DivisionCode, u32> = rows.iter().map(|row| (&row.one.code, row.line)).collect();
        let told: BTreeSet<u32> = self.told.faults.iter().map(|fault| fault.line).collect();
        for (code, fault) in tree_with(&duty.tree, &self.versions).faults(&touched, now) {
            let line = lines.get(&code).copied().unwrap_or(0);
            // What follows from a fault of the same line says nothing more.
            if !told.contains(&line) || line == 0 {
                self.fault(line, fault);
            }
        }
    }
}

fn number(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

fn unreadable(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8: save the file as CSV in UTF-8".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// A row by its fields, in the order of [`COLUMNS`].
fn row<'a>(field: impl Fn(usize) -> &'a str) -> Result<Division> {
    let level = match field(2) {
        "5" | "村" | "社区" => v1::DivisionLevel::Village,
        "6" | "网格" => v1::DivisionLevel::Grid,
        "7" | "微网格" => v1::DivisionLevel::MicroGrid,
        other => {
            return Err(Error::Invalid(format!(
                "level: {other:?} is none of 5 (村), 6 (网格) and 7 (微网格)"
            )));
        }
    };
    let kind = match field(4) {
        "" | "statutory" | "基础网格" => v1::DivisionKind::Statutory,
        "functional" | "功能区" => v1::DivisionKind::Functional,
        "dedicated" | "专属网格" => v1::DivisionKind::DedicatedGrid,
        other => {
            return Err(Error::Invalid(format!(
                "kind: {other:?} is none of statutory (基础网格), dedicated (专属网格) and functional (功能区)"
            )));
        }
    };
    Division::read(v1::Division {
        code: field(0).to_owned(),
        parent_code: field(1).to_owned(),
        level: level.into(),
        kind: kind.into(),
        name: field(3).to_owned(),
        short_name: field(5).to_owned(),
        centre_name: field(6).to_owned(),
        ..v1::Division::default()
    })
}
