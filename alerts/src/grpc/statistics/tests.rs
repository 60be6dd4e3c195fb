//! Statistics are what a plain look at every history finds, of one's own divisions alone, and never anybody's.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use tonic::Code;
use xueliang_base::time::Clock as _;
use xueliang_proto::v1::{
    CaseStage, CaseState, StatisticsKey as By, case_action::What, duty_service_server::DutyService as _,
};

use super::*;
use crate::{
    rights::{Principal, PrincipalKind},
    testing::{
        Bench, Dice,
        histories::{STREETS, UNITS, cases, town},
    },
};

const DAY_US: i64 = 86_400_000_000;

fn lea(divisions: Option<&str>) -> Principal {
    let divisions = divisions.map(|code| vec![code.parse().unwrap()]);
    Principal { divisions, ..Principal::new("lea", PrincipalKind::Operator) }
}

async fn ask(
    bench: &Bench,
    who: &Principal,
    request: v1::GetCaseStatisticsRequest,
) -> Result<v1::GetCaseStatisticsResponse, Status> {
    let mut request = Request::new(request);
    request.extensions_mut().insert(who.clone());
    Ok(StatisticsApi(bench.bus.clone()).get_case_statistics(request).await?.into_inner())
}

/// By these keys, over all the time of the bench.
fn by(bench: &Bench, keys: &[By]) -> v1::GetCaseStatisticsRequest {
    let to = bench.clock.wall().0 + 1;
    v1::GetCaseStatisticsRequest {
        from_unix_us: to - 200 * DAY_US,
        to_unix_us: to,
        by: keys.iter().map(|key| i32::from(*key)).collect(),
        page_size: 1000,
        ..v1::GetCaseStatisticsRequest::default()
    }
}

fn what(event: &v1::CaseEvent) -> &What {
    event.action.as_ref().unwrap().what.as_ref().unwrap()
}

/// Whether the limit of a stage had ended before an event; `None`: there was none.
fn late(history: &[v1::CaseEvent], at: usize, stage: CaseStage) -> Option<bool> {
    let timer = history[at - 1].timers.iter().find(|timer| timer.stage() == stage)?;
    Some(timer.paused_unix_us == 0 && history[at].at_unix_us >= timer.due_unix_us)
}

#[derive(Default, Clone)]
struct Took(Vec<i64>, Vec<bool>);

impl Took {
    fn add(&mut self, us: i64, late: Option<bool>) {
        self.0.push(us);
        self.1.extend(late);
    }
    fn told(&self) -> v1::StageStatistics {
        let mut all = self.0.clone();
        all.sort_unstable();
        // The smallest value that so large a part of all does not exceed.
        let at =
            |tenths: usize| all.iter().copied().enumerate().find(|(n, _)| (n + 1) * 10 >= all.len() * tenths);
        v1::StageStatistics {
            cases: all.len() as u64,
            in_time: Some(v1::Proportion {
                part: self.1.iter().filter(|late| !**late).count() as u64,
                whole: self.1.len() as u64,
            }),
            p50_us: at(5).map_or(0, |one| one.1),
            p90_us: at(9).map_or(0, |one| one.1),
        }
    }
}

/// The same, counted case after case with nothing remembered.
#[derive(Default, Clone)]
struct Plain {
    told: v1::CaseStatistics,
    times: [Took; 4],
    shares: [(u64, u64); 3],
}

