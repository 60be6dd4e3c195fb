//! The long run: cameras that come and go for as long as `XUELIANG_SOAK_MINUTES` says (30), while every process is
//! watched for growth. Run it with `make soak`; the figures are printed as a table at the end.
//!
//! Each camera fails once a minute, five seconds after the one before it, so every minute is like the other and the
//! first third of the run (the warm-up) has seen all there is to see.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, sleep, sleep_until};
use xueliang_base::time::{Clock, SystemClock};
use xueliang_proto::v1::{CameraStatus, Signal};
use xueliang_simulator::{CameraHandle, Fault};
use xueliang_tests::{
    Service,
    bench::{Table, percentile},
    clip,
    service::{BUSY_ZONE, TestCamera, until},
};

const CAMERAS: usize = 12;
/// Between two failures of one camera.
const ROUND: Duration = Duration::from_secs(60);
const SAMPLE: Duration = Duration::from_secs(5);
/// How long a camera is waited for before it counts as not back.
const PATIENCE: Duration = Duration::from_secs(25);
/// The slope's bar is set for runs of this length; a shorter one has not settled.
const ASSERTED_FROM: Duration = Duration::from_secs(20 * 60);
/// A camera that is back delivers within this time, when it was gone for less than five minutes.
const RETURN: Duration = Duration::from_secs(2);
/// Keyframes of the H.264 clips are so far apart; the simulator serves a session from its next keyframe on.
const KEYFRAMES: Duration = Duration::from_secs(2);
/// Nearly the five minutes up to which a lost camera is tried often.
const LONG: Duration = Duration::from_secs(270);
/// What a process may grow by, as a share of its size.
const GROWTH: f64 = 0.01;

/// How a camera goes, and for how long.
fn failure(turn: usize) -> (Vec<Fault>, Duration) {
    let seconds = Duration::from_secs;
    match turn % 6 {
        0 => (vec![Fault::Stop], seconds(10)),
        1 => (vec![Fault::Stall], seconds(12)),
        2 => (vec![Fault::Freeze], seconds(15)),
        3 => (vec![Fault::HalfOpen], seconds(12)),
        // Its sessions are closed, then connections are taken and closed without a word.
        4 => (vec![Fault::Stop, Fault::Refuse], seconds(15)),
        _ => (vec![Fault::Stop], seconds(3)),
    }
}

/// Whether every picture of a camera is a keyframe, so that nothing but the service delays its return.
fn at_once(index: usize) -> bool {
    index >= CAMERAS * 2 / 3
}

fn camera(index: usize) -> TestCamera {
    let name = if at_once(index) { "vtest@10fps.mjpeg" } else { "vtest@10fps.h264" };
    let rules = if index < CAMERAS / 3 { BUSY_ZONE } else { "" };
    TestCamera::new(&id(index), clip(name).unwrap(), rules)
}

fn id(index: usize) -> String {
    format!("c{:02}", index + 1)
}

/// How long cameras took to be back.
#[derive(Default)]
struct Returns {
    /// To the first access unit, in milliseconds, and after what.
    at_once: Vec<(u64, String)>,
    /// The same where it must be a keyframe.
    keyframes: Vec<(u64, String)>,
    /// To the first picture looked at, of cameras that are looked at often.
    looked: Vec<(u64, String)>,
    not_back: Vec<String>,
}

/// What the cameras' own tasks share.
struct Town {
    returns: Mutex<Returns>,
    /// Asked for by one task for all.
    cameras: tokio::sync::watch::Receiver<BTreeMap<String, CameraStatus>>,
    failures: AtomicU64,
}

