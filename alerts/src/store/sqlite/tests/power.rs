//! Cuts of the power at random moments of random histories: what was acknowledged or shown is there afterwards.
//!
//! The seed is printed; `XUELIANG_SEED` runs one again.

use std::collections::{BTreeMap, BTreeSet};

use xueliang_base::kind::Lane;

use super::*;
use crate::{
    flood::Limits,
    store::{
        Suppressions as _,
        faulty_disk::{Fault, FaultyDisk},
    },
    testing::{Dice, major, minor, resolved},
};

const MINUTE: Duration = Duration::from_secs(60);

type Shown = Arc<Mutex<BTreeMap<u64, (String, u64)>>>;

struct World {
    disk: FaultyDisk,
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    dice: Dice,
    /// Latest states, as their publisher knows them.
    alerts: Vec<Alert>,
    /// What was sent and is not acknowledged; it is sent again after the cut, as a spool does.
    doubtful: Vec<Alert>,
    acknowledged: BTreeSet<(String, u64)>,
    /// Entries of audit and register that were acknowledged, and those that were tried.
    audited: (u64, u64),
    shown: Shown,
}

fn name(alert: &v1::Alert) -> (String, u64) {
    (alert.alert_id.clone(), alert.revision)
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            disk: FaultyDisk::new(),
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::at(NOW),
            dice: Dice(seed),
            alerts: Vec::new(),
            doubtful: Vec::new(),
            acknowledged: BTreeSet::new(),
            audited: (0, 0),
            shown: Shown::default(),
        }
    }
    fn open(&self) -> SqliteStore {
        let shown = Arc::clone(&self.shown);
        let on_commit = Arc::new(move |rows: Vec<Arc<FeedRow>>| {
            let rows = rows.iter().map(|row| (row.seq, name(row.record.alert.as_ref().unwrap())));
            shown.lock().unwrap().extend(rows);
        });
        // A small log, so that checkpoints are cut off as well.
        let options = SqliteOptions {
            vfs: Some(self.disk.vfs()),
            checkpoint_bytes: 32 << 10,
            floods: Limits {
                per_camera: 3,
                per_division: 5,
                window: MINUTE,
                quiet: MINUTE,
                ..Limits::default()
            },
            ..SqliteOptions::default()
        };
        SqliteStore::open(self.folder.path(), self.clock.clone(), &options, on_commit).unwrap()
    }
    fn new_state(&mut self) -> Alert {
        let known = self.alerts.len() as u64;
        let next = match self.dice.roll(4) {
            0 => critical(),
            1 => {
                if self.dice.roll(2) == 0 {
                    major()
                } else {
                    minor()
                }
            }
            // An alert that is over stays so.
            roll if known > 0 => {
                let index = usize::try_from(self.dice.roll(known)).unwrap();
                let alert = self.alerts.swap_remove(index);
                if !alert.state.is_firing() {
                    return self.begin(large());
                }
                if roll == 2 { next_state(&alert) } else { resolved(&alert) }
            }
            _ => large(),
        };
        self.begin(next)
    }
    fn begin(&mut self, state: Alert) -> Alert {
        self.alerts.push(state.clone());
        state
    }
    /// Sends states with several calls at once; whether all were taken.
    async fn send(&mut self, store: &SqliteStore, states: Vec<Alert>) -> bool {
        let received = self.clock.mono();
        let calls = states.chunks(3).map(|states| {
            let incoming =
                states.iter().map(|alert| Incoming { alert: alert.clone(), received, told: false });
            store.publish(incoming.collect())
        });
        let mut all = true;
        for (answer, states) in futures::future::join_all(calls).await.into_iter().zip(states.chunks(3)) {
            match answer {
                Ok(outcomes) => {
                    for (outcome, alert) in outcomes.iter().zip(states) {
                        assert!(matches!(outcome, Outcome::Committed(_) | Outcome::Duplicate), "{outcome:?}");
                        self.acknowledged.insert(key_of(alert));
                    }
                }
                Err(_) => {
                    all = false;
                    self.doubtful.extend_from_slice(states);
                }
            }
        }
        all
    }
    /// One life of the store: until the power is cut.
    async fn live(&mut self) {
        let store = self.open();
        self.check(&store).await;
        let again = std::mem::take(&mut self.doubtful);
        // One call, in order: the states of one alert must not overtake one another.
        for state in again {
            assert!(self.send(&store, vec![state]).await, "the disk works");
        }
        let seed = self.dice.roll(u64::MAX);
        let mut dice = Dice(seed);
        self.disk.cut_power_after(self.dice.roll(200), Box::new(move |sides| dice.roll(sides)));
        while !self.disk.is_cut() {
            let mut states: Vec<Alert> = (0..=self.dice.roll(8)).map(|_| self.new_state()).collect();
            // Two states of one alert in calls that run side by side may come in any order: leave the later ones out.
            let mut seen = BTreeSet::new();
            states.retain(|state| seen.insert(state.id));
            self.alerts.retain(|alert| !seen.contains(&alert.id));
            self.alerts.extend_from_slice(&states);
            self.send(&store, states).await;
            self.audit(&store).await;
            if self.dice.roll(16) == 0 {
                self.clock.advance(MINUTE);
                // Whatever of this the cut leaves is looked at when the power is back.
                let _cut = self.look(&store).await;
            }
        }
        drop(store);
        self.disk.restore_power().unwrap();
    }
    /// Somebody did something, and somebody asked for pixels.
    async fn audit(&mut self, store: &SqliteStore) {
        let entry = AuditEntry { principal: "ana".into(), action: "test", subject: "s".into() };
        let call = v1::RegisterEntry { principal: "bo".into(), reason: "why".into(), ..Default::default() };
        let (entry, call) = futures::join!(store.audit(entry), store.register(call));
        self.audited.0 += u64::from(entry.is_ok()) + u64::from(call.is_ok());
        self.audited.1 += 2;
    }
    /// Every entry that was acknowledged is there, and each that is there has its link.
    async fn check_audit(&self, store: &SqliteStore) {
        let report = store.write(|db, _| crate::store::verify::verify(db, &[], None)).await.unwrap();
        assert!(report.holds(), "{report:?}");
        let (kept, tried) = self.audited;
        assert!((kept..=tried).contains(&report.entries), "{kept} to {tried}: {report:?}");
    }
    /// Floods grow and end, and what still fires then is shown.
    async fn look(&self, store: &SqliteStore) -> Result<()> {
        store.tend_floods().await?;
        let (due, _) = store.releasable(0).await?;
        store.release(due).await
    }
    /// Each member of a flood is listed, and counted once.
    async fn check_floods(&self, store: &SqliteStore) -> BTreeSet<(String, u64)> {
        let miscounted = store.write(|db, _| {
            Ok(db.query_row(
                "SELECT count(*) FROM flood f WHERE members <> (SELECT count(DISTINCT alert_id) FROM suppression p \
                 WHERE p.inhibitor = f.alert_id) OR told > members OR NOT EXISTS (SELECT 1 FROM alert a \
                 WHERE a.alert_id = f.alert_id AND a.firing = (f.until_us IS NULL))",
                [],
                |row| row.get::<_, i64>(0),
            )?)
        });
        assert_eq!(miscounted.await.unwrap(), 0, "floods that are not what they say");
        let suppressed = store.write(|db, _| {
            let mut query = db.prepare(
                "SELECT s.alert_id, s.revision FROM suppressed_state x JOIN alert_state s USING (seq)",
            )?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
            Ok(rows.collect::<std::result::Result<_, rusqlite::Error>>()?)
        });
        suppressed.await.unwrap()
    }
    /// All that was acknowledged is there, once and in order, and so is all that was shown, where it was shown.
    async fn check(&self, store: &SqliteStore) {
        let sound = store
            .write(|db, _| Ok(db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?));
        assert_eq!(sound.await.unwrap(), "ok");
        self.check_audit(store).await;
        let mut feed = BTreeMap::new();
        for lane in Lane::ALL {
            let query = FeedQuery {
                lane,
                filter: Arc::default(),
                after_exclusive: 0,
                upto_inclusive: store.head(),
                latest_only: false,
                limit: 100_000,
            };
            for row in store.feed_page(query).await.unwrap().rows {
                feed.insert(row.seq, name(row.record.alert.as_ref().unwrap()));
            }
        }
        let stored: BTreeSet<_> = feed.values().cloned().collect();
        assert_eq!(stored.len(), feed.len(), "nothing is there twice");
        let listed = self.check_floods(store).await;
        let lost: Vec<_> =
            self.acknowledged.difference(&stored).filter(|one| !listed.contains(*one)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        for (seq, shown) in self.shown.lock().unwrap().iter() {
            assert_eq!(feed.get(seq), Some(shown), "shown at {seq}");
        }
        let mut revisions: BTreeMap<&String, u64> = BTreeMap::new();
        for (id, revision) in feed.values() {
            let before = revisions.insert(id, *revision).unwrap_or(0);
            assert!(before < *revision, "{id}: {revision} after {before}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_or_shown_outlives_fifty_cuts_of_the_power() {
    let given = std::env::var("XUELIANG_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    });
    println!("XUELIANG_SEED={seed}");
    let mut world = World::new(seed);
    for _ in 0..50 {
        world.live().await;
    }
    let store = world.open();
    world.check(&store).await;
    let floods = store.write(|db, _| Ok(db.query_row("SELECT count(*) FROM flood", [], |row| row.get(0))?));
    let floods: i64 = floods.await.unwrap();
    assert!(floods > 0, "no flood came");
    assert!(world.audited.0 > 30, "{:?} entries were audited", world.audited);
    assert!(world.acknowledged.len() > 100, "{} states were acknowledged", world.acknowledged.len());
}

#[tokio::test]
async fn a_failed_sync_is_never_trusted_again_and_loses_nothing_acknowledged() {
    let mut world = World::new(1);
    let store = world.open();
    let before = vec![critical(), major()];
    assert!(world.send(&store, before).await);
    world.disk.set(Some(Fault::Sync));
    assert!(!world.send(&store, vec![minor()]).await, "not on disk, not acknowledged");
    assert!(store.health().failing.is_some());
    world.disk.set(None);
    let again = std::mem::take(&mut world.doubtful);
    assert!(world.send(&store, again).await);
    assert!(world.send(&store, vec![critical()]).await);
    assert_eq!(store.health().failing, None);
    // What the failed sync should have brought to disk is lost with the power, unless it was written anew.
    world.disk.cut_power_after(0, Box::new(|_| 0));
    assert!(!world.send(&store, vec![critical()]).await);
    drop(store);
    world.disk.restore_power().unwrap();
    let store = world.open();
    world.check(&store).await;
    assert_eq!(world.acknowledged.len(), 4);
}

#[tokio::test]
async fn a_disk_that_is_full_read_only_or_broken_is_told_and_recovers_by_itself() {
    for fault in [Fault::Full, Fault::ReadOnly, Fault::Write, Fault::Sync, Fault::Dead] {
        let mut world = World::new(2);
        let store = world.open();
        assert!(world.send(&store, vec![critical()]).await);
        world.disk.set(Some(fault));
        for _ in 0..3 {
            assert!(!world.send(&store, vec![large()]).await, "{fault:?}");
            assert!(store.health().failing.is_some(), "{fault:?}");
        }
        world.disk.set(None);
        // A publisher sends until it is taken. The first try may be the one that a descriptor tells an earlier fault to.
        let mut taken = false;
        for _ in 0..3 {
            let again = std::mem::take(&mut world.doubtful);
            taken = taken || world.send(&store, again).await;
        }
        assert!(taken, "{fault:?}");
        assert_eq!(store.health().failing, None, "{fault:?}");
        world.check(&store).await;
        assert_eq!(world.acknowledged.len(), 4, "{fault:?}");
    }
}
