//! A search finds what a look at every case finds, in every page, and by an index.

use rusqlite::Connection;
use xueliang_base::id::{AlertId, DivisionCode};

use super::*;
use crate::{
    case::fact::Reason,
    store::{CaseKey, STORE_FILE, schema::STORE_STEPS},
    testing::{
        Bench, Dice, close,
        histories::{STREETS, cases, class_of, town},
        major,
    },
};

fn pick<T: Clone>(dice: &mut Dice, all: &[T]) -> Vec<T> {
    let wanted = 1 + dice.roll(2);
    (0..wanted).map(|_| all[dice.roll(all.len() as u64) as usize].clone()).collect()
}

/// The alert of a case; `None`: somebody reported it.
fn alert_of(told: &v1::GetCaseResponse) -> Option<AlertId> {
    told.case.as_ref().unwrap().subject.as_ref().unwrap().alert_id.parse().ok()
}

fn some_query(dice: &mut Dice, all: &[v1::GetCaseResponse]) -> CaseQuery {
    let mut query = CaseQuery { limit: 1 + dice.roll(20) as usize, with_total: true, ..CaseQuery::default() };
    let codes =
        |some: Vec<&str>| some.iter().map(|code| code.parse().unwrap()).collect::<Vec<DivisionCode>>();
    let case = all[dice.roll(all.len() as u64) as usize].case.as_ref().unwrap();
    let alerts: Vec<AlertId> = all.iter().filter_map(alert_of).collect();
    for _ in 0..1 + dice.roll(3) {
        match dice.roll(14) {
            0 => query.filter.divisions = codes(pick(dice, &[STREETS[0], STREETS[1], "330109", "33"])),
            1 => {
                let parts = [STREETS[2], "330106", "330109001001", "#1", "330106#1", "33#3"];
                query.filter.within =
                    Some(pick(dice, &parts).into_iter().map(|part| part.parse().unwrap()).collect());
            }
            2 => query.filter.cameras = vec![format!("camera-{}", dice.roll(6)).parse().unwrap()],
            3 => query.filter.kinds = pick(dice, &[1101, 1201, 5102, 9101]),
            4 => query.filter.classes = pick(dice, &[1, 2, 3]),
            5 => query.filter.least_level = Some(pick(dice, &[Level::SEVERE, Level::MAJOR])[0]),
            6 => query.levels = pick(dice, &[Level::SEVERE, Level::MAJOR, Level::GENERAL]),
            7 => query.states = pick(dice, &State::ALL),
            8 => {
                let flags: Vec<_> = (1..=12).map(|number| CaseFlag::try_from(number).unwrap()).collect();
                query.flags = pick(dice, &flags);
            }
            9 => {
                let number = 1 + i32::try_from(dice.roll(7)).unwrap();
                query.reasons = vec![Reason::False(number.try_into().unwrap())];
                query.reasons.push(Reason::NotAccepted(v1::NotAcceptedReason::Slight));
                query.reasons.push(Reason::Cancel(v1::CancelReason::Mistake));
            }
            10 => query.from_inclusive = Some(Wall(case.opened_unix_us)),
            11 => query.to_exclusive = Some(Wall(case.opened_unix_us)),
            12 => {
                let mut alerts = pick(dice, &alerts);
                alerts.sort_unstable();
                alerts.dedup();
                query.alerts = alerts;
            }
            _ if case.number.is_empty() => query.only_misses = true,
            _ => query.number = Some(case.number[..[20, 24, 29][dice.roll(3) as usize]].to_owned()),
        }
    }
    query
}

