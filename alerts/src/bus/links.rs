//! Handlers' links by request: given and ended by whoever dispatches, and used by whoever holds one.

use bytes::Bytes;
use xueliang_base::alert::Sha256;
use xueliang_proto::v1::{self, HandlerAct, LinkState};

use super::{Bus, cases::key};
use crate::{
    case::Actor,
    error::{Error, Result},
    evidence::{Call, proof::ProofCall},
    link,
    rights::{Principal, Right, check},
    store::{ActByLink, GiveLink, Opened},
};

fn sum(text: &str, field: &str) -> Result<Sha256> {
    text.parse().map_err(|fault| Error::Invalid(format!("{field}: {fault}")))
}

fn proof_call(request: v1::GetProofRequest) -> Result<ProofCall> {
    let known = |field: &str| Error::Invalid(format!("{field}: is not known here"));
    Ok(ProofCall {
        key: key(request.key)?,
        sha256: sum(&request.sha256, "sha256")?,
        purpose: v1::Purpose::try_from(request.purpose).map_err(|_| known("purpose"))?,
        call_reason: v1::CallReason::try_from(request.call_reason).map_err(|_| known("call_reason"))?,
        reason: request.reason,
    })
}

impl Bus {
    /// Gives a link for the unit that has a case.
    pub async fn give_link(
        &self,
        principal: &Principal,
        request: v1::GiveLinkRequest,
    ) -> Result<v1::GiveLinkResponse> {
        check(principal, Right::Dispatch)?;
        let until = link::until(request.life_s, self.0.clock.wall())?;
        let (token, digest) = link::mint()?;
        let (actor, within) = (Actor::of(principal), principal.reach());
        let give = GiveLink { key: key(request.key)?, actor, until, digest, within };
        let (given, case) = self.0.store.give_link(give).await?;
        let case = Some(case.to_wire(self.0.clock.wall()));
        Ok(v1::GiveLinkResponse { link: Some(given), token, case })
    }
    /// Ends a link.
    pub async fn end_link(&self, principal: &Principal, link: u64) -> Result<v1::HandlerLink> {
        check(principal, Right::Dispatch)?;
        self.0.store.end_link(link, Actor::of(principal), principal.reach()).await
    }
    /// Links and photos of a case.
    pub async fn links(
        &self,
        principal: &Principal,
        wanted: Option<v1::CaseKey>,
    ) -> Result<v1::ListLinksResponse> {
        check(principal, Right::ReadAlerts)?;
        self.0.store.links(key(wanted)?, principal.reach()).await
    }
    /// A photo of a case.
    pub async fn proof(
        &self,
        principal: &Principal,
        request: v1::GetProofRequest,
    ) -> Result<v1::GetProofResponse> {
        let call = match proof_call(request) {
            Ok(call) => call,
            // Nothing is asked for that the register could name; who may not ask is told no more than that.
            Err(error) => {
                check(principal, Right::ViewOriginal)?;
                return Err(error);
            }
        };
        let (proof, jpeg) = self.evidence().proof(principal, &call).await?;
        Ok(v1::GetProofResponse { jpeg, proof: Some(proof) })
    }
    /// What a link's digest stands for; `None`: it is nobody's.
    pub(crate) async fn open_link(&self, digest: Sha256) -> Result<Option<Opened>> {
        self.0.store.open_link(digest).await
    }
    /// What a link opens, as its handler is told it.
    pub(crate) async fn look_by_link(&self, opened: Opened) -> Result<v1::OpenLinkResponse> {
        let counts = matches!(opened.state, LinkState::Live | LinkState::Checked);
        if counts && opened.link.opened.is_none() {
            self.0.store.note_opened(opened.link.id).await?;
        }
        Ok(v1::OpenLinkResponse {
            state: opened.state.into(),
            case: counts.then_some(opened.told),
            timezone: self.timezone().to_owned(),
            now_unix_us: self.0.clock.wall().0,
        })
    }
    /// The redacted still of the alert, while the case is in the unit's hands.
    pub(crate) async fn still_by_link(&self, opened: &Opened) -> Result<v1::GetLinkStillResponse> {
        let ready = if opened.state == LinkState::Live { Ok(()) } else { Err(link::refusal(opened.state)) };
        let Some(alert) = opened.case.subject.alert else {
            ready?;
            return Err(Error::NotFound("the case was reported by hand, there is no still".to_owned()));
        };
        let call = Call {
            alert,
            purpose: v1::Purpose::Handle,
            call_reason: v1::CallReason::Unspecified,
            reason: String::new(),
        };
        let (_, jpeg) = self.evidence().still_if(&opened.link.principal(), &call, ready).await?;
        Ok(v1::GetLinkStillResponse { jpeg })
    }
    /// Keeps a photo.
    pub(crate) async fn prove_by_link(
        &self,
        digest: Sha256,
        opened: &Opened,
        jpeg: Bytes,
    ) -> Result<v1::PutProofResponse> {
        if opened.state != LinkState::Live {
            return Err(link::refusal(opened.state));
        }
        // A telephone that hangs up must leave no file that nothing names.
        let (bus, camera) = (self.clone(), opened.case.subject.camera.to_string());
        let kept = tokio::spawn(async move { bus.evidence().put_proof(digest, &camera, &jpeg).await });
        let proof = kept.await.map_err(|error| Error::Internal(format!("keep a photo: {error}")))??;
        Ok(v1::PutProofResponse { proof: Some(proof) })
    }
    /// Acts on the case.
    pub(crate) async fn act_by_link(&self, digest: Sha256, request: v1::ActByLinkRequest) -> Result<()> {
        let act = HandlerAct::try_from(request.act)
            .map_err(|_| Error::Invalid("act: is not known here".to_owned()))?;
        let proofs = request.proof_sha256.iter().map(|text| sum(text, "proof_sha256"));
        let action = link::action(act, proofs.collect::<Result<_>>()?)?;
        let act = ActByLink { digest, revision: request.revision, action, note: request.note };
        self.0.store.act_by_link(act).await
    }
}
