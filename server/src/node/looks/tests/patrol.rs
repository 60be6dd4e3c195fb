//! Cameras that are visited, and those that are connected when somebody asks.

use xueliang_base::config::Acquire;
use xueliang_ingest::health::Idle;

use super::*;

/// Persons at a pond, and what keeps its place; taken so.
fn taken(how: &str) -> Arc<Config> {
    config(&format!(
        r#"
{how}
health = ["CAM_OFFLINE"]
[[camera.zone]]
id = "pond"
polygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
area_m2 = 100
[[camera.rule]]
kind = "WATER_ZONE_ENTRY"
zone = "pond"
dwell = "2s"
[[camera.rule]]
kind = "CROWD_DENSITY"
zone = "pond"
blind_max = "60s"
max_gap = "120s"
[[camera.rule]]
id = "often"
kind = "CROWD_DENSITY"
zone = "pond"
"#
    ))
}

const PATROL: &str = "acquire = \"patrol\"\npatrol_every = \"60s\"";
const BETWEEN: Signal = Signal::NotConnected(Idle::Patrol);

fn granted(stage: &Stage) -> Vec<Granted> {
    stage.facts.borrow().cameras[&id()].coverage.iter().map(|row| row.granted).collect()
}

#[tokio::test]
async fn a_visit_is_one_look_and_goes_on_only_until_a_rule_that_has_seen_something_has_decided() {
    let mut stage = Stage::new();
    stage.ready();
    let config = taken(PATROL);
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, BETWEEN);
    stage.tick(1.0);
    stage.signal(&cell, Signal::Streaming);
    assert!(stage.look(&cell, 1.0, 0).await.is_some());
    assert_eq!(cell.noted().looked, Some(stage.clock.mono()));
    assert!(!cell.noted().undecided, "its picture was looked at, nothing is open");
    assert!(stage.look(&cell, 1.0, 0).await.is_none(), "one look a visit");
    stage.signal(&cell, BETWEEN);
    for _ in 0..59 {
        stage.tick(1.0);
    }
    // The next visit finds somebody, and stays.
    stage.signal(&cell, Signal::Streaming);
    assert!(stage.look(&cell, 0.1, 1).await.is_some());
    assert!(cell.noted().undecided);
    for _ in 0..4 {
        assert!(stage.look(&cell, 0.5, 1).await.is_some(), "as often as the rule asks");
    }
    assert_eq!(stage.edges(), [("raised", Kind::WaterZoneEntry)]);
    assert!(!cell.noted().undecided, "decided");
    stage.signal(&cell, BETWEEN);
    for _ in 0..40 {
        stage.tick(1.0);
    }
    assert_eq!(stage.edges(), [], "what nobody watches does not end");
    assert!(stage.not_looked().contains(&NotLooked::NotConnected));
    // It ends where it is seen to be over.
    stage.signal(&cell, Signal::Streaming);
    for _ in 0..30 {
        stage.look(&cell, 0.5, 0).await;
    }
    assert_eq!(stage.edges(), [("resolved", Kind::WaterZoneEntry)]);
}

#[tokio::test]
async fn a_patrol_covers_what_can_wait_for_it_and_visits_that_come_too_late_are_a_gap() {
    let mut stage = Stage::new();
    stage.ready();
    let config = taken(PATROL);
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    for _ in 0..4 {
        stage.signal(&cell, Signal::Streaming);
        assert!(stage.look(&cell, 0.5, 0).await.is_some());
        stage.signal(&cell, BETWEEN);
        for _ in 0..60 {
            stage.tick(1.0);
        }
        let wanted =
            [Granted::NotCovered(Why::Patrol), Granted::Guaranteed, Granted::NotCovered(Why::Patrol)];
        assert_eq!(
            granted(&stage),
            wanted,
            "moving hazards are not covered, nor what is asked for every 5 s"
        );
    }
    assert_eq!(stage.edges(), [], "neither lost nor a gap");
    // Visits come every two minutes: that is told, and the rule gets what it can.
    cell.note(|noted| noted.interval = Some(s(120.0)));
    for _ in 0..60 {
        stage.tick(1.0);
    }
    assert_eq!(granted(&stage)[1], Granted::BestEffort(Why::Patrol));
    assert_eq!(stage.edges(), [("raised", Kind::CoverageGap)]);
    for _ in 0..2 {
        stage.signal(&cell, Signal::Streaming);
        stage.look(&cell, 0.5, 0).await.unwrap();
        stage.signal(&cell, BETWEEN);
        for _ in 0..59 {
            stage.tick(1.0);
        }
    }
    assert_eq!(stage.edges(), [("resolved", Kind::CoverageGap)]);
    // A camera that its visits cannot reach is lost.
    stage.signal(&cell, Signal::Offline(OfflineCause::Refused));
    for _ in 0..20 {
        stage.tick(1.0);
    }
    assert_eq!(stage.edges(), [("raised", Kind::CamOffline)]);
    // And found again by one that delivered, however short it was.
    stage.signal(&cell, Signal::Streaming);
    stage.look(&cell, 0.5, 0).await;
    stage.signal(&cell, BETWEEN);
    for _ in 0..10 {
        stage.tick(1.0);
    }
    assert_eq!(stage.edges(), [("resolved", Kind::CamOffline)]);
}

