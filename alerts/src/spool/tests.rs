use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use xueliang_base::{
    alert::{EvidenceFacts, EvidenceKind},
    id::AlertRevision,
    time::{Clock, ManualClock},
};

use super::*;
use crate::testing::{NOW, critical, key_of, minor, minted, next_state, resolved};

fn still(data: &[u8]) -> EvidenceRef {
    let facts = EvidenceFacts {
        sha256: Sha256::of(data),
        size_bytes: data.len() as u64,
        redacted: true,
        start: NOW,
        end: NOW,
        stretches: Vec::new(),
    };
    EvidenceRef { kind: EvidenceKind::Still, content: Ok(facts) }
}

#[tokio::test]
async fn what_was_pushed_is_there_in_order_after_a_restart_with_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(NOW);
    let open = || Spool::open(folder.path(), clock.clone(), SpoolOptions::default()).unwrap();
    let spool = open();
    let alerts: Vec<_> = (0..5).map(|_| critical()).collect();
    for alert in &alerts {
        spool.push(alert).await.unwrap();
    }
    spool.push_evidence(alerts[0].id, &still(b"picture"), Bytes::from_static(b"picture")).await.unwrap();
    drop(spool);
    clock.advance(Duration::from_secs(3));
    let spool = open();
    assert_eq!(spool.counts().waiting, 6);
    let batch = spool.next_batch(10).await.unwrap();
    let ids: Vec<_> = batch.iter().map(|one| one.item.alert_id.clone()).collect();
    assert_eq!(ids, alerts.iter().map(|alert| alert.id.to_string()).collect::<Vec<_>>());
    assert_eq!(batch[0].item.stages.last().unwrap().duration_us, 3_000_000);
    spool.done(&batch[..4]).await.unwrap();
    assert_eq!(spool.next_batch(10).await.unwrap().len(), 1);
    let piece = spool.next_evidence().await.unwrap().unwrap();
    assert_eq!(piece.item.data, Bytes::from_static(b"picture"));
    spool.bury(&piece, "a test").await.unwrap();
    assert_eq!(spool.dead().await.unwrap(), (1, Some("a test".to_owned())));
    assert_eq!(spool.counts().waiting, 1);
}

#[tokio::test]
async fn a_full_spool_refuses_evidence_first_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = SpoolOptions { max_bytes: 2000, ..SpoolOptions::default() };
    let spool = Spool::open(folder.path(), ManualClock::at(NOW), options).unwrap();
    let alert = critical();
    spool.push(&alert).await.unwrap();
    let data = Bytes::from(vec![7; 1750]);
    let refused = spool.push_evidence(alert.id, &still(&data), data.clone()).await;
    assert!(matches!(refused, Err(Error::Exhausted(_))));
    let mut refused = None;
    for _ in 0..30 {
        refused = spool.push(&critical()).await.err();
    }
    assert!(matches!(refused, Some(Error::Exhausted(text)) if text.contains("the bus")));
    let counts = spool.counts();
    assert!(counts.evidence_refused == 1 && counts.refused > 0 && counts.waiting_bytes <= 2000);
    let all = spool.next_batch(100).await.unwrap();
    spool.done(&all).await.unwrap();
    assert_eq!(spool.counts().waiting_bytes, 0);
}

