//! Search over a million alerts with their cases, as an operator asks, and statistics over all of them.

use std::sync::Arc;

use anyhow::ensure;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::Instant;
use xueliang_alerts::{
    case::{State, fact::Reason},
    filter::Filter,
    store::{CaseQuery, Cases as _, MOST_COUNTED, SqliteOptions, SqliteStore, StatisticsQuery},
};
use xueliang_base::{
    id::{CameraId, DivisionCode},
    kind::Level,
    time::{Clock as _, ManualClock, Wall},
};
use xueliang_proto::v1::{self, StatisticsKey};

use super::{
    super::{Table, percentile},
    Share,
    town::{self, BEGIN, SPAN},
};

const ALERTS: u64 = 1_000_000;
/// Searches of each sort.
const EACH: usize = 25;
const BAR_US: u64 = 300_000;
/// Alerts of a list whose cases are asked for at once, at most.
const LISTED: usize = 200;
/// "In seconds".
const STATISTICS_BAR_S: f64 = 10.0;

type Ask = fn(&mut SmallRng, &mut CaseQuery);

fn codes(dice: &mut SmallRng, deep: usize) -> Vec<DivisionCode> {
    let path = town::path(town::some_camera(dice));
    path.get(deep).and_then(|code| code.parse::<DivisionCode>().ok()).into_iter().collect()
}

fn some_days(dice: &mut SmallRng, query: &mut CaseQuery, days: i64) {
    let span = i64::try_from(SPAN.as_micros()).unwrap_or(i64::MAX);
    let long = days * 86_400_000_000;
    let from = BEGIN.0 + dice.random_range(0..span - long);
    (query.from_inclusive, query.to_exclusive) = (Some(Wall(from)), Some(Wall(from + long)));
}

fn rare_reason(dice: &mut SmallRng, query: &mut CaseQuery) {
    let reason = v1::FalseAlarmReason::try_from(dice.random_range(1..=6)).unwrap_or_default();
    query.reasons = vec![Reason::False(reason)];
}

/// What people ask for, from what nearly all meet to what nothing meets.
const ASKS: [(&str, Ask); 19] = [
    ("the latest", |_, _| {}),
    ("a day", |dice, query| some_days(dice, query, 1)),
    ("a month", |dice, query| some_days(dice, query, 30)),
    ("a district", |dice, query| query.filter.divisions = codes(dice, 2)),
    ("a village", |dice, query| query.filter.divisions = codes(dice, 4)),
    ("a village's own, seen by itself", |dice, query| {
        query.filter.within = Some(codes(dice, 4).iter().map(Into::into).collect());
    }),
    ("a camera", |dice, query| {
        let camera = format!("camera-{}", town::some_camera(dice));
        query.filter.cameras = camera.parse::<CameraId>().into_iter().collect();
    }),
    ("a camera that has none", |_, query| {
        query.filter.cameras = "camera-none".parse::<CameraId>().into_iter().collect();
    }),
    ("a common kind", |_, query| query.filter.kinds = vec![v1::Kind::ExposedGarbage.into()]),
    ("a rare kind in a district", |dice, query| {
        query.filter.kinds = vec![v1::Kind::FireFlame.into()];
        query.filter.divisions = codes(dice, 2);
    }),
    ("severe in a month", |dice, query| {
        query.levels = vec![Level::SEVERE];
        some_days(dice, query, 30);
    }),
    ("to be judged", |_, query| query.states = vec![State::New]),
    ("open in a street", |dice, query| {
        query.states = State::ALL.into_iter().filter(|state| state.is_open()).collect();
        query.filter.divisions = codes(dice, 3);
    }),
    ("overdue", |_, query| query.flags = vec![v1::CaseFlag::Overdue]),
    ("drills of a kind", |_, query| {
        query.flags = vec![v1::CaseFlag::Drill];
        query.filter.kinds = vec![v1::Kind::WrongWay.into()];
    }),
    ("a reason in a street", |dice, query| {
        rare_reason(dice, query);
        query.filter.divisions = codes(dice, 3);
    }),
    ("a number's place and day", |dice, query| {
        let camera = town::some_camera(dice);
        let village = town::path(camera).pop().unwrap_or_default();
        query.number = Some(format!("{village}20260{:03}", dice.random_range(101..=130)));
    }),
    ("common conditions that few meet together", |dice, query| {
        query.states = vec![State::Handling];
        query.filter.kinds = vec![v1::Kind::RoadFlood.into()];
        query.filter.divisions = codes(dice, 2);
        query.flags = vec![v1::CaseFlag::WasOverdue];
    }),
    ("common conditions that nothing meets together", |dice, query| {
        query.states = vec![State::FalseAlarm];
        query.levels = vec![Level::GENERAL];
        query.filter.kinds = vec![v1::Kind::FireLaneBlocked.into(), v1::Kind::WrongWay.into()];
        query.filter.divisions = codes(dice, 2);
    }),
];

