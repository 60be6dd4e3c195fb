use proptest::prelude::*;

use super::*;

/// A line with two recorders of three and two cameras, and a camera of its own; one camera hangs on nothing.
const TOWN: &str = r#"
site = "t"
state_dir = "s"
networks = ["127.0.0.0/8"]
[[division]]
code = "33"
name = "d"
[[upstream]]
id = "line"
name = "Line"
[[upstream]]
id = "nvr-a"
name = "Recorder A"
upstream = "line"
[[upstream]]
id = "nvr-b"
name = "Recorder B"
upstream = "line"
"#;
const CAMERAS: [(&str, &str); 7] = [
    ("a1", "nvr-a"),
    ("a2", "nvr-a"),
    ("a3", "nvr-a"),
    ("b1", "nvr-b"),
    ("b2", "nvr-b"),
    ("l1", "line"),
    ("free", ""),
];

fn tree() -> Tree {
    let mut text = TOWN.to_owned();
    for (id, upstream) in CAMERAS {
        text.push_str(&format!(
            "[[camera]]\nid = \"{id}\"\nname = \"n\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/{id}\"\n"
        ));
        if !upstream.is_empty() {
            text.push_str(&format!("upstream = \"{upstream}\"\n"));
        }
    }
    Tree::of(&Config::parse(&text, std::path::Path::new("/")).unwrap())
}

fn at(seconds: u64) -> Mono {
    Mono(1_000_000_000_000 + seconds * 1_000_000_000)
}

const REFUSED: Signal = Signal::Offline(OfflineCause::Refused);
const NOT_FOUND: Signal = Signal::Offline(OfflineCause::NotFound);
const SIGN_IN: Signal = Signal::Offline(OfflineCause::Unauthorized);

/// A town that is watched second by second.
struct Town {
    tree: Tree,
    watch: Watch,
    heard: BTreeMap<CameraId, Heard>,
    /// Nothing comes of these, and their sessions have not noticed yet.
    mute: Vec<&'static str>,
    now: u64,
}

impl Town {
    /// In which all cameras deliver.
    fn new() -> Self {
        let streaming =
            Heard { signal: Signal::Streaming, since: at(0), last_unit: Some(at(0)), lost: false };
        let heard = CAMERAS.iter().map(|(id, _)| (id.parse().unwrap(), streaming)).collect();
        Self { tree: tree(), watch: Watch::default(), heard, mute: Vec::new(), now: 0 }
    }
    fn of(&mut self, id: &str) -> &mut Heard {
        self.heard.get_mut(&id.parse::<CameraId>().unwrap()).unwrap()
    }
    fn set(&mut self, ids: &[&str], signal: Signal) {
        let now = at(self.now);
        for id in ids {
            let heard = self.of(id);
            if heard.signal != signal {
                (heard.signal, heard.since) = (signal, now);
            }
        }
    }
    /// So many seconds go by, in which whatever streams delivers; the turns, with the second of each.
    fn pass(&mut self, seconds: u64) -> Vec<(u64, String, &'static str)> {
        let mut turns = Vec::new();
        for _ in 0..seconds {
            self.now += 1;
            for (id, heard) in &mut self.heard {
                if heard.signal == Signal::Streaming && !self.mute.contains(&id.as_str()) {
                    heard.last_unit = Some(at(self.now));
                }
            }
            for (id, turn) in self.watch.step(&self.tree, &self.heard, at(self.now)) {
                let word = match turn {
                    Turn::Down(_) => "down",
                    Turn::Over(_) => "over",
                };
                turns.push((self.now, id.to_string(), word));
            }
        }
        turns
    }
    fn words(&mut self, seconds: u64) -> Vec<(String, &'static str)> {
        self.pass(seconds).into_iter().map(|(_, id, word)| (id, word)).collect()
    }
    fn open(&self, camera: &str) -> bool {
        self.watch.is_open(&self.tree, &self.heard, &camera.parse().unwrap())
    }
}

fn one(id: &str, word: &'static str) -> Vec<(String, &'static str)> {
    vec![(id.to_owned(), word)]
}

