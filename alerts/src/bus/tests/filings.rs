//! Filings of points: what was filed stays, and what differs from it is told.

use std::sync::Arc;

use xueliang_base::config::{Config, Day};
use xueliang_proto::v1::{FilingStatus, PointField};

use super::*;
use crate::{
    point::Points,
    store::{
        FilingQuery,
        tests::{audited, refused},
    },
};

fn points(text: &str) -> Arc<Points> {
    let head = "site = \"Town\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\n[[division]]\ncode = \"33\"\nname = \"33\"\n";
    Arc::new(Points::of(&Config::parse(&format!("{head}{text}"), Path::new("/")).unwrap()))
}

fn camera(id: &str, more: &str) -> String {
    format!(
        "[[camera]]\nid = \"{id}\"\nname = \"Gate\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/{id}\"\n{more}\n"
    )
}

fn operator() -> Principal {
    Principal::new("ana", PrincipalKind::Operator)
}

async fn listed(bench: &Bench, request: v1::ListPointsRequest) -> v1::ListPointsResponse {
    bench.bus.points(&operator(), request, 10).await.unwrap()
}

async fn file(bench: &Bench, cameras: &[&str], on: &str) -> Result<u32> {
    let camera_ids = cameras.iter().map(ToString::to_string).collect();
    let (filing_no, filed_on) = ("no-1".to_owned(), on.to_owned());
    bench.bus.file_points(&operator(), v1::FilePointsRequest { camera_ids, filing_no, filed_on }).await
}

/// The same folder under another configuration.
async fn configured(bench: Bench, text: &str) -> Bench {
    let Bench { folder, clock, bus, options } = bench;
    close(bus).await;
    let options = BusOptions { points: points(text), ..options };
    let bus = Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
    Bench { folder, clock, bus, options }
}

#[tokio::test]
async fn a_point_counts_down_until_it_is_filed_and_what_changes_afterwards_is_told() {
    let fresh = Bench::new();
    let today = Day::of(fresh.clock.wall(), "UTC");
    let since = |more: &str| format!("[camera.filing]\nin_use_since = \"{today}\"\n{more}");
    let before = camera("gate", &since("recorded_days = 30")) + &camera("pier", "") + &camera("quay", "");
    let bench = configured(fresh, &before).await;
    let told = listed(&bench, v1::ListPointsRequest::default()).await;
    assert_eq!((told.in_force, told.unfiled, told.overdue, told.changed, told.without_sign), (3, 3, 0, 0, 3));
    assert_eq!(told.points[0].days_left, Some(30));
    bench.clock.advance(Duration::from_secs(31 * 24 * 3600));
    let told = listed(&bench, v1::ListPointsRequest::default()).await;
    assert_eq!((told.points[0].days_left, told.overdue), (Some(-1), 1));
    assert!(told.points[1].missing().any(|field| field == PointField::InUseSince));

    // It is noted as what it is now, by name and day, and once only as a whole.
    let tomorrow = Day::of(bench.clock.wall(), "UTC").plus(1).to_string();
    assert!(matches!(file(&bench, &["gate"], &tomorrow).await, Err(Error::Invalid(_))));
    assert!(matches!(file(&bench, &[], "").await, Err(Error::Invalid(_))));
    assert!(matches!(file(&bench, &["gate", "elsewhere"], "").await, Err(Error::NotFound(_))));
    assert_eq!(listed(&bench, v1::ListPointsRequest::default()).await.unfiled, 3, "nothing was noted");
    assert_eq!(file(&bench, &["gate", "quay"], "").await, Ok(2));
    let entry = audited(bench.folder.path()).into_iter().find(|one| one.1 == "points_filed").unwrap();
    assert!(entry.2.starts_with("filing no-1 of ") && entry.2.contains("2 points, sha256 "), "{entry:?}");
    let statuses =
        |told: &v1::ListPointsResponse| told.points.iter().map(v1::FiledPoint::status).collect::<Vec<_>>();
    let told = listed(&bench, v1::ListPointsRequest::default()).await;
    use FilingStatus::{Changed, Filed, Removed, Unfiled};
    assert_eq!(statuses(&told), [Filed, Unfiled, Filed]);
    assert_eq!((told.points[0].filing_no.as_str(), told.points[0].days_left), ("no-1", None));

    // The recorder keeps less, and a camera is gone.
    let after = camera("gate", &since("recorded_days = 15")) + &camera("pier", "");
    let bench = configured(bench, &after).await;
    let told = listed(&bench, v1::ListPointsRequest::default()).await;
    assert_eq!(statuses(&told), [Changed, Unfiled, Removed]);
    assert_eq!(told.points[0].changed().collect::<Vec<_>>(), [PointField::RecordedDays]);
    assert_eq!((told.in_force, told.changed), (2, 2));
    let only = v1::ListPointsRequest { statuses: vec![Removed.into()], ..Default::default() };
    assert_eq!(listed(&bench, only).await.points.len(), 1);
    assert_eq!(file(&bench, &["gate", "quay"], "").await, Ok(2));
    assert_eq!(statuses(&listed(&bench, v1::ListPointsRequest::default()).await), [Filed, Unfiled]);
    // All of it stays, newest first, page by page; nothing takes it back.
    let query = FilingQuery { limit: 3, ..FilingQuery::default() };
    let (page, next) = bench.bus.filings(&operator(), query).await.unwrap();
    assert_eq!(page.iter().map(|one| one.removed).collect::<Vec<_>>(), [true, false, false]);
    let query = FilingQuery { before_exclusive: next, limit: 3, ..FilingQuery::default() };
    let (page, next) = bench.bus.filings(&operator(), query).await.unwrap();
    assert_eq!((page.len(), next), (1, None));
    assert_eq!(page[0].facts.as_ref().unwrap().recorded_days, 30, "as it was filed then");
    // A point that is taken for drills is none any more, which is noted as that of a camera that is gone.
    let bench = configured(bench, &camera("gate", "acquire = \"on-request\"\ndrill = true")).await;
    let told = listed(&bench, v1::ListPointsRequest::default()).await;
    assert_eq!((statuses(&told), told.in_force), (vec![Removed], 0));
    assert_eq!(file(&bench, &["gate"], "").await, Ok(1));
    assert_eq!(statuses(&listed(&bench, v1::ListPointsRequest::default()).await), []);
    for sql in ["DELETE FROM point_filing", "UPDATE point_filing SET noted_us = 0"] {
        assert!(refused(bench.folder.path(), sql).contains("filed"), "{sql}");
    }
}
