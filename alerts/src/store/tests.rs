//! The store by itself: what it refuses to forget, and that filters mean the same in SQL as in memory.

mod deliveries;

use std::path::Path;

use prost::Message as _;
use rusqlite::Connection;
use xueliang_base::{
    alert::Sha256,
    kind::{Kind, Level},
    point::PointClass,
};

use super::*;
use crate::error::Error;
use crate::testing::{Bench, alert};

pub(crate) fn set_schema(file: &Path, schema: i64) {
    let db = Connection::open(file).unwrap();
    db.execute_batch(&format!("PRAGMA user_version = {schema}")).unwrap();
}

/// Trims the feed behind the back of whoever has the store open: as a trim that is on disk and not yet told.
pub(crate) fn trim_unseen(folder: &Path, upto: u64) {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE; DELETE FROM feed WHERE seq <= {upto}; \
         INSERT OR REPLACE INTO meta (key, value) VALUES ('trimmed_to', x'{upto:016x}'); COMMIT"
    ))
    .unwrap();
}

/// Why the database of a state folder refuses a statement.
pub(crate) fn refusal(folder: &Path, sql: &str) -> String {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    db.execute_batch(sql).unwrap_err().to_string()
}

/// Entries of the audit: principal, action, subject.
pub(crate) fn audited(folder: &Path) -> Vec<(String, String, String)> {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    let mut query = db.prepare("SELECT principal, action, subject FROM audit ORDER BY entry_id").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Puts an account beside the service, without a word of who made it; one that is there stays.
pub(crate) fn put_account(folder: &Path, account: &v1::Account) {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    let sql = "INSERT OR IGNORE INTO account (name, content, revision, password, password_us, totp, totp_confirmed, \
               totp_step) VALUES (?1, ?2, 1, '', 0, x'', 0, 0)";
    db.execute(sql, (&account.name, prost::Message::encode_to_vec(account))).unwrap();
}

/// What the store says to a statement that it refuses.
pub(crate) fn refused(folder: &Path, sql: &str) -> String {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    db.execute_batch(sql).unwrap_err().to_string()
}

/// Says other words in the subjects of an action's entries: how many.
pub(crate) fn unsay(folder: &Path, action: &str, said: &str, instead: &str) -> usize {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    db.execute_batch("DROP TRIGGER audit_as_is").unwrap();
    let sql = "UPDATE audit SET subject = replace(subject, ?2, ?3) WHERE action = ?1";
    db.execute(sql, [action, said, instead]).unwrap()
}

/// Makes the rows of an alert's evidence unreadable.
pub(crate) fn damage_evidence(folder: &Path, alert: AlertId) {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    let changed = db.execute("UPDATE evidence SET facts = x'ffff' WHERE alert_id = ?1", [alert.to_string()]);
    assert_eq!(changed.unwrap(), 1);
}

/// Lets the store of a folder fail at every state of one alert, and at nothing else.
pub(crate) fn stumble_over(folder: &Path, alert: AlertId) {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    db.execute_batch(&format!(
        "CREATE TRIGGER stumble BEFORE INSERT ON alert_state WHEN NEW.alert_id = '{alert}' \
         BEGIN SELECT RAISE(ABORT, 'a fault of ours'); END"
    ))
    .unwrap();
}

/// Lets the store of a folder fail at every entry of the audit or of the register from now on.
pub(crate) fn refuse_entries(folder: &Path, table: &str) {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    db.execute_batch(&format!(
        "CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'a fault of ours'); END"
    ))
    .unwrap();
}

/// Makes a spool as the version before queues left it.
pub(crate) fn make_spool_without_queues(folder: &Path, states: &[Alert]) {
    let db = Connection::open(folder.join("spool.db")).unwrap();
    schema::SPOOL_STEPS[..2].iter().for_each(|step| db.execute_batch(step).unwrap());
    db.execute_batch("PRAGMA user_version = 2").unwrap();
    for alert in states {
        let content = v1::Alert::from(alert).encode_to_vec();
        db.execute(
            "INSERT INTO item (kind, alert_id, revision, content, data_file, size_bytes, minted_us, minted_mono_ns, boot) \
             VALUES (0, ?1, ?2, ?3, '', ?4, 1, 1, 'boot')",
            rusqlite::params![
                alert.id.to_string(),
                i64::try_from(alert.revision.0).unwrap(),
                content,
                i64::try_from(content.len()).unwrap()
            ],
        )
        .unwrap();
    }
}

/// Keeps a file from being written until it is dropped.
pub(crate) fn hold(file: &Path) -> impl Send + use<> {
    let db = Connection::open(file).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

/// Makes every commit of a state take long, once its row is made.
pub(crate) fn slow_down(folder: &Path) {
    let db = Connection::open(folder.join(STORE_FILE)).unwrap();
    db.execute_batch(
        "CREATE TRIGGER slow AFTER INSERT ON alert_state BEGIN SELECT count(*) FROM \
         (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000) SELECT n FROM c); END",
    )
    .unwrap();
}

#[tokio::test]
async fn history_register_and_audit_refuse_to_be_changed() {
    let bench = Bench::new();
    bench.commit(&[alert(Kind::FireFlame, 2)]).await;
    let audit = AuditEntry { principal: "p".into(), action: "test", subject: "s".into() };
    bench.bus.store().audit(audit).await.unwrap();
    bench.bus.store().register(v1::RegisterEntry::default()).await.unwrap();
    let db = Connection::open(bench.folder.path().join(STORE_FILE)).unwrap();
    for sql in [
        "DELETE FROM alert_state",
        "UPDATE alert_state SET content = x'00'",
        "DELETE FROM alert",
        "UPDATE feed SET lane = 1",
        "DELETE FROM register",
        "UPDATE register SET granted = 1",
        "DELETE FROM audit",
        "UPDATE audit SET subject = ''",
    ] {
        let refused = db.execute_batch(sql).unwrap_err().to_string();
        assert!(refused.contains("append-only") || refused.contains("never deleted"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn filters_mean_the_same_in_memory_and_in_sql() {
    let bench = Bench::new();
    let mut alerts = Vec::new();
    for (index, kind) in
        [Kind::FireFlame, Kind::LeftObject, Kind::CamOffline, Kind::CamCovered].into_iter().enumerate()
    {
        for level in 2..=4 {
            let mut one = alert(kind, level);
            one.place.camera = format!("cam-{}", index % 2).parse().unwrap();
            let path = [["33", "3301"], ["33", "3302"], ["34", "3301"]][index % 3];
            one.place.division_path = path.iter().map(|code| code.parse().unwrap()).collect();
            one.place.class = [None, Some(PointClass::First), Some(PointClass::Third)][level as usize % 3];
            alerts.push(one);
        }
    }
    // It stands for cameras in other divisions.
    let mut down = alert(Kind::UpstreamDown, 3);
    down.place.division_path = vec!["33".parse().unwrap()];
    down.behind = ["cam-1", "quay"].map(|id| id.parse().unwrap()).to_vec();
    down.divisions_behind = ["3301", "3303"].map(|code| code.parse().unwrap()).to_vec();
    down.classes_behind = vec![PointClass::Other];
    alerts.push(down);
    bench.commit(&alerts).await;
    let reach = |parts: &[&str]| Some(parts.iter().map(|part| part.parse().unwrap()).collect());
    let filters = [
        Filter::default(),
        Filter { cameras: vec!["quay".parse().unwrap()], ..Filter::default() },
        Filter { cameras: vec!["qua".parse().unwrap(), "uay".parse().unwrap()], ..Filter::default() },
        Filter { divisions: vec!["3303".parse().unwrap()], ..Filter::default() },
        Filter { within: Some(vec!["3303".parse().unwrap()]), ..Filter::default() },
        Filter { kinds: vec![1101, 8101], ..Filter::default() },
        Filter { classes: vec![3], ..Filter::default() },
        Filter { least_level: Some(Level::MAJOR), ..Filter::default() },
        Filter { cameras: vec!["cam-1".parse().unwrap()], ..Filter::default() },
        Filter { divisions: vec!["3301".parse().unwrap()], ..Filter::default() },
        Filter { divisions: vec!["33".parse().unwrap(), "3".parse().unwrap()], ..Filter::default() },
        Filter {
            classes: vec![3],
            least_level: Some(Level::MAJOR),
            divisions: vec!["33".parse().unwrap()],
            ..Filter::default()
        },
        Filter { within: Some(vec!["3302".parse().unwrap()]), ..Filter::default() },
        Filter {
            divisions: vec!["33".parse().unwrap()],
            within: Some(vec!["34".parse().unwrap(), "3301".parse().unwrap()]),
            ..Filter::default()
        },
        Filter { within: Some(Vec::new()), ..Filter::default() },
        Filter { within: reach(&["3302#1", "3302#3"]), ..Filter::default() },
        Filter { within: reach(&["33#3"]), ..Filter::default() },
        Filter { within: reach(&["#1"]), ..Filter::default() },
        Filter { within: reach(&["#2", "3303#3"]), ..Filter::default() },
        // By the class of what is behind it, in one of its divisions.
        Filter { within: reach(&["3303#9"]), ..Filter::default() },
    ];
    let list = |filter| ListQuery { filter, limit: 1000, ..ListQuery::default() };
    let all = bench.bus.store().list(list(Filter::default())).await.unwrap();
    assert_eq!(all.len(), alerts.len());
    for filter in filters {
        let want: Vec<u64> = all.iter().filter(|row| filter.wants(&row.facts())).map(|row| row.seq).collect();
        let of_a_part = filter.cameras.iter().any(|id| id.as_str() == "quay")
            || filter.divisions.iter().any(|code| code.as_str() == "3303")
            || filter.within.iter().flatten().any(|one| ["3303", "3303#9"].contains(&one.as_str()));
        assert!(
            !of_a_part || want.len() == 1,
            "{filter:?}: what stands for a part is got by who asks for the part"
        );
        let rows = bench.bus.store().list(list(filter.clone())).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), want, "{filter:?}");
        let shared = Arc::new(filter);
        let snapshot =
            bench.bus.store().snapshot_page(Arc::clone(&shared), u64::MAX, None, 1000).await.unwrap();
        assert_eq!(snapshot.len(), want.len());
        let mut found = 0;
        for lane in Lane::ALL {
            let query = FeedQuery {
                lane,
                filter: Arc::clone(&shared),
                after_exclusive: 0,
                upto_inclusive: u64::MAX,
                latest_only: true,
                limit: 1000,
            };
            found += bench.bus.store().feed_page(query).await.unwrap().rows.len();
        }
        assert_eq!(found, want.len());
    }
}

#[tokio::test]
async fn nothing_is_written_behind_the_log_of_an_earlier_life() {
    let bench = Bench::new();
    let alerts = [alert(Kind::FireFlame, 2), alert(Kind::FireFlame, 2)];
    bench.commit(&alerts).await;
    // As a killed process leaves it: the log is not written back, and nobody knows what of it is on disk.
    let folder = tempfile::tempdir().unwrap();
    let log = |folder: &Path| folder.join(format!("{STORE_FILE}-wal"));
    std::fs::copy(bench.folder.path().join(STORE_FILE), folder.path().join(STORE_FILE)).unwrap();
    std::fs::copy(log(bench.folder.path()), log(folder.path())).unwrap();
    assert!(std::fs::metadata(log(folder.path())).unwrap().len() > 0);
    let store = SqliteStore::open(
        folder.path(),
        bench.clock.clone(),
        &SqliteOptions::default(),
        Arc::new(|_: Vec<Arc<FeedRow>>| ()),
    )
    .unwrap();
    assert_eq!(store.head(), 2);
    assert_eq!(std::fs::metadata(log(folder.path())).unwrap().len(), 0, "the log begins anew");
}

#[tokio::test]
async fn one_read_of_the_feed_looks_at_a_bounded_stretch_and_says_how_far() {
    let bench = Bench::new();
    for _ in 0..44 {
        bench.commit(&(0..250).map(|_| alert(Kind::ExposedGarbage, 4)).collect::<Vec<_>>()).await;
    }
    let rare = alert(Kind::CamOffline, 4);
    bench.commit(std::slice::from_ref(&rare)).await;
    let filter = Arc::new(Filter { kinds: vec![8101], ..Filter::default() });
    let (mut after, mut reads, mut found) = (0, 0, Vec::new());
    while after < 11_001 {
        let query = FeedQuery {
            lane: Lane::Minor,
            filter: Arc::clone(&filter),
            after_exclusive: after,
            upto_inclusive: 11_001,
            latest_only: true,
            limit: 10,
        };
        let page = bench.bus.store().feed_page(query).await.unwrap();
        assert!(page.upto > after && page.upto <= after + sqlite::SCAN && !page.cut);
        (after, reads) = (page.upto, reads + 1);
        found.extend(page.rows.iter().map(|row| row.alert));
    }
    assert_eq!((reads, found), (3, vec![rare.id]));
    // And a console gets there in the same way.
    let start = Cursor::start(bench.bus.store().epoch());
    let filter = (*filter).clone();
    let wanted = crate::bus::Subscribe { cursor: Some(start), filter, ..crate::bus::Subscribe::default() };
    let bench = bench.reopen().await;
    let mut console = bench.console("c", wanted).await;
    console.item().await;
    assert_eq!(crate::testing::key(&console.delivery().await), crate::testing::key_of(&rare));
}

#[tokio::test]
async fn pages_of_a_list_hold_everything_once() {
    let bench = Bench::new();
    bench.commit(&(0..25).map(|_| alert(Kind::LeftObject, 3)).collect::<Vec<_>>()).await;
    let mut seen = Vec::new();
    let mut before_exclusive = None;
    loop {
        let query = ListQuery { before_exclusive, limit: 10, ..ListQuery::default() };
        let rows = bench.bus.store().list(query).await.unwrap();
        seen.extend(rows.iter().map(|row| row.seq));
        before_exclusive = rows.last().map(|row| row.seq);
        if rows.len() < 10 {
            break;
        }
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_backup_names_all_its_files_and_a_restore_that_was_cut_off_is_done_again() {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    let bench = Bench::new();
    bench.commit(&[alert(Kind::FireFlame, 2)]).await;
    let outside = tempfile::tempdir().unwrap();
    let to = outside.path().join("backup");
    make_folder(&to).unwrap();
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o700);
    fs::write(to.join("registry.db"), b"registry").unwrap();
    fs::write(to.join("registry.db.key"), b"key").unwrap();
    let others = ["registry.db", "registry.db.key"];
    let taken = backup_files(bench.folder.path(), &to, &others, Wall(1)).unwrap();
    assert_eq!(taken.others[1].sha256, Sha256::of(b"key").to_string());
    assert!(make_folder(&to).is_err(), "a backup is never written over");

    // Cut off before the store came: the others are there, with a log of an earlier life.
    let state = outside.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("registry.db"), b"registry").unwrap();
    fs::write(state.join("registry.db-wal"), b"of another").unwrap();
    assert_eq!(restore(&to, &state).unwrap(), taken);
    assert_eq!(fs::read(state.join("registry.db.key")).unwrap(), b"key");
    assert_eq!(fs::metadata(state.join("registry.db.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!state.join("registry.db-wal").exists() && state.join(STORE_FILE).is_file());

    // Another registry is nobody's to write over, and a key that was changed is noticed; then nothing is put in place.
    let other = outside.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("registry.db"), b"another").unwrap();
    assert!(
        matches!(restore(&to, &other), Err(Error::Conflict(text)) if text.contains("move it away first"))
    );
    fs::remove_file(other.join("registry.db")).unwrap();
    fs::write(to.join("registry.db.key"), b"kex").unwrap();
    assert!(matches!(restore(&to, &other), Err(Error::DataLoss(_))));
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
}

#[tokio::test]
async fn a_store_of_the_first_schema_is_brought_up_with_its_sums_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let db = Connection::open(folder.path().join(STORE_FILE)).unwrap();
    db.execute_batch(schema::STORE_STEPS[0]).unwrap();
    db.execute_batch(
        "INSERT INTO evidence VALUES ('a', 1, 'sum', 70, x'', 5, 0), ('b', 1, 'sum', 30, x'', 5, 1), \
         ('c', 1, '', 0, x'', 5, 0); \
         INSERT INTO subscription VALUES ('desk', 'wall', x'', 5); PRAGMA user_version = 1",
    )
    .unwrap();
    drop(db);
    let clock = xueliang_base::time::ManualClock::at(crate::testing::NOW);
    let store =
        SqliteStore::open(folder.path(), clock, &SqliteOptions::default(), Arc::new(|_: Vec<_>| ())).unwrap();
    let bytes = store.evidence_bytes(Wall(0), Wall(5), 0).await.unwrap();
    assert_eq!((bytes.kinds, bytes.since), ([(70, 1), (0, 0), (0, 0)], 70));
    // A name that has a cursor is known: it is neither audited nor refused.
    store.add_subscriber("desk".into(), "wall".into(), 0).await.unwrap();
    assert!(audited(folder.path()).is_empty());
    assert!(store.add_subscriber("desk".into(), "another".into(), 0).await.is_err());
}

#[tokio::test]
async fn the_feed_is_trimmed_to_its_size_and_never_within_seven_days() {
    let day = Duration::from_secs(24 * 3600);
    let bench = Bench::with(crate::bus::BusOptions { feed_max_records: 4, ..crate::testing::options() });
    let store = bench.bus.store();
    assert_eq!(store.feed().await.unwrap(), Feed::default());
    for _ in 0..3 {
        bench.commit(&[alert(Kind::FireFlame, 2), alert(Kind::LeftObject, 3)]).await;
        bench.clock.advance(day * 3);
    }
    // Rows are 9, 6 and 3 days old: more than four of them, and only two may go.
    assert_eq!(store.trim_to(1).await.unwrap(), 2);
    assert_eq!((store.trim_to(1).await.unwrap(), store.trimmed_to()), (0, 2));
    let feed = store.feed().await.unwrap();
    assert_eq!((feed.records, feed.oldest), (4, Some(crate::testing::NOW.plus(day * 3))));
    bench.clock.advance(day * 30);
    assert_eq!(store.trim_to(4).await.unwrap(), 0, "it holds no more than it may");
    assert_eq!(store.trim_to(3).await.unwrap(), 1);
    assert_eq!(store.trim_to(0).await.unwrap(), 3);
    assert_eq!((store.trim_to(0).await.unwrap(), store.feed().await.unwrap().records), (0, 0));
    assert_eq!(store.list(ListQuery { limit: 9, ..ListQuery::default() }).await.unwrap().len(), 6);
    bench.commit(&[alert(Kind::FireFlame, 2)]).await;
    assert_eq!(store.feed().await.unwrap().records, 1);
}
