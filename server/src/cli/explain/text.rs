//! An explanation for people, a hundred columns wide.

use xueliang_base::{
    time::Wall,
    wire::{self, word},
};
use xueliang_proto::v1::{self, ExplainedLookKind, LookPurpose, Said, Signal, WakeReason};

/// Columns.
const WIDTH: usize = 100;
/// Stretches of one list that are shown.
const MOST: usize = 12;

/// All of it.
pub(super) fn of(camera: &v1::ExplainedCamera, asked: (Wall, Wall), zone: &str) -> String {
    let mut page = Page { zone, lines: Vec::new() };
    page.head(camera, asked);
    page.camera(camera);
    for rule in &camera.rules {
        page.rule(rule);
    }
    if camera.stretches_left_out > 0 {
        page.line(&format!(
            "({} stretches were too many to be told: ask for a shorter time)",
            camera.stretches_left_out
        ));
    }
    page.lines.join("\n") + "\n"
}

fn seconds(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a tenth of a second is shown")]
    let seconds = us as f64 / 1e6;
    format!("{seconds:.1} s")
}

fn lasts(from: i64, to: i64) -> String {
    seconds(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

fn reason(reason: v1::NotLooked) -> String {
    word(reason.as_str_name(), "NOT_LOOKED_").replace('_', " ")
}

fn looks(count: u64) -> String {
    if count == 1 { "1 look".to_owned() } else { format!("{count} looks") }
}

fn purpose(purpose: LookPurpose) -> &'static str {
    match purpose {
        LookPurpose::Unspecified | LookPurpose::Floor => "as rules ask",
        LookPurpose::Rest => "as rules ask at rest",
        LookPurpose::Glance => "glances",
        LookPurpose::Stirred => "glances that the stream asked for",
        LookPurpose::Watch => "after a wake",
        LookPurpose::Decide => "for a rule to decide",
    }
}

fn woken(reason: WakeReason) -> &'static str {
    match reason {
        WakeReason::Unspecified => "for a reason that this version does not know",
        WakeReason::Moving => "something moved",
        WakeReason::Global => "most of the picture was new",
        WakeReason::Staying => "something new stayed",
        WakeReason::Kept => "something known was still there",
    }
}

