//! The part of the disk that evidence leaves free, so that the record and the spool can always be written.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tracing::debug;

use super::files::{DiskSpace, Files};

/// Where nothing else is said: so much of the disk, one part in this many …
const SHARE: u64 = 20;
/// … and no more than that.
const MOST: u64 = 1_000_000_000;
/// The size that stands for "nothing said".
const UNSAID: u64 = 0;

/// The free bytes of a disk, and those of them that evidence may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Free.
    pub(crate) free: u64,
    /// To be left free.
    pub(crate) reserve: u64,
}

impl Room {
    /// What evidence may take.
    pub(crate) fn open(self) -> u64 {
        self.free.saturating_sub(self.reserve)
    }
}

/// How much is to be left free.
pub(crate) struct Reserve {
    bytes: AtomicU64,
    taken_as_free: Option<Arc<AtomicU64>>,
}

impl Reserve {
    /// `bytes`, or 5 % of the disk and 1 GB at most. `taken_as_free` stands in for the disk's answer in tests.
    pub(crate) fn new(bytes: Option<u64>, taken_as_free: Option<Arc<AtomicU64>>) -> Self {
        Self { bytes: bytes.unwrap_or(UNSAID).into(), taken_as_free }
    }
    /// Says how much from now on.
    pub(crate) fn set(&self, bytes: Option<u64>) {
        self.bytes.store(bytes.unwrap_or(UNSAID), Ordering::Relaxed);
    }
    /// The room there is now; `None` when the disk does not tell: whether it can be written shows in writing.
    pub(crate) async fn room(&self, files: &Files) -> Option<Room> {
        let space = files.disk().await.inspect_err(|error| debug!(%error, "free space is not known")).ok()?;
        Some(self.of(space))
    }
    /// The room on a disk of that space.
    pub(crate) fn of(&self, disk: DiskSpace) -> Room {
        let free = self.taken_as_free.as_ref().map_or(disk.free, |free| free.load(Ordering::Relaxed));
        let reserve = match self.bytes.load(Ordering::Relaxed) {
            UNSAID => (disk.total / SHARE).min(MOST),
            bytes => bytes,
        };
        Room { free, reserve }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_keeps_five_percent_and_a_large_one_a_gigabyte() {
        let reserve = Reserve::new(None, None);
        let disk = |total| DiskSpace { free: 0, total };
        assert_eq!(reserve.of(disk(1_000_000_000)).reserve, 50_000_000);
        assert_eq!(reserve.of(disk(1_000_000_000_000)).reserve, 1_000_000_000);
        reserve.set(Some(7));
        assert_eq!(reserve.of(disk(1_000_000_000_000)).reserve, 7);
    }
}
