//! Reads a TOML table key by key and collects every fault instead of stopping at the first.

use std::{cell::RefCell, fmt::Display};

use toml::{Table, Value};

/// One table being read. What is left when [`Section::finish`] comes was not asked for: an unknown key.
pub(super) struct Section<'a> {
    path: String,
    rest: Table,
    faults: &'a RefCell<Vec<String>>,
}

impl<'a> Section<'a> {
    /// The table of a whole file.
    pub(super) fn root(table: Table, faults: &'a RefCell<Vec<String>>) -> Self {
        Self { path: String::new(), rest: table, faults }
    }
    /// Notes a fault of this table.
    pub(super) fn fault(&self, key: &str, message: impl Display) {
        let dot = if self.path.is_empty() || key.is_empty() { "" } else { "." };
        self.faults.borrow_mut().push(format!("{}{dot}{key}: {message}", self.path));
    }
    /// Whether the key stands there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.rest.contains_key(key)
    }
    fn take<T>(&mut self, key: &str, what: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        let value = self.rest.remove(key)?;
        let read = read(value);
        if read.is_none() {
            self.fault(key, format_args!("must be {what}"));
        }
        read
    }
    fn need<T>(&mut self, key: &str, what: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        if !self.has(key) {
            self.fault(key, format_args!("is missing; it must be {what}"));
        }
        self.take(key, what, read)
    }
    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.need(key, "a text", text)
    }
    /// A text that may be absent.
    pub(super) fn text_if_any(&mut self, key: &str) -> Option<String> {
        self.take(key, "a text", text)
    }
    /// One of a list of words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.need(key, &words.join(" or "), |value| {
            let word = value.as_str()?;
            choices.iter().find(|(w, _)| *w == word).map(|(_, choice)| *choice)
        })
    }
    /// A whole number in a range.
    pub(super) fn whole(&mut self, key: &str, least: u32, most: u32) -> Option<u32> {
        self.need(key, &format!("a whole number from {least} to {most}"), |v| whole(&v, least, most))
    }
    /// A whole number that may be absent.
    pub(super) fn whole_or(&mut self, key: &str, least: u32, most: u32, default: u32) -> u32 {
        self.take(key, &format!("a whole number from {least} to {most}"), |v| whole(&v, least, most))
            .unwrap_or(default)
    }
    /// A share, 0 to 1, that may be absent.
    pub(super) fn share_if_any(&mut self, key: &str) -> Option<f32> {
        self.take(key, "a number from 0 to 1", |v| share(&v))
    }
    /// A share, 0 to 1.
    pub(super) fn share(&mut self, key: &str) -> Option<f32> {
        self.need(key, "a number from 0 to 1", |v| share(&v))
    }
    /// `true` or `false`, that may be absent.
    pub(super) fn flag_or(&mut self, key: &str, default: bool) -> bool {
        self.take(key, "true or false", |v| v.as_bool()).unwrap_or(default)
    }
    /// Three numbers that may be absent.
    pub(super) fn triple_or(&mut self, key: &str, default: [f32; 3]) -> [f32; 3] {
        let read = |v: Value| {
            let numbers: Option<Vec<f32>> = v.as_array()?.iter().map(number).collect();
            <[f32; 3]>::try_from(numbers?).ok()
        };
        self.take(key, "three numbers", read).unwrap_or(default)
    }
    /// A table within this one.
    pub(super) fn table(&mut self, key: &str) -> Option<Section<'a>> {
        let table = self.need(key, "a table", into_table)?;
        Some(self.inner(key, table))
    }
    /// A table within this one that may be absent.
    pub(super) fn table_if_any(&mut self, key: &str) -> Option<Section<'a>> {
        let table = self.take(key, "a table", into_table)?;
        Some(self.inner(key, table))
    }
    /// A list of tables within this one; empty where absent.
    pub(super) fn tables(&mut self, key: &str) -> Vec<Section<'a>> {
        let tables = |v: Value| match v {
            Value::Array(values) => values.into_iter().map(into_table).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        let tables = self.take(key, "a list of tables", tables).unwrap_or_default();
        tables.into_iter().enumerate().map(|(i, table)| self.inner(&format!("{key}[{i}]"), table)).collect()
    }
    fn inner(&self, key: &str, table: Table) -> Section<'a> {
        let dot = if self.path.is_empty() { "" } else { "." };
        Section { path: format!("{}{dot}{key}", self.path), rest: table, faults: self.faults }
    }
    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.rest.keys() {
            self.fault(key, "is not a key of this table");
        }
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}
fn whole(value: &Value, least: u32, most: u32) -> Option<u32> {
    u32::try_from(value.as_integer()?).ok().filter(|n| (least..=most).contains(n))
}
fn number(value: &Value) -> Option<f32> {
    let number = match value {
        Value::Integer(n) => *n as f64,
        Value::Float(n) => *n,
        _ => return None,
    };
    number.is_finite().then_some(number as f32)
}
fn share(value: &Value) -> Option<f32> {
    number(value).filter(|n| (0.0..=1.0).contains(n))
}
fn into_table(value: Value) -> Option<Table> {
    match value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}
