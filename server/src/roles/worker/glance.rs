//! Glances at sub-streams: thumbnails of their pictures, after the privacy masks. No model runs.

use xueliang_base::{
    look::NotLooked,
    picture::Picture,
    time::micros,
    unit::{AccessUnit, Codec},
};
use xueliang_inference::scene;
use xueliang_ingest::decode::{Decoder, Want};
use xueliang_proto::v1::{GlancedPicture, WorkerGlance, WorkerGlanced};

use super::{Failure, Worker};
use crate::node::wire;

impl Worker {
    pub(super) fn glance(&mut self, glance: WorkerGlance) -> Result<WorkerGlanced, Failure> {
        let codec = wire::codec_from_wire(glance.codec())?;
        let units: Vec<AccessUnit> =
            glance.units.into_iter().map(|unit| wire::unit_from_wire(unit, codec)).collect();
        let start = self.clock.mono();
        let (pictures, decoded) = if glance.continued {
            self.follow(&glance.camera_id, codec, &units, glance.restart)?
        } else {
            let unit = units.last().ok_or(wire::WireError("no units"))?;
            (vec![self.passing(codec)?.decode_keyframe(unit)?], 1)
        };
        let decode_us = micros(self.clock.mono().since(start));
        // Of another size than the main stream's pictures, so masks are kept apart. No camera's id has a slash.
        let masks = format!("{}/sub", glance.camera_id);
        let mut glanced = Vec::with_capacity(pictures.len());
        for picture in &pictures {
            let thumbnail = scene::thumbnail_of(&self.masked(&masks, &glance.masks, picture)?);
            let thumbnail = thumbnail.cells().clone();
            glanced.push(GlancedPicture { seq: picture.unit_seq, thumbnail });
        }
        Ok(WorkerGlanced { pictures: glanced, decoded, decode_us })
    }

    /// All pictures that come out of the decoder kept for this sub-stream. None need come: it may hold them back for their
    /// order, and gives them out with the next units.
    fn follow(
        &mut self,
        camera: &str,
        codec: Codec,
        units: &[AccessUnit],
        restart: bool,
    ) -> Result<(Vec<Picture>, u32), Failure> {
        if restart {
            self.followed.insert(camera.to_owned(), (codec, Decoder::new(codec, self.limits)?));
        }
        let Some((_, decoder)) = self.followed.get_mut(camera) else {
            // Without what came before, these units show nothing.
            return Err(Failure(NotLooked::Undecodable, anyhow::anyhow!("no decoder is kept")));
        };
        match decoder.decode(units, Want::All) {
            Ok(decoded) => Ok((decoded.pictures, u32::try_from(decoded.units_decoded).unwrap_or(u32::MAX))),
            Err(error) => {
                // Its state is not to be trusted any more.
                self.followed.remove(camera);
                Err(error.into())
            }
        }
    }
}
