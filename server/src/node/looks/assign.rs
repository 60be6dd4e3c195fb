//! What the task is told to run: cameras are begun, begun anew and retired; their incidents go on where their rules do.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tracing::info;
use xueliang_base::{
    accounting::Skipped,
    alert::ModelRef,
    config::{Config, Rule},
    detection::Meaning,
    id::{CameraId, ConfigRevision},
    incident::{Edge, Incident, Resolution},
};
use xueliang_inference::{
    analyst::{Analyst, ModelMeanings},
    attention::LookFor,
    journal::{Journal, JournalBounds},
    logbook::{Logbook, LogbookBounds},
};
use xueliang_proto::v1::LoadedModel;

use super::{CameraFacts, Followed, JOURNAL_AGE, Looks, Running, need_at, need_of, tiers::Tiers};
use crate::node::camera::Cell;

/// A configuration revision with the cells of its cameras.
pub struct Assignment {
    /// Its number.
    pub revision: ConfigRevision,
    /// All of it.
    pub config: Arc<Config>,
    /// The cells, kept over revisions for cameras whose stream did not change.
    pub cells: BTreeMap<CameraId, Arc<Cell>>,
    /// Incidents that were active when the previous node process ended, by camera; coverage gaps, which name the rule
    /// `coverage_gap`, among them.
    pub adopted: BTreeMap<CameraId, Vec<Incident>>,
}

impl Looks {
    /// Cameras that were begun before any worker was ready learn what the models see.
    pub(super) fn declare_models(&mut self) {
        let (meanings, now) = (self.meanings(), self.spec.clock.mono());
        for running in self.cameras.values_mut() {
            let camera = running.cell.camera.clone();
            let analyst = std::mem::replace(&mut running.analyst, Analyst::new(&camera, None));
            running.analyst = analyst.with_models(&meanings);
            running.logbook.stand(now, &running.analyst);
            let need = need_of(&camera, &self.spec.analysis.rest, &self.models);
            let need = need_at(need, running.acquire);
            if let Some(tiers) = &mut running.tiers {
                tiers.declare(&need);
            }
            self.attention.set_camera(need);
        }
    }

    pub(super) fn meanings(&self) -> Vec<ModelMeanings> {
        self.models.iter().map(|(model, sees)| (model.name.clone(), sees.clone())).collect()
    }

    pub(super) fn configure(&mut self, mut assignment: Assignment) {
        // Incidents come with the first assignment only; a later one must not lose them.
        for (id, incidents) in self.waiting.take().map(|before| before.adopted).unwrap_or_default() {
            assignment.adopted.entry(id).or_default().extend(incidents);
        }
        if self.slots.iter().any(|slot| slot.ready) {
            self.apply(assignment);
        } else {
            self.waiting = Some(assignment);
        }
    }

    pub(super) fn apply(&mut self, assignment: Assignment) {
        let now = self.spec.clock.mono();
        let Assignment { revision, config, cells, mut adopted } = assignment;
        let gone: Vec<CameraId> =
            self.cameras.keys().filter(|id| !cells.contains_key(*id)).cloned().collect();
        for id in gone {
            let Some(running) = self.cameras.get_mut(&id) else { continue };
            let edges = running.analyst.retire(now);
            running.cell.clear(Skipped::Removed);
            // While it is known whether it is one of drills.
            self.emit(&id, edges, Vec::new(), now, None);
            self.end_gap(&id, now, Resolution::RuleRemoved);
            self.cameras.remove(&id);
            self.attention.remove_camera(&id);
            self.unfollow(&id);
        }
        self.revision = revision;
        self.timezone.clone_from(&config.timezone);
        for (id, cell) in cells {
            let adopted = adopted.remove(&id).unwrap_or_default();
            let adopted = self.adopt_gaps(&id, adopted);
            match self.cameras.get_mut(&id) {
                // The same cell means the same camera, session and ring; a camera that only reconnects with other
                // credentials has a new one, and one that watches for something else, too, on the same ring.
                Some(running) if Arc::ptr_eq(&running.cell, &cell) => {
                    let any = !adopted.is_empty();
                    let orphans = adopted.into_iter().filter_map(|i| running.analyst.adopt(i)).collect();
                    if any {
                        running.logbook.stand(now, &running.analyst);
                    }
                    self.emit(&id, orphans, Vec::new(), now, None);
                }
                _ => self.begin(&id, cell, adopted),
            }
        }
        info!(revision = %self.revision, cameras = self.cameras.len(), site = config.site, "configuration in force");
    }

