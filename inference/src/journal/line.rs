//! One observation as a line of JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use xueliang_base::{
    id::{ConfigRevision, LookId},
    look::{LookKind, ModelView, NotLooked, Observation, Scene, Sight, Thumbnail},
    time::{CameraTime, Mono, Wall},
};

/// An observation's text form.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    look: LookId,
    kind: LookKind,
    revision: ConfigRevision,
    at: Mono,
    at_wall: Wall,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_looked: Option<NotLooked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    saw: Option<Saw<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Saw<'a> {
    arrival: Mono,
    arrival_wall: Wall,
    camera_time: Option<CameraTime>,
    aspect: f32,
    mean_luma: f32,
    std_luma: f32,
    detail: f32,
    checksum: u64,
    views: Cow<'a, [ModelView]>,
    #[serde(with = "super::text::one")]
    thumbnail: Thumbnail,
}

impl<'a> Line<'a> {
    pub(super) fn of(observation: &'a Observation) -> Self {
        let saw = observation.outcome.as_ref().ok().map(|sight| Saw {
            arrival: sight.arrival,
            arrival_wall: sight.arrival_wall,
            camera_time: sight.camera_time,
            aspect: sight.aspect,
            mean_luma: sight.scene.mean_luma,
            std_luma: sight.scene.std_luma,
            detail: sight.scene.detail,
            checksum: sight.scene.checksum,
            views: Cow::Borrowed(&sight.views),
            thumbnail: sight.scene.thumbnail.clone(),
        });
        Self {
            look: observation.look,
            kind: observation.kind,
            revision: observation.revision,
            at: observation.at,
            at_wall: observation.at_wall,
            not_looked: observation.outcome.as_ref().err().copied(),
            saw,
        }
    }
    /// `None` where the line says neither what was seen nor why nothing was.
    pub(super) fn into_observation(self) -> Option<Observation> {
        let Self { look, kind, revision, at, at_wall, not_looked, saw } = self;
        let outcome = match (saw, not_looked) {
            (Some(saw), None) => Ok(Sight {
                arrival: saw.arrival,
                arrival_wall: saw.arrival_wall,
                camera_time: saw.camera_time,
                views: saw.views.into_owned(),
                scene: Scene {
                    mean_luma: saw.mean_luma,
                    std_luma: saw.std_luma,
                    detail: saw.detail,
                    checksum: saw.checksum,
                    thumbnail: saw.thumbnail,
                },
                aspect: saw.aspect,
            }),
            (None, Some(reason)) => Err(reason),
            _ => return None,
        };
        Some(Observation { look, kind, revision, at, at_wall, outcome })
    }
}
