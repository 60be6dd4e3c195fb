//! Consoles that want other alerts than before, or may see others.

use std::time::Duration;

use xueliang_base::{alert::Alert, cursor::Cursor, point::PointClass};
use xueliang_proto::v1::{self, CloseReason, subscribe_response::Item};

use super::{Subscribe, options};
use crate::{
    bus::BusOptions,
    error::Error,
    filter::Filter,
    rights::{Grant, Principal, PrincipalKind, Right},
    testing::{Bench, Console, critical, key, key_of, major, minor, next_state, resolved},
};

fn kinds(kinds: &[i32]) -> Filter {
    Filter { kinds: kinds.to_vec(), ..Filter::default() }
}

fn at(cursor: &[u8], filter: Filter) -> Subscribe {
    Subscribe { cursor: Some(Cursor::decode(cursor).unwrap()), filter, ..Subscribe::default() }
}

async fn opened(bench: &Bench, wanted: Subscribe) -> Console {
    let mut console = bench.console("c", wanted).await;
    assert!(matches!(console.item().await, Some(Item::Opened(_))));
    console
}

async fn told_of_the_change(console: &mut Console) {
    let Item::Gap(gap) = console.news().await else { panic!("a gap must be told") };
    assert_eq!((gap.reason(), gap.counts_known), (v1::GapReason::FilterChanged, false));
}

/// The place after all that there is, in every lane.
async fn done(bench: &Bench, console: &mut Console) -> bytes::Bytes {
    let head = bench.bus.store().head();
    loop {
        let Some(Item::Bookmark(bookmark)) = console.item().await else { panic!("nothing else is left") };
        if Cursor::decode(&bookmark.cursor).unwrap().positions == [head; 3] {
            return bookmark.cursor;
        }
    }
}

const FLAMES: &[i32] = &[1101];
const FLAMES_AND_LANES: &[i32] = &[1101, 1201];

#[tokio::test]
async fn a_filter_that_is_widened_brings_what_is_newly_visible_and_loses_nothing() {
    let bench = Bench::with(BusOptions { window: 4, ..options() });
    let mut console = opened(&bench, Subscribe { filter: kinds(FLAMES), ..Subscribe::default() }).await;
    console.snapshot().await;
    // What this filter does not want, and passes over: blocked lanes, one of them over by now.
    let (lane, over, fire) = (major(), major(), critical());
    bench.commit(&[lane.clone(), over.clone(), resolved(&over), fire.clone()]).await;
    assert_eq!(key(&console.delivery().await), key_of(&fire));
    let cursor = done(&bench, &mut console).await;
    drop(console);
    // While it reconnects: a fire begins and ends, the lane changes, another is blocked and free again.
    let (short, brief, changed) = (critical(), major(), next_state(&lane));
    let meanwhile =
        [short.clone(), resolved(&short), brief.clone(), resolved(&brief), changed.clone(), major()];
    bench.commit(&meanwhile).await;
    bench.commit(&[minor(), minor()]).await;

    let mut console = opened(&bench, at(&cursor, kinds(FLAMES_AND_LANES))).await;
    told_of_the_change(&mut console).await;
    let (mut got, after) = console.snapshot().await;
    assert_eq!(got[0], key_of(&fire), "active, and not changed since");
    while got.len() < 6 {
        got.push(key(&console.delivery().await));
    }
    let want = [&fire, &short, &resolved(&short), &resolved(&brief), &changed, &meanwhile[5]].map(key_of);
    assert_eq!(got, want);
    // The new cursor is good for the new filter without a word, and the old one for the old filter.
    for (cursor, filter) in [(&after, FLAMES_AND_LANES), (&cursor, FLAMES)] {
        let mut console = opened(&bench, at(cursor, kinds(filter))).await;
        assert!(!matches!(console.item().await, Some(Item::Gap(_) | Item::Snapshot(_))));
    }
}

#[tokio::test]
async fn a_filter_that_is_narrowed_ends_what_is_no_longer_wanted_at_once() {
    let bench = Bench::new();
    bench.commit(&[minor()]).await;
    let mut console = opened(&bench, Subscribe::default()).await;
    let (_, cursor) = console.snapshot().await;
    let (lane, fire) = (major(), critical());
    bench.commit(&[lane, fire.clone()]).await;
    // Nothing of this was taken when the filter changes.
    drop(console);
    let mut console = opened(&bench, at(&cursor, kinds(FLAMES))).await;
    told_of_the_change(&mut console).await;
    let next = next_state(&fire);
    bench.commit(&[major(), minor(), next.clone()]).await;
    let (mut got, _) = console.snapshot().await;
    while got.len() < 2 {
        got.push(key(&console.delivery().await));
    }
    assert_eq!(got, [key_of(&fire), key_of(&next)]);
    done(&bench, &mut console).await;
}

