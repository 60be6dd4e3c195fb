//! The few threads that all sessions of a process share. What blocks, as GStreamer does, brings a thread of its own.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use tokio::runtime::{Builder, Handle, Runtime};

/// A session over retina takes 0.04 % of a core: two threads carry thousands, and one that is held up holds up half.
const THREADS: usize = 2;
/// For names that are looked up; the system's resolver blocks.
const LOOKUPS: usize = 4;

static SHARED: Mutex<Option<Runtime>> = Mutex::new(None);

/// Where sessions run. The first call starts the threads; they live as long as the process.
pub(super) fn handle() -> io::Result<Handle> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*shared {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(LOOKUPS)
        .thread_name("sessions")
        .enable_all()
        .build()?;
    Ok(shared.insert(runtime).handle().clone())
}
