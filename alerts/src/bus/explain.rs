//! What a camera did, as its node tells, with the alerts that its incidents became.

use std::collections::BTreeMap;

use xueliang_base::id::CameraId;
use xueliang_proto::v1;

use super::Bus;
use crate::{
    error::{Error, Result},
    filter::Filter,
    rights::{Principal, Right, check},
    store::{ListQuery, SuppressionQuery},
};

/// Alerts of one camera that are looked through, latest changed first: some days of a busy one.
const MOST: usize = 1000;

impl Bus {
    /// Asks the camera's node. A principal that may not see the camera's division is told of no such camera.
    pub async fn explain(
        &self,
        principal: &Principal,
        request: v1::ExplainRequest,
    ) -> Result<v1::ExplainedCamera> {
        check(principal, Right::ReadCameras)?;
        let id: CameraId =
            request.camera_id.parse().map_err(|fault| Error::Invalid(format!("camera_id: {fault}")))?;
        let sees = |path: &[String]| {
            let within = principal.divisions.as_ref();
            within.is_none_or(|codes| codes.iter().any(|code| path.iter().any(|one| one == code.as_str())))
        };
        let Some(node) = self.board().node_of(&request.camera_id, sees) else {
            return Err(Error::NotFound(format!(
                "there is no camera {id}, or no node has reported it yet: CameraService.ListCameras lists them"
            )));
        };
        let (from, to) = (request.from_unix_us, request.to_unix_us);
        let mut camera = self.explainer().ask(&node, request).await?;
        if principal.may(Right::ReadAlerts) && camera.rules.iter().any(|rule| !rule.incidents.is_empty()) {
            self.name_alerts(&mut camera, id, node, (from, to)).await?;
        }
        Ok(camera)
    }

    /// Writes ids of alerts into incidents, and why they were not shown. An incident and its alert agree in rule and
    /// beginning.
    async fn name_alerts(
        &self,
        camera: &mut v1::ExplainedCamera,
        id: CameraId,
        node: String,
        (from, to): (i64, i64),
    ) -> Result<()> {
        let filter = Filter { cameras: vec![id], ..Filter::default() };
        let query =
            ListQuery { filter: filter.clone(), publisher: Some(node), limit: MOST, ..ListQuery::default() };
        let rows = self.store().list(query).await?;
        let alerts = rows.iter().filter_map(|row| row.record.alert.as_ref()).filter_map(|alert| {
            let rule = alert.explanation.as_ref()?.rule.clone();
            Some(((rule, alert.started_unix_us), alert.alert_id.clone()))
        });
        let alerts: BTreeMap<(String, i64), String> = alerts.collect();
        let query = SuppressionQuery {
            filter,
            from_unix_us: Some(from),
            to_unix_us: Some(to),
            limit: MOST,
            ..SuppressionQuery::default()
        };
        let suppressions = self.store().suppressions(query).await?;
        for rule in &mut camera.rules {
            for incident in &mut rule.incidents {
                let Some(alert) = alerts.get(&(rule.rule.clone(), incident.started_unix_us)) else {
                    continue;
                };
                incident.alert_id.clone_from(alert);
                let of_it = suppressions.iter().filter(|one| &one.alert_id == alert);
                incident.suppressions = of_it.cloned().collect();
            }
        }
        Ok(())
    }
}
