//! Flood groups: when many alerts of one kind and place come at once, people get one line that counts and lists them.
//!
//! - **Grouped** are alerts of one kind at one camera, or else in one division, the innermost one, and there of points of one
//!   class. So whoever may see a member may see its group, and whoever filters by divisions, kinds or levels gets both or neither.
//! - **Never** alerts that had level 1 or 2, nor those of the bus itself, nor `UPSTREAM_DOWN`, nor drills, which do not count either. A member that rises to level 2 is shown at once.
//! - **It begins** with the alert that makes more than the limit within the window. Counted are alerts when they would be
//!   shown first: what a silence or another alert holds back is no line that anyone reads.
//! - **Members** are that alert and all that come while the group lasts. What was shown before the group began stays shown,
//!   and so do its later states and its end. A member that ends with the group lasting is never shown.
//! - **It ends** when no more than the limit came within the quiet time, which is the longer one. Members that still fire are
//!   delivered then, and join no other group. Counting starts anew: the next alert is a line.
//! - **The group is an alert of the bus**: same kind and place, the most severe level of its members, the rule [`RULE`], and
//!   how many members it has had as its count. Its looks, evidence and zone are empty. It inhibits nothing.
//! - **After a boot** of the machine counting starts anew, and a group lasts for a quiet time at least.
//!
//! Pure: time is a parameter. Groups and counts are in the store (`store/sqlite/flood.rs`), and change with the commit that
//! changes them.

use std::{collections::VecDeque, time::Duration};

use xueliang_base::{
    alert::{Alert, AlertState, Explanation, Place},
    id::{AlertId, AlertRevision, CameraId, ConfigRevision, RuleId},
    incident::Resolution,
    kind::{Kind, Level},
    time::{Mono, Wall},
};

use crate::filter::Facts;

/// The rule that alerts of groups name.
pub const RULE: &str = "flood";
/// The publisher of the bus's own alerts. None else bears that name.
pub const PUBLISHER: &str = "bus";
/// What stands in the place of a camera in the alert of a division's group.
const ANY_CAMERA: &str = "flood";

/// When groups begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Alerts of one kind and camera within the window that make no group yet; 0: cameras have none.
    pub per_camera: u32,
    /// Likewise of one kind and division.
    pub per_division: u32,
    /// So many within this time, and one more, begin a group.
    pub window: Duration,
    /// No more than so many within this time end it. At least the window.
    pub quiet: Duration,
    /// The configuration that says so.
    pub config: ConfigRevision,
}

impl Limits {
    /// The limit at a place; 0: there are no groups.
    pub fn at(&self, place: &str) -> u32 {
        if is_division(place) { self.per_division } else { self.per_camera }
    }
}

/// Whether a place of a group is a division path: those begin with a slash, and no camera does.
fn is_division(place: &str) -> bool {
    place.starts_with('/')
}

/// A group that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its alert.
    pub alert: AlertId,
    /// Number of its kind.
    pub kind: i32,
    /// A camera, or a division path as in [`Facts::path`].
    pub place: String,
}

impl Group {
    /// Whether an alert with these facts belongs to it.
    fn takes(&self, facts: &Facts<'_>) -> bool {
        self.kind == facts.kind && places(facts).contains(&self.place.as_str())
    }
}

/// Where an alert with these facts may be grouped, first choice first.
pub fn places<'a>(facts: &Facts<'a>) -> [&'a str; 2] {
    [facts.camera, facts.own().path]
}

/// Whether an alert of this publisher may be a member of groups.
pub fn may_join(facts: &Facts<'_>, publisher: &str) -> bool {
    // What says that a recorder is down stands for many by itself, and must go on inhibiting those.
    let stands_for_many = facts.kind == Kind::UpstreamDown.number();
    facts.level >= Level::MAJOR && publisher != PUBLISHER && !stands_for_many && !facts.drill
}

/// The group that takes an alert with these facts.
pub fn group_of(groups: &[Group], facts: &Facts<'_>) -> Option<AlertId> {
    let mut own: Vec<_> = groups.iter().filter(|group| group.takes(facts)).collect();
    own.sort_by_key(|group| is_division(&group.place));
    own.first().map(|group| group.alert)
}

/// When alerts of a kind came at a place: the latest ones, one more than the limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals(VecDeque<Mono>);

impl Arrivals {
    /// One more came.
    pub fn add(&mut self, now: Mono, limit: u32) {
        self.0.push_back(now);
        while self.0.len() > usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1) {
            self.0.pop_front();
        }
    }
    /// As many as are known, all of them at this moment: for a boot that knows nothing of the clock before it.
    pub fn restart(&mut self, now: Mono) {
        self.0.iter_mut().for_each(|at| *at = now);
    }
    /// Whether more than `limit` came within a time up to now.
    pub fn more_than(&self, limit: u32, within: Duration, now: Mono) -> bool {
        let beyond = usize::try_from(limit).ok().and_then(|limit| self.0.iter().rev().nth(limit));
        beyond.is_some_and(|at| now.since(*at) < within)
    }
    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|at| at.0.to_be_bytes()).collect()
    }
    /// What [`Self::encode`] gave.
    pub fn decode(bytes: &[u8]) -> Self {
        let (times, _) = bytes.as_chunks();
        Self(times.iter().map(|at| Mono(u64::from_be_bytes(*at))).collect())
    }
}

