//! What a camera's node is asked: what the camera did, with the alerts that its incidents became; to connect to it.

use std::{collections::BTreeMap, time::Duration};

use tracing::info;
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

/// A camera is asked for at most so long at once: nobody forgets it.
const LONGEST: Duration = Duration::from_secs(3600);

impl Bus {
    /// Asks the camera's node. A principal that may not see the camera's division is told of no such camera.
    pub async fn explain(
        &self,
        principal: &Principal,
        request: v1::ExplainRequest,
    ) -> Result<v1::ExplainedCamera> {
        check(principal, Right::ReadCameras)?;
        let (id, node) = self.node_of(principal, &request.camera_id)?;
        let (from, to) = (request.from_unix_us, request.to_unix_us);
        let mut camera = self.explainer().ask(&node, request).await?;
        if principal.may(Right::ReadAlerts) && camera.rules.iter().any(|rule| !rule.incidents.is_empty()) {
            self.name_alerts(&mut camera, id, node, (from, to)).await?;
        }
        Ok(camera)
    }

    /// Has a camera connected for a while. A principal that may not see its division is told of no such camera.
    pub fn connect_camera(
        &self,
        principal: &Principal,
        request: &v1::ConnectCameraRequest,
    ) -> Result<v1::ConnectCameraResponse> {
        check(principal, Right::ConnectCameras)?;
        let (id, node) = self.node_of(principal, &request.camera_id)?;
        let lasting = Duration::from_micros(request.for_us);
        if lasting > LONGEST {
            let most = LONGEST.as_secs();
            return Err(Error::Invalid(format!(
                "for_us: at most {most} s at once; ask again when they are over"
            )));
        }
        self.explainer()
            .connect(&node, v1::ConnectOrder { camera_id: id.to_string(), for_us: request.for_us })?;
        info!(principal = principal.name, camera = %id, seconds = lasting.as_secs(), "camera asked for");
        let until_unix_us = self.0.clock.wall().plus(lasting).0;
        Ok(v1::ConnectCameraResponse { until_unix_us })
    }

    /// The camera of that id, where the principal may see it, and its node.
    pub(super) fn node_of(&self, principal: &Principal, camera_id: &str) -> Result<(CameraId, String)> {
        let id: CameraId =
            camera_id.parse().map_err(|fault| Error::Invalid(format!("camera_id: {fault}")))?;
        let Some(node) = self.board().node_of(camera_id, principal.reach().as_deref()) else {
            return Err(Error::NotFound(format!(
                "there is no camera {id}, or no node has reported it yet: CameraService.ListCameras lists them"
            )));
        };
        Ok((id, node))
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
