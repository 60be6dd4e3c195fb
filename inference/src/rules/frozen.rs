//! The same picture again and again, while units arrive.
//!
//! Tells: that pictures agree to the last bit, or (re-encoded by the camera) that their coarse copies agree in all but
//! one cell of a hundred. Each picture is compared with the first of the suspected freeze, so slow change counts.
//! Cannot tell: a frozen sensor from a perfectly still scene that an encoder has smoothed to constancy; the dwell should
//! span several keyframes. Pictures that are dark or uniform say nothing here: black looks like black.

use xueliang_base::{
    incident::MeasureKind,
    look::{NotLooked, Sight, Thumbnail},
    time::Mono,
};

use super::Finding;
use crate::analyst::lens::PictureState;

/// Summed difference of cells below which two copies agree: sensor noise alone moves some 300 of 5184 cells by one.
const AGREE: u32 = 50;

/// The first picture of the suspected freeze.
#[derive(Debug, Clone, Default)]
pub(super) struct Frozen {
    anchor: Option<(Mono, u64, Thumbnail)>,
}

impl Frozen {
    pub(super) fn judge(&mut self, sight: &Sight, picture: &PictureState) -> Finding {
        if picture.featureless {
            self.anchor = None;
            return Finding::not_looked(NotLooked::Blind);
        }
        let scene = &sight.scene;
        if let Some((since, checksum, thumbnail)) = &self.anchor {
            let same = *checksum == scene.checksum || difference(thumbnail, &scene.thumbnail) <= AGREE;
            if same && sight.arrival > *since {
                let silent = sight.arrival.since(*since).as_secs_f64();
                return Finding::seen().measure(MeasureKind::SilenceS, silent);
            }
        }
        self.anchor = Some((sight.arrival, scene.checksum, scene.thumbnail.clone()));
        Finding::not_seen()
    }
}

fn difference(a: &Thumbnail, b: &Thumbnail) -> u32 {
    a.cells().iter().zip(b.cells().iter()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}
