//! From text to [`Config`].

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use toml::de::{DeTable, DeValue};

use super::{
    AlertOptions, Analysis, Camera, Config, CredentialSource, Device, Division, EvidenceBudget, Fault,
    FeedBudget, Hours, RestOptions, Retention, Rule, Zone, acquire, api, audit, filing, publisher,
    reader::{Faults, Section, duration, list, number, parsed, share, size, text, whole, within},
    rule, sink, stream,
    upstream::{self, Upstream},
};
use crate::{
    gate::Gate,
    geometry::{Point, Polygon},
    id::{CameraId, RuleId, ZoneId},
};

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ParseError {
    /// All faults, in the order of their lines.
    pub faults: Vec<Fault>,
    /// What could be read all the same, for further checks; never to be run.
    pub partial: Option<Box<Config>>,
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn parse(input: &str, base_dir: &Path) -> Result<Config, ParseError> {
    let faults = Faults::new(input);
    let table = match DeTable::parse(input) {
        Ok(table) => table,
        Err(e) => {
            faults.add("(TOML)", e.span().map(|span| span.start), e.message().to_owned());
            return Err(ParseError { faults: faults.take(), partial: None });
        }
    };
    let root = Section::root(table.get_ref(), Rc::clone(&faults));
    let config = read_config(&root, base_dir);
    root.finish();
    let faults = faults.take();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        partial => Err(ParseError { faults, partial: partial.map(Box::new) }),
    }
}

fn read_config(root: &Section<'_>, base_dir: &Path) -> Option<Config> {
    let divisions = read_divisions(root);
    let credentials: BTreeMap<_, _> = root
        .named_sections("credentials", |name, s| read_credentials(name, s, base_dir))
        .into_iter()
        .collect();
    let upstreams = upstream::read(root);
    let mut cameras: Vec<Camera> = Vec::new();
    let mut seen = BTreeSet::new();
    for camera in root.sections("camera", |s| read_camera(s, &upstreams)) {
        let at = format!("camera[{}]", camera.id);
        if !seen.insert(camera.id.clone()) {
            root.fault_at("camera", format!("{at}: the id is used twice"));
        }
        if !divisions.iter().any(|d| d.code == camera.division) {
            root.fault_at("camera", format!("{at}: division {} is not declared", camera.division));
        }
        if let Some(name) = &camera.stream.credentials
            && !credentials.contains_key(name)
        {
            root.fault_at(
                "camera",
                format!("{at}: credentials {name} are not declared: add [credentials.{name}]"),
            );
        }
        cameras.push(camera);
    }
    if !root.has("camera") {
        root.fault("no [[camera]] is declared");
    }
    cameras.sort_by(|a, b| a.id.cmp(&b.id));
    upstream::check(root, &upstreams, &cameras, &divisions);
    // Every key is read before a missing one ends the reading, so that all faults are found in one go.
    let site = root.req("site", text);
    let timezone = root.or("timezone", "Asia/Shanghai".to_owned(), read_timezone);
    let state_dir = root.req("state_dir", text).map(|path| base_dir.join(path));
    let node = root.opt("node", parsed).or_else(|| "node-1".parse().ok());
    let api = api::read(root, base_dir);
    let listen = api::read_listen(root, &api);
    let networks = root.req("networks", |v| {
        let networks = list(v, parsed::<ipnet::IpNet>)?;
        if networks.is_empty() {
            Err("list the networks your cameras are in".to_owned())
        } else {
            Ok(networks)
        }
    });
    let known = publisher::Known {
        divisions: &divisions,
        cameras: &cameras,
        upstreams: &upstreams,
        node: node.as_ref(),
        base_dir,
    };
    let publishers = publisher::read(root, &known);
    let models =
        root.or("models", Vec::new(), |v| list(v, text)).iter().map(|path| base_dir.join(path)).collect();
    let analysis = read_analysis(root);
    let evidence = read_evidence(root);
    let alerts = read_alerts(root);
    let feed = read_feed(root);
    let audit = audit::read(root, base_dir);
    let sinks = sink::read(root, base_dir, &divisions);
    let cases = super::cases::read(root, base_dir, &divisions);
    let map = super::map::read(root);
    // Footage is taken out of the ring when all of it is there, and begins at the keyframe before.
    let needed = evidence.before + evidence.after + RING_MARGIN;
    if analysis.ring_seconds < needed {
        let (ring, needed) = (analysis.ring_seconds, needed.as_secs_f64());
        root.fault_at(
            "analysis",
            format!(
                "ring_seconds of {ring:?} does not hold the footage of an alert: set it to at least {needed} s \
                 (evidence.before and evidence.after, and {} s to the keyframe before), or shorten those",
                RING_MARGIN.as_secs()
            ),
        );
    }
    Some(Config {
        site: site?,
        timezone,
        state_dir: state_dir?,
        node: node?,
        listen,
        api,
        networks: networks?,
        divisions,
        credentials,
        models,
        analysis,
        evidence,
        alerts,
        feed,
        audit,
        cameras,
        upstreams,
        publishers,
        sinks,
        cases,
        map,
    })
}