#[tokio::test]
async fn of_many_states_as_many_of_the_first_are_spooled_as_there_is_room_for() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(NOW);
    let options = SpoolOptions { max_bytes: 2000, ..SpoolOptions::default() };
    let spool = Spool::open(folder.path(), clock.clone(), options).unwrap();
    let states: Vec<_> = (0..60).map(|_| critical()).collect();
    let states = minted(&states, (clock.mono(), clock.wall()));
    let before = spool.commits();
    let Unspooled { stored, error } = spool.push_all(&states).await.unwrap_err();
    assert!(matches!(error, Error::Exhausted(_)) && (1..30).contains(&stored), "{stored}: {error}");
    assert_eq!(spool.commits() - before, 1);
    let first = spool.next_batch(100).await.unwrap();
    assert_eq!(first.len(), stored);
    spool.done(&first).await.unwrap();
    // The rest, tried again later: nothing twice, in order, and dated from when it was minted.
    clock.advance(Duration::from_secs(3));
    let Unspooled { stored: more, .. } = spool.push_all(&states[stored..]).await.unwrap_err();
    let second = spool.next_batch(100).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&second).map(|one| one.item.alert_id.clone()).collect();
    let expected: Vec<_> = states[..stored + more].iter().map(|one| one.alert.id.to_string()).collect();
    assert_eq!(ids, expected);
    assert_eq!(second[0].item.stages.last().unwrap().duration_us, 3_000_000);
    // One that waits with other content stops those after it.
    let waits = critical();
    spool.done(&second).await.unwrap();
    spool.push(&waits).await.unwrap();
    let other = Alert { count: waits.count + 1, ..waits };
    let states = minted(&[minor(), other, minor()], (clock.mono(), clock.wall()));
    let Unspooled { stored, error } = spool.push_all(&states).await.unwrap_err();
    assert!(stored == 1 && matches!(error, Error::Conflict(_)), "{stored}: {error}");
}

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: ManualClock::at(NOW) }
    }
    fn open(&self) -> Spool {
        self.open_in(self.folder.path())
    }
    fn open_in(&self, folder: &Path) -> Spool {
        Spool::open(folder, self.clock.clone(), SpoolOptions::default()).unwrap()
    }
    fn files(&self) -> usize {
        let shelves = fs::read_dir(self.folder.path().join("evidence")).unwrap();
        shelves.map(|shelf| fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum()
    }
}

async fn waiting(spool: &Spool) -> Vec<(String, u64)> {
    let batch = spool.next_batch(100).await.unwrap();
    batch.into_iter().map(|one| (one.item.alert_id, one.item.revision)).collect()
}

#[tokio::test]
async fn what_push_has_answered_is_in_the_files_of_a_killed_process() {
    // What a kill leaves: the files as the kernel has them. That they are on the disk too is for
    // the_writer_syncs_its_log_at_every_commit to say, which the spool shares.
    let bench = Bench::new();
    let spool = bench.open();
    let alert = critical();
    let states = [alert.clone(), next_state(&alert), minor()];
    let copy = tempfile::tempdir().unwrap();
    for (pushed, state) in states.iter().enumerate() {
        spool.push(state).await.unwrap();
        // What the files hold at this moment, without any closing: the database and its log.
        let folder = copy.path().join(pushed.to_string());
        fs::create_dir(&folder).unwrap();
        for name in ["spool.db", "spool.db-wal"] {
            fs::copy(bench.folder.path().join(name), folder.join(name)).unwrap();
        }
        let survivor = bench.open_in(&folder);
        assert_eq!(waiting(&survivor).await, states[..=pushed].iter().map(key_of).collect::<Vec<_>>());
        assert_eq!(survivor.counts().waiting, pushed as u64 + 1);
    }
}

#[tokio::test]
async fn a_second_node_process_is_refused_and_touches_nothing() {
    let bench = Bench::new();
    let spool = bench.open();
    // A file whose row is on its way.
    spool.files.write(Sha256::of(b"new"), Bytes::from_static(b"new")).await.unwrap();
    let Err(refused) = Spool::open(bench.folder.path(), bench.clock.clone(), SpoolOptions::default()) else {
        panic!("two at once")
    };
    assert!(
        matches!(&refused, Error::Conflict(text) if text.contains("in use by another node process")),
        "{refused}"
    );
    assert_eq!(bench.files(), 1);
    drop(spool);
    bench.open();
}

#[tokio::test]
async fn a_state_is_spooled_once_and_never_changes() {
    let bench = Bench::new();
    let spool = bench.open();
    let alert = critical();
    spool.push(&alert).await.unwrap();
    let bytes = spool.counts().waiting_bytes;
    spool.push(&alert).await.unwrap();
    assert_eq!(
        spool.counts(),
        SpoolCounts { waiting: 1, waiting_bytes: bytes, pushed: 1, ..SpoolCounts::default() }
    );
    let mut other = alert.clone();
    other.count = 77;
    let refused = spool.push(&other).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(text) if text.contains("next revision")), "{refused}");
    assert_eq!(spool.counts().waiting_bytes, bytes);
    assert_eq!(waiting(&spool).await, [key_of(&alert)]);
}

