//! External publishers, as analytics boxes of other makers: what each may say, how often, and what of it is kept.
//!
//! Of a state only what has a type is taken: kind, level, times, measures, regions. Its place is looked up in the
//! configuration by the id of a camera or a declared device, and no text of the publisher's is stored anywhere. A kind that
//! policy excludes is kept as [`Kind::ExternalUnprocessed`]: that there was something, where and when, and nothing of it.

mod bucket;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};
use xueliang_base::{
    alert::Place,
    config::{Camera, Config, ExternalDevice, ExternalPublisher},
    id::{CameraId, ConfigRevision, ZoneId},
    kind::{Kind, Level},
    time::Mono,
    wire::{kind_of, outline},
};
use xueliang_proto::v1;

use self::bucket::Bucket;
use crate::{
    error::{Error, Result},
    rights::{Principal, PrincipalKind},
};

/// The rule of external alerts: their explanation is the publisher's own affair. The places of such alerts are ours.
pub const RULE: &str = "external";

/// States of all external publishers together that may wait for the store's writer: no node's alert waits behind more.
pub(crate) const IN_WRITER: usize = 64;
/// Refused states of a publisher are audited at most this often.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// What became of a publisher's states since the bus was started.
#[derive(Debug, Default)]
pub struct ScopeCounts {
    /// On disk: now, or already.
    pub taken: AtomicU64,
    /// Refused: kind, place, division, form, or another's alert.
    pub refused: AtomicU64,
    /// On disk without what they said.
    pub unprocessed: AtomicU64,
    /// Refused because too many came.
    pub limited: AtomicU64,
}

/// All external publishers of the configuration.
#[derive(Debug)]
pub struct External {
    scopes: BTreeMap<String, Scope>,
    writer: Semaphore,
    /// Requests with a token that is nobody's.
    pub unknown_tokens: AtomicU64,
}

impl Default for External {
    fn default() -> Self {
        Self { scopes: BTreeMap::new(), writer: Semaphore::new(IN_WRITER), unknown_tokens: 0.into() }
    }
}

impl External {
    /// Those of a configuration.
    pub fn of(config: &Config, revision: ConfigRevision) -> Self {
        let scope = |one: &ExternalPublisher| (one.name.to_string(), Scope::of(config, revision, one));
        Self { scopes: config.publishers.iter().map(scope).collect(), ..Self::default() }
    }
    /// Every publisher's name and counts.
    pub fn counts(&self) -> impl Iterator<Item = (&str, &ScopeCounts)> {
        self.scopes.iter().map(|(name, scope)| (name.as_str(), &scope.counts))
    }
    /// What an external publisher may say; `None` for our own.
    pub(crate) fn scope(&self, principal: &Principal) -> Result<Option<&Scope>> {
        match principal.kind {
            PrincipalKind::Publisher => {
                let unknown = || {
                    let name = &principal.name;
                    Error::Forbidden(format!(
                        "{name} is no [[publisher]] of the configuration in force: declare it"
                    ))
                };
                self.scopes.get(&principal.name).map(Some).ok_or_else(unknown)
            }
            _ => Ok(None),
        }
    }
    /// Waits for a place in the store's writer for so many states, at most [`IN_WRITER`].
    pub(crate) async fn writer(&self, states: usize) -> Result<SemaphorePermit<'_>> {
        let states = u32::try_from(states).unwrap_or(u32::MAX);
        self.writer.acquire_many(states).await.map_err(|_| Error::Internal("never closed".to_owned()))
    }
}

/// What one external publisher may say.
#[derive(Debug)]
pub(crate) struct Scope {
    publisher: ExternalPublisher,
    revision: ConfigRevision,
    places: BTreeMap<CameraId, Watched>,
    bucket: Mutex<Bucket>,
    audited: Mutex<Option<Mono>>,
    pub(crate) counts: ScopeCounts,
}

/// A place that it may speak of.
#[derive(Debug)]
struct Watched {
    place: v1::Place,
    zones: BTreeMap<ZoneId, Vec<v1::Point>>,
}

