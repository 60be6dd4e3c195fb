//! What cameras hang on: when a recorder, switch or line is down, told from its cameras alone. Pure: time is a parameter.
//!
//! An upstream is down when none of the cameras behind it that are expected on delivers, and at least two of them, the
//! latest to fall, fell within [`TOGETHER`] of each other. That must have been so for [`DWELL`]: a camera's first attempt
//! to come back is over by then. Of a chain of which more than one is down, the topmost is told.
//!
//! | a camera | says |
//! |---|---|
//! | streams | its upstreams work |
//! | is stalled, refused, unreachable, closed; after it delivered also not found or rejected | it has fallen |
//! | is refused a sign-in, a codec and the like | something answered; nothing else |
//! | has not been tried yet | nothing, and nothing is concluded without it |
//! | is expected off, or connected only when somebody asks and nobody does | nothing, and is not asked |
//! | is between two visits of a patrol | nothing, and nothing is concluded without it |
//!
//! An upstream that was down is back when a camera delivers or something answers. It is *over* when all cameras behind it
//! deliver and none is reported lost any more, or [`RETURN`] later: each comes back by itself, some a minute later.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use xueliang_base::{
    config::{Config, Upstream},
    id::{CameraId, UpstreamId},
    time::Mono,
};

use crate::health::{Idle, OfflineCause, Signal};

#[cfg(test)]
mod tests;

/// Cameras that fall together fall within this: twice the 5 s in which a session notices silence.
pub const TOGETHER: Duration = Duration::from_secs(10);
/// For so long all cameras must be lost.
pub const DWELL: Duration = Duration::from_secs(3);
/// A verdict is waited for at most so long: all cameras notice within 5 s, and [`DWELL`] and a second's tick come on top.
pub const GRACE: Duration = Duration::from_secs(10);
/// Cameras come back within this: 60 s between two attempts to connect, the stream's begin, and the 5 s in which they
/// are seen to deliver.
pub const RETURN: Duration = Duration::from_secs(90);
/// A unit that came so much later than another camera fell came through an upstream that worked.
const MARGIN: Duration = Duration::from_secs(2);
/// A loss is noticed within this: a last unit from before is not when the camera fell.
const NOTICED: Duration = Duration::from_secs(15);

/// What hangs on what.
#[derive(Debug, Default)]
pub struct Tree {
    /// Each after what it hangs on.
    upstreams: Vec<Node>,
    /// From the nearest up.
    above: BTreeMap<CameraId, Vec<UpstreamId>>,
}

#[derive(Debug)]
struct Node {
    id: UpstreamId,
    /// From the nearest up.
    above: Vec<UpstreamId>,
    /// All that are behind it, in order.
    cameras: Vec<CameraId>,
}

impl Tree {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        fn chain(config: &Config, first: Option<&UpstreamId>) -> Vec<UpstreamId> {
            config.chain(first).map(|one| one.id.clone()).collect()
        }
        // A drill camera that is lost says nothing of what it hangs on.
        let above: BTreeMap<_, _> = config
            .points()
            .map(|camera| (camera.id.clone(), chain(config, camera.upstream.as_ref())))
            .filter(|(_, above)| !above.is_empty())
            .collect();
        let mut behind: BTreeMap<&UpstreamId, Vec<CameraId>> = BTreeMap::new();
        for (camera, above) in &above {
            above.iter().for_each(|id| behind.entry(id).or_default().push(camera.clone()));
        }
        let node = |one: &Upstream| Node {
            id: one.id.clone(),
            above: chain(config, one.upstream.as_ref()),
            cameras: behind.get(&one.id).cloned().unwrap_or_default(),
        };
        let upstreams = config.upstreams.iter().map(node).collect();
        Self { upstreams, above }
    }
    /// Cameras that hang on something.
    pub fn cameras(&self) -> impl Iterator<Item = &CameraId> {
        self.above.keys()
    }
    /// All cameras behind an upstream, in order.
    pub fn behind(&self, id: &UpstreamId) -> &[CameraId] {
        self.upstreams.iter().find(|node| node.id == *id).map_or(&[], |node| &node.cameras)
    }
}

/// What is known of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Its signal.
    pub signal: Signal,
    /// Since when.
    pub since: Mono,
    /// Arrival of its latest access unit.
    pub last_unit: Option<Mono>,
    /// Whether it is reported lost: an alert of its own says so.
    pub lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Delivers,
    Fallen,
    Answers,
    Untried,
    Between,
    Off,
}

