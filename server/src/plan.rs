//! What a town of cameras takes: cores, memory and uplinks, and what its rules get for them.
//!
//! [`town`] lets a town live for a while: the scheduler of the service decides, on a clock of its own, about cameras that
//! send by the [`mix`] and looks that take what the [`costs`] say. [`nodes`] have a share of the town each, and [`search`] finds
//! out how many there must be, and how many workers keep all floors.
//! Nothing is measured here, and nothing but the two files is read: the same input gives the same [`report`].

pub mod costs;
pub mod mix;
mod nodes;
pub mod report;
mod search;
mod tally;
mod town;

pub use costs::Costs;
pub use mix::Mix;
pub use report::{Order, Report, plan};
