//! `[[publisher]]`: external systems that publish alerts, and the devices they speak for.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::{
    Camera, Division, Upstream, division_path,
    reader::{Section, list, parsed, text, whole},
};
use crate::{
    id::{CameraId, DivisionCode, NodeId, PublisherName},
    kind::Kind,
};

/// Names of ours that stand as publisher on records and in the audit.
const OURS: [&str; 3] = ["bus", "bus-ages", "local"];
/// Stand in the place of a camera in alerts about the store, and about a flood of alerts in a division.
const NO_CAMERAS: [&str; 2] = ["store", "flood"];

/// An external system that may publish alerts, as an analytics box does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalPublisher {
    /// Stands on every record it publishes.
    pub name: PublisherName,
    /// A file of one line, its token. Never the token itself.
    pub token_file: PathBuf,
    /// Divisions in whose subtrees it may raise alerts.
    pub divisions: Vec<DivisionCode>,
    /// Kinds it may raise.
    pub kinds: Vec<Kind>,
    /// States a second that it may publish over time; ten seconds' worth of them at once.
    pub max_per_second: u32,
    /// Its own devices, beside the registered cameras.
    pub devices: Vec<ExternalDevice>,
}

/// A place that an external system watches with a device of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalDevice {
    /// Stands in the place of a camera.
    pub id: CameraId,
    /// What operators call it.
    pub name: String,
    /// The division it belongs to.
    pub division: DivisionCode,
    /// Street address, for people.
    pub address: Option<String>,
    /// Longitude and latitude in WGS-84, degrees.
    pub position: Option<[f64; 2]>,
}

/// What a publisher's section may refer to.
pub(super) struct Known<'a> {
    pub(super) divisions: &'a [Division],
    pub(super) cameras: &'a [Camera],
    pub(super) upstreams: &'a [Upstream],
    pub(super) node: Option<&'a NodeId>,
    pub(super) base_dir: &'a Path,
}

pub(super) fn read(root: &Section<'_>, known: &Known<'_>) -> Vec<ExternalPublisher> {
    let mut names = BTreeSet::new();
    let mut places: BTreeSet<CameraId> = known.cameras.iter().map(|camera| camera.id.clone()).collect();
    places.extend(known.upstreams.iter().map(Upstream::place));
    root.sections("publisher", |s| {
        let publisher = read_publisher(s, known)?;
        if !names.insert(publisher.name.clone()) {
            s.fault("the name is used twice");
        }
        for device in &publisher.devices {
            if !places.insert(device.id.clone()) {
                s.fault_at(
                    "device",
                    format!("{}: the id is that of a camera, an upstream or another device", device.id),
                );
            }
        }
        Some(publisher)
    })
}

fn read_publisher(s: &Section<'_>, known: &Known<'_>) -> Option<ExternalPublisher> {
    let ours = |name: &str| OURS.contains(&name) || known.node.is_some_and(|node| node.as_str() == name);
    let name = s.req("name", |v| match parsed::<PublisherName>(v)? {
        name if ours(name.as_str()) => Err(format!("{name} is a name of our own, use another")),
        name => Ok(name),
    });
    let token_file = s.req("token_file", text).map(|path| known.base_dir.join(path));
    let divisions: Option<Vec<DivisionCode>> = s.req("divisions", |v| some(v, parsed));
    for code in divisions.iter().flatten() {
        if !known.divisions.iter().any(|division| division.code == *code) {
            s.fault_at("divisions", format!("division {code} is not declared"));
        }
    }
    let kinds = s.req("kinds", |v| some(v, parsed));
    if kinds.iter().flatten().any(|kind| *kind == Kind::ManualReport) {
        s.fault_at("kinds", "MANUAL_REPORT is for people: leave it out");
    }
    let max_per_second = s.opt("max_per_second", whole(1, 200)).map_or(10, |n| n as u32);
    let devices = s.sections("device", read_device);
    for device in &devices {
        let within = |code: &DivisionCode| divisions.iter().flatten().any(|allowed| allowed == code);
        if !division_path(known.divisions, &device.division).iter().any(within) {
            s.fault_at("device", format!("{}: lies in none of this publisher's divisions", device.id));
        }
        if ours(device.id.as_str()) || NO_CAMERAS.contains(&device.id.as_str()) {
            s.fault_at("device", format!("{}: stands for a part of this service, use another id", device.id));
        }
    }
    Some(ExternalPublisher {
        name: name?,
        token_file: token_file?,
        divisions: divisions?,
        kinds: kinds?,
        max_per_second,
        devices,
    })
}

fn read_device(s: &Section<'_>) -> Option<ExternalDevice> {
    let id = s.req("id", parsed);
    let name = s.req("name", text);
    let division = s.req("division", parsed);
    let address = s.opt("address", text);
    let position = s.opt("position", super::parse::position);
    Some(ExternalDevice { id: id?, name: name?, division: division?, address, position })
}

fn some<T>(value: &DeValue<'_>, read: impl Fn(&DeValue<'_>) -> Result<T, String>) -> Result<Vec<T>, String> {
    let items = list(value, read)?;
    if items.is_empty() { Err("names nothing: list at least one".to_owned()) } else { Ok(items) }
}
