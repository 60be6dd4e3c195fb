//! Public releases and requests of those concerned, step by step. What is given out, the evidence gateway gives.

use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, ViewingBasis, ViewingOutcome, ViewingParty, ViewingRefusal, ViewingState};

use super::Bus;
use crate::{
    disclosure::{APPROVED_FOR, LONGEST, check_kind, usual_end},
    error::{Error, Result},
    reach,
    register::words,
    rights::{Principal, Right, check, check_sees},
    store::{ReleaseDecision, ReleaseQuery, Taker, ViewingQuery},
};

fn taker(principal: &Principal) -> Taker {
    Taker {
        account: principal.name.clone(),
        unit: principal.unit.clone().unwrap_or_default(),
        within: principal.reach(),
    }
}

/// Refuses whoever has none of these rights.
fn check_any(principal: &Principal, rights: &[Right]) -> Result<()> {
    let has = |right: &Right| principal.may(*right);
    if rights.iter().any(has) { Ok(()) } else { check(principal, rights[0]) }
}

impl Bus {
    /// Prepares a release.
    pub async fn prepare_release(
        &self,
        principal: &Principal,
        request: v1::PrepareReleaseRequest,
    ) -> Result<v1::Release> {
        check(principal, Right::PrepareRelease)?;
        let alert = request.alert_id.parse().map_err(|fault| Error::Invalid(format!("alert_id: {fault}")))?;
        let store = &self.0.store;
        check_sees(&**store, principal, alert).await?;
        let kind = check_kind(request.kind)?;
        let reason = words(&request.reason)?;
        let row = store.evidence(alert, kind).await?;
        let there =
            row.filter(|row| row.facts.missing_reason.is_empty() && !row.deleted && row.facts.redacted);
        let row = there.ok_or_else(|| {
            Error::NotFound(format!(
                "alert {alert} has no redacted {}: there is nothing to release",
                kind.word()
            ))
        })?;
        let by = taker(principal);
        let release = v1::Release {
            alert_id: alert.to_string(),
            camera_id: store.camera_of(alert).await?.unwrap_or_default(),
            kind: v1::EvidenceKind::from(kind).into(),
            sha256: row.facts.sha256,
            reason,
            prepared_by: by.account,
            prepared_by_unit: by.unit,
            ..v1::Release::default()
        };
        store.prepare_release(release).await
    }
    /// Approves or refuses a release.
    pub async fn decide_release(
        &self,
        principal: &Principal,
        request: v1::DecideReleaseRequest,
    ) -> Result<v1::Release> {
        check(principal, Right::ApproveRelease)?;
        let verdict = if request.approve {
            if !request.nothing_recognisable {
                return Err(Error::Invalid(
                    "nothing_recognisable: look whether anybody, any vehicle or any name can be recognised, and say that \
                     nothing can"
                        .to_owned(),
                ));
            }
            Ok(self.0.clock.wall().plus(APPROVED_FOR))
        } else {
            Err(words(&request.refusal)?)
        };
        let decision = ReleaseDecision { release: request.release_id, verdict };
        self.0.store.decide_release(taker(principal), decision).await
    }
    /// Lists releases.
    pub async fn releases(&self, principal: &Principal, query: ReleaseQuery) -> Result<Vec<v1::Release>> {
        check_any(principal, &[Right::PrepareRelease, Right::ApproveRelease, Right::ReadRegister])?;
        let within = principal.reach();
        self.0.store.releases(ReleaseQuery { within, ..query }).await
    }
    /// Where a camera lies: as the configuration has it, or else as its node reports it, or else, where it is gone, as its
    /// latest alert has it. `None`: nobody knows of it.
    async fn path_of(&self, camera: &str) -> Result<Option<String>> {
        let Ok(id) = camera.parse() else { return Ok(None) };
        if let Some(path) = self.0.options.points.path_of(&id) {
            return Ok(Some(path.to_owned()));
        }
        if let Some((divisions, class)) = self.0.board.place_of(camera) {
            return Ok(Some(reach::path(&divisions, class)));
        }
        let last = self.0.store.last_path_of(id).await?;
        Ok(last.map(|path| reach::own(&path).to_owned()))
    }
    /// Receives a request of somebody concerned.
    pub async fn receive_viewing(
        &self,
        principal: &Principal,
        request: v1::ReceiveViewingRequest,
    ) -> Result<v1::Viewing> {
        check(principal, Right::ExamineViewings)?;
        let unknown = || Error::NotFound(format!("camera_id: there is no camera {}", request.camera_id));
        let path = self.path_of(&request.camera_id).await?.ok_or_else(unknown)?;
        if !reach::reaches(principal.reach().as_deref(), &path) {
            return Err(unknown());
        }
        let (from, to) = (Wall(request.from_unix_us), Wall(request.to_unix_us));
        if from.0 <= 0 || to <= from || to > from.plus(LONGEST) || to > self.0.clock.wall() {
            return Err(Error::Invalid(
                "from_unix_us, to_unix_us: name a stretch of 24 hours at most that is over".to_owned(),
            ));
        }
        if matches!(ViewingBasis::try_from(request.basis), Err(_) | Ok(ViewingBasis::Unspecified)) {
            return Err(Error::Invalid("basis: say what the request is based on".to_owned()));
        }
        party(request.party)?;
        let viewing = v1::Viewing {
            camera_id: request.camera_id,
            from_unix_us: from.0,
            to_unix_us: to.0,
            basis: request.basis,
            party: request.party,
            ..v1::Viewing::default()
        };
        self.0.store.receive_viewing(taker(principal), viewing, path).await
    }
    /// Says what the examination of a request came to.
    pub async fn examine_viewing(
        &self,
        principal: &Principal,
        request: v1::ExamineViewingRequest,
    ) -> Result<v1::Viewing> {
        check(principal, Right::ExamineViewings)?;
        refusal(request.refusal)?;
        let step = v1::ViewingStep {
            state: ViewingState::Examined.into(),
            refusal: request.refusal,
            ..v1::ViewingStep::default()
        };
        self.0.store.step_viewing(taker(principal), request.request_id, step).await
    }
    /// Grants or refuses a request.
    pub async fn decide_viewing(
        &self,
        principal: &Principal,
        request: v1::DecideViewingRequest,
    ) -> Result<v1::Viewing> {
        check(principal, Right::GrantViewings)?;
        let state = match refusal(request.refusal)? {
            ViewingRefusal::Unspecified => ViewingState::Granted,
            _ => ViewingState::Refused,
        };
        let step =
            v1::ViewingStep { state: state.into(), refusal: request.refusal, ..v1::ViewingStep::default() };
        self.0.store.step_viewing(taker(principal), request.request_id, step).await
    }
    /// Closes a request.
    pub async fn close_viewing(
        &self,
        principal: &Principal,
        request: v1::CloseViewingRequest,
    ) -> Result<v1::Viewing> {
        check(principal, Right::ExamineViewings)?;
        let mut outcome = ViewingOutcome::try_from(request.outcome)
            .map_err(|_| Error::Invalid("outcome: is not known here".to_owned()))?;
        if outcome == ViewingOutcome::Unspecified {
            let query =
                ViewingQuery { request: Some(request.request_id), limit: 1, ..ViewingQuery::default() };
            let found = self.viewings_within(principal, query).await?.pop();
            outcome = usual_end(found.unwrap_or_default().state());
        }
        let step = v1::ViewingStep {
            state: ViewingState::Closed.into(),
            outcome: outcome.into(),
            ..v1::ViewingStep::default()
        };
        self.0.store.step_viewing(taker(principal), request.request_id, step).await
    }
    /// Lists requests.
    pub async fn viewings(&self, principal: &Principal, query: ViewingQuery) -> Result<Vec<v1::Viewing>> {
        check_any(principal, &[Right::ExamineViewings, Right::GrantViewings, Right::ReadRegister])?;
        self.viewings_within(principal, query).await
    }
    async fn viewings_within(&self, principal: &Principal, query: ViewingQuery) -> Result<Vec<v1::Viewing>> {
        let within = principal.reach();
        self.0.store.viewings(ViewingQuery { within, ..query }).await
    }
    /// The files of an approved release.
    pub(crate) async fn release_files(
        &self,
        principal: &Principal,
        release: u64,
    ) -> Result<crate::evidence::ReleaseFiles> {
        self.0.evidence.release(principal, &taker(principal), release).await
    }
    /// A redacted piece, shown for a granted request.
    pub(crate) async fn show_viewing(
        &self,
        principal: &Principal,
        request: &v1::ShowViewingRequest,
    ) -> Result<v1::ShowViewingResponse> {
        self.0.evidence.showing(principal, taker(principal), request).await
    }
}

fn refusal(number: i32) -> Result<ViewingRefusal> {
    ViewingRefusal::try_from(number).map_err(|_| Error::Invalid("refusal: is not known here".to_owned()))
}

/// What somebody is to an event; it has to be said.
pub(crate) fn party(number: i32) -> Result<ViewingParty> {
    match ViewingParty::try_from(number) {
        Ok(ViewingParty::Unspecified) | Err(_) => {
            Err(Error::Invalid("party: say what whoever asks is to the event".to_owned()))
        }
        Ok(party) => Ok(party),
    }
}
