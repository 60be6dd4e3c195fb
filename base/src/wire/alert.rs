//! Alerts, both ways.

use xueliang_proto::v1;

use super::{
    Faults, WireError, class_of, evidence_kind_of, kind_of, level_of, measure_of, resolution_of, stage_of,
    threshold_of,
};
use crate::{
    alert::{
        Alert, AlertState, EvidenceFacts, EvidenceRef, Explanation, MAX_LOOKS, MAX_REGIONS, ModelRef, Place,
        Stage, StageTime, Stretch,
    },
    config::MAX_BEHIND,
    geometry::{Point, Rect},
    id::{AlertRevision, ConfigRevision, LookId},
    incident::{LookRef, Measure, Threshold},
    kind::Kind,
    point::PointClass,
    time::{CameraTime, Wall},
};

/// Bytes a name may take.
const NAME_BYTES: usize = 256;
/// Bytes an address or a reason may take.
const TEXT_BYTES: usize = 1024;
/// Levels of the division tree: five statutory ones, grids, functional areas, and room.
const MAX_DIVISIONS: usize = 16;
/// Measures, thresholds, pieces of evidence.
const MAX_LIST: usize = 16;
/// Stretches of one piece of footage.
const MAX_STRETCHES: usize = 64;
/// Corners of a zone, as `geometry::Polygon` bounds them.
const MAX_OUTLINE: usize = 64;

impl From<&Alert> for v1::Alert {
    fn from(alert: &Alert) -> Self {
        let (state, resolution, resolved_unix_us) = match alert.state {
            AlertState::Firing => (v1::AlertState::Firing, v1::Resolution::Unspecified, 0),
            AlertState::Resolved { why, at } => (v1::AlertState::Resolved, why.into(), at.0),
        };
        Self {
            alert_id: alert.id.to_string(),
            revision: alert.revision.0,
            kind: v1::Kind::from(alert.kind).into(),
            kind_class: v1::KindClass::from(alert.kind.class()).into(),
            level: v1::Level::from(alert.level).into(),
            state: state.into(),
            resolution: resolution.into(),
            place: Some((&alert.place).into()),
            started_unix_us: alert.started.0,
            last_seen_unix_us: alert.last_seen.0,
            resolved_unix_us,
            count: alert.count,
            confidence: alert.confidence,
            measures: alert
                .measures
                .iter()
                .map(|m| v1::Measure { kind: v1::MeasureKind::from(m.kind).into(), value: m.value })
                .collect(),
            regions: alert
                .regions
                .iter()
                .map(|r| v1::Region { x0: r.x0, y0: r.y0, x1: r.x1, y1: r.y1 })
                .collect(),
            explanation: Some((&alert.explanation).into()),
            evidence: alert.evidence.iter().map(Into::into).collect(),
            stages: alert.stages.iter().map(Into::into).collect(),
            camera_time: alert
                .camera_time
                .map(|time| v1::CameraTime { unix_us: time.wall.0, error_us: time.error_us }),
            decided_unix_us: alert.decided.0,
            publisher: alert.publisher.clone(),
            drill: alert.drill,
            cameras_behind: alert.behind.iter().map(ToString::to_string).collect(),
            divisions_behind: alert.divisions_behind.iter().map(ToString::to_string).collect(),
            point_classes_behind: alert.classes_behind.iter().map(|class| class.number()).collect(),
        }
    }
}

impl From<&Place> for v1::Place {
    fn from(place: &Place) -> Self {
        Self {
            camera_id: place.camera.to_string(),
            camera_name: place.camera_name.clone(),
            division_path: place.division_path.iter().map(ToString::to_string).collect(),
            division_name: place.division_name.clone(),
            address: place.address.clone().unwrap_or_default(),
            position: place.position.map(|[longitude, latitude]| v1::GeoPoint { longitude, latitude }),
            zone: place.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            point_class: place.class.map_or(0, PointClass::number),
        }
    }
}

impl From<&Explanation> for v1::Explanation {
    fn from(why: &Explanation) -> Self {
        Self {
            config_revision: why.config.0,
            rule: why.rule.to_string(),
            thresholds: why
                .thresholds
                .iter()
                .map(|t| v1::Threshold { kind: v1::ThresholdKind::from(t.kind).into(), value: t.value })
                .collect(),
            looks: why
                .looks
                .iter()
                .map(|l| v1::LookRef { look_id: l.look.0, arrived_unix_us: l.at_wall.0, score: l.score })
                .collect(),
            zone_outline: why.zone_outline.iter().map(|p| v1::Point { x: p.x, y: p.y }).collect(),
            model: why.model.as_ref().map(Into::into),
        }
    }
}