/// Whether a case is wanted, by what is told of it.
fn is_wanted(query: &CaseQuery, told: &v1::GetCaseResponse) -> bool {
    let case = told.case.as_ref().unwrap();
    let subject = case.subject.as_ref().unwrap();
    let under = |codes: &[DivisionCode]| {
        codes.iter().any(|code| subject.division_path.iter().any(|one| one == code.as_str()))
    };
    use v1::case_action::What;
    let what = |wanted: fn(&What) -> bool| {
        told.history.iter().any(|event| event.action.as_ref().unwrap().what.as_ref().is_some_and(wanted))
    };
    let has = |flag: &CaseFlag| {
        if case.number.is_empty() && *flag != CaseFlag::Drill {
            return false;
        }
        match flag {
            CaseFlag::Overdue => case.overdue,
            CaseFlag::DueSoon => case.due_soon,
            CaseFlag::WasOverdue => case.was_overdue,
            CaseFlag::Drill => subject.drill,
            CaseFlag::Urged => case.urged > 0,
            CaseFlag::Supervised => case.supervision != 0,
            CaseFlag::Extended => case.extensions > 0,
            CaseFlag::Whistled => case.whistle != 0,
            CaseFlag::LegalHold => case.legal_hold,
            CaseFlag::Reworked => what(|what| matches!(what, What::Rework(_))),
            CaseFlag::Reopened => what(|what| matches!(what, What::Reopen(_))),
            CaseFlag::External => subject.owner == v1::CaseOwner::External as i32,
            CaseFlag::Unspecified => false,
        }
    };
    let reason = |reason: &Reason| {
        let last =
            told.history.iter().rev().find_map(|event| match event.action.as_ref()?.what.as_ref()? {
                What::FalseAlarm(one) => Some(Some(100 + one.reason)),
                What::NotAccept(one) => Some(Some(200 + one.reason)),
                What::Cancel(one) => Some(Some(300 + one.reason)),
                What::Reopen(_) => Some(None),
                _ => None,
            });
        last.flatten() == Some(reason.number())
    };
    let state = crate::case::wire::state(case.state).unwrap();
    let level = Level::try_from(u8::try_from(case.level).unwrap()).unwrap();
    let class = subject.kind_class;
    (query.filter.divisions.is_empty() || under(&query.filter.divisions))
        && query.filter.within.as_ref().is_none_or(|own| {
            let camera = subject.camera_id.rsplit('-').next().unwrap().parse().unwrap();
            let class = class_of(camera).map(|class| class.number().to_string());
            own.iter().any(|one| match one.as_str().split_once('#') {
                None => subject.division_path.iter().any(|code| code == one.as_str()),
                Some((code, number)) => {
                    class.as_deref() == Some(number)
                        && (code.is_empty() || subject.division_path.iter().any(|own| own == code))
                }
            })
        })
        && (query.filter.cameras.is_empty()
            || query.filter.cameras.iter().any(|id| id.as_str() == subject.camera_id))
        && (query.filter.kinds.is_empty() || query.filter.kinds.contains(&subject.kind))
        && if query.filter.classes.is_empty() { class != 3 } else { query.filter.classes.contains(&class) }
        && query.filter.least_level.is_none_or(|least| level <= least)
        && (query.levels.is_empty() || query.levels.contains(&level))
        && (query.states.is_empty() || query.states.contains(&state))
        && query.flags.iter().all(has)
        && (query.reasons.is_empty() || query.reasons.iter().any(reason))
        && query.from_inclusive.is_none_or(|from| from.0 <= case.opened_unix_us)
        && query.to_exclusive.is_none_or(|to| case.opened_unix_us < to.0)
        && (!query.only_misses || subject.miss.is_some())
        && query.number.as_ref().is_none_or(|number| case.number.starts_with(number))
        && (query.alerts.is_empty() || alert_of(told).is_some_and(|alert| query.alerts.contains(&alert)))
}