#[tokio::test]
async fn the_latest_state_of_each_alert_is_there_to_be_adopted() {
    let bench = Bench::new();
    let spool = bench.open();
    let (first, second) = (critical(), minor());
    let states = [first.clone(), second.clone(), next_state(&first), resolved(&second)];
    for state in &states {
        spool.push(state).await.unwrap();
    }
    drop(spool);
    let mut latest = bench.open().pending_latest().await.unwrap();
    latest.sort_by_key(|alert| alert.id);
    let mut expected = vec![states[2].clone(), states[3].clone()];
    expected.sort_by_key(|alert| alert.id);
    assert_eq!(latest, expected);
}

#[tokio::test]
async fn time_in_the_spool_is_exact_within_a_boot_and_bounded_across_boots() {
    let bench = Bench::new();
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    let mut spool = bench.open();
    spool.push(&critical()).await.unwrap();
    spool.boot = "an earlier boot".to_owned();
    spool.push(&minor()).await.unwrap();
    drop(spool);
    let ages = async |bench: &Bench| {
        let batch = bench.open().next_batch(10).await.unwrap();
        let stages = batch.iter().map(|one| *one.item.stages.last().unwrap());
        stages.map(|time| (time.duration_us, time.uncertainty_us)).collect::<Vec<_>>()
    };
    // Two hours on, three after boot; the item of the earlier boot was minted five hours ago.
    bench.clock.advance(2 * hour);
    bench.clock.step_wall(NOW.plus(5 * hour));
    let shown = micros(5 * hour);
    assert_eq!(ages(&bench).await, [(micros(2 * hour), 0), (shown, 1_000_000 + shown / 2000)]);
    // The wall clock is set back behind all that: the true value lies within what is said all the same.
    bench.clock.step_wall(NOW.minus(minute));
    bench.clock.advance(minute);
    let both = ages(&bench).await;
    assert_eq!(both[0], (micros(2 * hour + minute), 0));
    let (duration_us, uncertainty_us) = both[1];
    assert!(duration_us >= micros(3 * hour), "never less than the time since boot");
    assert!(duration_us.abs_diff(micros(5 * hour + minute)) <= uncertainty_us, "{both:?}");
}