#[test]
fn a_recorder_that_takes_its_cameras_along_is_down_and_over_when_they_are_back() {
    let mut town = Town::new();
    town.pass(100);
    // They notice one after the other.
    town.mute = vec!["a1", "a2", "a3"];
    town.pass(5);
    town.set(&["a1"], Signal::Stalled);
    assert_eq!(town.pass(2), []);
    assert!(town.open("a1"), "the others may not have noticed");
    town.set(&["a2", "a3"], REFUSED);
    assert_eq!(town.pass(2), []);
    // Another cause is no new fall.
    town.set(&["a1"], REFUSED);
    assert_eq!(town.pass(2), [(111, "nvr-a".to_owned(), "down")]);
    town.mute.clear();
    assert!(!town.open("a1"), "what is down explains it");
    assert_eq!(town.pass(600), []);
    for id in ["a1", "a2", "a3"] {
        town.of(id).lost = true;
    }
    town.set(&["a2"], Signal::Streaming);
    assert_eq!(town.pass(20), [], "the others are on their way");
    town.set(&["a1", "a3"], Signal::Streaming);
    assert_eq!(town.pass(5), [], "they are still reported lost");
    for id in ["a1", "a2", "a3"] {
        town.of(id).lost = false;
    }
    assert_eq!(town.words(1), one("nvr-a", "over"));
}

#[test]
fn what_does_not_come_back_keeps_no_recorder_down() {
    let mut town = Town::new();
    town.set(&["a1", "a2", "a3"], REFUSED);
    assert_eq!(town.words(10), one("nvr-a", "down"));
    town.set(&["a2"], Signal::Streaming);
    assert_eq!(town.words(90), []);
    assert_eq!(town.words(2), one("nvr-a", "over"));
    // And where it falls again before that, it was down all the time.
    town.set(&["a2"], REFUSED);
    assert_eq!(town.pass(10), [], "one camera alone, the others fell long ago");
    town.set(&["a1", "a2"], Signal::Streaming);
    town.pass(1);
    town.set(&["a1", "a2"], REFUSED);
    assert_eq!(town.words(10), one("nvr-a", "down"));
    town.set(&["a1", "a2", "a3"], Signal::Streaming);
    town.of("a1").lost = true;
    assert_eq!(town.pass(5), []);
    town.set(&["a1", "a2", "a3"], REFUSED);
    assert_eq!(town.pass(300), []);
    town.of("a1").lost = false;
    town.set(&["a1", "a2", "a3"], Signal::Streaming);
    assert_eq!(town.words(1), one("nvr-a", "over"));
}

#[test]
fn one_camera_is_no_recorder_and_waits_for_nobody_who_delivers() {
    let mut town = Town::new();
    town.pass(10);
    town.set(&["a1"], REFUSED);
    assert_eq!(town.pass(1), []);
    assert!(town.open("a1"), "what the others sent last was before it fell, or just after");
    assert_eq!(town.pass(2), []);
    assert!(!town.open("a1"), "they deliver");
    assert!(!town.open("free") && !town.open("a2"));
    // Nor is a second one that falls much later, while the third is not asked.
    town.set(&["a3"], Signal::ExpectedOff);
    town.pass(20);
    town.set(&["a2"], REFUSED);
    assert_eq!(town.pass(60), []);
    assert!(!town.open("a2"));
}

#[test]
fn off_schedule_cameras_do_not_count_and_untried_ones_conclude_nothing() {
    let mut town = Town::new();
    town.set(&["a3"], Signal::ExpectedOff);
    town.set(&["a1", "a2"], REFUSED);
    assert_eq!(town.words(10), one("nvr-a", "down"));

    let mut town = Town::new();
    town.set(&["a2", "a3"], Signal::ExpectedOff);
    town.set(&["a1"], REFUSED);
    assert_eq!(town.pass(60), [], "one camera that is asked is not two");

    // After a start: what was never tried may work.
    let mut town = Town::new();
    for (id, _) in CAMERAS {
        *town.of(id) = Heard { signal: Signal::Connecting, since: at(0), last_unit: None, lost: false };
    }
    town.set(&["a1", "a2", "b1", "b2", "l1"], REFUSED);
    let turns = town.words(30);
    assert_eq!(turns, one("nvr-b", "down"), "the line may work, its third recorder's camera was not tried");
    assert!(town.open("a1") && town.open("a3"));
    town.set(&["a3"], REFUSED);
    assert_eq!(town.pass(10), [], "it was tried long after the others: nobody saw them fall together");
    assert!(!town.open("a3"));
}

