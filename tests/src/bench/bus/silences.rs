//! What suppression costs a publisher: states stored while 256 silences hold that cover none of them, and while floods are
//! counted, beside a store that has neither. The store itself, in this process; all sides take turns on one disk.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;
use xueliang_alerts::{
    flood::Limits,
    silence::{MOST, Silence},
    store::{Incoming, Outcome, SqliteOptions, SqliteStore, Store as _, Suppressions as _},
};
use xueliang_base::{
    alert::Alert,
    id::AlertId,
    kind::Lane,
    time::{SharedClock, SystemClock},
};
use xueliang_proto::v1;

use super::alerts::alert;

/// States of a turn.
const STATES: usize = 20_000;
/// States of one commit.
const BATCH: usize = 100;
/// Turns of each side.
const TURNS: usize = 5;

/// States a second, of the middle turn.
pub(super) struct Rates {
    pub(super) plain: f64,
    pub(super) silenced: f64,
    pub(super) counted: f64,
}

struct Side {
    store: SqliteStore,
    rates: Vec<f64>,
    _folder: tempfile::TempDir,
}

pub(super) async fn measure() -> anyhow::Result<Rates> {
    let clock = SystemClock::shared();
    // No flood begins: what is measured is the counting.
    let (window, quiet) = (Duration::from_millis(1), Duration::from_millis(1));
    let limits = Limits { per_camera: 500, per_division: 500, window, quiet, ..Limits::default() };
    let mut sides = [
        Side::new(&clock, 0, Limits::default()).await?,
        Side::new(&clock, MOST, Limits::default()).await?,
        Side::new(&clock, 0, limits).await?,
    ];
    for _ in 0..TURNS {
        for side in &mut sides {
            side.turn(&clock).await?;
        }
    }
    let [plain, silenced, counted] = sides.map(Side::middle);
    Ok(Rates { plain, silenced, counted })
}

impl Side {
    async fn new(clock: &SharedClock, silences: u32, floods: Limits) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let options = SqliteOptions { floods, ..SqliteOptions::default() };
        let store = SqliteStore::open(folder.path(), Arc::clone(clock), &options, Arc::new(|_| {}))?;
        for index in 0..silences {
            let request = v1::CreateSilenceRequest {
                // Elsewhere, of the kinds and levels that are published: nothing but the place says no.
                scope: Some(v1::SilenceScope {
                    divisions: vec![format!("44{index:04}"), format!("45{index:04}")],
                    kinds: super::alerts::KINDS.map(i32::from).to_vec(),
                    levels: vec![2, 3, 4],
                    ..v1::SilenceScope::default()
                }),
                purpose: v1::SilencePurpose::Maintenance.into(),
                reason: "elsewhere".to_owned(),
                begin_unix_us: 0,
                end_unix_us: clock.wall().plus(Duration::from_secs(3600)).0,
            };
            store.add_silence(Silence::new(request, "bench", clock.wall())?).await?;
        }
        Ok(Self { store, rates: Vec::new(), _folder: folder })
    }
    async fn turn(&mut self, clock: &SharedClock) -> anyhow::Result<()> {
        let states: Vec<Alert> = (0..STATES)
            .map(|index| Ok(Alert { id: AlertId::mint(), ..alert(Lane::ALL[index % 3], index).try_into()? }))
            .collect::<anyhow::Result<_>>()?;
        let store = &self.store;
        let began = Instant::now();
        let batches = states.chunks(BATCH).map(|states| async move {
            let received = clock.mono();
            let incoming =
                states.iter().map(|alert| Incoming { alert: alert.clone(), received, told: false });
            let outcomes = store.publish(incoming.collect()).await?;
            let committed = |one: &Outcome| matches!(one, Outcome::Committed(_));
            ensure!(outcomes.iter().all(committed), "not all of a batch was committed");
            Ok(())
        });
        stream::iter(batches).buffer_unordered(4).try_collect::<()>().await?;
        self.rates.push(STATES as f64 / began.elapsed().as_secs_f64());
        Ok(())
    }
    fn middle(self) -> f64 {
        let mut rates = self.rates;
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }
}
