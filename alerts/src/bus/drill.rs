//! Drills: an alert that means nothing, raised by the bus as a publisher would, to see whether the chain behind it holds. It is a fire of
//! level 2, so that nothing groups or inhibits it and it takes the way of what is critical, at a camera of the configuration; it is
//! marked as a drill for ever, and ends by itself. What a drill shows is read of the record, of its case and of who was shown it.

use std::{
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
    time::{Boot, Mono},
};
use xueliang_proto::v1::{self, DeliveryStage, DrillStep, PublishOutcome, case_action::What};

use super::Bus;
use crate::{
    error::{Error, Result},
    flood::PUBLISHER,
    rights::{Principal, PrincipalKind, Right, check, check_sees},
    store::{AuditEntry, CaseKey, ListQuery},
};

/// The rule that a drill's alert names.
const RULE: &str = "drill";
/// A drill ends after so long: a shift's beginning takes less.
const LASTS: Duration = Duration::from_secs(15 * 60);
/// Between two drills: each of them tells desks and other systems.
const APART: Duration = Duration::from_secs(60);
/// How often it is looked whether one is to end.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The bus's own alerts that are looked through for the latest drill.
const LOOK_BACK: usize = 200;

/// What is remembered of drills between two of them.
#[derive(Debug, Default)]
pub(super) struct Drills(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When the latest was asked for.
    last: Option<Mono>,
    /// None fires, as far as this process knows.
    none: bool,
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
    /// Raises a drill at a camera of the configuration.
    pub async fn start_drill(&self, principal: &Principal, camera: &str) -> Result<AlertId> {
        check(principal, Right::Dispatch)?;
        let unknown = || Error::NotFound(format!("camera_id: there is no camera {camera}"));
        let camera: CameraId = camera.parse().map_err(|_| unknown())?;
        let facts = self.0.options.points.facts(&camera).filter(|_| self.sees_point(principal, &camera));
        let facts = facts.ok_or_else(unknown)?.clone();
        self.0.drills.begin(self.0.clock.mono())?;
        let alert = self.drill_at(camera, &facts)?;
        // Who has it done stands in the audit before it is seen.
        let subject = format!("alert {} at {}", alert.id, alert.place.camera);
        let audit = AuditEntry { principal: principal.name.clone(), action: "drill_started", subject };
        self.0.store.audit(audit).await?;
        self.publish_own(&alert).await?;
        info!(alert = %alert.id, camera = %alert.place.camera, "a drill begins");
        Ok(alert.id)
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
    /// How far a drill has come: this one, or the latest that may be seen.
    pub async fn drill(&self, principal: &Principal, alert: &str) -> Result<v1::GetDrillResponse> {
        check(principal, Right::ReadAlerts)?;
        let store = &self.0.store;
        let query = if alert.is_empty() {
            let filter = crate::filter::Filter { within: principal.reach(), ..Default::default() };
            ListQuery {
                filter,
                publisher: Some(PUBLISHER.to_owned()),
                limit: LOOK_BACK,
                ..ListQuery::default()
            }
        } else {
            let id = alert.parse().map_err(|fault| Error::Invalid(format!("alert_id: {fault}")))?;
            check_sees(&**store, principal, id).await?;
            ListQuery { alerts: vec![id], limit: 1, ..ListQuery::default() }
        };
        let rows = store.list(query).await?;
        let Some(row) = rows.iter().find(|row| row.record.alert.as_ref().is_some_and(is_drill)) else {
            if alert.is_empty() {
                return Ok(v1::GetDrillResponse::default());
            }
            return Err(Error::NotFound(format!("the alert {alert} is no drill")));
        };
        let told = row.record.alert.clone().unwrap_or_default();
        let marks = self.drill_marks(principal, row.alert, &told).await?;
        let case = store.case(CaseKey::Alert(row.alert), None).await;
        let place = told.place.unwrap_or_default();
        Ok(v1::GetDrillResponse {
            alert_id: row.alert.to_string(),
            camera_id: place.camera_id,
            camera_name: place.camera_name,
            marks,
            state: case.ok().and_then(|one| one.case).map_or(0, |case| case.state),
            ended: told.resolved_unix_us != 0,
        })
    }
    async fn drill_marks(
        &self,
        principal: &Principal,
        id: AlertId,
        alert: &v1::Alert,
    ) -> Result<Vec<v1::DrillMark>> {
        let store = &self.0.store;
        let mut marks = Vec::new();
        let mut mark = |step: DrillStep, at_unix_us: i64, unit: &str| {
            marks.push(v1::DrillMark { step: step.into(), at_unix_us, unit: unit.to_owned() });
        };
        mark(DrillStep::Raised, alert.started_unix_us, "");
        let first = store.history(id).await?.into_iter().next();
        mark(DrillStep::Recorded, first.map_or(0, |record| record.committed_unix_us), "");
        let seen =
            |stage: DeliveryStage| matches!(stage, DeliveryStage::Displayed | DeliveryStage::Acknowledged);
        let own = store.deliveries(id, 0).await?;
        let own = own.iter().filter(|one| one.principal == principal.name);
        let shown = own.flat_map(|one| &one.stages).filter(|one| seen(one.stage)).map(|one| one.to.0).min();
        mark(DrillStep::Shown, shown.unwrap_or(0), "");
        let key = CaseKey::Alert(id);
        // A drill that was silenced has no case yet.
        let history = store.case(key.clone(), None).await.map(|one| one.history).unwrap_or_default();
        let of = |is: fn(&What) -> bool| {
            let did = |event: &&v1::CaseEvent| {
                event.action.as_ref().and_then(|action| action.what.as_ref()).is_some_and(is)
            };
            let event = history.iter().find(did)?;
            let unit = event.actor.as_ref().map(|actor| actor.unit.clone()).unwrap_or_default();
            Some((event.at_unix_us, unit))
        };
        let opened = store.links(key, None).await?.links;
        let opened =
            opened.iter().filter(|link| link.opened_unix_us != 0).min_by_key(|link| link.opened_unix_us);
        let opened = opened.map(|link| (link.opened_unix_us, link.unit.clone()));
        for (step, done) in [
            (DrillStep::Judged, of(|what| matches!(what, What::Confirm(_)))),
            (DrillStep::Dispatched, of(|what| matches!(what, What::Dispatch(_)))),
            (DrillStep::LinkGiven, of(|what| matches!(what, What::GiveLink(_)))),
            (DrillStep::LinkOpened, opened),
            (DrillStep::Accepted, of(|what| matches!(what, What::Accept(_)))),
            (DrillStep::Started, of(|what| matches!(what, What::Start(_)))),
            (DrillStep::FedBack, of(|what| matches!(what, What::Feedback(_)))),
            (DrillStep::Verified, of(|what| matches!(what, What::Pass(_)))),
        ] {
            let (at, unit) = done.unwrap_or_default();
            mark(step, at, &unit);
        }
        Ok(marks)
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
