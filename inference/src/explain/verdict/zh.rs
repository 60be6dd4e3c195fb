//! Verdicts in Chinese: the same figures and times as the English sentence, in the words of the vocabulary.

use std::time::Duration;

use xueliang_base::{
    config::Condition, detection::Meaning, incident::ThresholdKind, look::NotLooked, time::Mono,
    vocabulary::UNIT_REASONS,
};

use super::{VerdictKind, causes, unwatched};
use crate::explain::{Explained, ExplainedIncident, ExplainedRule, LookFor, LooksTaken, Said, Stretch};

/// Why there was, or was not, an alert, where that comes to `kind`.
pub(super) fn text(explained: &Explained, rule: &ExplainedRule, kind: VerdictKind) -> String {
    let words = Words { explained, rule };
    let begins_later = explained.known.0 > explained.from;
    let mut text = match kind {
        VerdictKind::Alert => rule.incidents.first().map(|first| words.alert(first)).unwrap_or_default(),
        VerdictKind::Cooldown => rule.cooling.map(|at| words.cooldown(at)).unwrap_or_default(),
        VerdictKind::NotConfirmed => words.not_confirmed(),
        VerdictKind::CouldNotLook | VerdictKind::Rested => words.could_not_look(),
        VerdictKind::CannotSay if rule.said.iter().all(|stretch| stretch.what == Said::Nothing) => {
            words.nothing()
        }
        VerdictKind::CannotSay => format!("就记录所及没有告警：{}", words.not_seen()),
        VerdictKind::NotSeen => format!("没有告警：{}", words.not_seen()),
    };
    if matches!(kind, VerdictKind::NotConfirmed | VerdictKind::Cooldown) && unwatched(&rule.said).is_some() {
        text.push_str(&format!("；另外，{}", words.blind()));
    }
    if begins_later {
        let begins = explained.times.tell(explained.known.0);
        text.push_str(&format!("；{begins} 之前无从得知：记录从那时开始"));
    }
    text
}

