//! Which models run in a look, and what each floor has had.

use std::time::Duration;

use xueliang_base::{id::ModelName, time::Mono};

use super::Floor;

/// A rule's floor with the looks that served it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) floor: Floor,
    /// Arrival of the last picture at which all its models ran.
    pub(super) served: Option<Mono>,
    /// Since when the times between such pictures have been too long.
    pub(super) late_since: Option<Mono>,
    /// Whether the last picture came in time of the one before.
    pub(super) mended: bool,
    /// Whether it is looked at as at rest.
    pub(super) resting: bool,
    /// Whether it has seen something and is to decide.
    deciding: bool,
    /// Since when it is looked at more closely only because something woke its camera: what is promised is its floor at rest.
    woken: Option<Mono>,
    /// When less was promised for the last time: what was right then is no lateness now.
    roused: Option<Mono>,
}

impl Kept {
    pub(super) fn new(floor: Floor) -> Self {
        Self {
            floor,
            served: None,
            late_since: None,
            mended: false,
            resting: false,
            deciding: false,
            woken: None,
            roused: None,
        }
    }
    /// Whether what it had serves this floor, too.
    pub(super) fn is_of(&self, floor: &Floor) -> bool {
        let known = &self.floor;
        (&known.rule, &known.models, known.unserved) == (&floor.rule, &floor.models, floor.unserved)
    }
    /// The same with another floor from now on.
    pub(super) fn renewed(mut self, now: Mono, floor: Floor) -> Self {
        if self.floor != floor {
            (self.roused, self.late_since) = (Some(now), None);
            self.floor = floor;
        }
        self
    }
    /// Whether a look at which these models ran serves it.
    pub(super) fn is_served_by(&self, models: &[ModelName]) -> bool {
        !self.floor.unserved && self.floor.models.iter().all(|model| models.contains(model))
    }
    /// The longest time between two of its pictures, as it is looked at now.
    pub(super) fn blind_max(&self) -> Duration {
        if self.resting { self.floor.at_rest } else { self.floor.blind_max }
    }
    /// The time between two of its pictures that it asks for now.
    pub(super) fn asks(&self) -> Duration {
        if self.deciding { self.floor.deciding.min(self.blind_max()) } else { self.blind_max() }
    }
    /// Whether keyframes do not suffice now.
    pub(super) fn continued(&self) -> bool {
        self.floor.continued && !self.resting
    }
    /// The longest time between two of its pictures that is promised. Who was woken is looked at as often as there is room for.
    pub(super) fn promised(&self) -> Duration {
        if self.woken.is_some() { self.floor.at_rest } else { self.blind_max() }
    }
    /// Whether keyframes do not suffice for what is promised.
    pub(super) fn promises_continued(&self) -> bool {
        self.continued() && self.woken.is_none()
    }
    /// The longest time between two of its pictures that is no breach.
    pub(super) fn bound(&self, grace: Duration) -> Duration {
        late_after(self.promised(), grace)
    }
    /// Where its blindness is counted from; `born` before its first picture.
    pub(super) fn since(&self, born: Option<Mono>) -> Option<Mono> {
        let last = self.served.or(born)?;
        Some(self.roused.map_or(last, |roused| roused.max(last)))
    }
    /// Whether it would be broken before a picture that comes so long after this one.
    pub(super) fn breaks(&self, picture: Mono, step: Duration) -> bool {
        let next = picture.plus(step);
        !self.floor.unserved && self.served.is_none_or(|served| served.plus(self.asks()) < next)
    }
    /// Whether what is promised is broken unless this picture, or one that comes so long after it, is looked at.
    pub(super) fn is_at_stake(&self, picture: Mono, step: Duration) -> bool {
        let next = picture.plus(step);
        !self.floor.unserved && self.served.is_none_or(|served| served.plus(self.promised()) < next)
    }
    /// Whether a picture would be due at rest too.
    pub(super) fn is_owed(&self, picture: Mono) -> bool {
        self.served.is_none_or(|served| picture.since(served) >= self.floor.at_rest.mul_f64(0.9))
    }
    /// Is to decide, or is not any more. Returns whether that is a change.
    pub(super) fn decide(&mut self, deciding: bool) -> bool {
        std::mem::replace(&mut self.deciding, deciding) != deciding
    }
    /// Rests, or does not any more; `woken` where something woke its camera, and nothing else asks for looks. Returns whether it is
    /// looked at otherwise than before.
    pub(super) fn rest(&mut self, now: Mono, resting: bool, woken: bool) -> bool {
        let promised = self.promised();
        let mut changed = self.resting != resting;
        self.resting = resting;
        self.woken = woken.then(|| self.woken.unwrap_or(now));
        if self.promised() != promised {
            self.roused = (self.promised() < promised).then_some(now);
            self.late_since = None;
            changed = true;
        }
        changed
    }
    /// Takes a picture that served it; `born` is where blindness counts from before the first. Returns whether it came later than
    /// whoever was woken asks for, and no later than is promised.
    pub(super) fn serve(&mut self, picture: Mono, born: Option<Mono>, grace: Duration) -> bool {
        let since = self.served.or(born).zip(self.woken).map(|(served, woken)| served.max(woken));
        let asked = late_after(self.blind_max(), grace);
        let mut slow = since.is_some_and(|since| picture.since(since) > asked);
        self.mended = self.served.is_some()
            && self.since(born).is_some_and(|since| picture.since(since) <= self.bound(grace));
        if let Some(since) = self.since(born) {
            if picture.since(since) > self.bound(grace) {
                self.late_since.get_or_insert(since.plus(self.promised()));
                slow = false;
            } else {
                self.late_since = None;
            }
        }
        self.served = Some(self.served.map_or(picture, |served| served.max(picture)));
        slow
    }
}

