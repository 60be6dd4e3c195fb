//! Every schema that ever was becomes the current one, with all that was in it; and nothing is lost where that fails.

use std::{path::PathBuf, sync::Arc};

use tempfile::TempDir;
use xueliang_base::{
    alert::{EvidenceKind, Sha256},
    cursor::Cursor,
    kind::Kind,
    time::{Clock as _, Wall},
};
use xueliang_proto::v1;

use super::{
    super::{
        Acked, AuditEntry, Cases as _, FeedQuery, ListQuery, RegisterQuery, RetentionStore as _, STORE_FILE,
        SpoolDb, SqliteOptions, SqliteStore, Store, sqlite::file,
    },
    *,
};
use crate::{
    spool::queues::Room,
    testing::{Bench, NOW, alert, next_state, resolved},
};

/// A store with something of everything.
async fn lived_in() -> Bench {
    let bench = Bench::new();
    let firing = alert(Kind::FireFlame, 2);
    let over = alert(Kind::FireLaneBlocked, 3);
    bench.commit(&[firing.clone(), over.clone(), alert(Kind::ExposedGarbage, 4)]).await;
    bench.commit(&[next_state(&firing), resolved(&over)]).await;
    let data = bytes::Bytes::from_static(b"picture");
    let facts = v1::EvidenceRef {
        kind: v1::EvidenceKind::Still.into(),
        sha256: Sha256::of(&data).to_string(),
        size_bytes: data.len() as u64,
        redacted: true,
        start_unix_us: NOW.0,
        end_unix_us: NOW.0,
        ..v1::EvidenceRef::default()
    };
    bench.bus.evidence().put(firing.id, facts.clone(), data.clone()).await.unwrap();
    bench.clock.advance(std::time::Duration::from_secs(31 * 24 * 3600));
    assert_eq!(bench.bus.evidence().sweep().await, Ok(1));
    bench.bus.evidence().put(over.id, facts, data).await.unwrap();
    let store = bench.bus.store();
    let mut cursor = Cursor::start(store.epoch());
    cursor.positions = [1, 2, 3];
    let acked = Acked { principal: "desk".into(), subscription: "wall".into(), cursor };
    store.add_subscriber("desk".into(), "wall".into(), 8).await.unwrap();
    store.save_acked(vec![acked]).await.unwrap();
    let entry = v1::RegisterEntry { principal: "desk".into(), reason: "why".into(), ..Default::default() };
    store.register(entry).await.unwrap();
    let audit = AuditEntry { principal: "boss".into(), action: "test", subject: "s".into() };
    store.audit(audit).await.unwrap();
    bench
}

/// A file of an earlier schema: made by the steps up to it, and filled with what of a current store it knew.
fn of_schema(schema: usize, current: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let db = Connection::open(folder.path().join(STORE_FILE)).unwrap();
    for step in &STORE_STEPS[..schema] {
        db.execute_batch(step).unwrap();
    }
    db.execute("ATTACH ?1 AS later", [current.join(STORE_FILE).display().to_string()]).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut query = db.prepare(sql).unwrap();
        let names = query.query_map([], |row| row.get(0)).unwrap();
        names.collect::<Result<_, _>>().unwrap()
    };
    for table in
        names("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    {
        let both = format!(
            "SELECT name FROM pragma_table_info('{table}', 'main') \
             WHERE name IN (SELECT name FROM pragma_table_info('{table}', 'later'))"
        );
        let columns = names(&both).join(", ");
        // What triggers keep in step is kept in step by those of its time.
        if !columns.is_empty() && table != "evidence_space" {
            let copy = format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM later.{table}");
            db.execute_batch(&copy).unwrap();
        }
    }
    db.execute_batch(&format!("PRAGMA user_version = {schema}")).unwrap();
    folder
}

fn open(folder: &Path) -> Result<SqliteStore> {
    let clock = xueliang_base::time::ManualClock::at(NOW);
    SqliteStore::open(folder, clock, &SqliteOptions::default(), Arc::new(|_: Vec<_>| ()))
}

