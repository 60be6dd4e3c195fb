//! Drills: an alert that means nothing, to see whether the chain holds; it is marked as a drill for ever, and ends by itself. At a drill
//! camera its node raises it: the bus has that camera connected for a while, and what it plays does the rest. At any other camera the bus
//! raises it, as a publisher would: a fire of level 2, which takes the way of what is critical. How far it came is read in `follow`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tracing::{info, warn};
use xueliang_base::{
    alert::{Alert, AlertState, Explanation, Place},
    id::{AlertId, AlertRevision, CameraId, DivisionCode, RuleId},
    incident::Resolution,
    kind::{Kind, Level},
    point::PointClass,
    time::{Boot, Mono, Wall, micros},
};
use xueliang_proto::v1::{self, PublishOutcome};

use super::Bus;
use crate::{
    error::{Error, Result},
    flood::PUBLISHER,
    rights::{Principal, PrincipalKind, Right, check},
    store::{AuditEntry, ListQuery},
};

mod follow;

/// The rule that a drill's alert names.
const RULE: &str = "drill";
/// A drill ends after so long: a shift's beginning takes less.
const LASTS: Duration = Duration::from_secs(15 * 60);
/// Between two drills: each of them tells desks and other systems.
const APART: Duration = Duration::from_secs(60);
/// How often it is looked whether one is to end.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A drill camera plays for so long: longer than the first picture and any usual dwell take.
const PLAYS: Duration = Duration::from_secs(120);
/// After that its node closes it and ends what it raised, before it may play again.
const CLOSES: Duration = Duration::from_secs(10);
/// What the audit says of a drill at a drill camera.
const ASKED: &str = "drill_asked";

/// What is remembered of drills between two of them.
#[derive(Debug, Default)]
pub(super) struct Drills(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When the latest was asked for.
    last: Option<Mono>,
    /// None fires, as far as this process knows.
    none: bool,
    /// When each drill camera was last asked for; `None`: not yet read of the audit.
    asked: Option<BTreeMap<CameraId, Wall>>,
}

impl Drills {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Lets a drill begin, unless one has just begun.
    fn begin(&self, now: Mono) -> Result<()> {
        let mut known = self.known();
        let wait =
            known.last.and_then(|last| APART.checked_sub(now.since(last))).filter(|wait| !wait.is_zero());
        if let Some(retry_after) = wait {
            let message = "a drill has begun within this minute: follow that one, or wait".to_owned();
            return Err(Error::TooMany { message, retry_after });
        }
        (known.last, known.none) = (Some(now), false);
        Ok(())
    }
}

fn is_drill(alert: &v1::Alert) -> bool {
    alert.drill && alert.explanation.as_ref().is_some_and(|why| why.rule == RULE)
}

