//! What follows from what a rule said: why there was, or was not, an alert. Nothing is concluded from time in which
//! nobody looked.

mod zh;

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    config::Condition, detection::Meaning, incident::ThresholdKind, look::NotLooked, time::Mono,
};

use super::{Explained, ExplainedIncident, ExplainedRule, LookFor, LooksTaken, Said, Stretch};

/// What a verdict comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerdictKind {
    /// The logbook does not tell.
    #[default]
    CannotSay,
    /// There was one.
    Alert,
    /// It was confirmed, within the cooldown after an alert of the same rule.
    Cooldown,
    /// Something was seen, and not for long enough.
    NotConfirmed,
    /// For some or all of the time the rule could not look; in the rest nothing was seen.
    CouldNotLook,
    /// The camera rested for some or all of the time, since its pictures were quiet; in the rest nothing was seen.
    Rested,
    /// All of the time was watched, and nothing was seen.
    NotSeen,
}

/// Why there was, or was not, an alert.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// What it comes to.
    pub kind: VerdictKind,
    /// The same with figures and times, one sentence in English.
    pub text: String,
    /// Likewise in Chinese.
    pub text_zh: String,
}

pub(super) fn of(explained: &Explained, rule: &ExplainedRule) -> Verdict {
    let words = Words { explained, rule };
    let (kind, mut text) = if let Some(first) = rule.incidents.first() {
        (VerdictKind::Alert, words.alert(first))
    } else if let Some(at) = rule.cooling {
        (VerdictKind::Cooldown, words.cooldown(at))
    } else if rule.seen > 0 {
        (VerdictKind::NotConfirmed, words.not_confirmed())
    } else if rule.said.iter().all(|stretch| stretch.what == Said::Nothing) {
        (VerdictKind::CannotSay, words.nothing())
    } else if let Some(kind) = unwatched(&rule.said) {
        (kind, words.could_not_look())
    } else if explained.known.0 > explained.from {
        (VerdictKind::CannotSay, format!("no alert so far as the logbook tells: {}", words.not_seen()))
    } else {
        (VerdictKind::NotSeen, format!("no alert: {}", words.not_seen()))
    };
    if matches!(kind, VerdictKind::NotConfirmed | VerdictKind::Cooldown)
        && let Some(blind) = words.blind()
    {
        text.push_str(&format!("; besides, {blind}"));
    }
    if explained.known.0 > explained.from {
        let begins = explained.times.tell(explained.known.0);
        text.push_str(&format!("; what was before {begins} cannot be said: the logbook begins there"));
    }
    let text_zh = zh::text(explained, rule, kind);
    Verdict { kind, text, text_zh }
}

/// What unwatched time comes to; `None` where there is none.
fn unwatched(said: &[Stretch<Said>]) -> Option<VerdictKind> {
    let mut unwatched = said.iter().filter(|stretch| !stretch.what.watched()).peekable();
    unwatched.peek()?;
    let rested = unwatched.all(|stretch| stretch.what == Said::Rested);
    Some(if rested { VerdictKind::Rested } else { VerdictKind::CouldNotLook })
}

/// Why a rule could not look, the causes that lasted longest first: how long in all, the cause, and when.
fn causes(
    said: &[Stretch<Said>],
    cause: impl Fn(&Stretch<Said>) -> String,
) -> Vec<(Duration, String, Vec<&Stretch<Said>>)> {
    let mut causes: BTreeMap<String, Vec<&Stretch<Said>>> = BTreeMap::new();
    for stretch in said.iter().filter(|stretch| !stretch.what.watched()) {
        causes.entry(cause(stretch)).or_default().push(stretch);
    }
    let lasted = |parts: &[&Stretch<Said>]| parts.iter().map(|part| part.lasts()).sum::<Duration>();
    let mut causes: Vec<_> =
        causes.into_iter().map(|(cause, parts)| (lasted(&parts), cause, parts)).collect();
    causes.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    causes
}

fn seconds(of: Duration) -> String {
    format!("{:.1} s", of.as_secs_f64())
}

fn number(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

struct Words<'a> {
    explained: &'a Explained,
    rule: &'a ExplainedRule,
}

