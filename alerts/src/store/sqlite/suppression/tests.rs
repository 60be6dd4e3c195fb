//! What is suppressed takes a place of the feed, and nobody is told it or misses it there.

use std::sync::Mutex;

use xueliang_base::{
    kind::Level,
    time::{Clock as _, ManualClock},
};

use super::{super::file::set_meta, *};
use crate::{
    error::Error,
    filter::Filter,
    flood::Limits,
    silence::Silence,
    store::{Incoming, SqliteOptions, SqliteStore, Store as _, Suppressions as _},
    testing::{NOW, critical, minor, next_state},
};

fn silence() -> Silence {
    let request = v1::CreateSilenceRequest {
        scope: Some(v1::SilenceScope { camera_ids: vec!["gate".to_owned()], ..v1::SilenceScope::default() }),
        purpose: v1::SilencePurpose::Nuisance.into(),
        reason: "a flag in the wind".to_owned(),
        begin_unix_us: 0,
        end_unix_us: NOW.0 + 1_000_000,
    };
    Silence::new(request, "ana", NOW).unwrap()
}

fn open(folder: &tempfile::TempDir, clock: &Arc<ManualClock>, floods: Limits) -> SqliteStore {
    let options = SqliteOptions { floods, ..SqliteOptions::default() };
    SqliteStore::open(folder.path(), clock.clone(), &options, Arc::new(|_: Vec<_>| ())).unwrap()
}

/// Publishes an alert at the gate; whether it is suppressed.
async fn is_hidden(store: &SqliteStore, clock: &ManualClock) -> bool {
    let alert = minor();
    let id = alert.id;
    store.publish(vec![Incoming { alert, received: clock.mono(), told: false }]).await.unwrap();
    !store.suppressed_among(vec![id]).await.unwrap().is_empty()
}

#[tokio::test]
async fn what_may_suppress_is_what_the_last_commit_left_whatever_failed_since() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOW));
    let store = open(&folder, &clock, Limits::default());
    // Whether or not the two share a commit.
    let (made, hidden) = tokio::join!(store.add_silence(silence()), is_hidden(&store, &clock));
    assert!(hidden);
    let id = made.unwrap().silence_id;
    let (_, hidden) = tokio::join!(store.expire_silence(id, "ana".to_owned()), is_hidden(&store, &clock));
    assert!(!hidden);
    for error in [Error::Invalid("alone".to_owned()), Error::Unavailable("the disk fails".to_owned())] {
        let undone = store.write(move |db, batch| {
            db.execute("UPDATE silence SET expired_us = 0", [])?;
            batch.reasons_changed();
            assert_eq!(batch.reasons(db)?.silences.all.len(), 1);
            Err::<(), _>(error)
        });
        let (undone, hidden) = tokio::join!(undone, is_hidden_soon(&store, &clock));
        assert!(undone.is_err() && !hidden);
        assert!(store.reasons().silences.all.is_empty());
    }
    store.add_silence(silence()).await.unwrap();
    drop(store);
    let store = open(&folder, &clock, Limits::default());
    assert_eq!(store.reasons().silences.all.len(), 1);
    assert!(is_hidden(&store, &clock).await);
}

/// The same, by a publisher that tries again.
async fn is_hidden_soon(store: &SqliteStore, clock: &ManualClock) -> bool {
    let alert = minor();
    let id = alert.id;
    while store
        .publish(vec![Incoming { alert: alert.clone(), received: clock.mono(), told: false }])
        .await
        .is_err()
    {}
    !store.suppressed_among(vec![id]).await.unwrap().is_empty()
}

