//! What each rule said: the analyst goes through the journal again, and each rule's words are written down.

use std::collections::BTreeMap;

use xueliang_base::{
    incident::{Edge, Evidence, Incident},
    look::NotLooked,
    time::Mono,
};

use super::{
    ExplainedIncident, ExplainedRule, LEAD, LOOK_ON, MissedThreshold, Nearest, Said, Stretch, Times, Verdict,
    camera::{inside, when},
    timeline::{Flow, Timeline},
};
use crate::{
    analyst::{Analyst, PictureTroubles},
    journal::{Journal, Mark},
    rules::{Episode, Moment, Near},
};

type Pictures = Vec<Stretch<Option<PictureTroubles>>>;

/// What the rules said in that time, and what was wrong with pictures.
pub(super) fn of(journal: &Journal, times: &Times, known: (Mono, Mono)) -> (Vec<ExplainedRule>, Pictures) {
    let Some(start) = start(journal, known.0) else { return (Vec::new(), Vec::new()) };
    let mut analyst = Analyst::clone(&start.analyst);
    let mut rules: Vec<Walk> =
        analyst.episodes().iter().map(|episode| Walk::new(episode, start.at, known)).collect();
    let mut picture = Flow::new(known, analyst.has_looked().then(|| analyst.troubles()));
    let mut marks = journal.marks().filter(|mark| mark.at > start.at).peekable();
    let mut end = times.mono;
    for (number, observation) in journal.from(start.next) {
        // What else changed the analyst was marked then; marks that only fell due are what it is anyway.
        while let Some(mark) = marks.next_if(|mark| mark.next <= number) {
            analyst = Analyst::clone(&mark.analyst);
            for (walk, episode) in rules.iter_mut().zip(analyst.episodes()) {
                walk.take_over(episode.incident());
            }
        }
        let at = when(observation);
        let later = at >= known.1;
        if later && (rules.iter().all(|walk| walk.complete) || at.since(known.1) > LOOK_ON) {
            end = at;
            break;
        }
        let edges = analyst.step_telling(observation, &mut |index, episode, moment| {
            if let Some(walk) = rules.get_mut(index) {
                walk.take(episode, moment);
            }
        });
        if observation.outcome.is_ok() {
            picture.tell(at, Some(analyst.troubles()), true);
        }
        for edge in edges {
            if let Some(walk) = rules.iter_mut().find(|walk| walk.told.rule.id == edge.incident().rule) {
                walk.edge(&edge);
            }
        }
    }
    (rules.into_iter().map(|walk| walk.done(end)).collect(), picture.done())
}

/// The latest mark with some lead; the first one where none has.
fn start(journal: &Journal, from: Mono) -> Option<&Mark> {
    let early = journal.marks().rev().find(|mark| mark.at.plus(LEAD) <= from);
    early.or_else(|| journal.marks().next())
}

/// One rule on the way through the journal.
struct Walk {
    told: ExplainedRule,
    known: (Mono, Mono),
    line: Timeline<Said>,
    /// Since when something is told, and what: the latest look, or nothing.
    since: (Mono, Option<bool>),
    /// What was said since then that tells nothing: when it began, and the reason.
    silent: Vec<(Mono, NotLooked)>,
    /// The latest look; where there was none, the beginning.
    looked: Mono,
    /// Whether a look after the end was found.
    complete: bool,
}

impl Walk {
    fn new(episode: &Episode, start: Mono, known: (Mono, Mono)) -> Self {
        let (mut since, mut silent) = ((start, None), Vec::new());
        match episode.evidence() {
            Some((at, Evidence::Seen)) => since = (at, Some(true)),
            Some((at, Evidence::NotSeen)) => since = (at, Some(false)),
            Some((_, Evidence::NotLooked(reason))) => silent.push((start, reason)),
            None => {}
        }
        let told = ExplainedRule {
            rule: episode.rule().clone(),
            timing: *episode.timing(),
            verdict: Verdict::default(),
            seen: 0,
            not_seen: 0,
            not_looked: BTreeMap::new(),
            untold: 0,
            said: Vec::new(),
            longest_gap: None,
            floor_broken: 0,
            nearest: None,
            missed: Vec::new(),
            elsewhere: 0,
            cooling: None,
            incidents: Vec::new(),
        };
        let looked = episode.timer().last_looked().unwrap_or(start);
        let line = Timeline::new(known);
        let mut walk = Self { told, known, line, since, silent, looked, complete: false };
        walk.take_over(episode.incident());
        walk
    }

    /// An incident that was there before.
    fn take_over(&mut self, incident: Option<&Incident>) {
        let Some(incident) = incident else { return };
        if self.told.incidents.iter().all(|known| known.started != incident.started_wall) {
            self.told.incidents.push(explained(incident, None));
        }
    }

    fn edge(&mut self, edge: &Edge) {
        let incident = edge.incident();
        if incident.decided_arrival >= self.known.1 {
            return;
        }
        let known = self.told.incidents.iter_mut().find(|known| known.started == incident.started_wall);
        match (known, edge) {
            (None, _) => {
                self.told.incidents.push(explained(incident, Some(incident.decided_arrival)));
            }
            (Some(known), Edge::Resolved(_, why)) => {
                known.resolved = Some((incident.decided_arrival, *why));
            }
            (Some(_), _) => {}
        }
    }

