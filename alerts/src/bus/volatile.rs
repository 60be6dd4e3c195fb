//! What the bus shows while it cannot store it: the latest state of each alert, in memory, bounded.
//!
//! A state that is not on disk within a bound is shown to consoles as volatile: without a place in the feed, so it moves
//! no cursor and takes no credit, and without an answer to its publisher, who goes on offering it. Once it is committed it
//! comes by the feed like any other, whatever would suppress it then, and is forgotten here.
//!
//! What a silence, another alert or a flood group suppresses is not shown here either, as far as is known in memory.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::timeout;
use tracing::warn;
use xueliang_base::{id::AlertId, kind::Lane, time::Mono};
use xueliang_proto::v1;

use super::{Bus, BusCounts};
use crate::{
    error::Result,
    filter::{Facts, Filter},
    flood::{group_of, may_join},
    inhibit::{Firing, firing_of},
    reach::path_of,
    silence::{Reasons, decide},
    store::{FeedRow, Incoming, ListQuery, Outcome},
};

/// Alerts of one lane that are held; more of them are not shown, and counted. A flood of minor ones takes no room
/// from critical ones.
const PER_LANE: usize = 1024;
/// Bytes of their records, likewise.
const BYTES_PER_LANE: usize = 4 << 20;
/// What the record says of them is waited for so long: it may not be readable either.
const LOOK_UP: Duration = Duration::from_millis(200);
/// What nobody has offered for so long, although the store works, is forgotten: its publisher has given up.
const OFFERED_WITHIN: Duration = Duration::from_secs(600);

struct One {
    row: Arc<FeedRow>,
    bytes: usize,
    offered: Mono,
}

#[derive(Default)]
struct Held {
    /// By lane and the order in which they were shown.
    lanes: [BTreeMap<u64, One>; 3],
    bytes: [usize; 3],
    /// Where each alert stands.
    places: HashMap<AlertId, (Lane, u64)>,
    last: u64,
}

impl Held {
    fn remove(&mut self, alert: AlertId) -> Option<One> {
        let (lane, place) = self.places.remove(&alert)?;
        let one = self.lanes[lane.index()].remove(&place)?;
        self.bytes[lane.index()] -= one.bytes;
        Some(one)
    }
}

/// What became of a state that was to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Showing {
    Shown,
    /// It, or a later one, was shown before.
    Known,
    /// No room.
    Dropped,
}

/// The states that are shown and not on disk.
#[derive(Default)]
pub(super) struct Volatile(Mutex<Held>);