#[tokio::test]
async fn after_a_boot_a_group_lasts_for_a_quiet_time_and_counting_starts_anew() {
    let second = std::time::Duration::from_secs(1);
    let limits = Limits { per_camera: 3, window: second * 60, quiet: second * 300, ..Limits::default() };
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOW));
    // The monotonic clock of the next boot starts far before this.
    clock.advance(second * 36_000);
    let store = open(&folder, &clock, limits);
    let mut hidden = Vec::new();
    for _ in 0..5 {
        hidden.push(is_hidden(&store, &clock).await);
    }
    assert_eq!(hidden, [false, false, false, true, true]);
    store.tend_floods().await.unwrap();
    store.write(|db, _| set_meta(db, "flood_boot", b"another")).await.unwrap();
    drop(store);
    let clock = ManualClock::at(NOW);
    let store = open(&folder, &clock, limits);
    assert!(!store.floods_due().await.unwrap());
    clock.advance(second * 300 - std::time::Duration::from_millis(1));
    assert!(!store.floods_due().await.unwrap());
    clock.advance(second);
    assert!(store.floods_due().await.unwrap());
    store.tend_floods().await.unwrap();
    assert!(!store.floods_due().await.unwrap() && store.reasons().floods.is_empty());
    let (due, _) = store.releasable(0).await.unwrap();
    assert_eq!(due.len(), 2);
    store.release(due).await.unwrap();
    store.write(|db, _| set_meta(db, "flood_boot", b"another")).await.unwrap();
    drop(store);
    let store = open(&folder, &clock, limits);
    hidden.clear();
    for _ in 0..4 {
        hidden.push(is_hidden(&store, &clock).await);
    }
    assert_eq!(hidden, [false, false, false, true]);
    let refused = store.write(|db, _| Ok(db.execute_batch("DELETE FROM flood")?)).await.unwrap_err();
    assert!(refused.to_string().contains("never deleted"));
}

#[tokio::test]
async fn a_suppressed_state_is_neither_told_nor_missed_and_one_shown_later_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(NOW);
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let tell = Arc::clone(&told);
    let on_commit = Arc::new(move |rows: Vec<Arc<FeedRow>>| {
        tell.lock().unwrap().extend(rows.iter().map(|row| row.seq));
    });
    let store =
        SqliteStore::open(folder.path(), clock.clone(), &SqliteOptions::default(), on_commit).unwrap();
    let silence = store.add_silence(silence()).await.unwrap();
    let garbage = minor();
    let states = [garbage.clone(), critical(), next_state(&garbage)];
    let batch =
        states.iter().map(|alert| Incoming { alert: alert.clone(), received: clock.mono(), told: false });
    store.publish(batch.collect()).await.unwrap();
    // Also by a writer that reads again what a failed commit may have left.
    let again = || store.read(|db| super::super::query::rows_after(db, 0));
    let places = |rows: Vec<Arc<FeedRow>>| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!(places(again().await.unwrap()), [2]);
    let missed = || store.missed(Arc::new(Filter::default()), [0; 3], 99);
    assert_eq!(missed().await.unwrap().counts, [(Level::SEVERE, 1)]);

    let (due, more) = store.releasable(0).await.unwrap();
    assert_eq!((due.len(), more), (0, None));
    store.expire_silence(silence.silence_id, "ana".to_owned()).await.unwrap();
    let (due, _) = store.releasable(0).await.unwrap();
    for _ in 0..2 {
        store.release(due.clone()).await.unwrap();
    }
    assert_eq!(places(again().await.unwrap()), [2, 4]);
    assert_eq!(*told.lock().unwrap(), [2, 4]);
    assert_eq!(missed().await.unwrap().counts, [(Level::SEVERE, 1), (Level::GENERAL, 1)]);
    // The next state follows, and what was told is never told again under another place.
    let twice = store.write(|db, _| {
        db.execute(
            "INSERT INTO alert_state SELECT 9, alert_id, revision, lane, level, identity, committed_us, \
             committed_mono_ns, content FROM alert_state WHERE seq = 4",
            [],
        )?;
        Ok(())
    });
    assert!(twice.await.unwrap_err().to_string().contains("a state never changes"));
    for sql in ["DELETE FROM silence", "DELETE FROM suppression", "DELETE FROM suppressed_state"] {
        let refused = store.write(move |db, _| Ok(db.execute_batch(sql)?)).await.unwrap_err().to_string();
        assert!(refused.contains("append-only") || refused.contains("never deleted"), "{sql}: {refused}");
    }
}
