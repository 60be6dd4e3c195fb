//! `kill -9` at failpoints, over and over: what was acknowledged is there, once, and every console is told of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use rustix::process::Signal;
use tokio::{sync::Semaphore, time::timeout};
use xueliang_base::{alert::Alert, kind::Level};
use xueliang_proto::v1::{GetAlertRequest, Lane, ListAlertsRequest, PublishOutcome, PublishRequest, Record};
use xueliang_tests::service::until;

use super::{
    MINUTE,
    consoles::read,
    seed,
    seen::Seen,
    site::{Client, Site, fresh, next, publication, send},
};

/// Where the bus is killed: before and after each step from a job to the publisher's answer.
const FAILPOINTS: [&str; 5] = ["job", "commit", "committed", "shown", "answered"];
/// Reached only when the log has grown: killed there now and then.
const RARE: [&str; 2] = ["checkpoint", "checkpointed"];
/// Requests that a life of the bus is given.
const REQUESTS: usize = 16;
/// A failpoint that is not reached by then is not on the way: then it is any moment.
const LIFE: Duration = Duration::from_millis(1500);

/// What the publisher knows.
#[derive(Default)]
struct Published {
    /// Latest state of each alert, sent or not.
    latest: Vec<Alert>,
    /// States that the bus has not acknowledged, in order.
    pending: VecDeque<Alert>,
    /// What it has acknowledged, each with what makes its content its own.
    acknowledged: BTreeMap<(String, u64), u64>,
    states: u64,
    /// No new states are made.
    over: bool,
}

impl Published {
    /// Makes some states: begins, changes that may get worse, ends.
    fn make(&mut self, dice: &mut SmallRng) {
        for _ in 0..dice.random_range(1..=6) {
            self.states += 1;
            let going_on =
                self.latest.iter().position(|alert| alert.state.is_firing() && dice.random_ratio(1, 8));
            let state = match going_on {
                Some(index) => {
                    let mut state = next(&self.latest[index], self.states, dice.random_ratio(1, 4));
                    if state.level > Level::SEVERE && dice.random_ratio(1, 6) {
                        state.level = Level::SEVERE;
                    }
                    self.latest[index] = state.clone();
                    state
                }
                None => {
                    let mut state = fresh(*[2, 2, 3, 3, 4].choose(dice).unwrap());
                    state.count = self.states;
                    self.latest.push(state.clone());
                    state
                }
            };
            self.pending.push_back(state);
        }
    }
}

/// Publishes until all is over, one request for each permit, and the same states again until they are acknowledged.
async fn publish(
    mut client: Client,
    published: Arc<Mutex<Published>>,
    turns: Arc<Semaphore>,
    mut dice: SmallRng,
) {
    loop {
        turns.acquire().await.unwrap().forget();
        let states: Vec<Alert> = {
            let mut published = published.lock().unwrap();
            if published.over && published.pending.is_empty() {
                return;
            }
            if published.pending.len() < 8 && !published.over {
                published.make(&mut dice);
            }
            published.pending.iter().take(20).cloned().collect()
        };
        let request = PublishRequest { publications: states.iter().map(publication).collect() };
        let Ok(answer) = client.publish(request).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            turns.add_permits(1);
            continue;
        };
        let mut published = published.lock().unwrap();
        for (state, result) in states.iter().zip(answer.into_inner().results) {
            let outcome = result.outcome();
            assert!(
                matches!(outcome, PublishOutcome::Committed | PublishOutcome::Duplicate),
                "{outcome:?}: {}",
                result.message
            );
            published.acknowledged.insert((state.id.to_string(), state.revision.0), state.count);
            published.pending.pop_front();
        }
    }
}