/// Lets one camera fail once a round until the end, and sees how soon it is back each time.
async fn flap(town: Arc<Town>, camera: CameraHandle, index: usize, start: Instant, end: Instant) {
    let rounds = (end - start).as_secs() / ROUND.as_secs();
    let mut round = 0;
    while round < rounds {
        let turn = usize::try_from(round).unwrap() + index;
        sleep_until(start + ROUND * u32::try_from(round).unwrap() + Duration::from_secs(5) * index as u32)
            .await;
        // One camera is gone for nearly five minutes, once, after the warm-up.
        let long = index == CAMERAS - 1 && round == rounds / 2 && round + 5 < rounds;
        let (faults, gone) = if long { (vec![Fault::Stop], LONG) } else { failure(turn) };
        if Instant::now() + gone + PATIENCE > end {
            return;
        }
        let freezes = matches!(faults[..], [Fault::Freeze]);
        for fault in faults.iter().cloned() {
            camera.apply(fault).unwrap();
            // The first of two is to be seen by the sessions before the second takes its place.
            sleep(Duration::from_millis(200)).await;
        }
        town.failures.fetch_add(1, Ordering::Relaxed);
        sleep(gone).await;
        let back = SystemClock.wall();
        camera.clear();
        if !freezes {
            see_back(&town, index, back.0, &format!("{} after {faults:?} for {gone:?}", id(index))).await;
        }
        round += if long { 5 } else { 1 };
    }
}

/// Waits until the camera is back, and keeps how long it took.
async fn see_back(town: &Town, index: usize, back_us: i64, what: &str) {
    let mut cameras = town.cameras.clone();
    let id = id(index);
    // Both within one patience: the next failure is due a round after this one.
    let limit = Instant::now() + PATIENCE;
    let first_unit = wait_for(&mut cameras, &id, limit, |status| {
        let streaming = status.signal() == Signal::Streaming;
        // A session that outlived the failure delivers in the state it was in; then the newest unit must do.
        let since = status.since_unix_us;
        (streaming && since >= back_us)
            .then_some(since)
            .or((streaming && status.last_unit_unix_us >= back_us).then_some(status.last_unit_unix_us))
    })
    .await;
    let picture = wait_for(&mut cameras, &id, limit, |status| {
        (status.last_look_unix_us >= back_us).then_some(status.last_look_unix_us)
    });
    let picture = if index < CAMERAS / 3 { picture.await } else { None };
    let ms = |us: i64| u64::try_from((us - back_us) / 1000).unwrap_or(0);
    let mut returns = town.returns.lock().unwrap();
    match first_unit {
        Some(us) if at_once(index) => returns.at_once.push((ms(us), what.to_owned())),
        Some(us) => returns.keyframes.push((ms(us), what.to_owned())),
        None => returns.not_back.push(what.to_owned()),
    }
    returns.looked.extend(picture.map(|us| (ms(us), what.to_owned())));
}

/// Waits until something can be said of a camera.
async fn wait_for(
    cameras: &mut tokio::sync::watch::Receiver<BTreeMap<String, CameraStatus>>,
    id: &str,
    limit: Instant,
    found: impl Fn(&CameraStatus) -> Option<i64>,
) -> Option<i64> {
    let known = cameras.wait_for(|cameras| cameras.get(id).and_then(&found).is_some());
    let known = tokio::time::timeout_at(limit, known).await.ok()?.ok()?;
    known.get(id).and_then(&found)
}

/// One process at one moment.
#[derive(Clone, Copy)]
struct Sample {
    at_s: f64,
    rss_kb: f64,
    /// Of it, what rings hold.
    rings_kb: f64,
    threads: u64,
    fds: u64,
    sockets: u64,
    mappings: u64,
}

/// Something of a process that is counted.
type Count = fn(&Sample) -> u64;

const MAPPINGS: &str = "memory mappings";

const COUNTS: [(&str, Count); 4] = [
    ("threads", |s| s.threads),
    ("file descriptors", |s| s.fds),
    ("sockets", |s| s.sockets),
    // Pieces of the heap and stacks of threads: what is mapped and never given back shows here before it shows in
    // memory.
    (MAPPINGS, |s| s.mappings),
];