struct Page<'a> {
    zone: &'a str,
    lines: Vec<String>,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.indented("", "", text);
    }
    /// A paragraph: its first line begins so, the others so.
    fn indented(&mut self, first: &str, others: &str, text: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for one in text.split(' ') {
            if !empty && line.chars().count() + 1 + one.chars().count() > WIDTH {
                self.lines.push(std::mem::replace(&mut line, others.to_owned()));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(one);
            empty = false;
        }
        self.lines.push(line.trim_end().to_owned());
    }
    fn labelled(&mut self, label: &str, text: &str) {
        self.indented(&format!("{label:<10}"), &" ".repeat(10), text);
    }
    fn at(&self, unix_us: i64) -> String {
        Wall(unix_us).time_of_day(self.zone)
    }

    fn head(&mut self, camera: &v1::ExplainedCamera, (from, to): (Wall, Wall)) {
        self.line(&format!("{}  {}", camera.camera_id, camera.name));
        let day = from.rfc3339(self.zone);
        let (day, zone) = (day.get(..10).unwrap_or_default(), self.zone);
        let (since, until) = (self.at(from.0), self.at(to.0));
        let revision = camera.config_revision;
        self.line(&format!("{day} {since} to {until}, {zone}; configuration {revision}"));
        if camera.known_from_unix_us > from.0 {
            let begins = self.at(camera.known_from_unix_us);
            self.line(&format!("The logbook begins at {begins}: nothing is known of what was before."));
        }
        if camera.known_to_unix_us < to.0 {
            let now = self.at(camera.known_to_unix_us);
            self.line(&format!("Told up to now, {now}."));
        }
        if camera.clock_set_us != 0 {
            #[expect(clippy::cast_precision_loss, reason = "a tenth of a second is shown")]
            let by = camera.clock_set_us as f64 / 1e6;
            self.line(&format!(
                "The wall clock was set by {by:+.1} s since: times are by the clock as it is now, those of alerts as it was."
            ));
        }
        self.line("");
    }

    fn camera(&mut self, camera: &v1::ExplainedCamera) {
        for looks in &camera.looks {
            let by = match looks.kind() {
                ExplainedLookKind::Continued => "continued",
                _ => "by keyframe",
            };
            self.labelled(
                "looks",
                &format!(
                    "{} {by}, {}, every {}, {} apart at most; pictures {} old, {} at most",
                    looks.count,
                    purpose(looks.purpose()),
                    seconds(looks.interval_p50_us),
                    seconds(looks.interval_most_us),
                    seconds(looks.age_p50_us),
                    seconds(looks.age_most_us)
                ),
            );
        }
        if camera.looks.is_empty() {
            self.labelled("looks", "none gave a picture");
        }
        for wake in &camera.wakes {
            let (why, times, last) = (woken(wake.reason()), wake.times, self.at(wake.last_unix_us));
            self.labelled("woken", &format!("{why}: {}, the last at {last}", looks(times)));
        }
        for missed in &camera.missed {
            let failed = if missed.failed > 0 {
                format!(", {} of them started", missed.failed)
            } else {
                String::new()
            };
            let (why, times, lasted) = (reason(missed.reason()), missed.times, seconds(missed.lasted_us));
            self.labelled("no look", &format!("{why}: noted {times} times{failed}, for {lasted} in all"));
        }
        let signal = camera.signal.iter().map(|part| {
            let what = match part.signal() {
                Signal::Unspecified => "not known".to_owned(),
                signal => word(signal.as_str_name(), "SIGNAL_").replace('_', " "),
            };
            (part.from_unix_us, part.to_unix_us, what)
        });
        self.timeline("signal", signal.collect());
        let vigil = camera.vigil.iter().map(|part| {
            let what = match part.vigil() {
                v1::Vigil::Unspecified => "not known".to_owned(),
                vigil => word(vigil.as_str_name(), "VIGIL_"),
            };
            (part.from_unix_us, part.to_unix_us, what)
        });
        self.timeline("vigil", vigil.collect());
        let picture = camera.picture.iter().map(|part| {
            let words: Vec<String> = part
                .troubles()
                .map(|trouble| word(trouble.as_str_name(), "PICTURE_TROUBLE_").replace('_', " "))
                .collect();
            let what = match (part.known, words.is_empty()) {
                (false, _) => "none yet".to_owned(),
                (true, true) => "good".to_owned(),
                (true, false) => words.join(", "),
            };
            (part.from_unix_us, part.to_unix_us, what)
        });
        self.timeline("picture", picture.collect());
    }

    fn timeline(&mut self, label: &str, parts: Vec<(i64, i64, String)>) {
        if let [(_, _, what)] = &parts[..] {
            self.labelled(label, &format!("{what} all the time"));
            return;
        }
        let left = parts.len().saturating_sub(MOST);
        for (index, (from, to, what)) in parts.into_iter().take(MOST).enumerate() {
            let label = if index == 0 { label } else { "" };
            let text = format!("{} to {}  {what} ({})", self.at(from), self.at(to), lasts(from, to));
            self.labelled(label, &text);
        }
        self.left(left);
    }

    fn left(&mut self, left: usize) {
        if left > 0 {
            self.labelled("", &format!("… and {left} more: --json lists them"));
        }
    }

    fn rule(&mut self, rule: &v1::ExplainedRule) {
        let kind =
            wire::kind_of(rule.kind).map_or_else(|_| rule.kind.to_string(), |kind| kind.code().to_owned());
        let zone = if rule.zone.is_empty() { String::new() } else { format!(" in {}", rule.zone) };
        let name =
            if rule.rule.eq_ignore_ascii_case(&kind) { String::new() } else { format!("{}  ", rule.rule) };
        self.line("");
        self.line(&format!("{name}{kind}{zone}"));
        self.indented("  ", "  ", &rule.text);
        for incident in &rule.incidents {
            self.incident(incident);
        }
        let gap = lasts(rule.longest_gap_from_unix_us, rule.longest_gap_to_unix_us);
        if rule.longest_gap_to_unix_us != 0 {
            let from = self.at(rule.longest_gap_from_unix_us);
            let rested = rule.said.iter().any(|part| part.said() == Said::Rested);
            let at_rest =
                if rested { format!(", {} at rest", seconds(rule.at_rest_us)) } else { String::new() };
            let broken = match rule.floor_broken {
                0 => String::new(),
                1 => ", longer than that once".to_owned(),
                times => format!(", longer than that {times} times"),
            };
            let text = format!(
                "may be blind for {}{}; was for {gap} at most, from {from}{broken}",
                seconds(rule.blind_max_us),
                at_rest
            );
            self.indented("    ", "    ", &text);
        }
        if rule.untold > 0 {
            let text = format!(
                "{} told it nothing: its model did not run, or it had nothing to compare with yet",
                looks(rule.untold)
            );
            self.indented("    ", "    ", &text);
        }
        for part in rule.said.iter().take(MOST) {
            let what = match part.said() {
                Said::Unspecified => "nothing was said yet".to_owned(),
                Said::Seen => "seen".to_owned(),
                Said::NotSeen => "not seen".to_owned(),
                Said::NotLooked => format!("could not look: {}", reason(part.reason())),
                Said::Unwatched => "not watched".to_owned(),
                Said::Rested => "at rest".to_owned(),
            };
            let count = match (part.looks, part.seen) {
                (0, _) => String::new(),
                (count, seen) if matches!(part.said(), Said::Unwatched | Said::Rested) && seen > 0 => {
                    format!(", {}, {seen} saw it", looks(count))
                }
                (count, _) => format!(", {}", looks(count)),
            };
            let (from, to) = (part.from_unix_us, part.to_unix_us);
            let text = format!("{} to {}  {what} ({}{count})", self.at(from), self.at(to), lasts(from, to));
            self.indented("    ", "    ", &text);
        }
        self.left(rule.said.len().saturating_sub(MOST));
    }

    fn incident(&mut self, incident: &v1::ExplainedIncident) {
        let id = match incident.alert_id.as_str() {
            "" => "no alert of it is on record: its node may still hold it, or it is too old to be found"
                .to_owned(),
            id => format!("alert {id}"),
        };
        let mut text = format!("{id}: begun at {}", self.at(incident.started_unix_us));
        if incident.raised_unix_us != 0 {
            text.push_str(&format!(", raised at {}", self.at(incident.raised_unix_us)));
        }
        if incident.resolved_unix_us != 0 {
            text.push_str(&format!(", resolved at {}", self.at(incident.resolved_unix_us)));
        }
        text.push_str(&format!(", seen in {}", looks(incident.looks)));
        if incident.best_score > 0.0 {
            text.push_str(&format!(", best score {:.2}", incident.best_score));
        }
        self.indented("    ", "      ", &text);
        for one in &incident.suppressions {
            let why = match &one.cause {
                Some(v1::suppression::Cause::Silence(silence)) => {
                    format!("a silence of {} ({})", silence.author, silence.reason)
                }
                Some(v1::suppression::Cause::Inhibition(inhibition)) => {
                    format!("alert {} of the same camera or what it hangs on", inhibition.alert_id)
                }
                Some(v1::suppression::Cause::Flood(group)) => {
                    format!("the flood group {} counts it among others", group.alert_id)
                }
                None => "a reason that this version does not know".to_owned(),
            };
            let until = match one.until_unix_us {
                0 => "still".to_owned(),
                until => format!("until {}", self.at(until)),
            };
            let text = format!("not shown from {}, {until}: {why}", self.at(one.since_unix_us));
            self.indented("      ", "      ", &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_767_225_600_000_000;

    #[test]
    fn an_explanation_fits_a_hundred_columns_and_names_alert_and_suppression() {
        let silence =
            v1::Silence { author: "ana".into(), reason: "work on masts".into(), ..v1::Silence::default() };
        let suppression = v1::Suppression {
            cause: Some(v1::suppression::Cause::Silence(silence)),
            since_unix_us: AT,
            ..v1::Suppression::default()
        };
        let incident = v1::ExplainedIncident {
            started_unix_us: AT,
            looks: 1,
            alert_id: "0199".into(),
            suppressions: vec![suppression],
            ..v1::ExplainedIncident::default()
        };
        let mut rule = v1::ExplainedRule {
            rule: "pond".into(),
            zone: "water".into(),
            text: "alert raised at 00:00:01.0: ".to_owned() + &"a person in water ".repeat(12),
            incidents: vec![incident],
            blind_max_us: 500_000,
            longest_gap_from_unix_us: AT,
            longest_gap_to_unix_us: AT + 2_100_000,
            floor_broken: 3,
            ..v1::ExplainedRule::default()
        };
        rule.set_kind(v1::Kind::WaterZoneEntry);
        for i in 0..20 {
            let mut part = v1::ExplainedStretch {
                from_unix_us: AT + i * 1_000_000,
                to_unix_us: AT + (i + 1) * 1_000_000,
                looks: 2,
                ..v1::ExplainedStretch::default()
            };
            part.set_said(if i % 2 == 0 { Said::NotSeen } else { Said::NotLooked });
            part.set_reason(v1::NotLooked::TooOld);
            rule.said.push(part);
        }
        let camera = v1::ExplainedCamera {
            camera_id: "pond-1".into(),
            name: "North bank".into(),
            config_revision: 7,
            known_from_unix_us: AT + 1_000_000,
            known_to_unix_us: AT + 60_000_000,
            rules: vec![rule],
            ..v1::ExplainedCamera::default()
        };
        let text = of(&camera, (Wall(AT), Wall(AT + 60_000_000)), "UTC");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for expected in [
            "pond-1  North bank\n2026-01-01 00:00:00.0 to 00:01:00.0, UTC; configuration 7\nThe logbook begins at 00:00:01.0",
            "looks     none gave a picture",
            "pond  WATER_ZONE_ENTRY in water\n  alert raised at",
            "    alert 0199: begun at 00:00:00.0, seen in 1 look\n      not shown from 00:00:00.0, still: a silence of ana (work on \
             masts)",
            "may be blind for 0.5 s; was for 2.1 s at most, from 00:00:00.0, longer than that 3 times",
            "00:00:01.0 to 00:00:02.0  could not look: too old (1.0 s, 2 looks)",
            "… and 8 more: --json lists them",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
    }
}