impl Plain {
    fn add(&mut self, told: &v1::GetCaseResponse, now: i64) {
        let (case, history) = (told.case.as_ref().unwrap(), &told.history);
        let subject = case.subject.as_ref().unwrap();
        let manual = subject.alert_id.is_empty();
        let state = case.state();
        let has = |wanted: fn(&What) -> bool| history.iter().any(|event| wanted(what(event)));
        let first = |from: usize, wanted: fn(&What) -> bool| {
            (from..history.len()).find(|at| wanted(what(&history[*at])))
        };
        let at = |index: usize| history[index].at_unix_us;
        let last_reopened =
            (0..history.len()).rev().find(|at| matches!(what(&history[*at]), What::Reopen(_)));
        let sum = &mut self.told;
        sum.cases += 1;
        sum.alerts += u64::from(!manual);
        sum.manual_reports += u64::from(manual);
        sum.machine_misses += u64::from(subject.miss.is_some());
        let judged = (0..history.len()).rev().find_map(|at| match what(&history[at]) {
            What::Confirm(_) | What::Reopen(_) => Some(0),
            What::FalseAlarm(_) => Some(1),
            What::NotAccept(_) => Some(2),
            What::Merge(_) => Some(3),
            What::Clear(_) => Some(4),
            _ => None,
        });
        let counter = match (state, judged) {
            (CaseState::Cancelled, _) => &mut sum.cancelled,
            (_, None) => &mut sum.unjudged,
            (_, Some(0)) => &mut sum.confirmed,
            (_, Some(1)) => &mut sum.judged_false,
            (_, Some(2)) => &mut sum.not_accepted,
            (_, Some(3)) => &mut sum.merged,
            (_, Some(_)) => &mut sum.cleared,
        };
        *counter += 1;
        if !manual && state != CaseState::Cancelled && matches!(judged, Some(0..=2)) {
            self.shares[0].0 += u64::from(judged == Some(1));
            self.shares[0].1 += 1;
        }
        sum.forced_closes += u64::from(state == CaseState::ForcedClosed);
        sum.overdue += u64::from(case.overdue);
        sum.whistled += u64::from(case.whistle != 0);
        sum.extended += u64::from(case.extensions > 0);
        sum.reopened += u64::from(last_reopened.is_some());
        let judging = |one: &What| {
            matches!(one, What::Confirm(_) | What::FalseAlarm(_) | What::NotAccept(_) | What::Merge(_))
        };
        if let Some(index) = first(0, judging) {
            self.times[0].add(at(index) - case.opened_unix_us, late(history, index, CaseStage::Judge));
        }
        let dispatching = |one: &What| matches!(one, What::Dispatch(_));
        if let Some(index) = first(0, dispatching) {
            let waits = |at: &usize| matches!(what(&history[*at]), What::Confirm(_) | What::Reopen(_));
            let since = at((0..index).rev().find(waits).unwrap());
            self.times[1].add(at(index) - since, late(history, index, CaseStage::Dispatch));
        }
        if let Some(index) = first(0, |one| matches!(one, What::Accept(_))) {
            let since = at((0..index).rev().find(|at| dispatching(what(&history[*at]))).unwrap());
            self.times[2].add(at(index) - since, late(history, index, CaseStage::Accept));
        }
        let current = last_reopened.unwrap_or(0);
        let closing = first(current, |one| matches!(one, What::Pass(_)));
        let close = |index| late(history, index, CaseStage::Close);
        let mut in_time = None;
        if let Some(index) = closing {
            let since = at(first(current, dispatching).unwrap());
            self.times[3].add(at(index) - since, close(index));
            in_time = close(index).map(|late| !late);
        } else if let Some(index) = first(current, |one| matches!(one, What::ForceClose(_))) {
            in_time = close(index).filter(|late| *late).map(|_| false);
        } else if let Some(timer) = case.timers.iter().find(|timer| timer.stage() == CaseStage::Close) {
            in_time = (timer.paused_unix_us == 0 && now >= timer.due_unix_us).then_some(false);
        }
        self.shares[1].0 += u64::from(in_time == Some(true));
        self.shares[1].1 += u64::from(in_time.is_some());
        let checked = has(|one| matches!(one, What::TakeUp(_)));
        self.shares[2].0 += u64::from(checked && has(|one| matches!(one, What::Rework(_))));
        self.shares[2].1 += u64::from(checked);
    }
    fn told(&self) -> v1::CaseStatistics {
        let share = |at: usize| Some(v1::Proportion { part: self.shares[at].0, whole: self.shares[at].1 });
        let [judge, dispatch, accept, close] = &self.times;
        v1::CaseStatistics {
            judge: Some(judge.told()),
            dispatch: Some(dispatch.told()),
            accept: Some(accept.told()),
            close: Some(close.told()),
            false_alarms: share(0),
            closed_in_time: share(1),
            reworked: share(2),
            ..self.told.clone()
        }
    }
}

