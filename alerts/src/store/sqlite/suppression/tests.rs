//! What is suppressed takes a place of the feed, and nobody is told it or misses it there.

use std::sync::Mutex;

use xueliang_base::{
    kind::Level,
    time::{Clock as _, ManualClock},
};

use super::*;
use crate::{
    filter::Filter,
    store::{Incoming, SqliteOptions, SqliteStore, Store as _, Suppressions as _},
    testing::{NOW, critical, minor, next_state},
};

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
    let request = v1::CreateSilenceRequest {
        scope: Some(v1::SilenceScope { camera_ids: vec!["gate".to_owned()], ..v1::SilenceScope::default() }),
        purpose: v1::SilencePurpose::Nuisance.into(),
        reason: "a flag in the wind".to_owned(),
        begin_unix_us: 0,
        end_unix_us: NOW.0 + 1_000_000,
    };
    let silence = Silence::new(request, "ana", clock.wall()).unwrap();
    let silence = store.add_silence(silence).await.unwrap();
    let garbage = minor();
    let states = [garbage.clone(), critical(), next_state(&garbage)];
    let batch = states.iter().map(|alert| Incoming { alert: alert.clone(), received: clock.mono() });
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