    fn take(&mut self, episode: &Episode, moment: &Moment<'_>) {
        let observed = when(moment.observation);
        let Some((at, finding)) = episode.told() else {
            let looked = moment.observation.outcome.is_ok();
            self.told.untold += u64::from(looked && inside(observed, self.known));
            return;
        };
        let counted = inside(at, self.known);
        let saw = match finding.evidence {
            Evidence::Seen => true,
            Evidence::NotSeen => false,
            Evidence::NotLooked(reason) => {
                *self.told.not_looked.entry(reason).or_default() += u64::from(counted);
                if self.silent.last().is_none_or(|(_, last)| *last != reason) {
                    let last = self.silent.last().map_or(self.since.0, |(at, _)| *at);
                    self.silent.push((at.max(last), reason));
                }
                return;
            }
        };
        self.look(at, saw);
        if let Some(incident) = episode.incident()
            && let Some(known) = self.told.incidents.last_mut()
            && known.started == incident.started_wall
            && at < self.known.1
        {
            (known.looks, known.best) = (incident.count, incident.confidence);
        }
        if !counted {
            return;
        }
        if saw {
            self.told.seen += 1;
            self.seen(at, episode);
            if episode.timer().cooling(at, &finding.subjects) {
                self.told.cooling.get_or_insert(at);
            }
        } else {
            self.told.not_seen += 1;
            let (near, elsewhere) = episode.conditioned().near(moment, finding);
            self.told.elsewhere += u64::from(elsewhere);
            for one in near {
                self.near(at, one);
            }
        }
    }

    /// A look told something: what was open until then is settled.
    fn look(&mut self, at: Mono, saw: bool) {
        self.gap(at);
        self.complete |= at >= self.known.1;
        let at = at.max(self.since.0);
        self.close(at);
        self.since = (at, Some(saw));
    }

    /// The time from the look before to this moment.
    fn gap(&mut self, at: Mono) {
        let from = self.looked;
        self.looked = at.max(from);
        if from >= self.known.1 || at <= self.known.0 {
            return;
        }
        self.told.floor_broken += u64::from(at.since(from) > self.told.rule.blind_max);
        if self.told.longest_gap.is_none_or(|(a, b)| at.since(from) > b.since(a)) {
            self.told.longest_gap = Some((from, at));
        }
    }

    /// Says what the time from the latest look up to this moment was.
    fn close(&mut self, until: Mono) {
        let (since, look) = self.since;
        let silent = std::mem::take(&mut self.silent);
        let first = match look {
            Some(saw) if until.since(since) <= self.told.timing.max_gap => {
                self.line.span(since, until, if saw { Said::Seen } else { Said::NotSeen }, look);
                return;
            }
            Some(_) => Said::Unwatched,
            None => Said::Nothing,
        };
        // A look may be of a picture that came before the latest word that there was none.
        let cut = |at: Option<&(Mono, NotLooked)>| at.map_or(until, |(at, _)| (*at).min(until));
        self.line.span(since, cut(silent.first()), first, look);
        for (index, (from, reason)) in silent.iter().enumerate() {
            self.line.span(*from, cut(silent.get(index + 1)), Said::NotLooked(*reason), None);
        }
    }

    /// How near it came to firing at a look that saw it.
    fn seen(&mut self, at: Mono, episode: &Episode) {
        let Some(progress) = episode.timer().progress() else { return };
        let share = [self.told.nearest.and_then(|nearest| nearest.share), progress.share];
        let share = share.into_iter().flatten().max_by(f64::total_cmp);
        let nearest = self.told.nearest.filter(|nearest| nearest.watched >= progress.watched);
        let here = Nearest { at, watched: progress.watched, seen: progress.seen, share };
        self.told.nearest = Some(Nearest { share, ..nearest.unwrap_or(here) });
    }

    fn near(&mut self, at: Mono, near: Near) {
        let Near { kind, best, needed } = near;
        let here = MissedThreshold { kind, best, needed, at };
        match self.told.missed.iter_mut().find(|known| known.kind == kind) {
            Some(known) if near.beats(&Near { kind, best: known.best, needed }) => *known = here,
            Some(_) => {}
            None => self.told.missed.push(here),
        }
    }

    /// Nothing more was told until this moment.
    fn done(mut self, end: Mono) -> ExplainedRule {
        let end = end.max(self.known.1);
        if !self.complete {
            self.gap(end);
        }
        self.close(end.max(self.since.0));
        let known = self.known;
        self.told.said = self.line.done();
        self.told.incidents.retain(|one| {
            one.resolved.is_none_or(|(at, _)| at >= known.0) && one.raised.is_none_or(|at| at < known.1)
        });
        self.told
    }
}

fn explained(incident: &Incident, raised: Option<Mono>) -> ExplainedIncident {
    ExplainedIncident {
        started: incident.started_wall,
        raised,
        resolved: None,
        looks: incident.count,
        best: incident.confidence,
    }
}
