//! Reads TOML tables and collects every fault instead of stopping at the first.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt,
    rc::Rc,
    str::FromStr,
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as `camera[gate-1].zone[0].polygon`.
    pub path: String,
    /// Line from 1, where known.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// All faults so far, and what is needed to number lines.
pub(super) struct Faults {
    line_starts: Vec<usize>,
    list: RefCell<Vec<Fault>>,
}

impl Faults {
    pub(super) fn new(text: &str) -> Rc<Self> {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Rc::new(Self { line_starts, list: RefCell::new(Vec::new()) })
    }
    pub(super) fn add(&self, path: &str, at: Option<usize>, message: impl Into<String>) {
        let line = at.map(|at| self.line_starts.partition_point(|start| *start <= at));
        self.list.borrow_mut().push(Fault { path: path.to_owned(), line, message: message.into() });
    }
    pub(super) fn take(&self) -> Vec<Fault> {
        let mut list = self.list.take();
        list.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        list
    }
}

/// One table being read; remembers which keys were asked for, so that the others are faults.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    path: String,
    at: usize,
    asked: RefCell<BTreeSet<&'static str>>,
    /// Set when what the other keys mean cannot be known: then none of them is called unknown.
    given_up: Cell<bool>,
    faults: Rc<Faults>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>, faults: Rc<Faults>) -> Self {
        Self {
            table,
            path: String::new(),
            at: 0,
            asked: RefCell::default(),
            given_up: Cell::default(),
            faults,
        }
    }
    fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
    /// A fault of this table as a whole.
    pub(super) fn fault(&self, message: impl Into<String>) {
        let whole = self.path.is_empty();
        let (path, at) = if whole { ("(top level)", None) } else { (self.path.as_str(), Some(self.at)) };
        self.faults.add(path, at, message);
    }
    /// A fault of one key.
    pub(super) fn fault_at(&self, key: &str, message: impl Into<String>) {
        let at = self.table.get(key).map_or(self.at, |value| value.span().start);
        self.faults.add(&self.below(key), Some(at), message);
    }
    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        self.table.get(key)
    }
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.asked.borrow_mut().insert(key);
        self.table.contains_key(key)
    }
    /// The value, if there is one and it is right.
    pub(super) fn opt<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.get(key)?;
        match read(value.get_ref()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.faults.add(&self.below(key), Some(value.span().start), message);
                None
            }
        }
    }
    /// The value, or a fault when there is none.
    pub(super) fn req<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        if !self.table.contains_key(key) {
            self.asked.borrow_mut().insert(key);
            self.fault(format!("{key} is missing"));
            return None;
        }
        self.opt(key, read)
    }
    /// The value, or the default when there is none (or it is a fault, which is reported).
    pub(super) fn or<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, String>,
    ) -> T {
        self.opt(key, read).unwrap_or(default)
    }
    /// The table below a key; an empty one when there is none.
    pub(super) fn section<R>(&self, key: &'static str, read: impl FnOnce(&Section<'a>) -> R) -> Option<R> {
        let value = self.get(key)?;
        let DeValue::Table(table) = value.get_ref() else {
            self.fault_at(key, format!("is {}, a table was expected: [{key}]", kind_of(value.get_ref())));
            return None;
        };
        let section = Section {
            table,
            path: self.below(key),
            at: value.span().start,
            asked: RefCell::default(),
            given_up: Cell::default(),
            faults: Rc::clone(&self.faults),
        };
        let result = read(&section);
        section.finish();
        Some(result)
    }
    /// Every table of an array of tables, named in paths by its `id`, `code` or `name` where it has one.
    pub(super) fn sections<R>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&Section<'a>) -> Option<R>,
    ) -> Vec<R> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.fault_at(key, format!("is {}, write [[{}]]", kind_of(value.get_ref()), self.below(key)));
            return Vec::new();
        };
        let mut all = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let DeValue::Table(table) = item.get_ref() else {
                let path = format!("{}[{index}]", self.below(key));
                self.faults.add(&path, Some(item.span().start), "a table was expected");
                continue;
            };
            let name = ["id", "code", "name"]
                .iter()
                .find_map(|key| table.get(*key).and_then(|v| v.get_ref().as_str()))
                .map_or_else(|| index.to_string(), str::to_owned);
            let section = Section {
                table,
                path: format!("{}[{name}]", self.below(key)),
                at: item.span().start,
                asked: RefCell::default(),
                given_up: Cell::default(),
                faults: Rc::clone(&self.faults),
            };
            all.extend(read(&section));
            section.finish();
        }
        all
    }
    /// Every table below a table, with its name.
    pub(super) fn named_sections<R>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&str, &Section<'a>) -> Option<R>,
    ) -> Vec<R> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Table(tables) = value.get_ref() else {
            self.fault_at(key, format!("is {}, write [{key}.NAME]", kind_of(value.get_ref())));
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, item) in tables {
            let name: &str = name.get_ref();
            let DeValue::Table(table) = item.get_ref() else {
                let path = format!("{}.{name}", self.below(key));
                self.faults.add(&path, Some(item.span().start), "a table was expected");
                continue;
            };
            let section = Section {
                table,
                path: format!("{}.{name}", self.below(key)),
                at: item.span().start,
                asked: RefCell::default(),
                given_up: Cell::default(),
                faults: Rc::clone(&self.faults),
            };
            all.extend(read(name, &section));
            section.finish();
        }
        all
    }
    /// The other keys cannot be judged, because the one that says what they mean is at fault.
    pub(super) fn give_up(&self) {
        self.given_up.set(true);
    }
    /// Reports keys that nobody asked for.
    pub(super) fn finish(&self) {
        if self.given_up.get() {
            return;
        }
        let asked = self.asked.borrow();
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if asked.contains(name) {
                continue;
            }
            let near = asked
                .iter()
                .min_by_key(|known| distance(known, name))
                .filter(|known| distance(known, name) <= 1 + name.len() / 4);
            let advice = match near {
                Some(near) => format!("unknown key, did you mean {near:?}?"),
                None => format!(
                    "unknown key; known here: {}",
                    asked.iter().copied().collect::<Vec<_>>().join(", ")
                ),
            };
            self.faults.add(&self.below(name), Some(key.span().start), advice);
        }
    }
}

