//! How far a drill has come: read of the record, of its case and of who was shown it. Until its alert is there, what a drill camera's node
//! says of it is all that is known.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use xueliang_base::{
    id::{AlertId, CameraId},
    time::Wall,
};
use xueliang_proto::v1::{self, DeliveryStage, DrillStep, Signal, Stage, case_action::What};

use super::{Bus, PLAYS, is_drill};
use crate::{
    board::Query,
    error::{Error, Result},
    filter::Filter,
    flood::PUBLISHER,
    rights::{Principal, Right, check, check_sees},
    store::{CaseKey, FeedRow, ListQuery},
};

/// Alerts that are looked through for a drill's, latest changed first.
const LOOK_BACK: usize = 200;
/// An alert may come so much later than its camera was closed: it is on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(15);
/// So much may the clock of a node be behind that of the bus.
const CLOCKS: Duration = Duration::from_secs(15);
/// Kinds of hazards that a picture shows; what is said of a camera itself proves no rule.
const SCENE: std::ops::Range<i32> = 1000..8000;

/// What comes before the record, at a drill camera.
const AT_CAMERA: [DrillStep; 3] = [DrillStep::Asked, DrillStep::Pictured, DrillStep::LookedAt];
/// What every drill goes through.
const CHAIN: [DrillStep; 11] = [
    DrillStep::Raised,
    DrillStep::Recorded,
    DrillStep::Shown,
    DrillStep::Judged,
    DrillStep::Dispatched,
    DrillStep::LinkGiven,
    DrillStep::LinkOpened,
    DrillStep::Accepted,
    DrillStep::Started,
    DrillStep::FedBack,
    DrillStep::Verified,
];

/// What was done, when, and by which unit.
#[derive(Default)]
struct Done(BTreeMap<DrillStep, (i64, String)>);

impl Done {
    fn at(&mut self, step: DrillStep, at_unix_us: i64) {
        self.0.insert(step, (at_unix_us, String::new()));
    }
    /// The marks of these steps, in their order.
    fn marks(mut self, steps: impl Iterator<Item = DrillStep>) -> Vec<v1::DrillMark> {
        let mark = |step: DrillStep| {
            let (at_unix_us, unit) = self.0.remove(&step).unwrap_or_default();
            v1::DrillMark { step: step.into(), at_unix_us, unit }
        };
        steps.map(mark).collect()
    }
}

/// A drill's alert as it is, and its first state.
struct Raised {
    row: Arc<FeedRow>,
    first: v1::Record,
}

pub(super) fn fires(row: &FeedRow) -> bool {
    row.record.alert.as_ref().is_some_and(|alert| alert.state() == v1::AlertState::Firing)
}

/// Whether a first state was decided by a model that looked at a picture, in a drill: what a drill camera's node raises.
fn was_looked_at(first: &v1::Record) -> bool {
    let looked = |alert: &v1::Alert| {
        let inferred = alert.stages.iter().any(|time| time.stage() == Stage::Infer);
        alert.drill && SCENE.contains(&alert.kind) && inferred
    };
    first.alert.as_ref().is_some_and(looked)
}

/// Whether a first state came of the drill that was asked for then: by the clock of the bus, since that of the node may be another;
/// but what an earlier drill raised may have waited in its node's spool.
fn is_of(first: &v1::Record, asked: Wall) -> bool {
    let began = first.alert.as_ref().map_or(0, |alert| alert.started_unix_us);
    first.committed_unix_us >= asked.0 && Wall(began) >= asked.minus(CLOCKS)
}