impl Heard {
    fn word(&self) -> Word {
        use OfflineCause as C;
        match self.signal {
            Signal::Streaming => Word::Delivers,
            Signal::Connecting => Word::Untried,
            Signal::ExpectedOff | Signal::NotConnected(Idle::OnRequest) => Word::Off,
            Signal::NotConnected(Idle::Patrol) => Word::Between,
            Signal::Stalled => Word::Fallen,
            Signal::Offline(C::Refused | C::Unreachable | C::NoAnswer | C::Closed) => Word::Fallen,
            // A recorder that restarts answers so for a while.
            Signal::Offline(C::NotFound | C::Rejected) if self.last_unit.is_some() => Word::Fallen,
            Signal::Offline(
                C::NotFound
                | C::Rejected
                | C::Redirected
                | C::Unauthorized
                | C::Forbidden
                | C::NotRtsp
                | C::Tls
                | C::UnsupportedTransport
                | C::UnsupportedCodec,
            ) => Word::Answers,
            // Ours to answer for: nobody was asked.
            Signal::Offline(C::Unresolvable | C::AddressNotAllowed | C::Internal) => Word::Off,
        }
    }
    /// When it fell, as far as is known.
    fn fell(&self) -> Mono {
        self.last_unit.filter(|at| self.since.since(*at) <= NOTICED).unwrap_or(self.since)
    }
}

/// What the cameras behind an upstream say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Something comes through it.
    Works,
    /// Nothing can be said yet.
    Open,
    /// Its cameras are lost, and not together; or too few are asked.
    Apart,
    /// They fell together.
    Down(Fall),
}

/// How cameras fell together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fall {
    /// The first of them.
    pub first: Mono,
    /// The last of them.
    pub last: Mono,
    /// Cameras that are lost, those that were before included.
    pub lost: usize,
}

/// A change of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is down.
    Down(Fall),
    /// It came back then, and all is over.
    Over(Mono),
}

#[derive(Debug, Default)]
struct State {
    /// Since when its cameras are all lost.
    lost_since: Option<Mono>,
    /// It was told to be down.
    down: bool,
    /// What is heard later than this is heard because it is back.
    fell: Mono,
    /// While it is down: since when it is back.
    back: Option<Mono>,
}

/// Watches all upstreams of a node.
#[derive(Debug, Default)]
pub struct Watch {
    states: BTreeMap<UpstreamId, State>,
    /// Cameras that do not deliver, and when they fell: a cause that changes is no new fall.
    fallen: BTreeMap<CameraId, Mono>,
}

