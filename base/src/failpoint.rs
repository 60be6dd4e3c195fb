//! Places where a test lets a process die: builds without debug assertions know none.
//!
//! `XUELIANG_FAILPOINT=NAME:N` kills the process, as `kill -9` does, when it reaches the place of that name for the N-th
//! time. So a crash is placed between two steps that no signal from outside would hit.

/// Dies here when asked to.
#[cfg(debug_assertions)]
pub fn reach(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };
    static ARMED: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let asked = std::env::var("XUELIANG_FAILPOINT").ok()?;
        let (name, times) = asked.split_once(':')?;
        Some((name.to_owned(), AtomicU32::new(times.parse().ok()?)))
    });
    if let Some((armed, left)) = &*ARMED
        && armed == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        // Nothing is flushed, dropped or told: that is the point.
        let _killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing: this build has no such places.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reach(_name: &str) {}
