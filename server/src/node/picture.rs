//! Answers the bus's questions for a picture of this moment: the newest picture of a camera that decodes, redacted as the stills
//! of alerts are, by the same worker. It is the last in the order: stills go first, previews and clips that wait as well, and what
//! finds no room is refused. The worker is none of those that look, so no look ever waits for a picture.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::transport::Channel;
use tracing::debug;
use xueliang_base::{
    geometry::{Polygon, Rect},
    id::{CameraId, NodeId},
    look::NotLooked,
    time::{Mono, SharedClock, Wall, micros},
    unit::AccessUnit,
};
use xueliang_proto::v1::{self, PictureRefusal, node_service_client::NodeServiceClient};

use super::{
    camera::Cell,
    footage::{FootageSpec, Marks, Unmade, render},
    wire,
};

/// Pictures that may wait for the worker.
pub const WAITING: usize = 4;
/// Who asks waits no longer: a later picture is the better answer.
const WITHIN: Duration = Duration::from_secs(5);
/// An older picture shows nothing of this moment.
const TOO_OLD: Duration = Duration::from_secs(15);
/// Units that are decoded for one picture: two seconds of video. Where more have come since the keyframe, an earlier picture is
/// taken, and its age is told.
const MOST_UNITS: usize = 50;

/// Why there is no picture, for programs and in words.
type Refused = (PictureRefusal, String);

/// A picture that is asked for.
pub struct Asked {
    /// Of this camera.
    pub cell: Arc<Cell>,
    /// What may be shown less coarsely.
    pub marks: Marks,
    /// Who waits for it.
    pub reply: oneshot::Sender<Result<Picture, Refused>>,
}

/// A redacted picture.
#[derive(Debug)]
pub struct Picture {
    jpeg: Bytes,
    arrival: Mono,
    arrival_wall: Wall,
}

/// Asks the task of evidence for pictures.
#[derive(Clone)]
pub struct Pictures {
    /// Time.
    pub clock: SharedClock,
    /// To the task that has the worker.
    pub asks: mpsc::Sender<Asked>,
    /// Cells of the cameras now.
    pub cells: watch::Receiver<BTreeMap<CameraId, Arc<Cell>>>,
}

/// Answers one question. The bus asks few at once, and drops answers that come too late.
pub async fn answer(node: NodeId, channel: Channel, pictures: Pictures, question: v1::PictureQuestion) {
    let mut answer = v1::AnswerPictureRequest {
        node_id: node.to_string(),
        question_id: question.question_id,
        ..v1::AnswerPictureRequest::default()
    };
    match pictures.take(&question).await {
        Ok(picture) => {
            answer.age_us = micros(pictures.clock.mono().since(picture.arrival));
            answer.arrived_unix_us = picture.arrival_wall.0;
            answer.jpeg = picture.jpeg;
        }
        Err((refusal, message)) => {
            answer.set_refusal(refusal);
            answer.message = message;
        }
    }
    if let Err(status) = NodeServiceClient::new(channel).answer_picture(answer).await {
        debug!(%status, "the bus took no picture");
    }
}

#[cfg(test)]
impl Picture {
    pub fn arrival(&self) -> Mono {
        self.arrival
    }
}

impl Pictures {
    /// The picture that is asked for, or why there is none.
    pub async fn take(&self, question: &v1::PictureQuestion) -> Result<Picture, Refused> {
        let cell =
            question.camera_id.parse().ok().and_then(|id: CameraId| self.cells.borrow().get(&id).cloned());
        let cell = cell.ok_or_else(|| {
            let message = format!("this node runs no camera {:?}", question.camera_id);
            (PictureRefusal::Away, message)
        })?;
        // What is blind is refused at once, however busy the worker is.
        newest(&cell, self.clock.mono())?;
        let (reply, told) = oneshot::channel();
        let busy = || {
            let message =
                "stills and footage of alerts are made first: ask again in a few seconds".to_owned();
            (PictureRefusal::Busy, message)
        };
        let asked = Asked { cell, marks: marks(question), reply };
        self.asks.try_send(asked).map_err(|_| busy())?;
        match tokio::time::timeout(WITHIN, told).await {
            Ok(Ok(made)) => made,
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

/// What a question lets be shown less coarsely; a zone that is no polygon is none.
fn marks(question: &v1::PictureQuestion) -> Marks {
    let regions: Vec<Rect> = question.regions.iter().map(wire::rect_from_wire).collect();
    let outline = v1::Outline { points: question.zone_outline.clone() };
    let outline: Option<Polygon> = wire::outline_from_wire(&outline).ok();
    Marks { regions, outline }
}

/// Has the worker make a picture of what is newest now, unless nobody waits for it any more.
pub async fn draw(spec: &FootageSpec, asked: Asked) {
    let Asked { cell, marks, reply } = asked;
    if !reply.is_closed() {
        // Whoever asked may have gone meanwhile.
        drop(reply.send(made(spec, &cell, &marks).await));
    }
}

async fn made(spec: &FootageSpec, cell: &Cell, marks: &Marks) -> Result<Picture, Refused> {
    let units = newest(cell, spec.clock.mono())?;
    let undecodable = || (PictureRefusal::Undecodable, "the newest picture could not be decoded".to_owned());
    let unit = units.last().ok_or_else(undecodable)?;
    let pictures = render(spec, cell, marks, &units, vec![unit.seq]).await.map_err(refused)?;
    let (_, jpeg) = pictures.into_iter().next().ok_or_else(undecodable)?;
    Ok(Picture { jpeg, arrival: unit.arrival, arrival_wall: unit.arrival_wall })
}

/// Why the worker made none.
fn refused(unmade: Unmade) -> Refused {
    let refusal = match unmade.reason {
        NotLooked::Undecodable | NotLooked::TooLarge => PictureRefusal::Undecodable,
        NotLooked::ModelFailed => PictureRefusal::NotRedacted,
        _ => PictureRefusal::Busy,
    };
    (refusal, unmade.message)
}

/// The newest units that decode by themselves, up to the one whose picture is shown.
fn newest(cell: &Cell, now: Mono) -> Result<Vec<AccessUnit>, Refused> {
    let live = cell.live();
    match live.signal.not_looked() {
        None => {}
        Some(NotLooked::NotConnected) => {
            let message = "the camera is not connected now: have it connected, and ask again".to_owned();
            return Err((PictureRefusal::NotConnected, message));
        }
        Some(reason) => {
            let message = format!("the camera delivers nothing ({reason}): {}", live.detail);
            return Err((PictureRefusal::Blind, message));
        }
    }
    // From the newest keyframe on.
    let mut units = cell.ring.clip(now, now);
    // After a gap nothing decodes up to the next keyframe.
    let gap = units.iter().skip(1).position(|unit| unit.discontinuity).map(|at| at + 1);
    units.truncate(gap.unwrap_or(MOST_UNITS).min(MOST_UNITS));
    match units.last() {
        Some(unit) if now.since(unit.arrival) <= TOO_OLD => Ok(units),
        Some(_) => {
            let message = format!(
                "its keyframes come too seldom: the newest picture that can be decoded is older than {} s",
                TOO_OLD.as_secs()
            );
            Err((PictureRefusal::Undecodable, message))
        }
        None => {
            let message = "no picture that can be decoded has come yet".to_owned();
            Err((PictureRefusal::Undecodable, message))
        }
    }
}
