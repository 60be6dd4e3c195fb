//! A town's record: alerts over most of a year and what people made of them, in a mix as towns have it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::ensure;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use xueliang_alerts::{
    case::{Action, Actor},
    error::Error,
    store::{ActOn, CaseKey, Cases as _, Incoming, Outcome, SqliteOptions, SqliteStore, Store as _},
};
use xueliang_base::{
    alert::{Alert, Sha256},
    id::AlertId,
    time::{Clock as _, ManualClock, Wall},
};
use xueliang_proto::v1;

use crate::repository;

/// The first alert.
pub(super) const BEGIN: Wall = Wall(1_767_225_600_000_000);
/// From the first alert to the last.
pub(super) const SPAN: Duration = Duration::from_secs(300 * 86_400);
const BATCH: usize = 500;
pub(super) const CAMERAS: u32 = 22_000;

/// Kind, class, level, and how many of a hundred alerts.
const KINDS: [(v1::Kind, v1::KindClass, v1::Level, u32); 8] = {
    use v1::{
        Kind::{
            ExposedGarbage, FireFlame, FireLaneBlocked, FireSmoke, IllegalDump, RoadFlood, WaterZoneEntry,
            WrongWay,
        },
        KindClass::{Event, State},
        Level::{Level2, Level3, Level4},
    };
    [
        (ExposedGarbage, State, Level4, 38),
        (FireLaneBlocked, State, Level3, 27),
        (WrongWay, Event, Level3, 15),
        (IllegalDump, Event, Level3, 10),
        (RoadFlood, State, Level3, 5),
        (WaterZoneEntry, Event, Level2, 3),
        (FireSmoke, Event, Level2, 1),
        (FireFlame, Event, Level2, 1),
    ]
};

/// Divisions of a camera from the root down: 10 districts, 10 streets of each, 10 villages of each.
pub(super) fn path(camera: u32) -> Vec<String> {
    let village = camera % 1000;
    let district = format!("3301{:02}", 10 + village / 100);
    let street = format!("{district}{:03}", village / 10 % 10 + 1);
    ["33".to_owned(), "3301".to_owned(), district, street.clone(), format!("{street}{:03}", village % 10 + 1)]
        .into()
}

/// A camera: some raise many alerts, most few.
pub(super) fn some_camera(dice: &mut SmallRng) -> u32 {
    let spread: f64 = dice.random();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the cameras")]
    let camera = (f64::from(CAMERAS) * spread * spread * spread) as u32;
    // So that busy cameras stand all over the town.
    camera * 7919 % CAMERAS
}

fn alert(dice: &mut SmallRng, at: Wall) -> v1::Alert {
    alert_at(dice, at, |dice| {
        let camera = some_camera(dice);
        v1::Place {
            camera_id: format!("camera-{camera}"),
            camera_name: "Gate".to_owned(),
            division_path: path(camera),
            division_name: "Bench".to_owned(),
            ..v1::Place::default()
        }
    })
}

/// An alert of the mix, at one of somebody's places.
pub(in crate::bench) fn alert_at(
    dice: &mut SmallRng,
    at: Wall,
    some_place: impl FnOnce(&mut SmallRng) -> v1::Place,
) -> v1::Alert {
    let mut of_hundred = dice.random_range(0..100);
    let kind = KINDS.iter().find(|(.., share)| match of_hundred < *share {
        true => true,
        false => {
            of_hundred -= share;
            false
        }
    });
    let (kind, class, level, _) = kind.copied().unwrap_or(KINDS[0]);
    let place = some_place(dice);
    v1::Alert {
        alert_id: AlertId::mint().to_string(),
        revision: 1,
        kind: kind.into(),
        kind_class: class.into(),
        level: level.into(),
        state: v1::AlertState::Firing.into(),
        place: Some(place),
        started_unix_us: at.0,
        last_seen_unix_us: at.0,
        decided_unix_us: at.0,
        count: 1,
        confidence: 0.5,
        drill: dice.random_range(0..500) == 0,
        explanation: Some(v1::Explanation {
            config_revision: 1,
            rule: format!("rule-{}", i32::from(kind)),
            model: Some(v1::ModelRef {
                name: "town".to_owned(),
                version: dice.random_range(1..=2).to_string(),
                sha256: String::new(),
            }),
            ..v1::Explanation::default()
        }),
        ..v1::Alert::default()
    }
}

