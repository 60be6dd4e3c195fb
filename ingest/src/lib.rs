//! Camera points become access units, pictures and camera health.
//!
//! A [`session`] reads one camera and delivers encoded access units; a [`ring`] holds the newest of them and accounts
//! for each; their [`activity`] may ask for a [`glance`]; a [`decode::Decoder`] makes pictures of the few that are looked
//! at; [`acquire`] says who may be connected now; [`clip`] keeps footage as evidence and reads it back; [`upstream`] tells when what cameras hang on is down; the
//! [`registry`] holds cameras, credentials and configuration revisions. Models and alerts are unknown here. GStreamer is
//! touched in [`gst`] and below only, the retina crate in `retina.rs` and below only, SQL in `registry/store.rs` only.

pub mod acquire;
pub mod activity;
pub mod clip;
pub mod credentials;
pub mod decode;
pub mod error;
pub mod glance;
pub mod gst;
pub mod health;
mod nal;
pub mod registry;
mod retina;
pub mod ring;
pub mod session;
pub mod upstream;

pub use crate::gst::init;
pub use credentials::Credentials;
pub use error::Error;