impl From<&ModelRef> for v1::ModelRef {
    fn from(model: &ModelRef) -> Self {
        Self {
            name: model.name.to_string(),
            version: model.version.clone(),
            sha256: model.sha256.map(|sum| sum.to_string()).unwrap_or_default(),
        }
    }
}

impl From<&StageTime> for v1::StageTime {
    fn from(time: &StageTime) -> Self {
        Self {
            stage: v1::Stage::from(time.stage).into(),
            duration_us: time.duration_us,
            uncertainty_us: time.uncertainty_us,
        }
    }
}

impl From<&EvidenceRef> for v1::EvidenceRef {
    fn from(evidence: &EvidenceRef) -> Self {
        let kind = v1::EvidenceKind::from(evidence.kind).into();
        match &evidence.content {
            Err(reason) => Self { kind, missing_reason: reason.clone(), ..Self::default() },
            Ok(facts) => Self {
                kind,
                sha256: facts.sha256.to_string(),
                size_bytes: facts.size_bytes,
                redacted: facts.redacted,
                start_unix_us: facts.start.0,
                end_unix_us: facts.end.0,
                stretches: facts
                    .stretches
                    .iter()
                    .map(|s| v1::Stretch { start_unix_us: s.start.0, end_unix_us: s.end.0 })
                    .collect(),
                missing_reason: String::new(),
            },
        }
    }
}

impl TryFrom<v1::Alert> for Alert {
    type Error = WireError;
    fn try_from(wire: v1::Alert) -> Result<Self, WireError> {
        let mut faults = Faults::default();
        let alert = read_alert(wire, &mut faults);
        faults.done(alert)
    }
}

impl TryFrom<v1::EvidenceRef> for EvidenceRef {
    type Error = WireError;
    fn try_from(wire: v1::EvidenceRef) -> Result<Self, WireError> {
        let mut faults = Faults::default();
        let evidence = read_evidence("evidence", wire, &mut faults);
        faults.done(evidence)
    }
}

