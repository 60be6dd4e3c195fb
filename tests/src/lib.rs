//! The whole system from outside: a simulated town, the real program, and a console.
//!
//! [`Service`] runs the built `xueliang` program in a temporary folder; [`Desk`] is a console that remembers all it
//! was given. Tests under `tests/` and the benches in `src/bin` are made of these.

pub mod bench;
pub mod desk;
pub mod histogram;
pub mod service;

pub use desk::Desk;
pub use service::{Service, cli, clip, clips_folder, default_model, program, repository};
