//! Incidents become records and deliveries: the store, the bus, evidence, and the node's spool.
//!
//! Knows nothing of video or models. SQL stands under `store/` only, tonic services under `grpc/` only.

pub mod account;
pub mod assignment;
pub mod audit;
pub mod board;
pub mod bus;
pub mod case;
mod crew;
pub mod custodian;
pub mod disclosure;
pub mod duty;
pub mod error;
pub mod evidence;
pub mod explain;
pub mod external;
pub mod filter;
pub mod flood;
pub mod grpc;
mod hop;
pub mod inhibit;
pub mod link;
pub mod live;
pub mod point;
pub mod publisher;
pub mod reach;
mod register;
mod retention;
pub mod rights;
pub mod role;
pub mod silence;
pub mod sink;
pub mod spool;
pub mod store;
pub mod suppress;
#[cfg(test)]
mod testing;
pub mod tuning;
