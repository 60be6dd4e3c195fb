//! What the writer does to the disk, and how it comes back after the disk has failed.

use std::sync::{Mutex, atomic::AtomicU32};

use xueliang_base::{
    alert::Alert,
    time::{Clock as _, ManualClock},
};

use super::{writer::Urgency, *};
use crate::testing::{NOW, critical, key_of, next_state};

mod power;

/// A store and what it showed to consoles, in order.
struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    shown: Arc<Mutex<Vec<(String, u64)>>>,
    /// Pages that the file may have when it is opened next.
    pages: Arc<AtomicU32>,
    store: SqliteStore,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(NOW);
        let shown: Arc<Mutex<Vec<(String, u64)>>> = Arc::default();
        let pages = Arc::new(AtomicU32::new(u32::MAX));
        let told = Arc::clone(&shown);
        let on_commit = Arc::new(move |rows: Vec<Arc<FeedRow>>| {
            let keys = rows.iter().map(|row| row.record.alert.as_ref().unwrap());
            told.lock().unwrap().extend(keys.map(|alert| (alert.alert_id.clone(), alert.revision)));
        });
        let options = SqliteOptions {
            max_pages: Some(Arc::clone(&pages)),
            checkpoint_bytes: 256 << 10,
            ..SqliteOptions::default()
        };
        let store = SqliteStore::open(folder.path(), clock.clone(), &options, on_commit).unwrap();
        Self { folder, clock, shown, pages, store }
    }
    async fn publish(&self, alert: &Alert) -> Result<Outcome> {
        let incoming = Incoming { alert: alert.clone(), received: self.clock.mono(), told: false };
        self.store.publish(vec![incoming]).await.map(|outcomes| outcomes[0].clone())
    }
    fn pragma(&self, name: &'static str) -> impl Future<Output = Result<String>> {
        self.store.write(move |db, _| {
            let value =
                db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0));
            Ok(match value? {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => panic!("{other:?}"),
            })
        })
    }
}

fn large() -> Alert {
    let mut alert = critical();
    alert.place.address = Some("x".repeat(1000));
    alert
}

#[tokio::test]
async fn the_writer_syncs_its_log_at_every_commit_before_and_after_a_failure() {
    let bench = Bench::new();
    // 2 is FULL: the log is synced before a commit is answered.
    assert_eq!(bench.pragma("synchronous").await.unwrap(), "2");
    assert_eq!(bench.pragma("journal_mode").await.unwrap(), "wal");
    let refused =
        bench.store.write(|_, _| Err::<(), _>(Error::Unavailable("the disk fails".to_owned()))).await;
    assert!(refused.is_err() && bench.store.health().failing.is_some());
    assert_eq!(bench.pragma("synchronous").await.unwrap(), "2");
    assert_eq!(bench.pragma("journal_mode").await.unwrap(), "wal");
}

#[tokio::test]
async fn a_store_that_failed_comes_back_by_itself_and_shows_all_in_order() {
    let bench = Bench::new();
    let mut kept = vec![critical()];
    bench.publish(&kept[0]).await.unwrap();
    // The disk is full from now on: the connection in use fails, and each that is opened after it.
    bench.pages.store(60, Ordering::Relaxed);
    let full = bench.store.write(|_, _| Err::<(), _>(Error::Exhausted("the disk is full".to_owned()))).await;
    assert!(full.is_err());
    let refused = loop {
        let one = large();
        match bench.publish(&one).await {
            Ok(_) => kept.push(one),
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, Error::Exhausted(text) if text.contains("full")), "{refused}");
    assert!(bench.store.health().failing.is_some());
    assert!(bench.publish(&large()).await.is_err(), "it fails as long as the disk does");

    // A commit that was on disk although its fsync was reported as failed: nobody was told of it.
    let ghost = critical();
    let file = DbFile {
        path: bench.folder.path().join(STORE_FILE),
        what: "the store".to_owned(),
        steps: schema::STORE_STEPS,
        max_pages: None,
        vfs: None,
    };
    let db = file.open().unwrap();
    let other = Writer::spawn("ghost", file, db, bench.clock.clone(), None, SLOW_AFTER, u64::MAX).unwrap();
    let (shared, incoming) =
        (Shared::default(), Incoming { alert: ghost.clone(), received: bench.clock.mono(), told: false });
    other.run(Urgency::Usual, move |db, rows| publish::store(db, rows, &shared, &incoming)).await.unwrap();
    drop(other);
    kept.push(ghost);

    // Room again: the next state is taken, without anything being started anew.
    bench.pages.store(u32::MAX, Ordering::Relaxed);
    let after = next_state(&kept[0]);
    let head = bench.store.head();
    assert_eq!(bench.publish(&after).await.unwrap(), Outcome::Committed(head + 2));
    kept.push(after);
    assert_eq!(bench.store.health().failing, None);
    assert_eq!(bench.store.head(), kept.len() as u64);
    assert_eq!(*bench.shown.lock().unwrap(), kept.iter().map(key_of).collect::<Vec<_>>());
    let page = bench.store.feed_page(FeedQuery {
        lane: Lane::Critical,
        filter: Arc::default(),
        after_exclusive: 0,
        upto_inclusive: bench.store.head(),
        latest_only: false,
        limit: 1000,
    });
    let stored = page.await.unwrap().rows;
    assert_eq!(stored.len(), kept.len());
}

