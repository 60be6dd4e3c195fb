//! What the store keeps of divisions, duty rules and the roster.

use std::sync::Arc;

use super::Answer;
use crate::duty::{Duty, Edit};

/// Versions of divisions, rules and shifts.
pub trait DutyStore {
    /// All that is kept.
    fn duty(&self) -> Answer<Arc<Duty>>;
    /// Runs an edit on all that is kept, keeps what it makes and audits it, together. Returns the number that it tells.
    fn edit_duty(&self, edit: Edit) -> Answer<u64>;
}