impl Scope {
    fn of(config: &Config, revision: ConfigRevision, publisher: &ExternalPublisher) -> Self {
        let within = |camera: &&Camera| {
            let path = config.division_path(&camera.division);
            path.iter().any(|code| publisher.divisions.contains(code))
        };
        let cameras = config.points().filter(within);
        let cameras = cameras.map(|camera| (camera.id.clone(), of_camera(config, camera)));
        let devices = publisher.devices.iter().map(|device| (device.id.clone(), of_device(config, device)));
        Self {
            places: cameras.chain(devices).collect(),
            bucket: Mutex::new(Bucket::new(publisher.max_per_second)),
            audited: Mutex::default(),
            counts: ScopeCounts::default(),
            publisher: publisher.clone(),
            revision,
        }
    }
    /// Lets so many states pass, or says when they may come again.
    pub(crate) fn admit(&self, states: usize, now: Mono) -> Result<()> {
        let name = &self.publisher.name;
        let mut bucket = self.bucket.lock().expect("no code panics while it holds this lock");
        let limited = match u32::try_from(states).ok().filter(|states| *states <= bucket.most()) {
            None => Error::Invalid(format!(
                "{states} states in one request: {name} may send {} at most, see its max_per_second",
                bucket.most()
            )),
            Some(states) => match bucket.take(states, now) {
                Ok(()) => return Ok(()),
                Err(retry_after) => Error::TooMany {
                    message: format!(
                        "{name} may publish {} states a second: send these again in {} ms",
                        self.publisher.max_per_second,
                        retry_after.as_millis()
                    ),
                    retry_after,
                },
            },
        };
        self.counts.limited.fetch_add(states as u64, Ordering::Relaxed);
        Err(limited)
    }
    /// Counts what became of states: the kind of each as far as it was one, and the answer.
    pub(crate) fn note(&self, outcomes: impl Iterator<Item = (Option<Kind>, v1::PublishOutcome)>) {
        use v1::PublishOutcome::{Committed, Conflict, Duplicate, Invalid, Stale, Unspecified};
        for (kind, outcome) in outcomes {
            let counter = match outcome {
                Committed if kind == Some(Kind::ExternalUnprocessed) => &self.counts.unprocessed,
                Committed | Duplicate => &self.counts.taken,
                Stale | Conflict | Invalid | Unspecified => &self.counts.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
    /// Whether refused states are to be audited now.
    pub(crate) fn audits(&self, now: Mono) -> bool {
        let mut audited = self.audited.lock().expect("no code panics while it holds this lock");
        let due = audited.is_none_or(|at| now.since(at) >= AUDIT_EVERY);
        if due {
            *audited = Some(now);
        }
        due
    }
    /// What is taken of a publication, or what is wrong with it.
    pub(crate) fn reduce(&self, said: v1::Publication) -> Result<v1::Publication, String> {
        let mut alert = said.alert.ok_or("alert: must be set")?;
        let kind = kind_of(alert.kind).map_err(|fault| format!("kind: {fault}"))?;
        let name = &self.publisher.name;
        let unprocessed = kind == Kind::ExternalUnprocessed;
        if !unprocessed && !self.publisher.kinds.contains(&kind) {
            return Err(format!(
                "kind: {name} may not publish {kind}: add it to its kinds in the configuration"
            ));
        }
        let place = self.place(alert.place.take().ok_or("place: must be set")?)?;
        let why = alert.explanation.take().unwrap_or_default();
        let mut taken = v1::Alert {
            alert_id: alert.alert_id,
            revision: alert.revision,
            kind: alert.kind,
            kind_class: alert.kind_class,
            level: alert.level,
            state: alert.state,
            resolution: alert.resolution,
            started_unix_us: alert.started_unix_us,
            last_seen_unix_us: alert.last_seen_unix_us,
            resolved_unix_us: alert.resolved_unix_us,
            decided_unix_us: alert.decided_unix_us,
            stages: alert.stages,
            explanation: Some(v1::Explanation {
                config_revision: self.revision.0,
                rule: RULE.to_owned(),
                ..v1::Explanation::default()
            }),
            ..v1::Alert::default()
        };
        if unprocessed {
            taken.level = i32::from(Level::GENERAL.number());
            taken.count = 1;
            taken.place = Some(v1::Place { zone: String::new(), ..place.0.clone() });
        } else {
            taken.count = alert.count;
            taken.confidence = alert.confidence;
            taken.measures = alert.measures;
            taken.regions = alert.regions;
            taken.camera_time = alert.camera_time;
            taken.drill = alert.drill;
            if let Some(explanation) = &mut taken.explanation {
                explanation.thresholds = why.thresholds;
                explanation.zone_outline = place.1;
            }
            taken.place = Some(place.0);
        }
        Ok(v1::Publication { alert: Some(taken), ..said })
    }
    /// Our place for the one that was named, and the outline of its zone.
    fn place(&self, said: v1::Place) -> Result<(v1::Place, Vec<v1::Point>), String> {
        let name = &self.publisher.name;
        let id: CameraId = said.camera_id.parse().map_err(|fault| format!("place.camera_id: {fault}"))?;
        let Some(watched) = self.places.get(&id) else {
            return Err(format!(
                "place.camera_id: {id} is no camera in the divisions of {name} and no device of its own: declare it \
                 as a [[publisher.device]]"
            ));
        };
        if said.zone.is_empty() {
            return Ok((watched.place.clone(), Vec::new()));
        }
        let zone: ZoneId = said.zone.parse().map_err(|fault| format!("place.zone: {fault}"))?;
        let Some(outline) = watched.zones.get(&zone) else {
            return Err(format!("place.zone: {zone} is no zone of {id}: leave it out, or declare it"));
        };
        Ok((v1::Place { zone: zone.to_string(), ..watched.place.clone() }, outline.clone()))
    }
}

fn of_camera(config: &Config, camera: &Camera) -> Watched {
    let outline = |zone: &xueliang_base::config::Zone| outline(&zone.polygon);
    Watched {
        place: (&Place::of_camera(config, camera)).into(),
        zones: camera.zones.iter().map(|zone| (zone.id.clone(), outline(zone))).collect(),
    }
}

fn of_device(config: &Config, device: &ExternalDevice) -> Watched {
    let own = config.divisions.iter().find(|division| division.code == device.division);
    let place = Place {
        camera: device.id.clone(),
        camera_name: device.name.clone(),
        division_path: config.division_path(&device.division),
        division_name: own.map(|division| division.name.clone()).unwrap_or_default(),
        address: device.address.clone(),
        position: device.position,
        zone: None,
        // A device of another maker's system is no point of the file of points.
        class: None,
    };
    Watched { place: (&place).into(), zones: BTreeMap::new() }
}

#[cfg(test)]
mod tests;
