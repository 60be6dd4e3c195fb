use std::{path::Path, sync::Arc};

use xueliang_base::{
    alert::{EvidenceKind, EvidenceRef},
    geometry::Rect,
    incident::{Measure, MeasureKind},
    time::Clock as _,
};
use xueliang_proto::v1::PublishOutcome::{self, Committed, Conflict, Duplicate, Invalid};

use super::*;
use crate::{
    bus::{BusOptions, Published},
    testing::{Bench, alert, next_state, options},
};

const TOWN: &str = r#"
site = "town"
state_dir = "state"
networks = ["127.0.0.0/8"]
[[division]]
code = "33"
name = "Hushan"
[[division]]
code = "3301"
name = "Quay"
parent = "33"
[[division]]
code = "44"
name = "Elsewhere"
[[camera]]
id = "gate"
name = "North gate"
division = "3301"
address = "1 Quay Road"
url = "rtsp://127.0.0.1/gate"
[[camera.zone]]
id = "pond"
polygon = [[0.1, 0.5], [0.9, 0.5], [0.9, 0.9]]
[[camera]]
id = "far"
name = "Far away"
division = "44"
url = "rtsp://127.0.0.1/far"
[[publisher]]
name = "box-7"
token_file = "box-7.token"
divisions = ["33"]
kinds = ["FIRE_FLAME", "EXPOSED_GARBAGE"]
max_per_second = 8
[[publisher.device]]
id = "quay-thermal"
name = "Quay, thermal"
division = "3301"
[[publisher]]
name = "box-8"
token_file = "box-8.token"
divisions = ["33"]
kinds = ["FIRE_FLAME"]
max_per_second = 200
"#;

fn bench() -> Bench {
    bench_in(TOWN, 1)
}

fn town(text: &str, revision: u64) -> BusOptions {
    let config = Config::parse(text, Path::new("/")).unwrap();
    BusOptions { external: Arc::new(External::of(&config, ConfigRevision(revision))), ..options() }
}

fn bench_in(text: &str, revision: u64) -> Bench {
    Bench::with(town(text, revision))
}

fn fire() -> v1::Alert {
    (&alert(Kind::FireFlame, 2)).into()
}

fn at(camera: &str, zone: &str) -> v1::Place {
    v1::Place { camera_id: camera.to_owned(), zone: zone.to_owned(), ..v1::Place::default() }
}

/// A state that says whatever a publisher could say, with text wherever text fits.
fn talkative(kind: Kind) -> v1::Alert {
    let mut alert = alert(kind, 2);
    let said = "plate 浙B12345";
    alert.place.camera_name = said.to_owned();
    alert.place.division_name = said.to_owned();
    alert.place.address = Some(said.to_owned());
    alert.place.position = Some([1.0, 1.0]);
    alert.place.division_path = vec!["44".parse().unwrap()];
    alert.regions = vec![Rect { x0: 0.1, y0: 0.1, x1: 0.2, y1: 0.2 }];
    alert.measures = vec![Measure { kind: MeasureKind::DwellS, value: 3.0 }];
    alert.explanation.rule = "plate-B12345".parse().unwrap();
    alert.evidence = vec![EvidenceRef { kind: EvidenceKind::Still, content: Err(said.to_owned()) }];
    alert.publisher = "node-1".to_owned();
    let mut wire = v1::Alert::from(&alert);
    wire.explanation.as_mut().unwrap().model =
        Some(v1::ModelRef { name: "plates".to_owned(), version: said.to_owned(), sha256: String::new() });
    wire
}

async fn send(bench: &Bench, name: &str, alerts: Vec<v1::Alert>) -> Result<Vec<Published>> {
    let principal = Principal::new(name, PrincipalKind::Publisher);
    let publication = |alert| v1::Publication { alert: Some(alert), ..v1::Publication::default() };
    let all = alerts.into_iter().map(publication).collect();
    bench.bus.publish(&principal, all, bench.clock.mono()).await
}

async fn one(bench: &Bench, alert: v1::Alert) -> (PublishOutcome, String) {
    let one = send(bench, "box-7", vec![alert]).await.unwrap().remove(0);
    (one.outcome, one.message)
}

async fn stored(bench: &Bench, alert: &v1::Alert) -> v1::Alert {
    let history = bench.bus.store().history(alert.alert_id.parse().unwrap()).await.unwrap();
    history.last().unwrap().alert.clone().unwrap()
}