impl Words<'_> {
    fn at(&self, at: Mono) -> String {
        self.explained.times.tell(at)
    }

    fn alert(&self, first: &ExplainedIncident) -> String {
        let zone = &self.explained.times.zone;
        let started = first.started.time_of_day(zone);
        let mut text = match first.raised.filter(|raised| *raised >= self.explained.known.0) {
            Some(raised) => format!("alert raised at {}: {} since {started}", self.at(raised), self.thing()),
            None => format!("alert of before: {} since {started}", self.thing()),
        };
        match first.resolved.filter(|(at, _)| *at < self.explained.known.1) {
            Some((at, _)) => text.push_str(&format!(", resolved at {}", self.at(at))),
            None => text.push_str(", holding on at the end"),
        }
        let more = self.rule.incidents.len() - 1;
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    }

    fn cooldown(&self, at: Mono) -> String {
        let cooldown = seconds(self.rule.timing.cooldown);
        format!(
            "no alert: {} was confirmed at {}, within the {cooldown} after the end of an alert of this rule in which it \
             raises no other",
            self.thing(),
            self.at(at),
        )
    }

    fn not_confirmed(&self) -> String {
        let (seen, looks) = (self.rule.seen, self.rule.seen + self.rule.not_seen);
        let mut text =
            format!("no alert: {} was seen in {seen} of {}", self.thing(), number(looks, "look", "looks"));
        let dwell = seconds(self.rule.timing.dwell);
        if let Some(nearest) = self.rule.nearest {
            match nearest.share {
                Some(share) if nearest.watched < self.rule.timing.dwell => text.push_str(&format!(
                    ", in {:.0} % of the {dwell} and more that were watched, and {:.0} % confirm",
                    share * 100.0,
                    f64::from(self.rule.timing.seen_share) * 100.0
                )),
                _ => text.push_str(&format!(
                    ", for {} of the {dwell} that confirm, until {}",
                    seconds(nearest.watched.min(self.rule.timing.dwell)),
                    self.at(nearest.at)
                )),
            }
        } else {
            text.push_str(&format!(", not for the {dwell} that confirm"));
        }
        text
    }

    fn nothing(&self) -> String {
        match self.rule.untold {
            0 => "cannot say: no look told this rule anything yet".to_owned(),
            looks => {
                let looks = number(looks, "look", "looks");
                if self.rule.rule.condition.meanings().is_empty() {
                    return format!(
                        "cannot say: in {looks} there was nothing to compare the picture with yet"
                    );
                }
                format!("cannot say: in {looks} no model ran that sees what this rule needs")
            }
        }
    }

    fn could_not_look(&self) -> String {
        let blind = self.blind().unwrap_or_default() + &self.glances();
        match self.rule.not_seen {
            0 => format!("no alert: {blind}; nothing was looked at, so nothing can be concluded"),
            looks => {
                let looks = number(looks, "look", "looks");
                format!("no alert: {blind}; in {looks} beside that nothing was seen{}", self.missed())
            }
        }
    }

    fn not_seen(&self) -> String {
        let looks = number(self.rule.not_seen, "look", "looks");
        let apart = self.rule.longest_gap.map_or(Duration::ZERO, |(from, to)| to.since(from));
        format!("nothing was seen in {looks}, none further apart than {}{}", seconds(apart), self.missed())
    }

    /// What glances saw, where the camera rested.
    fn glances(&self) -> String {
        let rested = self.rule.said.iter().any(|stretch| stretch.what == Said::Rested);
        let glance = |looks: &&LooksTaken| matches!(looks.purpose, LookFor::Glance | LookFor::Stirred);
        let glances = || self.explained.looks.iter().filter(glance);
        let Some(last) = glances().map(|looks| looks.last).max().filter(|_| rested) else {
            return String::new();
        };
        let count = number(glances().map(|looks| looks.count).sum(), "glance", "glances");
        let woke = match self.explained.wakes.iter().map(|woken| woken.times).sum::<u64>() {
            0 => "nothing called for looks".to_owned(),
            looks => format!("{} had it watched", number(looks, "picture", "pictures")),
        };
        format!(" ({count}, the last at {}; {woke})", self.at(last))
    }

    /// The thresholds that looks missed.
    fn missed(&self) -> String {
        let mut text = String::new();
        for one in &self.rule.missed {
            let (best, needed) = (one.best, one.needed);
            text.push_str(&match one.kind {
                ThresholdKind::Score => format!("; the best score was {best:.2}, {needed:.2} is needed"),
                ThresholdKind::DensityPerM2 => {
                    format!("; the density was at most {best:.2} a square metre, {needed:.2} is needed")
                }
                ThresholdKind::MeanLuma => {
                    format!("; brightness was at least {best:.0}, dark is below {needed:.0}")
                }
                ThresholdKind::ViewMatch => {
                    format!("; the view matched by at least {best:.2}, another one by less than {needed:.2}")
                }
                _ => String::new(),
            });
        }
        if self.rule.elsewhere > 0 {
            let looks = number(self.rule.elsewhere, "look", "looks");
            text.push_str(&format!("; {looks} saw it outside the zone"));
        }
        text
    }

    /// Why the rule could not look, and when; `None` where all was watched.
    fn blind(&self) -> Option<String> {
        let causes = causes(&self.rule.said, |stretch| self.cause(stretch));
        let (all, left) = (causes.len(), causes.iter().skip(2).map(|(lasted, ..)| *lasted).sum::<Duration>());
        let mut texts: Vec<String> = causes
            .into_iter()
            .take(2)
            .map(|(lasted, cause, parts)| {
                let span =
                    |part: &Stretch<Said>| format!("from {} to {}", self.at(part.from), self.at(part.to));
                match &parts[..] {
                    [one] => format!("{cause} {}", span(one)),
                    [one, other] => format!("{cause} {} and {}", span(one), span(other)),
                    many => {
                        let longest = many
                            .iter()
                            .max_by_key(|part| part.lasts())
                            .map_or_else(String::new, |one| span(one));
                        format!("{cause} {} times, {} in all, longest {longest}", many.len(), seconds(lasted))
                    }
                }
            })
            .collect();
        if all > 2 {
            texts.push(format!("other reasons took {}", seconds(left)));
        }
        (!texts.is_empty()).then(|| texts.join(", and "))
    }

    fn cause(&self, stretch: &Stretch<Said>) -> String {
        let reason = match stretch.what {
            Said::NotLooked(NotLooked::Blind) => return self.blindness(stretch).to_owned(),
            Said::NotLooked(reason) => reason,
            Said::Unwatched => {
                let most = seconds(self.rule.timing.max_gap);
                return format!("its looks were further apart than the {most} that count as watched");
            }
            Said::Rested => return "the camera rested".to_owned(),
            Said::Nothing | Said::Seen | Said::NotSeen => {
                return "no look had told this rule anything".to_owned();
            }
        };
        match reason {
            NotLooked::Connecting => "the camera was connecting",
            NotLooked::Offline => "the camera could not be reached",
            NotLooked::Stalled => "the camera sent nothing",
            NotLooked::TooOld => "pictures would have been too old when looked at",
            NotLooked::Busy => "there were too few looks",
            NotLooked::Deadline => "looks took too long",
            NotLooked::WorkerLost => "the look worker died",
            NotLooked::Undecodable => "pictures could not be decoded",
            NotLooked::TooLarge => "pictures were larger than allowed",
            NotLooked::ModelFailed => "the model failed",
            NotLooked::ViewMoved => "the view was not surely the one that the zones were drawn on",
            NotLooked::Blind => "the scene could not be seen",
            NotLooked::Frozen => "the picture was frozen",
            NotLooked::NotConnected => "the camera was not connected, as its acquisition says",
            NotLooked::ExpectedOff => "the camera was off as its hours say",
            NotLooked::NotDue => "no look was due",
        }
        .to_owned()
    }

    /// What hid the scene for most of a stretch.
    fn blindness(&self, stretch: &Stretch<Said>) -> &'static str {
        let mut lasted = [Duration::ZERO; 3];
        for picture in &self.explained.picture {
            let overlap = picture.to.min(stretch.to).since(picture.from.max(stretch.from));
            let what = match picture.what {
                Some(troubles) if troubles.dark => 0,
                Some(troubles) if troubles.covered => 1,
                _ => 2,
            };
            lasted[what] += overlap;
        }
        match (0..3).max_by_key(|what| (lasted[*what], 3 - what)) {
            Some(0) => "the camera was dark",
            Some(1) => "the camera was covered",
            _ => "the scene could not be seen (overexposed, or too much of it hidden)",
        }
    }

    /// What the rule looks for.
    fn thing(&self) -> String {
        let words = |meanings: &[Meaning]| {
            let words: Vec<_> = meanings.iter().map(|meaning| meaning.word().replace('_', "-")).collect();
            words.join(" or ")
        };
        let place = self.rule.rule.zone.as_ref().map_or_else(String::new, |zone| format!(" in {zone}"));
        match &self.rule.rule.condition {
            Condition::InZone { meanings, .. } => format!("a {}{place}", words(meanings)),
            Condition::Blocking { meanings, .. } => format!("a standing {}{place}", words(meanings)),
            Condition::AgainstDirection { meanings, .. } => {
                format!("a {} against the direction{place}", words(meanings))
            }
            Condition::Density { .. } => format!("a crowd{place}"),
            Condition::StaticForeground { .. } => format!("a left object{place}"),
            Condition::Burning { meaning, .. } => format!("{}{place}", meaning.word()),
            Condition::Dark { .. } => "a dark picture".to_owned(),
            Condition::Covered { .. } => "a covered picture".to_owned(),
            Condition::Frozen => "a frozen picture".to_owned(),
            Condition::Moved { .. } => "another view".to_owned(),
            Condition::NoSignal => "a silent camera".to_owned(),
        }
    }
}
