//! Zones and rules of a camera, both ways. From the wire they become the text that a configuration file would hold, and the
//! configuration's parser reads that: it alone knows what a rule may say.

use std::time::Duration;

use serde::Serialize;
use xueliang_proto::v1;

use super::{kind_of, level_of};
use crate::{
    config::{
        CameraRules, Condition, Fault, ParseError, Rule, Zone, is_health, needs_zone, objects, usual_rules,
    },
    detection::Meaning,
    geometry::Polygon,
    kind::Kind,
};

/// A zone as a configuration file says it. What is not said is not written.
#[derive(Serialize)]
struct ZoneTable {
    id: String,
    polygon: Vec<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    area_m2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction_deg: Option<f64>,
}

/// A rule, likewise.
#[derive(Default, Serialize)]
struct RuleTable {
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    zone: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objects: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blind_max: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dwell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_gap: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clear: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_inside: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerance_deg: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_travel: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_m2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_area: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_area: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_luma: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_detail: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_match: Option<f64>,
}

/// All of a camera that is tuned.
#[derive(Serialize)]
struct Tables {
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<[String; 0]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    zone: Vec<ZoneTable>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rule: Vec<RuleTable>,
}

/// Reads zones and rules; all faults are told, each with its path.
impl TryFrom<&v1::CameraRules> for CameraRules {
    type Error = ParseError;
    fn try_from(wire: &v1::CameraRules) -> Result<Self, ParseError> {
        let mut faults = Vec::new();
        let mut bounded = |what: &str, count: usize, most: usize| {
            if count > most {
                let message = format!("{count} are more than the {most} that a camera may have");
                faults.push(Fault { path: what.to_owned(), line: None, message });
            }
        };
        bounded("zone", wire.zones.len(), Self::MAX_ZONES);
        bounded("rule", wire.rules.len(), Self::MAX_RULES);
        for zone in &wire.zones {
            bounded(&format!("zone[{}].polygon", short(&zone.zone_id)), zone.outline.len(), 64);
        }
        for (index, rule) in wire.rules.iter().enumerate() {
            bounded(&format!("rule[{index}].objects"), rule.objects.len(), Meaning::ALL.len());
        }
        if !faults.is_empty() {
            return Err(ParseError { faults, partial: None });
        }
        let text = toml::to_string(&tables(wire)).expect("tables of texts and numbers become TOML");
        Self::parse(&text)
    }
}

impl From<&CameraRules> for v1::CameraRules {
    fn from(ours: &CameraRules) -> Self {
        Self {
            zones: ours.zones.iter().map(v1::Zone::from).collect(),
            rules: ours.rules.iter().map(v1::CameraRule::from).collect(),
        }
    }
}

/// The corners of a polygon.
pub fn outline(polygon: &Polygon) -> Vec<v1::Point> {
    polygon.points().iter().map(|point| v1::Point { x: point.x, y: point.y }).collect()
}

impl From<&Zone> for v1::Zone {
    fn from(zone: &Zone) -> Self {
        Self {
            zone_id: zone.id.to_string(),
            outline: outline(&zone.polygon),
            area_m2: zone.area_m2,
            direction_deg: zone.direction_deg,
        }
    }
}

/// Every field is set that the rule's kind knows.
impl From<&Rule> for v1::CameraRule {
    fn from(rule: &Rule) -> Self {
        let us = |lasting: Duration| Some(u64::try_from(lasting.as_micros()).unwrap_or(u64::MAX));
        let timing = &rule.timing;
        let mut wire = Self {
            rule_id: rule.id.to_string(),
            kind: v1::Kind::from(rule.kind).into(),
            level: v1::Level::from(rule.level).into(),
            zone_id: rule.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            blind_max_us: us(rule.blind_max),
            dwell_us: us(timing.dwell),
            max_gap_us: us(timing.max_gap),
            seen_share: Some(timing.seen_share),
            clear_us: us(timing.clear),
            cooldown_us: us(timing.cooldown),
            ..Self::default()
        };
        let words = |meanings: &[Meaning]| meanings.iter().map(|one| one.word().to_owned()).collect();
        match &rule.condition {
            Condition::InZone { meanings, min_score } => {
                wire.objects = words(meanings);
                wire.min_score = Some(*min_score);
            }
            Condition::Blocking { meanings, min_score, min_inside } => {
                wire.objects = words(meanings);
                wire.min_score = Some(*min_score);
                wire.min_inside = Some(*min_inside);
            }
            // The direction is its zone's.
            Condition::AgainstDirection { meanings, min_score, tolerance_deg, min_travel, .. } => {
                wire.objects = words(meanings);
                wire.min_score = Some(*min_score);
                wire.tolerance_deg = Some(*tolerance_deg);
                wire.min_travel = Some(*min_travel);
            }
            // The area is its zone's.
            Condition::Density { min_score, per_m2, .. } => {
                wire.min_score = Some(*min_score);
                wire.per_m2 = Some(*per_m2);
            }
            Condition::StaticForeground { min_area, max_area } => {
                wire.min_area = Some(*min_area);
                wire.max_area = Some(*max_area);
            }
            Condition::Burning { min_score, .. } => wire.min_score = Some(*min_score),
            Condition::Dark { max_luma } => wire.max_luma = Some(*max_luma),
            Condition::Covered { lost_detail } => wire.lost_detail = Some(*lost_detail),
            Condition::Moved { min_match } => wire.min_match = Some(*min_match),
            Condition::Frozen | Condition::NoSignal => {}
        }
        wire
    }
}