#[test]
fn of_what_hangs_on_each_other_the_topmost_is_told() {
    let mut town = Town::new();
    town.pass(50);
    town.set(&["a1", "a2", "a3"], REFUSED);
    town.pass(2);
    town.set(&["b1", "b2", "l1"], Signal::Stalled);
    assert_eq!(town.words(20), one("line", "down"));
    // The line is back, and one of its recorders is not: its cameras have some time, then it is told before.
    town.set(&["l1", "b1", "b2"], Signal::Streaming);
    assert_eq!(town.pass(90), []);
    assert_eq!(town.words(2), [("nvr-a".to_owned(), "down"), ("line".to_owned(), "over")]);
    town.set(&["a1"], Signal::Streaming);
    town.set(&["a2", "a3"], Signal::Streaming);
    assert_eq!(town.words(2), one("nvr-a", "over"));
}

#[test]
fn what_answers_later_works_and_what_never_worked_says_nothing() {
    // A recorder that answers "not found" for a while as it restarts.
    let mut town = Town::new();
    town.set(&["a1", "a2", "a3"], NOT_FOUND);
    assert_eq!(town.words(10), one("nvr-a", "down"));
    // A camera that was never let in keeps no one from concluding, and concludes nothing.
    let mut town = Town::new();
    *town.of("a3") = Heard { signal: SIGN_IN, since: at(0), last_unit: None, lost: true };
    town.pass(50);
    town.set(&["a1", "a2"], REFUSED);
    assert_eq!(town.words(10), one("nvr-a", "down"));
    // That it is refused anew is an answer.
    town.set(&["a3"], REFUSED);
    assert_eq!(town.pass(10), []);
    town.set(&["a3"], SIGN_IN);
    assert_eq!(town.pass(90), []);
    assert_eq!(town.words(2), one("nvr-a", "over"));
    let mut town = Town::new();
    town.pass(50);
    town.set(&["a1", "a2"], REFUSED);
    town.pass(1);
    town.set(&["a3"], SIGN_IN);
    assert_eq!(town.pass(60), [], "something answers");
}

#[test]
fn a_node_that_starts_anew_goes_on_with_what_was_down() {
    let mut town = Town::new();
    town.watch.adopt(&"nvr-a".parse().unwrap());
    for id in ["a1", "a2", "a3"] {
        *town.of(id) = Heard { signal: Signal::Connecting, since: at(0), last_unit: None, lost: true };
    }
    assert_eq!(town.pass(20), [], "nothing is known");
    town.set(&["a1", "a2", "a3"], REFUSED);
    assert_eq!(town.pass(200), []);
    assert_eq!(town.watch.down().count(), 1);
    town.set(&["a1", "a2", "a3"], Signal::Streaming);
    for id in ["a1", "a2", "a3"] {
        town.of(id).lost = false;
    }
    assert_eq!(town.words(1), one("nvr-a", "over"));
    // What is no longer configured is forgotten.
    town.watch.adopt(&"nvr-x".parse().unwrap());
    town.pass(1);
    assert_eq!(town.watch.down().count(), 0);
}

#[test]
fn cameras_that_begin_their_hours_fall_when_they_are_asked() {
    let mut town = Town::new();
    town.set(&["a1", "a2"], Signal::ExpectedOff);
    town.pass(3600);
    town.set(&["a3"], REFUSED);
    assert_eq!(town.pass(3600), []);
    town.set(&["a1", "a2"], REFUSED);
    assert_eq!(town.words(10), one("nvr-a", "down"));
}

