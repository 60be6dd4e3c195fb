//! From a configuration to the running process: roles, wiring, supervision and the command line.
//!
//! This is the only crate that sees both video and alerts. `cli` is what users type; `supervisor` starts and watches
//! the roles; `roles` are the processes; `node` is what a node is made of; `plan` says what a town takes; `sheet` is
//! what is filed.

mod admin;
pub mod cli;
mod exposition;
mod node;
pub mod page;
pub mod plan;
mod pulse;
mod roles;
mod sheet;
mod state;
mod supervisor;