/// The longest time between two pictures that is no breach of a floor: at most twice that.
fn late_after(floor: Duration, grace: Duration) -> Duration {
    floor + grace.min(floor)
}

/// The models without which some floor would be broken before the next look has served it. `step` is the longest time
/// from this picture to the next that is to be expected: what can wait for the next look, waits.
pub(super) fn models(floors: &[Kept], picture: Mono, step: Duration) -> Vec<ModelName> {
    let due = floors.iter().filter(|kept| kept.breaks(picture, step));
    let mut models: Vec<ModelName> = Vec::new();
    for model in due.flat_map(|kept| &kept.floor.models) {
        if let Err(place) = models.binary_search(model) {
            models.insert(place, model.clone());
        }
    }
    models
}

#[cfg(test)]
mod tests {
    use xueliang_base::kind::Kind;

    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }
    fn at(seconds: f64) -> Mono {
        Mono(1_000_000_000_000).plus(s(seconds))
    }
    fn kept(blind_max_s: f64, models: &[&str], served_s: Option<f64>) -> Kept {
        let floor = Floor {
            rule: "r".parse().unwrap(),
            kind: Kind::ZoneIntrusion,
            blind_max: s(blind_max_s),
            deciding: s(blind_max_s),
            at_rest: s(blind_max_s),
            continued: false,
            models: models.iter().map(|name| name.parse().unwrap()).collect(),
            unserved: false,
        };
        Kept { served: served_s.map(at), ..Kept::new(floor) }
    }

    #[test]
    fn a_model_runs_where_its_floor_would_break_before_the_next_look() {
        // Floors (longest blind, models, last served), the picture, the step to the next, and who must run.
        type Row = (&'static str, Vec<Kept>, f64, f64, Vec<&'static str>);
        let table: Vec<Row> = vec![
            ("never served", vec![kept(30.0, &["a"], None)], 0.0, 5.0, vec!["a"]),
            ("0.5 s, continued, early", vec![kept(0.5, &["a"], Some(0.0))], 0.4, 0.5, vec!["a"]),
            ("5 s at keyframes of 2 s", vec![kept(5.0, &["a"], Some(0.0))], 4.0, 5.0, vec!["a"]),
            ("4 s at keyframes of 3 s", vec![kept(4.0, &["a"], Some(0.0))], 3.0, 4.0, vec!["a"]),
            (
                "30 s beside 5 s, long before",
                vec![kept(30.0, &["a"], Some(0.0)), kept(5.0, &["b"], Some(20.0))],
                24.0,
                5.0,
                vec!["b"],
            ),
            (
                "30 s beside 5 s, the last in time",
                vec![kept(30.0, &["a"], Some(0.0)), kept(5.0, &["b"], Some(24.0))],
                28.0,
                5.0,
                vec!["a", "b"],
            ),
            (
                "one model for both",
                vec![kept(30.0, &["a"], Some(0.0)), kept(5.0, &["a"], Some(4.0))],
                8.0,
                5.0,
                vec!["a"],
            ),
            ("a rule of pixels alone", vec![kept(5.0, &[], Some(0.0))], 4.0, 5.0, vec![]),
            ("a rule of two models", vec![kept(5.0, &["b", "a"], Some(0.0))], 4.0, 5.0, vec!["a", "b"]),
        ];
        for (what, floors, picture, step, wanted) in table {
            let run = models(&floors, at(picture), s(step));
            let run: Vec<&str> = run.iter().map(ModelName::as_str).collect();
            assert_eq!(run, wanted, "{what}");
        }
    }

    #[test]
    fn a_breach_is_at_most_twice_the_floor_and_at_most_the_grace_beyond_it() {
        for (blind_max, bound) in [(0.3, 0.6), (0.5, 1.0), (1.0, 2.0), (5.0, 7.0), (30.0, 32.0)] {
            assert_eq!(kept(blind_max, &[], None).bound(s(2.0)), s(bound), "{blind_max}");
        }
    }

    #[test]
    fn a_floor_without_its_model_is_not_served() {
        let mut both = kept(5.0, &["a", "b"], None);
        let names = |names: &[&str]| names.iter().map(|n| n.parse().unwrap()).collect::<Vec<ModelName>>();
        assert!(!both.is_served_by(&names(&["a"])));
        assert!(both.is_served_by(&names(&["b", "c", "a"])));
        both.floor.unserved = true;
        assert!(!both.is_served_by(&names(&["a", "b"])));
        assert_eq!(models(&[both], at(0.0), s(5.0)), []);
    }
}