impl Bus {
    /// How far a drill has come: this one, or the latest that may be seen.
    pub async fn drill(
        &self,
        principal: &Principal,
        request: &v1::GetDrillRequest,
    ) -> Result<v1::GetDrillResponse> {
        check(principal, Right::ReadAlerts)?;
        let asked = self.asked().await?;
        if !request.alert_id.is_empty() {
            return self.drill_of(principal, &request.alert_id, &asked).await;
        }
        let mut asked: Vec<(CameraId, Wall)> = asked.into_iter().collect();
        asked.retain(|(camera, _)| {
            self.0.options.points.is_drill(camera) && self.sees_point(principal, camera)
        });
        if !request.camera_id.is_empty() {
            let found = asked.into_iter().find(|(camera, _)| camera.as_str() == request.camera_id);
            return match found {
                Some((camera, asked)) => self.drill_at_camera(principal, &camera, asked).await,
                None => Ok(v1::GetDrillResponse::default()),
            };
        }
        let own = self.latest_own(principal).await?;
        let began = own.as_ref().and_then(|row| row.record.alert.as_ref()).map(|alert| alert.started_unix_us);
        let latest = asked.into_iter().max_by_key(|(_, at)| *at);
        match (latest, own) {
            (Some((camera, asked)), _) if began.is_none_or(|began| began < asked.0) => {
                self.drill_at_camera(principal, &camera, asked).await
            }
            (_, Some(row)) => {
                let first = self.first_state(row.alert).await?;
                self.drill_told(principal, Raised { row, first }, None, false).await
            }
            _ => Ok(v1::GetDrillResponse::default()),
        }
    }
    /// The latest drill that the bus raised and the principal may see.
    async fn latest_own(&self, principal: &Principal) -> Result<Option<Arc<FeedRow>>> {
        let query = ListQuery {
            filter: Filter { within: principal.reach(), ..Filter::default() },
            publisher: Some(PUBLISHER.to_owned()),
            drills: true,
            limit: LOOK_BACK,
            ..ListQuery::default()
        };
        let rows = self.0.store.list(query).await?;
        Ok(rows.into_iter().find(|row| row.record.alert.as_ref().is_some_and(is_drill)))
    }
    async fn drill_of(
        &self,
        principal: &Principal,
        alert: &str,
        asked: &BTreeMap<CameraId, Wall>,
    ) -> Result<v1::GetDrillResponse> {
        let id: AlertId = alert.parse().map_err(|fault| Error::Invalid(format!("alert_id: {fault}")))?;
        check_sees(&*self.0.store, principal, id).await?;
        let query = ListQuery { alerts: vec![id], limit: 1, ..ListQuery::default() };
        let row = self.0.store.list(query).await?.into_iter().next();
        let none = || Error::NotFound(format!("the alert {alert} is no drill"));
        let row = row.ok_or_else(none)?;
        let first = self.first_state(id).await?;
        let own = row.record.alert.as_ref().is_some_and(is_drill);
        if !own && !was_looked_at(&first) {
            return Err(none());
        }
        let asked =
            asked.iter().find(|(camera, at)| camera.as_str() == row.camera && !own && is_of(&first, **at));
        let asked = asked.map(|(_, at)| *at);
        self.drill_told(principal, Raised { row, first }, asked, !own).await
    }
    async fn first_state(&self, id: AlertId) -> Result<v1::Record> {
        Ok(self.0.store.history(id).await?.into_iter().next().unwrap_or_default())
    }
    /// Drill alerts that a drill camera's node raised, latest changed first.
    pub(super) async fn alerts_of_plays(&self, camera: &CameraId) -> Result<Vec<Arc<FeedRow>>> {
        let filter = Filter { cameras: vec![camera.clone()], ..Filter::default() };
        let query = ListQuery { filter, drills: true, limit: LOOK_BACK, ..ListQuery::default() };
        let mut rows = self.0.store.list(query).await?;
        rows.retain(|row| {
            let told = |alert: &v1::Alert| alert.publisher != PUBLISHER;
            row.record.alert.as_ref().is_some_and(told) && SCENE.contains(&row.kind)
        });
        Ok(rows)
    }
    /// The drill that was asked for there then: the first alert that came of it, or what is known without one.
    async fn drill_at_camera(
        &self,
        principal: &Principal,
        camera: &CameraId,
        asked: Wall,
    ) -> Result<v1::GetDrillResponse> {
        let mut came: Option<Raised> = None;
        for row in self.alerts_of_plays(camera).await? {
            if row.record.committed_unix_us < asked.0 {
                break;
            }
            let first = self.first_state(row.alert).await?;
            let earlier = |known: &Raised| first.committed_unix_us < known.first.committed_unix_us;
            let of_it = is_of(&first, asked) && was_looked_at(&first);
            if of_it && came.as_ref().is_none_or(earlier) {
                came = Some(Raised { row, first });
            }
        }
        match came {
            Some(raised) => self.drill_told(principal, raised, Some(asked), true).await,
            None => Ok(self.drill_awaited(principal, camera, asked)),
        }
    }
    /// What the camera's node said of it last.
    pub(super) fn status_of(&self, principal: &Principal, camera: &CameraId) -> v1::CameraStatus {
        let request = v1::ListCamerasRequest { camera_ids: vec![camera.to_string()], ..Default::default() };
        let listed = Query::read(&request, Some(1)).map(|query| {
            let (listed, _) = self.board().list(&query, &[], principal.reach().as_deref());
            listed.cameras
        });
        listed.unwrap_or_default().into_iter().next().unwrap_or_default()
    }
    /// A drill that has no alert yet.
    fn drill_awaited(&self, principal: &Principal, camera: &CameraId, asked: Wall) -> v1::GetDrillResponse {
        let status = self.status_of(principal, camera);
        let mut done = Done::default();
        done.at(DrillStep::Asked, asked.0);
        if status.last_unit_unix_us >= asked.0 {
            let began = status.signal() == Signal::Streaming && status.since_unix_us >= asked.0;
            let at = if began { status.since_unix_us } else { status.last_unit_unix_us };
            done.at(DrillStep::Pictured, at);
        }
        if status.last_look_unix_us >= asked.0 {
            done.at(DrillStep::LookedAt, status.last_look_unix_us);
        }
        let until = asked.plus(PLAYS);
        let named = self.0.options.points.facts(camera).map(|facts| facts.name.clone());
        v1::GetDrillResponse {
            camera_id: camera.to_string(),
            camera_name: named.unwrap_or_default(),
            marks: done.marks(AT_CAMERA.into_iter().chain(CHAIN)),
            from_camera: true,
            until_unix_us: until.0,
            missed: self.0.clock.wall() > until.plus(ON_ITS_WAY),
            signal: status.signal,
            not_looked: status.not_looked,
            detail: status.detail,
            ..v1::GetDrillResponse::default()
        }
    }
    async fn drill_told(
        &self,
        principal: &Principal,
        Raised { row, first }: Raised,
        asked: Option<Wall>,
        from_camera: bool,
    ) -> Result<v1::GetDrillResponse> {
        let told = row.record.alert.clone().unwrap_or_default();
        let mut done = Done::default();
        done.at(DrillStep::Recorded, first.committed_unix_us);
        let began = first.alert.unwrap_or_default();
        if from_camera {
            let spent = |stages: &[Stage]| {
                let of = |time: &&v1::StageTime| stages.contains(&time.stage());
                let us: u64 = began.stages.iter().filter(of).map(|time| time.duration_us).sum();
                began.decided_unix_us.saturating_add(i64::try_from(us).unwrap_or(i64::MAX))
            };
            done.at(DrillStep::Asked, asked.map_or(0, |at| at.0));
            done.at(DrillStep::Pictured, began.started_unix_us);
            done.at(DrillStep::LookedAt, spent(&[Stage::Wait, Stage::Decode, Stage::Infer]));
            done.at(DrillStep::Raised, spent(&[Stage::Wait, Stage::Decode, Stage::Infer, Stage::Decide]));
        } else {
            done.at(DrillStep::Raised, began.started_unix_us);
        }
        self.follow_case(principal, row.alert, &mut done).await?;
        let part = |step: &DrillStep| match step {
            DrillStep::Asked => from_camera && asked.is_some(),
            _ => from_camera,
        };
        let marks = done.marks(AT_CAMERA.into_iter().filter(part).chain(CHAIN));
        let case = self.0.store.case(CaseKey::Alert(row.alert), None).await;
        let place = told.place.unwrap_or_default();
        Ok(v1::GetDrillResponse {
            alert_id: row.alert.to_string(),
            camera_id: place.camera_id,
            camera_name: place.camera_name,
            marks,
            state: case.ok().and_then(|one| one.case).map_or(0, |case| case.state),
            ended: told.resolved_unix_us != 0,
            from_camera,
            until_unix_us: asked.map_or(0, |at| at.plus(PLAYS).0),
            ..v1::GetDrillResponse::default()
        })
    }
    /// Who was shown it, and what people did about it.
    async fn follow_case(&self, principal: &Principal, id: AlertId, done: &mut Done) -> Result<()> {
        let store = &self.0.store;
        let seen =
            |stage: DeliveryStage| matches!(stage, DeliveryStage::Displayed | DeliveryStage::Acknowledged);
        let own = store.deliveries(id, 0).await?;
        let own = own.iter().filter(|one| one.principal == principal.name);
        let shown = own.flat_map(|one| &one.stages).filter(|one| seen(one.stage)).map(|one| one.to.0).min();
        done.at(DrillStep::Shown, shown.unwrap_or(0));
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
        done.0.extend(
            [
                (DrillStep::Judged, of(|what| matches!(what, What::Confirm(_)))),
                (DrillStep::Dispatched, of(|what| matches!(what, What::Dispatch(_)))),
                (DrillStep::LinkGiven, of(|what| matches!(what, What::GiveLink(_)))),
                (DrillStep::LinkOpened, opened),
                (DrillStep::Accepted, of(|what| matches!(what, What::Accept(_)))),
                (DrillStep::Started, of(|what| matches!(what, What::Start(_)))),
                (DrillStep::FedBack, of(|what| matches!(what, What::Feedback(_)))),
                (DrillStep::Verified, of(|what| matches!(what, What::Pass(_)))),
            ]
            .into_iter()
            .filter_map(|(step, done)| Some((step, done?))),
        );
        Ok(())
    }
}