/// The longest time to the keyframe before: twice what most cameras are set to.
const RING_MARGIN: Duration = Duration::from_secs(4);

fn read_timezone(value: &DeValue<'_>) -> Result<String, String> {
    let name = text(value)?;
    jiff::tz::TimeZone::get(&name).map_err(|_| format!("{name:?} is no IANA zone, as \"Asia/Shanghai\""))?;
    Ok(name)
}

fn read_divisions(root: &Section<'_>) -> Vec<Division> {
    let mut divisions: Vec<Division> = Vec::new();
    let read = root.sections("division", |s| {
        Some(Division {
            code: s.req("code", parsed)?,
            name: s.req("name", text)?,
            parent: s.opt("parent", parsed),
        })
    });
    if !root.has("division") {
        root.fault("no [[division]] is declared");
    }
    for division in read {
        let at = format!("division[{}]", division.code);
        if divisions.iter().any(|d| d.code == division.code) {
            root.fault_at("division", format!("{at}: the code is used twice"));
        }
        if let Some(parent) = &division.parent
            && !divisions.iter().any(|d| &d.code == parent)
        {
            root.fault_at("division", format!("{at}: parent {parent} is not declared above it"));
        }
        divisions.push(division);
    }
    divisions
}

fn read_credentials(
    name: &str,
    s: &Section<'_>,
    base_dir: &Path,
) -> Option<(crate::id::CredentialName, CredentialSource)> {
    let id = match name.parse() {
        Ok(id) => id,
        Err(e) => {
            s.fault(format!("{e}"));
            return None;
        }
    };
    let file = s.opt("file", text).map(|path| CredentialSource::File(base_dir.join(path)));
    let env = s.opt("env", text).map(CredentialSource::Env);
    match (file, env) {
        (Some(source), None) | (None, Some(source)) => Some((id, source)),
        _ => {
            s.fault(
                "give either file (two lines: user, password) or env (prefix of NAME_USER and NAME_PASSWORD)",
            );
            None
        }
    }
}

fn read_analysis(root: &Section<'_>) -> Analysis {
    let defaults = Analysis {
        workers: 0,
        leases_per_worker: 16,
        max_age: Duration::from_millis(1200),
        look_deadline: 5 * SECOND,
        max_width: 4096,
        max_height: 2304,
        ring_bytes: 16_000_000,
        ring_seconds: 30 * SECOND,
        journal_bytes: super::journal_bytes(),
        logbook_bytes: super::logbook_bytes(),
        rest: RestOptions::default(),
        device: Device::Cpu,
    };
    let d = defaults.clone();
    let to_usize = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    root.section("analysis", |s| Analysis {
        workers: s.opt("workers", whole(0, 256)).map_or(d.workers, to_usize),
        leases_per_worker: s.opt("leases_per_worker", whole(1, 256)).map_or(d.leases_per_worker, to_usize),
        max_age: s.or("max_age", d.max_age, duration(Duration::from_millis(200), 30 * SECOND)),
        look_deadline: s.or("look_deadline", d.look_deadline, duration(SECOND, 60 * SECOND)),
        max_width: s.opt("max_width", whole(64, 8192)).map_or(d.max_width, |n| n as u32),
        max_height: s.opt("max_height", whole(64, 8192)).map_or(d.max_height, |n| n as u32),
        ring_bytes: s.opt("ring", size(1_000_000, 1_000_000_000)).map_or(d.ring_bytes, to_usize),
        ring_seconds: s.or("ring_seconds", d.ring_seconds, duration(2 * SECOND, 600 * SECOND)),
        journal_bytes: s.opt("journal", size(100_000, 1_000_000_000)).map_or(d.journal_bytes, to_usize),
        logbook_bytes: s.opt("logbook", size(64_000, 64_000_000)).map_or(d.logbook_bytes, to_usize),
        rest: RestOptions {
            attention: s.or("attention", d.rest.attention, |v| match text(v)?.as_str() {
                "on" => Ok(true),
                "off" => Ok(false),
                other => Err(format!("{other:?}: use \"on\" or \"off\"")),
            }),
            gate: s.or("gate", d.rest.gate, gate),
            glance: s.or("glance", d.rest.glance, duration(SECOND, 60 * SECOND)),
            floor: s.or("floor", d.rest.floor, duration(SECOND, 3600 * SECOND)),
            watch: s.or("watch", d.rest.watch, duration(SECOND, 600 * SECOND)),
        },
        device: s.or("device", d.device, |v| match text(v)?.as_str() {
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda),
            other => Err(format!("{other:?}: use \"cpu\" or \"cuda\"")),
        }),
    })
    .unwrap_or(defaults)
}

