//! One camera's cell: what its session delivers, where looks can reach it.

use std::{
    collections::BTreeSet,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;
use xueliang_base::{
    accounting::Skipped,
    config::{Acquire, Camera},
    gate::Said,
    id::CameraId,
    time::{Mono, Wall},
    unit::AccessUnit,
};
use xueliang_inference::attention::Pace;
use xueliang_ingest::{
    activity::{Activity, Lesson, State},
    health::{Signal, SignalChange},
    ring::Ring,
    session::UnitSink,
};

use super::sub_stream::SubStream;

/// Cameras that have something new, for the looks task. Bounded by the number of cameras.
#[derive(Debug, Default)]
pub struct Dirty {
    cameras: Mutex<BTreeSet<CameraId>>,
    notify: Notify,
}

impl Dirty {
    /// Marks a camera. Never blocks for long, so media threads may call it.
    pub fn mark(&self, id: &CameraId) {
        let fresh = self.lock().insert(id.clone());
        if fresh {
            self.notify.notify_one();
        }
    }
    /// Takes all marks.
    pub fn take(&self) -> BTreeSet<CameraId> {
        std::mem::take(&mut *self.lock())
    }
    /// Waits for a mark. Cancel-safe.
    pub async fn wait(&self) {
        self.notify.notified().await;
    }
    fn lock(&self) -> MutexGuard<'_, BTreeSet<CameraId>> {
        self.cameras.lock().expect("no code panics while it holds this lock")
    }
}

/// What a session said last.
#[derive(Debug, Clone)]
pub struct Live {
    /// State and since when.
    pub signal: Signal,
    /// Since when.
    pub since: Mono,
    /// The same, for people.
    pub since_wall: Wall,
    /// What happened and what to do.
    pub detail: String,
    /// Arrival of the latest access unit.
    pub last_unit: Option<(Mono, Wall)>,
    /// Bytes and units since the start, for rates.
    pub bytes: u64,
    /// Connections that delivered since the start.
    pub connects: u64,
    /// Latest keyframe's arrival, to estimate their interval.
    last_keyframe: Option<Mono>,
    /// Time between keyframes, smoothed.
    pub keyframe_interval: Option<std::time::Duration>,
    /// Time between units.
    pub pace: Pace,
}

impl Live {
    pub(super) fn new(now_wall: Wall) -> Self {
        Self {
            signal: Signal::Connecting,
            since: Mono(0),
            since_wall: now_wall,
            detail: String::new(),
            last_unit: None,
            bytes: 0,
            connects: 0,
            last_keyframe: None,
            keyframe_interval: None,
            pace: Pace::default(),
        }
    }
    /// A unit arrived.
    pub(super) fn took(&mut self, unit: &AccessUnit) {
        self.last_unit = Some((unit.arrival, unit.arrival_wall));
        self.bytes += unit.data.len() as u64;
        if unit.discontinuity {
            // What was missed may have held keyframes; the next interval begins after it.
            self.last_keyframe = None;
            self.pace.interrupt();
        }
        self.pace.took(unit.arrival);
        if unit.keyframe {
            if let Some(last) = self.last_keyframe {
                let interval = unit.arrival.since(last);
                self.keyframe_interval = Some(
                    self.keyframe_interval
                        .map_or(interval, |smooth| smooth.mul_f64(0.7) + interval.mul_f64(0.3)),
                );
            }
            self.last_keyframe = Some(unit.arrival);
        }
    }
    /// The signal has changed.
    pub(super) fn turned(&mut self, change: SignalChange) {
        self.connects += u64::from(change.signal == Signal::Streaming && self.signal != Signal::Streaming);
        self.signal = change.signal;
        self.since = change.since;
        self.since_wall = change.since_wall;
        self.detail = change.detail;
    }
}

/// What sessions and looks tell each other of a camera.
#[derive(Debug, Clone, Copy)]
pub struct Noted {
    /// Arrival of the latest picture that was looked at.
    pub looked: Option<Mono>,
    /// A rule has seen something, or something end, and has not decided.
    pub undecided: bool,
    /// How it is taken, as far as there is room; continuous while somebody asked for it.
    pub acquire: Acquire,
    /// From one visit's picture to the next's.
    pub interval: Option<std::time::Duration>,
}

/// One camera, shared between its session's thread and the looks task: what it is registered as, and what it sends.
pub struct Cell {
    /// Its registration.
    pub camera: Arc<Camera>,
    feed: Arc<Feed>,
}

