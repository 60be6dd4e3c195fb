//! Rules: which condition each kind of hazard has, and its defaults.
//!
//! Defaults say how long a hazard may go unseen (`blind_max`) and how it is confirmed over time. Sources: the
//! project's reference of state-like and event-like hazards (state: sampled every 30 s to minutes and confirmed by
//! persistence; fire: 1 s; moving hazards: 0.3 s).

use std::time::Duration;

use super::{
    Condition, Rule, Timing, Zone,
    parse::min_score,
    reader::{Section, duration, list, parsed, share, text, whole, within},
};
use crate::{
    detection::Meaning,
    id::RuleId,
    kind::{Kind, Level},
};

fn secs(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

/// Defaults of a kind: longest blind time, dwell, longest gap, share of looks, clear, cooldown; in seconds.
struct Defaults(f64, f64, f64, f32, f64, f64);

fn defaults(kind: Kind) -> Defaults {
    match kind {
        Kind::WaterZoneEntry | Kind::ZoneIntrusion => Defaults(0.5, 1.0, 3.0, 0.5, 8.0, 30.0),
        Kind::WrongWay => Defaults(0.3, 0.6, 1.5, 0.5, 10.0, 30.0),
        Kind::FireFlame | Kind::FireSmoke => Defaults(1.0, 4.0, 5.0, 0.6, 30.0, 60.0),
        Kind::CrowdDensity => Defaults(5.0, 15.0, 30.0, 0.6, 30.0, 120.0),
        Kind::FireLaneBlocked | Kind::ExitBlocked | Kind::VehicleStopped => {
            Defaults(30.0, 120.0, 120.0, 0.7, 60.0, 300.0)
        }
        Kind::LeftObject => Defaults(10.0, 60.0, 60.0, 0.7, 20.0, 300.0),
        Kind::CamOffline => Defaults(5.0, 15.0, 60.0, 1.0, 5.0, 60.0),
        Kind::ImgFreeze => Defaults(5.0, 10.0, 30.0, 1.0, 3.0, 60.0),
        Kind::CamMoved => Defaults(5.0, 8.0, 30.0, 0.8, 8.0, 60.0),
        // Dark and covered pictures, and whatever is added later: seen for some seconds, at the pace of glances.
        _ => Defaults(5.0, 6.0, 30.0, 0.8, 6.0, 60.0),
    }
}

/// The kinds that a rule can raise in this version.
pub const RULED_KINDS: [Kind; 15] = [
    Kind::FireFlame,
    Kind::FireSmoke,
    Kind::FireLaneBlocked,
    Kind::ExitBlocked,
    Kind::WaterZoneEntry,
    Kind::CrowdDensity,
    Kind::WrongWay,
    Kind::VehicleStopped,
    Kind::ZoneIntrusion,
    Kind::LeftObject,
    Kind::CamOffline,
    Kind::CamCovered,
    Kind::CamMoved,
    Kind::ImgDark,
    Kind::ImgFreeze,
];

/// Kinds that watch every camera unless `health` says otherwise.
const HEALTH: [Kind; 5] =
    [Kind::CamOffline, Kind::CamCovered, Kind::CamMoved, Kind::ImgDark, Kind::ImgFreeze];

/// Whether a rule of this kind is about the camera itself.
pub fn is_health(kind: Kind) -> bool {
    HEALTH.contains(&kind)
}

/// Whether a rule of this kind needs a zone that the camera declares.
pub fn needs_zone(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::WaterZoneEntry
            | Kind::ZoneIntrusion
            | Kind::FireLaneBlocked
            | Kind::ExitBlocked
            | Kind::VehicleStopped
            | Kind::WrongWay
            | Kind::CrowdDensity
    )
}

