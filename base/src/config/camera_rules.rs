//! Zones and rules of one camera apart from the rest of its configuration: what is tuned while the service runs. Read by
//! the configuration's own parser, so both know the same rules and name the same faults.

use std::{collections::BTreeMap, rc::Rc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::{
    Camera, Fault, ParseError, Rule, Zone,
    parse::{names_once, read_zones},
    reader::{Faults, Section},
    rule,
};
use crate::{id::CameraId, kind::Kind};

/// Zones and rules of one camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraRules {
    /// Named parts of the picture.
    pub zones: Vec<Zone>,
    /// What is watched for, rules about the camera itself included.
    pub rules: Vec<Rule>,
}

impl CameraRules {
    /// Zones of one camera at most.
    pub const MAX_ZONES: usize = 32;
    /// Rules of one camera at most.
    pub const MAX_RULES: usize = 64;

    /// Those of a camera.
    pub fn of(camera: &Camera) -> Self {
        Self { zones: camera.zones.clone(), rules: camera.rules.clone() }
    }
    /// Has a camera watch for these.
    pub fn put_into(&self, camera: &mut Camera) {
        camera.zones.clone_from(&self.zones);
        camera.rules.clone_from(&self.rules);
    }
    /// Reads tables `zone` and `rule`; a rule about the camera itself is there only where it is written. All faults are
    /// given, each with its path and without a line.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let faults = Faults::new(text);
        let read = match DeTable::parse(text) {
            Ok(table) => {
                let root = Section::root(table.get_ref(), Rc::clone(&faults));
                let zones = read_zones(&root);
                let rules: Vec<Rule> = root.sections("rule", |r| rule::read(r, &zones));
                names_once(&root, &rules);
                for (what, count, most) in
                    [("zone", zones.len(), Self::MAX_ZONES), ("rule", rules.len(), Self::MAX_RULES)]
                {
                    if count > most {
                        root.fault_at(
                            what,
                            format!("{count} are more than the {most} that a camera may have"),
                        );
                    }
                }
                root.finish();
                Some(Self { zones, rules })
            }
            Err(e) => {
                faults.add("(TOML)", e.span().map(|span| span.start), e.message().to_owned());
                None
            }
        };
        let faults = faults.take();
        match read {
            Some(read) if faults.is_empty() => Ok(read),
            _ => {
                let faults = faults.into_iter().map(|fault| Fault { line: None, ..fault }).collect();
                Err(ParseError { faults, partial: None })
            }
        }
    }
}

/// What is written of a camera that bears on its zones and rules.
const WRITTEN: [&str; 4] = ["health", "rule", "view", "zone"];

/// What the text of a configuration says of each camera's zones, rules and view, as a sum. Once it says something else, what was
/// tuned counts no more. What is written counts, and not what follows from it: a version with other defaults changes no sum.
/// Empty where the text is no configuration.
pub fn written_of(text: &str) -> BTreeMap<CameraId, [u8; 32]> {
    let Ok(table) = text.parse::<toml::Table>() else { return BTreeMap::new() };
    let cameras = table.get("camera").and_then(toml::Value::as_array).into_iter().flatten();
    let sum = |camera: &toml::Value| {
        let id = camera.get("id")?.as_str()?.parse().ok()?;
        let written: BTreeMap<&str, &toml::Value> =
            WRITTEN.into_iter().filter_map(|key| Some((key, camera.get(key)?))).collect();
        // Through a value, whose maps are sorted: the order of keys says nothing.
        let text = serde_json::to_value(written).ok()?.to_string();
        Some((id, Sha256::digest(text.as_bytes()).into()))
    };
    cameras.filter_map(sum).collect()
}

/// A rule of each kind as it is without a word about it, on a zone that has all that some kind needs.
pub fn usual_rules() -> Vec<Rule> {
    super::RULED_KINDS.into_iter().map(usual).collect()
}