fn read_alert(wire: v1::Alert, faults: &mut Faults) -> Option<Alert> {
    let id = faults.take("alert_id", wire.alert_id.parse());
    if wire.revision == 0 || i64::try_from(wire.revision).is_err() {
        faults.add("revision", format_args!("{} is no revision: they count from 1", wire.revision));
    }
    let kind = faults.take("kind", kind_of(wire.kind));
    if let (Some(kind), true) = (kind, wire.kind_class != 0)
        && class_of(wire.kind_class) != Ok(kind.class())
    {
        faults.add("kind_class", format_args!("is not the class of {kind}: leave it out, or correct it"));
    }
    let level = faults.take("level", level_of(wire.level));
    let state = read_state(&wire, faults);
    let place = match wire.place {
        Some(place) => read_place(place, faults),
        None => {
            faults.add("place", "must be set");
            None
        }
    };
    faults.count("measures", wire.measures.len(), MAX_LIST);
    let measures = wire.measures.into_iter().take(MAX_LIST).filter_map(|measure| {
        let kind = faults.take("measures.kind", measure_of(measure.kind))?;
        let value = faults.finite("measures.value", measure.value, f64::MIN, f64::MAX);
        Some(Measure { kind, value })
    });
    let measures = measures.collect();
    faults.count("regions", wire.regions.len(), MAX_REGIONS);
    let regions = wire.regions.into_iter().take(MAX_REGIONS).map(|r| {
        let rect = Rect {
            x0: faults.share("regions.x0", r.x0),
            y0: faults.share("regions.y0", r.y0),
            x1: faults.share("regions.x1", r.x1),
            y1: faults.share("regions.y1", r.y1),
        };
        if rect.x0 > rect.x1 || rect.y0 > rect.y1 {
            faults.add("regions", "corners are swapped: x0 <= x1 and y0 <= y1 are expected");
        }
        rect
    });
    let regions = regions.collect();
    let explanation = match wire.explanation {
        Some(explanation) => read_explanation(explanation, faults),
        None => {
            faults.add("explanation", "must be set");
            None
        }
    };
    faults.count("evidence", wire.evidence.len(), MAX_LIST);
    let evidence = wire.evidence.into_iter().take(MAX_LIST);
    let evidence = evidence.filter_map(|piece| read_evidence("evidence", piece, faults)).collect();
    let stages = read_stages(&wire.stages, faults);
    faults.count("cameras_behind", wire.cameras_behind.len(), MAX_BEHIND);
    let behind = wire.cameras_behind.iter().take(MAX_BEHIND);
    let behind = behind.filter_map(|id| faults.take("cameras_behind", id.parse())).collect();
    faults.count("divisions_behind", wire.divisions_behind.len(), MAX_BEHIND);
    let divisions_behind = wire.divisions_behind.iter().take(MAX_BEHIND);
    let divisions_behind =
        divisions_behind.filter_map(|code| faults.take("divisions_behind", code.parse())).collect();
    faults.count("point_classes_behind", wire.point_classes_behind.len(), PointClass::ALL.len());
    let classes_behind = wire.point_classes_behind.iter().take(PointClass::ALL.len());
    let classes_behind =
        classes_behind.filter_map(|number| point_class("point_classes_behind", *number, faults)).collect();
    if !wire.point_classes_behind.is_empty() && wire.cameras_behind.is_empty() {
        faults.add(
            "point_classes_behind",
            format_args!("only where there are cameras behind it: leave it out"),
        );
    }
    if !wire.divisions_behind.is_empty() && wire.cameras_behind.is_empty() {
        faults.add("divisions_behind", format_args!("only where there are cameras behind it: leave it out"));
    }
    if !wire.cameras_behind.is_empty() && kind.is_some_and(|kind| kind != Kind::UpstreamDown) {
        faults.add("cameras_behind", format_args!("only UPSTREAM_DOWN has cameras behind it: leave it out"));
    }
    Some(Alert {
        id: id?,
        revision: AlertRevision(wire.revision),
        kind: kind?,
        level: level?,
        state: state?,
        place: place?,
        started: faults.moment("started_unix_us", wire.started_unix_us),
        last_seen: faults.moment("last_seen_unix_us", wire.last_seen_unix_us),
        count: wire.count,
        confidence: faults.share("confidence", wire.confidence),
        measures,
        regions,
        explanation: explanation?,
        evidence,
        stages,
        camera_time: wire
            .camera_time
            .map(|time| CameraTime { wall: Wall(time.unix_us), error_us: time.error_us }),
        decided: faults.moment("decided_unix_us", wire.decided_unix_us),
        publisher: faults.text("publisher", wire.publisher, NAME_BYTES),
        drill: wire.drill,
        behind,
        divisions_behind,
        classes_behind,
    })
}

fn read_state(wire: &v1::Alert, faults: &mut Faults) -> Option<AlertState> {
    match v1::AlertState::try_from(wire.state) {
        Ok(v1::AlertState::Firing) => {
            if wire.resolution != 0 || wire.resolved_unix_us != 0 {
                faults.add("resolution", "a firing alert has neither a resolution nor a time of it");
            }
            Some(AlertState::Firing)
        }
        Ok(v1::AlertState::Resolved) => {
            let at = faults.moment("resolved_unix_us", wire.resolved_unix_us);
            let why = faults.take("resolution", resolution_of(wire.resolution))?;
            Some(AlertState::Resolved { why, at })
        }
        Ok(v1::AlertState::Unspecified) => {
            faults.add("state", "must be set");
            None
        }
        Err(_) => {
            faults.add("state", super::EnumError::Newer(wire.state));
            None
        }
    }
}

fn read_place(wire: v1::Place, faults: &mut Faults) -> Option<Place> {
    let camera = faults.take("place.camera_id", wire.camera_id.parse());
    faults.count("place.division_path", wire.division_path.len(), MAX_DIVISIONS);
    let path = wire.division_path.iter().take(MAX_DIVISIONS);
    let division_path = path.filter_map(|code| faults.take("place.division_path", code.parse())).collect();
    let zone = match wire.zone.as_str() {
        "" => None,
        zone => Some(faults.take("place.zone", zone.parse())?),
    };
    let position = wire.position.map(|point| {
        [
            faults.finite("place.position.longitude", point.longitude, -180.0, 180.0),
            faults.finite("place.position.latitude", point.latitude, -90.0, 90.0),
        ]
    });
    let address = faults.text("place.address", wire.address, TEXT_BYTES);
    let class = match wire.point_class {
        0 => None,
        number => Some(point_class("place.point_class", number, faults)?),
    };
    Some(Place {
        class,
        camera_name: faults.text("place.camera_name", wire.camera_name, NAME_BYTES),
        division_path,
        division_name: faults.text("place.division_name", wire.division_name, NAME_BYTES),
        address: (!address.is_empty()).then_some(address),
        position,
        zone,
        camera: camera?,
    })
}

