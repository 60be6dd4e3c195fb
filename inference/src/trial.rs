//! What rules would have made of what a camera's looks saw: pure. Rules that are drawn up are tried on the journal before they
//! are put in force, beside those that are.
//!
//! A trial knows the looks that were taken, for the rules that were in force: where a model did not run, a rule that needs it says
//! nothing, and no trial makes looks that a shorter floor would have asked for.

use std::collections::BTreeMap;

use xueliang_base::{
    config::Camera,
    id::RuleId,
    incident::{Edge, Evidence},
    kind::{Kind, Level},
    look::{NotLooked, Observation},
    time::Wall,
};

use crate::analyst::{Analyst, ModelMeanings, Reference};

/// Incidents of one rule that are told, the latest.
pub const MOST_INCIDENTS: usize = 64;

/// What the looks were that rules were tried on, and what each rule made of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The first entry and the last; `None`: there is none.
    pub between: Option<(Wall, Wall)>,
    /// Looks that gave a picture.
    pub looks: u64,
    /// Entries without one.
    pub missed: u64,
    /// In the order of the camera's rules.
    pub rules: Vec<Tried>,
}

/// What one rule made of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The rule.
    pub rule: RuleId,
    /// What it raises.
    pub kind: Kind,
    /// Entries at which it was seen to hold.
    pub seen: u64,
    /// Entries at which it was seen not to.
    pub not_seen: u64,
    /// Looks that told it nothing, since its models did not see them.
    pub silent: u64,
    /// Entries that could tell nothing, by reason, most first.
    pub missed: Vec<(NotLooked, u64)>,
    /// What it would have raised, oldest first; the latest [`MOST_INCIDENTS`].
    pub incidents: Vec<TriedIncident>,
    /// Earlier ones.
    pub left_out: u64,
}

/// What a rule would have raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TriedIncident {
    /// Arrival of the first picture that counted.
    pub started: Wall,
    /// Arrival of the picture that decided.
    pub raised: Wall,
    /// When it ended; `None`: it holds at the journal's end.
    pub resolved: Option<Wall>,
    /// The highest level that it had.
    pub level: Level,
    /// Best score; 0 where the rule has none.
    pub score: f32,
}

/// Tries a camera's rules on these entries, oldest first, from this reference view on and with no incident before.
pub fn try_rules(
    camera: &Camera,
    reference: Option<Reference>,
    models: &[ModelMeanings],
    entries: impl Iterator<Item = Observation>,
) -> Trial {
    let mut analyst = Analyst::new(camera, reference).with_models(models);
    let mut trial = Trial { between: None, looks: 0, missed: 0, rules: Vec::new() };
    let rules = camera.rules.iter().map(|rule| Tried {
        rule: rule.id.clone(),
        kind: rule.kind,
        seen: 0,
        not_seen: 0,
        silent: 0,
        missed: Vec::new(),
        incidents: Vec::new(),
        left_out: 0,
    });
    trial.rules = rules.collect();
    let mut missed: Vec<BTreeMap<NotLooked, u64>> = vec![BTreeMap::new(); trial.rules.len()];
    for entry in entries {
        let first = trial.between.map_or(entry.at_wall, |(first, _)| first);
        trial.between = Some((first, entry.at_wall));
        let looked = entry.outcome.is_ok();
        *(if looked { &mut trial.looks } else { &mut trial.missed }) += 1;
        let edges = analyst.step(&entry);
        for ((tried, missed), episode) in trial.rules.iter_mut().zip(&mut missed).zip(analyst.episodes()) {
            match episode.told().map(|(_, finding)| finding.evidence) {
                Some(Evidence::Seen) => tried.seen += 1,
                Some(Evidence::NotSeen) => tried.not_seen += 1,
                Some(Evidence::NotLooked(reason)) => *missed.entry(reason).or_default() += 1,
                None => tried.silent += u64::from(looked),
            }
        }
        for edge in edges {
            if let Some(tried) = trial.rules.iter_mut().find(|one| one.rule == edge.incident().rule) {
                tried.turn(&edge);
            }
        }
    }
    for (tried, missed) in trial.rules.iter_mut().zip(missed) {
        tried.missed = missed.into_iter().collect();
        tried.missed.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    }
    trial
}