#[tokio::test]
async fn what_was_acknowledged_under_one_filter_is_not_passed_over_under_another_even_after_a_restart() {
    let bench = Bench::new();
    let named = |filter| Subscribe { name: "desk".into(), filter, ..Subscribe::default() };
    let mut console = opened(&bench, named(kinds(FLAMES))).await;
    console.snapshot().await;
    let (lane, fire) = (major(), critical());
    bench.commit(&[lane.clone(), fire.clone()]).await;
    console.delivery().await;
    let cursor = done(&bench, &mut console).await;
    console.acknowledge(&cursor).unwrap();
    drop(console);
    let bench = bench.reopen().await;
    let mut console = opened(&bench, named(Filter::default())).await;
    told_of_the_change(&mut console).await;
    let (active, after) = console.snapshot().await;
    assert_eq!(active, [key_of(&fire), key_of(&lane)]);
    // A cursor of another filter is no cursor of this stream.
    assert!(matches!(console.acknowledge(&cursor), Err(Error::Invalid(_))));
    console.acknowledge(&after).unwrap();
    drop(console);
    let bench = bench.reopen().await;
    let mut console = opened(&bench, named(Filter::default())).await;
    assert!(matches!(console.item().await, Some(Item::Bookmark(_))), "nothing is new");
}

#[tokio::test]
async fn a_cursor_that_does_not_say_its_filter_is_never_taken_for_one_that_hides_nothing() {
    let bench = Bench::new();
    let fire = critical();
    bench.commit(std::slice::from_ref(&fire)).await;
    let old = Cursor::at(bench.bus.store().epoch(), 1);
    let mut console = opened(&bench, at(&old.encode(), Filter::default())).await;
    told_of_the_change(&mut console).await;
    assert_eq!(console.snapshot().await.0, [key_of(&fire)]);
}

/// A console's usual rights, in these divisions only.
fn only_in(divisions: &[&str]) -> Option<Grant> {
    let rights = Principal::new("c", PrincipalKind::Console).rights;
    Some(Grant {
        rights,
        divisions: Some(divisions.iter().map(|code| code.parse().unwrap()).collect()),
        classes: None,
    })
}

fn elsewhere(mut alert: Alert) -> Alert {
    alert.place.division_path = vec!["33".parse().unwrap(), "3302".parse().unwrap()];
    alert
}

async fn closed(console: &mut Console) -> v1::Closed {
    loop {
        match console.item().await {
            Some(Item::Closed(closed)) => return closed,
            Some(_) => {}
            None => panic!("the stream must say why it ends"),
        }
    }
}

#[tokio::test]
async fn rights_that_are_narrowed_end_open_streams_and_what_is_on_its_way_is_not_delivered() {
    let bench = Bench::new();
    let fire = critical();
    bench.commit(&[fire.clone(), elsewhere(critical())]).await;
    let mut console = opened(&bench, Subscribe::default()).await;
    let (active, cursor) = console.snapshot().await;
    assert_eq!(active.len(), 2);
    console.acknowledge(&cursor).unwrap();
    let mut other = bench.console("d", Subscribe::default()).await;
    other.item().await;
    other.snapshot().await;
    // Handed to the stream, and not taken when the rights change.
    let hidden: Vec<_> = (0..4).map(|_| elsewhere(critical())).collect();
    bench.commit(&hidden).await;
    while console.stream.waiting() < hidden.len() {
        tokio::task::yield_now().await;
    }
    bench.bus.grant("c", only_in(&["3301"]));
    let Some(Item::Closed(told)) = console.item().await else { panic!("nothing else may come") };
    assert_eq!((told.reason(), &told.cursor), (CloseReason::RightsChanged, &cursor));
    for hidden in &hidden {
        assert_eq!(key(&other.delivery().await), key_of(hidden));
    }

    // It comes back at its cursor, is told, and sees its division, whatever filter it asks for.
    let mut console = opened(&bench, at(&told.cursor, Filter::default())).await;
    told_of_the_change(&mut console).await;
    assert_eq!(console.snapshot().await.0, [key_of(&fire)]);
    let next = next_state(&fire);
    bench.commit(&[elsewhere(critical()), next.clone()]).await;
    assert_eq!(key(&console.delivery().await), key_of(&next));
    let cursor = done(&bench, &mut console).await;

    // Once the rights are given back, so is what was hidden.
    bench.bus.grant("c", None);
    assert_eq!(closed(&mut console).await.reason(), CloseReason::RightsChanged);
    let mut console = opened(&bench, at(&cursor, Filter::default())).await;
    told_of_the_change(&mut console).await;
    assert_eq!(console.snapshot().await.0.len(), 7);
}