/// All pages of a search, and what the first says of their number.
async fn walk(bench: &Bench, query: &CaseQuery) -> (Vec<v1::Case>, usize) {
    let (mut all, mut total, mut ask) = (Vec::new(), None, query.clone());
    loop {
        let page = bench.bus.store().cases(ask.clone()).await.unwrap();
        total = total.or(page.total);
        let Some(last) = page.cases.last().cloned() else { break };
        let alert = last.subject.as_ref().unwrap().alert_id.clone();
        let key = if last.number.is_empty() { alert } else { last.number.clone() };
        ask.before_exclusive = Some((Wall(last.opened_unix_us), key));
        let more = page.cases.len() == query.limit;
        all.extend(page.cases);
        if !more {
            break;
        }
    }
    (all, total.unwrap())
}

fn names(cases: &[v1::Case]) -> Vec<(String, String)> {
    let name = |case: &v1::Case| (case.number.clone(), case.subject.as_ref().unwrap().alert_id.clone());
    let mut all: Vec<_> = cases.iter().map(name).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_search_finds_in_its_pages_what_a_look_at_every_case_finds() {
    let seed = 7;
    let mut dice = Dice(seed);
    let bench = Bench::new();
    let keys = town(&bench, &mut dice, 120, 900).await;
    let all = cases(&bench, &keys).await;
    assert!(all.iter().any(|told| told.case.as_ref().unwrap().number.is_empty()));
    let mut found = 0;
    for round in 0..400 {
        let query = some_query(&mut dice, &all);
        let (cases, total) = walk(&bench, &query).await;
        let wanted: Vec<v1::Case> = all
            .iter()
            .filter(|told| is_wanted(&query, told))
            .map(|told| told.case.clone().unwrap())
            .collect();
        assert_eq!(names(&cases), names(&wanted), "seed {seed}, round {round}: {query:?}");
        assert!(cases.is_sorted_by(|one, next| one.opened_unix_us >= next.opened_unix_us), "{query:?}");
        assert_eq!(total, wanted.len(), "{query:?}");
        found += usize::from(!wanted.is_empty());
    }
    assert!(found > 100, "{found} of 400 searches find anything: this test shows little");
}

#[tokio::test]
async fn what_cases_come_to_can_be_made_again_of_their_histories_alone() {
    let mut dice = Dice(11);
    let bench = Bench::new();
    let keys = town(&bench, &mut dice, 60, 500).await;
    let before = cases(&bench, &keys).await;
    let Bench { folder, clock, bus, options } = bench;
    close(bus).await;
    let db = Connection::open(folder.path().join(STORE_FILE)).unwrap();
    let told = |db: &Connection| {
        let mut all = Vec::new();
        for sql in [
            "SELECT f.*, p.camera, p.path, u.name, s.rule, s.model FROM case_fact f JOIN case_place p USING (place) \
             LEFT JOIN case_unit u USING (unit) LEFT JOIN case_source s USING (source) ORDER BY f.case_id",
            "SELECT a.alert_id, a.drill, p.camera, p.path, s.rule, s.model FROM alert a JOIN case_place p USING (place) \
             JOIN case_source s USING (source) ORDER BY a.alert_id",
        ] {
            let mut query = db.prepare(sql).unwrap();
            let columns = query.column_count();
            // Numbers of places, sources and units may be others.
            let skipped: Vec<usize> = (0..columns)
                .filter(|at| ["place", "source", "unit"].contains(&query.column_name(*at).unwrap()))
                .collect();
            let mut rows = query.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values = (0..columns).filter(|at| !skipped.contains(at));
                all.push(values.map(|at| row.get::<_, Value>(at).unwrap()).collect::<Vec<_>>());
            }
        }
        all
    };
    let kept = told(&db);
    assert!(kept.len() > 100, "{}", kept.len());
    db.execute_batch(
        "DELETE FROM case_fact; DELETE FROM case_place; DELETE FROM case_unit; DELETE FROM case_source; \
         UPDATE alert SET place = NULL, source = NULL, drill = 0; \
         INSERT INTO meta (key, value) VALUES ('case_facts_begin', x'01');",
    )
    .unwrap();
    drop(db);
    let bus = crate::bus::Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
    let bench = Bench { folder, clock, bus, options };
    let db = Connection::open(bench.folder.path().join(STORE_FILE)).unwrap();
    assert_eq!(told(&db), kept);
    assert_eq!(cases(&bench, &keys).await, before);
}