impl Bus {
    /// Begins a drill at a camera of the configuration.
    pub async fn start_drill(&self, principal: &Principal, camera: &str) -> Result<v1::StartDrillResponse> {
        check(principal, Right::Dispatch)?;
        let unknown = || Error::NotFound(format!("camera_id: there is no camera {camera}"));
        let camera: CameraId = camera.parse().map_err(|_| unknown())?;
        let facts = self.0.options.points.facts(&camera).filter(|_| self.sees_point(principal, &camera));
        let facts = facts.ok_or_else(unknown)?.clone();
        if self.0.options.points.is_drill(&camera) {
            return self.play(principal, camera).await;
        }
        self.0.drills.begin(self.0.clock.mono())?;
        let alert = self.drill_at(camera, &facts)?;
        // Who has it done stands in the audit before it is seen.
        let subject = format!("alert {} at {}", alert.id, alert.place.camera);
        let audit = AuditEntry { principal: principal.name.clone(), action: "drill_started", subject };
        self.0.store.audit(audit).await?;
        self.publish_own(&alert).await?;
        info!(alert = %alert.id, camera = %alert.place.camera, "a drill begins");
        Ok(v1::StartDrillResponse { alert_id: alert.id.to_string(), until_unix_us: 0 })
    }
    /// Has a drill camera play. What its node raises of it is the drill's alert.
    async fn play(&self, principal: &Principal, camera: CameraId) -> Result<v1::StartDrillResponse> {
        let (_, node) = self.node_of(principal, camera.as_str())?;
        self.explainer().connects(&node)?;
        let now = self.0.clock.wall();
        let plays = self.asked().await?.get(&camera).copied().filter(|asked| *asked <= now);
        let left_us = plays.map_or(0, |asked| asked.plus(PLAYS + CLOSES).0 - now.0);
        if left_us > 0 {
            let message =
                format!("the drill camera {camera} plays: follow that drill, or wait until it is over");
            let retry_after = Duration::from_micros(left_us.unsigned_abs());
            return Err(Error::TooMany { message, retry_after });
        }
        // What its rules have seen since then would be no beginning of anything.
        if self.status_of(principal, &camera).signal() == v1::Signal::Streaming {
            return Err(Error::Conflict(format!(
                "the drill camera {camera} is connected, which somebody asked for otherwise: a drill begins with its first \
                 picture, wait until it is closed"
            )));
        }
        if self.alerts_of_plays(&camera).await?.iter().any(|row| follow::fires(row)) {
            return Err(Error::Conflict(format!(
                "an alert of the drill camera {camera} still fires, and would go on instead of another one: it ends when the \
                 camera is disconnected, wait for that"
            )));
        }
        self.0.drills.begin(self.0.clock.mono())?;
        let asked = self.0.clock.wall();
        let subject = camera.to_string();
        self.0.store.audit(AuditEntry { principal: principal.name.clone(), action: ASKED, subject }).await?;
        // As the audit has it, also where the node has gone at this very moment: then no picture comes, which is said.
        if let Some(all) = &mut self.0.drills.known().asked {
            all.insert(camera.clone(), asked);
        }
        let order = v1::ConnectOrder { camera_id: camera.to_string(), for_us: micros(PLAYS) };
        self.explainer().connect(&node, order)?;
        info!(%camera, "a drill begins at its camera");
        Ok(v1::StartDrillResponse { alert_id: String::new(), until_unix_us: asked.plus(PLAYS).0 })
    }
    /// When each drill camera was last asked for.
    async fn asked(&self) -> Result<BTreeMap<CameraId, Wall>> {
        if let Some(asked) = &self.0.drills.known().asked {
            return Ok(asked.clone());
        }
        let audited = self.0.store.last_audited(ASKED).await?;
        let audited = audited.into_iter().filter_map(|(id, at)| Some((id.parse().ok()?, at))).collect();
        Ok(self.0.drills.known().asked.get_or_insert(audited).clone())
    }
    fn drill_at(&self, camera: CameraId, facts: &v1::PointFacts) -> Result<Alert> {
        let damaged = |what: &str| Error::Internal(format!("the configuration's {what} cannot be read"));
        let now = self.0.clock.wall();
        let path: Result<Vec<DivisionCode>, _> =
            facts.division_path.iter().map(|code| code.parse()).collect();
        Ok(Alert {
            id: AlertId::mint(),
            revision: AlertRevision(1),
            kind: Kind::FireFlame,
            level: Level::SEVERE,
            state: AlertState::Firing,
            place: Place {
                camera,
                camera_name: facts.name.clone(),
                division_path: path.map_err(|_| damaged("division"))?,
                division_name: String::new(),
                address: Some(facts.address.clone()).filter(|address| !address.is_empty()),
                position: facts.position.map(|at| [at.longitude, at.latitude]),
                zone: None,
                class: PointClass::from_number(facts.point_class),
            },
            started: now,
            last_seen: now,
            count: 1,
            confidence: 0.0,
            measures: Vec::new(),
            regions: Vec::new(),
            explanation: Explanation {
                config: self.0.options.sqlite.floods.config,
                rule: RULE.parse::<RuleId>().map_err(|_| damaged("rule"))?,
                thresholds: Vec::new(),
                looks: Vec::new(),
                zone_outline: Vec::new(),
                model: None,
            },
            evidence: Vec::new(),
            stages: Vec::new(),
            camera_time: None,
            decided: now,
            publisher: String::new(),
            drill: true,
            behind: Vec::new(),
            divisions_behind: Vec::new(),
            classes_behind: Vec::new(),
        })
    }
    async fn publish_own(&self, alert: &Alert) -> Result<()> {
        let now = self.0.clock.mono();
        let boot_id = Boot::of_this_machine().as_str().to_owned();
        let sent = Some(v1::SendTime { boot_id, sent_mono_ns: now.0, receiver: None });
        let publication = v1::Publication { alert: Some(alert.into()), sent, ..v1::Publication::default() };
        let own = Principal::new(PUBLISHER, PrincipalKind::Node);
        let told = self.publish(&own, vec![publication], now).await?.pop();
        match told {
            Some(told) if matches!(told.outcome, PublishOutcome::Committed | PublishOutcome::Duplicate) => {
                Ok(())
            }
            told => Err(Error::Internal(format!("the drill was not taken: {told:?}"))),
        }
    }
    pub(super) async fn watch_drills(&self) {
        let mut now_and_then = tokio::time::interval(LOOK_EVERY);
        now_and_then.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            now_and_then.tick().await;
            if let Err(error) = self.end_drills().await {
                warn!(%error, "drills past their time have not ended");
            }
        }
    }
    /// Ends drills past their time, those of an earlier life of the process among them.
    pub(crate) async fn end_drills(&self) -> Result<()> {
        let now = self.0.clock.mono();
        {
            let mut known = self.0.drills.known();
            // One that was asked for lately may be on its way to the disk still.
            let lately = known.last.is_some_and(|last| now.since(last) <= LASTS + APART);
            if known.none && !lately {
                return Ok(());
            }
            known.none = true;
        }
        let query = ListQuery {
            publisher: Some(PUBLISHER.to_owned()),
            firing: Some(true),
            limit: 1000,
            ..ListQuery::default()
        };
        let ended = async {
            let now = self.0.clock.wall();
            for row in self.0.store.list(query).await? {
                let Some(wire) = row.record.alert.clone().filter(is_drill) else { continue };
                let alert = Alert::try_from(wire).map_err(|error| Error::DataLoss(error.to_string()))?;
                if now < alert.started.plus(LASTS) {
                    self.0.drills.known().none = false;
                    continue;
                }
                // Nobody saw it end, since it never was.
                let end = Alert {
                    revision: AlertRevision(alert.revision.0 + 1),
                    state: AlertState::Resolved { why: Resolution::RuleRemoved, at: now },
                    last_seen: now,
                    decided: now,
                    stages: Vec::new(),
                    ..alert
                };
                self.publish_own(&end).await?;
            }
            Ok(())
        };
        let ended: Result<()> = ended.await;
        if ended.is_err() {
            self.0.drills.known().none = false;
        }
        ended
    }
}