#[tokio::test]
async fn evidence_waits_for_the_states_of_its_alert_and_for_no_other() {
    let bench = Bench::new();
    let spool = bench.open();
    let (first, second) = (critical(), minor());
    spool.push(&first).await.unwrap();
    spool.push_evidence(first.id, &still(b"one"), Bytes::from_static(b"one")).await.unwrap();
    assert!(spool.next_evidence().await.unwrap().is_none());
    spool.push_evidence(second.id, &still(b"two"), Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(spool.next_evidence().await.unwrap().unwrap().item.alert, second.id);
    let batch = spool.next_batch(10).await.unwrap();
    spool.done(&batch).await.unwrap();
    spool.push(&next_state(&first)).await.unwrap();
    assert_eq!(spool.next_evidence().await.unwrap().unwrap().item.alert, first.id);
}

#[tokio::test]
async fn a_file_lives_as_long_as_something_that_waits_needs_it() {
    let bench = Bench::new();
    let spool = bench.open();
    for _ in 0..2 {
        spool.push_evidence(critical().id, &still(b"same"), Bytes::from_static(b"same")).await.unwrap();
    }
    let piece = spool.next_evidence().await.unwrap().unwrap();
    spool.done(&[piece]).await.unwrap();
    let piece = spool.next_evidence().await.unwrap().unwrap();
    assert_eq!(bench.files(), 1);
    spool.done(&[piece]).await.unwrap();
    assert_eq!(bench.files(), 0);
    // What a crash left between a file and its row goes when the spool is opened.
    spool.files.write(Sha256::of(b"left"), Bytes::from_static(b"left")).await.unwrap();
    assert_eq!(bench.files(), 1);
    drop(spool);
    bench.open();
    assert_eq!(bench.files(), 0);
}

#[tokio::test]
async fn what_is_damaged_is_set_aside_and_holds_up_nothing() {
    let bench = Bench::new();
    let spool = bench.open();
    let damaged = spool.item(SpoolKind::Alert, critical().id, vec![0xff; 9], String::new(), 9);
    spool.reserve(9, 100).unwrap();
    spool.append(SpoolItem { revision: 1, ..damaged }, &spool.refused).await.unwrap();
    let good = critical();
    spool.push(&good).await.unwrap();
    spool.push_evidence(minor().id, &still(b"gone"), Bytes::from_static(b"gone")).await.unwrap();
    spool.push_evidence(minor().id, &still(b"kept"), Bytes::from_static(b"kept")).await.unwrap();
    fs::write(spool.files.path(Sha256::of(b"gone")), b"something else").unwrap();
    assert_eq!(waiting(&spool).await, [key_of(&good)]);
    assert_eq!(spool.next_evidence().await.unwrap().unwrap().item.data, Bytes::from_static(b"kept"));
    let counts = spool.counts();
    assert_eq!((counts.dead, counts.waiting, spool.dead().await.unwrap().0), (2, 2, 2));
}

#[tokio::test]
async fn evidence_leaves_the_reserve_of_the_disk_to_the_states_of_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(1000));
    let options = SpoolOptions {
        reserve_bytes: Some(900),
        free_bytes: Some(Arc::clone(&free)),
        ..SpoolOptions::default()
    };
    let spool = Spool::open(folder.path(), ManualClock::at(NOW), options).unwrap();
    let alert = critical();
    spool.push(&alert).await.unwrap();
    let data = Bytes::from(vec![7; 101]);
    let refused = spool.push_evidence(alert.id, &still(&data), data.clone()).await;
    assert!(matches!(refused, Err(Error::Exhausted(text)) if text.contains("900 are reserved for alerts")));
    free.store(0, Ordering::Relaxed);
    // A note that there is none is no piece of evidence, and states are what the reserve is for.
    let missing = EvidenceRef { kind: EvidenceKind::Still, content: Err("no room".to_owned()) };
    spool.push_evidence(alert.id, &missing, Bytes::new()).await.unwrap();
    spool.push(&next_state(&alert)).await.unwrap();
    let counts = spool.counts();
    assert_eq!((counts.evidence_refused, counts.reserve_refused, counts.waiting), (1, 1, 3));
    spool.set_reserve(Some(10));
    free.store(111, Ordering::Relaxed);
    spool.push_evidence(alert.id, &still(&data), data).await.unwrap();
}

#[tokio::test]
async fn a_fresh_alert_goes_before_the_backlog_and_no_revision_before_another_of_its_alert() {
    let bench = Bench::new();
    let spool = bench.open();
    let (first, later) = (minor(), minor());
    let flood: Vec<_> = (0..500).map(|_| minor()).collect();
    let at = (bench.clock.mono(), bench.clock.wall());
    spool.push(&first).await.unwrap();
    spool.push_all(&minted(&flood, at)).await.unwrap();
    spool.push(&later).await.unwrap();
    // The bus takes a batch, and has thereby come back.
    assert_eq!(spool.next_batch(1).await.unwrap()[0].item.alert_id, first.id.to_string());
    spool.begin_backlog();
    bench.clock.advance(Duration::from_secs(5));
    let (fire, fresh) = (critical(), minor());
    // A fresh revision of an alert of the backlog that is urgent now takes the one before it along.
    let urgent = Alert { level: critical().level, ..next_state(&later) };
    for state in [&fresh, &urgent, &fire] {
        spool.push(state).await.unwrap();
    }
    let batch = spool.next_batch(16).await.unwrap();
    let keys: Vec<_> = batch.iter().map(|one| (one.item.alert_id.clone(), one.item.revision)).collect();
    let expected = [&fire, &later, &urgent, &fresh, &first, &flood[0]].map(key_of);
    assert_eq!(keys[..6], expected);
    // Each is dated from its own minting.
    let spooled = batch.iter().map(|one| one.item.stages.last().unwrap().duration_us / 1_000_000);
    assert_eq!(spooled.take(5).collect::<Vec<_>>(), [0, 5, 0, 0, 5]);
    spool.done(&batch).await.unwrap();
    assert_eq!(spool.next_batch(600).await.unwrap().len(), 505 - 16);
}

