//! Pictures of this moment: which camera of an alert may be looked at, or which one to draw zones on, and its node asked for one.

use xueliang_base::{
    id::{AlertId, CameraId},
    time::micros,
};
use xueliang_proto::v1::{self, CallReason, PictureRefusal};

use super::Bus;
use crate::{
    error::{Error, Result},
    evidence::Call,
    explain::NoPicture,
    live::{LiveCounts, NEXT, Opened, Picture, window},
    register,
    rights::{Principal, Right, check, check_sees},
    store::{CaseKey, ListQuery},
};

/// Refuses who may not look at alerts' cameras, and what no such look is for.
fn may_look(principal: &Principal, call: &Call) -> Result<()> {
    check(principal, Right::ViewRedacted)?;
    register::check_of_alert(call.purpose, call.call_reason)?;
    if matches!(
        register::picked(call),
        CallReason::PartyConcerned
            | CallReason::PublicRelease
            | CallReason::Share
            | CallReason::StateOrgan
            | CallReason::Other
    ) {
        let message =
            "call_reason: what happens now is shown to those who work on it, and leaves by no other way";
        return Err(Error::Invalid(message.to_owned()));
    }
    Ok(())
}

/// What may be looked at: the node that runs it, and what it is asked for.
struct Sight {
    node: String,
    question: v1::PictureQuestion,
}

impl Bus {
    /// Opens pictures of an alert's camera, or of one near it, and gives the first. The register has it on disk before.
    pub async fn open_picture(
        &self,
        principal: &Principal,
        call: &Call,
        nearby: Option<CameraId>,
    ) -> Result<v1::GetPictureResponse> {
        let camera = match &nearby {
            Some(camera) => camera.to_string(),
            None => self.0.store.camera_of(call.alert).await?.unwrap_or_default(),
        };
        let what = Opened { alert: call.alert, nearby: nearby.map(|camera| camera.to_string()) };
        let found = match may_look(principal, call) {
            Ok(()) => self.begin(principal, what).await,
            Err(error) => Err(error),
        };
        let entry = self.0.evidence.entry(principal, call);
        let token = found.as_ref().ok().and_then(|told| told.as_ref().ok()).map(|(token, _)| token.clone());
        let told = self.0.evidence.open_picture(entry, camera, found).await;
        self.0.live.count(true, matches!(told, Ok(Ok(_))));
        if let (Some(token), Err(_)) = (token, &told) {
            self.0.live.openings().close(&token);
        }
        Ok(match told? {
            Ok((token, picture)) => self.shown(token, Ok(picture)),
            Err(none) => self.shown(String::new(), Err(none)),
        })
    }
    /// One picture of a camera whose zones are drawn: whoever draws needs no more, and each has its entry of the register, on
    /// disk before. As clear as the zone of an alert is shown, everywhere.
    pub async fn tuning_picture(
        &self,
        principal: &Principal,
        camera: CameraId,
    ) -> Result<v1::GetPictureResponse> {
        let found =
            match check(principal, Right::TuneRules).and_then(|()| self.tuned(principal, camera.as_str())) {
                Ok(camera) => Ok(self.drawn_upon(&camera).await.map(|picture| (String::new(), picture))),
                Err(error) => Err(error),
            };
        let entry = self.0.evidence.tuning_entry(principal);
        let told = self.0.evidence.open_picture(entry, camera.to_string(), found).await;
        self.0.live.count(true, matches!(told, Ok(Ok(_))));
        Ok(self.shown(String::new(), told?.map(|(_, picture)| picture)))
    }
    async fn drawn_upon(&self, camera: &CameraId) -> Result<Picture, NoPicture> {
        let corner = |(x, y)| v1::Point { x, y };
        let zone_outline = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(corner).to_vec();
        let camera_id = camera.to_string();
        let node = self.runs(&camera_id)?;
        let question = v1::PictureQuestion { camera_id, zone_outline, ..v1::PictureQuestion::default() };
        self.ask(&Sight { node, question }).await
    }
    async fn begin(
        &self,
        principal: &Principal,
        what: Opened,
    ) -> Result<Result<(String, Picture), NoPicture>> {
        let sight = match self.sight(principal, &what).await? {
            Ok(sight) => sight,
            Err(none) => return Ok(Err(none)),
        };
        let now = self.0.clock.mono();
        let opened = self.0.live.openings().open(&principal.name, what, now)?;
        let token = match opened {
            Ok(token) => token,
            Err(none) => return Ok(Err(none)),
        };
        let picture = self.ask(&sight).await;
        if picture.is_err() {
            self.0.live.openings().close(&token);
        }
        Ok(picture.map(|picture| (token, picture)))
    }

    /// The next picture of what an account has opened.
    pub async fn next_picture(&self, principal: &Principal, token: &str) -> Result<v1::GetPictureResponse> {
        let told = self.go_on(principal, token).await;
        if let Err(error @ Error::Forbidden(_)) = &told {
            self.audit_lacking(principal, "/xueliang.v1.EvidenceService/GetPicture", error);
        }
        self.0.live.count(false, told.as_ref().is_ok_and(|told| !told.jpeg.is_empty()));
        told
    }
    async fn go_on(&self, principal: &Principal, token: &str) -> Result<v1::GetPictureResponse> {
        check(principal, Right::ViewRedacted)?;
        let now = self.0.clock.mono();
        let again = self.0.live.openings().again(&principal.name, token, now)?;
        let what = match again {
            Ok(what) => what,
            Err(none) => return Ok(self.shown(String::new(), Err(none))),
        };
        Ok(match self.sight(principal, &what).await? {
            Ok(sight) => self.shown(token.to_owned(), self.ask(&sight).await),
            Err(none) => {
                self.0.live.openings().close(token);
                self.shown(String::new(), Err(none))
            }
        })
    }