fn sample(pid: i32, at_s: f64) -> Option<Sample> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
    };
    let rss_kb: u64 = field("VmRSS:")?;
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .collect();
    let sockets = open.iter().filter(|target| target.to_string_lossy().starts_with("socket:")).count() as u64;
    let mappings = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?.lines().count() as u64;
    let threads = field("Threads:")?;
    Some(Sample {
        at_s,
        rss_kb: rss_kb as f64,
        rings_kb: 0.0,
        threads,
        fds: open.len() as u64,
        sockets,
        mappings,
    })
}

/// Metrics that tell what is alive within the roles: the node's objects by what they are (sessions, rings, tracks,
/// leases, pipelines), and streams of consoles.
const LIVE: [&str; 2] = ["xueliang_node_live_objects{", "xueliang_bus_subscriptions{"];

/// Live objects by their metric, each with the time of its samples.
type Live = BTreeMap<String, Vec<(f64, f64)>>;

fn live(metrics: &str, at_s: f64, into: &mut Live) {
    for line in metrics.lines().filter(|line| LIVE.iter().any(|name| line.starts_with(name))) {
        if let Some((name, value)) = line.rsplit_once(' ')
            && let Ok(value) = value.parse()
        {
            into.entry(name.to_owned()).or_default().push((at_s, value));
        }
    }
}

/// A process by what it does and its id, and its samples.
type Series = BTreeMap<String, Vec<Sample>>;