/// The plans of what a search asks, the counting of its conditions among it.
fn plans(db: &Connection, query: &CaseQuery) -> Vec<(String, Vec<String>)> {
    let now = Wall(5);
    let places = places(db, &query.filter).unwrap();
    let (terms, stretch) = (terms(query, places.as_ref(), now), Stretch::of(db, query).unwrap());
    let mut all = Vec::new();
    let leads = terms.iter().enumerate().filter(|(_, term)| term.index.is_some()).map(|(at, _)| Some(at));
    for leads in leads.chain([None]) {
        let sql = page_of_touched(query, &terms, &stretch, leads);
        all.push((format!("{query:?} by {leads:?}"), sql.plan(db).unwrap()));
    }
    for class in classes(query) {
        let Some(sql) = page_of_untouched(query, places.as_ref(), &stretch, class) else { continue };
        all.push((format!("{query:?} of class {class}"), sql.plan(db).unwrap()));
    }
    all
}

#[test]
fn searches_read_an_index_in_order_and_sort_only_what_a_narrow_index_led_to() {
    let db = Connection::open_in_memory().unwrap();
    for step in STORE_STEPS {
        db.execute_batch(step).unwrap();
    }
    db.execute("INSERT INTO case_place (camera, path) VALUES ('gate', '/33/')", []).unwrap();
    let plain = CaseQuery { limit: 9, ..CaseQuery::default() };
    let mut queries = vec![
        plain.clone(),
        CaseQuery { filter: Filter { kinds: vec![1101, 1201], ..Filter::default() }, ..plain.clone() },
        CaseQuery {
            filter: Filter { divisions: vec!["33".parse().unwrap()], ..Filter::default() },
            ..plain.clone()
        },
        CaseQuery { levels: vec![Level::SEVERE], ..plain.clone() },
        CaseQuery { states: vec![State::New, State::Closed], ..plain.clone() },
        CaseQuery { reasons: vec![Reason::Cancel(v1::CancelReason::Test)], ..plain.clone() },
        CaseQuery { only_misses: true, ..plain.clone() },
        CaseQuery { number: Some("33010600000020261130".to_owned()), ..plain.clone() },
        CaseQuery { alerts: vec![AlertId::mint(), AlertId::mint()], ..plain.clone() },
    ];
    queries.extend(
        (1..=12).map(|number| CaseQuery { flags: vec![number.try_into().unwrap()], ..plain.clone() }),
    );
    let timed = |query: &CaseQuery| CaseQuery {
        from_inclusive: Some(Wall(1)),
        to_exclusive: Some(Wall(9)),
        before_exclusive: Some((Wall(7), "01890a5d-ac96-774b-bcce-000000000001".to_owned())),
        ..query.clone()
    };
    let all: Vec<CaseQuery> = queries.iter().flat_map(|query| [query.clone(), timed(query)]).collect();
    for (what, plan) in all.iter().flat_map(|query| plans(&db, query)) {
        let by_time = what.contains("by None") || what.contains("of class");
        let by_number = what.contains("number: Some");
        let whole = plan.iter().find(|step| {
            let scans = step.starts_with("SCAN") && !step.contains("json_each");
            // Back through time, which ends when a page is full, is a walk along the table's own order.
            scans && !(by_time && *step == "SCAN f") && !step.contains("USING")
        });
        assert_eq!(whole, None, "{what}: {plan:?}");
        let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
        let by_alert = what.contains("alerts: [A");
        assert!(!sorts || !by_time || by_number || by_alert, "{what}: {plan:?}");
        if by_number {
            assert!(plan.iter().any(|step| step.contains("case_file_by_number")), "{what}: {plan:?}");
        }
    }
}

