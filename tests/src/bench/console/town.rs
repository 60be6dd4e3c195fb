//! A town of 200 cameras: its configuration, and the record of a year of it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::ensure;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use xueliang_alerts::{
    case::Action,
    store::{Incoming, Outcome, SqliteOptions, SqliteStore, Store as _},
};
use xueliang_base::{
    alert::Alert,
    time::{Clock as _, ManualClock, SystemClock, Wall},
};
use xueliang_proto::v1;

use super::super::cases::town::{alert_at, story, tell};

const DIVISIONS: u32 = 10;
const CAMERAS: u32 = 200;
/// The record's time: all of it lies before now.
const SPAN: Duration = Duration::from_secs(365 * 86_400);
/// Stories are told, and alerts end, so many at a time; and in so many turns at least, so that each week has some.
const BATCH: usize = 500;
const TURNS: usize = 100;
/// Stories of so many at the end are left where they are: about what is open in a town on any day.
const OPEN: usize = 300;
/// So many of the latest still fire.
pub(super) const FIRING: usize = 5;

/// Groups of floods are off: each alert is shown.
pub(super) fn config() -> String {
    let mut config = "[alerts]\nflood_per_camera = 0\nflood_per_division = 0\n\
                      [[division]]\ncode = \"330282\"\nname = \"湖山镇\"\n"
        .to_owned();
    for division in 1..=DIVISIONS {
        let code = code(division);
        config.push_str(&format!(
            "[[division]]\ncode = \"{code}\"\nname = \"{}\"\nparent = \"330282\"\n",
            name(division)
        ));
    }
    for camera in 0..CAMERAS {
        let place = place(camera);
        let [longitude, latitude] = position(camera);
        config.push_str(&format!(
            "[[camera]]\nid = \"{id}\"\nname = \"{name}\"\ndivision = \"{}\"\naddress = \"{}\"\n\
             position = [{longitude}, {latitude}]\nurl = \"rtsp://127.0.0.1:1/{id}\"\n",
            code(camera % DIVISIONS + 1),
            place.address,
            id = place.camera_id,
            name = place.camera_name,
        ));
    }
    config
}

fn code(division: u32) -> String {
    format!("330282{division:03}")
}

fn name(division: u32) -> String {
    format!("第{division}村")
}

fn position(camera: u32) -> [f64; 2] {
    let (column, row) = (f64::from(camera % 20), f64::from(camera / 20));
    [121.2 + column * 0.004, 30.15 + row * 0.005]
}

fn place(camera: u32) -> v1::Place {
    let division = camera % DIVISIONS + 1;
    let [longitude, latitude] = position(camera);
    v1::Place {
        camera_id: format!("camera-{camera}"),
        camera_name: format!("{}{camera}号点位", name(division)),
        division_path: vec!["330282".to_owned(), code(division)],
        division_name: name(division),
        address: format!("滨江路{camera}号"),
        position: Some(v1::GeoPoint { longitude, latitude }),
        ..v1::Place::default()
    }
}

/// What the town's node says of its cameras: they deliver, and fire is watched for at each.
pub(super) fn report(now: Wall) -> v1::ReportRequest {
    let camera = |camera: u32| {
        let place = place(camera);
        v1::CameraStatus {
            camera_id: place.camera_id,
            name: place.camera_name,
            division_path: place.division_path,
            address: place.address,
            position: place.position,
            signal: v1::Signal::Streaming.into(),
            last_unit_unix_us: now.0,
            last_look_unix_us: now.0,
            coverage: vec![v1::Coverage {
                rule: "fire".to_owned(),
                kind: v1::Kind::FireFlame.into(),
                granted: v1::Granted::Guaranteed.into(),
                blind_max_us: 30_000_000,
                interval_us: 20_000_000,
                ..v1::Coverage::default()
            }],
            ..v1::CameraStatus::default()
        }
    };
    v1::ReportRequest {
        node_id: "node-1".to_owned(),
        cameras: (0..CAMERAS).map(camera).collect(),
        ..v1::ReportRequest::default()
    }
}

/// An alert that begins at that time, somewhere. Never smoke: at a camera that has a flame it would not be shown.
pub(super) fn alert(dice: &mut SmallRng, at: Wall) -> v1::Alert {
    loop {
        let alert = alert_at(dice, at, |dice| place(dice.random_range(0..CAMERAS)));
        if alert.kind() != v1::Kind::FireSmoke {
            return alert;
        }
    }
}

/// Its end.
pub(super) fn ended(alert: &v1::Alert, at: Wall) -> v1::Alert {
    v1::Alert {
        revision: alert.revision + 1,
        state: v1::AlertState::Resolved.into(),
        resolution: v1::Resolution::ObservedAbsence.into(),
        last_seen_unix_us: at.0,
        resolved_unix_us: at.0,
        ..alert.clone()
    }
}

/// Makes the record of so many alerts, most of them with a case that is over.
pub(super) async fn fill(state: &Path, alerts: usize) -> anyhow::Result<()> {
    std::fs::create_dir_all(state)?;
    let clock = ManualClock::at(SystemClock.wall().minus(SPAN));
    let store = SqliteStore::open(state, clock.clone(), &SqliteOptions::default(), Arc::new(|_| {}))?;
    let mut dice = SmallRng::seed_from_u64(6);
    let batch = (alerts / TURNS).clamp(1, BATCH);
    let step = SPAN / u32::try_from(alerts.div_ceil(batch) * 2)?;
    for first in (0..alerts).step_by(batch) {
        let some: Vec<v1::Alert> =
            (first..alerts.min(first + batch)).map(|_| alert(&mut dice, clock.wall())).collect();
        publish(&store, &clock, some.iter().cloned()).await?;
        clock.advance(step);
        let mut told = Vec::new();
        for (index, alert) in some.iter().enumerate() {
            let mut acts = story(&mut dice);
            while first + index + OPEN < alerts && !is_over(&acts) {
                acts = story(&mut dice);
            }
            told.push(tell(&store, alert.alert_id.parse()?, acts));
        }
        stream::iter(told).buffer_unordered(250).try_collect::<()>().await?;
        let over = some.iter().enumerate().filter(|(index, _)| first + index + FIRING < alerts);
        let now = clock.wall();
        publish(&store, &clock, over.map(|(_, alert)| ended(alert, now))).await?;
        clock.advance(step);
    }
    Ok(())
}

async fn publish(
    store: &SqliteStore,
    clock: &ManualClock,
    states: impl Iterator<Item = v1::Alert>,
) -> anyhow::Result<()> {
    let received = clock.mono();
    let incoming: Vec<Incoming> = states
        .map(|alert| anyhow::Ok(Incoming { alert: Alert::try_from(alert)?, received, told: false }))
        .collect::<Result<_, _>>()?;
    let outcomes = store.publish(incoming).await?;
    let committed = outcomes.iter().all(|one| matches!(one, Outcome::Committed(_)));
    ensure!(committed, "not all of a batch was committed: {outcomes:?}");
    Ok(())
}

fn is_over(acts: &[(Action, &'static str)]) -> bool {
    use Action::{Cancel, FalseAlarm, NotAccept, Pass};
    matches!(acts.last(), Some((FalseAlarm(_) | NotAccept(_) | Pass | Cancel(_), _)))
}