fn usual(kind: Kind) -> Rule {
    let zone = if rule::needs_zone(kind) { "zone = \"z\"" } else { "" };
    let text = format!(
        "[[zone]]\nid = \"z\"\npolygon = [[0, 0], [1, 0], [1, 1]]\narea_m2 = 100\ndirection_deg = 0\n\
         [[rule]]\nkind = \"{}\"\n{zone}\n",
        kind.code()
    );
    let mut read = CameraRules::parse(&text).expect("a test reads every kind");
    read.rules.remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RULED_KINDS};

    #[test]
    fn every_kind_has_a_usual_rule_and_what_it_needs_is_known() {
        let rules = usual_rules();
        assert_eq!(rules.iter().map(|rule| rule.kind).collect::<Vec<_>>(), RULED_KINDS);
        for rule in rules {
            assert_eq!(rule.zone.is_some(), rule::needs_zone(rule.kind), "{}", rule.kind);
        }
    }

    #[test]
    fn faults_name_the_zone_and_the_rule_and_all_are_told() {
        let text = "[[zone]]\nid = \"street\"\npolygon = [[0, 0], [1, 1], [1, 0], [0, 1]]\n\
                    [[zone]]\nid = \"lane\"\npolygon = [[0, 0], [1, 0], [1, 1]]\n\
                    [[rule]]\nid = \"late\"\nkind = \"WRONG_WAY\"\nzone = \"lane\"\n\
                    [[rule]]\nid = \"late\"\nkind = \"ZONE_INTRUSION\"\nzone = \"lane\"\ndwell = \"2 days\"\ncolour = 1\n";
        let faults = CameraRules::parse(text).unwrap_err().faults;
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for (path, word) in [
            ("zone[street].polygon", "cross"),
            ("rule[late].zone", "direction_deg"),
            ("rule[late].dwell", "2 days"),
            ("rule[late].colour", "unknown key"),
        ] {
            assert!(told.iter().any(|one| one.starts_with(path) && one.contains(word)), "{path} in {told:?}");
        }
    }

    #[test]
    fn what_a_camera_watches_for_is_read_back_from_it_and_compared_by_what_is_written() {
        let text = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
                    [[division]]\ncode = \"330282\"\nname = \"n\"\n\
                    [[camera]]\nid = \"gate\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n\
                    [[camera.zone]]\nid = \"water\"\npolygon = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]\n\
                    [[camera.rule]]\nkind = \"WATER_ZONE_ENTRY\"\nzone = \"water\"\n";
        let parse = |text: &str| Config::parse(text, std::path::Path::new("/")).unwrap().cameras.remove(0);
        let other = text.replace("0.9, 0.1", "0.8, 0.1");
        let (gate, mut redrawn) = (parse(text), parse(&other));
        assert_ne!(CameraRules::of(&gate), CameraRules::of(&redrawn));
        CameraRules::of(&gate).put_into(&mut redrawn);
        assert_eq!(gate, redrawn);

        let sum = |text: &str| written_of(text)[&gate.id];
        assert_ne!(sum(text), sum(&other));
        // Where the camera is read from has nothing to do with it, nor has the order of what is said; how it is turned has.
        assert_eq!(sum(text), sum(&text.replace("/x", "/y")));
        let turned = text.replace(
            "kind = \"WATER_ZONE_ENTRY\"\nzone = \"water\"",
            "zone = \"water\"\nkind = \"WATER_ZONE_ENTRY\"",
        );
        assert!(turned != text && sum(text) == sum(&turned));
        assert_ne!(sum(text), sum(&text.replace("url =", "view = 2\nurl =")));
        assert_ne!(sum(text), sum(&text.replace("url =", "health = []\nurl =")));
        // What is as usual and what is written so are two: another version may have another usual.
        assert_ne!(sum(text), sum(&format!("{text}level = 2\n")));
        assert!(written_of("no toml").is_empty());
    }
}