#[tokio::test]
async fn what_is_urgent_goes_before_what_waits_and_commits_are_kept_short() {
    let bench = Bench::new();
    let done: Arc<Mutex<Vec<&str>>> = Arc::default();
    let (busy, working) = std::sync::mpsc::sync_channel(1);
    let (begin, begun) = tokio::sync::oneshot::channel();
    let blocking = bench.store.write(move |_, _| {
        begin.send(()).unwrap();
        let () = working.recv().unwrap();
        Ok(())
    });
    let job = |name: &'static str, urgency| {
        let (done, clock) = (Arc::clone(&done), Arc::clone(&bench.clock));
        bench.store.writer.run(urgency, move |_, _| {
            clock.advance(Duration::from_millis(4));
            done.lock().unwrap().push(name);
            Ok(())
        })
    };
    let commits = bench.store.health().commits;
    let blocking = tokio::spawn(blocking);
    begun.await.unwrap();
    let usual = ["a", "b", "c"].map(|name| tokio::spawn(job(name, Urgency::Usual)));
    tokio::task::yield_now().await;
    let urgent = ["u", "v"].map(|name| tokio::spawn(job(name, Urgency::Urgent)));
    tokio::task::yield_now().await;
    busy.send(()).unwrap();
    blocking.await.unwrap().unwrap();
    for task in usual.into_iter().chain(urgent) {
        task.await.unwrap().unwrap();
    }
    // The commit that was under way takes the urgent ones; then each has worked long enough with one.
    assert_eq!(*done.lock().unwrap(), ["u", "v", "a", "b", "c"]);
    assert_eq!(bench.store.health().commits - commits, 4);
}

#[tokio::test]
async fn the_log_is_written_back_now_and_then_and_begins_anew() {
    let bench = Bench::new();
    for _ in 0..400 {
        bench.publish(&large()).await.unwrap();
    }
    let log = fs::metadata(bench.folder.path().join("store.db-wal")).unwrap().len();
    let commits = bench.store.health().commits;
    let checkpoints = bench.store.health().checkpoints;
    // 400 commits of some pages each are many times the 256 KiB after which it is written back.
    assert!((2..=commits / 4).contains(&checkpoints), "{checkpoints} of {commits}, {log} bytes");
    assert!(log < 6 << 20, "{log} bytes after {checkpoints} of {commits}");
}

#[tokio::test]
async fn edits_of_duty_are_made_beside_the_writer_and_all_that_come_at_once_are_kept() {
    use xueliang_base::config::Division;

    use crate::store::DutyStore as _;
    let bench = Bench::new();
    let division = |code: String, parent: Option<&str>| Division {
        code: code.parse().unwrap(),
        parent: parent.map(|code| code.parse().unwrap()),
        name: "n".to_owned(),
    };
    let threads: Arc<Mutex<Vec<String>>> = Arc::default();
    let edit = |divisions: Vec<Division>| -> crate::duty::Edit {
        let (threads, seed) = (Arc::clone(&threads), crate::duty::seed(divisions));
        Box::new(move |duty, now| {
            threads.lock().unwrap().push(std::thread::current().name().unwrap_or_default().to_owned());
            seed(duty, now)
        })
    };
    let seed = |count: u32| {
        let below = (1..=count).map(|number| division(format!("3302{number:02}"), Some("3302")));
        edit([division("3302".to_owned(), None)].into_iter().chain(below).collect())
    };
    // Each knows of what those before it made, or it would make that again.
    let all = (1..=8).map(|count| bench.store.edit_duty(seed(count)));
    futures::future::try_join_all(all).await.unwrap();
    let known = Arc::clone(&bench.store.duty);
    let writers = bench.store.write(move |db, _| known.within(db)).await.unwrap();
    let readers = bench.store.duty().await.unwrap();
    assert!(Arc::ptr_eq(&writers, &readers), "neither has to read it all again");
    assert_eq!(readers.tree.0.len(), 9);
    assert!(readers.tree.0.keys().all(|code| readers.tree.0.of(code).len() == 1), "{readers:?}");
    let threads = std::mem::take(&mut *threads.lock().unwrap());
    assert!(threads.len() == 8 && threads.iter().all(|name| name.starts_with("store-read-")), "{threads:?}");
    let told = format!("{readers:?}");
    let Bench { folder, clock, store, .. } = bench;
    drop(store);
    let store = SqliteStore::open(folder.path(), clock, &SqliteOptions::default(), Arc::new(|_| {})).unwrap();
    assert_eq!(format!("{:?}", store.duty().await.unwrap()), told, "what is known is what lies in the file");
}

#[tokio::test]
async fn drills_are_found_without_a_look_at_every_alert() {
    let bench = Bench::new();
    let of_camera = Filter { cameras: vec!["gate".parse().unwrap()], ..Filter::default() };
    for (filter, publisher) in [(of_camera, None), (Filter::default(), Some("bus".to_owned()))] {
        let query = ListQuery { filter, publisher, drills: true, limit: 200, ..ListQuery::default() };
        let plan = bench.store.read(move |db| query::listing(&query).plan(db)).await.unwrap();
        assert!(plan.first().is_some_and(|step| step.contains("alert_of_drill")), "{plan:?}");
    }
}
