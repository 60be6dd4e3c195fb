//! What each rule said: what the entries told it, in order.

use std::collections::BTreeMap;

use xueliang_base::{incident::Evidence, look::NotLooked, time::Mono};

use super::{
    ExplainedIncident, ExplainedRule, LOOK_ON, MissedThreshold, Nearest, Said, Times, Verdict,
    camera::inside, timeline::Timeline,
};
use crate::{
    logbook::{Entry, Held, Logbook, LoggedRule, RuleNote, RuleStanding, Told, Turn},
    rules::{Near, Progress},
};

/// What the rules said in that time.
pub(super) fn of(logbook: &Logbook, times: &Times, known: (Mono, Mono)) -> Vec<ExplainedRule> {
    let mut blocks = logbook.blocks();
    let Some(mut block) = blocks.next() else { return Vec::new() };
    let standing = block.standing().rules.iter();
    let mut rules: Vec<Walk> = logbook
        .rules()
        .iter()
        .zip(standing)
        .map(|(rule, standing)| Walk::new(rule, standing, known))
        .collect();
    let mut end = times.mono;
    'all: loop {
        for entry in block.entries() {
            let later = entry.when >= known.1;
            if later && (rules.iter().all(|walk| walk.complete) || entry.when.since(known.1) > LOOK_ON) {
                end = entry.when;
                break 'all;
            }
            for (walk, note) in rules.iter_mut().zip(&entry.rules) {
                walk.take(&entry, note);
            }
        }
        let Some(next) = blocks.next() else { break };
        block = next;
        // What else changed the rules stands at the beginning of the next block.
        if block.begins() < known.1 {
            for (walk, standing) in rules.iter_mut().zip(&block.standing().rules) {
                walk.take_over(standing.held);
            }
        }
    }
    rules.into_iter().map(|walk| walk.done(end)).collect()
}

/// One rule on the way through the logbook.
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
    /// Whether the rule was looked at as at rest at some time since.
    rested: bool,
    /// Whether a look after the end was found.
    complete: bool,
}

impl Walk {
    fn new(logged: &LoggedRule, standing: &RuleStanding, known: (Mono, Mono)) -> Self {
        let told = ExplainedRule {
            rule: logged.rule.clone(),
            timing: logged.timing,
            at_rest: logged.at_rest,
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
        let RuleStanding { looked, saw, silent, rested, held } = *standing;
        let mut walk = Self {
            told,
            known,
            line: Timeline::new(known),
            since: (looked, saw),
            silent: silent.into_iter().collect(),
            looked,
            rested,
            complete: false,
        };
        walk.take_over(held);
        walk
    }

    /// An incident that was there before.
    fn take_over(&mut self, held: Option<Held>) {
        let Some(held) = held else { return };
        if self.told.incidents.iter().all(|known| known.started != held.started) {
            self.told.incidents.push(explained(held, None));
        }
    }

    fn turn(&mut self, at: Mono, turn: Turn) {
        if at >= self.known.1 {
            return;
        }
        match turn {
            Turn::Raised(held) => self.told.incidents.push(explained(held, Some(at))),
            Turn::Resolved(why) => {
                if let Some(last) = self.told.incidents.last_mut() {
                    last.resolved = Some((at, why));
                }
            }
        }
    }

    fn take(&mut self, entry: &Entry, note: &RuleNote) {
        let Some(told) = &note.told else {
            let looked = entry.what.missed().is_none();
            self.told.untold += u64::from(looked && inside(entry.when, self.known));
            self.rested |= note.rests;
            return;
        };
        match told.evidence {
            Evidence::NotLooked(reason) => {
                if inside(told.at, self.known) {
                    *self.told.not_looked.entry(reason).or_default() += 1;
                }
                if self.silent.last().is_none_or(|(_, last)| *last != reason) {
                    let last = self.silent.last().map_or(self.since.0, |(at, _)| *at);
                    self.silent.push((told.at.max(last), reason));
                }
                self.rested |= note.rests;
            }
            evidence => {
                self.look(told.at, evidence == Evidence::Seen);
                self.rested = note.rests;
                self.looked_at(told);
            }
        }
        if let Some(turn) = told.turn {
            self.turn(told.at, turn);
        }
    }

    /// What a look said that told something.
    fn looked_at(&mut self, told: &Told) {
        let Told { at, .. } = *told;
        if let Some((looks, best)) = told.held
            && let Some(last) = self.told.incidents.last_mut()
            && last.resolved.is_none()
            && at < self.known.1
        {
            (last.looks, last.best) = (looks, best);
        }
        if !inside(at, self.known) {
            return;
        }
        if told.evidence == Evidence::Seen {
            self.told.seen += 1;
            if let Some(progress) = told.progress {
                self.seen(at, progress);
            }
            if told.cooling {
                self.told.cooling.get_or_insert(at);
            }
        } else {
            self.told.not_seen += 1;
            self.told.elsewhere += u64::from(told.elsewhere);
            if let Some(near) = told.near {
                self.near(at, near);
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
        let may = if self.rested { self.told.at_rest } else { self.told.rule.blind_max };
        self.told.floor_broken += u64::from(at.since(from) > may);
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
            Some(_) if self.rested => Said::Rested,
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
    fn seen(&mut self, at: Mono, progress: Progress) {
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

fn explained(held: Held, raised: Option<Mono>) -> ExplainedIncident {
    let Held { started, looks, best } = held;
    ExplainedIncident { started, raised, resolved: None, looks, best }
}
