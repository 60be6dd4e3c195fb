//! What the file holds of cases: nothing of it changes unseen, and a damaged case is its own trouble.

mod power;

use xueliang_base::{error::ErrorKind, point::PointClass};

use super::*;
use crate::{
    rights::PrincipalKind,
    store::STORE_FILE,
    testing::{Bench, close, major},
};

/// Statements that a fraud would use.
const EDITS: [&str; 6] = [
    // Another content, another order, and what was never there.
    "UPDATE case_event SET content = (SELECT content FROM case_event WHERE revision = 3 AND case_id = 2) \
     WHERE case_id = 1 AND revision = 2",
    "UPDATE case_event SET hash = zeroblob(32) WHERE case_id = 1 AND revision = 1",
    "UPDATE case_event SET revision = 9 - revision WHERE case_id = 1",
    // Less than there was, at the end or within.
    "DELETE FROM case_event WHERE case_id = 1 AND revision = 3",
    "DELETE FROM case_event WHERE case_id = 1 AND revision = 2",
    "DELETE FROM case_event WHERE case_id = 1",
];

fn asked(alert: AlertId, revision: u64, action: Action) -> ActOn {
    ActOn {
        key: CaseKey::Alert(alert),
        revision,
        actor: Actor::new("ana", "desk"),
        action,
        note: String::new(),
        within: None,
    }
}

#[tokio::test]
async fn a_history_that_was_changed_is_not_believed_and_troubles_no_other_case() {
    for edit in EDITS {
        let bench = Bench::new();
        let (mut one, other) = (major(), major());
        one.place.class = Some(PointClass::Third);
        bench.commit(&[one.clone(), other.clone()]).await;
        for alert in [&one, &other] {
            for (revision, action) in
                [(0, Action::Confirm), (2, Action::Dispatch("brigade".into(), Vec::new()))]
            {
                let asked = asked(alert.id, revision, action);
                bench.bus.store().act_on_case(asked).await.unwrap();
            }
        }
        let Bench { folder, clock, bus, options } = bench;
        close(bus).await;
        let whole = crate::store::verify_audit(folder.path(), &[], None).unwrap();
        assert!(whole.holds() && whole.histories >= 4, "{whole:?}");
        let db = Connection::open(folder.path().join(STORE_FILE)).unwrap();
        assert!(db.execute_batch(edit).is_err(), "{edit}: triggers forbid it");
        db.execute_batch("DROP TRIGGER case_event_as_is; DROP TRIGGER case_event_stays").unwrap();
        db.execute_batch(edit).unwrap();
        drop(db);
        let report = crate::store::verify_audit(folder.path(), &[], None).unwrap();
        let wrong = report.wrong_history.as_deref().unwrap_or_default();
        assert!(report.wrong.is_none() && wrong.starts_with("entry "), "{edit}: {report:?}");
        let bus = crate::bus::Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
        let bench = Bench { folder, clock, bus, options };
        let store = bench.bus.store();
        let refused = store.case(CaseKey::Alert(one.id), None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::DataLoss, "{edit}");
        assert!(refused.to_string().contains("ask whoever runs the service"), "{edit}: {refused}");
        let urge = |alert| asked(alert, 3, Action::Urge);
        let refused = store.act_on_case(urge(one.id)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::DataLoss, "{edit}");
        assert!(refused.to_string().contains("ask whoever runs the service"), "{edit}: {refused}");
        store.act_on_case(urge(other.id)).await.unwrap();
        assert_eq!(store.health().failing, None, "{edit}: the storage is well");
        // A list tells both, and of the damaged one what its row says, and that it is damaged.
        let who = Principal::new("ana", PrincipalKind::Operator);
        let query = CaseQuery { limit: 10, ..CaseQuery::default() };
        let listed = bench.bus.cases(&who, query).await.unwrap();
        let (damaged, whole): (Vec<_>, Vec<_>) = listed.cases.into_iter().partition(|case| case.damaged);
        let [damaged] = &damaged[..] else { panic!("{edit}: {damaged:?}") };
        assert!(!damaged.number.is_empty() && damaged.opened_unix_us > 0, "{edit}: {damaged:?}");
        let subject = damaged.subject.as_ref().unwrap();
        assert_eq!(subject.camera_id, one.place.camera.as_str(), "{edit}");
        let codes: Vec<_> = one.place.division_path.iter().map(ToString::to_string).collect();
        assert_eq!(subject.division_path, codes, "{edit}");
        assert_eq!(whole.len(), 1, "{edit}");
        let counted = bench.bus.counts().case_damaged.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(counted, 1, "{edit}");
    }
}

