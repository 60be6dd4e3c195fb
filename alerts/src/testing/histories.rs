//! A town in which people do what they may, in random order: alerts of several places and kinds, and cases in every state.

use std::time::Duration;

use xueliang_base::{
    alert::{Alert, AlertState, ModelRef, Sha256},
    error::ErrorKind,
    incident::Resolution,
    kind::{Kind, Level},
    point::PointClass,
    time::Clock as _,
};
use xueliang_proto::v1::{self, CaseState};

use super::{Bench, Dice, alert, resolved};
use crate::{
    case::{Action, Actor, CLAIM, Owner, Subject},
    store::{ActOn, CaseKey, ManualReport},
};

/// Divisions below the county, two villages of each.
pub(crate) const STREETS: [&str; 3] = ["330106001", "330106002", "330109001"];
const KINDS: [(Kind, u8); 5] = [
    (Kind::FireFlame, 2),
    (Kind::FireLaneBlocked, 3),
    (Kind::ExposedGarbage, 4),
    (Kind::WrongWay, 3),
    (Kind::CamOffline, 4),
];
/// Units that handle; nobody knows the last.
pub(crate) const UNITS: [&str; 3] = ["brigade", "water", "hermit"];

fn path(camera: u64) -> Vec<String> {
    let street = STREETS[(camera % 3) as usize];
    let village = format!("{street}{:03}", camera / 3);
    ["33", "3301", &street[..6], street, &village].map(str::to_owned).into()
}

/// The class of a camera's point: those of the first street have none.
pub(crate) fn class_of(camera: u64) -> Option<PointClass> {
    [None, Some(PointClass::First), Some(PointClass::Third)][(camera % 3) as usize]
}

/// An alert of some place and kind.
pub(crate) fn some_alert(dice: &mut Dice, bench: &Bench) -> Alert {
    let (kind, level) = KINDS[dice.roll(5) as usize];
    let camera = dice.roll(6);
    let mut one = alert(kind, level);
    let now = bench.clock.wall();
    (one.started, one.last_seen, one.decided) = (now, now, now);
    one.place.camera = format!("camera-{camera}").parse().unwrap();
    one.place.division_path = path(camera).iter().map(|code| code.parse().unwrap()).collect();
    one.place.class = class_of(camera);
    one.drill = dice.roll(9) == 0;
    one.explanation.rule = ["rule-a", "rule-b"][dice.roll(2) as usize].parse().unwrap();
    one.explanation.model = (dice.roll(3) > 0).then(|| ModelRef {
        name: "yolo".parse().unwrap(),
        version: format!("{}", dice.roll(2)),
        sha256: None,
    });
    one
}

/// What somebody may do next with a case where it stands, and who.
fn some_action(dice: &mut Dice, case: &v1::Case, other: Option<String>, bench: &Bench) -> (Action, Actor) {
    let now = bench.clock.wall();
    let reason = |dice: &mut Dice, most: u64| 1 + i32::try_from(dice.roll(most)).unwrap();
    let anytime = dice.roll(12);
    let is_open = !matches!(
        case.state(),
        CaseState::Closed
            | CaseState::ForcedClosed
            | CaseState::FalseAlarm
            | CaseState::Merged
            | CaseState::NotAccepted
            | CaseState::Cleared
            | CaseState::Cancelled
    );
    let action = match (anytime, case.state()) {
        (0, _) if is_open => Action::Urge,
        (1, _) if is_open && case.state() != CaseState::New => Action::Extend,
        (2, _) if is_open && case.state() != CaseState::New => Action::Whistle(v1::Whistle::Emergency),
        (3, _) if is_open => Action::Supervise(v1::Supervision::Manual),
        (4, _) => Action::Hold(dice.roll(2) == 0),
        (5, _) if is_open && dice.roll(3) == 0 => Action::ForceClose,
        (6, _) if is_open && dice.roll(3) == 0 => Action::Cancel(v1::CancelReason::Mistake),
        (_, CaseState::New) => match (dice.roll(8), other) {
            (0, _) => Action::FalseAlarm(v1::FalseAlarmReason::try_from(reason(dice, 7)).unwrap()),
            (1, _) => Action::NotAccept(v1::NotAcceptedReason::try_from(reason(dice, 4)).unwrap()),
            (2, Some(other)) => Action::Merge(other.parse().unwrap()),
            (3, _) => Action::Claim(now.plus(CLAIM)),
            (4, _) => Action::Regrade(Level::SEVERE),
            _ => Action::Confirm,
        },
        (_, CaseState::Confirmed | CaseState::Returned | CaseState::Reopened) => {
            Action::Dispatch(UNITS[dice.roll(3) as usize].to_owned(), Vec::new())
        }
        (_, CaseState::Dispatched) if dice.roll(6) == 0 => Action::Return,
        (_, CaseState::Dispatched) => Action::Accept,
        (_, CaseState::Accepted | CaseState::Rework) => Action::Start,
        (_, CaseState::Handling) if case.suspend_until_unix_us > now.0 => Action::Suspend,
        (_, CaseState::Handling) if dice.roll(5) == 0 => {
            Action::AskSuspension(now.plus(Duration::from_secs(7200)))
        }
        (_, CaseState::Handling) => Action::Feedback(vec![Sha256::of(b"proof")]),
        (_, CaseState::Suspended) => Action::Resume,
        (_, CaseState::Feedback) => Action::TakeUp,
        (_, CaseState::Verifying) if dice.roll(4) == 0 => Action::Rework,
        (_, CaseState::Verifying) => Action::Pass,
        // What is over mostly stays so: else in the end nothing would be closed.
        _ if dice.roll(8) > 0 => Action::Hold(dice.roll(2) == 0),
        _ => Action::Reopen,
    };
    let person = dice.roll(3);
    let actor = match action.capacity() {
        Some(crate::case::Capacity::Handled) => Actor::new(format!("{}-{person}", case.unit), &case.unit),
        Some(crate::case::Capacity::Verified) => Actor::new(format!("check-{person}"), "desk"),
        _ => Actor::new(format!("desk-{person}"), "desk"),
    };
    (action, actor)
}