/// What rules can raise, for whoever makes some.
pub fn rule_kinds() -> Vec<v1::RuleKind> {
    let kind = |rule: Rule| {
        let usual = v1::CameraRule { zone_id: String::new(), ..v1::CameraRule::from(&rule) };
        v1::RuleKind {
            needs_zone: needs_zone(rule.kind),
            needs_area: rule.kind == Kind::CrowdDensity,
            needs_direction: rule.kind == Kind::WrongWay,
            // One alone is no choice.
            objects: if usual.objects.is_empty() {
                Vec::new()
            } else {
                objects(rule.kind).iter().map(|one| one.word().to_owned()).collect()
            },
            health: is_health(rule.kind),
            usual: Some(usual),
        }
    };
    usual_rules().into_iter().map(kind).collect()
}

/// Zones and rules as they would stand in a configuration file, below their camera.
pub fn rules_text(rules: &v1::CameraRules) -> String {
    #[derive(Serialize)]
    struct File {
        camera: [Tables; 1],
    }
    let file = File { camera: [Tables { health: Some([]), ..tables(rules) }] };
    let text = toml::to_string(&file).expect("tables of texts and numbers become TOML");
    // Whoever carries it over puts it below the head of a camera that stands there.
    text.replacen("[[camera]]\n", "", 1)
}

fn tables(wire: &v1::CameraRules) -> Tables {
    Tables {
        health: None,
        zone: wire.zones.iter().map(zone_table).collect(),
        rule: wire.rules.iter().map(rule_table).collect(),
    }
}

fn zone_table(zone: &v1::Zone) -> ZoneTable {
    ZoneTable {
        id: zone.zone_id.clone(),
        polygon: zone.outline.iter().map(|point| [told(point.x), told(point.y)]).collect(),
        area_m2: zone.area_m2,
        direction_deg: zone.direction_deg,
    }
}

fn rule_table(rule: &v1::CameraRule) -> RuleTable {
    let lasting = |us: u64| format!("{}s", Duration::from_micros(us).as_secs_f64());
    let kind = match kind_of(rule.kind) {
        Ok(kind) => kind.code().to_owned(),
        // The parser names it in its refusal.
        Err(_) => format!("KIND_{}", rule.kind),
    };
    RuleTable {
        id: rule.rule_id.clone(),
        kind,
        level: (rule.level != 0)
            .then(|| level_of(rule.level).map_or(rule.level, |level| level.number().into())),
        zone: rule.zone_id.clone(),
        objects: rule.objects.clone(),
        blind_max: rule.blind_max_us.map(lasting),
        dwell: rule.dwell_us.map(lasting),
        max_gap: rule.max_gap_us.map(lasting),
        seen_share: rule.seen_share.map(told),
        clear: rule.clear_us.map(lasting),
        cooldown: rule.cooldown_us.map(lasting),
        min_score: rule.min_score.map(told),
        min_inside: rule.min_inside.map(told),
        tolerance_deg: rule.tolerance_deg,
        min_travel: rule.min_travel.map(told),
        per_m2: rule.per_m2,
        min_area: rule.min_area.map(told),
        max_area: rule.max_area.map(told),
        max_luma: rule.max_luma.map(told),
        lost_detail: rule.lost_detail.map(told),
        min_match: rule.min_match.map(told),
    }
}

