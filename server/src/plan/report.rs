//! What a plan says. `table` shows it to people.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use xueliang_base::{kind::Kind, time::micros};

use super::{
    Costs, Mix,
    costs::Machine,
    mix::CameraType,
    nodes, search,
    tally::{Histogram, Tally},
    town::Options,
};

mod table;

/// What is planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Order {
    /// Cameras of the town.
    pub cameras: usize,
    /// Nodes that share them evenly; `None`: one where the workers are told, otherwise as many as are easily bought.
    pub nodes: Option<usize>,
    /// Look workers of each node; `None`: as many as keep all floors.
    pub workers: Option<usize>,
    /// Time to simulate.
    pub time: Duration,
    /// Where chance begins.
    pub seed: u64,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Cameras of the town.
    pub cameras: usize,
    /// Nodes, each with its own scheduler and an even share of the cameras.
    pub nodes: usize,
    /// Look workers of each node: one core each.
    pub workers: usize,
    /// Whether that is the fewest that keep all floors that can be kept.
    pub workers_searched: bool,
    /// Simulated time, seconds.
    pub simulated_s: f64,
    /// Share of the workers' time that looks take.
    pub utilisation: f64,
    /// Looks of all cameras.
    pub looks: Looks,
    /// Rules, by kind and floor.
    pub floors: Vec<FloorRow>,
    /// Floors that no number of workers keeps; filled where that was searched.
    pub out_of_reach: Vec<OutOfReach>,
    /// Kinds of camera.
    pub types: Vec<TypeRow>,
    /// Processor cores.
    pub cores: Cores,
    /// Memory.
    pub memory: Memory,
    /// The way from the cameras.
    pub uplink: UplinkRow,
    /// Where the costs were measured.
    pub costs: Machine,
}

/// Looks and their ages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Looks {
    /// Of a keyframe alone, a second.
    pub keyframe_per_s: f64,
    /// On a leased decoder, a second.
    pub continued_per_s: f64,
    /// Most decoders leased at once.
    pub leases: usize,
    /// That missed their deadline.
    pub missed: u64,
    /// From the arrival of a picture to the answer.
    pub age: Times,
    /// From one picture seen of a camera to the next.
    pub interval: Times,
}

/// Of many durations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// Half are not above, seconds.
    pub p50_s: f64,
    /// Ninety-nine in a hundred are not above, seconds.
    pub p99_s: f64,
    /// The longest, seconds.
    pub max_s: f64,
}

impl Times {
    fn of(histogram: &Histogram) -> Self {
        let s = |duration: Duration| micros(duration) as f64 / 1e6;
        Self {
            p50_s: s(histogram.quantile(0.5)),
            p99_s: s(histogram.quantile(0.99)),
            max_s: s(histogram.longest()),
        }
    }
}

/// Rules of one kind with one floor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FloorRow {
    /// Its code.
    pub kind: String,
    /// The longest time it may be blind, seconds.
    pub blind_max_s: f64,
    /// Rules that were never blind for longer than the service tolerates (`blind_max`, and once more but at most 2 s).
    pub kept: u64,
    /// Rules that were.
    pub breached: u64,
    /// The longest that any was blind, seconds.
    pub longest_blind_s: f64,
}

/// Rules that no number of workers serves in time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutOfReach {
    /// The kind of camera.
    pub camera_type: String,
    /// The code of the rule's kind.
    pub kind: String,
    /// The longest time it may be blind, seconds.
    pub blind_max_s: f64,
    /// How many.
    pub rules: u64,
    /// Time between the camera's keyframes, seconds.
    pub keyframes_s: f64,
}

/// A kind of camera.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TypeRow {
    /// What the mix calls it.
    pub name: String,
    /// How many there are.
    pub cameras: u64,
    /// Looks at all of them, a second.
    pub looks_per_s: f64,
    /// From one picture seen of a camera to the next.
    pub interval: Times,
    /// From the arrival of a picture to the answer.
    pub age: Times,
    /// What they send, megabits a second.
    pub megabit_s: f64,
    /// How many of them are connected at once, on the average.
    pub connected: f64,
}

/// Processor cores, by what they are used for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cores {
    /// Look workers.
    pub workers: f64,
    /// Receiving and rings.
    pub receive: f64,
    /// Attention, tracks and rules.
    pub decide: f64,
    /// Redacted stills and previews of alerts.
    pub evidence: f64,
    /// All of these.
    pub total: f64,
}