impl Watch {
    /// Goes on with an upstream that was told to be down in an earlier process life.
    pub fn adopt(&mut self, id: &UpstreamId) {
        self.states.entry(id.clone()).or_default().down = true;
    }
    /// Upstreams that are told to be down.
    pub fn down(&self) -> impl Iterator<Item = &UpstreamId> {
        self.states.iter().filter(|(_, state)| state.down).map(|(id, _)| id)
    }
    /// Takes what is known now; what has changed, in order. What goes down comes before what is over, so that a camera is
    /// never without the one that explains its loss.
    pub fn step(
        &mut self,
        tree: &Tree,
        heard: &BTreeMap<CameraId, Heard>,
        now: Mono,
    ) -> Vec<(UpstreamId, Turn)> {
        self.note(heard);
        let known: BTreeSet<&UpstreamId> = tree.upstreams.iter().map(|node| &node.id).collect();
        self.states.retain(|id, _| known.contains(id));
        let verdicts: BTreeMap<&UpstreamId, Verdict> =
            tree.upstreams.iter().map(|node| (&node.id, self.judge(node, heard))).collect();
        let mut over = Vec::new();
        for node in &tree.upstreams {
            let state = self.states.entry(node.id.clone()).or_default();
            match verdicts[&node.id] {
                Verdict::Down(fall) => {
                    state.lost_since.get_or_insert(now);
                    (state.fell, state.back) = (fall.last, None);
                }
                verdict => {
                    state.lost_since = None;
                    let heard_of = verdict == Verdict::Works || answers_since(node, heard, state.fell);
                    if state.down && heard_of {
                        state.back.get_or_insert(now);
                    }
                }
            }
            if let Some(back) = state.back {
                let waits = node.cameras.iter().filter_map(|id| heard.get(id)).any(comes_back);
                if !waits || now.since(back) >= RETURN {
                    (state.down, state.back) = (false, None);
                    over.push((node.id.clone(), Turn::Over(back)));
                }
            }
        }
        let mut turns = Vec::new();
        for node in &tree.upstreams {
            let Verdict::Down(fall) = verdicts[&node.id] else { continue };
            if self.goes_down(node, &fall, tree, heard, now)
                && let Some(state) = self.states.get_mut(&node.id)
            {
                (state.down, state.fell) = (true, fall.last);
                turns.push((node.id.clone(), Turn::Down(fall)));
            }
        }
        turns.append(&mut over);
        turns
    }
    /// Forgets that an upstream was told to be down.
    pub fn forget(&mut self, id: &UpstreamId) {
        self.states.remove(id);
    }
    /// Whether something that a camera hangs on is told to be down.
    pub fn explains(&self, tree: &Tree, camera: &CameraId) -> bool {
        let down = |id| self.states.get(id).is_some_and(|state| state.down);
        tree.above.get(camera).is_some_and(|above| above.iter().any(down))
    }
    /// Whether the verdict is open about something that a lost camera hangs on, so that it may explain the loss. What is told
    /// to be down explains it already.
    pub fn is_open(&self, tree: &Tree, heard: &BTreeMap<CameraId, Heard>, camera: &CameraId) -> bool {
        // One that was not even tried is reported lost when that takes long.
        let untried =
            || heard.get(camera).filter(|heard| heard.word() == Word::Untried).map(|heard| heard.since);
        let fell = self.fallen.get(camera).copied().or_else(untried);
        let (Some(above), Some(fell)) = (tree.above.get(camera), fell) else { return false };
        !self.explains(tree, camera) && above.iter().any(|id| self.may_be_down(id, fell, tree, heard))
    }
    fn note(&mut self, heard: &BTreeMap<CameraId, Heard>) {
        self.fallen.retain(|id, _| heard.contains_key(id));
        for (id, heard) in heard {
            match heard.word() {
                // Between two visits: its latest one did not fail, or it would be offline.
                Word::Delivers | Word::Off | Word::Between => {
                    self.fallen.remove(id);
                }
                Word::Fallen => {
                    self.fallen.entry(id.clone()).or_insert(heard.fell());
                }
                Word::Answers | Word::Untried => {}
            }
        }
    }
    fn judge(&self, node: &Node, heard: &BTreeMap<CameraId, Heard>) -> Verdict {
        let cameras = || node.cameras.iter().filter_map(|id| Some((id, heard.get(id)?)));
        if cameras().any(|(_, heard)| heard.word() == Word::Delivers) {
            return Verdict::Works;
        }
        let fell: Vec<Mono> = cameras()
            .filter(|(_, heard)| heard.word() == Word::Fallen)
            .filter_map(|(id, _)| self.fallen.get(id).copied())
            .collect();
        let Some(last) = fell.iter().max().copied() else { return Verdict::Apart };
        let together: Vec<Mono> = fell.iter().filter(|at| last.since(**at) <= TOGETHER).copied().collect();
        let first = together.iter().min().copied().unwrap_or(last);
        if answers_since(node, heard, first) {
            return Verdict::Works;
        }
        if cameras().any(|(_, heard)| matches!(heard.word(), Word::Untried | Word::Between)) {
            return Verdict::Open;
        }
        if together.len() < 2 {
            return Verdict::Apart;
        }
        Verdict::Down(Fall { first, last, lost: fell.len() })
    }
    /// Whether an upstream that is not told to be down may turn out to have been when a camera fell.
    fn may_be_down(
        &self,
        id: &UpstreamId,
        fell: Mono,
        tree: &Tree,
        heard: &BTreeMap<CameraId, Heard>,
    ) -> bool {
        let Some(node) = tree.upstreams.iter().find(|node| node.id == *id) else { return false };
        match self.judge(node, heard) {
            Verdict::Down(_) | Verdict::Open => true,
            Verdict::Apart => false,
            // Those that deliver may not have noticed yet.
            Verdict::Works => {
                node.cameras.iter().filter_map(|id| heard.get(id)).all(|heard| match heard.word() {
                    Word::Delivers => heard.last_unit.is_none_or(|at| at <= fell.plus(MARGIN)),
                    Word::Answers => heard.since <= fell,
                    Word::Fallen | Word::Untried | Word::Between | Word::Off => true,
                })
            }
        }
    }
    fn goes_down(
        &self,
        node: &Node,
        fall: &Fall,
        tree: &Tree,
        heard: &BTreeMap<CameraId, Heard>,
        now: Mono,
    ) -> bool {
        let Some(state) = self.states.get(&node.id).filter(|state| !state.down) else { return false };
        let lost_for = state.lost_since.map_or(Duration::ZERO, |since| now.since(since));
        let above_is_down = node.above.iter().any(|id| self.states.get(id).is_some_and(|state| state.down));
        let above_may_be = || node.above.iter().any(|id| self.may_be_down(id, fall.last, tree, heard));
        lost_for >= DWELL && !above_is_down && (lost_for >= GRACE || !above_may_be())
    }
}

/// Whether something behind an upstream began to answer after this moment.
fn answers_since(node: &Node, heard: &BTreeMap<CameraId, Heard>, fell: Mono) -> bool {
    let mut cameras = node.cameras.iter().filter_map(|id| heard.get(id));
    cameras.any(|heard| heard.word() == Word::Answers && heard.since > fell)
}

/// Whether a camera behind what is back is on its way.
fn comes_back(heard: &Heard) -> bool {
    match heard.word() {
        Word::Fallen | Word::Untried => true,
        Word::Delivers => heard.lost,
        Word::Answers | Word::Between | Word::Off => false,
    }
}
