//! Points and their filings by request.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use xueliang_base::{alert::Sha256, config::Day, id::CameraId};
use xueliang_proto::v1::{self, FilingStatus};

use super::Bus;
use crate::{
    error::{Error, Result},
    rights::{Principal, Right, check},
    store::{AuditEntry, FilingQuery},
};

/// Points that one filing notes.
const MOST: usize = 1000;

fn camera_of(text: &str) -> Result<CameraId> {
    text.parse().map_err(|fault| Error::Invalid(format!("camera_ids: {fault}")))
}

impl Bus {
    fn today(&self) -> Day {
        Day::of(self.0.clock.wall(), self.timezone())
    }
    async fn filed(&self) -> Result<BTreeMap<CameraId, v1::Filing>> {
        let latest = self.0.store.latest_filings().await?;
        let of = |one: v1::Filing| {
            let camera = one.facts.as_ref().and_then(|facts| facts.camera_id.parse().ok())?;
            Some((camera, one))
        };
        Ok(latest.into_iter().filter_map(of).collect())
    }
    /// A page of the points that a principal may see, and how the filing of all of these stands.
    pub async fn points(
        &self,
        principal: &Principal,
        request: v1::ListPointsRequest,
        limit: usize,
    ) -> Result<v1::ListPointsResponse> {
        check(principal, Right::ReadCompliance)?;
        let filed = self.filed().await?;
        let sees = |camera: &CameraId| self.sees_point(principal, camera);
        let all = self.0.options.points.standing(&filed, self.today(), sees);
        let mut told = v1::ListPointsResponse::default();
        let is_there = |point: &v1::FiledPoint| point.status() != FilingStatus::Removed;
        let signless = |point: &v1::FiledPoint| {
            is_there(point) && point.facts.as_ref().is_some_and(|facts| facts.sign_since.is_empty())
        };
        for point in &all {
            told.in_force += u32::from(is_there(point));
            told.unfiled += u32::from(point.status() == FilingStatus::Unfiled);
            told.overdue += u32::from(point.days_left.is_some_and(|days| days < 0));
            told.changed +=
                u32::from(matches!(point.status(), FilingStatus::Changed | FilingStatus::Removed));
            told.without_sign += u32::from(signless(point));
        }
        let id = |point: &v1::FiledPoint| {
            point.facts.as_ref().map(|facts| facts.camera_id.clone()).unwrap_or_default()
        };
        let wanted = |point: &v1::FiledPoint| {
            (request.statuses.is_empty() || request.statuses.contains(&point.status))
                && (!request.only_without_sign || signless(point))
                && id(point) > request.page_token
        };
        told.points = all.into_iter().filter(wanted).take(limit + 1).collect();
        if told.points.len() > limit {
            told.points.truncate(limit);
            told.next_page_token = told.points.last().map(id).unwrap_or_default();
        }
        Ok(told)
    }
    /// Notes that points were filed as they are now.
    pub async fn file_points(&self, principal: &Principal, request: v1::FilePointsRequest) -> Result<u32> {
        check(principal, Right::FilePoints)?;
        let filing_no = request.filing_no.trim().to_owned();
        let length = filing_no.chars().count();
        if !(1..=64).contains(&length) || filing_no.chars().any(char::is_control) {
            return Err(Error::Invalid(
                "filing_no: write the number of the filing, 1 to 64 characters".to_owned(),
            ));
        }
        let today = self.today();
        let filed_on: Day = match request.filed_on.as_str() {
            "" => today,
            text => text.parse().map_err(|fault| Error::Invalid(format!("filed_on: {fault}")))?,
        };
        if filed_on > today {
            return Err(Error::Invalid("filed_on: lies ahead, note the filing once it is made".to_owned()));
        }
        let cameras: BTreeSet<CameraId> =
            request.camera_ids.iter().map(|id| camera_of(id)).collect::<Result<_>>()?;
        if !(1..=MOST).contains(&cameras.len()) {
            return Err(Error::Invalid(format!("camera_ids: name 1 to {MOST} cameras at once")));
        }
        let last = self.filed().await?;
        let filing = |camera: &CameraId| {
            let none =
                || Error::NotFound(format!("camera_ids: there is no camera {camera}, and none was filed"));
            if !self.sees_point(principal, camera) {
                return Err(none());
            }
            let points = &self.0.options.points;
            let (facts, removed) = match points.facts(camera).filter(|_| !points.is_drill(camera)) {
                Some(facts) => (facts.clone(), false),
                // As it was filed: a drill camera is no point, and what is not there is not known otherwise.
                None => (last.get(camera).and_then(|last| last.facts.clone()).ok_or_else(none)?, true),
            };
            Ok(v1::Filing {
                facts: Some(facts),
                removed,
                filing_no: filing_no.clone(),
                filed_on: filed_on.to_string(),
                noted_by: principal.name.clone(),
                ..v1::Filing::default()
            })
        };
        let filings = cameras.iter().map(filing).collect::<Result<Vec<_>>>()?;
        let content: Vec<u8> = filings.iter().flat_map(v1::Filing::encode_length_delimited_to_vec).collect();
        let count = u32::try_from(filings.len()).unwrap_or(u32::MAX);
        // The sum binds what was filed to the chain of the audit.
        let subject =
            format!("filing {filing_no} of {filed_on}: {count} points, sha256 {}", Sha256::of(&content));
        let entry = AuditEntry { principal: principal.name.clone(), action: "points_filed", subject };
        self.0.store.file_points(filings, entry).await?;
        Ok(count)
    }
    /// What was filed, newest first, and where the next page begins.
    pub async fn filings(
        &self,
        principal: &Principal,
        query: FilingQuery,
    ) -> Result<(Vec<v1::Filing>, Option<u64>)> {
        check(principal, Right::ReadCompliance)?;
        let limit = query.limit;
        let page = self.0.store.filings(query).await?;
        let next = page.last().filter(|_| page.len() == limit).map(|one| one.filing_id);
        let seen = |one: &v1::Filing| {
            let camera = one.facts.as_ref().and_then(|facts| facts.camera_id.parse().ok());
            camera.is_some_and(|camera| self.sees_point(principal, &camera))
        };
        Ok((page.into_iter().filter(seen).collect(), next))
    }
}