/// Memory, GiB, by what it is used for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Memory {
    /// Encoded units that are kept for looks and evidence.
    pub rings_gib: f64,
    /// Sessions.
    pub sessions_gib: f64,
    /// Look workers and what they hold.
    pub workers_gib: f64,
    /// The rest of the service.
    pub base_gib: f64,
    /// All of these.
    pub total_gib: f64,
}

/// The way from the cameras.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UplinkRow {
    /// What all cameras send, megabits a second.
    pub megabit_s: f64,
    /// Cameras that are connected at once, on the average.
    pub connected: f64,
    /// Ways of the mix's `[uplink]`, where it has one.
    pub uplinks: Option<u64>,
    /// Share of what one carries that its cameras take on the average.
    pub load: Option<f64>,
}

/// A redacted still and the pictures of a preview.
const PICTURES_PER_ALERT: f64 = 41.0;
/// Footage around an alert that is decoded for them, seconds.
const FOOTAGE_S: f64 = 20.0;
const MIB_IN_GIB: f64 = 1024.0;

/// Cores of a machine that is easily bought.
const MACHINE: f64 = 32.0;
/// Of their workers' time, looks take about so much where all floors are kept.
const USUALLY_BUSY: f64 = 0.75;
/// So many cameras of a town tell what each takes.
const SAMPLE: usize = 1000;
/// Workers that a node may have (`workers` of a configuration).
pub const MOST_WORKERS: u32 = 256;

/// Makes a plan.
pub fn plan(mix: &Mix, costs: &Costs, order: Order) -> Report {
    let options = Options {
        cameras: order.cameras,
        workers: order.workers.unwrap_or(1),
        time: order.time,
        seed: order.seed,
    };
    let usual = || if order.workers.is_some() { 1 } else { nodes_for(mix, costs, options) };
    let nodes = order.nodes.unwrap_or_else(usual).clamp(1, order.cameras.max(1));
    let found = order.workers.is_none().then(|| search::workers_for(mix, costs, options, nodes));
    let workers = found.as_ref().map_or(options.workers, |found| found.workers);
    let tally = nodes::live(mix, costs, Options { workers, ..options }, nodes);
    let types: Vec<TypeRow> =
        mix.types.iter().zip(&tally.types).map(|(of, one)| type_row(of, one, order.time)).collect();
    let megabit_s = types.iter().map(|row| row.megabit_s).sum();
    let uplink = UplinkRow {
        megabit_s,
        connected: types.iter().map(|row| row.connected).sum(),
        uplinks: mix.uplink.map(|one| (order.cameras as u64).div_ceil(u64::from(one.cameras))),
        load: mix
            .uplink
            .map(|one| megabit_s / order.cameras.max(1) as f64 * f64::from(one.cameras) / one.megabit_s),
    };
    Report {
        cameras: order.cameras,
        nodes,
        workers,
        workers_searched: found.is_some(),
        simulated_s: order.time.as_secs_f64(),
        utilisation: tally.utilisation(workers * nodes),
        looks: looks(&tally),
        floors: floor_rows(mix, &tally),
        out_of_reach: found.map(|found| out_of_reach(mix, &found.plenty)).unwrap_or_default(),
        types,
        cores: cores(mix, costs, &tally, workers * nodes),
        memory: memory(mix, costs, &tally, workers * nodes, nodes),
        uplink,
        costs: costs.machine.clone(),
    }
}

/// As few nodes as have enough cores of machines that are easily bought.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of nodes")]
fn nodes_for(mix: &Mix, costs: &Costs, options: Options) -> usize {
    let cores = cores_of_each(mix, costs, options) * options.cameras as f64;
    (cores / MACHINE).ceil().max(1.0) as usize
}

/// Cores that a camera takes on the average, by a sample of the town.
fn cores_of_each(mix: &Mix, costs: &Costs, options: Options) -> f64 {
    let time = search::stretch(mix, options.time);
    let sample = Options { cameras: options.cameras.min(SAMPLE), time, ..options };
    let (_, tally) = search::plenty(mix, costs, sample, 1);
    let busy = tally.busy.as_secs_f64() / tally.time.as_secs_f64();
    (busy / USUALLY_BUSY + cores(mix, costs, &tally, 0).total) / sample.cameras.max(1) as f64
}

