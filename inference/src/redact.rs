//! Pictures that people may see: enough to judge the event, too little to know who was there.
//!
//! Fails closed: everything is coarse unless it is known that it may be clear, and on any error there is no picture.
//!
//! - Outside the incident's regions and zone: coarse pixels, about [`BLOCKS`] across the picture.
//! - Inside them: clear, but for heads (the top of every person), whole persons where they are small, lie or stand on
//!   wheels, and the lower halves of vehicles, where plates are. These come from a detector run at a *low* threshold
//!   on the same picture, and are pixelated wherever they are, also outside.
//!
//! Privacy masks were painted before (`mask`). [`look`] is that run: it refuses where no model finds both persons and
//! vehicles, where one fails, and where one's list was full, since heads may be missing from it. Without it only
//! [`coarse`] may be used.

use xueliang_base::{
    detection::{Detection, Meaning},
    geometry::{Polygon, Rect},
    picture::Picture,
};

use crate::{Error, session::Detector};

mod canvas;

use self::canvas::{Area, Canvas};

/// Coarse pixels along the longer side of a picture: a face that fills a tenth of it is 5 of them wide.
pub const BLOCKS: usize = 48;
/// Coarse pixels are never smaller than this, in pixels of the output.
const BLOCK_MIN: usize = 8;
/// Detections count for redaction from this score on: better a lorry's lower half blurred for nothing.
const MIN_SCORE: f32 = 0.12;
/// Smallest width that can be asked for.
const WIDTH_MIN: u32 = 64;
/// Width and quality of pictures without clear parts.
const COARSE: (u32, u8) = (960, 70);

/// A region's outline: red, in JPEG's Y, Cb, Cr.
const REGION_COLOUR: [u8; 3] = [76, 85, 255];
/// A zone's outline: yellow.
const ZONE_COLOUR: [u8; 3] = [210, 16, 146];

/// What of a picture may be clear, and how the result is made.
#[derive(Debug, Clone, PartialEq)]
pub struct RedactSpec {
    /// The incident's boxes.
    pub regions: Vec<Rect>,
    /// The zone of the rule.
    pub zone: Option<Polygon>,
    /// Largest width of the result, in pixels; at least 64. Pictures are never enlarged.
    pub max_width: u32,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
}

/// What all detectors see in a picture at a low threshold, for [`still`]. An error means that there may be heads or plates
/// that nobody found: then there is no picture.
pub fn look(detectors: &mut [Box<dyn Detector>], picture: &Picture) -> Result<Vec<Detection>, Error> {
    for needed in [Meaning::Person, Meaning::Vehicle] {
        if !detectors.iter().any(|detector| detector.model().meanings().contains(&needed)) {
            return Err(Error::Redact(format!(
                "no loaded model sees \"{}\": load one that sees persons and vehicles, or there are no pictures",
                needed.word()
            )));
        }
    }
    let mut low = Vec::new();
    for detector in detectors {
        let looked = detector.look(picture, Some(MIN_SCORE))?;
        if looked.saturated {
            return Err(Error::Redact(format!(
                "model {} reports as many objects as it can, so heads may be missing",
                detector.model().name
            )));
        }
        low.extend(looked.detections);
    }
    Ok(low)
}

/// The redacted still of an incident, as JPEG. `low` is what the detector saw in this very picture at a low threshold:
/// when it failed, do not call this.
pub fn still(picture: &Picture, low: &[Detection], spec: &RedactSpec) -> Result<Vec<u8>, Error> {
    compose(picture, low, spec).and_then(|canvas| canvas.jpeg(spec.quality)).map_err(Error::Redact)
}

/// The whole picture in coarse pixels, as JPEG: for uses without a detector.
pub fn coarse(picture: &Picture) -> Result<Vec<u8>, Error> {
    let (max_width, quality) = COARSE;
    let spec = RedactSpec { regions: Vec::new(), zone: None, max_width, quality };
    still(picture, &[], &spec)
}

fn compose(picture: &Picture, low: &[Detection], spec: &RedactSpec) -> Result<Canvas, String> {
    if !(1..=100).contains(&spec.quality) {
        return Err(format!("quality {} is not within 1 to 100", spec.quality));
    }
    if spec.max_width < WIDTH_MIN {
        return Err(format!("a width of {} is asked for, at least {WIDTH_MIN} is needed", spec.max_width));
    }
    for rect in &spec.regions {
        let inside = rect.clamped();
        if !finite(rect) || inside.width() <= 0.0 || inside.height() <= 0.0 {
            return Err("a region lies outside the picture".to_owned());
        }
    }
    if low.iter().any(|d| !finite(&d.rect)) {
        return Err("a detection has no finite box".to_owned());
    }
    let mut canvas = Canvas::of(picture, spec.max_width)?;
    let block = canvas.longer_side().div_ceil(BLOCKS).max(BLOCK_MIN);
    canvas.coarsen_outside(&spec.regions, spec.zone.as_ref(), block);
    for detection in low {
        if let Some(hide) = hidden(detection, &canvas, block) {
            canvas.pixelate(hide.area, hide.block);
        }
    }
    if let Some(zone) = &spec.zone {
        canvas.outline(zone.points(), ZONE_COLOUR);
    }
    for region in &spec.regions {
        canvas.frame(region, REGION_COLOUR);
    }
    Ok(canvas)
}

fn finite(rect: &Rect) -> bool {
    [rect.x0, rect.y0, rect.x1, rect.y1].iter().all(|v| v.is_finite())
}

/// A part to pixelate.
#[derive(Debug, PartialEq)]
struct Hide {
    area: Area,
    block: usize,
}

/// What of a detection must not be seen.
fn hidden(detection: &Detection, canvas: &Canvas, block: usize) -> Option<Hide> {
    let rect = detection.rect;
    let (w, h) = (rect.width(), rect.height());
    let (across, down) = (w * canvas.width() as f32, h * canvas.height() as f32);
    let grown = |left: f32, up: f32, down: f32| Rect {
        x0: rect.x0 - left * w,
        y0: rect.y0 - up * h,
        x1: rect.x1 + left * w,
        y1: rect.y1 + down * h,
    };
    // The part, and how many blocks it may be across at most: few enough that a face or plate within is 3 or 4 of them.
    let (part, blocks) = match detection.meaning {
        // Lying, or so small that where the head is cannot be told from the box.
        Meaning::Person if across > 0.8 * down || down < 6.0 * block as f32 => (grown(0.1, 0.1, 0.05), 8),
        Meaning::Person => (Rect { y1: rect.y0 + 0.4 * h, ..grown(0.2, 0.15, 0.0) }, 4),
        Meaning::Vehicle => (Rect { y0: rect.y0 + 0.4 * h, ..grown(0.1, 0.0, 0.1) }, 12),
        // The rider sits above and may not have been found on his own.
        Meaning::TwoWheeler => (grown(0.2, 1.0, 0.1), 8),
        Meaning::Vessel
        | Meaning::Train
        | Meaning::Animal
        | Meaning::PortableObject
        | Meaning::Fire
        | Meaning::Smoke => return None,
    };
    let area = canvas.area(&part)?;
    // Whole multiples of the coarse pixels keep one grid, so that outside the regions they stay what they are.
    let times = area.longer_side().div_ceil(blocks * block).max(1);
    Some(Hide { area, block: block * times })
}

#[cfg(test)]
mod tests;