impl Tried {
    fn turn(&mut self, edge: &Edge) {
        let incident = edge.incident();
        if let Edge::Raised(_) = edge {
            if self.incidents.len() == MOST_INCIDENTS {
                self.incidents.remove(0);
                self.left_out += 1;
            }
            self.incidents.push(TriedIncident {
                started: incident.started_wall,
                raised: incident.decided_wall,
                resolved: None,
                level: incident.level,
                score: incident.confidence,
            });
        }
        let Some(last) = self.incidents.last_mut() else { return };
        // The more severe one has the smaller number.
        if incident.level.number() < last.level.number() {
            last.level = incident.level;
        }
        last.score = incident.confidence;
        if let Edge::Resolved(..) = edge {
            last.resolved = Some(incident.decided_wall);
        }
    }
}

#[cfg(test)]
mod tests {
    use xueliang_base::{config::CameraRules, detection::Meaning, geometry::Rect};

    use super::*;
    use crate::analyst::staging::{camera, models, not_looked, person_rule, street, wall};

    /// Someone is in the zone from 10 to 20 s, and to the left of it, where no zone is, from 40 to 50 s.
    fn entries() -> Vec<Observation> {
        let inside = Rect::new(0.7, 0.4, 0.8, 0.7);
        let beside = Rect::new(0.1, 0.4, 0.2, 0.7);
        (0..120)
            .map(|n| {
                let seconds = f64::from(n) * 0.5;
                let rect = match n {
                    20..40 => Some(inside),
                    80..100 => Some(beside),
                    _ => None,
                };
                match rect {
                    _ if n == 60 => not_looked(seconds, NotLooked::Stalled),
                    Some(rect) => street(1).with("street", Meaning::Person, 0.8, rect).at(seconds),
                    None => street(1).at(seconds),
                }
            })
            .collect()
    }

    fn tried(camera: &Camera, entries: Vec<Observation>) -> Trial {
        try_rules(camera, None, &models(), entries.into_iter())
    }

    #[test]
    fn rules_are_tried_on_what_looks_saw_and_another_zone_sees_what_the_one_in_force_did_not() {
        let now = camera(vec![person_rule("now")]);
        let trial = tried(&now, entries());
        assert_eq!((trial.looks, trial.missed), (119, 1));
        assert_eq!(trial.between, Some((wall(0.0), wall(59.5))));
        let rule = &trial.rules[0];
        assert_eq!((rule.seen, rule.silent, rule.left_out), (20, 0, 0));
        assert_eq!(rule.missed, [(NotLooked::Stalled, 1)]);
        assert_eq!(rule.seen + rule.not_seen + 1, 120);
        let [one] = rule.incidents[..] else { panic!("{rule:?}") };
        assert!(one.started <= one.raised && one.resolved.unwrap() > one.raised);
        assert!(one.started >= wall(9.0) && one.resolved.unwrap() < wall(40.0), "{one:?}");

        // Drawn over the place to the left, it holds there and not here.
        let mut rules = CameraRules::of(&now);
        let left = "[[zone]]\nid = \"z\"\npolygon = [[0, 0.1], [0.3, 0.1], [0.3, 1], [0, 1]]\n";
        rules.zones = CameraRules::parse(left).unwrap().zones;
        let mut moved = now.clone();
        rules.put_into(&mut moved);
        let trial = tried(&moved, entries());
        let [one] = trial.rules[0].incidents[..] else { panic!("{trial:?}") };
        assert!(one.started >= wall(39.0), "{one:?}");
    }

    #[test]
    fn looks_without_the_rules_model_are_silent_and_what_holds_at_the_end_has_no_end() {
        let now = camera(vec![person_rule("now")]);
        let mut entries = entries();
        entries.truncate(30);
        for (n, entry) in entries.iter_mut().enumerate().take(10) {
            *entry = street(1).looked_by(&[]).at(f64::from(u32::try_from(n).unwrap()) * 0.5);
        }
        let rule = &tried(&now, entries).rules[0];
        assert_eq!((rule.silent, rule.seen), (10, 10));
        assert_eq!(rule.incidents.len(), 1);
        assert_eq!(rule.incidents[0].resolved, None);
        let nothing = tried(&now, Vec::new());
        assert_eq!((nothing.between, nothing.looks), (None, 0));
    }
}
