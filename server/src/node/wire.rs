//! Between the vocabulary and the messages of `worker.proto`. Both ends are this program, so a message that does
//! not convert is a defect or a damaged stream: the look fails, nothing else does.

use bytes::Bytes;
use xueliang_base::{
    detection::{Detection, Meaning},
    geometry::{Point, Polygon, Rect},
    look::{LookCost, ModelView, NotLooked, Scene, Thumbnail},
    time::{CameraTime, Mono, Wall},
    unit::{AccessUnit, Codec},
};
use xueliang_inference::analyst::PictureTroubles;
use xueliang_proto::v1;

/// A message that does not convert.
#[derive(Debug, thiserror::Error)]
#[error("worker message holds {0}")]
pub struct WireError(pub &'static str);

pub fn codec_to_wire(codec: Codec) -> v1::Codec {
    match codec {
        Codec::H264 => v1::Codec::H264,
        Codec::H265 => v1::Codec::H265,
        Codec::Mjpeg => v1::Codec::Mjpeg,
    }
}

pub fn codec_from_wire(codec: v1::Codec) -> Result<Codec, WireError> {
    match codec {
        v1::Codec::H264 => Ok(Codec::H264),
        v1::Codec::H265 => Ok(Codec::H265),
        v1::Codec::Mjpeg => Ok(Codec::Mjpeg),
        v1::Codec::Unspecified => Err(WireError("no codec")),
    }
}

pub fn unit_to_wire(unit: &AccessUnit) -> v1::WorkerUnit {
    v1::WorkerUnit {
        seq: unit.seq,
        keyframe: unit.keyframe,
        data: unit.data.clone(),
        arrival_mono_ns: unit.arrival.0,
        arrival_unix_us: unit.arrival_wall.0,
        camera_time: unit.camera_time.map(|t| v1::CameraTime { unix_us: t.wall.0, error_us: t.error_us }),
    }
}

pub fn unit_from_wire(unit: v1::WorkerUnit, codec: Codec) -> AccessUnit {
    AccessUnit {
        seq: unit.seq,
        codec,
        keyframe: unit.keyframe,
        discontinuity: false,
        pts_us: None,
        arrival: Mono(unit.arrival_mono_ns),
        arrival_wall: Wall(unit.arrival_unix_us),
        camera_time: unit.camera_time.map(|t| CameraTime { wall: Wall(t.unix_us), error_us: t.error_us }),
        data: unit.data,
    }
}

pub fn outline_to_wire(polygon: &Polygon) -> v1::Outline {
    v1::Outline { points: xueliang_base::wire::outline(polygon) }
}

pub fn outline_from_wire(outline: &v1::Outline) -> Result<Polygon, WireError> {
    Polygon::new(outline.points.iter().map(|p| Point::new(p.x, p.y)).collect())
        .map_err(|_| WireError("an impossible outline"))
}

pub fn rect_to_wire(rect: &Rect) -> v1::Region {
    v1::Region { x0: rect.x0, y0: rect.y0, x1: rect.x1, y1: rect.y1 }
}

pub fn rect_from_wire(region: &v1::Region) -> Rect {
    Rect::new(region.x0, region.y0, region.x1, region.y1)
}

pub fn view_to_wire(view: &ModelView) -> v1::WorkerView {
    v1::WorkerView {
        model: view.model.to_string(),
        detections: view
            .detections
            .iter()
            .map(|d| v1::WorkerDetection {
                meaning: d.meaning.word().to_owned(),
                score: d.score,
                region: Some(rect_to_wire(&d.rect)),
            })
            .collect(),
    }
}

pub fn view_from_wire(view: &v1::WorkerView) -> Result<ModelView, WireError> {
    let detections = view
        .detections
        .iter()
        .map(|d| {
            Ok(Detection {
                meaning: Meaning::from_word(&d.meaning).ok_or(WireError("an unknown meaning"))?,
                score: d.score,
                rect: rect_from_wire(d.region.as_ref().ok_or(WireError("a detection without a region"))?),
            })
        })
        .collect::<Result<_, WireError>>()?;
    Ok(ModelView { model: view.model.parse().map_err(|_| WireError("no model name"))?, detections })
}

/// What a worker saw, without the facts that the node knows itself.
#[derive(Debug)]
pub struct Saw {
    pub seq: u64,
    pub decoded: u32,
    pub views: Vec<ModelView>,
    pub scene: Scene,
    pub aspect: f32,
    pub cost: LookCost,
    /// The decoder kept for the camera is gone.
    pub forgotten: bool,
}

pub fn saw_to_wire(saw: &Saw) -> v1::WorkerSaw {
    v1::WorkerSaw {
        seq: saw.seq,
        decoded: saw.decoded,
        views: saw.views.iter().map(view_to_wire).collect(),
        mean_luma: saw.scene.mean_luma,
        std_luma: saw.scene.std_luma,
        detail: saw.scene.detail,
        checksum: saw.scene.checksum,
        thumbnail: saw.scene.thumbnail.cells().clone(),
        aspect: saw.aspect,
        decode_us: saw.cost.decode_us,
        preprocess_us: saw.cost.preprocess_us,
        infer_us: saw.cost.infer_us,
        forgotten: saw.forgotten,
    }
}

pub fn saw_from_wire(saw: v1::WorkerSaw) -> Result<Saw, WireError> {
    let thumbnail: Bytes = saw.thumbnail;
    Ok(Saw {
        seq: saw.seq,
        decoded: saw.decoded,
        views: saw.views.iter().map(view_from_wire).collect::<Result<_, _>>()?,
        scene: Scene {
            mean_luma: saw.mean_luma,
            std_luma: saw.std_luma,
            detail: saw.detail,
            checksum: saw.checksum,
            thumbnail: Thumbnail::new(thumbnail).ok_or(WireError("a thumbnail of another size"))?,
        },
        aspect: saw.aspect,
        cost: LookCost { decode_us: saw.decode_us, preprocess_us: saw.preprocess_us, infer_us: saw.infer_us },
        forgotten: saw.forgotten,
    })
}

/// The one place where reasons and their wire form meet.
const REASONS: [(NotLooked, v1::NotLooked); 16] = [
    (NotLooked::Connecting, v1::NotLooked::Connecting),
    (NotLooked::Offline, v1::NotLooked::Offline),
    (NotLooked::Stalled, v1::NotLooked::Stalled),
    (NotLooked::TooOld, v1::NotLooked::TooOld),
    (NotLooked::Busy, v1::NotLooked::Busy),
    (NotLooked::Deadline, v1::NotLooked::Deadline),
    (NotLooked::WorkerLost, v1::NotLooked::WorkerLost),
    (NotLooked::Undecodable, v1::NotLooked::Undecodable),
    (NotLooked::TooLarge, v1::NotLooked::TooLarge),
    (NotLooked::ModelFailed, v1::NotLooked::ModelFailed),
    (NotLooked::ViewMoved, v1::NotLooked::ViewMoved),
    (NotLooked::Blind, v1::NotLooked::Blind),
    (NotLooked::Frozen, v1::NotLooked::Frozen),
    (NotLooked::ExpectedOff, v1::NotLooked::ExpectedOff),
    (NotLooked::NotDue, v1::NotLooked::NotDue),
    (NotLooked::NotConnected, v1::NotLooked::NotConnected),
];

pub fn reason_to_wire(reason: NotLooked) -> v1::NotLooked {
    REASONS.iter().find(|(ours, _)| *ours == reason).map_or(v1::NotLooked::Unspecified, |(_, wire)| *wire)
}

pub fn reason_from_wire(reason: v1::NotLooked) -> NotLooked {
    REASONS.iter().find(|(_, wire)| *wire == reason).map_or(NotLooked::WorkerLost, |(ours, _)| *ours)
}

/// What is wrong with a picture, for consoles.
pub fn troubles_to_wire(troubles: PictureTroubles) -> Vec<i32> {
    [
        (troubles.dark, v1::PictureTrouble::Dark),
        (troubles.covered, v1::PictureTrouble::Covered),
        (troubles.frozen, v1::PictureTrouble::Frozen),
        (troubles.view_moved, v1::PictureTrouble::ViewMoved),
    ]
    .into_iter()
    .filter(|(is, _)| *is)
    .map(|(_, trouble)| trouble.into())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_wire_form_and_comes_back() {
        for (reason, _) in REASONS {
            assert_eq!(reason_from_wire(reason_to_wire(reason)), reason);
        }
    }

    #[test]
    fn a_damaged_sight_is_an_error() {
        assert!(saw_from_wire(v1::WorkerSaw::default()).is_err());
    }
}