fn looks(tally: &Tally) -> Looks {
    let (mut age, mut interval) = (Histogram::default(), Histogram::default());
    for one in &tally.types {
        age.merge(&one.ages);
        interval.merge(&one.intervals);
    }
    let per_s = |count: u64| count as f64 / tally.time.as_secs_f64();
    Looks {
        keyframe_per_s: per_s(tally.types.iter().map(|one| one.keyframe_looks).sum()),
        continued_per_s: per_s(tally.types.iter().map(|one| one.continued_looks).sum()),
        leases: tally.most_leases,
        missed: tally.missed,
        age: Times::of(&age),
        interval: Times::of(&interval),
    }
}

fn type_row(of: &CameraType, one: &super::tally::TypeTally, time: Duration) -> TypeRow {
    TypeRow {
        name: of.name.clone(),
        cameras: one.cameras,
        looks_per_s: (one.keyframe_looks + one.continued_looks) as f64 / time.as_secs_f64(),
        interval: Times::of(&one.intervals),
        age: Times::of(&one.ages),
        megabit_s: of.kbit_s * one.cameras as f64 / 1000.0 * of.connected(),
        connected: one.cameras as f64 * of.connected(),
    }
}

fn floor_rows(mix: &Mix, tally: &Tally) -> Vec<FloorRow> {
    let mut rows: BTreeMap<(Kind, Duration), FloorRow> = BTreeMap::new();
    for (of, one) in mix.types.iter().zip(&tally.types) {
        for (floor, came) in of.need.floors.iter().zip(&one.floors) {
            let bound = of.floor(floor);
            let row = rows.entry((floor.kind, bound)).or_insert_with(|| FloorRow {
                kind: floor.kind.code().to_owned(),
                blind_max_s: bound.as_secs_f64(),
                kept: 0,
                breached: 0,
                longest_blind_s: 0.0,
            });
            row.kept += came.kept;
            row.breached += came.breached;
            row.longest_blind_s = row.longest_blind_s.max(came.longest.as_secs_f64());
        }
    }
    rows.into_values().collect()
}

fn out_of_reach(mix: &Mix, plenty: &Tally) -> Vec<OutOfReach> {
    let mut rows = Vec::new();
    for (of, one) in mix.types.iter().zip(&plenty.types) {
        for (floor, came) in of.need.floors.iter().zip(&one.floors).filter(|(_, came)| came.breached > 0) {
            rows.push(OutOfReach {
                camera_type: of.name.clone(),
                kind: floor.kind.code().to_owned(),
                blind_max_s: of.floor(floor).as_secs_f64(),
                rules: came.breached,
                keyframes_s: of.keyframes().as_secs_f64(),
            });
        }
    }
    rows
}

fn cores(mix: &Mix, costs: &Costs, tally: &Tally, workers: usize) -> Cores {
    let (mut receive, mut decide, mut evidence) = (0.0, 0.0, 0.0);
    for (of, one) in mix.types.iter().zip(&tally.types) {
        let cameras = one.cameras as f64;
        let connected = cameras * of.connected();
        let looks = (one.keyframe_looks + one.continued_looks) as f64 / tally.time.as_secs_f64();
        let node = &costs.node;
        // A camera that rests is looked at more often while something moves.
        let active = match one.active_looks {
            Some(active) => active as f64 / ((one.keyframe_looks + one.continued_looks) as f64).max(1.0),
            None => of.active_share,
        };
        let rules = node.rules_still_us + (node.rules_active_us - node.rules_still_us) * active;
        receive += connected * of.fps * node.unit_us / 1e6;
        decide += looks * (node.look_us + rules) / 1e6;
        let decode = costs.decoding(of.codec, of.width, of.height).map_or(0.0, |row| row.unit.mean_us);
        let jpeg = costs.pixels(of.width, of.height).jpeg.mean_us;
        let alert_us = FOOTAGE_S * of.fps * decode + PICTURES_PER_ALERT * jpeg;
        evidence += cameras * of.alerts_per_day / 86_400.0 * alert_us / 1e6;
    }
    let workers = workers as f64;
    Cores { workers, receive, decide, evidence, total: workers + receive + decide + evidence }
}