/// What rules of a kind can watch for: the words that `objects` takes, or the one meaning that the kind has; empty where
/// a rule looks at the picture itself, or where there is no rule. The only list: the parser and the table of
/// capabilities both read it.
pub fn objects(kind: Kind) -> &'static [Meaning] {
    use Meaning::{Fire, Person, Smoke, TwoWheeler, Vehicle};
    match kind {
        Kind::WaterZoneEntry | Kind::ZoneIntrusion | Kind::WrongWay => &[Person, Vehicle, TwoWheeler],
        Kind::FireLaneBlocked | Kind::ExitBlocked | Kind::VehicleStopped => &[Vehicle, TwoWheeler],
        Kind::CrowdDensity => &[Person],
        Kind::FireFlame => &[Fire],
        Kind::FireSmoke => &[Smoke],
        _ => &[],
    }
}

fn timing(d: &Defaults) -> Timing {
    Timing { dwell: secs(d.1), max_gap: secs(d.2), seen_share: d.3, clear: secs(d.4), cooldown: secs(d.5) }
}

pub(super) fn read(s: &Section<'_>, zones: &[Zone]) -> Option<Rule> {
    let Some(kind) = s.req("kind", parsed::<Kind>) else {
        s.give_up();
        return None;
    };
    if !RULED_KINDS.contains(&kind) {
        s.fault_at(
            "kind",
            format!(
                "no rule of this version raises {kind}; use one of {}",
                words(RULED_KINDS.map(Kind::code))
            ),
        );
        s.give_up();
        return None;
    }
    let d = defaults(kind);
    let id: Option<RuleId> = s.opt("id", parsed).or_else(|| kind.code().to_lowercase().parse().ok());
    let level = s.opt("level", whole(1, 4)).map_or(kind.default_level(), |n| {
        if n == 1 {
            s.fault_at("level", "is 1: a detector sets at most 2, level 1 is set by people");
        }
        Level::try_from(n as u8).unwrap_or(kind.default_level())
    });
    let zone = s.opt("zone", parsed);
    let zone = match zone {
        Some(id) => {
            let found = zones.iter().find(|z| z.id == id);
            if found.is_none() {
                s.fault_at("zone", format!("{id} is not a zone of this camera"));
            }
            found
        }
        None => {
            if needs_zone(kind) && !s.has("zone") {
                s.fault(format!("zone is missing: {kind} watches a declared zone"));
            }
            None
        }
    };
    let hour = Duration::from_secs(3600);
    let t = timing(&d);
    let timing = Timing {
        dwell: s.or("dwell", t.dwell, duration(Duration::ZERO, 24 * hour)),
        max_gap: s.or("max_gap", t.max_gap, duration(Duration::from_millis(100), hour)),
        seen_share: s.or("seen_share", t.seen_share, share),
        clear: s.or("clear", t.clear, duration(Duration::ZERO, hour)),
        cooldown: s.or("cooldown", t.cooldown, duration(Duration::ZERO, 24 * hour)),
    };
    let blind_max = s.or("blind_max", secs(d.0), duration(Duration::from_millis(100), hour));
    if timing.max_gap < blind_max {
        s.fault(format!(
            "max_gap ({:?}) is shorter than blind_max ({blind_max:?}): no two looks would count as watching",
            timing.max_gap
        ));
    }
    let condition = condition(s, kind, zone)?;
    Some(Rule { id: id?, kind, level, zone: zone.map(|z| z.id.clone()), condition, blind_max, timing })
}

