//! The bus by itself against an oracle that knows what was acknowledged: killed at failpoints over and over, and behind a
//! network that fails. Seeds are printed, and taken from `XUELIANG_SEED`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod audit;
mod chaos;
mod consoles;
mod kills;
mod proxy;
mod seen;
mod site;

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The seed of this run: given, or taken from the clock; printed either way.
fn seed() -> u64 {
    let seed = std::env::var("XUELIANG_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        u64::from(std::process::id()) ^ std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64
    });
    println!("XUELIANG_SEED={seed}");
    seed
}
