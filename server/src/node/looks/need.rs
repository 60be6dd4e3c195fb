//! What a camera's rules ask of attention, and of which models.

use std::{collections::BTreeSet, time::Duration};

use xueliang_base::{
    alert::ModelRef,
    config::{Camera, RestOptions, Rule},
    detection::Meaning,
    gate::Gate,
    id::ModelName,
};
use xueliang_inference::attention::{CameraNeed, Floor, Rest};

/// The longest time between keyframes of most cameras as they come (50 pictures at 25 a second). What may be blind for
/// less cannot be served by keyframes, unless the camera is set to send them more often.
pub const USUAL_KEYFRAMES: Duration = Duration::from_secs(2);

/// A rule is to decide by so many looks within its dwell at least: what comes by twice and looks alike is no state. It is not
/// looked at more often than each second for that.
const LOOKS_TO_DECIDE: u32 = 8;
const LEAST_DECIDING: Duration = Duration::from_secs(1);

/// What a camera's rules ask of attention, whatever models there will be.
pub fn need(camera: &Camera, rest: &RestOptions) -> CameraNeed {
    ask(camera, rest, |_| Some(Vec::new()))
}

/// What they ask of attention and of the loaded models.
pub fn need_of(camera: &Camera, rest: &RestOptions, models: &[(ModelRef, Vec<Meaning>)]) -> CameraNeed {
    let serving = |meaning: &Meaning| {
        models.iter().find(|(_, sees)| sees.contains(meaning)).map(|(model, _)| model.name.clone())
    };
    ask(camera, rest, |rule| {
        let condition = &rule.condition;
        let served = condition.required().iter().all(|meaning| serving(meaning).is_some());
        let names: BTreeSet<ModelName> = condition.meanings().iter().filter_map(serving).collect();
        served.then(|| names.into_iter().collect())
    })
}

/// `models_for`: of each meaning the first model that sees it; `None` where one that the rule cannot do without has none.
fn ask(
    camera: &Camera,
    rest: &RestOptions,
    models_for: impl Fn(&Rule) -> Option<Vec<ModelName>>,
) -> CameraNeed {
    let floor = |rule: &Rule| {
        let models = models_for(rule);
        let (blind_max, at_rest) = if rest.attention {
            (rule.blind_max, rest.at_rest(rule))
        } else {
            (RestOptions::UNATTENDED, RestOptions::UNATTENDED)
        };
        Floor {
            rule: rule.id.clone(),
            kind: rule.kind,
            blind_max,
            deciding: blind_max.min(LEAST_DECIDING.max(rule.timing.dwell / LOOKS_TO_DECIDE)),
            at_rest,
            continued: !rule.condition.keyframes_suffice() || blind_max < USUAL_KEYFRAMES,
            unserved: models.is_none(),
            models: models.unwrap_or_default(),
        }
    };
    CameraNeed {
        id: camera.id.clone(),
        weight: camera.weight,
        floors: camera.rules.iter().filter(|rule| rule.condition.needs_picture()).map(floor).collect(),
        rest: (camera.gate(rest) == Gate::Enforce)
            .then_some(Rest { glance: rest.glance, visits: Duration::ZERO }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use xueliang_base::config::Config;

    use super::*;

    fn camera(rule: &str) -> Camera {
        let text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
             [[division]]\ncode = \"330282\"\nname = \"n\"\n\
             [[camera]]\nid = \"c\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\nhealth = []\n\
             [[camera.rule]]\n{rule}\n"
        );
        Config::parse(&text, Path::new("/")).unwrap().cameras.remove(0)
    }
    fn street(sees: &[Meaning]) -> Vec<(ModelRef, Vec<Meaning>)> {
        let name: ModelName = "street".parse().unwrap();
        vec![(ModelRef { name, version: "1".to_owned(), sha256: None }, sees.to_vec())]
    }

    #[test]
    fn a_left_object_alone_asks_for_the_model_that_sees_who_waits_and_parks() {
        let floor = |rule: &str, sees: &[Meaning]| {
            let floor = need_of(&camera(rule), &RestOptions::default(), &street(sees)).floors.remove(0);
            (floor.models.len(), floor.unserved)
        };
        let (person, vehicle) = (Meaning::Person, Meaning::Vehicle);
        assert_eq!(floor("kind = \"LEFT_OBJECT\"", &[person, vehicle, Meaning::TwoWheeler]), (1, false));
        assert_eq!(floor("kind = \"LEFT_OBJECT\"", &[person, vehicle]), (1, false));
        assert_eq!(floor("kind = \"LEFT_OBJECT\"", &[person]), (0, true));
        assert_eq!(floor("kind = \"CAM_COVERED\"", &[person, vehicle]), (0, false));
    }

    #[test]
    fn without_attention_every_rule_has_its_models_and_every_picture_decoded_five_times_a_second() {
        let rest = RestOptions { attention: false, gate: Gate::Enforce, ..RestOptions::default() };
        let seen = street(&[Meaning::Vehicle, Meaning::Person, Meaning::TwoWheeler]);
        for rule in ["kind = \"LEFT_OBJECT\"", "kind = \"CAM_COVERED\""] {
            let mut camera = camera(rule);
            camera.gate = Some(Gate::Enforce);
            let need = need_of(&camera, &rest, &seen);
            assert!(need.rest.is_none(), "{rule}: it never rests");
            let floor = &need.floors[0];
            assert_eq!((floor.blind_max, floor.continued), (RestOptions::UNATTENDED, true), "{rule}");
            let attended = need_of(&camera, &RestOptions { attention: true, ..rest.clone() }, &seen);
            assert_eq!(floor.models, attended.floors[0].models, "{rule}");
            assert!(attended.rest.is_some() && !attended.floors[0].continued, "{rule}");
        }
    }

    #[test]
    fn what_may_be_blind_for_less_than_keyframes_take_asks_for_continued_looks() {
        let continued = |rule: &str| need(&camera(rule), &RestOptions::default()).floors[0].continued;
        assert!(continued("kind = \"FIRE_FLAME\""));
        assert!(!continued("kind = \"FIRE_FLAME\"\nblind_max = \"2s\""));
        assert!(!continued("kind = \"LEFT_OBJECT\""));
    }
}