/// All that consoles and operators are given, as text.
async fn told(store: &dyn Store) -> Vec<String> {
    let mut told = vec![format!("{:?} {} {}", store.epoch(), store.head(), store.trimmed_to())];
    for row in store.list(ListQuery { limit: 1000, ..ListQuery::default() }).await.unwrap() {
        told.push(format!("{:?} {:?}", row.record, store.history(row.alert).await.unwrap()));
        for kind in EvidenceKind::ALL {
            told.push(format!("{:?}", store.evidence(row.alert, kind).await.unwrap()));
        }
    }
    for lane in xueliang_base::kind::Lane::ALL {
        let query = FeedQuery {
            lane,
            filter: Arc::default(),
            after_exclusive: 0,
            upto_inclusive: u64::MAX,
            latest_only: false,
            limit: 1000,
        };
        let page = store.feed_page(query).await.unwrap();
        told.extend(page.rows.iter().map(|row| format!("{} {:?}", row.seq, row.record)));
    }
    told.push(format!("{:?}", store.acked("desk".into(), "wall".into()).await.unwrap()));
    told.push(format!("{:?}", store.feed().await.unwrap()));
    told.push(format!("{:?}", store.evidence_bytes(Wall(0), NOW, 3).await.unwrap().kinds));
    let query = RegisterQuery { limit: 1000, ..RegisterQuery::default() };
    told.push(format!("{:?}", store.list_register(query).await.unwrap()));
    told
}

#[tokio::test]
async fn a_store_of_every_schema_gives_what_it_held() {
    let bench = lived_in().await;
    let expected = told(&**bench.bus.store()).await;
    assert!(expected.len() > 20);
    for schema in 1..=STORE_STEPS.len() {
        let folder = of_schema(schema, bench.folder.path());
        let store = open(folder.path()).unwrap_or_else(|error| panic!("schema {schema}: {error}"));
        assert_eq!(told(&store).await, expected, "schema {schema}");
        let certificates =
            store.certificates(super::super::CertificateQuery { limit: 9, ..Default::default() });
        assert_eq!(certificates.await.unwrap().len(), 1, "schema {schema}");
        let audited = super::super::tests::audited(folder.path());
        assert_eq!(audited, super::super::tests::audited(bench.folder.path()), "schema {schema}");
        let report = super::super::verify_audit(folder.path(), &[], None).unwrap();
        assert!(report.holds() && report.entries > 2, "schema {schema}: {report:?}");
        // It works on: a state is taken, and the copy from before is there unless nothing was to be done.
        let incoming = super::super::Incoming {
            alert: alert(Kind::FireFlame, 2),
            received: bench.clock.mono(),
            told: false,
        };
        store.publish(vec![incoming]).await.unwrap();
        assert_eq!(copy_of(folder.path(), schema).exists(), schema < STORE_STEPS.len(), "schema {schema}");
    }
}

#[tokio::test]
async fn alerts_that_fire_wait_for_their_cases_after_an_update_and_cases_are_kept() {
    let bench = lived_in().await;
    let store = bench.bus.store();
    let firing =
        store.list(ListQuery { firing: Some(true), limit: 9, ..ListQuery::default() }).await.unwrap();
    assert_eq!(firing.len(), 2);
    let query = || super::super::CaseQuery { limit: 9, ..Default::default() };
    let act = super::super::ActOn {
        key: super::super::CaseKey::Alert(firing[0].alert),
        revision: 0,
        actor: crate::case::Actor::new("ana", "desk"),
        action: crate::case::Action::Confirm,
        note: String::new(),
        within: None,
    };
    store.act_on_case(act).await.unwrap();
    let alert_ids = |cases: Vec<v1::Case>| -> std::collections::BTreeSet<String> {
        cases.into_iter().map(|case| case.subject.unwrap().alert_id).collect()
    };
    for schema in 1..=STORE_STEPS.len() {
        let folder = of_schema(schema, bench.folder.path());
        let store = open(folder.path()).unwrap();
        let cases = store.cases(query()).await.unwrap().cases;
        let states: Vec<_> = cases.iter().map(v1::Case::state).collect();
        let known = STORE_STEPS[..schema].iter().any(|step| step.contains("CREATE TABLE case_file"));
        assert_eq!(states.contains(&v1::CaseState::Confirmed), known, "schema {schema}: {states:?}");
        let found = alert_ids(cases);
        assert!(firing.iter().all(|row| found.contains(&row.alert.to_string())), "schema {schema}");
        // What was over before there were cases waits for nobody.
        assert_eq!(found.len(), if known { 3 } else { 2 }, "schema {schema}");
    }
}

fn copy_of(folder: &Path, schema: usize) -> PathBuf {
    folder.join(format!("before-schema-{schema}")).join(STORE_FILE)
}

