//! Camera points become access units, pictures and camera health.
//!
//! A [`session`] reads one camera and delivers encoded access units; a [`ring`] holds the newest of them and accounts
//! for each; a [`decode::Decoder`] makes pictures of the few that are looked at; [`clip`] keeps footage as evidence
//! and reads it back; the [`registry`] holds cameras, credentials and configuration revisions. Models and alerts are
//! unknown here. GStreamer is touched in [`gst`] and below only, the retina crate in `retina.rs` and below only, SQL in
//! `registry/store.rs` only.

pub mod clip;
pub mod credentials;
pub mod decode;
pub mod error;
pub mod gst;
pub mod health;
mod nal;
pub mod registry;
mod retina;
pub mod ring;
pub mod session;

pub use crate::gst::init;
pub use credentials::Credentials;
pub use error::Error;