fn point_class(path: &str, number: i32, faults: &mut Faults) -> Option<PointClass> {
    let class = PointClass::from_number(number);
    if class.is_none() {
        faults.add(path, super::EnumError::Newer(number));
    }
    class
}

fn read_explanation(wire: v1::Explanation, faults: &mut Faults) -> Option<Explanation> {
    let rule = faults.take("explanation.rule", wire.rule.parse());
    faults.count("explanation.thresholds", wire.thresholds.len(), MAX_LIST);
    faults.count("explanation.looks", wire.looks.len(), MAX_LOOKS);
    faults.count("explanation.zone_outline", wire.zone_outline.len(), MAX_OUTLINE);
    let thresholds = wire.thresholds.into_iter().take(MAX_LIST).filter_map(|threshold| {
        let kind = faults.take("explanation.thresholds.kind", threshold_of(threshold.kind))?;
        let value = faults.finite("explanation.thresholds.value", threshold.value, f64::MIN, f64::MAX);
        Some(Threshold { kind, value })
    });
    let thresholds = thresholds.collect();
    let looks = wire.looks.into_iter().take(MAX_LOOKS).map(|look| LookRef {
        look: LookId(look.look_id),
        at_wall: faults.moment("explanation.looks.arrived_unix_us", look.arrived_unix_us),
        score: faults.share("explanation.looks.score", look.score),
    });
    let looks = looks.collect();
    let zone_outline = wire.zone_outline.into_iter().take(MAX_OUTLINE).map(|point| {
        Point::new(
            faults.share("explanation.zone_outline.x", point.x),
            faults.share("explanation.zone_outline.y", point.y),
        )
    });
    let zone_outline = zone_outline.collect();
    let model = match wire.model {
        None => None,
        Some(model) => Some(ModelRef {
            version: faults.text("explanation.model.version", model.version, NAME_BYTES),
            sha256: match model.sha256.as_str() {
                "" => None,
                sum => Some(faults.take("explanation.model.sha256", sum.parse())?),
            },
            name: faults.take("explanation.model.name", model.name.parse())?,
        }),
    };
    let config = ConfigRevision(wire.config_revision);
    Some(Explanation { config, rule: rule?, thresholds, looks, zone_outline, model })
}

fn read_evidence(path: &str, wire: v1::EvidenceRef, faults: &mut Faults) -> Option<EvidenceRef> {
    let kind = faults.take(path, evidence_kind_of(wire.kind))?;
    if !wire.missing_reason.is_empty() {
        let reason = faults.text(path, wire.missing_reason, TEXT_BYTES);
        return Some(EvidenceRef { kind, content: Err(reason) });
    }
    let sha256 = faults.take(path, wire.sha256.parse())?;
    faults.count(path, wire.stretches.len(), MAX_STRETCHES);
    let stretches = wire.stretches.into_iter().take(MAX_STRETCHES).map(|stretch| Stretch {
        start: faults.moment(path, stretch.start_unix_us),
        end: faults.moment(path, stretch.end_unix_us),
    });
    let stretches = stretches.collect();
    let facts = EvidenceFacts {
        sha256,
        size_bytes: wire.size_bytes,
        redacted: wire.redacted,
        start: faults.moment(path, wire.start_unix_us),
        end: faults.moment(path, wire.end_unix_us),
        stretches,
    };
    Some(EvidenceRef { kind, content: Ok(facts) })
}

fn read_stages(wire: &[v1::StageTime], faults: &mut Faults) -> Vec<StageTime> {
    faults.count("stages", wire.len(), Stage::ALL.len());
    let stages = wire.iter().take(Stage::ALL.len()).filter_map(|time| {
        Some(StageTime {
            stage: faults.take("stages.stage", stage_of(time.stage))?,
            duration_us: time.duration_us,
            uncertainty_us: time.uncertainty_us,
        })
    });
    let stages: Vec<StageTime> = stages.collect();
    if !stages.windows(2).all(|pair| pair[0].stage < pair[1].stage) {
        faults.add("stages", "each stage may stand once, in order");
    }
    stages
}

#[cfg(test)]
mod tests;