fn words<const N: usize>(codes: [&'static str; N]) -> String {
    codes.join(", ")
}

fn read_objects(s: &Section<'_>, default: &[Meaning], kind: Kind) -> Vec<Meaning> {
    let allowed = objects(kind);
    s.or("objects", default.to_vec(), |v| {
        let read = list(v, |item| {
            let word = text(item)?;
            Meaning::from_word(&word).filter(|m| allowed.contains(m)).ok_or_else(|| {
                let known: Vec<_> = allowed.iter().map(|m| m.word()).collect();
                format!("{word:?} cannot be watched for here; use {}", known.join(", "))
            })
        })?;
        if read.is_empty() { Err("name at least one".to_owned()) } else { Ok(read) }
    })
}

#[expect(clippy::cast_possible_truncation, reason = "bounds of pictures and luma need no more than f32")]
fn condition(s: &Section<'_>, kind: Kind, zone: Option<&Zone>) -> Option<Condition> {
    use Meaning::{Person, TwoWheeler, Vehicle};
    Some(match kind {
        Kind::WaterZoneEntry | Kind::ZoneIntrusion => {
            Condition::InZone { meanings: read_objects(s, &[Person], kind), min_score: min_score(s, 0.4) }
        }
        Kind::FireLaneBlocked | Kind::ExitBlocked | Kind::VehicleStopped => Condition::Blocking {
            meanings: read_objects(s, &[Vehicle], kind),
            min_score: min_score(s, 0.4),
            min_inside: s.or("min_inside", 0.3, share),
        },
        Kind::WrongWay => {
            let direction_deg = match zone.map(|z| z.direction_deg) {
                Some(Some(direction)) => direction,
                Some(None) => {
                    s.fault_at(
                        "zone",
                        "has no direction_deg: give the zone the direction that traffic must take",
                    );
                    return None;
                }
                None => return None,
            };
            Condition::AgainstDirection {
                meanings: read_objects(s, &[Vehicle, TwoWheeler], kind),
                min_score: min_score(s, 0.4),
                direction_deg,
                tolerance_deg: s.or("tolerance_deg", 100.0, within(45.0, 175.0)),
                min_travel: s.or("min_travel", 0.08, share),
            }
        }
        Kind::CrowdDensity => {
            let per_m2 = s.or("per_m2", 3.5, within(0.05, 10.0));
            let area_m2 = match zone.map(|z| z.area_m2) {
                Some(Some(area)) => area,
                Some(None) => {
                    s.fault_at("zone", "has no area_m2: density needs the zone's area on the ground");
                    return None;
                }
                None => return None,
            };
            Condition::Density { min_score: min_score(s, 0.35), area_m2, per_m2 }
        }
        Kind::LeftObject => Condition::StaticForeground {
            min_area: s.or("min_area", 0.001, within(0.0002, 0.2)) as f32,
            max_area: s.or("max_area", 0.05, within(0.0005, 0.5)) as f32,
        },
        Kind::FireFlame => Condition::Burning { meaning: Meaning::Fire, min_score: min_score(s, 0.6) },
        Kind::FireSmoke => Condition::Burning { meaning: Meaning::Smoke, min_score: min_score(s, 0.6) },
        Kind::ImgDark => Condition::Dark { max_luma: s.or("max_luma", 28.0, within(1.0, 120.0)) as f32 },
        Kind::CamCovered => Condition::Covered { lost_detail: s.or("lost_detail", 0.8, share) },
        Kind::ImgFreeze => Condition::Frozen,
        Kind::CamMoved => Condition::Moved { min_match: s.or("min_match", 0.25, within(-1.0, 1.0)) as f32 },
        Kind::CamOffline => Condition::NoSignal,
        _ => return None,
    })
}

/// The rules that watch the camera itself, for kinds that no rule of the camera names.
pub(super) fn health(s: &Section<'_>, rules: &[Rule]) -> Vec<Rule> {
    let wanted = s.or("health", HEALTH.to_vec(), |v| {
        list(v, |item| {
            let kind: Kind = parsed(item)?;
            if HEALTH.contains(&kind) {
                Ok(kind)
            } else {
                Err(format!(
                    "{kind} is no rule about the camera itself; use {}",
                    words(HEALTH.map(Kind::code))
                ))
            }
        })
    });
    wanted
        .into_iter()
        .filter(|kind| rules.iter().all(|rule| rule.kind != *kind))
        .filter_map(|kind| {
            let d = defaults(kind);
            let condition = match kind {
                Kind::CamOffline => Condition::NoSignal,
                Kind::CamCovered => Condition::Covered { lost_detail: 0.8 },
                Kind::CamMoved => Condition::Moved { min_match: 0.25 },
                Kind::ImgDark => Condition::Dark { max_luma: 28.0 },
                _ => Condition::Frozen,
            };
            Some(Rule {
                id: kind.code().to_lowercase().parse().ok()?,
                kind,
                level: kind.default_level(),
                zone: None,
                condition,
                blind_max: secs(d.0),
                timing: timing(&d),
            })
        })
        .collect()
}