/// The whole record, by alert and revision.
async fn record(client: &mut Client) -> BTreeMap<(String, u64), Record> {
    let mut ids = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListAlertsRequest { page_size: 1000, page_token, ..ListAlertsRequest::default() };
        let page = client.list_alerts(request).await.unwrap().into_inner();
        ids.extend(page.records.into_iter().map(|record| record.alert.unwrap().alert_id));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    let mut states = BTreeMap::new();
    for alert_id in ids {
        let history = client.get_alert(GetAlertRequest { alert_id }).await.unwrap().into_inner().history;
        for record in history {
            let alert = record.alert.as_ref().unwrap();
            let doubled = states.insert((alert.alert_id.clone(), alert.revision), record);
            assert!(doubled.is_none(), "a state stands twice on the record: {doubled:?}");
        }
    }
    states
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_killed_over_and_over_loses_nothing_doubles_nothing_and_tells_everyone() {
    let kills = std::env::var("XUELIANG_KILLS").map_or(200, |text| text.parse().unwrap());
    let mut dice = SmallRng::seed_from_u64(seed());
    let site = Site::new();
    let published = Arc::new(Mutex::new(Published::default()));
    let turns = Arc::new(Semaphore::new(0));
    let consoles: Vec<Arc<Mutex<Seen>>> = (0..3).map(|_| Arc::default()).collect();
    let mut tasks = tokio::task::JoinSet::new();

    // Consoles have their first, empty snapshot before anything is published.
    let mut bus = site.start(None);
    for (index, (name, credit)) in [("first", 64), ("second", 64), ("narrow", 2)].into_iter().enumerate() {
        tasks.spawn(read(site.api(), name, credit, consoles[index].clone()));
    }
    until("all consoles are at work", MINUTE, async || {
        consoles.iter().all(|seen| !locked(seen).cursor.is_empty()).then_some(())
    })
    .await
    .unwrap();
    send(&bus, Signal::KILL);
    bus.wait().await.unwrap();
    tasks.spawn(publish(site.publisher(), published.clone(), turns.clone(), SmallRng::from_rng(&mut dice)));

    let mut reached = BTreeMap::<&str, u32>::new();
    for _ in 0..kills {
        let (failpoint, times) = if dice.random_ratio(1, 20) {
            (*RARE.choose(&mut dice).unwrap(), 1)
        } else {
            (*FAILPOINTS.choose(&mut dice).unwrap(), dice.random_range(1..=REQUESTS / 2))
        };
        let mut bus = site.start(Some(&format!("{failpoint}:{times}")));
        let missing = REQUESTS.saturating_sub(turns.available_permits());
        turns.add_permits(missing);
        if timeout(LIFE, bus.wait()).await.is_ok() {
            *reached.entry(failpoint).or_default() += 1;
        } else {
            send(&bus, Signal::KILL);
            bus.wait().await.unwrap();
        }
        assert!(tasks.try_join_next().is_none(), "a publisher or console gave up\n{}", site.log());
    }
    println!("killed {kills} times, at failpoints: {reached:?}");
    assert!(reached.values().sum::<u32>() * 2 > kills, "most kills are to be at failpoints");

    // Alive at last: what is pending is published, and all consoles catch up.
    published.lock().unwrap().over = true;
    let _bus = site.start(None);
    until("everything is acknowledged", MINUTE, async || {
        turns.add_permits(1);
        published.lock().unwrap().pending.is_empty().then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    // Where nothing was pending, it has only just been started.
    let connected = until("the bus answers", MINUTE, async || Client::connect(site.api()).await.ok());
    let mut console = connected.await.unwrap();
    let record = record(&mut console).await;
    let acknowledged = published.lock().unwrap().acknowledged.clone();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|(state, count)| {
            record.get(*state).is_none_or(|kept| kept.alert.as_ref().unwrap().count != **count)
        })
        .collect();
    assert!(lost.is_empty(), "acknowledged, and not on the record: {lost:?}");
    let unknown: Vec<_> = record.keys().filter(|state| !acknowledged.contains_key(*state)).collect();
    assert!(unknown.is_empty(), "on the record, and never acknowledged at last: {unknown:?}");
    println!("{} states of {} alerts", record.len(), published.lock().unwrap().latest.len());

    for (index, seen) in consoles.iter().enumerate() {
        let missing = || {
            let seen = locked(seen);
            let missing: Vec<_> = record
                .iter()
                .filter(|((id, revision), kept)| match kept.lane() {
                    Lane::Critical => !seen.delivered.contains(&(id.clone(), *revision)),
                    // The latest state is enough.
                    _ if record.contains_key(&(id.clone(), revision + 1)) => false,
                    Lane::Minor if seen.counted.contains(id) => false,
                    _ => seen.latest.get(id) != Some(revision),
                })
                .map(|(state, kept)| (state.clone(), kept.lane()))
                .collect();
            missing
        };
        let caught_up = until("a console has caught up", MINUTE, async || missing().is_empty().then_some(()));
        if caught_up.await.is_err() {
            panic!("console {index} was never told: {:?}", missing());
        }
        let seen = locked(seen);
        assert_eq!(seen.faults, Vec::<String>::new(), "console {index}");
        assert_eq!(seen.gaps, 0, "console {index}");
        println!("console {index}: {} states, {} alerts counted", seen.delivered.len(), seen.counted.len());
    }
}
