//! The bus's own alerts: a node that reports no more, and a store that fails. Silence of the analysis is a fact that
//! operators must be told, and nobody else can tell it.

use std::{collections::BTreeMap, time::Duration};

use tracing::{error, info, warn};
use xueliang_alerts::{
    bus::Bus,
    rights::{Principal, PrincipalKind},
    store::ListQuery,
};
use xueliang_base::{
    alert::{Alert, AlertState, Explanation, Place},
    config::Config,
    id::{AlertId, AlertRevision, CameraId, ConfigRevision, RuleId},
    incident::{Measure, MeasureKind, Resolution, Threshold, ThresholdKind},
    kind::Kind,
    shutdown::Stopping,
    time::{Mono, SharedClock, Wall},
};
use xueliang_proto::v1::Publication;

/// A node that has not reported for so long is down. Reports come every second.
const SILENT: Duration = Duration::from_secs(10);

struct Silence {
    /// Since when, by the bus's reckoning.
    since: Option<(Mono, Wall)>,
    active: Option<Alert>,
}

/// Runs until stopping is asked.
pub async fn run(bus: Bus, config: Config, clock: SharedClock, mut stopping: Stopping) {
    let principal = Principal::new("bus", PrincipalKind::Node);
    let node = config.node.to_string();
    let mut nodes: BTreeMap<String, Silence> = BTreeMap::new();
    let known = adopt(&bus, &node).await;
    nodes.insert(node, Silence { since: Some((clock.mono(), clock.wall())), active: known });
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            _ = tick.tick() => {}
        }
        let (now, wall) = (clock.mono(), clock.wall());
        let seen = bus.board().nodes_seen();
        for (name, silence) in &mut nodes {
            let alive = seen.iter().any(|node| &node.node == name && node.alive);
            let change = if alive {
                silence.since = None;
                silence.active.take().map(|alert| ended(alert, wall))
            } else {
                let since = *silence.since.get_or_insert((now, wall));
                let silent = now.since(since.0);
                if silence.active.is_some() || silent < SILENT {
                    None
                } else {
                    begun(&config, name, since.1, wall, silent)
                }
            };
            let Some(alert) = change else { continue };
            let publication = Publication { alert: Some((&alert).into()), last_round_trip_us: 0 };
            match bus.publish(&principal, vec![publication], now).await {
                Ok(_) => {
                    if alert.state.is_firing() {
                        warn!(node = name, "the node reports no more");
                        silence.active = Some(alert);
                    } else {
                        info!(node = name, "the node reports again");
                    }
                }
                Err(error) => {
                    error!(node = name, %error, "cannot store the alert about the node");
                    if !alert.state.is_firing() {
                        // Tried again with the next tick.
                        silence.active = Some(Alert {
                            state: AlertState::Firing,
                            revision: AlertRevision(alert.revision.0 - 1),
                            ..alert
                        });
                    }
                }
            }
        }
    }
}

/// The alert about this node that an earlier bus process left firing.
async fn adopt(bus: &Bus, node: &str) -> Option<Alert> {
    let query = ListQuery {
        firing: Some(true),
        publisher: Some("bus".to_owned()),
        limit: 100,
        ..ListQuery::default()
    };
    let rows = match bus.store().list(query).await {
        Ok(rows) => rows,
        Err(error) => {
            error!(%error, "cannot read the bus's own alerts");
            return None;
        }
    };
    rows.iter()
        .filter_map(|row| Alert::try_from(row.record.alert.clone()?).ok())
        .find(|alert| alert.place.camera.as_str() == node && alert.kind == Kind::AnalyzerDown)
}

fn begun(config: &Config, node: &str, since: Wall, wall: Wall, silent: Duration) -> Option<Alert> {
    // A node stands in the place of a camera; its name is a valid id.
    let camera: CameraId = node.parse().ok()?;
    let rule: RuleId = "node_silent".parse().ok()?;
    let root = config.divisions.first()?;
    let kind = Kind::AnalyzerDown;
    Some(Alert {
        id: AlertId::mint(),
        revision: AlertRevision(1),
        kind,
        level: kind.default_level(),
        state: AlertState::Firing,
        place: Place {
            camera,
            camera_name: format!("analysis node {node}"),
            division_path: vec![root.code.clone()],
            division_name: root.name.clone(),
            address: None,
            position: None,
            zone: None,
        },
        started: since,
        last_seen: wall,
        count: 1,
        confidence: 0.0,
        measures: vec![Measure { kind: MeasureKind::SilenceS, value: silent.as_secs_f64() }],
        regions: Vec::new(),
        explanation: Explanation {
            config: ConfigRevision(0),
            rule,
            thresholds: vec![Threshold { kind: ThresholdKind::SilenceS, value: SILENT.as_secs_f64() }],
            looks: Vec::new(),
            zone_outline: Vec::new(),
            model: None,
        },
        evidence: Vec::new(),
        stages: Vec::new(),
        camera_time: None,
        decided: wall,
        publisher: String::new(),
        drill: false,
    })
}

fn ended(alert: Alert, wall: Wall) -> Alert {
    Alert {
        revision: AlertRevision(alert.revision.0 + 1),
        state: AlertState::Resolved { why: Resolution::ObservedAbsence, at: wall },
        last_seen: wall,
        decided: wall,
        stages: Vec::new(),
        ..alert
    }
}
