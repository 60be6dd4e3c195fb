//! Street cameras that exist only in memory: an RTSP server that plays pre-encoded clips in a loop, and fails on command.
//!
//! What belongs here: everything between a clip's file and a client's socket ([`clip`] reads, `rtp` packetises once,
//! `feed` decides what is due, `connection` speaks RTSP), and the faults. What does not: encoding and decoding, RTP over
//! UDP (answered with 461), and any other crate of this workspace.
//!
//! ```no_run
//! # use std::path::Path;
//! # async fn example() -> Result<(), xueliang_simulator::Error> {
//! use xueliang_simulator::{CameraSpec, Clip, Fault, Simulator};
//!
//! let clip = Clip::load(Path::new("gate@10fps.h264"), None)?;
//! let address = ([127, 0, 0, 1], 0).into();
//! let simulator = Simulator::start(address, vec![CameraSpec::new("gate", clip)]).await?;
//! println!("{}", simulator.url("gate"));
//! simulator.camera("gate")?.apply(Fault::Freeze)?;
//! # simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! A camera that serves costs a fraction of a thousandth of a core: per picture and client one timer, one copy of the
//! packets made at the start, and one write.

pub use auth::{Account, LockAnswer, LockPolicy};
pub use camera::{CameraHandle, CameraSpec};
pub use clip::{Clip, Codec, PictureRate};
pub use counters::CameraCounters;
pub use error::Error;
pub use fault::Fault;
pub use schedule::{Change, Schedule, Step};
pub use simulator::Simulator;

pub mod clip;
pub mod fault;

mod auth;
mod camera;
mod connection;
mod counters;
mod delivery;
mod duration;
mod error;
mod feed;
mod rtcp;
mod rtp;
mod rtsp;
mod schedule;
mod sdp;
mod simulator;