#[tokio::test]
async fn nothing_is_promised_on_request_and_while_somebody_asks_it_is_watched() {
    let mut stage = Stage::new();
    stage.ready();
    let config = taken("acquire = \"on-request\"");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::NotConnected(Idle::OnRequest));
    for _ in 0..300 {
        stage.tick(1.0);
    }
    assert_eq!(granted(&stage), [Granted::NotCovered(Why::OnRequest); 3]);
    assert_eq!(stage.edges(), [], "nobody asked: no loss, no gap");
    cell.note(|noted| noted.acquire = Acquire::Continuous);
    stage.signal(&cell, Signal::Streaming);
    stage.tick(0.5);
    for _ in 0..4 {
        assert!(stage.look(&cell, 0.5, 0).await.is_some(), "as often as its rules ask");
    }
    stage.tick(0.1);
    assert_eq!(granted(&stage)[0], Granted::Guaranteed);
}

#[tokio::test]
async fn a_drill_camera_s_incidents_end_with_its_drill_and_the_next_drill_begins_anew() {
    let mut stage = Stage::new();
    stage.ready();
    let config = taken("acquire = \"on-request\"\ndrill = true");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    // However its session fares between two drills.
    for between in [Signal::NotConnected(Idle::OnRequest), Signal::Offline(OfflineCause::Unreachable)] {
        cell.note(|noted| noted.acquire = Acquire::Continuous);
        stage.signal(&cell, Signal::Streaming);
        stage.tick(1.0);
        for _ in 0..8 {
            stage.look(&cell, 0.5, 1).await;
        }
        assert_eq!(stage.edges(), [("raised", Kind::WaterZoneEntry)], "{between:?}");
        // A visit that breaks off in the middle is followed by another.
        stage.signal(&cell, Signal::NotConnected(Idle::OnRequest));
        for _ in 0..5 {
            stage.tick(1.0);
        }
        stage.signal(&cell, Signal::Streaming);
        for _ in 0..8 {
            stage.look(&cell, 0.5, 1).await;
        }
        assert_eq!(stage.edges(), [], "the drill goes on: {between:?}");
        cell.note(|noted| noted.acquire = Acquire::OnRequest);
        stage.signal(&cell, between);
        for _ in 0..300 {
            stage.tick(1.0);
        }
        assert_eq!(stage.edges(), [("drill over", Kind::WaterZoneEntry)], "no loss either: {between:?}");
    }
    assert!(stage.facts.borrow().cameras[&id()].coverage.is_empty(), "it covers nothing of the town");
}

#[tokio::test]
async fn all_that_is_told_of_a_drill_camera_is_told_as_of_one_until_it_is_gone() {
    for drill in [true, false] {
        let mut stage = Stage::new();
        stage.ready();
        let config = taken(&format!("acquire = \"on-request\"\ndrill = {drill}"));
        let cell = stage.cell(&config);
        stage.configure(&config, &cell, Vec::new());
        cell.note(|noted| noted.acquire = Acquire::Continuous);
        stage.signal(&cell, Signal::Streaming);
        stage.tick(1.0);
        for _ in 0..8 {
            stage.look(&cell, 0.5, 1).await;
        }
        let raised = stage.changes.try_recv().unwrap();
        assert!(matches!(raised.edge, Edge::Raised(_)) && raised.drill == drill);
        let nothing = Arc::new(Config { cameras: Vec::new(), ..(*config).clone() });
        stage.configure(&nothing, &cell, Vec::new());
        let ended = stage.changes.try_recv().unwrap();
        assert!(matches!(ended.edge, Edge::Resolved(_, Resolution::RuleRemoved)) && ended.drill == drill);
    }
}
