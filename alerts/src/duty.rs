//! Divisions, duty rules and the roster: how a town is divided, who leads what where, and who is on duty.
//!
//! All of it is versions that are in force for a time ([`history`]); nothing is deleted, and the past stays as it was. What
//! may be put is decided here, pure, by an [`Edit`] over the whole as it is; the store runs one at a time, and the transaction
//! that keeps what it made finds the whole as it was. [`Duty::resolve`] answers who is responsible; what a case takes of that is `case::OnDuty`.
//!
//! **Paths have one source.** Alerts carry the path that the configuration gives their camera's division. The configuration
//! therefore owns code, parent and name of each division that it declares ([`edit::seed`] brings them here at every start);
//! the tree may know more of those, and more divisions, but never another parent.

mod band;
mod division;
mod edit;
mod grid;
pub mod history;
mod resolve;
mod rule;
mod tree;

use xueliang_base::time::Wall;

use self::history::{History, Version};
pub use self::{
    band::Band,
    division::{Division, Level},
    edit::{Edited, NewVersion, What, end_division, end_rule, put_division, put_rule, put_shift, seed},
    grid::{GridPlan, import_grid},
    resolve::{Asked, Resolved},
    rule::{Rule, Shift},
    tree::Tree,
};
use crate::error::{Error, Result};

/// Divisions, rules and shifts that may be kept, ended ones included.
pub const MOST: usize = 100_000;

/// All that is kept, as one commit left it.
#[derive(Debug, Clone, Default)]
pub struct Duty {
    /// Divisions by code.
    pub tree: Tree,
    /// Rules by number.
    pub rules: History<u64, Rule>,
    /// Shifts by number.
    pub shifts: History<u64, Shift>,
}

impl Duty {
    /// The whole as it is with these versions, made by an author at a moment and numbered from behind `last` on.
    pub(crate) fn with(&self, versions: &[NewVersion], last: u64, author: &str, made: Wall) -> Self {
        let mut with = self.clone();
        for (number, version) in (last + 1..).zip(versions) {
            let NewVersion { from, to, what } = version;
            let (author, from, to) = (author.to_owned(), *from, *to);
            match what.clone() {
                What::Division(what) => {
                    let what = *what;
                    with.tree.0.add(what.code.clone(), Version { number, from, to, author, made, what });
                }
                What::Rule(rule, what) => {
                    with.rules.add(rule, Version { number, from, to, author, made, what: *what });
                }
                What::Shift(shift, what) => {
                    with.shifts.add(shift, Version { number, from, to, author, made, what: *what });
                }
            }
        }
        with
    }
}

/// Makes versions of what there is at a moment, or says what is wrong. Runs beside the store's writer, for which alerts wait,
/// and one at a time.
pub type Edit = Box<dyn FnOnce(&Duty, Wall) -> Result<Edited> + Send>;

/// Refuses a text that is too long, is not there where it must be, or breaks lines.
fn check_text(field: &str, text: &str, min: usize, max: usize) -> Result<()> {
    let characters = text.chars().count();
    if !(min..=max).contains(&characters) || text.chars().any(char::is_control) || text.trim() != text {
        return Err(Error::Invalid(format!(
            "{field}: {characters} characters, {min} to {max} are needed, without line breaks or spaces around them"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