/// A number of single precision as people write it: 0.7, not 0.699999988.
fn told(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// The beginning of a name that may be anything.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RULED_KINDS;

    fn all_kinds() -> CameraRules {
        let mut ours = CameraRules { zones: vec![], rules: usual_rules() };
        let text = "[[zone]]\nid = \"z\"\npolygon = [[0.1, 0.2], [0.9, 0.2], [0.9, 0.7]]\narea_m2 = 100.5\ndirection_deg = 0\n";
        ours.zones = CameraRules::parse(text).unwrap().zones;
        for rule in &mut ours.rules {
            if let Condition::Density { area_m2, .. } = &mut rule.condition {
                *area_m2 = 100.5;
            }
        }
        ours
    }

    #[test]
    fn every_kind_survives_the_way_out_and_back() {
        let ours = all_kinds();
        let wire = v1::CameraRules::from(&ours);
        assert_eq!(CameraRules::try_from(&wire), Ok(ours));
        assert_eq!(wire.rules.len(), RULED_KINDS.len());
    }

    #[test]
    fn the_text_is_what_a_configuration_file_holds_below_its_camera() {
        let ours = all_kinds();
        let text = rules_text(&v1::CameraRules::from(&ours));
        assert!(text.contains("polygon = [[0.1, 0.2], [0.9, 0.2], [0.9, 0.7]]"), "{text}");
        let file = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
             [[division]]\ncode = \"330282\"\nname = \"n\"\n\
             [[camera]]\nid = \"gate\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n{text}"
        );
        let config = crate::config::Config::parse(&file, std::path::Path::new("/")).unwrap();
        assert_eq!(CameraRules::of(&config.cameras[0]), ours);
    }

    #[test]
    fn whatever_comes_is_refused_in_words_and_never_panics() {
        let refuse = |wire: v1::CameraRules, path: &str| {
            let faults = CameraRules::try_from(&wire).unwrap_err().faults;
            assert!(faults.iter().any(|fault| fault.path.starts_with(path)), "{path}: {faults:?}");
        };
        let rule = |change: fn(&mut v1::CameraRule)| {
            let mut rule = v1::CameraRule { kind: v1::Kind::FireSmoke.into(), ..v1::CameraRule::default() };
            change(&mut rule);
            v1::CameraRules { zones: vec![], rules: vec![rule] }
        };
        refuse(rule(|rule| rule.kind = 0), "rule[0].kind");
        refuse(rule(|rule| rule.kind = 424_242), "rule[0].kind");
        refuse(rule(|rule| rule.level = 1), "rule[0].level");
        refuse(rule(|rule| rule.level = 9), "rule[0].level");
        refuse(rule(|rule| rule.min_score = Some(f32::NAN)), "rule[0].min_score");
        refuse(rule(|rule| rule.dwell_us = Some(u64::MAX)), "rule[0].dwell");
        refuse(rule(|rule| rule.per_m2 = Some(1.0)), "rule[0].per_m2");
        refuse(rule(|rule| rule.rule_id = "\"]\n[[zone]]".to_owned()), "rule[");
        refuse(rule(|rule| rule.objects = vec!["person".to_owned(); 100]), "rule[0].objects");
        refuse(v1::CameraRules { zones: vec![v1::Zone::default(); 33], rules: vec![] }, "zone");
        let point = v1::Point { x: f32::INFINITY, y: 0.5 };
        let zone = v1::Zone { zone_id: "z".to_owned(), outline: vec![point; 3], ..v1::Zone::default() };
        refuse(v1::CameraRules { zones: vec![zone], rules: vec![] }, "zone[z].polygon");
    }

    #[test]
    fn what_can_be_chosen_is_what_the_parser_takes() {
        for kind in rule_kinds() {
            let usual = kind.usual.unwrap();
            for object in &kind.objects {
                let zone = v1::Zone {
                    zone_id: "z".to_owned(),
                    outline: [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)].map(|(x, y)| v1::Point { x, y }).to_vec(),
                    area_m2: kind.needs_area.then_some(10.0),
                    direction_deg: kind.needs_direction.then_some(90.0),
                };
                let rule = v1::CameraRule {
                    objects: vec![object.clone()],
                    zone_id: "z".to_owned(),
                    ..usual.clone()
                };
                let wire = v1::CameraRules { zones: vec![zone], rules: vec![rule] };
                assert!(CameraRules::try_from(&wire).is_ok(), "{wire:?}");
            }
        }
    }
}
