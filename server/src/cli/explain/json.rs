//! An explanation for programs: words for enumerations, RFC 3339 for moments, seconds for lengths.

use serde_json::{Value, json};
use xueliang_base::wire::{self, word};
use xueliang_proto::v1::{self, ExplainedVerdict};

use super::time;

/// All of it, on one line.
pub(super) fn of(camera: &v1::ExplainedCamera, zone: &str) -> anyhow::Result<String> {
    let at = |unix_us| time(unix_us, zone);
    let value = json!({
        "camera_id": camera.camera_id,
        "name": camera.name,
        "timezone": zone,
        "config_revision": camera.config_revision,
        "known_from": at(camera.known_from_unix_us),
        "known_to": at(camera.known_to_unix_us),
        "clock_set_s": seconds(camera.clock_set_us),
        "looks": camera.looks.iter().map(|looks| json!({
            "kind": word(looks.kind().as_str_name(), "EXPLAINED_LOOK_KIND_"),
            "purpose": word(looks.purpose().as_str_name(), "LOOK_PURPOSE_"),
            "count": looks.count,
            "interval_p50_s": length(looks.interval_p50_us),
            "interval_most_s": length(looks.interval_most_us),
            "age_p50_s": length(looks.age_p50_us),
            "age_most_s": length(looks.age_most_us),
            "last": at(looks.last_unix_us),
        })).collect::<Vec<_>>(),
        "missed": camera.missed.iter().map(|missed| json!({
            "reason": reason(missed.reason()),
            "times": missed.times,
            "failed": missed.failed,
            "lasted_s": length(missed.lasted_us),
        })).collect::<Vec<_>>(),
        "watch": camera.watch.iter().map(|part| stretch(part, zone)).collect::<Vec<_>>(),
        "signal": camera.signal.iter().map(|part| json!({
            "from": at(part.from_unix_us),
            "to": at(part.to_unix_us),
            "signal": word(part.signal().as_str_name(), "SIGNAL_"),
        })).collect::<Vec<_>>(),
        "vigil": camera.vigil.iter().map(|part| json!({
            "from": at(part.from_unix_us),
            "to": at(part.to_unix_us),
            "vigil": word(part.vigil().as_str_name(), "VIGIL_"),
        })).collect::<Vec<_>>(),
        "wakes": camera.wakes.iter().map(|woken| json!({
            "reason": word(woken.reason().as_str_name(), "WAKE_REASON_"),
            "times": woken.times,
            "last": at(woken.last_unix_us),
        })).collect::<Vec<_>>(),
        "picture": camera.picture.iter().map(|part| json!({
            "from": at(part.from_unix_us),
            "to": at(part.to_unix_us),
            "known": part.known,
            "troubles": part.troubles().map(|trouble| word(trouble.as_str_name(), "PICTURE_TROUBLE_"))
                .collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "rules": camera.rules.iter().map(|one| rule(one, zone)).collect::<Vec<_>>(),
        "stretches_left_out": camera.stretches_left_out,
    });
    Ok(serde_json::to_string(&value)? + "\n")
}

#[expect(clippy::cast_precision_loss, reason = "lengths of hours in microseconds")]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

fn length(us: u64) -> f64 {
    seconds(i64::try_from(us).unwrap_or(i64::MAX))
}

fn reason(reason: v1::NotLooked) -> Option<String> {
    (reason != v1::NotLooked::Unspecified).then(|| word(reason.as_str_name(), "NOT_LOOKED_"))
}

fn stretch(part: &v1::ExplainedStretch, zone: &str) -> Value {
    json!({
        "from": time(part.from_unix_us, zone),
        "to": time(part.to_unix_us, zone),
        "said": word(part.said().as_str_name(), "SAID_"),
        "reason": reason(part.reason()),
        "looks": part.looks,
        "seen": part.seen,
    })
}

fn rule(rule: &v1::ExplainedRule, zone: &str) -> Value {
    let at = |unix_us| time(unix_us, zone);
    let verdict = match rule.verdict() {
        ExplainedVerdict::Unspecified => "cannot_say".to_owned(),
        verdict => word(verdict.as_str_name(), "EXPLAINED_VERDICT_"),
    };
    json!({
        "rule": rule.rule,
        "kind": wire::kind_of(rule.kind).map_or_else(|_| rule.kind.to_string(), |kind| kind.code().to_owned()),
        "zone": rule.zone,
        "verdict": verdict,
        "text": rule.text,
        "text_zh": rule.text_zh,
        "blind_max_s": length(rule.blind_max_us),
        "at_rest_s": length(rule.at_rest_us),
        "dwell_s": length(rule.dwell_us),
        "max_gap_s": length(rule.max_gap_us),
        "seen": rule.seen,
        "not_seen": rule.not_seen,
        "untold": rule.untold,
        "not_looked": rule.not_looked.iter().map(|missed| json!({
            "reason": reason(missed.reason()),
            "times": missed.times,
        })).collect::<Vec<_>>(),
        "said": rule.said.iter().map(|part| stretch(part, zone)).collect::<Vec<_>>(),
        "longest_gap_from": at(rule.longest_gap_from_unix_us),
        "longest_gap_to": at(rule.longest_gap_to_unix_us),
        "floor_broken": rule.floor_broken,
        "nearest": rule.nearest.map(|nearest| json!({
            "at": at(nearest.at_unix_us),
            "watched_s": length(nearest.watched_us),
            "seen_s": length(nearest.seen_us),
            "share": (nearest.share > 0.0).then_some(nearest.share),
        })),
        "missed": rule.missed.iter().map(|missed| json!({
            "threshold": word(missed.kind().as_str_name(), "THRESHOLD_KIND_"),
            "best": missed.best,
            "needed": missed.needed,
            "at": at(missed.at_unix_us),
        })).collect::<Vec<_>>(),
        "elsewhere": rule.elsewhere,
        "cooling": at(rule.cooling_unix_us),
        "incidents": rule.incidents.iter().map(|one| incident(one, zone)).collect::<Vec<_>>(),
    })
}

fn incident(one: &v1::ExplainedIncident, zone: &str) -> Value {
    let at = |unix_us| time(unix_us, zone);
    json!({
        "alert_id": (!one.alert_id.is_empty()).then_some(&one.alert_id),
        "started": at(one.started_unix_us),
        "raised": at(one.raised_unix_us),
        "resolved": at(one.resolved_unix_us),
        "looks": one.looks,
        "best_score": one.best_score,
        "suppressions": one.suppressions.iter().map(|held| json!({
            "suppression_id": held.suppression_id,
            "since": at(held.since_unix_us),
            "until": at(held.until_unix_us),
            "silence_id": match &held.cause {
                Some(v1::suppression::Cause::Silence(silence)) => Some(silence.silence_id),
                _ => None,
            },
            "inhibited_by": match &held.cause {
                Some(v1::suppression::Cause::Inhibition(inhibition)) => Some(&inhibition.alert_id),
                _ => None,
            },
            "flood_group": match &held.cause {
                Some(v1::suppression::Cause::Flood(group)) => Some(&group.alert_id),
                _ => None,
            },
        })).collect::<Vec<_>>(),
    })
}