/// Fills a town: alerts, manual reports, and so many things that somebody does. Returns what names its cases.
pub(crate) async fn town(bench: &Bench, dice: &mut Dice, alerts: usize, acts: usize) -> Vec<CaseKey> {
    let store = bench.bus.store();
    let (mut all, mut keys) = (Vec::new(), Vec::<CaseKey>::new());
    let mut number = None;
    for act in 0..acts {
        bench.clock.advance(Duration::from_secs(dice.roll(1500)));
        if all.len() < alerts && act * alerts >= all.len() * acts {
            let some: Vec<Alert> = (0..1 + dice.roll(3)).map(|_| some_alert(dice, bench)).collect();
            bench.commit(&some).await;
            keys.extend(some.iter().map(|one| CaseKey::Alert(one.id)));
            all.extend(some);
        }
        match dice.roll(30) {
            0 => bench.bus.tick_cases().await,
            1 => keys.push(report(bench, dice, act).await),
            2 => {
                let mut end = resolved(&all[dice.roll(all.len() as u64) as usize]);
                let at = bench.clock.wall();
                end.state = AlertState::Resolved { why: Resolution::ObservedAbsence, at };
                (end.last_seen, end.decided) = (at, at);
                // It may be over already.
                let _outcome = bench.publish(&[end]).await;
            }
            _ => {}
        }
        let key = &keys[dice.roll(keys.len() as u64) as usize];
        let Ok(told) = store.case(key.clone(), None).await else { continue };
        let case = told.case.unwrap();
        let (action, actor) = some_action(dice, &case, number.clone(), bench);
        let note = "as agreed".to_owned();
        let (key, revision) = (key.clone(), case.revision);
        let done = store.act_on_case(ActOn { key, revision, actor, action, note, within: None }).await;
        match done {
            Ok(case) if case.state.is_open() => number = Some(case.number.to_string()),
            Ok(_) => {}
            Err(error) => {
                let refused =
                    [ErrorKind::Conflict, ErrorKind::Forbidden, ErrorKind::InvalidInput, ErrorKind::NotFound];
                assert!(refused.contains(&error.kind()), "{error}");
            }
        }
    }
    // Nothing of what the clock has to say by now is left, so that what nobody touched is in time.
    for _ in 0..3 {
        bench.bus.tick_cases().await;
    }
    keys
}

async fn report(bench: &Bench, dice: &mut Dice, act: usize) -> CaseKey {
    let camera = dice.roll(6);
    let miss =
        (dice.roll(2) == 0).then(|| crate::case::Miss { kind: Kind::FireSmoke, seen: bench.clock.wall() });
    let subject = Subject {
        alert: None,
        kind: Kind::ManualReport,
        level: Level::MAJOR,
        camera: format!("camera-{camera}").parse().unwrap(),
        path: path(camera).iter().map(|code| code.parse().unwrap()).collect(),
        drill: false,
        miss,
        owner: Owner::Ours,
    };
    let actor = Actor::new("grid-1", "grid");
    let report = ManualReport {
        subject,
        class: class_of(camera),
        actor,
        note: "smoke behind it".to_owned(),
        key: format!("report-{act}"),
    };
    CaseKey::Number(bench.bus.store().report_manually(report).await.unwrap().number)
}

/// Every case with its history, as it is told one by one; not those that were never shown.
pub(crate) async fn cases(bench: &Bench, keys: &[CaseKey]) -> Vec<v1::GetCaseResponse> {
    let mut all = Vec::new();
    for key in keys {
        match bench.bus.store().case(key.clone(), None).await {
            Ok(told) => all.push(told),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    all
}
