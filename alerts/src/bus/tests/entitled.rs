//! Consoles that want other alerts than before, or may see others.

use xueliang_base::cursor::Cursor;
use xueliang_proto::v1::{self, subscribe_response::Item};

use super::{Subscribe, options};
use crate::{
    bus::BusOptions,
    error::Error,
    filter::Filter,
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