#[tokio::test]
async fn what_an_earlier_life_left_does_not_stand_before_what_is_raised_in_this_one() {
    let bench = Bench::new();
    let left: Vec<_> = (0..300).map(|_| critical()).collect();
    let left = minted(&left, (bench.clock.mono(), bench.clock.wall()));
    bench.open().push_all(&left).await.unwrap();
    let spool = bench.open();
    let fire = critical();
    spool.push(&fire).await.unwrap();
    assert_eq!(waiting(&spool).await[0], key_of(&fire));
}

#[tokio::test]
async fn fresh_evidence_takes_turns_with_that_of_the_backlog() {
    let bench = Bench::new();
    let spool = bench.open();
    let pieces = ["old 1", "old 2", "old 3", "new 1", "new 2"];
    for (number, data) in pieces.iter().enumerate() {
        if number == 3 {
            spool.next_batch(1).await.unwrap();
            spool.begin_backlog();
        }
        spool.push_evidence(critical().id, &still(data.as_bytes()), Bytes::from(*data)).await.unwrap();
    }
    let mut sent = Vec::new();
    while let Some(piece) = spool.next_evidence().await.unwrap() {
        sent.push(piece.item.data.clone());
        spool.done(&[piece]).await.unwrap();
    }
    assert_eq!(sent, ["new 1", "old 1", "new 2", "old 2", "old 3"]);
}

#[tokio::test]
async fn a_spool_of_the_version_before_is_sent_whole_and_in_order() {
    let bench = Bench::new();
    let states: Vec<_> = (0..20).map(|_| minor()).collect();
    crate::store::tests::make_spool_without_queues(bench.folder.path(), &states);
    let spool = bench.open();
    let after = next_state(&states[7]);
    spool.push(&after).await.unwrap();
    let keys: Vec<_> = states.iter().chain([&after]).map(key_of).collect();
    assert_eq!(waiting(&spool).await, keys);
}

/// What a random history does to a spool.
#[derive(Debug, Clone)]
enum Step {
    /// Alert and level of its next state.
    Push(usize, u8),
    /// States of a batch, and whether the bus takes them.
    Send(usize, bool),
    BusIsBack,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..12_usize, 2..=4_u8).prop_map(|(alert, level)| Step::Push(alert, level)),
        3 => (1..12_usize, any::<bool>()).prop_map(|(count, taken)| Step::Send(count, taken)),
        1 => Just(Step::BusIsBack),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn random_histories_lose_nothing_double_nothing_and_keep_the_order_of_each_alert(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new();
            let mut spool = bench.open();
            let mut alerts: Vec<_> = (0..12).map(|_| Alert { revision: AlertRevision(0), ..minor() }).collect();
            let mut taken: BTreeMap<String, u64> = BTreeMap::new();
            let drain = std::iter::repeat_n(Step::Send(7, true), 80);
            for step in steps.into_iter().chain(drain) {
                match step {
                    Step::Push(which, level) => {
                        alerts[which] = Alert { level: level.try_into().unwrap(), ..next_state(&alerts[which]) };
                        spool.push(&alerts[which]).await.unwrap();
                    }
                    Step::Send(count, ok) => {
                        let batch = spool.next_batch(count).await.unwrap();
                        let mut seen = taken.clone();
                        for one in &batch {
                            let before = seen.insert(one.item.alert_id.clone(), one.item.revision).unwrap_or(0);
                            assert_eq!(one.item.revision, before + 1, "of alert {}", one.item.alert_id);
                        }
                        if ok {
                            spool.done(&batch).await.unwrap();
                            taken = seen;
                        }
                    }
                    Step::BusIsBack => spool.begin_backlog(),
                    Step::Reopen => {
                        drop(spool);
                        spool = bench.open();
                    }
                }
            }
            assert_eq!(spool.counts().waiting, 0);
            for alert in alerts.iter().filter(|alert| alert.revision.0 > 0) {
                assert_eq!(taken[&alert.id.to_string()], alert.revision.0);
            }
        });
    }
}