/// The first state of a group's alert. `of` is the place of the alert that begins it.
pub fn begun(place: &str, kind: Kind, level: Level, of: &Place, now: Wall, config: ConfigRevision) -> Alert {
    let (camera, camera_name) = if is_division(place) {
        let any: CameraId = ANY_CAMERA.parse().expect("it is a name");
        (any, of.division_name.clone())
    } else {
        (of.camera.clone(), of.camera_name.clone())
    };
    let position = if is_division(place) { None } else { of.position };
    let rule: RuleId = RULE.parse().expect("it is a name");
    Alert {
        id: AlertId::mint(),
        revision: AlertRevision(1),
        kind,
        level,
        state: AlertState::Firing,
        place: Place { camera, camera_name, address: None, position, zone: None, ..of.clone() },
        started: now,
        last_seen: now,
        count: 1,
        confidence: 0.0,
        measures: Vec::new(),
        regions: Vec::new(),
        explanation: Explanation {
            config,
            rule,
            thresholds: Vec::new(),
            looks: Vec::new(),
            zone_outline: Vec::new(),
            model: None,
        },
        evidence: Vec::new(),
        stages: Vec::new(),
        behind: Vec::new(),
        divisions_behind: Vec::new(),
        classes_behind: Vec::new(),
        camera_time: None,
        decided: now,
        publisher: PUBLISHER.to_owned(),
        drill: false,
    }
}

/// Its next state: so many members at this level, or the end.
pub fn next(alert: Alert, members: u64, level: Level, ends: bool, now: Wall) -> Alert {
    let end = AlertState::Resolved { why: Resolution::ObservedAbsence, at: now };
    Alert {
        revision: AlertRevision(alert.revision.0 + 1),
        level,
        state: if ends { end } else { AlertState::Firing },
        last_seen: if ends { alert.last_seen } else { now },
        count: members,
        stages: Vec::new(),
        decided: now,
        ..alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: u64) -> Mono {
        Mono(second * 1_000_000_000)
    }
    fn facts(path: &str, level: Level) -> Facts<'_> {
        Facts { path, kind: 5102, class: 0, level, camera: "gate", drill: false }
    }

    #[test]
    fn more_than_the_limit_within_the_time_are_a_flood_and_that_many_are_none() {
        let minute = Duration::from_secs(60);
        let mut arrivals = Arrivals::default();
        for second in [0, 30, 59] {
            arrivals.add(at(second), 3);
            assert!(!arrivals.more_than(3, minute, at(second)), "{second}");
        }
        let mut late = arrivals.clone();
        late.add(at(60), 3);
        assert!(!late.more_than(3, minute, at(60)), "the first one is a minute old");
        late.add(at(61), 3);
        assert!(late.more_than(3, minute, at(61)), "30, 59, 60, 61");
        assert!(!late.more_than(3, minute, at(90)));
        assert!(late.more_than(3, minute * 2, at(149)));
        assert_eq!(Arrivals::decode(&late.encode()), late);
        // Kept are no more than are asked about.
        assert_eq!(late.encode().len(), 4 * 8);
        late.restart(at(500));
        assert!(late.more_than(3, minute, at(559)) && !late.more_than(3, minute, at(560)));
        // A higher limit than before knows too little to say so.
        assert!(!late.more_than(4, minute, at(500)));
    }

    #[test]
    fn a_camera_s_group_comes_before_its_division_s_and_other_kinds_and_places_have_neither() {
        let facts = facts("/33/3301/", Level::MAJOR);
        let group = |kind, place: &str| Group { alert: AlertId::mint(), kind, place: place.to_owned() };
        let others = [group(5102, "/33/"), group(1101, "gate"), group(5102, "pier"), group(5102, "/3301/")];
        assert_eq!(group_of(&others, &facts), None);
        let (division, camera) = (group(5102, "/33/3301/"), group(5102, "gate"));
        assert_eq!(group_of(std::slice::from_ref(&division), &facts), Some(division.alert));
        assert_eq!(group_of(&[division, camera.clone()], &facts), Some(camera.alert));
    }

    #[test]
    fn nothing_critical_nothing_of_the_bus_and_no_drill_joins() {
        for number in 1..=4 {
            let level = Level::try_from(number).unwrap();
            let facts = facts("/", level);
            assert_eq!(may_join(&facts, "node-1"), number >= 3);
            assert!(!may_join(&facts, PUBLISHER));
            assert!(!may_join(&Facts { drill: true, ..facts }, "node-1"));
        }
    }
}