    /// Begins a camera, or begins it anew with another cell. Then incidents whose rule stays go on.
    pub(super) fn begin(&mut self, id: &CameraId, cell: Arc<Cell>, adopted: Vec<Incident>) {
        let now = self.spec.clock.mono();
        let camera = cell.camera.clone();
        let before = self.cameras.remove(id);
        let learned = before.as_ref().and_then(|running| running.analyst.reference().cloned());
        let reference = learned.or_else(|| self.read_view(&camera));
        let mut analyst = Analyst::new(&camera, reference.clone()).with_models(&self.meanings());
        let mut ended: Vec<Edge> = Vec::new();
        if let Some(mut running) = before {
            // What was true never becomes a drill, nor the other way round.
            let same = running.cell.camera.drill == camera.drill;
            let active: Vec<Incident> = running.analyst.active().into_iter().cloned().collect();
            let ends = running.analyst.retire(now);
            // Both are in the order of the rules.
            ended.extend(
                active.into_iter().zip(ends).filter_map(|(going_on, end)| {
                    (!same || analyst.adopt(going_on).is_some()).then_some(end)
                }),
            );
            if !running.cell.shares_feed(&cell) {
                running.cell.clear(Skipped::Removed);
            }
            self.attention.remove_camera(id);
        }
        ended.extend(adopted.into_iter().filter_map(|incident| analyst.adopt(incident)));
        let acquire = cell.noted().acquire;
        let need = need_at(need_of(&camera, &self.spec.analysis.rest, &self.models), acquire);
        let mut tiers = Tiers::new(&camera, &self.spec.analysis.rest);
        if let Some(tiers) = &mut tiers {
            tiers.declare(&need);
        }
        cell.listen(tiers.is_some());
        self.attention.set_camera(need);
        let bounds = JournalBounds { max_age: JOURNAL_AGE, max_bytes: self.spec.analysis.journal_bytes };
        let logbook =
            LogbookBounds { max_bytes: self.spec.analysis.logbook_bytes, ..LogbookBounds::default() };
        let rest = &self.spec.analysis.rest;
        let glanced = camera.glanced(rest).is_some();
        let at_rest = |rule: &Rule| rest.at_rest(rule);
        let running = Running {
            cell,
            logbook: Logbook::new(logbook, now, &analyst, at_rest),
            analyst,
            journal: Arc::new(Journal::new(bounds)),
            stored: reference.clone(),
            began_with: reference,
            tiers,
            sub: glanced.then(Followed::default),
            acquire,
            last_fed: None,
            recent: VecDeque::new(),
            in_flight: None,
            purpose: LookFor::Floor,
            last_observed: now,
            lost: None,
            silent: true,
            facts: CameraFacts::default(),
        };
        self.cameras.insert(id.clone(), running);
        self.follow(now, id);
        self.emit(id, ended, Vec::new(), now, None);
        self.offer(id);
    }
}

pub(super) fn model_of(loaded: &LoadedModel) -> Option<(ModelRef, Vec<Meaning>)> {
    let model = loaded.model.as_ref()?;
    let reference = ModelRef {
        name: model.name.parse().ok()?,
        version: model.version.clone(),
        sha256: model.sha256.parse().ok(),
    };
    Some((reference, loaded.meanings.iter().filter_map(|word| Meaning::from_word(word)).collect()))
}