/// What a camera sends: it outlives another registration that is read in the same way.
pub struct Feed {
    id: CameraId,
    /// Its units.
    pub ring: Ring,
    /// Its sub-stream, where it has one.
    pub sub: Option<Arc<SubStream>>,
    live: Mutex<Live>,
    dirty: Arc<Dirty>,
    encoded: Mutex<Encoded>,
    /// Whether the looks task wants to know of every unit; otherwise of keyframes and wakes.
    every_unit: AtomicBool,
    noted: Mutex<Noted>,
}

/// The encoded tier of a stream, where somebody listens to it.
#[derive(Default)]
struct Encoded {
    activity: Option<Activity>,
    /// Since it was last asked: whether it wanted a glance, and whether it can tell at all.
    wanted: bool,
}

/// Share of moved moments that the encoded tier is to find, as far as lessons can teach it.
const RECALL: f32 = 0.98;

impl Cell {
    /// A cell without a session yet.
    pub fn new(camera: Arc<Camera>, ring: Ring, dirty: Arc<Dirty>, now_wall: Wall) -> Self {
        let sub = camera.sub_stream.as_ref().map(|_| Arc::new(SubStream::new(camera.id.clone(), now_wall)));
        let (live, every_unit) = (Mutex::new(Live::new(now_wall)), AtomicBool::new(true));
        let noted = Noted { looked: None, undecided: false, acquire: camera.acquire, interval: None };
        let noted = Mutex::new(noted);
        let (id, encoded) = (camera.id.clone(), Mutex::default());
        let feed = Arc::new(Feed { id, ring, sub, live, dirty, encoded, every_unit, noted });
        Self { camera, feed }
    }
    /// The same session and ring under other zones and rules.
    #[must_use]
    pub fn watching_for(&self, camera: Arc<Camera>) -> Self {
        Self { camera, feed: self.feed.clone() }
    }
    /// Whether both are of one session and ring.
    pub fn shares_feed(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.feed, &other.feed)
    }
    /// Where its session delivers to.
    pub fn feed(&self) -> Arc<Feed> {
        self.feed.clone()
    }
}

impl Deref for Cell {
    type Target = Feed;
    fn deref(&self) -> &Feed {
        &self.feed
    }
}

impl Feed {
    /// Encoded bytes that its rings hold.
    pub fn ring_bytes(&self) -> u64 {
        self.ring.pending().bytes + self.sub.as_ref().map_or(0, |sub| sub.ring.pending().bytes)
    }
    /// Empties its rings; undecided units are skipped for that reason.
    pub fn clear(&self, why: Skipped) {
        self.ring.clear(why);
        if let Some(sub) = &self.sub {
            sub.ring.clear(why);
        }
    }
    /// What sessions and looks have noted of it.
    pub fn noted(&self) -> Noted {
        *self.noted.lock().expect("no code panics while it holds this lock")
    }
    /// Notes something.
    pub fn note(&self, change: impl FnOnce(&mut Noted)) {
        change(&mut self.noted.lock().expect("no code panics while it holds this lock"));
    }
    /// Marks the camera at every unit from now on, or at keyframes and wakes alone: a resting camera has no use for more.
    /// Returns whether units may have come of which it was not told.
    pub fn want_every_unit(&self, every_unit: bool) -> bool {
        let before = self.every_unit.swap(every_unit, Ordering::AcqRel);
        every_unit && !before
    }
    /// Listens to the encoded tier, or does not any more.
    pub fn listen(&self, listen: bool) {
        let mut encoded = self.encoded();
        *encoded = Encoded { activity: listen.then(|| Activity::new(RECALL)), wanted: false };
    }
    /// What the encoded tier has said since this was last asked; `None` where nobody listens.
    pub fn heard(&self) -> Option<Said> {
        let mut encoded = self.encoded();
        let state = encoded.activity.as_ref()?.state();
        let wanted = std::mem::take(&mut encoded.wanted);
        Some(match state {
            _ if wanted => Said::Awake,
            State::Calibrating => Said::Calibrating,
            State::Usual | State::Active => Said::Quiet,
        })
    }
    /// What a picture showed of the unit that arrived then.
    pub fn teach(&self, lesson: Lesson, at: Mono) {
        if let Some(activity) = &mut self.encoded().activity {
            activity.teach(lesson, at);
        }
    }
    fn encoded(&self) -> MutexGuard<'_, Encoded> {
        self.encoded.lock().expect("no code panics while it holds this lock")
    }
    /// What is known now.
    pub fn live(&self) -> Live {
        self.lock().clone()
    }
    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("no code panics while it holds this lock")
    }
}