fn read_evidence(root: &Section<'_>) -> EvidenceBudget {
    let defaults = EvidenceBudget {
        max_bytes: 20_000_000_000,
        keep_days: 30,
        reserve_bytes: None,
        before: 10 * SECOND,
        after: 10 * SECOND,
    };
    let d = defaults.clone();
    root.section("evidence", |s| EvidenceBudget {
        max_bytes: s.or("max", d.max_bytes, size(100_000_000, 1_000_000_000_000_000)),
        keep_days: s
            .opt("keep_days", |v| {
                whole(30, 3650)(v)
                    .map_err(|e| format!("{e}: the law asks for at least 30 days (Order 799, Art. 17)"))
            })
            .map_or(d.keep_days, |n| n as u32),
        reserve_bytes: s.opt("reserve", size(10_000_000, 1_000_000_000_000)),
        before: s.or("before", d.before, duration(Duration::ZERO, 60 * SECOND)),
        after: s.or("after", d.after, duration(Duration::ZERO, 60 * SECOND)),
    })
    .unwrap_or(defaults)
}

fn read_alerts(root: &Section<'_>) -> AlertOptions {
    let d = AlertOptions::default();
    root.section("alerts", |s| {
        // Of each kind and place so many times are kept, and written with each alert.
        let limit = |key: &'static str, default: u32| s.opt(key, whole(0, 500)).map_or(default, |n| n as u32);
        let time = duration(10 * SECOND, 3600 * SECOND);
        let options = AlertOptions {
            late_after: s.or("late_after", d.late_after, duration(Duration::from_millis(500), 3600 * SECOND)),
            flood_per_camera: limit("flood_per_camera", d.flood_per_camera),
            flood_per_division: limit("flood_per_division", d.flood_per_division),
            flood_window: s.or("flood_window", d.flood_window, &time),
            flood_quiet: s.or("flood_quiet", d.flood_quiet, &time),
            nearby_m: s.opt("nearby_m", whole(0, 1000)).map_or(d.nearby_m, |n| n as u32),
        };
        if options.flood_quiet < options.flood_window {
            s.fault_at(
                "flood_quiet",
                "is shorter than flood_window: a flood would end as it begins, make it longer",
            );
        }
        options
    })
    .unwrap_or_default()
}

fn read_feed(root: &Section<'_>) -> FeedBudget {
    let d = FeedBudget::default();
    root.section("feed", |s| FeedBudget {
        keep_days: s
            .opt("keep_days", |v| {
                whole(7, 3650)(v).map_err(|e| format!("{e}: a console may be away for at least 7 days"))
            })
            .map_or(d.keep_days, |n| n as u32),
        max_records: s.opt("max_records", whole(10_000, 1_000_000_000)).unwrap_or(d.max_records),
    })
    .unwrap_or(d)
}

