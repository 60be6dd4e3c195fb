//! What a node is made of.
//!
//! - `control` attaches to the bus and hands on each configuration revision;
//! - `camera` is one camera's cell: its session, its ring, its signal;
//! - `sub_stream` is the cell of a camera's sub-stream;
//! - `pool` keeps look workers alive;
//! - `looks` asks attention which camera deserves the next look, and steps its rules with what was seen;
//! - `alerting` mints alerts from incidents and spools them;
//! - `explain` answers what a camera did and why there was no alert;
//! - `footage` makes evidence: redacted stills and previews, original clips;
//! - `picture` answers with a redacted picture of the moment, made as evidence is and after it;
//! - `trial` answers what would have come of other rules;
//! - `report` tells the bus how the cameras are;
//! - `wire` is the language of workers.

pub mod alerting;
pub mod camera;
pub mod control;
pub mod explain;
pub mod footage;
pub mod looks;
pub mod picture;
pub mod pool;
pub mod report;
pub mod sub_stream;
#[cfg(test)]
mod testing;
pub mod trial;
pub mod wire;