/// Samples all processes until the end, and prints each round.
async fn watch(service: &Service, start: Instant, end: Instant) -> (Series, Live) {
    let (mut series, mut alive) = (Series::new(), Live::new());
    let mut tick = tokio::time::interval(SAMPLE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    println!("seconds | process: RSS in MB (the node's beside its rings), threads, file descriptors");
    while Instant::now() < end {
        tick.tick().await;
        let at_s = start.elapsed().as_secs_f64();
        let metrics = service.metrics().await.unwrap_or_default();
        // Rings are emptied and filled as cameras fail and return, each to its bound: that is no growth.
        let ring_bytes = metrics.lines().find_map(|line| line.strip_prefix("xueliang_node_ring_bytes{} "));
        let ring_kb = ring_bytes.and_then(|bytes| bytes.parse::<f64>().ok()).unwrap_or_default() / 1024.0;
        let mut line = format!("{at_s:7.0} | rings {:.1}", ring_kb / 1024.0);
        for (pid, role) in service.roles() {
            let Some(mut sample) = sample(pid, at_s) else { continue };
            if role == "node" {
                sample.rings_kb = ring_kb;
            }
            line.push_str(&format!(
                " | {role} {:.1} {} {}",
                (sample.rss_kb - sample.rings_kb) / 1024.0,
                sample.threads,
                sample.fds
            ));
            series.entry(format!("{role} ({pid})")).or_default().push(sample);
        }
        println!("{line}");
        live(&metrics, at_s, &mut alive);
    }
    (series, alive)
}

fn mean(samples: &[(f64, f64)]) -> f64 {
    samples.iter().map(|(_, value)| value).sum::<f64>() / samples.len().max(1) as f64
}

/// Growth in ten minutes of values by minute: the median of what every two of them say (Theil and Sen), so that a minute
/// without a quiet moment counts no more than any other.
fn slope(samples: &[(f64, f64)]) -> f64 {
    let mut slopes: Vec<f64> = Vec::new();
    for (index, (minute, value)) in samples.iter().enumerate() {
        let later = samples[index + 1..].iter();
        slopes.extend(later.map(|(later, then)| (then - value) / (later - minute) * 10.0));
    }
    median(slopes)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn memory_rows(table: &mut Table, series: &Series, length: Duration) {
    let asserted = length >= ASSERTED_FROM;
    let whole = series.values().map(Vec::len).max().unwrap_or(0);
    for (process, samples) in series {
        // A process that did not live through the run has a row of its own below.
        if samples.len() + 2 < whole {
            continue;
        }
        let warm = samples.partition_point(|sample| sample.at_s < length.as_secs_f64() / 3.0);
        let (warm_up, rest) = samples.split_at(warm);
        let whole =
            mean(&rest.iter().map(|sample| (sample.at_s, sample.rss_kb)).collect::<Vec<_>>()).max(1.0);
        let memory: Vec<_> =
            rest.iter().map(|sample| (sample.at_s, sample.rss_kb - sample.rings_kb)).collect();
        let memory: Vec<_> = quietest(&memory).into_iter().map(|(minute, kb)| (minute as f64, kb)).collect();
        let (slope, quarter) = (slope(&memory) / whole, memory.len() / 4);
        // What is never given back raises the quietest moment of all.
        let of = |part: &[(f64, f64)]| part.iter().map(|(_, kb)| *kb).fold(f64::INFINITY, f64::min);
        let (last, before) = (of(&memory[quarter * 3..]), of(&memory[quarter * 2..quarter * 3]));
        let growth = (last - before) / whole;
        let figure = format!("{process}: growth of the memory of quiet moments in 10 minutes");
        let shown = format!("{:+.2} % of {:.1} MB", slope * 100.0, whole / 1024.0);
        let quarters = format!("{process}: memory of the quietest moment, last quarter over the one before");
        let grown = format!("{:+.2} %", growth * 100.0);
        if asserted {
            table.row(&figure, shown, "<= 1 %", slope <= GROWTH);
            table.row(&quarters, grown, "<= 1 %", growth <= GROWTH);
        } else {
            table.note(&format!("{figure} (bar: <= 1 %, not asserted below 20 minutes)"), shown);
            table.note(&format!("{quarters} (bar: <= 1 %, not asserted below 20 minutes)"), grown);
        }
        let last_third = &rest[rest.len() / 2..];
        for (what, count) in COUNTS {
            let of = |samples: &[Sample]| {
                quiet(&samples.iter().map(|sample| (sample.at_s, count(sample) as f64)).collect::<Vec<_>>())
            };
            let (then, now) = (of(warm_up), of(last_third));
            let figure =
                format!("{process}: {what} in the quietest moment of a minute, most in the last third");
            // The allocator maps as it likes; a leak is more than one in twenty.
            let bar = if what == MAPPINGS { (then * 1.05).ceil() } else { then };
            table.row(&figure, now.to_string(), &format!("<= {bar}, by the warm-up's {then}"), now <= bar);
        }
    }
}

/// What each whole minute's quietest moment had. Sessions come up while others go down and previews are drawn now and
/// then, so peaks are a matter of chance; what is never given back stands in every moment that follows.
fn quietest(samples: &[(f64, f64)]) -> BTreeMap<u64, f64> {
    let mut least = BTreeMap::new();
    for (at_s, value) in samples {
        let minute: &mut f64 = least.entry((at_s / ROUND.as_secs_f64()) as u64).or_insert(f64::MAX);
        *minute = minute.min(*value);
    }
    // The minutes at both ends may hold too few samples to have a quiet moment, and in the last whole one no camera fails
    // any more: each is waited for once.
    least.pop_first();
    least.pop_last();
    least.pop_last();
    least
}

/// The most of the quietest moments.
fn quiet(samples: &[(f64, f64)]) -> f64 {
    quietest(samples).into_values().fold(0.0, f64::max)
}

/// Live objects are as many after each round of failures as they were in the first ones.
fn live_rows(table: &mut Table, alive: &Live, length: Duration) {
    let bar = "<= the warm-up's";
    if !alive.keys().any(|name| name.starts_with(LIVE[0])) {
        table.no_data("live objects of the node (xueliang_node_live_objects)", bar);
    }
    let warm = length.as_secs_f64() / 3.0;
    for (name, samples) in alive {
        let of = |from: f64, to: f64| {
            quiet(&samples.iter().copied().filter(|(at, _)| (from..to).contains(at)).collect::<Vec<_>>())
        };
        let (then, now) = (of(0.0, warm), of(warm * 2.0, f64::MAX));
        table.row(
            &format!("{name} in the quietest moment of a minute, most in the last third"),
            now.to_string(),
            &format!("<= {then}"),
            now <= then,
        );
    }
}

fn return_rows(table: &mut Table, returns: &mut Returns) {
    let rows = [
        ("first access unit after a camera's return, every picture a keyframe", &mut returns.at_once, RETURN),
        (
            "the same, a keyframe every 2 s, which is the first unit and picture",
            &mut returns.keyframes,
            RETURN + KEYFRAMES,
        ),
        (
            "first picture looked at after a camera's return, a keyframe every 2 s",
            &mut returns.looked,
            RETURN + KEYFRAMES,
        ),
    ];
    for (figure, values, bar) in rows {
        let mut times: Vec<_> = values.iter().map(|(ms, _)| *ms).collect();
        let (half, most) = (percentile(&mut times, 0.5), percentile(&mut times, 1.0));
        values.retain(|(ms, _)| u128::from(*ms) > bar.as_millis());
        let late: Vec<_> = values.iter().map(|(ms, what)| format!(", {what}: {ms} ms")).collect();
        let shown = format!(
            "{} returns, p50 {half} ms, most {most} ms, late: {}{}",
            times.len(),
            late.len(),
            late.concat()
        );
        let held = !times.is_empty() && late.is_empty();
        table.row(figure, shown, &format!("all <= {} s", bar.as_secs()), held);
    }
    let shown = format!("{} {:?}", returns.not_back.len(), returns.not_back);
    table.row("cameras not back within 25 s", shown, "0", returns.not_back.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cameras_come_and_go_for_long_and_nothing_grows() {
    let minutes =
        std::env::var("XUELIANG_SOAK_MINUTES").map_or(30, |text| text.parse().expect("whole minutes"));
    let length = Duration::from_secs(60 * minutes);
    // What is kept on purpose is full before the warm-up is over.
    let bounded = "[analysis]\njournal = \"256KB\"\nlogbook = \"64KB\"\n";
    let mut service = Service::start((0..CAMERAS).map(camera).collect(), bounded).await.unwrap();
    until("all cameras deliver", Duration::from_secs(60), async || {
        let streaming = service.metric("xueliang_node_camera_streaming", &[]).await.ok()?;
        (streaming == CAMERAS as f64).then_some(())
    })
    .await
    .unwrap();

    let (start, before) = (Instant::now(), service.roles());
    let end = start + length;
    // The warm-up sees all cameras up as well.
    let first_failure = start + SAMPLE * 3;
    let (told, cameras) = tokio::sync::watch::channel(BTreeMap::new());
    let town = Arc::new(Town { returns: Mutex::default(), cameras, failures: AtomicU64::new(0) });
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..CAMERAS {
        let camera = service.simulator.camera(&id(index)).unwrap();
        tasks.spawn(flap(town.clone(), camera, index, first_failure, end));
    }
    let ask = async {
        loop {
            if let Ok(cameras) = service.cameras().await {
                told.send_replace(cameras);
            }
            sleep(Duration::from_millis(250)).await;
        }
    };
    let (series, alive) = tokio::select! {
        series = watch(&service, start, end) => series,
        never = ask => never,
    };
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }

    let mut table = Table::default();
    println!("\nfigure | measured | bar | held or short");
    table.note(
        "length of the run, cameras, failures",
        format!("{minutes} min, {CAMERAS}, {}", town.failures.load(Ordering::Relaxed)),
    );
    table.note("journal of a camera, full within the warm-up", "256 KB".to_owned());
    memory_rows(&mut table, &series, length);
    live_rows(&mut table, &alive, length);
    return_rows(&mut table, &mut town.returns.lock().unwrap());
    let replaced = before.iter().filter(|(pid, role)| service.roles().get(pid) != Some(role)).count();
    table.row("processes replaced", replaced.to_string(), "0", replaced == 0);
    let missing = service.units_missing(CAMERAS).await.unwrap();
    table.row("access units unaccounted for", missing.to_string(), "0", missing == 0.0);
    let stopped = service.stop().await.unwrap();
    table.note("time to stop", format!("{:.1} s", stopped.as_secs_f64()));
    assert_eq!(table.short(), 0, "bars were missed, see the table\n{}", tail(&service.log()));
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
