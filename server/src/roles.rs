//! The processes that the program can be.

pub mod bus;
pub mod node;
pub mod tasks;
pub mod worker;
