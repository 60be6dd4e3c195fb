//! Whatever is done to the audit behind the back of the service is found, and where it begins is told.

use std::{sync::Arc, time::Duration};

use rusqlite::params;
use xueliang_base::time::{Clock as _, ManualClock};
use xueliang_proto::v1;

use super::*;
use crate::{
    audit::{AuditOptions, key::AuditKey, read_heads, seal::Sealer},
    store::{AuditEntry, AuditStore as _, SqliteOptions, SqliteStore, Store as _},
    testing::NOW,
};

/// Entries of the audit and of the register, by turns.
const ENTRIES: u64 = 10;
/// Entries after which a head was signed: the first of a life, every fourth, and at the end.
const HEADS: [u64; 4] = [1, 4, 8, ENTRIES];

struct Town {
    folder: tempfile::TempDir,
    heads: tempfile::TempDir,
}

fn open(folder: &Path, clock: &Arc<ManualClock>) -> SqliteStore {
    SqliteStore::open(folder, clock.clone(), &SqliteOptions::default(), Arc::new(|_: Vec<_>| ())).unwrap()
}

impl Town {
    async fn new() -> Self {
        let (folder, heads) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let clock = ManualClock::at(NOW);
        let store = open(folder.path(), &clock);
        let options = AuditOptions { heads: Some(heads.path().to_owned()), every: Duration::from_secs(600) };
        let sealer = Sealer::new(AuditKey::open(folder.path()).unwrap(), options, clock.clone()).unwrap();
        for number in 1..=ENTRIES {
            clock.advance(Duration::from_secs(1));
            if number % 2 == 1 {
                let subject = format!("subject {number}");
                let entry = AuditEntry { principal: "ana".into(), action: "test", subject };
                store.audit(entry).await.unwrap();
            } else {
                let entry = v1::RegisterEntry {
                    at_unix_us: clock.wall().0,
                    principal: "bo".into(),
                    alert_id: format!("alert {number}"),
                    reason: "why".into(),
                    kind: 1,
                    purpose: 1,
                    granted: true,
                    unit: "Centre".into(),
                    call_reason: 1,
                    camera_id: "quay".into(),
                    stretch: 1,
                    sha256: "00".into(),
                    release_id: 1,
                    request_id: 1,
                    ..v1::RegisterEntry::default()
                };
                store.register(entry).await.unwrap();
            }
            sealer.seal(&store, HEADS.contains(&number)).await.unwrap();
        }
        Self { folder, heads }
    }
    /// Changes the file as someone does who has it, triggers or no triggers.
    fn tamper(&self, sql: &str) {
        let db = self.db();
        for table in ["audit", "register", "audit_chain", "audit_head"] {
            for ending in ["stays", "as_is"] {
                db.execute_batch(&format!("DROP TRIGGER IF EXISTS {table}_{ending}")).unwrap();
            }
        }
        db.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    fn db(&self) -> Connection {
        Connection::open(self.folder.path().join(STORE_FILE)).unwrap()
    }
    /// Makes all links from one on anew, as what the entries now say asks for.
    fn link_anew(&self, from: u64) {
        let db = self.db();
        let mut link = Hash::ZERO;
        for place in 1..=ENTRIES {
            let found: rusqlite::Result<(i64, i64, Vec<u8>)> = db.query_row(
                "SELECT source, entry_id, hash FROM audit_chain WHERE link_no = ?1",
                [place.cast_signed()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            );
            let Ok((source, id, kept)) = found else { return };
            if place < from {
                link = Hash::of_bytes(&kept).unwrap();
                continue;
            }
            let source = Source::of_number(source).unwrap();
            let sql =
                format!("SELECT entry_id, {} FROM {} WHERE entry_id = ?1", columns(source), source.word());
            let made = db.query_row(&sql, [id], |row| Ok(content(source, row).unwrap().1)).unwrap();
            link = made.link(&link);
            db.execute(
                "UPDATE audit_chain SET hash = ?2 WHERE link_no = ?1",
                params![place.cast_signed(), link.0],
            )
            .unwrap();
        }
    }
    fn report(&self) -> AuditReport {
        verify_audit(self.folder.path(), &[], None).unwrap()
    }
    /// With the heads that were exported.
    fn report_with_heads(&self) -> AuditReport {
        verify_audit(self.folder.path(), &read_heads(self.heads.path()).unwrap(), None).unwrap()
    }
    fn first(&self) -> Option<u64> {
        self.report().wrong.map(|wrong| wrong.first)
    }
}

/// Of an entry by its place: its table and its number there.
fn entry(place: u64) -> (&'static str, u64) {
    (if place % 2 == 1 { "audit" } else { "register" }, place.div_ceil(2))
}

#[tokio::test]
async fn what_was_left_alone_holds() {
    let town = Town::new().await;
    let report = town.report_with_heads();
    assert!(report.holds(), "{report:?}");
    assert_eq!((report.entries, report.of, report.heads, report.exported), (ENTRIES, [5, 5], 4, 4));
    let last = NOW.plus(Duration::from_secs(ENTRIES));
    assert_eq!(report.sealed, Some((ENTRIES, last)));
    let key = AuditKey::open(town.folder.path()).unwrap().public();
    assert_eq!(report.keys, BTreeMap::from([(key, 8)]));
    assert!(verify_audit(town.folder.path(), &[], Some(key)).unwrap().holds());
    let other = verify_audit(town.folder.path(), &[], Some(Hash::ZERO)).unwrap();
    assert_eq!((other.false_heads.len(), other.holds()), (4, false));
    let nothing = verify_audit(town.heads.path(), &[], None).unwrap_err().to_string();
    assert!(nothing.contains("holds no store"), "{nothing}");
}

#[tokio::test]
async fn a_change_of_any_column_of_any_entry_is_found_there() {
    for place in 1..=ENTRIES {
        let (table, id) = entry(place);
        let columns = if table == "audit" {
            columns(Source::Audit).split(", ").collect::<Vec<_>>()
        } else {
            columns(Source::Register).split(", ").collect()
        };
        for column in columns {
            let town = Town::new().await;
            let numbers =
                ["at_us", "kind", "purpose", "granted", "call_reason", "stretch", "release_id", "request_id"];
            let value =
                if numbers.contains(&column) { format!("{column} + 1") } else { format!("{column} || 'x'") };
            town.tamper(&format!("UPDATE {table} SET {column} = {value} WHERE entry_id = {id}"));
            assert_eq!(town.first(), Some(place), "{table}.{column} of {id}");
        }
    }
}

#[tokio::test]
async fn entries_that_are_taken_out_put_in_or_swapped_are_found_where_that_begins() {
    for place in 1..=ENTRIES {
        let (table, id) = entry(place);
        let remove = format!("DELETE FROM {table} WHERE entry_id = {id}");
        let unlink = format!("DELETE FROM audit_chain WHERE link_no = {place}");
        // Those after it move up, so that no number is missing.
        let close = format!(
            "UPDATE audit_chain SET link_no = -link_no WHERE link_no > {place}; \
             UPDATE audit_chain SET link_no = -link_no - 1 WHERE link_no < 0"
        );
        for (what, sql) in [
            ("entry", remove.clone()),
            ("link", unlink.clone()),
            ("both", format!("{remove}; {unlink}")),
            ("both, closed up", format!("{remove}; {unlink}; {close}")),
        ] {
            let town = Town::new().await;
            town.tamper(&sql);
            let wrong = town.report().wrong.unwrap_or_else(|| panic!("{what} {place} was taken out"));
            assert_eq!(wrong.first, place, "{what}: {wrong:?}");
        }
        if place + 2 <= ENTRIES {
            let town = Town::new().await;
            let columns = if table == "audit" { "at_us, subject" } else { "at_us, alert_id" };
            town.tamper(&format!(
                "CREATE TEMP TABLE kept AS SELECT * FROM {table}; \
                 UPDATE {table} SET ({columns}) = (SELECT {columns} FROM kept WHERE entry_id = {id} + 1) WHERE entry_id = {id}; \
                 UPDATE {table} SET ({columns}) = (SELECT {columns} FROM kept WHERE entry_id = {id}) WHERE entry_id = {id} + 1"
            ));
            assert_eq!(town.first(), Some(place), "two entries of {table} are swapped");
        }
        if place < ENTRIES {
            let town = Town::new().await;
            town.tamper(&format!(
                "UPDATE audit_chain SET link_no = -1 WHERE link_no = {place}; \
                 UPDATE audit_chain SET link_no = {place} WHERE link_no = {place} + 1; \
                 UPDATE audit_chain SET link_no = {place} + 1 WHERE link_no = -1"
            ));
            assert_eq!(town.first(), Some(place), "two links are swapped");
        }
    }
    let town = Town::new().await;
    town.tamper("INSERT INTO audit (at_us, principal, action, subject) VALUES (1, 'eve', 'test', 's')");
    let wrong = town.report().wrong.unwrap();
    assert!(wrong.first == ENTRIES + 1 && wrong.what.contains("put in beside the chain"), "{wrong:?}");
    let town = Town::new().await;
    town.tamper("INSERT INTO audit VALUES (0, 1, 'eve', 'test', 's')");
    let wrong = town.report().wrong.unwrap();
    assert!(wrong.first == 1 && wrong.what.contains("entry 0 of the audit was put in"), "{wrong:?}");
}

#[tokio::test]
async fn an_entry_that_is_changed_with_its_link_is_found_at_the_next() {
    for place in 1..=ENTRIES {
        let (table, id) = entry(place);
        let town = Town::new().await;
        let kept: Vec<(i64, Vec<u8>)> = {
            let db = town.db();
            let mut query = db.prepare("SELECT link_no, hash FROM audit_chain WHERE link_no > ?1").unwrap();
            let rows = query.query_map([place.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.collect::<std::result::Result<_, _>>().unwrap()
        };
        town.tamper(&format!("UPDATE {table} SET principal = 'eve' WHERE entry_id = {id}"));
        town.link_anew(place);
        for (number, hash) in kept {
            town.db()
                .execute("UPDATE audit_chain SET hash = ?2 WHERE link_no = ?1", params![number, hash])
                .unwrap();
        }
        let wrong = town.report().wrong.unwrap();
        // At a head the link itself convicts; elsewhere the next entry does, which says that it may be the one before.
        if HEADS.contains(&place) {
            assert!((wrong.first..=wrong.last).contains(&place), "{wrong:?}");
        } else {
            assert_eq!(wrong.first, place + 1);
            assert!(wrong.what.contains("or the one before was changed"), "{wrong:?}");
        }
    }
}

#[tokio::test]
async fn a_chain_that_is_cut_off_is_found_with_heads_and_by_the_numbers_given() {
    for left in 0..ENTRIES {
        let cut = format!(
            "DELETE FROM audit WHERE entry_id > {}; DELETE FROM register WHERE entry_id > {}; \
             DELETE FROM audit_chain WHERE link_no > {left}",
            left.div_ceil(2),
            left / 2
        );
        let town = Town::new().await;
        town.tamper(&cut);
        assert_eq!(town.first(), Some(left + 1), "the store's heads tell");
        // The heads are cut off as well: the numbers that were given tell.
        town.tamper(&format!("DELETE FROM audit_head WHERE size > {left}"));
        assert_eq!(town.first(), Some(left + 1), "the numbers tell");
        // And those, too: what was exported tells, and nothing else can.
        town.tamper(
            "UPDATE sqlite_sequence SET seq = coalesce((SELECT max(entry_id) FROM audit), 0) WHERE name = 'audit'; \
             UPDATE sqlite_sequence SET seq = coalesce((SELECT max(entry_id) FROM register), 0) WHERE name = 'register'",
        );
        assert!(town.report().holds());
        let wrong = town.report_with_heads().wrong.unwrap();
        assert!(wrong.first == left + 1 && wrong.what.contains("was cut off"), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_chain_that_is_made_anew_contradicts_its_heads() {
    for place in 1..=ENTRIES {
        let (table, id) = entry(place);
        let town = Town::new().await;
        town.tamper(&format!("UPDATE {table} SET principal = 'eve' WHERE entry_id = {id}"));
        town.link_anew(place);
        let among = |report: &AuditReport| {
            let wrong = report.wrong.as_ref().unwrap_or_else(|| panic!("{place} was made anew"));
            // Between the head before it and the one after it.
            let before = HEADS.iter().rev().find(|head| **head < place).unwrap_or(&0);
            let after = HEADS.iter().find(|head| **head >= place).unwrap();
            assert_eq!((wrong.first, wrong.last), (before + 1, *after));
        };
        among(&town.report());
        // Whoever takes the store's heads away, or signs others with a key of their own, meets those that were exported.
        town.tamper("DELETE FROM audit_head");
        assert!(town.report().holds(), "without heads the chain vouches for itself alone");
        among(&town.report_with_heads());
        std::fs::remove_file(town.folder.path().join(crate::audit::key::KEY_FILE)).unwrap();
        let clock = ManualClock::at(NOW);
        let store = open(town.folder.path(), &clock);
        let sealer =
            Sealer::new(AuditKey::open(town.folder.path()).unwrap(), AuditOptions::default(), clock.clone())
                .unwrap();
        sealer.seal(&store, true).await.unwrap();
        drop(store);
        assert!(town.report().holds());
        let report = town.report_with_heads();
        among(&report);
        assert_eq!(report.keys.len(), 2, "two keys have signed");
    }
}

#[tokio::test]
async fn a_head_that_is_changed_is_not_believed() {
    let town = Town::new().await;
    town.tamper("UPDATE audit_head SET root = zeroblob(32) WHERE size = 8");
    let report = town.report();
    assert!(report.wrong.is_none() && report.false_heads.len() == 1, "{report:?}");
    assert!(report.false_heads[0].contains("the store's head of 8 entries"), "{report:?}");
    assert!(!report.holds());
}

#[tokio::test]
async fn sealing_goes_on_where_it_was_and_exports_what_is_missing() {
    let town = Town::new().await;
    let clock = ManualClock::at(NOW);
    let store = open(town.folder.path(), &clock);
    let key = || AuditKey::open(town.folder.path()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let nowhere = elsewhere.path().join("not mounted");
    let to = |folder: &Path| AuditOptions { heads: Some(folder.to_owned()), every: Duration::from_secs(600) };
    let sealer = Sealer::new(key(), to(&nowhere), clock.clone()).unwrap();
    let audit =
        |subject: &str| AuditEntry { principal: "ana".into(), action: "test", subject: subject.into() };
    store.audit(audit("more")).await.unwrap();
    // The first of a life is signed at once, the next after its time; a folder that is missing stops neither.
    sealer.seal(&store, false).await.unwrap();
    store.audit(audit("still more")).await.unwrap();
    sealer.seal(&store, false).await.unwrap();
    let sizes =
        || async { store.heads(0, 99).await.unwrap().iter().map(|head| head.size).collect::<Vec<_>>() };
    assert_eq!(sizes().await, [1, 4, 8, 10, 11]);
    clock.advance(Duration::from_secs(600));
    sealer.seal(&store, false).await.unwrap();
    sealer.seal(&store, true).await.unwrap();
    assert_eq!(sizes().await, [1, 4, 8, 10, 11, 12]);
    std::fs::create_dir(&nowhere).unwrap();
    sealer.seal(&store, false).await.unwrap();
    assert_eq!(read_heads(&nowhere).unwrap().len(), 6);
    let report = verify_audit(town.folder.path(), &read_heads(&nowhere).unwrap(), None).unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!(report.sealed.map(|(size, _)| size), Some(12));
    // A gap is no basis for a head.
    drop(sealer);
    town.tamper("DELETE FROM audit_chain WHERE link_no = 12");
    store.audit(audit("after the gap")).await.unwrap();
    town.tamper("UPDATE audit_chain SET link_no = 20 WHERE link_no = 12");
    let sealer = Sealer::new(key(), to(&nowhere), clock.clone()).unwrap();
    town.tamper("DELETE FROM audit_head WHERE size = 12");
    let refused = sealer.seal(&store, true).await.unwrap_err().to_string();
    assert!(refused.contains("link 12 of the audit is not there"), "{refused}");
}
