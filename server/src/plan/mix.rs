//! The mix of a town: what kinds of camera it has, as shares, and what each kind sends and is watched for.
//!
//! Rules are written as in a configuration, and read by the same code: what `xueliang check` refuses is refused here, and
//! what a rule leaves out has the value that it has there.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde::Deserialize;
use xueliang_base::{
    alert::ModelRef,
    config::{Acquire, Analysis, Config},
    id::ModelName,
    unit::Codec,
};
use xueliang_inference::attention::{CameraNeed, Floor};

use super::Costs;
use crate::node::looks::{need_at, need_of};

/// A town's cameras by share.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// Kinds of camera; their shares are 1 together.
    pub types: Vec<CameraType>,
    /// The service's own bounds.
    pub analysis: Analysis,
    /// How cameras share their way to the node, where that is told.
    pub uplink: Option<Uplink>,
}

/// A kind of camera.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraType {
    /// What people call it.
    pub name: String,
    /// Share of all cameras, 0 to 1.
    pub share: f64,
    /// Encoding.
    pub codec: Codec,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Access units a second.
    pub fps: f64,
    /// Units from one keyframe to the next.
    pub group: u64,
    /// Kilobits a second.
    pub kbit_s: f64,
    /// Share of the time in which its pictures show something to follow.
    pub active_share: f64,
    /// Seconds that something to follow is there on average, where the camera may rest meanwhile.
    pub active_s: f64,
    /// Alerts with evidence of one camera in a day.
    pub alerts_per_day: f64,
    /// Where it is on patrol.
    pub patrol: Option<Patrol>,
    /// What its rules ask of attention; the camera's id is to be set.
    pub need: CameraNeed,
}

/// How a camera is visited that is not connected all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patrol {
    /// From one visit's picture to the next's.
    pub every: Duration,
    /// How long a visit takes: connecting, the wait for a keyframe, its look.
    pub takes: Duration,
}

impl CameraType {
    /// The longest that a rule may be blind whatever happens: what it is at rest where the camera may rest.
    pub fn floor(&self, floor: &Floor) -> Duration {
        if self.need.rest.is_some() && self.patrol.is_none() { floor.at_rest } else { floor.blind_max }
    }
    /// The time between two of its keyframes.
    pub fn keyframes(&self) -> Duration {
        self.patrol.map_or(Duration::from_secs_f64(self.group as f64 / self.fps), |patrol| patrol.every)
    }
    /// Share of the time for which it is connected.
    pub fn connected(&self) -> f64 {
        let share = |patrol: Patrol| patrol.takes.as_secs_f64() / patrol.every.as_secs_f64();
        self.patrol.map_or(1.0, |patrol| share(patrol).min(1.0))
    }
}

/// The way of some cameras to the node: a recorder, a branch office, a radio link.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplink {
    /// Cameras on one.
    pub cameras: u32,
    /// What it carries, megabits a second.
    pub megabit_s: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    analysis: toml::Table,
    uplink: Option<Uplink>,
    #[serde(rename = "type", default)]
    types: Vec<TypeTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeTable {
    name: String,
    share: f64,
    codec: Codec,
    width: u32,
    height: u32,
    fps: f64,
    keyframes_s: f64,
    kbit_s: f64,
    #[serde(default = "half")]
    active_share: f64,
    #[serde(default = "twenty")]
    active_s: f64,
    #[serde(default)]
    alerts_per_day: f64,
    #[serde(default = "one")]
    weight: f64,
    acquire: Option<String>,
    patrol_every: Option<String>,
    #[serde(default = "four")]
    visit_s: f64,
    health: Option<toml::Value>,
    #[serde(default)]
    rule: Vec<toml::Table>,
}

fn half() -> f64 {
    0.5
}
fn one() -> f64 {
    1.0
}
fn twenty() -> f64 {
    20.0
}
fn four() -> f64 {
    4.0
}

/// What is wrong with a mix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct MixError(pub Vec<String>);

