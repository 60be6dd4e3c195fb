//! The planner with sessions that the tests make up: calls that take their time, pictures, looks, and closings.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::session::SessionError;

const TICK: Duration = Duration::from_millis(200);

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// How a made-up camera behaves.
#[derive(Debug, Clone)]
struct Nature {
    /// From a turn to its first picture.
    first: Duration,
    /// From the picture to its look.
    look: Duration,
    /// From the end of a turn to the closed connection.
    close: Duration,
    /// It takes no connection; how long that takes to tell.
    dead: Option<Duration>,
    /// For so long after the first picture a rule has not decided.
    undecided: Duration,
}

impl Default for Nature {
    fn default() -> Self {
        Self { first: s(1.0), look: s(0.2), close: s(0.1), dead: None, undecided: Duration::ZERO }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Line {
    Closed,
    Open { since: Mono },
    Closing { until: Mono },
}

struct Camera {
    nature: Nature,
    line: Line,
    held: bool,
    heard: Heard,
    /// Arrivals of first pictures.
    pictures: Vec<Mono>,
}

/// Cameras behind upstreams, and the planner that decides about them.
struct Town {
    now: Mono,
    config: Config,
    planner: Planner,
    cameras: BTreeMap<CameraId, Camera>,
}

impl Town {
    /// Upstreams and cameras, as TOML.
    fn new(text: &str) -> Self {
        let text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
             [[division]]\ncode = \"330282\"\nname = \"n\"\n{text}"
        );
        let config = Config::parse(&text, Path::new("/")).unwrap_or_else(|e| panic!("{e}"));
        let now = Mono(0).plus(s(10_000.0));
        let mut planner = Planner::default();
        planner.configure(now, &config);
        let camera = |camera: &xueliang_base::config::Camera| {
            let new = Camera {
                nature: Nature::default(),
                line: Line::Closed,
                held: false,
                heard: Heard::default(),
                pictures: Vec::new(),
            };
            (camera.id.clone(), new)
        };
        let cameras = config.cameras.iter().map(camera).collect();
        Self { now, config, planner, cameras }
    }
    fn camera(&mut self, id: &str) -> &mut Camera {
        self.cameras.get_mut(&id.parse::<CameraId>().unwrap()).unwrap()
    }
    fn taken(&self, id: &str) -> Taken {
        self.planner.taken(self.now, &id.parse().unwrap()).unwrap()
    }
    fn open(&self) -> Vec<&str> {
        let open = self.cameras.iter().filter(|(_, camera)| camera.line != Line::Closed);
        open.map(|(id, _)| id.as_str()).collect()
    }
    fn ask(&mut self, id: &str, seconds: f64) -> bool {
        self.planner.ask(self.now, &id.parse().unwrap(), s(seconds))
    }
    /// Passes time; budgets are looked at all the while.
    fn pass(&mut self, seconds: f64) {
        let end = self.now.plus(s(seconds));
        while self.now < end {
            for (id, camera) in &mut self.cameras {
                camera.live(self.now);
                self.planner.hear(self.now, id, &camera.heard);
            }
            for (id, turn) in self.planner.plan(self.now) {
                self.cameras.get_mut(&id).unwrap().give(turn, self.now);
            }
            self.check();
            self.now = self.now.plus(TICK);
        }
    }
    /// What the far end sees, which knows of nothing but its connections.
    fn check(&self) {
        for upstream in &self.config.upstreams {
            let behind = self.config.behind(&upstream.id);
            let open = behind.iter().filter(|camera| self.cameras[&camera.id].line != Line::Closed);
            let (mut sessions, mut bits) = (0, 0);
            for camera in open {
                // The sub-stream's is open while its camera is held.
                let held = self.cameras[&camera.id].held;
                sessions += if held { camera.sessions(&self.config.analysis.rest) } else { 1 };
                let measured = self.cameras[&camera.id].heard.bits.unwrap_or(u64::MAX);
                bits += camera.stated_bit_rate().min(measured);
            }
            assert!(upstream.sessions.is_none_or(|most| sessions <= most), "{sessions} at {}", upstream.id);
            assert!(upstream.bandwidth.is_none_or(|most| bits <= most), "{bits} at {}", upstream.id);
        }
    }
    /// Times between the pictures of a camera, seconds, without the first few.
    fn gaps(&self, id: &str) -> Vec<f64> {
        let pictures = &self.cameras[&id.parse::<CameraId>().unwrap()].pictures;
        pictures.windows(2).skip(2).map(|two| two[1].since(two[0]).as_secs_f64()).collect()
    }
}

impl Camera {
    fn give(&mut self, turn: Turn, now: Mono) {
        match turn {
            Turn::Closed(_) => self.line = Line::Closing { until: now.plus(self.nature.close) },
            Turn::Always => {
                self.held = true;
                if self.line == Line::Closed {
                    self.line = Line::Open { since: now };
                }
            }
            Turn::Visit(number) => {
                assert_eq!(self.line, Line::Closed, "it is visited once at a time");
                self.heard.visit = Visit { number, ..Visit::default() };
                self.line = Line::Open { since: now };
            }
        }
        self.held &= turn == Turn::Always;
    }
    fn live(&mut self, now: Mono) {
        let nature = self.nature.clone();
        match self.line {
            Line::Open { since } if !self.held => match (nature.dead, self.heard.visit.picture) {
                (Some(dead), _) if now.since(since) >= dead => {
                    self.heard.visit.failure = Some(SessionError::Refused);
                    self.heard.visit.over = true;
                    self.line = Line::Closed;
                }
                (None, None) if now.since(since) >= nature.first => {
                    self.heard.visit.picture = Some((now, nature.first));
                    self.pictures.push(now);
                }
                (None, Some((picture, _))) => {
                    let since = now.since(picture);
                    if since >= nature.look {
                        self.heard.looked = Some(now);
                    }
                    self.heard.undecided = since < nature.undecided;
                }
                _ => {}
            },
            Line::Closing { until } if now >= until => {
                self.line = Line::Closed;
                (self.heard.visit.over, self.heard.undecided) = (true, false);
            }
            _ => {}
        }
        (self.heard.open, self.heard.held) = (self.line != Line::Closed, self.held);
    }
}

fn upstream(id: &str, keys: &str) -> String {
    format!("[[upstream]]\nid = \"{id}\"\nname = \"n\"\n{keys}\n")
}

fn camera(id: &str, keys: &str) -> String {
    format!(
        "[[camera]]\nid = \"{id}\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n{keys}\n"
    )
}

/// A recorder with these keys and patrolled cameras c0, c1, … of these.
fn patrol(recorder: &str, count: usize, keys: &str) -> String {
    let camera =
        |n: usize| camera(&format!("c{n}"), &format!("upstream = \"nvr\"\nacquire = \"patrol\"\n{keys}"));
    upstream("nvr", recorder) + &(0..count).map(camera).collect::<String>()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_sub_stream_takes_a_session_of_cameras_that_keep_theirs_and_none_of_visits() {
    let camera = |id: &str, more: &str| {
        format!(
            "[[camera]]\nid = \"{id}\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/{id}\"\n\
             upstream = \"nvr\"\n{more}"
        )
    };
    let sub = |id: &str| camera(id, &format!("sub_stream = {{ url = \"rtsp://127.0.0.1/{id}-sub\" }}\n"));
    let nvr = "[[upstream]]\nid = \"nvr\"\nname = \"n\"\nsessions = 3\n".to_owned();
    let patrol = camera("p", "acquire = \"patrol\"\npatrol_every = \"20s\"\n");
    let mut town = Town::new(&(nvr + &sub("a") + &sub("b") + &patrol));
    town.pass(600.0);
    assert!(town.taken("b").crowded_out.is_some() && town.taken("a").crowded_out.is_none());
    assert!(town.camera("b").pictures.len() >= 8 && town.camera("p").pictures.len() >= 20);
}

#[test]
fn with_room_every_camera_is_visited_in_its_interval_however_long_its_picture_takes() {
    let mut town = Town::new(&patrol("sessions = 4", 8, ""));
    for n in 0..8 {
        town.camera(&format!("c{n}")).nature.first = s([1.0, 3.0, 20.0, 1.0][n % 4]);
    }
    town.pass(1_200.0);
    for n in 0..8 {
        let gaps = town.gaps(&format!("c{n}"));
        assert!(gaps.len() > 15, "c{n}: {gaps:?}");
        assert!(gaps.iter().all(|gap| (55.0..70.0).contains(gap)), "c{n}: {gaps:?}");
        assert_eq!(town.taken(&format!("c{n}")).failures, 0, "a picture that comes late is no failure");
    }
}

#[test]
fn without_room_intervals_stretch_evenly_by_weight() {
    // Each visit takes some 10 s of the one session: 24 of them at every 60 s are four times too many.
    let mut text = patrol("sessions = 1", 24, "");
    text = text.replacen("id = \"c3\"", "id = \"c3\"\nweight = 2", 1);
    let mut town = Town::new(&text);
    town.cameras.values_mut().for_each(|camera| camera.nature.first = s(9.0));
    town.pass(8_000.0);
    let usual = mean(&town.gaps("c0"));
    assert!((200.0..330.0).contains(&usual), "{usual}");
    for n in 0..24 {
        let gap = mean(&town.gaps(&format!("c{n}")));
        let wanted = if n == 3 { usual / 2.0 } else { usual };
        assert!((gap / wanted - 1.0).abs() < 0.15, "c{n}: {gap}, and c0 {usual}");
    }
    let carries = town.planner.carries(town.now);
    assert_eq!((carries[0].sessions, carries[0].most_sessions), (1, Some(1)));
    assert!(carries[0].waiting > 10, "{carries:?}");
    assert!(town.planner.refused()[&("nvr".parse().unwrap(), Lack::Sessions)] > 50);
}

#[test]
fn continuous_cameras_keep_their_sessions_and_without_room_for_all_the_heaviest_do() {
    let continuous = |n: usize| camera(&format!("k{n}"), &format!("upstream = \"nvr\"\nweight = {}", n + 1));
    let all = |count: usize| (0..count).map(continuous).collect::<String>();
    let mut town = Town::new(&(upstream("nvr", "sessions = 4") + &all(4)));
    town.pass(60.0);
    assert_eq!(town.open(), ["k0", "k1", "k2", "k3"], "there is room for each");
    assert_eq!(town.taken("k0").acquire, Acquire::Continuous);

    let mut town = Town::new(&(upstream("nvr", "sessions = 4") + &all(6)));
    town.pass(600.0);
    for n in 0..6 {
        let taken = town.taken(&format!("k{n}"));
        let lacks = Some(("nvr".parse().unwrap(), Lack::Sessions));
        let wanted = match n {
            3.. => (Acquire::Continuous, None),
            _ => (Acquire::Patrol { every: CROWDED_OUT }, lacks),
        };
        assert_eq!((taken.acquire, taken.crowded_out), wanted, "k{n}");
        let held = town.camera(&format!("k{n}")).held;
        assert_eq!(held, n >= 3);
        assert!(held || mean(&town.gaps(&format!("k{n}"))) < 70.0, "the others take turns");
    }
    // A camera on patrol needs a session to take turns with, too.
    let mut town = Town::new(&(patrol("sessions = 4", 1, "") + &all(4)));
    town.pass(600.0);
    assert_eq!(town.taken("k0").acquire, Acquire::Patrol { every: CROWDED_OUT });
    assert!(town.camera("k1").held && town.gaps("c0").len() > 4 && town.gaps("k0").len() > 4);
}

#[test]
fn bandwidth_is_shared_along_the_whole_chain_and_what_was_measured_counts() {
    let keys = "upstream = \"a\"\nbit_rate = \"4Mbit\"";
    let text = upstream("line", "bandwidth = \"10Mbit\"")
        + &upstream("a", "upstream = \"line\"\nsessions = 8")
        + &upstream("b", "upstream = \"line\"")
        + &camera("k1", keys)
        + &camera("k2", &keys.replace("\"a\"", "\"b\""))
        + &camera("free", "");
    let mut town = Town::new(&text);
    town.pass(10.0);
    assert_eq!(town.open(), ["k1", "k2"]);
    assert_eq!(town.planner.taken(town.now, &"free".parse().unwrap()), None, "nothing limits it");
    let line = town.planner.carries(town.now).remove(0);
    assert_eq!((line.bits, line.most_bits, line.sessions), (8_000_000, Some(10_000_000), 2));
    // It sends more than was said: then only the other one fits beside somebody who takes turns.
    town.camera("k1").heard.bits = Some(7_000_000);
    town.pass(30.0);
    let lacks = |town: &Town, id: &str| town.taken(id).crowded_out.map(|(_, lack)| lack);
    assert_eq!((lacks(&town, "k1"), lacks(&town, "k2")), (Some(Lack::Bandwidth), Some(Lack::Bandwidth)));
    // Scenes come and go: who keeps a session does not change with each of them.
    for _ in 0..5 {
        for (bits, seconds) in [(5_000_000, 400.0), (7_000_000, 40.0)] {
            town.camera("k1").heard.bits = Some(bits);
            town.pass(seconds);
            assert_eq!(lacks(&town, "k1"), Some(Lack::Bandwidth));
        }
    }
    town.camera("k1").heard.bits = Some(5_000_000);
    town.pass(660.0);
    assert_eq!(town.taken("k1").acquire, Acquire::Continuous);
    // Whoever is only visited is not measured, and is tried again after an hour.
    town.camera("k1").heard.bits = Some(7_000_000);
    town.pass(30.0);
    town.camera("k1").heard.bits = None;
    town.pass(3500.0);
    assert_eq!(lacks(&town, "k1"), Some(Lack::Bandwidth));
    town.pass(200.0);
    assert_eq!(town.taken("k1").acquire, Acquire::Continuous);
}

#[test]
fn what_is_measured_first_counts_at_once_in_place_of_what_was_stated() {
    let keys = "upstream = \"line\"\nbit_rate = \"7Mbit\"";
    let text = upstream("line", "bandwidth = \"10Mbit\"") + &camera("k1", keys) + &camera("k2", keys);
    let mut town = Town::new(&text);
    town.pass(10.0);
    let continuous = |town: &Town, id: &str| town.taken(id).acquire == Acquire::Continuous;
    assert!(
        !continuous(&town, "k1") && !continuous(&town, "k2"),
        "beside one that takes turns there is no room"
    );
    for id in ["k1", "k2"] {
        town.camera(id).heard.bits = Some(3_000_000);
    }
    town.pass(30.0);
    assert!(continuous(&town, "k1") && continuous(&town, "k2"));
}

#[test]
fn a_dead_camera_is_tried_less_and_less_and_does_not_crowd_out_the_others() {
    let mut town = Town::new(&patrol("sessions = 1", 4, ""));
    town.camera("c1").nature.dead = Some(s(2.0));
    town.pass(40.0);
    assert!(town.taken("c1").failures >= 2, "tried again soon");
    town.pass(900.0);
    assert!((5..25).contains(&town.taken("c1").failures), "{:?}", town.taken("c1"));
    assert!(mean(&town.gaps("c0")) < 66.0);
    town.camera("c1").nature.dead = None;
    town.pass(70.0);
    assert_eq!(town.taken("c1").failures, 0, "and it is found to be back within an interval");
}

#[test]
fn a_visit_goes_on_until_its_rule_has_decided_and_gives_way_to_who_waits_for_long() {
    let mut town = Town::new(&patrol("sessions = 2", 2, ""));
    town.camera("c0").nature.undecided = s(150.0);
    town.pass(140.0);
    assert_eq!(town.open(), ["c0"], "there is room for both");
    assert!(town.camera("c1").pictures.len() >= 3);
    town.pass(30.0);
    assert_eq!(town.open(), [""; 0], "decided");

    let mut town = Town::new(&patrol("sessions = 1", 3, ""));
    town.camera("c0").nature.undecided = s(500.0);
    town.pass(900.0);
    for id in ["c1", "c2"] {
        let gaps = town.gaps(id);
        assert!(gaps.len() >= 4 && gaps.iter().all(|gap| *gap < 150.0), "{id}: {gaps:?}");
    }
    assert!(town.camera("c0").pictures.len() >= 4, "it comes to its turns as well");
}

#[test]
fn on_request_is_connected_for_as_long_as_it_is_asked_for() {
    let asked = camera("pond", "upstream = \"nvr\"\nacquire = \"on-request\"");
    let mut town = Town::new(&(patrol("sessions = 1", 1, "") + &asked));
    town.pass(100.0);
    assert!(town.camera("pond").pictures.is_empty() && !town.ask("nobody", 10.0));
    assert!(town.ask("pond", 40.0));
    town.pass(5.0);
    assert_eq!(town.open(), ["pond"]);
    assert!(town.taken("pond").asked.is_some());
    town.pass(40.0);
    assert!(town.taken("pond").asked.is_none() && town.camera("pond").line == Line::Closed);
    // Taken back.
    town.ask("pond", 3_600.0);
    town.pass(5.0);
    town.ask("pond", 0.0);
    town.pass(5.0);
    assert!(!matches!(town.camera("pond").line, Line::Open { .. }));
    assert!(town.taken("pond").asked.is_none());

    // All sessions are kept: it is told why it is not connected.
    let kept = camera("k", "upstream = \"nvr\"");
    let mut town = Town::new(&(upstream("nvr", "sessions = 1") + &kept + &asked));
    town.pass(5.0);
    town.ask("pond", 60.0);
    town.pass(5.0);
    assert_eq!(town.open(), ["k"]);
    assert_eq!(town.taken("pond").waits, Some(("nvr".parse().unwrap(), Lack::Sessions)));
}

#[test]
fn a_session_that_hangs_or_was_renewed_does_not_hold_its_room_for_ever() {
    let mut town = Town::new(&patrol("sessions = 1", 2, "first_unit_timeout = \"5s\""));
    town.camera("c0").nature.first = s(1e6);
    town.pass(300.0);
    assert!(town.camera("c1").pictures.len() >= 2);
    assert!(town.taken("c0").failures >= 1);
    // Another session of the same camera knows of no visit.
    let mut town = Town::new(&patrol("sessions = 1", 1, ""));
    town.camera("c0").nature.first = s(20.0);
    town.pass(1.0);
    let c0 = town.camera("c0");
    (c0.heard, c0.line) = (Heard::default(), Line::Closed);
    town.pass(30.0);
    assert_eq!(town.camera("c0").pictures.len(), 1);
}

fn nature() -> impl Strategy<Value = Nature> {
    let dead = prop_oneof![6 => Just(None), 1 => (0.1f64..30.0).prop_map(|after| Some(s(after)))];
    let undecided = prop_oneof![4 => Just(0.0), 1 => 1.0f64..400.0];
    (0.1f64..20.0, 0.0f64..12.0, 0.0f64..1.5, dead, undecided).prop_map(
        |(first, look, close, dead, undecided)| Nature {
            first: s(first),
            look: s(look),
            close: s(close),
            dead,
            undecided: s(undecided),
        },
    )
}

/// Keys of a camera: its mode, interval, weight, bit rate.
fn keys() -> impl Strategy<Value = (String, Nature)> {
    let mode = prop_oneof![
        1 => Just(String::new()),
        3 => (10u32..120).prop_map(|every| format!("acquire = \"patrol\"\npatrol_every = \"{every}s\"\n")),
        1 => Just("acquire = \"on-request\"\n".to_owned()),
    ];
    (mode, 1u32..5, 1u32..8, 0usize..3, nature()).prop_map(|(mode, weight, bits, above, nature)| {
        let above = ["a", "b", "line"][above];
        (format!("{mode}weight = {weight}\nbit_rate = \"{bits}Mbit\"\nupstream = \"{above}\"\n"), nature)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn budgets_are_never_exceeded_and_nobody_starves(
        cameras in prop::collection::vec(keys(), 1..16),
        sessions in (1u32..4, 1u32..4),
        bandwidth in 8u32..24,
        requests in prop::collection::vec((0usize..16, 1.0f64..300.0), 0..12),
    ) {
        let mut text = upstream("line", &format!("bandwidth = \"{bandwidth}Mbit\""))
            + &upstream("a", &format!("upstream = \"line\"\nsessions = {}", sessions.0))
            + &upstream("b", &format!("upstream = \"line\"\nsessions = {}", sessions.1));
        for (n, (keys, _)) in cameras.iter().enumerate() {
            text += &camera(&format!("c{n}"), keys);
        }
        let mut town = Town::new(&text);
        for (n, (_, nature)) in cameras.iter().enumerate() {
            town.camera(&format!("c{n}")).nature = nature.clone();
        }
        for (n, seconds) in &requests {
            town.ask(&format!("c{}", n % cameras.len()), *seconds);
            // `pass` looks at the budgets at every step.
            town.pass(150.0);
        }
        town.pass(3_000.0);
        let ids: Vec<CameraId> = town.cameras.keys().cloned().collect();
        for id in ids {
            let taken = town.taken(id.as_str());
            let camera = &town.cameras[&id];
            let turns = matches!(taken.acquire, Acquire::Patrol { .. });
            if turns && camera.nature.dead.is_none() {
                prop_assert!(camera.pictures.len() >= 3, "{} starves: {:?}", id, taken);
            } else if taken.acquire == Acquire::Continuous {
                prop_assert!(camera.held, "{} is to keep its session", id);
            }
        }
    }
}
