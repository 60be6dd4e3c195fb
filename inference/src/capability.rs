//! What this version can raise, and with which models: the honest table behind `xueliang check` and the docs.

use xueliang_base::{
    config::{Condition, Config, objects},
    detection::Meaning,
    id::ModelName,
    kind::Kind,
};

use crate::analyst::ModelMeanings;

/// Whether a kind of hazard can be raised here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// With what is loaded, or with no model at all.
    Shipped,
    /// The condition is there; a model that sees the thing is missing.
    BringModel,
    /// Not by this version.
    NotAvailable,
}

impl State {
    /// The word for tables.
    pub fn word(self) -> &'static str {
        match self {
            State::Shipped => "shipped",
            State::BringModel => "bring a model",
            State::NotAvailable => "not available",
        }
    }
}

/// One kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The kind.
    pub kind: Kind,
    /// Whether it can be raised.
    pub state: State,
    /// By what, or what is missing.
    pub how: String,
}

/// How a kind comes about.
enum Source {
    /// A rule that needs a model for at least one of what it can watch for ([`objects`]).
    Objects(&'static str),
    /// A rule that needs models for all of these.
    AllOf(&'static [Meaning], &'static str),
    /// A rule on the picture itself or on the stream.
    Picture(&'static str),
    /// The service itself, without a rule.
    Service(&'static str),
    Nothing(&'static str),
}

fn source(kind: Kind) -> Source {
    match kind {
        Kind::FireFlame | Kind::FireSmoke => Source::Objects("condition burning"),
        Kind::FireLaneBlocked | Kind::VehicleStopped | Kind::ExitBlocked => {
            Source::Objects("condition blocking, in a zone")
        }
        Kind::WaterZoneEntry | Kind::ZoneIntrusion => {
            Source::Objects("condition in_zone, in a declared hazard zone")
        }
        Kind::CrowdDensity => {
            Source::Objects("condition density, in a zone of known area; a lower bound in dense crowds")
        }
        Kind::WrongWay => Source::Objects("condition against_direction; needs looks at 1 Hz or more"),
        Kind::LeftObject => Source::AllOf(
            &Condition::MUST_EXPLAIN,
            "condition static_foreground, on coarse pictures; not what it is, only that it is no one who waits or parks",
        ),
        Kind::CamOffline => Source::Picture("condition no_signal"),
        Kind::CamCovered => Source::Picture("condition covered"),
        Kind::CamMoved => Source::Picture("condition moved"),
        Kind::ImgDark => Source::Picture("condition dark"),
        Kind::ImgFreeze => Source::Picture("condition frozen"),
        Kind::CoverageGap => Source::Service("raised when a rule is blind for longer than it may be"),
        Kind::AnalyzerDown => {
            Source::Service("raised when a node is silent, or has no look worker that runs its models")
        }
        Kind::UpstreamDown => Source::Service(
            "raised when all cameras behind a declared [[upstream]], two at least, are lost together",
        ),
        Kind::StorageFault => {
            Source::Service("raised when the alert store or a node's spool cannot be written")
        }
        Kind::OpenBurning => Source::Nothing("use FIRE_FLAME or FIRE_SMOKE"),
        Kind::PersonInWater => Source::Nothing("use WATER_ZONE_ENTRY, which sees the entry"),
        Kind::PersonDown => Source::Nothing("needs a model of posture, which this version does not admit"),
        Kind::VideoLost => Source::Nothing("use CAM_OFFLINE; a uniform picture raises CAM_COVERED"),
        Kind::ImgBlur => Source::Nothing("strong blur raises CAM_COVERED"),
        Kind::ExternalAlarm | Kind::ExternalUnprocessed | Kind::ManualReport => {
            Source::Nothing("comes from outside, not from analysis")
        }
        Kind::EbikeInLift
        | Kind::WaterLevelHigh
        | Kind::RoadFlood
        | Kind::RoadObstacle
        | Kind::IllegalDump
        | Kind::ExposedGarbage
        | Kind::BinOverflow
        | Kind::MaterialPiled
        | Kind::ManholeMissing
        | Kind::StreamDegraded
        | Kind::ImgBright
        | Kind::ImgColor
        | Kind::ImgNoise
        | Kind::ImgJitter
        | Kind::RecordGap
        | Kind::ClockDrift => Source::Nothing("no condition for it in this version"),
    }
}

/// The share of a model's list that may be counted on to be the crowd of one zone: the rest goes to those outside of it
/// and to doubles.
const USABLE_SHARE: f64 = 0.8;

/// What each kind needs and whether it is there, in the order of the kinds' numbers.
pub fn table(models: &[ModelMeanings]) -> Vec<Row> {
    Kind::all()
        .map(|kind| {
            let (state, how) = match source(kind) {
                Source::Picture(how) => (State::Shipped, format!("{how}; no model needed")),
                Source::Service(how) => (State::Shipped, how.to_owned()),
                Source::Nothing(why) => (State::NotAvailable, why.to_owned()),
                Source::AllOf(meanings, how) => {
                    let missing: Vec<Meaning> =
                        meanings.iter().copied().filter(|m| server(models, *m).is_none()).collect();
                    if missing.is_empty() {
                        (State::Shipped, format!("{how}; {}", served(models, meanings).join(", ")))
                    } else {
                        (
                            State::BringModel,
                            format!("{how}; needs a model that sees {}", words(&missing, "and")),
                        )
                    }
                }
                Source::Objects(how) => {
                    let meanings = objects(kind);
                    let served = served(models, meanings);
                    if served.is_empty() {
                        (
                            State::BringModel,
                            format!("{how}; needs a model that sees {}", words(meanings, "or")),
                        )
                    } else {
                        (State::Shipped, format!("{how}; {}", served.join(", ")))
                    }
                }
            };
            Row { kind, state, how }
        })
        .collect()
}

/// Rules that no loaded model can serve, each with its path in the configuration and what to do.
pub fn faults(config: &Config, models: &[ModelMeanings]) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for camera in &config.cameras {
        for rule in &camera.rules {
            let missing: Vec<Meaning> = rule
                .condition
                .required()
                .into_iter()
                .filter(|meaning| server(models, *meaning).is_none())
                .collect();
            if missing.is_empty() {
                continue;
            }
            let message = format!(
                "rule {} of camera {} ({}) needs a model that sees {}, and none of the {} loaded does: add a model \
                 folder whose manifest maps a class to {}, or take it out of the rule",
                rule.id,
                camera.id,
                rule.kind,
                words(&missing, "and"),
                models.len(),
                if missing.len() == 1 { "it" } else { "each" },
            );
            faults.push((format!("camera[{}].rule[{}]", camera.id, rule.id), message));
        }
    }
    faults
}

/// Rules of density that cannot fire because the model reports fewer objects than the crowd has heads. `most` says how
/// many objects each model reports at most of one picture ([`crate::model::Model::most`]).
pub fn crowd_faults(
    config: &Config,
    models: &[ModelMeanings],
    most: &[(ModelName, usize)],
) -> Vec<(String, String)> {
    let Some(model) = server(models, Meaning::Person) else { return Vec::new() };
    let Some(most) = most.iter().find(|(name, _)| name == model).map(|(_, most)| *most) else {
        return Vec::new();
    };
    let usable = f64::from(u32::try_from(most).unwrap_or(u32::MAX)) * USABLE_SHARE;
    let mut faults = Vec::new();
    for camera in &config.cameras {
        for rule in &camera.rules {
            let Condition::Density { area_m2, per_m2, .. } = rule.condition else { continue };
            let needed = area_m2 * per_m2;
            if needed > usable {
                let message = format!(
                    "rule {} of camera {} fires at {needed:.0} persons ({per_m2} on each of {area_m2} m²), and model \
                     {model} reports at most {most} objects of a picture, of which {usable:.0} are counted on: lower \
                     per_m2, draw a smaller zone (with its own area_m2), or bring a model that reports more",
                    rule.id, camera.id,
                );
                faults.push((format!("camera[{}].rule[{}]", camera.id, rule.id), message));
            }
        }
    }
    faults
}

/// The model that serves a meaning: the first that lists it.
fn server(models: &[ModelMeanings], meaning: Meaning) -> Option<&ModelName> {
    models.iter().find(|(_, meanings)| meanings.contains(&meaning)).map(|(name, _)| name)
}

/// What of these is seen, and by whom.
fn served(models: &[ModelMeanings], meanings: &[Meaning]) -> Vec<String> {
    let by = |meaning: &Meaning| server(models, *meaning).map(|name| format!("{} by {name}", meaning.word()));
    meanings.iter().filter_map(by).collect()
}

fn words(meanings: &[Meaning], between: &str) -> String {
    let quoted: Vec<_> = meanings.iter().map(|meaning| format!("\"{}\"", meaning.word())).collect();
    quoted.join(&format!(" {between} "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyst::staging;

    fn state(models: &[ModelMeanings], kind: Kind) -> State {
        table(models).into_iter().find(|row| row.kind == kind).unwrap().state
    }

    #[test]
    fn the_table_names_every_kind_once_and_claims_fire_only_with_a_fire_model() {
        let none: Vec<ModelMeanings> = Vec::new();
        assert_eq!(table(&none).len(), Kind::all().count());
        assert_eq!(state(&none, Kind::FireFlame), State::BringModel);
        assert_eq!(state(&none, Kind::CamCovered), State::Shipped);
        assert_eq!(state(&none, Kind::PersonDown), State::NotAvailable);
        let fire = vec![("fire".parse().unwrap(), vec![Meaning::Fire])];
        assert_eq!(state(&fire, Kind::FireFlame), State::Shipped);
        assert_eq!(state(&fire, Kind::FireSmoke), State::BringModel);
    }

    #[test]
    fn a_rule_that_no_model_can_serve_is_refused_with_the_word_that_is_missing() {
        let camera = staging::camera(vec![
            staging::rule("water", Kind::WaterZoneEntry, staging::in_zone(Meaning::Person), Some("z")),
            staging::rule("dark", Kind::ImgDark, Condition::Dark { max_luma: 20.0 }, None),
        ]);
        let config = staging::config(vec![camera]);
        let found = faults(&config, &[]);
        assert_eq!(found.len(), 1);
        assert!(found[0].0.ends_with(".rule[water]"), "{}", found[0].0);
        assert!(found[0].1.contains("\"person\""), "{}", found[0].1);
        assert_eq!(faults(&config, &[("m".parse().unwrap(), vec![Meaning::Person])]), []);
    }

    #[test]
    fn a_left_object_is_refused_where_no_model_sees_who_waits_and_parks() {
        let condition = Condition::StaticForeground { min_area: 0.001, max_area: 0.05 };
        let config = staging::config(vec![staging::camera(vec![staging::rule(
            "left",
            Kind::LeftObject,
            condition,
            None,
        )])]);
        let sees = |meanings: &[Meaning]| vec![("m".parse().unwrap(), meanings.to_vec())];
        let found = faults(&config, &sees(&[Meaning::Person]));
        assert!(found.len() == 1 && found[0].1.contains("\"vehicle\""), "{found:?}");
        assert_eq!(faults(&config, &[]).len(), 1);
        assert_eq!(faults(&config, &sees(&[Meaning::Person, Meaning::Vehicle])), []);
        assert_eq!(state(&sees(&[Meaning::Vehicle]), Kind::LeftObject), State::BringModel);
        assert_eq!(state(&sees(&[Meaning::Vehicle, Meaning::Person]), Kind::LeftObject), State::Shipped);
    }

    #[test]
    fn a_crowd_larger_than_the_models_list_is_refused() {
        let rule = |per_m2| {
            let condition = Condition::Density { min_score: 0.4, area_m2: 20.0, per_m2 };
            staging::rule("crowd", Kind::CrowdDensity, condition, Some("z"))
        };
        let found = |per_m2| {
            let config = staging::config(vec![staging::camera(vec![rule(per_m2)])]);
            crowd_faults(&config, &staging::models(), &[("street".parse().unwrap(), 100)])
        };
        assert_eq!(found(4.0), []);
        let refused = found(4.1);
        assert!(refused[0].0.ends_with(".rule[crowd]"), "{refused:?}");
        assert!(refused[0].1.contains("82 persons") && refused[0].1.contains("at most 100"), "{refused:?}");
    }

    #[test]
    fn the_table_claims_what_the_parser_takes_and_nothing_else() {
        let all: Vec<ModelMeanings> = vec![("all".parse().unwrap(), Meaning::ALL.to_vec())];
        for kind in [
            Kind::WaterZoneEntry,
            Kind::ZoneIntrusion,
            Kind::FireLaneBlocked,
            Kind::ExitBlocked,
            Kind::VehicleStopped,
            Kind::WrongWay,
        ] {
            let row = table(&all).into_iter().find(|row| row.kind == kind).unwrap();
            for meaning in Meaning::ALL {
                let text = format!(
                    "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
                     [[division]]\ncode = \"330282\"\nname = \"n\"\n\
                     [[camera]]\nid = \"c\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n\
                     [[camera.zone]]\nid = \"z\"\npolygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]\ndirection_deg = 0.0\n\
                     [[camera.rule]]\nkind = \"{kind}\"\nzone = \"z\"\nobjects = [\"{}\"]\n",
                    meaning.word()
                );
                let taken = Config::parse(&text, std::path::Path::new(".")).is_ok();
                let claimed = row.how.contains(&format!("{} by all", meaning.word()));
                assert_eq!(claimed, taken, "{kind} {}", meaning.word());
            }
        }
    }
}