#[tokio::test]
async fn a_principal_that_may_no_longer_read_is_cut_off_and_refused_while_it_stalls_too() {
    let bench = Bench::new();
    let mut console = opened(&bench, Subscribe::default()).await;
    let (_, cursor) = console.snapshot().await;
    // It takes nothing: its stream is stuck on the way to the connection.
    bench.commit(&(0..60).map(|_| major()).collect::<Vec<_>>()).await;
    while console.stream.waiting() < 16 {
        tokio::task::yield_now().await;
    }
    let none = Grant { rights: [Right::ReadCameras].into(), divisions: None, classes: None };
    bench.bus.grant("c", Some(none.clone()));
    let ended = async {
        while bench.bus.subscriptions() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("its place is freed within 5 s");
    let Some(Item::Closed(told)) = console.item().await else { panic!("nothing else may come") };
    assert_eq!(told.reason(), CloseReason::RightsChanged);
    assert!(matches!(console.acknowledge(&cursor), Err(Error::Forbidden(_))));
    let refused = bench.bus.subscribe(&console.principal, Subscribe::default()).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    // The same grant again is no change; a grant never gives what signing in did not.
    let grant = Grant { rights: [Right::ReadAlerts].into(), divisions: None, classes: None };
    bench.bus.grant("node-1", Some(grant));
    let node = bench.bus.rights().of(&crate::testing::node());
    assert!(node.rights.is_empty(), "{node:?}");
}

#[tokio::test]
async fn single_calls_show_only_what_a_principal_may_see() {
    use crate::grpc::Request;
    use xueliang_proto::v1::alert_service_server::AlertService as _;
    let bench = Bench::new();
    let (here, there) = (critical(), elsewhere(critical()));
    bench.commit(&[here.clone(), there.clone()]).await;
    bench.bus.grant("c", only_in(&["3301"]));
    let api = crate::grpc::AlertApi(bench.bus.clone());
    fn by<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(Principal::new("c", PrincipalKind::Console));
        request
    }
    let list = api.list_alerts(by(v1::ListAlertsRequest::default())).await.unwrap().into_inner();
    let ids: Vec<_> = list.records.into_iter().map(|one| one.alert.unwrap().alert_id).collect();
    assert_eq!(ids, [here.id.to_string()]);
    let get = |alert: &Alert| by(v1::GetAlertRequest { alert_id: alert.id.to_string() });
    assert!(api.get_alert(get(&here)).await.is_ok());
    assert_eq!(api.get_alert(get(&there)).await.unwrap_err().code(), crate::grpc::Code::NotFound);
    let call = crate::evidence::Call {
        alert: there.id,
        purpose: v1::Purpose::Judge,
        call_reason: v1::CallReason::Unspecified,
        reason: String::new(),
    };
    let console = bench.bus.rights().of(&Principal::new("c", PrincipalKind::Console));
    let refused = bench.bus.evidence().still(&console, &call).await.unwrap_err();
    assert!(refused.to_string().contains("there is no alert"), "{refused}");
}

#[tokio::test]
async fn a_stream_that_is_bound_to_classes_of_points_ends_and_comes_back_with_those_alone() {
    let bench = Bench::new();
    let of = |class| {
        let mut alert = critical();
        alert.place.class = class;
        alert
    };
    let (third, first, none) = (of(Some(PointClass::Third)), of(Some(PointClass::First)), of(None));
    bench.commit(&[third.clone(), first, none]).await;
    let mut console = opened(&bench, Subscribe::default()).await;
    let (active, cursor) = console.snapshot().await;
    assert_eq!(active.len(), 3);
    let rights = Principal::new("c", PrincipalKind::Console).rights;
    bench.bus.grant("c", Some(Grant { rights, divisions: None, classes: Some([PointClass::Third].into()) }));
    assert_eq!(closed(&mut console).await.reason(), CloseReason::RightsChanged);
    let mut console = opened(&bench, at(&cursor, Filter::default())).await;
    told_of_the_change(&mut console).await;
    assert_eq!(console.snapshot().await.0, [key_of(&third)]);
    // Live as well; and an alert stays where it was raised, whatever class its point has by now.
    let mut next = next_state(&third);
    next.place.class = Some(PointClass::First);
    bench.commit(&[of(Some(PointClass::Second)), of(None), next.clone()]).await;
    assert_eq!(key(&console.delivery().await), key_of(&next));
}