/// What a group is called in this test.
fn called(of: &[v1::StatisticsValue]) -> Vec<String> {
    of.iter().map(|one| format!("{}|{}|{}", one.number, one.text, one.others)).collect()
}

/// Of a case, by its alert as `GetAlert` tells it.
fn value(key: By, case: &v1::Case, alert: Option<&v1::Alert>) -> String {
    let subject = case.subject.as_ref().unwrap();
    let hours = case.opened_unix_us.div_euclid(3_600_000_000);
    let why = alert.and_then(|alert| alert.explanation.clone()).unwrap_or_default();
    let (number, text) = match key {
        By::Kind => (subject.kind, String::new()),
        By::Level => (case.level, String::new()),
        By::Division => (0, subject.division_path[2].clone()),
        By::Camera => (0, subject.camera_id.clone()),
        // The bench's zone is UTC.
        By::Hour => (i32::try_from(hours.rem_euclid(24)).unwrap(), String::new()),
        By::Day => (0, xueliang_base::time::Wall(case.opened_unix_us).rfc3339("UTC")[..10].to_owned()),
        By::Rule => (0, why.rule),
        By::Model => {
            (0, why.model.map(|model| format!("{} {}", model.name, model.version)).unwrap_or_default())
        }
        _ => unreachable!("told by other tests"),
    };
    format!("{number}|{text}|false")
}

#[tokio::test]
async fn statistics_are_what_a_plain_fold_over_every_history_comes_to() {
    for seed in [1, 2] {
        let mut dice = Dice(seed);
        let bench = Bench::new();
        let keys = town(&bench, &mut dice, 90, 2400).await;
        let all = cases(&bench, &keys).await;
        let store = bench.bus.store();
        let mut alerts = Vec::new();
        for told in &all {
            let id = told.case.as_ref().unwrap().subject.as_ref().unwrap().alert_id.parse();
            alerts.push(match id {
                Ok(id) => store.history(id).await.unwrap().pop().unwrap().alert,
                Err(_) => None,
            });
        }
        let now = bench.clock.wall().0;
        let pairs = [
            vec![],
            vec![By::Kind],
            vec![By::Level],
            vec![By::Division],
            vec![By::Camera],
            vec![By::Hour],
            vec![By::Day],
            vec![By::Rule],
            vec![By::Model],
            vec![By::Camera, By::Rule],
            vec![By::Kind, By::Hour],
        ];
        for keys in &pairs {
            for (with_drills, own) in
                [(true, None), (false, None), (true, Some(STREETS[0])), (false, Some("330109"))]
            {
                let request =
                    v1::GetCaseStatisticsRequest { with_drills, division_depth: 3, ..by(&bench, keys) };
                let answer = ask(&bench, &lea(own), request).await.unwrap();
                let (mut groups, mut total) = (BTreeMap::<Vec<String>, Plain>::new(), Plain::default());
                for (told, alert) in all.iter().zip(&alerts) {
                    let case = told.case.as_ref().unwrap();
                    let subject = case.subject.as_ref().unwrap();
                    let mine = own.is_none_or(|own| subject.division_path.iter().any(|code| code == own));
                    if subject.kind_class == 3 || !mine || (subject.drill && !with_drills) {
                        continue;
                    }
                    let group = keys.iter().map(|key| value(*key, case, alert.as_ref())).collect();
                    groups.entry(group).or_default().add(told, now);
                    total.add(told, now);
                }
                assert_eq!(answer.total.unwrap(), total.told(), "seed {seed}, {keys:?}");
                if keys.is_empty() {
                    assert_eq!(answer.groups, []);
                    continue;
                }
                let told: BTreeMap<_, _> = answer
                    .groups
                    .into_iter()
                    .map(|group| (called(&group.of), v1::CaseStatistics { of: Vec::new(), ..group }))
                    .collect();
                let plain: BTreeMap<_, _> =
                    groups.into_iter().map(|(group, sums)| (group, sums.told())).collect();
                assert_eq!(told, plain, "seed {seed}, {keys:?}, {own:?}");
            }
        }
        let whole = ask(&bench, &lea(None), by(&bench, &[])).await.unwrap().total.unwrap();
        let parts = whole.unjudged + whole.confirmed + whole.judged_false + whole.not_accepted;
        assert_eq!(parts + whole.merged + whole.cleared + whole.cancelled, whole.cases);
        let (judged, closed) = (whole.judge.unwrap().cases, whole.close.unwrap().cases);
        assert!(judged > 20 && closed > 2, "too little happened: {judged} judged, {closed} closed");
    }
}

