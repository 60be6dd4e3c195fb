//! What evidence takes, what may still come, and how long that lasts.
//!
//! There is one measure for both bounds: the *room* is the budget, or what is used and what the disk has free beyond its
//! reserve, whichever is smaller. New evidence shrinks by it in the order in which kinds give way.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use xueliang_base::{alert::EvidenceKind, time::Wall};

use super::{
    DAY, Evidence, EvidenceOptions,
    files::disk_space,
    reserve::{Reserve, Room},
};
use crate::{
    error::Result,
    store::{EvidenceBytes, evidence_in},
};

/// The forecast looks back this far.
const LOOK_BACK_DAYS: u32 = 7;

/// Space taken, and how long it lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Bytes kept.
    pub used_bytes: u64,
    /// Bytes allowed by the budget.
    pub max_bytes: u64,
    /// Bytes allowed by budget and disk together.
    pub room_bytes: u64,
    /// Pieces kept.
    pub pieces: u64,
    /// Bytes and pieces kept of each kind, as [`EvidenceKind::ALL`] orders them.
    pub kinds: [(u64, u64); 3],
    /// Days until nothing more fits, when as much comes as in the past 7 days and goes as promised; `None` when that is
    /// not within the days that evidence is kept.
    pub days_left: Option<f64>,
    /// Free bytes of the disk; 0 when it does not tell.
    pub disk_free_bytes: u64,
    /// Of them, reserved for record and spool.
    pub reserve_bytes: u64,
    /// Alerts whose evidence is held.
    pub held_alerts: u64,
}

impl Usage {
    /// As the files of a state folder have it, whether a service runs on it or not; `None` where there is no store yet, or
    /// one of an earlier version.
    pub fn in_files(state_dir: &Path, options: &EvidenceOptions, now: Wall) -> Result<Option<Usage>> {
        let since = now.minus(DAY * LOOK_BACK_DAYS);
        let Some(bytes) = evidence_in(state_dir, since, now, options.keep_days)? else { return Ok(None) };
        let reserve = Reserve::new(options.reserve_bytes, options.free_bytes.clone());
        Ok(Some(Usage::of(
            &bytes,
            disk_space(state_dir).ok().map(|space| reserve.of(space)),
            options.max_bytes,
        )))
    }
    fn of(bytes: &EvidenceBytes, disk: Option<Room>, max_bytes: u64) -> Self {
        let used_bytes = bytes.kinds.iter().map(|(bytes, _)| bytes).sum();
        let room_bytes = disk.map_or(max_bytes, |disk| max_bytes.min(disk.open().saturating_add(used_bytes)));
        Self {
            used_bytes,
            max_bytes,
            room_bytes,
            pieces: bytes.kinds.iter().map(|(_, pieces)| pieces).sum(),
            kinds: bytes.kinds,
            days_left: days_left(used_bytes, room_bytes, bytes.since, &bytes.leaving),
            disk_free_bytes: disk.map_or(0, |disk| disk.free),
            reserve_bytes: disk.map_or(0, |disk| disk.reserve),
            held_alerts: bytes.held_alerts,
        }
    }
    /// The share of the room that is used, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub fn share(&self) -> f64 {
        if self.room_bytes == 0 { 1.0 } else { (self.used_bytes as f64 / self.room_bytes as f64).min(1.0) }
    }
}

/// Why a piece found no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The budget is used up.
    Budget,
    /// The rest of the disk is reserved for record and spool.
    Reserve,
}

impl NoRoom {
    /// All.
    pub const ALL: [NoRoom; 2] = [NoRoom::Budget, NoRoom::Reserve];
    /// The word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            NoRoom::Budget => "budget",
            NoRoom::Reserve => "reserve",
        }
    }
}

/// Pieces refused since the start, by kind and reason.
#[derive(Debug, Default)]
pub struct Refusals([[AtomicU64; 2]; 3]);

impl Refusals {
    /// How many of a kind.
    pub fn of(&self, kind: EvidenceKind, why: NoRoom) -> u64 {
        self.0[kind as usize][why as usize].load(Ordering::Relaxed)
    }
    pub(super) fn count(&self, kind: EvidenceKind, why: NoRoom) {
        self.0[kind as usize][why as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Evidence {
    /// The order in which kinds give way: clips at 90 % of the room, previews at 95 %, stills when it is used up.
    pub(super) async fn no_room(&self, kind: EvidenceKind, size: u64) -> Result<Option<(NoRoom, String)>> {
        let share = match kind {
            EvidenceKind::Clip => 90,
            EvidenceKind::Preview => 95,
            EvidenceKind::Still => 100,
        };
        let (max, word) = (self.options.max_bytes, kind.word());
        let used = self.store.evidence_kept().await?;
        let with_it = used.saturating_add(size);
        if with_it > max / 100 * share {
            let text = format!(
                "evidence takes {used} of {max} bytes: no {word} is kept above {share} %; allow more or wait until older \
                 ones are past their time"
            );
            return Ok(Some((NoRoom::Budget, text)));
        }
        let Some(disk) = self.reserve.room(&self.files).await else { return Ok(None) };
        let room = used.saturating_add(disk.open());
        Ok((with_it > room / 100 * share).then(|| {
            let Room { free, reserve } = disk;
            let text = format!(
                "the disk has {free} bytes free, of which {reserve} are reserved for the record and the spool: no {word} \
                 is kept above {share} % of the rest; make room on the disk"
            );
            (NoRoom::Reserve, text)
        }))
    }
    /// Space taken, and how long it lasts.
    pub async fn usage(&self) -> Result<Usage> {
        let now = self.clock.wall();
        let since = now.minus(DAY * LOOK_BACK_DAYS);
        let bytes = self.store.evidence_bytes(since, now, self.options.keep_days).await?;
        Ok(Usage::of(&bytes, self.reserve.room(&self.files).await, self.options.max_bytes))
    }
}

/// Goes through the coming days: each brings as much as one of the past days, and lets go at its end of what was promised
/// until then.
#[expect(clippy::cast_precision_loss, reason = "a forecast needs no more than 52 bits")]
fn days_left(used: u64, room: u64, past: u64, leaving: &[u64]) -> Option<f64> {
    if past == 0 {
        return None;
    }
    let a_day = past as f64 / f64::from(LOOK_BACK_DAYS);
    let mut left = room as f64 - used as f64;
    let mut days = 0.0;
    for leaves in leaving {
        if left <= a_day {
            return Some(days + (left / a_day).max(0.0));
        }
        left += *leaves as f64 - a_day;
        days += 1.0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forecast_counts_what_comes_and_what_goes() {
        assert_eq!(days_left(100, 1000, 0, &[0; 30]), None, "nothing comes");
        assert_eq!(days_left(100, 1000, 700, &[0; 30]), Some(9.0));
        assert_eq!(days_left(100, 1050, 700, &[0; 30]), Some(9.5));
        assert_eq!(days_left(1000, 1000, 700, &[0; 30]), Some(0.0));
        assert_eq!(days_left(2000, 1000, 700, &[0; 30]), Some(0.0));
        // A store in its steady state never fills, however full it is.
        assert_eq!(days_left(850, 1000, 700, &[100; 30]), None);
        // Half of what comes goes as well.
        assert_eq!(days_left(0, 1000, 700, &[50; 30]), Some(19.0));
        assert_eq!(days_left(0, 1_000_000, 700, &[0; 30]), None, "not within the days it is kept");
    }
}