fn schema_of(db: &Connection) -> u32 {
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn the_copy_from_before_is_whole_and_begins_a_new_epoch_when_it_is_put_back() {
    let bench = lived_in().await;
    let folder = of_schema(1, bench.folder.path());
    let migrated = open(folder.path()).unwrap();
    let epoch = migrated.epoch();
    assert_eq!(epoch, bench.bus.store().epoch(), "a migration that leaves the feed as it is keeps the epoch");
    drop(migrated);
    let back = tempfile::tempdir().unwrap();
    std::fs::copy(copy_of(folder.path(), 1), back.path().join(STORE_FILE)).unwrap();
    let db = Connection::open(back.path().join(STORE_FILE)).unwrap();
    assert_eq!(schema_of(&db), 1);
    let states: u32 = db.query_row("SELECT count(*) FROM alert_state", [], |row| row.get(0)).unwrap();
    assert_eq!(states, 5);
    drop(db);
    assert_ne!(open(back.path()).unwrap().epoch(), epoch);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let bench = lived_in().await;
    let folder = of_schema(2, bench.folder.path());
    let path = folder.path().join(STORE_FILE);
    let mut db = Connection::open(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let steps = [STORE_STEPS[0], STORE_STEPS[1], "DROP TABLE audit; CREATE TABLE alert (x);"];
    assert!(migrate(&mut db, "the store", &steps, Some(&path)).is_err());
    assert_eq!(schema_of(&db), 2);
    drop(db);
    assert_eq!(std::fs::read(&path).unwrap(), before, "not a byte has changed");
    // And a version that can do it does.
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_not_brought_to_a_newer_schema() {
    let bench = lived_in().await;
    let folder = of_schema(1, bench.folder.path());
    let path = folder.path().join(STORE_FILE);
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'feed_by_lane'")
        .unwrap();
    drop(db);
    let refused = open(folder.path()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("is damaged"), "{refused}");
    assert_eq!(schema_of(&Connection::open(&path).unwrap()), 1);
    assert!(!copy_of(folder.path(), 1).exists());
}

#[test]
fn the_copies_of_the_last_two_schemas_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.db");
    let mut steps =
        vec!["CREATE TABLE meta (key TEXT, value BLOB); INSERT INTO meta VALUES ('epoch', x'00')"];
    let mut db = Connection::open(&path).unwrap();
    for _ in 0..4 {
        migrate(&mut db, "it", &steps, Some(&path)).unwrap();
        steps.push("INSERT INTO meta VALUES ('another', x'00')");
    }
    let kept: Vec<bool> =
        (0..=4).map(|schema| folder.path().join(format!("before-schema-{schema}")).exists()).collect();
    assert_eq!(kept, [false, false, true, true, false], "of a new file there is nothing to copy");
    let epoch = |db: &Connection| file::meta(db, "epoch").unwrap();
    assert!(epoch(&db).is_some());
    // A step that changes what a place of the feed means begins a new epoch.
    steps.push(NEW_EPOCH);
    migrate(&mut db, "it", &steps, Some(&path)).unwrap();
    assert_eq!(epoch(&db), None);
}

#[tokio::test]
async fn a_spool_of_the_first_schema_is_sent_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(SPOOL_STEPS[0]).unwrap();
    let waiting = alert(Kind::FireFlame, 2);
    db.execute(
        "INSERT INTO item (kind, alert_id, content, data_file, size_bytes, minted_us, minted_mono_ns, boot) \
         VALUES (0, ?1, x'0a', '', 7, 5, 6, 'boot'), (1, ?1, x'0b', 'sum', 70, 5, 6, 'boot')",
        [waiting.id.to_string()],
    )
    .unwrap();
    db.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(db);
    let clock = xueliang_base::time::ManualClock::at(NOW);
    let (spool, found) = SpoolDb::open(path, clock, None, None).unwrap();
    assert_eq!((found.items, found.bytes, found.data_files.len()), (2, 77, 1));
    let room = Room { count: 9, bytes: 1000 };
    let states = spool.next_states(found.last, room, "[]".to_owned()).await.unwrap().states;
    assert_eq!((states[0].alert, states[0].content.as_slice()), (waiting.id, b"\x0a".as_slice()));
    spool.done(vec![states[0].id]).await.unwrap();
    assert!(spool.oldest_evidence(0, "[]".to_owned()).await.unwrap().is_some());
    assert!(folder.path().join("before-schema-1/spool.db").exists());
}