impl Mix {
    /// Reads a mix; rules are served by the models that the costs name.
    pub fn parse(text: &str, costs: &Costs) -> Result<Self, MixError> {
        let file: File = toml::from_str(text).map_err(|error| MixError(vec![error.to_string()]))?;
        let mut faults = Vec::new();
        if file.types.is_empty() {
            faults.push("no [[type]] is declared: describe at least one kind of camera".to_owned());
        }
        let total: f64 = file.types.iter().map(|table| table.share).sum();
        if !file.types.is_empty() && (total - 1.0).abs() > 0.001 {
            faults.push(format!("the shares of all [[type]] are {total} together: they must be 1"));
        }
        if let Some(Uplink { cameras, megabit_s }) = file.uplink
            && (cameras == 0 || !within(megabit_s, 0.01, 1e6))
        {
            faults.push(format!(
                "uplink: {cameras} cameras and {megabit_s} megabit_s: use at least one camera, and 0.01 to 1000000"
            ));
        }
        let mut names = BTreeSet::new();
        let (mut types, mut analysis) = (Vec::new(), None);
        for table in file.types {
            if !names.insert(table.name.clone()) {
                faults.push(format!("type {:?}: the name is used twice", table.name));
            }
            let found = faults.len();
            table.check(&mut faults);
            if faults.len() > found {
                continue;
            }
            match table.read(&file.analysis, costs) {
                Ok((read, bounds)) => {
                    types.push(read);
                    analysis.get_or_insert(bounds);
                }
                Err(more) => faults
                    .extend(more.into_iter().filter(|fault| !faults.contains(fault)).collect::<Vec<_>>()),
            }
        }
        if faults.is_empty() && types.iter().all(|camera| camera.need.floors.is_empty()) {
            faults.push("no rule of any [[type]] needs a picture: there is nothing to plan".to_owned());
        }
        match analysis {
            Some(analysis) if faults.is_empty() => Ok(Self { types, analysis, uplink: file.uplink }),
            _ => Err(MixError(faults)),
        }
    }
}

fn within(value: f64, least: f64, most: f64) -> bool {
    (least..=most).contains(&value)
}