fn seconds(of: Duration) -> String {
    format!("{:.1} 秒", of.as_secs_f64())
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
        let started = first.started.time_of_day(&self.explained.times.zone);
        let mut text = match first.raised.filter(|raised| *raised >= self.explained.known.0) {
            Some(raised) => format!("{} 告警：自 {started} 起{}", self.at(raised), self.thing()),
            None => format!("此前已告警：自 {started} 起{}", self.thing()),
        };
        match first.resolved.filter(|(at, _)| *at < self.explained.known.1) {
            Some((at, _)) => text.push_str(&format!("，{} 解除", self.at(at))),
            None => text.push_str("，到最后仍在持续"),
        }
        let more = self.rule.incidents.len() - 1;
        if more > 0 {
            text.push_str(&format!("；另有 {more} 条"));
        }
        text
    }

    fn cooldown(&self, at: Mono) -> String {
        let cooldown = seconds(self.rule.timing.cooldown);
        format!(
            "没有新告警：{} 时确认{}，但在本规则上一条告警结束后的 {cooldown}冷却期内，期间不再告警",
            self.at(at),
            self.thing()
        )
    }

    fn not_confirmed(&self) -> String {
        let (seen, looks) = (self.rule.seen, self.rule.seen + self.rule.not_seen);
        let mut text = format!("没有告警：{looks} 次查看中有 {seen} 次发现{}", self.thing());
        let dwell = seconds(self.rule.timing.dwell);
        match self.rule.nearest {
            Some(nearest) => match nearest.share {
                Some(share) if nearest.watched < self.rule.timing.dwell => text.push_str(&format!(
                    "，占所看 {dwell}以上时间的 {:.0} %，达到 {:.0} % 才确认",
                    share * 100.0,
                    f64::from(self.rule.timing.seen_share) * 100.0
                )),
                _ => text.push_str(&format!(
                    "，至 {} 持续 {}，满 {dwell}才确认",
                    self.at(nearest.at),
                    seconds(nearest.watched.min(self.rule.timing.dwell))
                )),
            },
            None => text.push_str(&format!("，没有持续到确认所需的 {dwell}")),
        }
        text
    }

    fn nothing(&self) -> String {
        match self.rule.untold {
            0 => "无法判断：还没有任何查看与本规则有关".to_owned(),
            looks if self.rule.rule.condition.meanings().is_empty() => {
                format!("无法判断：{looks} 次查看时还没有可供比对的画面")
            }
            looks => format!("无法判断：{looks} 次查看都没有运行本规则所需的模型"),
        }
    }

    fn could_not_look(&self) -> String {
        let blind = self.blind() + &self.glances();
        match self.rule.not_seen {
            0 => format!("没有告警：{blind}；期间一次也没有看，因此不能下结论"),
            looks => format!("没有告警：{blind}；其余 {looks} 次查看均未发现{}", self.missed()),
        }
    }

    fn not_seen(&self) -> String {
        let apart = self.rule.longest_gap.map_or(Duration::ZERO, |(from, to)| to.since(from));
        format!("{} 次查看均未发现，间隔最长 {}{}", self.rule.not_seen, seconds(apart), self.missed())
    }

    fn glances(&self) -> String {
        let rested = self.rule.said.iter().any(|stretch| stretch.what == Said::Rested);
        let glance = |looks: &&LooksTaken| matches!(looks.purpose, LookFor::Glance | LookFor::Stirred);
        let glances = || self.explained.looks.iter().filter(glance);
        let Some(last) = glances().map(|looks| looks.last).max().filter(|_| rested) else {
            return String::new();
        };
        let count: u64 = glances().map(|looks| looks.count).sum();
        let woke = match self.explained.wakes.iter().map(|woken| woken.times).sum::<u64>() {
            0 => "没有发现需要细看的变化".to_owned(),
            looks => format!("{looks} 个画面使其转入值守"),
        };
        format!("（粗看 {count} 次，最后一次在 {}；{woke}）", self.at(last))
    }

    fn missed(&self) -> String {
        let mut text = String::new();
        for one in &self.rule.missed {
            let (best, needed) = (one.best, one.needed);
            text.push_str(&match one.kind {
                ThresholdKind::Score => format!("；置信度最高 {best:.2}，门槛 {needed:.2}"),
                ThresholdKind::DensityPerM2 => format!("；密度最高每平方米 {best:.2}，门槛 {needed:.2}"),
                ThresholdKind::MeanLuma => format!("；亮度最低 {best:.0}，低于 {needed:.0} 才算过暗"),
                ThresholdKind::ViewMatch => format!("；画面相似度最低 {best:.2}，低于 {needed:.2} 才算转向"),
                _ => String::new(),
            });
        }
        if self.rule.elsewhere > 0 {
            text.push_str(&format!("；{} 次在区域之外发现", self.rule.elsewhere));
        }
        text
    }

    /// Why the rule could not look, and when.
    fn blind(&self) -> String {
        let causes = causes(&self.rule.said, |stretch| self.cause(stretch));
        let left: Duration = causes.iter().skip(2).map(|(lasted, ..)| *lasted).sum();
        let all = causes.len();
        let span = |part: &Stretch<Said>| format!("{} 至 {}", self.at(part.from), self.at(part.to));
        let mut texts: Vec<String> = causes
            .into_iter()
            .take(2)
            .map(|(lasted, cause, parts)| match &parts[..] {
                [one] => format!("{}{cause}", span(one)),
                [one, other] => format!("{}及 {}{cause}", span(one), span(other)),
                many => {
                    let longest = many.iter().max_by_key(|part| part.lasts()).map(|one| span(one));
                    let longest = longest.unwrap_or_default();
                    format!("{cause} {} 次，共 {}，最长一次 {longest}", many.len(), seconds(lasted))
                }
            })
            .collect();
        if all > 2 {
            texts.push(format!("其他原因共 {}", seconds(left)));
        }
        texts.join(",")
    }

    fn cause(&self, stretch: &Stretch<Said>) -> String {
        match stretch.what {
            Said::NotLooked(reason) => called(reason),
            Said::Unwatched => {
                format!("查看间隔超过算作看着的 {}", seconds(self.rule.timing.max_gap))
            }
            Said::Rested => "休眠".to_owned(),
            Said::Nothing | Said::Seen | Said::NotSeen => "还没有与本规则有关的查看".to_owned(),
        }
    }

    fn thing(&self) -> String {
        let words =
            |meanings: &[Meaning]| meanings.iter().copied().map(meaning).collect::<Vec<_>>().join("或");
        let place = self.rule.rule.zone.as_ref().map_or_else(String::new, |zone| format!("区域 {zone} 内"));
        match &self.rule.rule.condition {
            Condition::InZone { meanings, .. } => format!("{place}有{}", words(meanings)),
            Condition::Blocking { meanings, .. } => format!("{place}有{}停留", words(meanings)),
            Condition::AgainstDirection { meanings, .. } => format!("{place}有{}逆行", words(meanings)),
            Condition::Density { .. } => format!("{place}人群密集"),
            Condition::StaticForeground { .. } => format!("{place}有遗留物"),
            Condition::Burning { meaning: what, .. } => format!("{place}有{}", meaning(*what)),
            Condition::Dark { .. } => "画面过暗".to_owned(),
            Condition::Covered { .. } => "画面被遮挡".to_owned(),
            Condition::Frozen => "画面冻结".to_owned(),
            Condition::Moved { .. } => "画面转向".to_owned(),
            Condition::NoSignal => "没有信号".to_owned(),
        }
    }
}

/// A reason as it is called elsewhere.
fn called(reason: NotLooked) -> String {
    let word = reason.word();
    UNIT_REASONS.iter().find(|one| one.reason == word).map_or(word, |one| one.zh).to_owned()
}

fn meaning(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Person => "人员",
        Meaning::Vehicle => "车辆",
        Meaning::TwoWheeler => "两轮车",
        Meaning::Vessel => "船只",
        Meaning::Train => "列车",
        Meaning::Animal => "动物",
        Meaning::PortableObject => "可携带物品",
        Meaning::Fire => "明火",
        Meaning::Smoke => "烟雾",
    }
}