fn counts(bench: &Bench) -> [u64; 4] {
    let (_, counts) = bench.bus.external().counts().find(|(name, _)| *name == "box-7").unwrap();
    [&counts.taken, &counts.refused, &counts.unprocessed, &counts.limited]
        .map(|count| count.load(Ordering::Relaxed))
}

#[tokio::test]
async fn what_is_stored_is_typed_under_its_publishers_name_and_at_a_place_of_the_configuration() {
    let bench = bench();
    let mut said = talkative(Kind::FireFlame);
    said.place.as_mut().unwrap().zone = "pond".to_owned();
    assert_eq!(one(&bench, said.clone()).await, (Committed, String::new()));
    let kept = stored(&bench, &said).await;
    assert_eq!(kept.publisher, "box-7");
    let place = kept.place.clone().unwrap();
    assert_eq!(
        (place.camera_name.as_str(), place.division_path.join("/")),
        ("North gate", "33/3301".to_owned())
    );
    assert_eq!((place.address.as_str(), place.zone.as_str(), place.position), ("1 Quay Road", "pond", None));
    assert_eq!((kept.regions.len(), kept.measures.len(), kept.level()), (1, 1, v1::Level::Level2));
    assert_eq!(kept.explanation.as_ref().unwrap().zone_outline.len(), 3);
    let text = format!("{kept:?}");
    assert!(!text.contains("B12345") && kept.evidence.is_empty(), "{text}");

    let mut device = fire();
    device.place = Some(at("quay-thermal", ""));
    assert_eq!(one(&bench, device.clone()).await.0, Committed);
    assert_eq!(stored(&bench, &device).await.place.unwrap().camera_name, "Quay, thermal");
}

#[tokio::test]
async fn the_same_state_is_known_again_although_the_configuration_says_more_of_its_place_now() {
    let bench = bench();
    let said = fire();
    assert_eq!(one(&bench, said.clone()).await.0, Committed);
    let Bench { folder, clock, bus, .. } = bench;
    crate::testing::close(bus).await;
    let options = town(&TOWN.replace("North gate", "Main gate"), 2);
    let bus = crate::bus::Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
    let bench = Bench { folder, clock, bus, options };
    assert_eq!(one(&bench, said.clone()).await.0, Duplicate);
    let moved = v1::Alert { place: Some(at("gate", "pond")), ..said.clone() };
    assert_eq!(one(&bench, moved).await.0, Conflict);
    let ended = v1::Alert {
        revision: 2,
        state: v1::AlertState::Resolved.into(),
        resolution: v1::Resolution::ObservedAbsence.into(),
        resolved_unix_us: said.decided_unix_us,
        ..said.clone()
    };
    assert_eq!(one(&bench, ended).await.0, Committed);
    assert_eq!(stored(&bench, &said).await.place.unwrap().camera_name, "Main gate");
}

#[tokio::test]
async fn kinds_places_levels_and_alerts_that_are_not_its_own_are_refused_one_by_one_and_audited_seldom() {
    let bench = bench();
    let mine = fire();
    let flood = v1::Alert { kind: Kind::RoadFlood.number(), kind_class: 0, ..fire() };
    let unheard = v1::Alert { kind: 7777, kind_class: 0, ..fire() };
    let far = v1::Alert { place: Some(at("far", "")), ..fire() };
    let nowhere = v1::Alert { place: Some(at("nowhere", "")), ..fire() };
    let zone = v1::Alert { place: Some(at("gate", "moat")), ..fire() };
    let extreme = v1::Alert { level: 1, ..fire() };
    let of_node = alert(Kind::FireFlame, 2);
    bench.commit(std::slice::from_ref(&of_node)).await;
    let spoofed = v1::Alert { publisher: "node-1".to_owned(), ..(&next_state(&of_node)).into() };
    let all = vec![mine.clone(), flood, unheard, far, nowhere, zone, extreme, spoofed];
    let answers = send(&bench, "box-7", all).await.unwrap();
    let expected = [
        "",
        "kind: box-7 may not publish ROAD_FLOOD",
        "7777 is newer than this version",
        "far is no camera in the divisions of box-7",
        "nowhere is no camera",
        "moat is no zone of gate",
        "people only",
        "belongs to another publisher",
    ];
    for (answer, expected) in answers.iter().zip(expected) {
        let wanted = if expected.is_empty() { Committed } else { Invalid };
        assert!(answer.outcome == wanted && answer.message.contains(expected), "{expected}: {answer:?}");
    }
    assert_eq!(counts(&bench), [1, 7, 0, 0]);
    // Another box may not touch it either.
    let other = send(&bench, "box-8", vec![v1::Alert { revision: 2, ..mine }]).await.unwrap();
    assert!(other[0].message.contains("belongs to another publisher"), "{other:?}");
    // One that is wrong again and again fills no audit that can never be emptied.
    for _ in 0..20 {
        one(&bench, v1::Alert { place: Some(at("far", "")), ..fire() }).await;
    }
    let audited = crate::store::tests::audited(bench.folder.path());
    assert_eq!(audited.iter().filter(|one| one.0 == "box-7").count(), 1, "{audited:?}");
    // And whoever the configuration does not know publishes nothing.
    let unknown = send(&bench, "box-9", vec![fire()]).await;
    assert!(matches!(unknown, Err(Error::Forbidden(text)) if text.contains("box-9 is no [[publisher]]")));
}