fn memory(mix: &Mix, costs: &Costs, tally: &Tally, workers: usize, nodes: usize) -> Memory {
    let (mut rings, mut sessions) = (0.0, 0.0);
    for (of, one) in mix.types.iter().zip(&tally.types) {
        // A ring is emptied between two visits.
        let kept = mix.analysis.ring_seconds;
        let kept = of.patrol.map_or(kept, |patrol| kept.min(patrol.takes.mul_f64(of.connected())));
        let filled = of.kbit_s * 125.0 * kept.as_secs_f64();
        let ring = filled.min(mix.analysis.ring_bytes as f64);
        rings += one.cameras as f64 * ring / f64::from(1 << 30);
        sessions += one.cameras as f64 * of.connected() * costs.node.session_mib / MIB_IN_GIB;
    }
    let workers = (workers as f64 * costs.worker.base_mib
        + tally.most_leases as f64 * costs.worker.lease_mib)
        / MIB_IN_GIB;
    let base = nodes as f64 * costs.node.base_mib / MIB_IN_GIB;
    Memory {
        rings_gib: rings,
        sessions_gib: sessions,
        workers_gib: workers,
        base_gib: base,
        total_gib: rings + sessions + workers + base,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::costs::REFERENCE;

    const EXAMPLE: &str = include_str!("../../../docs/examples/town.toml");

    fn order(cameras: usize, workers: Option<usize>) -> Order {
        Order { cameras, nodes: None, workers, time: Duration::from_secs(120), seed: 1 }
    }

    #[test]
    fn the_fewest_workers_that_are_found_keep_all_that_can_be_kept_and_fewer_do_not() {
        let costs = Costs::parse(REFERENCE).unwrap();
        let mix = Mix::parse(EXAMPLE, &costs).unwrap();
        let found = plan(&mix, &costs, order(300, None));
        let breached = |report: &Report| report.floors.iter().map(|row| row.breached).sum::<u64>();
        assert!(found.workers_searched && found.utilisation > 0.3 && found.utilisation < 1.0, "{found}");
        let out_of_reach: u64 = found.out_of_reach.iter().map(|row| row.rules).sum();
        assert!(breached(&found) <= out_of_reach, "{found}");
        let fewer = plan(&mix, &costs, order(300, Some(found.workers - 1)));
        assert!(breached(&fewer) > out_of_reach && fewer.utilisation > found.utilisation, "{fewer}");
    }

    #[test]
    fn a_town_beyond_one_machine_is_shared_by_nodes_that_are_alike() {
        let costs = Costs::parse(REFERENCE).unwrap();
        let mix = Mix::parse(EXAMPLE, &costs).unwrap();
        let town = plan(&mix, &costs, order(9000, None));
        let each = town.cores.total / town.nodes as f64;
        assert!(town.nodes > 1 && each > 16.0 && each < 36.0, "{town}");
        assert_eq!(town.cores.workers, (town.nodes * town.workers) as f64);
        let kept = |report: &Report| report.floors.iter().map(|row| row.kept + row.breached).sum::<u64>();
        let one =
            plan(&mix, &costs, Order { nodes: Some(1), ..order(9000, Some(town.workers * town.nodes)) });
        assert_eq!((one.nodes, kept(&one)), (1, kept(&town)), "{one}");
        // No more looks are taken; each node has its own spare workers.
        let looks = |report: &Report| report.looks.keyframe_per_s + report.looks.continued_per_s;
        assert!((looks(&one) / looks(&town) - 1.0).abs() < 0.02, "{one}\n{town}");
        assert_eq!(plan(&mix, &costs, order(100, Some(2))).nodes, 1);
    }

    #[test]
    fn what_a_camera_takes_is_what_it_takes_as_it_is_looked_at() {
        let costs = Costs::parse(REFERENCE).unwrap();
        let each = |analysis: &str| {
            let text = format!(
                "{analysis}[[type]]\nname = \"a\"\nshare = 1\ncodec = \"h264\"\nwidth = 1280\nheight = 720\nfps = 15\n\
                 keyframes_s = 2\nkbit_s = 2000\nactive_share = 0.01\nhealth = []\n\
                 [[type.rule]]\nkind = \"ZONE_INTRUSION\"\n"
            );
            let mix = Mix::parse(&text, &costs).unwrap();
            let options = Options { cameras: 100, workers: 1, time: Duration::from_secs(120), seed: 1 };
            let all = cores_of_each(&mix, &costs, options) * 100.0;
            let found = plan(&mix, &costs, order(100, None)).cores.total;
            // Workers are whole ones.
            assert!((all - found).abs() < 1.0 + found * 0.3, "{all} cores for {found}");
            all
        };
        let (at_rest, awake) = (each("[analysis]\ngate = \"enforce\"\n"), each(""));
        assert!(at_rest * 4.0 < awake, "{at_rest} and {awake} cores");
    }

    #[test]
    fn a_node_that_is_planned_may_have_the_workers_that_a_configuration_gives_it() {
        let costs = Costs::parse(REFERENCE).unwrap();
        let with = |workers: u32| Mix::parse(&format!("[analysis]\nworkers = {workers}\n{EXAMPLE}"), &costs);
        assert!(with(MOST_WORKERS).is_ok());
        assert!(with(MOST_WORKERS + 1).unwrap_err().to_string().contains("workers"));
        let mix = Mix::parse(EXAMPLE, &costs).unwrap();
        let mut report = plan(&mix, &costs, order(50, Some(1)));
        assert!(!report.to_string().contains("--nodes"), "{report}");
        report.workers = MOST_WORKERS as usize + 1;
        assert!(report.to_string().contains("plan more nodes (--nodes)"), "{report}");
    }

    #[test]
    fn rings_and_uplinks_are_what_the_mix_sends() {
        let costs = Costs::parse(REFERENCE).unwrap();
        let text = "[uplink]\ncameras = 10\nmegabit_s = 40\n[[type]]\nname = \"a\"\nshare = 1\ncodec = \"h264\"\nwidth = 1280\n\
                    height = 720\nfps = 20\nkeyframes_s = 2\nkbit_s = 2000\nhealth = [\"CAM_COVERED\"]\n";
        let mix = Mix::parse(text, &costs).unwrap();
        let report = plan(&mix, &costs, order(1000, Some(4)));
        assert_eq!(
            (report.uplink.megabit_s, report.uplink.uplinks, report.uplink.load),
            (2000.0, Some(100), Some(0.5))
        );
        // 30 s of 2 Mbit/s are 7.5 MB.
        assert!((report.memory.rings_gib - 1000.0 * 7.5e6 / f64::from(1 << 30)).abs() < 0.01, "{report}");
        let large = text.replace("kbit_s = 2000", "kbit_s = 20000");
        let report = plan(&Mix::parse(&large, &costs).unwrap(), &costs, order(1000, Some(4)));
        assert!(
            (report.memory.rings_gib - 1000.0 * 16e6 / f64::from(1 << 30)).abs() < 0.01,
            "a ring is bounded"
        );
        assert!(report.to_string().contains("TOO MUCH"));
    }

    #[test]
    fn cameras_on_patrol_take_a_line_for_their_visits_and_give_what_a_visit_gives() {
        let costs = Costs::parse(REFERENCE).unwrap();
        let text = "[uplink]\ncameras = 10\nmegabit_s = 40\n[[type]]\nname = \"a\"\nshare = 1\ncodec = \"h264\"\nwidth = 1280\n\
                    height = 720\nfps = 20\nkeyframes_s = 2\nkbit_s = 2000\nacquire = \"patrol\"\npatrol_every = \"40s\"\n\
                    visit_s = 4\nhealth = []\n[[type.rule]]\nkind = \"FIRE_LANE_BLOCKED\"\nblind_max = \"60s\"\nmax_gap = \"90s\"\n\
                    [[type.rule]]\nkind = \"CROWD_DENSITY\"\nblind_max = \"15s\"\n";
        let mix = Mix::parse(text, &costs).unwrap();
        let report = plan(&mix, &costs, order(400, None));
        assert_eq!((report.uplink.connected, report.uplink.megabit_s), (40.0, 80.0));
        assert!((report.types[0].looks_per_s - 10.0).abs() < 0.5, "one look a visit: {report}");
        let row = |kind: &str| report.floors.iter().find(|row| row.kind == kind).unwrap();
        let (lane, crowd) = (row("FIRE_LANE_BLOCKED"), row("CROWD_DENSITY"));
        assert_eq!((lane.blind_max_s, lane.breached, crowd.kept), (60.0, 0, 0), "{report}");
        let [out] = &report.out_of_reach[..] else { panic!("{report}") };
        assert_eq!((out.kind.as_str(), out.keyframes_s), ("CROWD_DENSITY", 40.0));
        assert!(report.to_string().contains("40 cameras connected at once"), "{report}");
    }
}
