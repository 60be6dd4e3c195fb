//! The simulator as its clients see it: over a socket, with clips that GStreamer encodes at test time.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is test code; clippy only knows the functions marked as tests"
)]

mod client;
mod clips;
mod faults;
mod interop;
mod login;
mod protocol;
mod service;

use std::time::Duration;

use xueliang_simulator::{CameraSpec, Simulator};

/// Long enough for anything these tests wait for, on a machine busy with a build.
const PATIENCE: Duration = Duration::from_secs(8);

/// A simulator on a free port of loopback.
async fn start(cameras: Vec<CameraSpec>) -> Simulator {
    Simulator::start(([127, 0, 0, 1], 0).into(), cameras).await.expect("loopback has a free port")
}

/// Asks again and again until `is_true`, for effects that no message announces.
async fn until(what: &str, is_true: impl Fn() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let wait = async {
        while !is_true() {
            look.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never came: {what}");
}