#[tokio::test]
async fn of_an_excluded_kind_nothing_is_stored_but_that_it_was_there() {
    let bench = bench();
    let said = talkative(Kind::ExternalUnprocessed);
    assert_eq!(one(&bench, said.clone()).await.0, Committed);
    let kept = stored(&bench, &said).await;
    assert_eq!((kept.kind(), kept.level()), (v1::Kind::ExternalUnprocessed, v1::Level::Level4));
    assert_eq!(kept.place.as_ref().unwrap().camera_name, "North gate");
    assert!(kept.regions.is_empty() && kept.measures.is_empty() && kept.evidence.is_empty());
    assert!(!format!("{kept:?}").contains("B12345"), "{kept:?}");
    let why = kept.explanation.clone().unwrap();
    assert!(why.looks.is_empty() && why.thresholds.is_empty() && why.model.is_none());
    // Neither in the files, whatever a later sending says: it is the same state.
    let again = v1::Alert { regions: Vec::new(), confidence: 0.9, count: 12, ..said.clone() };
    assert_eq!(one(&bench, again).await.0, Duplicate);
    assert_eq!(counts(&bench), [1, 0, 1, 0]);
    for name in ["store.db", "store.db-wal"] {
        let bytes = std::fs::read(bench.folder.path().join(name)).unwrap();
        assert!(!bytes.windows(6).any(|six| six == b"B12345"), "{name}");
    }
}

#[tokio::test]
async fn more_than_its_rate_is_refused_with_the_time_to_wait_and_counted() {
    let bench = bench();
    let fires = |count: usize| (0..count).map(|_| fire()).collect::<Vec<_>>();
    assert!(
        matches!(send(&bench, "box-7", fires(81)).await, Err(Error::Invalid(text)) if text.contains("80 at most"))
    );
    send(&bench, "box-7", fires(80)).await.unwrap();
    let Err(error) = send(&bench, "box-7", fires(4)).await else { panic!("it is over its rate") };
    assert!(
        matches!(&error, Error::TooMany { retry_after, .. } if retry_after.as_millis() == 500),
        "{error:?}"
    );
    // The node and the other box go on as if nothing were.
    bench.commit(&[alert(Kind::FireFlame, 2)]).await;
    send(&bench, "box-8", fires(4)).await.unwrap();
    bench.clock.advance(Duration::from_millis(501));
    assert_eq!(send(&bench, "box-7", fires(4)).await.unwrap().len(), 4);
    assert_eq!(counts(&bench), [84, 0, 0, 85]);
}

#[tokio::test]
async fn however_many_external_states_wait_few_of_them_stand_before_one_of_a_node() {
    let bench = bench();
    let waits = bench.bus.clone();
    let now = bench.clock.mono();
    let flood = (0..40).map(|_| {
        let bus = waits.clone();
        let publication = |_| v1::Publication { alert: Some(fire()), ..v1::Publication::default() };
        let all = (0..50).map(publication).collect();
        tokio::spawn(async move {
            bus.publish(&Principal::new("box-8", PrincipalKind::Publisher), all, now)
                .await
                .map(|all| all.len())
        })
    });
    let flood: Vec<_> = flood.collect();
    tokio::task::yield_now().await;
    let before = bench.bus.store().head();
    let urgent = alert(Kind::FireFlame, 2);
    bench.commit(std::slice::from_ref(&urgent)).await;
    let place = bench.bus.store().list(crate::store::ListQuery {
        alerts: vec![urgent.id],
        limit: 1,
        ..crate::store::ListQuery::default()
    });
    let seq = place.await.unwrap()[0].seq;
    assert!(seq - before <= 2 * IN_WRITER as u64, "{} stood before it", seq - before);
    for one in flood {
        assert_eq!(one.await.unwrap().unwrap(), 50);
    }
    assert_eq!(bench.bus.store().head(), 2001);
}