    /// Cameras near that of an alert, of which pictures can be had now.
    pub async fn nearby_cameras(
        &self,
        principal: &Principal,
        alert: AlertId,
    ) -> Result<v1::ListNearbyCamerasResponse> {
        check(principal, Right::ViewRedacted)?;
        let alert = self.alert(principal, alert).await?;
        let until = window::nearby_until(&alert);
        let within_m = self.0.options.nearby_m;
        let over = alert.drill || until.is_some_and(|until| until < self.0.clock.wall());
        let cameras = if over { Vec::new() } else { self.near(principal, &alert) };
        Ok(v1::ListNearbyCamerasResponse {
            cameras,
            until_unix_us: until.map_or(0, |until| until.0),
            within_m,
        })
    }
    fn near(&self, principal: &Principal, alert: &v1::Alert) -> Vec<v1::NearbyCamera> {
        let (metres, place) = (self.0.options.nearby_m, alert.place.as_ref());
        match place.filter(|_| metres > 0) {
            Some(place) => self.board().near(place, metres, principal.reach().as_deref()),
            None => Vec::new(),
        }
    }
    /// What has been given since the start.
    pub fn live_counts(&self) -> &LiveCounts {
        self.0.live.counts()
    }

    /// The latest state of an alert that a principal may see.
    async fn alert(&self, principal: &Principal, id: AlertId) -> Result<v1::Alert> {
        check_sees(&*self.0.store, principal, id).await?;
        let query = ListQuery { alerts: vec![id], limit: 1, ..ListQuery::default() };
        let record = self.0.store.list(query).await?.pop();
        let alert = record.and_then(|row| row.record.alert.clone());
        alert.ok_or_else(|| Error::NotFound(format!("there is no alert {id}")))
    }
    /// What is to be looked at, where it may be now.
    async fn sight(&self, principal: &Principal, what: &Opened) -> Result<Result<Sight, NoPicture>> {
        let (id, nearby) = (what.alert, &what.nearby);
        let alert = self.alert(principal, id).await?;
        if alert.drill {
            let message = "a drill means nothing at its camera: no picture of it is shown";
            return Ok(Err(NoPicture::new(PictureRefusal::Over, message)));
        }
        let place = alert.place.clone().unwrap_or_default();
        let camera_id = nearby.clone().unwrap_or(place.camera_id);
        let until = match nearby {
            Some(camera) => {
                if !self.near(principal, &alert).iter().any(|one| one.camera_id == *camera) {
                    let message = format!("camera_id: {camera} is not near alert {id}");
                    return Err(Error::NotFound(message));
                }
                window::nearby_until(&alert)
            }
            None => window::own_until(&alert, self.case_of(&alert, id).await?),
        };
        if until.is_some_and(|until| until < self.0.clock.wall()) {
            let message = match nearby {
                Some(_) => "cameras near an alert are shown until two minutes after it has ended",
                None => "the alert has ended, and nobody works on its case: its camera is not shown any more",
            };
            return Ok(Err(NoPicture::new(PictureRefusal::Over, message)));
        }
        let node = match self.runs(&camera_id) {
            Ok(node) => node,
            Err(none) => return Ok(Err(none)),
        };
        let mut question = v1::PictureQuestion { camera_id, ..v1::PictureQuestion::default() };
        // Where another system says that something is, nothing is shown less coarsely for that.
        if nearby.is_none() && alert.publisher == node {
            question.regions = alert.regions;
            question.zone_outline = alert.explanation.unwrap_or_default().zone_outline;
        }
        Ok(Ok(Sight { node, question }))
    }
    /// The node that runs a camera.
    fn runs(&self, camera_id: &str) -> Result<String, NoPicture> {
        self.board().node_of(camera_id, None).ok_or_else(|| {
            let message =
                format!("no node of this service runs camera {camera_id:?}: there is no picture of it");
            NoPicture::new(PictureRefusal::Away, message)
        })
    }
    /// Where the case of an alert that has ended stands; `None`: it fires, or there is none.
    async fn case_of(&self, alert: &v1::Alert, id: AlertId) -> Result<Option<v1::CaseState>> {
        if alert.state() != v1::AlertState::Resolved {
            return Ok(None);
        }
        match self.0.store.case(CaseKey::Alert(id), None).await {
            Ok(told) => Ok(told.case.map(|case| case.state())),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
    async fn ask(&self, sight: &Sight) -> Result<Picture, NoPicture> {
        let ask = |question| self.explainer().picture(&sight.node, question);
        self.0.live.picture(&sight.question, ask).await
    }
    fn shown(&self, opening: String, picture: Result<Picture, NoPicture>) -> v1::GetPictureResponse {
        let now = self.0.clock.mono();
        let mut told = v1::GetPictureResponse {
            left_us: micros(self.0.live.openings().left(&opening, now)),
            next_us: micros(NEXT),
            opening,
            ..v1::GetPictureResponse::default()
        };
        match picture {
            Ok(picture) => {
                told.age_us = micros(picture.age(now));
                told.arrived_unix_us = picture.arrived.0;
                told.jpeg = picture.jpeg;
            }
            Err(none) => {
                told.set_refusal(none.refusal);
                told.message = none.message;
            }
        }
        told
    }
}