impl TypeTable {
    fn check(&self, faults: &mut Vec<String>) {
        let numbers = [
            ("share", self.share, 0.0, 1.0),
            ("width", f64::from(self.width), 16.0, 8192.0),
            ("height", f64::from(self.height), 16.0, 8192.0),
            ("fps", self.fps, 0.1, 120.0),
            ("keyframes_s", self.keyframes_s, 0.008, 300.0),
            ("kbit_s", self.kbit_s, 1.0, 200_000.0),
            ("active_share", self.active_share, 0.0, 1.0),
            ("active_s", self.active_s, 0.5, 86_400.0),
            ("alerts_per_day", self.alerts_per_day, 0.0, 10_000.0),
            ("weight", self.weight, 0.1, 10.0),
            ("visit_s", self.visit_s, 0.1, 600.0),
        ];
        let name = &self.name;
        for (key, value, least, most) in numbers {
            if !within(value, least, most) {
                faults.push(format!("type {name:?}: {key} is {value}: use {least} to {most}"));
            }
        }
        if self.keyframes_s * self.fps < 0.99 {
            faults.push(format!(
                "type {name:?}: a keyframe every {} s at {} fps is more than one a picture: raise keyframes_s or fps",
                self.keyframes_s, self.fps
            ));
        }
        if self.codec == Codec::Mjpeg && self.keyframes_s * self.fps > 1.5 {
            faults.push(format!(
                "type {name:?}: every picture of MJPEG is a keyframe: set keyframes_s to {}",
                1.0 / self.fps
            ));
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: 1 to 36000")]
    fn read(self, analysis: &toml::Table, costs: &Costs) -> Result<(CameraType, Analysis), Vec<String>> {
        let name = &self.name;
        let config = Config::parse(&self.configuration(analysis), Path::new("/")).map_err(|error| {
            let faults = error.faults.iter();
            faults.map(|fault| told(name, &fault.path, &fault.message)).collect::<Vec<_>>()
        })?;
        let Config { cameras, analysis, .. } = config;
        let camera =
            cameras.into_iter().next().ok_or_else(|| vec![format!("type {name:?}: cannot be read")])?;
        let mut models = Vec::new();
        for model in &costs.model {
            let parsed: Result<ModelName, _> = model.name.parse();
            let name = parsed.map_err(|error| vec![format!("[[model]] of the costs: {error}")])?;
            models.push((ModelRef { name, version: String::new(), sha256: None }, model.sees.clone()));
        }
        let patrol = match camera.acquire {
            Acquire::Continuous => None,
            Acquire::Patrol { every } => Some(Patrol { every, takes: Duration::from_secs_f64(self.visit_s) }),
            Acquire::OnRequest => {
                return Err(vec![format!(
                    "type {name:?}: acquire: who is looked at on request alone takes nothing otherwise: leave it out"
                )]);
            }
        };
        let mut need = need_at(need_of(&camera, &analysis.rest, &models), camera.acquire);
        // A visit ends with its keyframe.
        need.floors.iter_mut().for_each(|floor| floor.continued &= patrol.is_none());
        let unserved = need.floors.iter().filter(|floor| floor.unserved);
        let mut faults: Vec<String> = unserved
            .map(|floor| {
                format!(
                    "type {name:?}: no model of the costs sees what {} needs: add a [[model]] that does, or take the rule out",
                    floor.kind
                )
            })
            .collect();
        if costs.decoding(self.codec, self.width, self.height).is_none() {
            let codec = self.codec.name();
            faults.push(format!("type {name:?}: the costs have no [[decode]] of {codec}"));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let camera = CameraType {
            share: self.share,
            codec: self.codec,
            width: self.width,
            height: self.height,
            fps: self.fps,
            group: (self.keyframes_s * self.fps).round().max(1.0) as u64,
            kbit_s: self.kbit_s,
            active_share: self.active_share,
            active_s: self.active_s,
            alerts_per_day: self.alerts_per_day,
            patrol,
            need,
            name: self.name,
        };
        Ok((camera, analysis))
    }

    /// A configuration with one camera of this kind.
    fn configuration(&self, analysis: &toml::Table) -> String {
        let table = |pairs: Vec<(&str, toml::Value)>| {
            toml::Table::from_iter(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)))
        };
        let corners = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]];
        // A zone with all that a rule may ask of one.
        let zone = table(vec![
            ("id", "zone".into()),
            ("polygon", corners.map(|corner| toml::Value::from(corner.to_vec())).to_vec().into()),
            ("direction_deg", 0.0_f64.into()),
            ("area_m2", 100.0_f64.into()),
        ]);
        let rules = self.rule.iter().enumerate().map(|(index, rule)| {
            let mut rule = rule.clone();
            rule.entry("zone").or_insert("zone".into());
            rule.entry("id").or_insert(format!("rule-{index}").into());
            toml::Value::from(rule)
        });
        let mut camera = table(vec![
            ("id", "camera".into()),
            ("name", self.name.as_str().into()),
            ("division", "330282".into()),
            ("url", "rtsp://127.0.0.1/".into()),
            ("weight", self.weight.into()),
            ("zone", vec![zone].into()),
        ]);
        let rules: Vec<toml::Value> = rules.collect();
        if !rules.is_empty() {
            camera.insert("rule".to_owned(), rules.into());
        }
        let acquire = [("acquire", &self.acquire), ("patrol_every", &self.patrol_every)];
        let acquire = acquire.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        camera.extend(acquire.map(|(key, value)| (key.to_owned(), value.as_str().into())));
        camera.extend(self.health.iter().map(|health| ("health".to_owned(), health.clone())));
        let division = table(vec![("code", "330282".into()), ("name", "town".into())]);
        table(vec![
            ("site", "plan".into()),
            ("state_dir", "state".into()),
            ("networks", vec!["127.0.0.0/8"].into()),
            ("analysis", analysis.clone().into()),
            ("division", vec![division].into()),
            ("camera", vec![camera].into()),
        ])
        .to_string()
    }
}