fn read_camera(s: &Section<'_>, upstreams: &[Upstream]) -> Option<Camera> {
    let zones = read_zones(s);
    let mut rules: Vec<Rule> = s.sections("rule", |r| rule::read(r, &zones));
    rules.extend(rule::health(s, &rules));
    names_once(s, &rules);
    let masks = s.sections("mask", |m| m.req("polygon", polygon));
    // Every key is asked for before any missing one ends the reading, so that all faults are found in one go.
    let id: Option<CameraId> = s.req("id", parsed);
    let name = s.req("name", text);
    let division = s.req("division", parsed);
    let upstream = upstream::of_camera(s, id.as_ref(), upstreams);
    let address = s.opt("address", text);
    let position = s.opt("position", position);
    let stream = stream::read(s);
    let sub_stream = stream::read_sub(s, stream.as_ref());
    let acquire = acquire::read(s);
    let drill = acquire::read_drill(s, acquire);
    let bit_rate = acquire::read_bit_rate(s, upstreams, upstream.as_ref());
    let expected_on = s.opt("expected_on", hours);
    #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
    let weight = s.or("weight", 1.0, within(0.1, 100.0)) as f32;
    let view = s.opt("view", whole(1, u64::from(u32::MAX))).map_or(1, |n| n as u32);
    let gate = s.opt("gate", gate);
    let retention = s.or("retention", Retention::Ordinary, |v| match text(v)?.as_str() {
        "ordinary" => Ok(Retention::Ordinary),
        "key_point" => Ok(Retention::KeyPoint),
        other => Err(format!("{other:?}: use \"ordinary\" (30 days) or \"key_point\" (90 days)")),
    });
    let class = s.opt("class", parsed);
    let filing = filing::read(s);
    Some(Camera {
        id: id?,
        name: name?,
        division: division?,
        upstream,
        address,
        position,
        stream: stream?,
        sub_stream,
        masks,
        zones,
        rules,
        expected_on,
        acquire,
        drill,
        bit_rate,
        weight,
        view,
        gate,
        retention,
        class,
        filing,
    })
}

/// Refuses a name that two rules of a camera have.
pub(super) fn names_once(s: &Section<'_>, rules: &[Rule]) {
    let mut names: BTreeSet<&RuleId> = BTreeSet::new();
    for rule in rules {
        if !names.insert(&rule.id) {
            s.fault_at(
                "rule",
                format!("the rule name {} is used twice; give one of them another id", rule.id),
            );
        }
    }
}

fn gate(value: &DeValue<'_>) -> Result<Gate, String> {
    let word = text(value)?;
    Gate::from_word(&word).ok_or_else(|| format!("{word:?}: use \"off\", \"shadow\" or \"enforce\""))
}

pub(super) fn read_zones(s: &Section<'_>) -> Vec<Zone> {
    let mut seen: BTreeSet<ZoneId> = BTreeSet::new();
    s.sections("zone", |z| {
        let id: Option<ZoneId> = z.req("id", parsed);
        let outline = z.req("polygon", polygon);
        let area_m2 = z.opt("area_m2", within(0.5, 1_000_000.0));
        let direction_deg = z.opt("direction_deg", within(0.0, 360.0));
        let zone = Zone { id: id?, polygon: outline?, area_m2, direction_deg };
        if !seen.insert(zone.id.clone()) {
            z.fault("the zone id is used twice");
        }
        Some(zone)
    })
}

pub(super) fn position(value: &DeValue<'_>) -> Result<[f64; 2], String> {
    match list(value, number)?[..] {
        [lon, lat] if (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat) => Ok([lon, lat]),
        _ => Err("write [longitude, latitude] in WGS-84 degrees".to_owned()),
    }
}

fn polygon(value: &DeValue<'_>) -> Result<Polygon, String> {
    let corners = list(value, |corner| match list(corner, number)?[..] {
        #[expect(clippy::cast_possible_truncation, reason = "f32 is the precision of pictures")]
        [x, y] => Ok(Point::new(x as f32, y as f32)),
        _ => Err("a corner is [x, y]".to_owned()),
    })?;
    Polygon::new(corners).map_err(|e| e.to_string())
}

fn hours(value: &DeValue<'_>) -> Result<Hours, String> {
    const HELP: &str = "write a daily window, as \"08:00-22:00\" or \"20:00-06:00\"";
    let text = text(value)?;
    let minute = |s: &str| -> Option<u16> {
        let (h, m) = s.trim().split_once(':')?;
        let (h, m): (u16, u16) = (h.parse().ok()?, m.parse().ok()?);
        (h < 24 && m < 60 || h == 24 && m == 0).then_some(h * 60 + m)
    };
    let (from, to) = text.split_once('-').ok_or(HELP)?;
    let (from_min, to_min) = (minute(from).ok_or(HELP)?, minute(to).ok_or(HELP)?);
    if from_min == to_min { Err(HELP.to_owned()) } else { Ok(Hours { from_min, to_min }) }
}

pub(super) fn min_score(s: &Section<'_>, default: f32) -> f32 {
    s.or("min_score", default, share)
}

/// The folder a configuration's relative paths start from.
pub fn base_dir(config_file: &Path) -> PathBuf {
    match config_file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
