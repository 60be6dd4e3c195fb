//! What was active when the process before this one ended, as alerting and the rules go on with it.

use std::collections::BTreeMap;

use xueliang_base::{
    alert::Alert,
    config::Config,
    geometry::Polygon,
    id::{AlertId, CameraId},
    incident::Incident,
    kind::Kind,
    time::Mono,
};

/// Who goes on with what.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    /// For alerting: the latest state of each alert.
    pub(super) alerts: Vec<Alert>,
    /// For the rules: the incidents behind those that are firing, by camera. Rules that are gone have incidents here as
    /// well: whoever adopts one without an heir resolves it.
    pub(super) incidents: BTreeMap<CameraId, Vec<Incident>>,
    /// Firing, of cameras that are gone or have become drill cameras: nobody but alerting can end them.
    pub(super) orphans: Vec<Alert>,
}

/// Sorts out what the bus holds for active and what was spooled and not acknowledged. Of each alert the highest revision
/// counts: the bus may not have heard that it ended.
pub(super) fn adopt(active: Vec<Alert>, spooled: Vec<Alert>, config: &Config) -> Adopted {
    let mut latest: BTreeMap<AlertId, Alert> = BTreeMap::new();
    for alert in active.into_iter().chain(spooled) {
        let older = latest.get(&alert.id).is_some_and(|known| known.revision > alert.revision);
        if !older {
            latest.insert(alert.id, alert);
        }
    }
    let mut adopted = Adopted::default();
    for alert in latest.into_values() {
        // What is behind no rule of a camera alerting goes on with by itself.
        if alert.state.is_firing() && alert.kind != Kind::UpstreamDown {
            // What was true never becomes a drill, nor the other way round.
            if config.camera(&alert.place.camera).is_none_or(|camera| camera.drill != alert.drill) {
                adopted.orphans.push(alert);
                continue;
            }
            let camera = alert.place.camera.clone();
            adopted.incidents.entry(camera).or_default().push(incident_of(&alert));
        }
        adopted.alerts.push(alert);
    }
    adopted
}

/// The incident behind an alert, whatever has become of its rule: its place is the one it was raised for.
fn incident_of(alert: &Alert) -> Incident {
    Incident {
        rule: alert.explanation.rule.clone(),
        kind: alert.kind,
        level: alert.level,
        zone: alert.place.zone.clone(),
        // An outline that is none (it came through a store) is left out; the rule has its own.
        polygon: Polygon::new(alert.explanation.zone_outline.clone()).ok(),
        started_wall: alert.started,
        decided_arrival: Mono(0),
        decided_wall: alert.decided,
        camera_time: alert.camera_time,
        last_seen_wall: alert.last_seen,
        count: alert.count,
        confidence: alert.confidence,
        measures: alert.measures.clone(),
        regions: alert.regions.clone(),
        thresholds: alert.explanation.thresholds.clone(),
        looks: alert.explanation.looks.clone(),
        model: alert.explanation.model.as_ref().map(|model| model.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use xueliang_base::{alert::AlertState, id::AlertRevision, incident::Resolution, time::Wall};

    use super::*;
    use crate::node::testing;

    fn alert(camera: &str, rule: &str, kind: Kind, revision: u64) -> Alert {
        let mut alert = testing::alert(camera, kind);
        alert.explanation.rule = rule.parse().unwrap();
        alert.revision = AlertRevision(revision);
        alert
    }

    #[test]
    fn what_was_true_goes_on_as_no_drill_nor_the_other_way_round() {
        let mut config = testing::config();
        config.cameras[0].drill = true;
        let drill = |camera: &str| Alert { drill: true, ..alert(camera, "rule", Kind::ZoneIntrusion, 1) };
        let before = vec![drill("gate"), alert("gate", "rule", Kind::ZoneIntrusion, 1), drill("pond")];
        let adopted = adopt(before.clone(), Vec::new(), &config);
        assert_eq!(adopted.alerts, before[..1]);
        let mut orphans: Vec<_> =
            adopted.orphans.iter().map(|one| (one.place.camera.as_str(), one.drill)).collect();
        orphans.sort_unstable();
        assert_eq!(orphans, [("gate", false), ("pond", true)]);
    }

    #[test]
    fn incidents_of_rules_that_are_gone_and_of_gaps_are_adopted_as_well() {
        let config = testing::config();
        let mut zoned = alert("gate", "gone", Kind::ZoneIntrusion, 3);
        zoned.place.zone = Some("pit".parse().unwrap());
        let gap = alert("gate", "coverage_gap", Kind::CoverageGap, 1);
        let adopted = adopt(vec![zoned, gap], Vec::new(), &config);
        let incidents = &adopted.incidents[&"gate".parse().unwrap()];
        let mut rules: Vec<_> =
            incidents.iter().map(|i| (i.rule.as_str(), i.kind, i.zone.is_some())).collect();
        rules.sort_unstable();
        assert_eq!(rules, [("coverage_gap", Kind::CoverageGap, false), ("gone", Kind::ZoneIntrusion, true)]);
        assert_eq!((adopted.alerts.len(), adopted.orphans.len()), (2, 0));
    }

    #[test]
    fn alerts_of_a_camera_that_is_gone_are_nobodys_but_alertings() {
        let orphan = alert("removed", "offline", Kind::CamOffline, 2);
        let adopted = adopt(vec![orphan.clone()], Vec::new(), &testing::config());
        assert_eq!(adopted.orphans, [orphan]);
        assert!(adopted.incidents.is_empty() && adopted.alerts.is_empty());
    }

    #[test]
    fn a_spooled_end_is_not_undone_by_what_the_bus_still_holds() {
        let firing = alert("gate", "offline", Kind::CamOffline, 2);
        let mut ended = firing.clone();
        ended.revision = AlertRevision(3);
        ended.state = AlertState::Resolved { why: Resolution::ObservedAbsence, at: Wall(5) };
        for (active, spooled) in
            [(vec![firing.clone()], vec![ended.clone()]), (vec![ended.clone()], vec![firing])]
        {
            let adopted = adopt(active, spooled, &testing::config());
            assert_eq!(adopted.alerts, [ended.clone()]);
            assert!(adopted.incidents.is_empty());
        }
    }
}