/// A fault of the configuration, in the words of the mix.
fn told(name: &str, path: &str, message: &str) -> String {
    match path.strip_prefix("camera[camera]").or(path.strip_prefix("camera[0]")) {
        Some(rest) => format!("type {name:?}: {}: {message}", rest.trim_start_matches('.')),
        None => format!("{path}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::costs::REFERENCE;

    const STREET: &str = r#"
[[type]]
name = "street"
share = 1.0
codec = "h264"
width = 1920
height = 1080
fps = 25
keyframes_s = 2
kbit_s = 2000
health = ["CAM_COVERED"]
[[type.rule]]
kind = "FIRE_LANE_BLOCKED"
"#;

    fn parse(text: &str) -> Result<Mix, MixError> {
        Mix::parse(text, &Costs::parse(REFERENCE).unwrap())
    }
    fn fault(from: &str, to: &str) -> String {
        let text = STREET.replacen(from, to, 1);
        assert_ne!(text, STREET, "{from}");
        parse(&text).unwrap_err().to_string()
    }

    #[test]
    fn rules_have_the_floors_that_they_have_in_a_configuration() {
        let mix = parse(STREET).unwrap();
        let floors = &mix.types[0].need.floors;
        let seconds: Vec<f64> = floors.iter().map(|floor| floor.blind_max.as_secs_f64()).collect();
        assert_eq!(seconds, [30.0, 5.0]);
        assert!(!floors[0].models.is_empty() && floors[1].models.is_empty());
        assert_eq!(mix.types[0].group, 50);
        let shorter =
            parse(&STREET.replace("\"FIRE_LANE_BLOCKED\"", "\"FIRE_LANE_BLOCKED\"\nblind_max = \"7s\""))
                .unwrap();
        assert_eq!(shorter.types[0].need.floors[0].blind_max.as_secs_f64(), 7.0);
    }

    #[test]
    fn a_mix_that_makes_no_sense_is_refused_with_what_to_do() {
        for (from, to, told) in [
            ("share = 1.0", "share = 0.7", "shares"),
            ("fps = 25", "fps = 0", "fps is 0"),
            ("fps = 25", "fps = 25\nresolution = 4", "resolution"),
            ("keyframes_s = 2", "keyframes_s = 0.01", "more than one a picture"),
            ("kbit_s = 2000", "kbit_s = 0", "kbit_s"),
            ("codec = \"h264\"", "codec = \"mjpeg\"", "every picture of MJPEG"),
            ("codec = \"h264\"", "codec = \"av1\"", "av1"),
            ("FIRE_LANE_BLOCKED", "LOITERING", "LOITERING"),
            ("FIRE_LANE_BLOCKED", "FIRE_FLAME", "no model of the costs sees"),
            ("\"FIRE_LANE_BLOCKED\"", "\"FIRE_LANE_BLOCKED\"\nblind_max = \"0s\"", "blind_max"),
            ("[[type]]", "[analysis]\nmax_age = \"1h\"\n[[type]]", "max_age"),
            ("[[type]]", "[uplink]\ncameras = 0\nmegabit_s = 10\n[[type]]", "uplink"),
            (
                "name = \"street\"",
                "name = \"street\"\nacquire = \"at times\"",
                "use \"continuous\", \"patrol\"",
            ),
            ("name = \"street\"", "name = \"street\"\npatrol_every = \"60s\"", "is for a camera on patrol"),
            ("name = \"street\"", "name = \"street\"\nacquire = \"on-request\"", "leave it out"),
            ("fps = 25", "fps = 25\nvisit_s = 0", "visit_s is 0"),
        ] {
            let fault = fault(from, to);
            assert!(fault.contains(told), "{to}: {fault}");
        }
        assert!(parse("").unwrap_err().to_string().contains("[[type]]"));
        let twice = STREET.replace("share = 1.0", "share = 0.5");
        assert!(parse(&format!("{twice}{twice}")).unwrap_err().to_string().contains("twice"));
        let idle = STREET.split("[[type.rule]]").next().unwrap().replace("CAM_COVERED", "CAM_OFFLINE");
        assert!(parse(&idle).unwrap_err().to_string().contains("nothing to plan"));
    }
}