#[tokio::test]
async fn a_number_is_found_with_nothing_else_said_and_not_outside_ones_divisions() {
    let mut dice = Dice(3);
    let bench = Bench::new();
    let keys = town(&bench, &mut dice, 30, 150).await;
    let all = cases(&bench, &keys).await;
    let one = all
        .iter()
        .filter_map(|told| told.case.as_ref())
        .find(|case| !case.number.is_empty() && case.subject.as_ref().unwrap().kind_class != 3);
    let one = one.unwrap();
    let query =
        CaseQuery { number: Some(one.number.clone()), limit: 9, with_total: true, ..CaseQuery::default() };
    let page = bench.bus.store().cases(query.clone()).await.unwrap();
    assert_eq!((page.cases, page.total), (vec![one.clone()], Some(1)));
    let elsewhere = Filter { within: Some(vec!["440000".parse().unwrap()]), ..Filter::default() };
    let page = bench.bus.store().cases(CaseQuery { filter: elsewhere, ..query }).await.unwrap();
    assert_eq!((page.cases, page.total), (Vec::new(), Some(0)), "not even how many there are");
    assert!(matches!(keys[0], CaseKey::Alert(_)));
}

#[tokio::test]
async fn a_page_token_tells_nothing_of_a_case_that_lies_elsewhere() {
    let mut dice = Dice(3);
    let bench = Bench::new();
    let keys = town(&bench, &mut dice, 30, 150).await;
    let all = cases(&bench, &keys).await;
    let one = all.iter().filter_map(|told| told.case.as_ref()).find(|case| !case.number.is_empty()).unwrap();
    let ask = |number: &str, code: &str| CaseQuery {
        filter: Filter { within: Some(vec![code.parse().unwrap()]), ..Filter::default() },
        before_exclusive: Some((Wall(one.opened_unix_us), number.to_owned())),
        limit: 9,
        ..CaseQuery::default()
    };
    let store = bench.bus.store();
    let nobodys = format!("{}999999999", &one.number[..20]);
    let path = &one.subject.as_ref().unwrap().division_path;
    let elsewhere = STREETS.iter().find(|street| !path.iter().any(|code| code == *street)).unwrap();
    let unknown = store.cases(ask(&nobodys, elsewhere)).await.unwrap_err();
    assert_eq!(store.cases(ask(&one.number, elsewhere)).await.unwrap_err(), unknown);
    assert!(store.cases(ask(&one.number, "33")).await.is_ok(), "its own token leads on");
}

#[tokio::test]
async fn an_alert_that_cannot_be_read_keeps_no_service_from_starting() {
    let bench = Bench::new();
    let (broken, whole) = (major(), major());
    bench.commit(&[broken.clone(), whole.clone()]).await;
    let Bench { folder, clock, bus, options } = bench;
    close(bus).await;
    let path = folder.path().join(STORE_FILE);
    let db = Connection::open(&path).unwrap();
    db.execute_batch("DROP TRIGGER alert_state_as_is").unwrap();
    let named = "SELECT alert_id, source IS NOT NULL FROM alert ORDER BY source IS NOT NULL";
    db.execute("UPDATE alert_state SET content = x'ff' WHERE alert_id = ?1", [broken.id.to_string()])
        .unwrap();
    db.execute_batch(
        "UPDATE alert SET source = NULL; INSERT INTO meta (key, value) VALUES ('case_facts_begin', x'01');",
    )
    .unwrap();
    drop(db);
    let bus = crate::bus::Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
    let db = Connection::open(&path).unwrap();
    let mut query = db.prepare(named).unwrap();
    let known = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))).unwrap();
    let known: Vec<_> = known.map(Result::unwrap).collect();
    assert_eq!(known, [(broken.id.to_string(), false), (whole.id.to_string(), true)]);
    drop(bus);
}