/// Measures and prints.
pub(super) async fn run(table: &mut Table, share: Share) -> anyhow::Result<()> {
    let alerts = usize::try_from(share.cut(ALERTS, 1000))?;
    let folder = town::filled(alerts).await?;
    let clock = ManualClock::at(BEGIN.plus(SPAN));
    let store = SqliteStore::open(&folder, clock.clone(), &SqliteOptions::default(), Arc::new(|_| {}))?;
    let mut dice = SmallRng::seed_from_u64(5);
    let (mut all, mut found) = (Vec::new(), 0);
    for (name, ask) in ASKS {
        let mut took = Vec::new();
        for each in 0..EACH {
            let mut query = CaseQuery { limit: 100, with_total: true, ..CaseQuery::default() };
            ask(&mut dice, &mut query);
            if each == 0 {
                println!("({name}: {})", store.case_search_plan(query.clone()).await?.join("; "));
            }
            let began = Instant::now();
            let page = store.cases(query.clone()).await?;
            took.push(u64::try_from(began.elapsed().as_micros())?);
            found += usize::from(!page.cases.is_empty());
            ensure!(
                page.total.is_some_and(|total| total >= page.cases.len()),
                "a page is more than the whole"
            );
        }
        all.extend(took.clone());
        let (half, most) = (percentile(&mut took, 0.5), percentile(&mut took, 1.0));
        table.note(
            &format!("search: {name}"),
            format!("p50 {:.1} ms, slowest of {EACH} {:.1} ms", half as f64 / 1e3, most as f64 / 1e3),
        );
    }
    ensure!(share.0 < 1.0 || found > all.len() / 2, "{found} of {} searches find anything", all.len());
    let (half, most) = (percentile(&mut all, 0.5), percentile(&mut all, 0.99));
    table.row(
        &format!("search over {alerts} alerts with their cases, a page of 100 and how many there are, p99"),
        format!("{:.1} ms (p50 {:.1} ms; {} searches)", most as f64 / 1e3, half as f64 / 1e3, all.len()),
        &format!("<= {} ms", BAR_US / 1000),
        most <= BAR_US,
    );
    table.note("cases that a search counts", format!("up to {MOST_COUNTED}"));
    named(table, &store, &mut dice).await?;
    statistics(table, &store, alerts, clock.wall()).await
}

/// What a desk asks every few seconds: how the cases of the alerts in its list stand.
async fn named(table: &mut Table, store: &SqliteStore, dice: &mut SmallRng) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for _ in 0..EACH {
        let mut some = CaseQuery { limit: LISTED, ..CaseQuery::default() };
        some_days(dice, &mut some, 1);
        let listed = store.cases(some).await?.cases;
        let ids = listed.iter().filter_map(|case| case.subject.as_ref()?.alert_id.parse().ok());
        let alerts: Vec<_> = ids.collect();
        let asked = alerts.len();
        if asked == 0 {
            continue;
        }
        let query = CaseQuery { alerts, limit: LISTED, ..CaseQuery::default() };
        let began = Instant::now();
        let found = store.cases(query).await?.cases;
        took.push(u64::try_from(began.elapsed().as_micros())?);
        ensure!(found.len() == asked, "{} cases of {asked} alerts", found.len());
    }
    let (half, most) = (percentile(&mut took, 0.5), percentile(&mut took, 1.0));
    table.note(
        &format!("the cases of {LISTED} alerts that are named"),
        format!("p50 {:.1} ms, slowest of {EACH} {:.1} ms", half as f64 / 1e3, most as f64 / 1e3),
    );
    Ok(())
}

async fn statistics(table: &mut Table, store: &SqliteStore, alerts: usize, now: Wall) -> anyhow::Result<()> {
    for by in [
        vec![],
        vec![StatisticsKey::Division],
        vec![StatisticsKey::Camera, StatisticsKey::Rule],
        vec![StatisticsKey::Kind, StatisticsKey::Hour],
        vec![StatisticsKey::Unit],
    ] {
        let query = StatisticsQuery {
            filter: Filter::default(),
            from_inclusive: BEGIN,
            to_exclusive: now,
            by: by.clone(),
            depth: 3,
            with_drills: true,
        };
        let began = Instant::now();
        let (told, _) = store.case_statistics(query).await?;
        let took = began.elapsed().as_secs_f64();
        // What another alert suppresses waits for nobody, and is no case.
        let cases = told.total.cases;
        ensure!(
            (alerts as u64 * 99 / 100..=alerts as u64).contains(&cases),
            "{cases} cases of {alerts} alerts"
        );
        let names: Vec<&str> =
            by.iter().map(|key| key.as_str_name().trim_start_matches("STATISTICS_KEY_")).collect();
        table.row(
            &format!(
                "statistics of {cases} cases by {}",
                if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
            ),
            format!("{took:.2} s, {} groups", told.groups.len()),
            &format!("<= {STATISTICS_BAR_S} s"),
            took <= STATISTICS_BAR_S,
        );
    }
    Ok(())
}