impl Volatile {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("no code panics while it holds this lock")
    }
    /// Alerts held.
    pub(super) fn len(&self) -> usize {
        self.held().places.len()
    }
    /// Takes a state in place of an earlier one of its alert.
    pub(super) fn show(&self, row: Arc<FeedRow>, now: Mono) -> Showing {
        let mut held = self.held();
        let held = &mut *held;
        let known = held.places.get(&row.alert).copied();
        let mut lane = row.lane;
        if let Some((before, place)) = known
            && let Some(one) = held.lanes[before.index()].get_mut(&place)
        {
            if revision(&one.row) >= revision(&row) {
                one.offered = now;
                return Showing::Known;
            }
            lane = lane.min(before);
        }
        let row = if lane == row.lane { row } else { Arc::new(FeedRow { lane, ..(*row).clone() }) };
        let bytes = prost::Message::encoded_len(&row.record);
        let own = known.filter(|(before, _)| *before == lane);
        let index = lane.index();
        let full = own.is_none() && held.lanes[index].len() >= PER_LANE;
        if full || held.bytes[index] + bytes > BYTES_PER_LANE {
            return Showing::Dropped;
        }
        held.remove(row.alert);
        held.last += 1;
        held.places.insert(row.alert, (lane, held.last));
        held.bytes[index] += bytes;
        held.lanes[index].insert(held.last, One { row, bytes, offered: now });
        Showing::Shown
    }
    /// The next state of a lane after a place, and its place.
    pub(super) fn next(&self, lane: Lane, after: u64, filter: &Filter) -> Option<(u64, Arc<FeedRow>)> {
        let held = self.held();
        let mut later = held.lanes[lane.index()].range(after + 1..);
        let found = later.find(|(_, one)| filter.wants(&one.row.facts()));
        found.map(|(place, one)| (*place, Arc::clone(&one.row)))
    }
    /// Whether a state of this alert is held.
    fn holds(&self, alert: AlertId) -> bool {
        self.held().places.contains_key(&alert)
    }
    /// Alerts held that may inhibit, and whether they fire.
    fn sources(&self) -> Vec<(Firing, bool)> {
        let held = self.held();
        held.lanes.iter().flat_map(BTreeMap::values).flat_map(|one| firing_of(&one.row)).collect()
    }
    /// Forgets what the store has answered for.
    fn settle(&self, alert: AlertId, upto_revision: u64) {
        let mut held = self.held();
        let Some((lane, place)) = held.places.get(&alert).copied() else { return };
        let later =
            held.lanes[lane.index()].get(&place).is_some_and(|one| revision(&one.row) > upto_revision);
        if !later {
            held.remove(alert);
        }
    }
    /// Takes note of what is on disk.
    pub(super) fn committed(&self, row: &FeedRow) {
        self.settle(row.alert, revision(row));
    }
    /// Forgets what nobody offers any more; how many.
    pub(super) fn forget(&self, now: Mono) -> usize {
        let mut held = self.held();
        let old = held.lanes.iter().flat_map(BTreeMap::values);
        let old = old.filter(|one| now.since(one.offered) > OFFERED_WITHIN).map(|one| one.row.alert);
        let old: Vec<AlertId> = old.collect();
        old.iter().filter(|alert| held.remove(**alert).is_some()).count()
    }
}

pub(super) fn revision(row: &FeedRow) -> u64 {
    row.record.alert.as_ref().map_or(0, |alert| alert.revision)
}

