//! The audit of deliveries: which stretch of the feed which subscription was sent, and how far it came there.

use std::sync::Arc;

use xueliang_base::{cursor::FilterMark, kind::Lane, time::Wall};
use xueliang_proto::v1::DeliveryStage;

use crate::filter::Filter;

/// Who read, and what it wanted: stretches of the feed say nothing without it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reader {
    /// Whose.
    pub principal: String,
    /// Its name; empty for all streams without one.
    pub subscription: String,
    /// What was wanted and could be seen.
    pub filter: Arc<Filter>,
    /// Of the filter.
    pub mark: FilterMark,
}

/// A stretch of one lane that a reader brought to a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryNote {
    /// Who.
    pub reader: Arc<Reader>,
    /// How far it came; that includes the stages before, except that it was sent.
    pub stage: DeliveryStage,
    /// The lane.
    pub lane: Lane,
    /// Not single rows, but a snapshot of all that was active at `upto_inclusive`.
    pub snapshot: bool,
    /// From here.
    pub after_exclusive: u64,
    /// Up to here.
    pub upto_inclusive: u64,
    /// The first of them.
    pub from: Wall,
    /// The last of them.
    pub to: Wall,
}

/// When an alert first came to a stage: between these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The stage.
    pub stage: DeliveryStage,
    /// Not before.
    pub from: Wall,
    /// Not after.
    pub to: Wall,
}

/// How far an alert came in one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Whose.
    pub principal: String,
    /// Its name; empty for all streams without one.
    pub subscription: String,
    /// By stage.
    pub stages: Vec<Reached>,
}
