//! A book of rules in memory: any camera is there and watches for smoke, and what is put is in force.

use std::{collections::BTreeMap, sync::Mutex};

use xueliang_base::{
    config::{CameraRules, Config},
    id::{CameraId, ConfigRevision},
};
use xueliang_proto::v1;

use crate::{
    error::Error,
    store::Answer,
    tuning::{InForce, NewRules, RuleBook},
};

/// What was put of each camera, oldest first.
#[derive(Default)]
pub(crate) struct Book(Mutex<BTreeMap<CameraId, Vec<v1::RuleChange>>>);

fn camera(id: &CameraId) -> xueliang_base::config::Camera {
    let text = format!(
        "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n[[division]]\ncode = \"33\"\nname = \"n\"\n\
         [[camera]]\nid = \"{id}\"\nname = \"n\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/x\"\nhealth = []\n\
         [[camera.mask]]\npolygon = [[0, 0], [0.1, 0], [0.1, 0.1]]\n[[camera.rule]]\nkind = \"FIRE_SMOKE\"\n"
    );
    Config::parse(&text, std::path::Path::new("/")).unwrap().cameras.remove(0)
}

impl RuleBook for Book {
    fn in_force(&self, id: CameraId) -> Answer<InForce> {
        let changed = self.0.lock().unwrap().get(&id).and_then(|all| all.last().cloned());
        let mut camera = camera(&id);
        if let Some(rules) = changed.as_ref().and_then(|one| one.rules.as_ref()) {
            CameraRules::try_from(rules).unwrap().put_into(&mut camera);
        }
        let revision = ConfigRevision(changed.as_ref().map_or(1, |one| one.config_revision));
        let set_here = changed.as_ref().is_some_and(|one| one.rules.is_some());
        Box::pin(async move { Ok(InForce { camera, changed, set_here, overruled: false, revision }) })
    }
    fn put(&self, new: NewRules) -> Answer<v1::RuleChange> {
        let mut all = self.0.lock().unwrap();
        let of = all.entry(new.camera).or_default();
        let revision = of.last().map_or(1, |one| one.config_revision);
        if new.made_upon != ConfigRevision(revision) {
            return Box::pin(async { Err(Error::Conflict("others were set since".to_owned())) });
        }
        let change = v1::RuleChange {
            config_revision: revision + 1,
            principal: new.principal,
            reason: new.reason,
            rules: new.rules.as_ref().map(v1::CameraRules::from),
            ..v1::RuleChange::default()
        };
        of.push(change.clone());
        Box::pin(async { Ok(change) })
    }
    fn changes(&self, camera: CameraId, limit: usize) -> Answer<Vec<v1::RuleChange>> {
        let found = self.0.lock().unwrap().get(&camera).cloned().unwrap_or_default();
        Box::pin(async move { Ok(found.into_iter().rev().take(limit).collect()) })
    }
}