#[test]
fn cameras_between_two_visits_of_a_patrol_conclude_nothing_until_they_are_tried() {
    let mut town = Town::new();
    let between = Signal::NotConnected(Idle::Patrol);
    town.set(&["a1", "a2"], REFUSED);
    town.set(&["a3"], between);
    assert_eq!(town.pass(3600), [], "two dead cameras are no dead recorder");
    town.set(&["a1", "a2", "a3"], between);
    town.pass(60);
    town.set(&["a1", "a2", "a3"], REFUSED);
    assert_eq!(town.words(10), one("nvr-a", "down"));
    // What nobody asks for says nothing at all.
    let mut town = Town::new();
    town.set(&["a3"], Signal::NotConnected(Idle::OnRequest));
    town.set(&["a1", "a2"], REFUSED);
    assert_eq!(town.words(10), one("nvr-a", "down"));
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        4 => Just(Signal::Streaming),
        3 => Just(REFUSED),
        1 => Just(Signal::Stalled),
        1 => Just(Signal::ExpectedOff),
        1 => Just(Signal::Connecting),
        1 => Just(Signal::NotConnected(Idle::Patrol)),
        1 => Just(NOT_FOUND),
        1 => Just(SIGN_IN),
    ]
}

/// Groups of cameras change together, as they do when something they share fails.
fn change() -> impl Strategy<Value = (Vec<usize>, Signal, bool, u64)> {
    let groups = prop_oneof![
        (0usize..CAMERAS.len()).prop_map(|one| vec![one]),
        Just(vec![0, 1, 2]),
        Just(vec![3, 4]),
        Just(vec![0, 1, 2, 3, 4, 5]),
    ];
    (groups, signal(), any::<bool>(), 0u64..25)
}

proptest! {
    #[test]
    fn what_is_down_is_seen_to_be_and_ends_when_all_deliver(changes in prop::collection::vec(change(), 1..40)) {
        let mut town = Town::new();
        let mut down: BTreeSet<String> = BTreeSet::new();
        let above = |id: &str| (id != "line").then_some("line");
        for (group, signal, lost, seconds) in changes {
            let ids: Vec<&str> = group.iter().map(|index| CAMERAS[*index].0).collect();
            town.set(&ids, signal);
            ids.iter().for_each(|id| town.of(id).lost = lost);
            for _ in 0..seconds {
                let behind = |town: &Town, id: &str| -> Vec<Heard> {
                    let cameras = town.tree.behind(&id.parse().unwrap()).iter();
                    cameras.map(|camera| town.heard[camera]).collect()
                };
                let turns = town.words(1);
                // What takes over from what is over comes before it.
                let over = |id: &str| turns.iter().any(|(one, word)| one == id && *word == "over");
                for (id, word) in turns.clone() {
                    if word == "down" {
                        let cameras = behind(&town, &id);
                        // Nobody delivers, everybody was tried, and two at least are lost.
                        let is = |signals: &[Signal]| cameras.iter().filter(|c| signals.contains(&c.signal)).count();
                        prop_assert_eq!(is(&[Signal::Streaming, Signal::Connecting, Signal::NotConnected(Idle::Patrol)]), 0);
                        prop_assert!(is(&[REFUSED, Signal::Stalled, NOT_FOUND]) >= 2);
                        prop_assert!(above(&id).is_none_or(|up| !down.contains(up) || over(up)), "below what is down");
                        prop_assert!(down.insert(id), "told twice");
                    } else {
                        prop_assert!(down.remove(&id), "over without being down");
                    }
                }
                for (camera, upstream) in CAMERAS {
                    let chain: Vec<&str> = [upstream].into_iter().chain(above(upstream)).collect();
                    if town.open(camera) {
                        prop_assert!(!upstream.is_empty() && chain.iter().all(|id| !down.contains(*id)));
                        prop_assert!(town.of(camera).signal != Signal::Streaming);
                    }
                }
            }
        }
        let all = CAMERAS.map(|(id, _)| id);
        town.set(&all, Signal::Streaming);
        all.iter().for_each(|id| town.of(id).lost = false);
        for (id, word) in town.words(2) {
            prop_assert!(word == "over" && down.remove(&id));
        }
        prop_assert!(down.is_empty(), "{down:?}");
    }
}

#[test]
fn a_drill_camera_says_nothing_of_what_it_hangs_on() {
    let text = format!(
        "{TOWN}[[camera]]\nid = \"play\"\nname = \"n\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/p\"\n\
         upstream = \"nvr-a\"\nacquire = \"on-request\"\ndrill = true\n"
    );
    let tree = Tree::of(&Config::parse(&text, std::path::Path::new("/")).unwrap());
    assert_eq!((tree.cameras().count(), tree.behind(&"nvr-a".parse().unwrap())), (0, &[][..]));
}
