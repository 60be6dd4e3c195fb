//! Accounts of access units over changes of the configuration (promise 3).
//!
//! A camera whose stream or rules change gets a new cell, with a new ring and an empty account; a removed one has none any
//! more. The ledger adds up what the cells of one camera counted, so that nothing that was received is ever taken back, and
//! shows a removed camera's account for a while after its last unit has found its column. A sub-stream has an account of its
//! own, beside that of the main stream.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::AddAssign,
    sync::{Arc, Mutex},
    time::Duration,
};

use xueliang_base::{
    accounting::{Account, Skipped},
    id::CameraId,
    time::Mono,
};

use crate::node::camera::Cell;

/// A removed camera's account is shown for so long: several times the interval at which metrics are read.
const SHOWN: Duration = Duration::from_secs(300);
/// Whoever looks at a retired cell empties it when the configuration reaches it; after so long it is done here.
const PATIENCE: Duration = Duration::from_secs(10);

/// Cells that were replaced or removed, on their way to the ledger. It is emptied every second, and holds at most the
/// cameras of the configurations of that time.
#[derive(Default)]
pub struct Retired(Mutex<Vec<Arc<Cell>>>);

impl Retired {
    /// Hands over cells that nothing is delivered to any more.
    pub fn push(&self, cells: Vec<Arc<Cell>>) {
        self.0.lock().expect("no code panics while it holds this lock").extend(cells);
    }
    fn take(&self) -> Vec<Arc<Cell>> {
        std::mem::take(&mut *self.0.lock().expect("no code panics while it holds this lock"))
    }
}

/// What the cells of a camera counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Units of its main stream.
    pub(super) main: Account,
    /// Units of its sub-stream.
    pub(super) sub: Account,
}

impl Counted {
    fn of(cell: &Cell) -> Self {
        let sub = cell.sub.as_ref().map(|sub| sub.ring.account()).unwrap_or_default();
        Self { main: cell.ring.account(), sub }
    }
    /// Whether every unit has found its column.
    fn is_settled(&self) -> bool {
        [&self.main, &self.sub].iter().all(|account| account.in_ring == 0 && account.in_flight == 0)
    }
}

impl AddAssign<&Counted> for Counted {
    fn add_assign(&mut self, other: &Counted) {
        self.main += &other.main;
        self.sub += &other.sub;
    }
}

/// Accounts by camera.
#[derive(Default)]
pub(super) struct Ledger {
    /// What cells counted that are gone, and when the last of them went.
    past: BTreeMap<CameraId, (Counted, Mono)>,
    /// Cells that still hold undecided units, and since when nothing comes to them.
    leaving: Vec<(Arc<Cell>, Mono)>,
}

/// The ledger at one moment.
pub(super) struct Page {
    /// Of every camera, and of those that went a while ago.
    pub(super) accounts: BTreeMap<CameraId, Counted>,
    /// Cameras whose account is shown no more.
    pub(super) forgotten: Vec<CameraId>,
}

impl Ledger {
    /// Adds up. `cells` must have been read before this is called.
    pub(super) fn page(
        &mut self,
        now: Mono,
        cells: &BTreeMap<CameraId, Arc<Cell>>,
        retired: &Retired,
    ) -> Page {
        self.leaving.extend(retired.take().into_iter().map(|cell| (cell, now)));
        let mut accounts: BTreeMap<CameraId, Counted> =
            cells.iter().map(|(id, cell)| (id.clone(), Counted::of(cell))).collect();
        let mut still_leaving = Vec::new();
        for (cell, since) in std::mem::take(&mut self.leaving) {
            let id = &cell.camera.id;
            // It was retired between the reading of the cells and now.
            if cells.get(id).is_some_and(|current| Arc::ptr_eq(current, &cell)) {
                still_leaving.push((cell, since));
                continue;
            }
            if now.since(since) >= PATIENCE {
                cell.clear(Skipped::Removed);
            }
            let account = Counted::of(&cell);
            if account.is_settled() {
                let (past, went) = self.past.entry(id.clone()).or_default();
                *past += &account;
                *went = now;
            } else {
                *accounts.entry(id.clone()).or_default() += &account;
                still_leaving.push((cell, since));
            }
        }
        self.leaving = still_leaving;
        let mut forgotten = Vec::new();
        self.past.retain(|id, (past, went)| {
            let entry = accounts.entry(id.clone());
            if matches!(entry, Entry::Vacant(_)) && now.since(*went) >= SHOWN {
                forgotten.push(id.clone());
                return false;
            }
            *entry.or_default() += past;
            true
        });
        Page { accounts, forgotten }
    }