#[tokio::test]
async fn an_alert_that_cannot_be_read_is_listed_as_damaged_among_the_others() {
    let bench = Bench::new();
    let (one, other) = (major(), major());
    bench.commit(&[one.clone(), other.clone()]).await;
    let db = Connection::open(bench.folder.path().join(STORE_FILE)).unwrap();
    db.execute_batch("DROP TRIGGER alert_state_as_is").unwrap();
    let broken =
        db.execute("UPDATE alert_state SET content = x'ff' WHERE alert_id = ?1", [one.id.to_string()]);
    assert_eq!(broken, Ok(1));
    let who = Principal::new("ana", PrincipalKind::Operator);
    let query = CaseQuery { limit: 10, ..CaseQuery::default() };
    let listed = bench.bus.cases(&who, query).await.unwrap();
    let (damaged, whole): (Vec<_>, Vec<_>) = listed.cases.into_iter().partition(|case| case.damaged);
    let ([damaged], [whole]) = (&damaged[..], &whole[..]) else { panic!("{damaged:?}, {whole:?}") };
    let subject = damaged.subject.as_ref().unwrap();
    assert_eq!(subject.alert_id, one.id.to_string());
    assert_eq!(subject.camera_id, one.place.camera.as_str());
    assert_eq!((subject.kind, damaged.level), (one.kind.number(), i32::from(one.level.number())));
    assert!(damaged.opened_unix_us > 0);
    assert_eq!(whole.subject.as_ref().unwrap().alert_id, other.id.to_string());
    let refused = bench.bus.store().act_on_case(asked(one.id, 0, Action::Confirm)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DataLoss);
    bench.bus.store().act_on_case(asked(other.id, 0, Action::Confirm)).await.unwrap();
    assert_eq!(bench.bus.store().health().failing, None, "the storage is well");
}

#[tokio::test]
async fn nothing_of_a_case_is_deleted_or_becomes_another() {
    let bench = Bench::new();
    let alert = major();
    bench.commit(std::slice::from_ref(&alert)).await;
    let asked = asked(alert.id, 0, Action::Confirm);
    bench.bus.store().act_on_case(asked).await.unwrap();
    let db = Connection::open(bench.folder.path().join(STORE_FILE)).unwrap();
    for edit in [
        "DELETE FROM case_file",
        "UPDATE case_file SET number = '1'",
        "UPDATE case_file SET opened_us = 1",
        "UPDATE case_file SET revision = 1",
        "DELETE FROM case_alert",
        "UPDATE case_alert SET case_id = 2",
        "DELETE FROM case_event",
        "UPDATE case_event SET at_us = 1",
    ] {
        let refused = db.execute_batch(edit).unwrap_err().to_string();
        assert!(["never", "append-only"].iter().any(|word| refused.contains(word)), "{edit}: {refused}");
    }
}

#[tokio::test]
async fn numbers_of_a_place_day_and_kind_are_counted_up() {
    let bench = Bench::new();
    let alerts = [major(), major(), crate::testing::critical()];
    bench.commit(&alerts).await;
    let mut numbers = Vec::new();
    for alert in &alerts {
        let asked = asked(alert.id, 0, Action::Confirm);
        numbers.push(bench.bus.store().act_on_case(asked).await.unwrap().number.to_string());
    }
    let ends: Vec<_> = numbers.iter().map(|number| &number[20..]).collect();
    assert_eq!(ends, ["120100001", "120100002", "110100001"]);
}

#[test]
fn lists_and_clocks_read_indexes_and_no_whole_table() {
    let db = Connection::open_in_memory().unwrap();
    for step in super::super::super::schema::STORE_STEPS {
        db.execute_batch(step).unwrap();
    }
    for sql in [
        "SELECT alert_id FROM alert a WHERE a.class = 1 AND a.lane = 1 AND a.untouched_us <= 5 \
         ORDER BY a.untouched_us LIMIT 9",
        "SELECT a.alert_id FROM alert a WHERE a.untouched_us IS NOT NULL AND a.class IN (1, 2) \
         ORDER BY a.untouched_us DESC, a.alert_id DESC LIMIT 9",
        "SELECT a.case_id FROM case_file a WHERE a.opened_us IS NOT NULL AND (a.opened_us, a.number) < (5, '6') \
         ORDER BY a.opened_us DESC, a.number DESC LIMIT 9",
        "SELECT f.number, c.alert_id FROM case_file f LEFT JOIN case_alert c USING (case_id) \
         WHERE f.due_us <= 5 ORDER BY f.level, f.due_us LIMIT 9",
    ] {
        let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = query.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
        let whole = steps.iter().find(|step| step.starts_with("SCAN") && !step.contains("USING"));
        assert_eq!(whole, None, "{sql}: {steps:?}");
    }
}