impl UnitSink for Feed {
    fn unit(&self, unit: AccessUnit) {
        self.lock().took(&unit);
        let woken = {
            let mut encoded = self.encoded();
            let wake = encoded.activity.as_mut().and_then(|activity| activity.push(&unit));
            let woken = wake.is_some() && !encoded.wanted;
            encoded.wanted |= woken;
            woken
        };
        let told = unit.keyframe || woken;
        self.ring.push(unit);
        // In this order: whoever wants every unit from this moment on asks the ring after saying so.
        if told || self.every_unit.load(Ordering::Acquire) {
            self.dirty.mark(&self.id);
        }
    }
    fn signal(&self, change: SignalChange) {
        self.lock().turned(change);
        self.dirty.mark(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xueliang_base::unit::Codec;

    use super::*;

    #[test]
    fn neither_the_keyframe_interval_nor_the_rhythm_spans_an_outage() {
        let camera =
            xueliang_base::config::Config::parse(CONFIG, std::path::Path::new("/etc")).unwrap().cameras;
        let ring = Ring::new(1 << 20, Duration::from_secs(30));
        let cell = Cell::new(Arc::new(camera[0].clone()), ring, Arc::default(), Wall(0));
        let mut seq = 0;
        let mut unit = |at_s: u64, keyframe, discontinuity| {
            seq += 1;
            cell.unit(AccessUnit {
                seq,
                codec: Codec::H264,
                keyframe,
                discontinuity,
                pts_us: None,
                arrival: Mono(at_s * 1_000_000_000),
                arrival_wall: Wall(0),
                camera_time: None,
                data: vec![0; 10].into(),
            });
            let live = cell.live();
            (live.keyframe_interval, live.pace.rhythm().map(|rhythm| rhythm.every))
        };
        let two = Some(Duration::from_secs(2));
        for n in 0..10 {
            unit(100 + 2 * n, true, false);
        }
        assert_eq!(unit(120, true, false), (two, two));
        // Away for ten minutes, and the first unit that comes is no keyframe.
        assert_eq!(unit(720, false, true), (two, two));
        assert_eq!(unit(722, true, false), (two, two));
        assert_eq!(unit(724, true, false), (two, two));
    }

    #[test]
    fn what_a_camera_sends_goes_on_under_other_rules() {
        let camera =
            xueliang_base::config::Config::parse(CONFIG, std::path::Path::new("/etc")).unwrap().cameras;
        let ring = Ring::new(1 << 20, Duration::from_secs(30));
        let cell = Cell::new(Arc::new(camera[0].clone()), ring, Arc::default(), Wall(0));
        let mut other = camera[0].clone();
        other.rules.clear();
        let next = cell.watching_for(Arc::new(other));
        assert!(next.shares_feed(&cell) && next.camera.rules.is_empty());
        cell.feed().unit(AccessUnit {
            seq: 1,
            codec: Codec::H264,
            keyframe: true,
            discontinuity: false,
            pts_us: None,
            arrival: Mono(1),
            arrival_wall: Wall(0),
            camera_time: None,
            data: vec![0; 10].into(),
        });
        assert_eq!(next.ring.account().received, 1);
    }

    #[test]
    fn a_resting_camera_is_marked_at_keyframes_alone() {
        let camera =
            xueliang_base::config::Config::parse(CONFIG, std::path::Path::new("/etc")).unwrap().cameras;
        let ring = Ring::new(1 << 20, Duration::from_secs(30));
        let dirty = Arc::new(Dirty::default());
        let cell = Cell::new(Arc::new(camera[0].clone()), ring, dirty.clone(), Wall(0));
        let mut seq = 0;
        let mut marked = |keyframe| {
            seq += 1;
            cell.unit(AccessUnit {
                seq,
                codec: Codec::H264,
                keyframe,
                discontinuity: false,
                pts_us: None,
                arrival: Mono(seq * 1_000_000_000),
                arrival_wall: Wall(0),
                camera_time: None,
                data: vec![0; 10].into(),
            });
            !dirty.take().is_empty()
        };
        assert!(marked(true) && marked(false));
        assert!(!cell.want_every_unit(false));
        assert!(marked(true) && !marked(false));
        assert!(cell.want_every_unit(true), "a unit came of which nobody was told");
        assert!(!cell.want_every_unit(true));
        assert!(marked(false));
    }

    const CONFIG: &str = r#"
site = "Test town"
state_dir = "state"
networks = ["127.0.0.0/8"]
[[division]]
code = "330282"
name = "Cixi"
[[camera]]
id = "gate"
name = "North gate"
division = "330282"
url = "rtsp://127.0.0.1:8554/gate"
"#;
}
