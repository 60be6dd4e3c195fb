//! Sub-streams, for consoles and metrics.

use std::{collections::BTreeMap, sync::Arc};

use tracing::error;
use xueliang_base::{
    accounting::Account,
    config::{Camera, RestOptions},
    id::CameraId,
    metrics::{Gauges, Metrics},
};
use xueliang_proto::v1;

use super::{gauges::CameraGauges, record_account, set, signal};
use crate::node::{
    camera::Cell,
    looks::{CameraFacts, LooksFacts},
};

pub(super) struct SubMetrics {
    units: CameraGauges,
    missing: CameraGauges,
    streaming: CameraGauges,
    glances: Gauges,
}

impl SubMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        Self {
            units: CameraGauges::register(
                metrics,
                "sub_stream_units",
                "access units of sub-streams by camera, column of the account and reason; looked_at: glanced at",
            ),
            missing: CameraGauges::register(
                metrics,
                "sub_stream_units_missing",
                "access units of sub-streams in no column or in two; not 0 is a defect",
            ),
            streaming: CameraGauges::register(
                metrics,
                "sub_stream_streaming",
                "1 while access units of the sub-stream arrive; meanwhile 0, glances are taken at keyframes of the main one",
            ),
            glances: metrics.gauges(
                "sub_stream_glances",
                "glances at sub-streams since the start: turns that followed one, turns at a keyframe alone, turns that \
                 failed, turns with something worth a look, and pictures",
            ),
        }
    }
    /// The account of one sub-stream.
    pub(super) fn account(&mut self, id: &CameraId, account: &Account) {
        if account.received == 0 {
            return;
        }
        record_account(&mut self.units, &mut self.missing, id, account);
        if account.missing() != 0 {
            error!(camera = %id, missing = %account.missing(), ?account, "units of a sub-stream are unaccounted for");
        }
    }
    /// Which deliver, and what was done with them.
    pub(super) fn record(
        &mut self,
        cells: &BTreeMap<CameraId, Arc<Cell>>,
        rest: &RestOptions,
        facts: &LooksFacts,
    ) {
        let read = |id: &CameraId| cells.get(id).filter(|cell| cell.camera.glanced(rest).is_some());
        for (id, sub) in cells.keys().filter_map(|id| Some((id, read(id)?.sub.as_ref()?))) {
            self.streaming.count(id, Vec::new(), u64::from(sub.streams()));
        }
        self.streaming.keep(|id| read(id).is_some());
        let subs = &facts.subs;
        for (what, count) in [
            ("followed", subs.followed),
            ("keyframes", subs.keyframes),
            ("failed", subs.failed),
            ("wakes", subs.wakes),
            ("pictures", subs.pictures),
        ] {
            set(&self.glances, vec![("what", what.to_owned())], count);
        }
    }
    /// Forgets a camera that is gone.
    pub(super) fn forget(&mut self, id: &CameraId) {
        for gauges in [&mut self.units, &mut self.missing] {
            gauges.keep(|kept| kept != id);
        }
    }
}

/// The sub-stream of a camera, where one is read.
pub(super) fn to_wire(
    cell: &Cell,
    rest: &RestOptions,
    facts: Option<&CameraFacts>,
    account: &Account,
) -> Option<v1::SubStream> {
    let camera: &Camera = &cell.camera;
    let sub = cell.sub.as_ref().filter(|_| camera.glanced(rest).is_some())?;
    let live = sub.live();
    Some(v1::SubStream {
        signal: signal(live.signal).into(),
        since_unix_us: live.since_wall.0,
        detail: live.detail,
        accounting: Some(super::accounting(account)),
        last_glance_unix_us: facts.and_then(|facts| facts.last_glance).map_or(0, |wall| wall.0),
    })
}