#[tokio::test]
async fn pages_hold_every_group_once_largest_first() {
    let mut dice = Dice(5);
    let bench = Bench::new();
    town(&bench, &mut dice, 60, 200).await;
    let keys = [By::Camera, By::Kind];
    let all = ask(&bench, &lea(None), by(&bench, &keys)).await.unwrap();
    assert!(all.groups.is_sorted_by(|one, next| one.cases >= next.cases) && all.next_page_token.is_empty());
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::GetCaseStatisticsRequest { page_size: 3, page_token: token, ..by(&bench, &keys) };
        let page = ask(&bench, &lea(None), request).await.unwrap();
        assert_eq!(page.total, all.total);
        pages.extend(page.groups);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, all.groups);
}

#[tokio::test]
async fn what_would_tell_who_worked_is_refused_with_what_to_do() {
    let bench = Bench::new();
    let whole = |keys: &[By]| by(&bench, keys);
    let refused = [
        (whole(&[By::Unit, By::Day]), "leave one of them out"),
        (whole(&[By::Day, By::Shift]), "leave one of them out"),
        (whole(&[By::Kind, By::Kind]), "two different keys"),
        (whole(&[By::Kind, By::Level, By::Hour]), "two different keys"),
        (v1::GetCaseStatisticsRequest { by: vec![99], ..whole(&[]) }, "99"),
        (v1::GetCaseStatisticsRequest { by: vec![0], ..whole(&[]) }, "0"),
        (
            v1::GetCaseStatisticsRequest {
                from_unix_us: bench.clock.wall().0 - 6 * DAY_US,
                to_unix_us: 0,
                ..whole(&[By::Unit])
            },
            "7 days or more",
        ),
        (v1::GetCaseStatisticsRequest { from_unix_us: 1, ..whole(&[]) }, "366 days"),
        (v1::GetCaseStatisticsRequest { to_unix_us: 1, from_unix_us: 2, ..whole(&[]) }, "after the begin"),
        (v1::GetCaseStatisticsRequest { page_token: "x".to_owned(), ..whole(&[]) }, "page_token"),
    ];
    for (request, why) in refused {
        let status = ask(&bench, &lea(None), request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
        assert!(status.message().contains(why), "{status}");
    }
    let mut blind = lea(None);
    blind.rights.clear();
    let status = ask(&bench, &blind, whole(&[])).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

/// Makes accounts of a unit, as they are when their owners may sign in, changed by this.
async fn people(bench: &Bench, unit: &str, numbers: Range<usize>, change: impl Fn(&mut v1::Account)) {
    for number in numbers {
        let mut account = v1::Account {
            name: format!("{unit}-{number}"),
            display_name: "Somebody".to_owned(),
            unit: unit.to_owned(),
            roles: vec![v1::Role::Handler.into()],
            whole_town: true,
            is_set_up: true,
            ..v1::Account::default()
        };
        change(&mut account);
        crate::store::tests::put_account(bench.folder.path(), &account);
    }
}

#[tokio::test]
async fn a_unit_of_few_people_is_never_told_apart_nor_left_over() {
    let mut dice = Dice(9);
    let bench = Bench::new();
    town(&bench, &mut dice, 160, 1500).await;
    let mut request = by(&bench, &[By::Unit]);
    request.filter = Some(v1::AlertFilter { classes: vec![1, 2, 3], ..v1::AlertFilter::default() });
    let told = async |bench: &Bench| {
        let answer = ask(bench, &lea(None), request.clone()).await.unwrap();
        let sum: u64 = answer.groups.iter().map(|group| group.cases).sum();
        assert_eq!(sum, answer.total.unwrap().cases);
        let name = |group: &v1::CaseStatistics| match &group.of[0] {
            one if one.others => "others".to_owned(),
            one => one.text.clone(),
        };
        let mut names: Vec<String> = answer.groups.iter().map(name).collect();
        names.sort();
        names
    };
    // Nobody knows who they are: all of them together, and those of which nobody was asked.
    assert_eq!(told(&bench).await, ["", "others"]);
    people(&bench, UNITS[0], 0..3, |_| {}).await;
    people(&bench, UNITS[1], 0..4, |_| {}).await;
    people(&bench, UNITS[2], 0..1, |_| {}).await;
    // One alone would be left over: another joins it.
    let names = told(&bench).await;
    assert_eq!((names.len(), names[0].as_str()), (3, ""), "{names:?}");
    assert!(names.contains(&"others".to_owned()) && !names.contains(&UNITS[2].to_owned()), "{names:?}");
    // Nor do those count that nobody may use: never set up, over, without training, taken away, or a machine's.
    let now = bench.clock.wall().0;
    let unused: [&dyn Fn(&mut v1::Account); 5] = [
        &|account| account.is_set_up = false,
        &|account| account.valid_until_unix_us = now,
        &|account| account.trained_until_unix_us = now,
        &|account| account.disabled = true,
        &|account| {
            account.machine = true;
            account.roles = vec![v1::Role::ExternalPlatform.into()];
        },
    ];
    for (index, unused) in unused.into_iter().enumerate() {
        people(&bench, UNITS[2], 10 + 3 * index..13 + 3 * index, unused).await;
        assert_eq!(told(&bench).await, names);
    }
    people(&bench, UNITS[2], 0..3, |_| {}).await;
    assert_eq!(told(&bench).await, ["", UNITS[0], UNITS[2], UNITS[1]]);
}

#[tokio::test]
async fn a_shift_is_hours_at_a_place_and_nobodys() {
    let mut dice = Dice(13);
    let bench = Bench::new();
    let one = |code: &str, parent: &str| xueliang_base::config::Division {
        code: code.parse().unwrap(),
        name: "n".to_owned(),
        parent: (!parent.is_empty()).then(|| parent.parse().unwrap()),
    };
    let tree = [("33", ""), ("3301", "33"), ("330106", "3301"), (STREETS[1], "330106")];
    bench.bus.seed_divisions(tree.map(|(code, parent)| one(code, parent)).into()).await.unwrap();
    let shift = |division: &str, account: &str, from: u32, to: u32| v1::Shift {
        division_code: division.to_owned(),
        unit: "desk".to_owned(),
        account: account.to_owned(),
        band: Some(v1::TimeBand { from_minute: from, to_minute: to, ..v1::TimeBand::default() }),
        ..v1::Shift::default()
    };
    let api = super::super::DutyApi(bench.bus.clone());
    for one in [
        shift("330106", "ann", 0, 720),
        shift("330106", "ben", 0, 720),
        shift("330106", "cho", 0, 720),
        shift("330106", "dee", 720, 0),
        shift("330106", "eva", 720, 0),
        shift("330106", "fay", 720, 0),
        // One alone.
        shift(STREETS[1], "gus", 0, 1440),
    ] {
        let mut request = Request::new(v1::PutShiftRequest { shift: Some(one) });
        request.extensions_mut().insert(lea(None));
        api.put_shift(request).await.unwrap();
    }
    bench.clock.advance(Duration::from_secs(1));
    town(&bench, &mut dice, 200, 600).await;
    let answer = ask(&bench, &lea(None), by(&bench, &[By::Shift])).await.unwrap();
    let mut told: Vec<_> = answer.groups.iter().map(|group| called(&group.of)[0].clone()).collect();
    told.sort();
    // Of three shifts one is somebody's: another stands with it. What was nobody's shift is told as that.
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.contains(&"0||true".to_owned()) && told.contains(&"0||false".to_owned()), "{told:?}");
    assert!(told.iter().any(|name| name.starts_with("0|330106 ")), "{told:?}");
    let all = format!("{answer:?}");
    for name in ["ann", "ben", "cho", "dee", "eva", "fay", "gus"] {
        assert!(!all.contains(name), "{name}");
    }
}