impl Bus {
    /// Stores states. What is not on disk within the bound is shown as volatile; the answer comes when it is on disk
    /// all the same, or an error.
    pub(super) async fn commit(&self, mut states: Vec<Incoming>) -> Result<Vec<Outcome>> {
        let volatile = &self.0.hub.volatile;
        states.iter_mut().for_each(|one| one.told = volatile.holds(one.alert.id));
        let slow_after = self.0.options.sqlite.slow_after;
        // A store that fails already need not be waited for so long.
        let failing = self.0.store.health().failing.is_some();
        let within = if failing { slow_after / 8 } else { slow_after };
        let mut answer = self.0.store.publish(states.clone());
        let ids: Vec<_> = states.iter().map(|one| (one.alert.id, one.alert.revision.0)).collect();
        let outcomes = match timeout(within, &mut answer).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(error)) => {
                self.show(states).await;
                return Err(error);
            }
            Err(_) => {
                self.show(states).await;
                answer.await?
            }
        };
        // What was suppressed comes by no feed.
        ids.into_iter().for_each(|(alert, revision)| volatile.settle(alert, revision));
        Ok(outcomes)
    }
    /// Shows states as volatile, unless the record has them, or something against them, or suppresses them.
    async fn show(&self, states: Vec<Incoming>) {
        let alerts: Vec<AlertId> = states.iter().map(|one| one.alert.id).collect();
        // The record may not answer: that is no reason to say nothing.
        let on_record = timeout(LOOK_UP, self.on_record(alerts)).await.ok().and_then(Result::ok);
        let now = self.0.clock.mono();
        let reasons = self.0.store.reasons();
        let mut sources = self.0.hub.volatile.sources();
        let (mut shown, mut dropped) = (0, 0);
        for one in states {
            let before = on_record.as_ref().and_then(|record| record.latest.get(&one.alert.id));
            if before.is_some_and(|before| !follows(&one, before)) {
                continue;
            }
            let row = Arc::new(volatile_row(&one, before.map(Arc::as_ref)));
            let told = self.0.hub.volatile.holds(row.alert)
                || match &on_record {
                    Some(record) => before.is_some() && !record.suppressed.contains(&row.alert),
                    None => revision(&row) > 1,
                };
            if self.suppresses(&row, told, &reasons, &sources) {
                continue;
            }
            match self.0.hub.show(Arc::clone(&row), now) {
                Showing::Shown => {
                    shown += 1;
                    sources.retain(|(source, _)| source.alert != row.alert);
                    sources.extend(firing_of(&row));
                }
                Showing::Known => {}
                Showing::Dropped => dropped += 1,
            }
        }
        BusCounts::add(&self.0.counts.volatile_dropped, dropped);
        if shown + dropped > 0 {
            warn!(shown, dropped, "states cannot be stored now, consoles see them as volatile");
        }
    }
    async fn on_record(&self, alerts: Vec<AlertId>) -> Result<OnRecord> {
        let query = ListQuery { limit: alerts.len(), alerts: alerts.clone(), ..ListQuery::default() };
        let rows = self.0.store.list(query).await?;
        let suppressed = self.0.store.suppressed_among(alerts).await?;
        let latest = rows.into_iter().map(|row| (row.alert, row)).collect();
        Ok(OnRecord { latest, suppressed: suppressed.into_iter().collect() })
    }
    /// Whether a reason that is known in memory is against showing a state; `told` says whether anyone was shown its
    /// alert. `sources` are alerts that are held and may inhibit, and whether they fire.
    fn suppresses(&self, row: &FeedRow, told: bool, reasons: &Reasons, sources: &[(Firing, bool)]) -> bool {
        let facts = row.facts();
        let wall = self.0.clock.wall();
        let alert = row.record.alert.as_ref();
        let fires = alert.is_none_or(|alert| alert.state() == v1::AlertState::Firing);
        if told && !fires {
            return false;
        }
        let mut firing = self.0.hub.inhibitors(facts.camera);
        firing.retain(|one| !sources.iter().any(|(later, _)| later.alert == one.alert));
        firing.extend(sources.iter().filter(|(_, fires)| *fires).map(|(source, _)| source.clone()));
        // What is itself silenced inhibits nothing.
        firing.retain(|one| {
            let facts = Facts { kind: one.kind, level: one.level, ..facts };
            one.alert != row.alert && reasons.silences.covering(&facts, wall).next().is_none()
        });
        let publisher = alert.map_or("", |alert| alert.publisher.as_str());
        let group = group_of(&reasons.floods, &facts).filter(|_| !told && may_join(&facts, publisher));
        decide(&facts, wall, &reasons.silences, &firing, group, None).is_some()
    }
}

/// What the record has of some alerts.
struct OnRecord {
    latest: HashMap<AlertId, Arc<FeedRow>>,
    suppressed: HashSet<AlertId>,
}

/// Whether the store would take a state after what it has of the alert.
fn follows(one: &Incoming, before: &FeedRow) -> bool {
    let stored = before.record.alert.as_ref();
    stored.is_some_and(|stored| {
        stored.publisher == one.alert.publisher && stored.revision < one.alert.revision.0
    })
}

fn volatile_row(one: &Incoming, before: Option<&FeedRow>) -> FeedRow {
    let alert = v1::Alert::from(&one.alert);
    // As with a commit: urgency only grows, and an alert keeps its place among the divisions.
    let lane = one.alert.level.lane();
    let lane = before.map_or(lane, |before| before.lane.min(lane));
    FeedRow {
        seq: 0,
        lane,
        alert: one.alert.id,
        kind: alert.kind,
        class: alert.kind_class,
        level: before.map_or(one.alert.level, |before| before.level.min(one.alert.level)),
        camera: one.alert.place.camera.to_string(),
        path: before.map_or_else(|| path_of(&one.alert), |before| before.path.clone()),
        committed: one.received,
        record: v1::Record { alert: Some(alert), committed_unix_us: 0, lane: v1::Lane::from(lane).into() },
        encoded: std::sync::OnceLock::new(),
    }
}
