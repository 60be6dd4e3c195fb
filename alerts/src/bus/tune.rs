//! Zones and rules of cameras by request: read, tried by the camera's node, put in force, each within one's reach.

use xueliang_base::{
    alert::Sha256,
    config::CameraRules,
    id::{CameraId, ConfigRevision},
    wire::{outline, rule_kinds, rules_text},
};
use xueliang_proto::v1;

use super::Bus;
use crate::{
    error::{Error, Result},
    register,
    rights::{Principal, Right, check},
    store::AuditEntry,
    tuning::{InForce, NewRules, RuleBook},
};

/// Changes of one camera that are told.
const MOST: usize = 50;

/// Reads rules that somebody drew up; what is wrong is told a fault a line.
fn read(rules: &v1::CameraRules) -> Result<CameraRules> {
    CameraRules::try_from(rules).map_err(|error| Error::Invalid(error.to_string()))
}

impl Bus {
    /// What a camera watches for. A principal that may not see its division is told of no such camera.
    pub(crate) async fn camera_rules(
        &self,
        book: &dyn RuleBook,
        principal: &Principal,
        camera_id: &str,
    ) -> Result<v1::GetCameraRulesResponse> {
        check(principal, Right::TuneRules)?;
        let camera = self.tuned(principal, camera_id)?;
        let InForce { camera, changed, set_here, overruled, revision } = book.in_force(camera).await?;
        let rules = v1::CameraRules::from(&CameraRules::of(&camera));
        let masks = camera.masks.iter().enumerate().map(|(index, mask)| v1::Zone {
            zone_id: format!("mask-{index}"),
            outline: outline(mask),
            ..v1::Zone::default()
        });
        Ok(v1::GetCameraRulesResponse {
            camera_id: camera.id.to_string(),
            name: camera.name.clone(),
            toml: rules_text(&rules),
            rules: Some(rules),
            changed,
            set_here,
            overruled,
            config_revision: revision.0,
            masks: masks.collect(),
            kinds: rule_kinds(),
        })
    }
    /// What would have come of rules on the looks that the camera's journal holds.
    pub(crate) async fn try_rules(
        &self,
        principal: &Principal,
        request: v1::TryCameraRulesRequest,
    ) -> Result<v1::TryCameraRulesResponse> {
        check(principal, Right::TuneRules)?;
        let (id, node) = self.node_of(principal, &request.camera_id)?;
        let rules = v1::CameraRules::from(&read(&request.rules.unwrap_or_default())?);
        let question =
            v1::TrialQuestion { camera_id: id.to_string(), rules: Some(rules), ..Default::default() };
        self.explainer().try_rules(&node, question).await
    }
    /// Puts rules in force. The audit has it before they are.
    pub(crate) async fn put_rules(
        &self,
        book: &dyn RuleBook,
        principal: &Principal,
        request: v1::PutCameraRulesRequest,
    ) -> Result<v1::PutCameraRulesResponse> {
        check(principal, Right::TuneRules)?;
        let camera = self.tuned(principal, &request.camera_id)?;
        let reason = register::words(&request.reason)?;
        let rules = request.rules.as_ref().map(read).transpose()?;
        let what = match &rules {
            None => "those of the configuration file".to_owned(),
            Some(rules) => {
                let told = v1::CameraRules::from(rules);
                let sum = Sha256::of(rules_text(&told).as_bytes());
                format!("{} zones, {} rules, sha256 {sum}", told.zones.len(), told.rules.len())
            }
        };
        let entry = |action, subject| AuditEntry { principal: principal.name.clone(), action, subject };
        let subject =
            format!("rules of camera {camera} upon revision {}: {what}; {reason}", request.config_revision);
        self.0.store.audit(entry("rules_put", subject)).await?;
        let new = NewRules {
            camera: camera.clone(),
            rules,
            made_upon: ConfigRevision(request.config_revision),
            principal: principal.name.clone(),
            reason,
        };
        match book.put(new).await {
            Ok(change) => Ok(v1::PutCameraRulesResponse { change: Some(change) }),
            Err(error) => {
                let subject = format!("rules of camera {camera} were not put in force: {error}");
                self.0.store.audit(entry("rules_not_put", subject)).await?;
                Err(error)
            }
        }
    }
    /// What was set of a camera here.
    pub(crate) async fn rule_changes(
        &self,
        book: &dyn RuleBook,
        principal: &Principal,
        camera_id: &str,
    ) -> Result<Vec<v1::RuleChange>> {
        check(principal, Right::TuneRules)?;
        let camera = self.tuned(principal, camera_id)?;
        book.changes(camera, MOST).await
    }
    /// The camera of that id, where the principal may see it: a point of the configuration, whether or not a node runs it.
    pub(super) fn tuned(&self, principal: &Principal, camera_id: &str) -> Result<CameraId> {
        let id: CameraId =
            camera_id.parse().map_err(|fault| Error::Invalid(format!("camera_id: {fault}")))?;
        if self.0.options.points.path_of(&id).is_none() || !self.sees_point(principal, &id) {
            return Err(Error::NotFound(format!("there is no camera {id}")));
        }
        Ok(id)
    }
}
