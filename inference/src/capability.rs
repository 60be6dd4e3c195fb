//! What this version can raise, and with which models: the honest table behind `xueliang check` and the docs.

use xueliang_base::{config::Config, detection::Meaning, kind::Kind};

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
    /// A rule that needs a model for at least one of these.
    AnyOf(&'static [Meaning], &'static str),
    /// A rule on the picture itself or on the stream.
    Picture(&'static str),
    /// The service itself, without a rule.
    Service(&'static str),
    Nothing(&'static str),
}

fn source(kind: Kind) -> Source {
    use Meaning::{Animal, Fire, Person, PortableObject, Smoke, TwoWheeler, Vehicle, Vessel};
    match kind {
        Kind::FireFlame => Source::AnyOf(&[Fire], "condition burning"),
        Kind::FireSmoke => Source::AnyOf(&[Smoke], "condition burning"),
        Kind::FireLaneBlocked | Kind::VehicleStopped => {
            Source::AnyOf(&[Vehicle, TwoWheeler], "condition blocking, in a zone")
        }
        Kind::ExitBlocked => {
            Source::AnyOf(&[PortableObject, TwoWheeler, Vehicle], "condition blocking, in a zone")
        }
        Kind::WaterZoneEntry => Source::AnyOf(&[Person], "condition in_zone, in a declared hazard zone"),
        Kind::ZoneIntrusion => Source::AnyOf(
            &[Person, Vehicle, TwoWheeler, Vessel, Animal],
            "condition in_zone, in a declared hazard zone",
        ),
        Kind::CrowdDensity => Source::AnyOf(
            &[Person],
            "condition density, in a zone of known area; a lower bound in dense crowds",
        ),
        Kind::WrongWay => {
            Source::AnyOf(&[Vehicle, TwoWheeler], "condition against_direction; needs looks at 1 Hz or more")
        }
        Kind::LeftObject => {
            Source::Picture("condition static_foreground, on coarse pictures; not what it is")
        }
        Kind::CamOffline => Source::Picture("condition no_signal"),
        Kind::CamCovered => Source::Picture("condition covered"),
        Kind::CamMoved => Source::Picture("condition moved"),
        Kind::ImgDark => Source::Picture("condition dark"),
        Kind::ImgFreeze => Source::Picture("condition frozen"),
        Kind::CoverageGap => Source::Service("raised when a rule is blind for longer than it may be"),
        Kind::AnalyzerDown => Source::Service("raised when look workers or models fail"),
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
        | Kind::StorageFault
        | Kind::RecordGap
        | Kind::ClockDrift => Source::Nothing("no condition for it in this version"),
    }
}

/// What each kind needs and whether it is there, in the order of the kinds' numbers.
pub fn table(models: &[ModelMeanings]) -> Vec<Row> {
    Kind::all()
        .map(|kind| {
            let (state, how) = match source(kind) {
                Source::Picture(how) => (State::Shipped, format!("{how}; no model needed")),
                Source::Service(how) => (State::Shipped, how.to_owned()),
                Source::Nothing(why) => (State::NotAvailable, why.to_owned()),
                Source::AnyOf(meanings, how) => {
                    let served: Vec<String> = meanings
                        .iter()
                        .filter_map(|meaning| {
                            server(models, *meaning).map(|name| format!("{} by {name}", meaning.word()))
                        })
                        .collect();
                    if served.is_empty() {
                        (State::BringModel, format!("{how}; needs a model that sees {}", words(meanings)))
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
                words(&missing),
                models.len(),
                if missing.len() == 1 { "it" } else { "each" },
            );
            faults.push((format!("camera[{}].rule[{}]", camera.id, rule.id), message));
        }
    }
    faults
}

/// The model that serves a meaning: the first that lists it.
fn server(models: &[ModelMeanings], meaning: Meaning) -> Option<&xueliang_base::id::ModelName> {
    models.iter().find(|(_, meanings)| meanings.contains(&meaning)).map(|(name, _)| name)
}

fn words(meanings: &[Meaning]) -> String {
    meanings.iter().map(|meaning| format!("\"{}\"", meaning.word())).collect::<Vec<_>>().join(" or ")
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
            staging::rule(
                "dark",
                Kind::ImgDark,
                xueliang_base::config::Condition::Dark { max_luma: 20.0 },
                None,
            ),
        ]);
        let config = staging::config(vec![camera]);
        let found = faults(&config, &[]);
        assert_eq!(found.len(), 1);
        assert!(found[0].0.ends_with(".rule[water]"), "{}", found[0].0);
        assert!(found[0].1.contains("\"person\""), "{}", found[0].1);
        assert_eq!(faults(&config, &[("m".parse().unwrap(), vec![Meaning::Person])]), []);
    }
}