    /// Cells that are gone and not settled yet.
    pub(super) fn leaving(&self) -> usize {
        self.leaving.len()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use xueliang_base::{
        look::NotLooked,
        time::Wall,
        unit::{AccessUnit, Codec},
    };
    use xueliang_ingest::{
        ring::{Ring, Settled},
        session::UnitSink,
    };

    use super::*;
    use crate::node::testing;

    fn at(s: u64) -> Mono {
        Mono(3_600_000_000_000 + s * 1_000_000_000)
    }

    fn cell() -> Arc<Cell> {
        let camera = Arc::new(testing::config().cameras[0].clone());
        Arc::new(Cell::new(camera, Ring::new(1 << 20, Duration::from_secs(20)), Arc::default(), Wall(0)))
    }

    fn deliver(cell: &Cell, count: u64) {
        let first = cell.ring.account().received + 1;
        for seq in first..first + count {
            cell.unit(AccessUnit {
                seq,
                codec: Codec::H264,
                keyframe: true,
                discontinuity: seq == 1,
                pts_us: None,
                arrival: at(0).plus(Duration::from_millis(seq)),
                arrival_wall: Wall(0),
                camera_time: None,
                data: Bytes::from_static(b"unit"),
            });
        }
    }

    #[test]
    fn nothing_received_is_taken_back_when_cameras_change_or_go() {
        let (mut ledger, retired) = (Ledger::default(), Retired::default());
        let (old, new) = (cell(), cell());
        let id = old.camera.id.clone();
        let now_old = BTreeMap::from([(id.clone(), old.clone())]);
        let now_new = BTreeMap::from([(id.clone(), new.clone())]);
        let of = |page: &Page| page.accounts[&id].main.clone();

        deliver(&old, 10);
        let look = old.ring.take_keyframe().unwrap();
        assert_eq!(of(&ledger.page(at(1), &now_old, &retired)).received, 10);
        // It is replaced while a look is under way; the cells were read just before.
        retired.push(vec![old.clone()]);
        let between = of(&ledger.page(at(2), &now_old, &retired));
        assert_eq!((between.received, between.missing()), (10, 0), "counted once");
        deliver(&new, 3);
        let after = of(&ledger.page(at(3), &now_new, &retired));
        assert_eq!((after.received, after.in_flight, after.missing()), (13, 1, 0));
        old.ring.clear(Skipped::Removed);
        old.ring.settle(&look.ticket, Settled::Lost(NotLooked::WorkerLost));
        for s in [4, 400] {
            let settled = of(&ledger.page(at(s), &now_new, &retired));
            assert_eq!((settled.received, settled.missing()), (13, 0));
            assert_eq!(settled.lost[&NotLooked::WorkerLost], 1);
        }
        // It goes. Nobody empties its ring.
        retired.push(vec![new]);
        let none = BTreeMap::new();
        assert_eq!(of(&ledger.page(at(401), &none, &retired)).in_ring, 3);
        let gone = of(&ledger.page(at(411), &none, &retired));
        assert_eq!((gone.received, gone.in_ring, gone.missing()), (13, 0, 0));
        assert_eq!(gone.skipped[&Skipped::Removed], 3);
        assert_eq!(of(&ledger.page(at(710), &none, &retired)), gone, "long enough to be read");
        let page = ledger.page(at(711), &none, &retired);
        assert!(page.accounts.is_empty());
        assert_eq!(page.forgotten, [id]);
    }

    #[test]
    fn a_sub_stream_has_an_account_of_its_own_that_outlives_its_cell() {
        let (mut ledger, retired) = (Ledger::default(), Retired::default());
        let mut camera = testing::config().cameras[0].clone();
        camera.sub_stream = Some(camera.stream.clone());
        let ring = Ring::new(1 << 20, Duration::from_secs(20));
        let cell = Arc::new(Cell::new(Arc::new(camera), ring, Arc::default(), Wall(0)));
        let id = cell.camera.id.clone();
        let cells = BTreeMap::from([(id.clone(), cell.clone())]);
        deliver(&cell, 3);
        let sub = cell.sub.as_ref().unwrap();
        for seq in 1..=7 {
            sub.unit(AccessUnit {
                seq,
                codec: Codec::H264,
                keyframe: seq == 1,
                discontinuity: seq == 1,
                pts_us: None,
                arrival: at(0).plus(Duration::from_millis(seq)),
                arrival_wall: Wall(0),
                camera_time: None,
                data: Bytes::from_static(b"unit"),
            });
        }
        let span = sub.ring.take_from_keyframe().unwrap();
        let counted = ledger.page(at(1), &cells, &retired).accounts[&id].clone();
        assert_eq!((counted.main.received, counted.sub.received, counted.sub.in_flight), (3, 7, 7));
        // Its camera goes, with a turn under way: what it counted stays.
        retired.push(vec![cell.clone()]);
        cell.clear(Skipped::Removed);
        let none = BTreeMap::new();
        let leaving = ledger.page(at(2), &none, &retired).accounts[&id].clone();
        assert_eq!((leaving.sub.in_flight, leaving.sub.missing(), ledger.leaving()), (7, 0, 1));
        sub.ring.settle(&span.ticket, Settled::Looked { looked_seq: 1, decoded: 7 });
        sub.ring.also_looked_at(2..=7);
        let gone = ledger.page(at(3), &none, &retired).accounts[&id].clone();
        assert_eq!((gone.sub.received, gone.sub.missing(), ledger.leaving()), (7, 0, 0));
        // Pictures that came out after it was emptied were decoded all the same.
        assert_eq!(gone.sub.looked_at + gone.sub.referenced, 7);
    }
}