/// What people make of an alert, from first to last: of a hundred, 43 are judged false, 10 turned down, 30 handled and
/// closed, 8 handled and still open, 2 cancelled, and 7 were touched by nobody.
pub(in crate::bench) fn story(dice: &mut SmallRng) -> Vec<(Action, &'static str)> {
    use Action::{
        Accept, Cancel, Confirm, Dispatch, FalseAlarm, Feedback, NotAccept, Pass, Rework, Start, TakeUp,
    };
    let unit = ["brigade", "water", "streets", "fire"][dice.random_range(0..4_usize)];
    let done = || vec![(Feedback(vec![Sha256::of(b"proof")]), unit), (TakeUp, "check")];
    let handled = || {
        let dispatch = Dispatch(unit.to_owned(), Vec::new());
        vec![(Confirm, "desk"), (dispatch, "desk"), (Accept, unit), (Start, unit)]
    };
    match dice.random_range(0..100) {
        0..43 => {
            let reason = v1::FalseAlarmReason::try_from(dice.random_range(1..=6)).unwrap_or_default();
            vec![(FalseAlarm(reason), "desk")]
        }
        43..53 => vec![(NotAccept(v1::NotAcceptedReason::Slight), "desk")],
        53..80 => [handled(), done(), vec![(Pass, "check")]].concat(),
        80..83 => [handled(), done(), vec![(Rework, "check"), (Start, unit)], done(), vec![(Pass, "check")]]
            .concat(),
        83..91 => handled(),
        91..93 => vec![(Confirm, "desk"), (Cancel(v1::CancelReason::Mistake), "lead")],
        _ => Vec::new(),
    }
}

/// The state folder with the record of so many alerts: made once, kept with what else was prepared.
pub(super) async fn filled(alerts: usize) -> anyhow::Result<PathBuf> {
    let cache = repository().join(".cache/bench-cases");
    let (folder, part) = (cache.join(format!("town-{alerts}")), cache.join("town.part"));
    if folder.is_dir() {
        return Ok(folder);
    }
    println!(
        "(the record of {alerts} alerts with their cases is made once, which takes minutes: {})",
        folder.display()
    );
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    fill(&part, alerts).await?;
    fs::rename(&part, &folder)?;
    Ok(folder)
}

async fn fill(folder: &Path, alerts: usize) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let clock = ManualClock::at(BEGIN);
    let store = SqliteStore::open(folder, clock.clone(), &SqliteOptions::default(), Arc::new(|_| {}))?;
    let mut dice = SmallRng::seed_from_u64(2026);
    let batches = alerts.div_ceil(BATCH);
    for batch in 0..batches {
        let some: Vec<Alert> = (batch * BATCH..alerts.min((batch + 1) * BATCH))
            .map(|_| Alert::try_from(alert(&mut dice, clock.wall())))
            .collect::<Result<_, _>>()?;
        // Alerts come over the whole of a batch's time; stories are told at its end.
        let step = SPAN / u32::try_from(batches * 10)?;
        for tenth in some.chunks(BATCH / 10) {
            let of = |alert: &Alert| Incoming { alert: alert.clone(), received: clock.mono(), told: false };
            let outcomes = store.publish(tenth.iter().map(of).collect()).await?;
            let committed = outcomes.iter().all(|one| matches!(one, Outcome::Committed(_)));
            ensure!(committed, "not all of a batch was committed: {outcomes:?}");
            clock.advance(step);
        }
        let stories = some.iter().map(|alert| (alert.id, story(&mut dice)));
        let told = stories.map(|(id, story)| tell(&store, id, story)).collect::<Vec<_>>();
        stream::iter(told).buffer_unordered(250).try_collect::<()>().await?;
        if batch % 200 == 199 {
            println!("({} alerts)", (batch + 1) * BATCH);
        }
    }
    Ok(())
}

/// Has it happen to the alert's case.
pub(in crate::bench) async fn tell(
    store: &SqliteStore,
    alert: AlertId,
    story: Vec<(Action, &'static str)>,
) -> anyhow::Result<()> {
    let mut revision = 0;
    for (action, unit) in story {
        let (key, actor) = (CaseKey::Alert(alert), Actor::new(format!("{unit}-1"), unit));
        let note = "as agreed on the spot".to_owned();
        let act = ActOn { key, revision, actor, action, note, within: None };
        revision = match store.act_on_case(act).await {
            Ok(told) => told.revision,
            // Another alert of its camera makes it needless: it was not shown, and nobody judges it.
            Err(Error::Conflict(_)) if revision == 0 => return Ok(()),
            Err(error) => return Err(error.into()),
        };
    }
    Ok(())
}