/// Levenshtein distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

// Readers of single values.

pub(super) fn text(value: &DeValue<'_>) -> Result<String, String> {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => Err("is empty".to_owned()),
        Some(text) if text.chars().count() > 200 => Err("is longer than 200 characters".to_owned()),
        Some(text) if text.chars().any(char::is_control) => Err("holds control characters".to_owned()),
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("is {}, a text was expected", kind_of(value))),
    }
}

pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, String> {
    match value {
        DeValue::Boolean(said) => Ok(*said),
        _ => Err("write true or false".to_owned()),
    }
}

pub(super) fn parsed<T>(value: &DeValue<'_>) -> Result<T, String>
where
    T: FromStr<Err: fmt::Display>,
{
    text(value)?.parse::<T>().map_err(|e| e.to_string())
}

pub(super) fn number(value: &DeValue<'_>) -> Result<f64, String> {
    let text = match value {
        DeValue::Integer(n) => n.as_str().replace('_', ""),
        DeValue::Float(n) => n.as_str().replace('_', ""),
        _ => return Err(format!("is {}, a number was expected", kind_of(value))),
    };
    text.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(|| format!("{text} is no usable number"))
}

pub(super) fn within(low: f64, high: f64) -> impl Fn(&DeValue<'_>) -> Result<f64, String> {
    move |value| {
        let n = number(value)?;
        if (low..=high).contains(&n) { Ok(n) } else { Err(format!("is {n}, use {low} to {high}")) }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "f32 is the precision of pictures and scores")]
pub(super) fn share(value: &DeValue<'_>) -> Result<f32, String> {
    within(0.0, 1.0)(value).map(|n| n as f32)
}

pub(super) fn whole(low: u64, high: u64) -> impl Fn(&DeValue<'_>) -> Result<u64, String> {
    move |value| {
        let DeValue::Integer(n) = value else {
            return Err(format!("is {}, a whole number was expected", kind_of(value)));
        };
        let n: u64 = n.as_str().replace('_', "").parse().map_err(|_| format!("use {low} to {high}"))?;
        if (low..=high).contains(&n) { Ok(n) } else { Err(format!("is {n}, use {low} to {high}")) }
    }
}

const DURATION_HELP: &str = "write a time with its unit, as \"300ms\", \"1.5s\", \"5m\" or \"2h\"";

pub(super) fn duration(low: Duration, high: Duration) -> impl Fn(&DeValue<'_>) -> Result<Duration, String> {
    move |value| {
        let Some(text) = value.as_str() else {
            return Err(format!("is {}: {DURATION_HELP}", kind_of(value)));
        };
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (amount, unit) = text.split_at(split);
        let factor = match unit.trim() {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(format!("{text:?}: {DURATION_HELP}")),
        };
        let amount: f64 = amount.parse().map_err(|_| format!("{text:?}: {DURATION_HELP}"))?;
        let duration =
            Duration::try_from_secs_f64(amount * factor).map_err(|_| format!("{text:?} is too long"))?;
        if (low..=high).contains(&duration) {
            Ok(duration)
        } else {
            Err(format!("is {text}, use {low:?} to {high:?}"))
        }
    }
}

pub(super) fn size(low: u64, high: u64) -> impl Fn(&DeValue<'_>) -> Result<u64, String> {
    const HELP: &str = "write a size with its unit, as \"512KB\", \"16MB\" or \"20GB\"";
    move |value| {
        let Some(text) = value.as_str() else { return Err(format!("is {}: {HELP}", kind_of(value))) };
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (amount, unit) = text.split_at(split);
        let factor: u64 = match unit.trim() {
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            _ => return Err(format!("{text:?}: {HELP}")),
        };
        let bytes = amount.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
        match bytes {
            Some(bytes) if (low..=high).contains(&bytes) => Ok(bytes),
            Some(_) => Err(format!("is {text}, use {} to {} MB", low / 1_000_000, high / 1_000_000)),
            None => Err(format!("{text:?}: {HELP}")),
        }
    }
}

/// Bits a second.
pub(super) fn bits(low: u64, high: u64) -> impl Fn(&DeValue<'_>) -> Result<u64, String> {
    const HELP: &str = "write bits a second with their unit, as \"512kbit\", \"40Mbit\" or \"1Gbit\"";
    move |value| {
        let Some(text) = value.as_str() else { return Err(format!("is {}: {HELP}", kind_of(value))) };
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (amount, unit) = text.split_at(split);
        let factor: u64 = match unit.trim() {
            "kbit" => 1_000,
            "Mbit" => 1_000_000,
            "Gbit" => 1_000_000_000,
            _ => return Err(format!("{text:?}: {HELP}")),
        };
        match amount.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)) {
            Some(bits) if (low..=high).contains(&bits) => Ok(bits),
            Some(_) => Err(format!("is {text}, use {} kbit to {} Mbit", low / 1_000, high / 1_000_000)),
            None => Err(format!("{text:?}: {HELP}")),
        }
    }
}

pub(super) fn list<T>(
    value: &DeValue<'_>,
    read: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let DeValue::Array(items) = value else {
        return Err(format!("is {}, a list was expected: [ … ]", kind_of(value)));
    };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| read(item.get_ref()).map_err(|e| format!("item {index}: {e}")))
        .collect()
}
