//! The lens is covered: detail is lost against the reference, the picture is uniform, or it went black at once.
//!
//! Tells: loss of detail by share; a uniform picture that is not dark (a video-lost screen too); darkness that came
//! within seconds out of a good picture, and for as long as it lasts.
//! Cannot tell: a cover from thick fog, spray paint from condensation, or lights switched off in a windowless room from
//! a bag over the lens. A cover put on slowly at night looks like night.

use std::time::Duration;

use xueliang_base::{
    look::{NotLooked, Scene},
    time::Mono,
};

use super::Finding;
use crate::analyst::lens::PictureState;

/// Largest standard deviation of a uniform picture.
const UNIFORM: f32 = 6.0;
/// Darkness that follows a good picture within this time came abruptly.
const ABRUPT: Duration = Duration::from_secs(10);
/// Least fall of mean luma that is abrupt, as a share.
const FALL: f32 = 0.6;
/// The reference's detail follows the light of the day with this time constant, in seconds.
const FOLLOW_S: f64 = 600.0;

/// What one picture tells about a cover.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct CoverState {
    /// No structure at all, and not for darkness.
    pub(crate) uniform: bool,
    /// Darkness that came at once.
    pub(crate) blacked: bool,
    /// Share of the reference's detail that is lost; `None` in the dark and before there is a reference.
    pub(crate) lost: Option<f32>,
}

impl CoverState {
    /// Whether that makes a cover.
    pub(crate) fn covered(&self, lost_detail: f32) -> bool {
        self.uniform || self.blacked || self.lost.is_some_and(|lost| lost >= lost_detail)
    }
}

/// Remembers the detail there should be, and how darkness came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cover {
    detail: Option<f64>,
    good: Option<(Mono, f32)>,
    last: Option<Mono>,
    was_dark: bool,
    blacked: bool,
}

impl Cover {
    /// Takes the reference's detail, once it is known.
    pub(crate) fn learn(&mut self, detail: f32) {
        self.detail.get_or_insert(f64::from(detail));
    }
    pub(crate) fn step(&mut self, at: Mono, scene: &Scene, dark: bool, lost_detail: f32) -> CoverState {
        if dark && !self.was_dark {
            self.blacked = self.good.is_some_and(|(when, luma)| {
                at.since(when) <= ABRUPT && scene.mean_luma < luma * (1.0 - FALL)
            });
        } else if !dark {
            self.blacked = false;
        }
        self.was_dark = dark;
        // A dark picture has lost its detail to the dark.
        let lost = self.detail.filter(|detail| *detail > 0.0 && !dark).map(|detail| {
            #[expect(clippy::cast_possible_truncation, reason = "a share")]
            let lost = (1.0 - f64::from(scene.detail) / detail).clamp(0.0, 1.0) as f32;
            lost
        });
        let state = CoverState { uniform: !dark && scene.std_luma < UNIFORM, blacked: self.blacked, lost };
        if !dark && !state.covered(lost_detail) {
            self.good = Some((at, scene.mean_luma));
            // Only what is still half as sharp may teach, or a slow cover would teach itself away.
            if let (Some(detail), Some(last)) = (&mut self.detail, self.last)
                && lost.is_some_and(|lost| lost < 0.5)
            {
                let dt = at.since(last).as_secs_f64();
                *detail += (f64::from(scene.detail) - *detail) * (1.0 - (-dt / FOLLOW_S).exp());
            }
        }
        self.last = Some(at);
        state
    }
}

pub(super) fn judge(picture: &PictureState, lost_detail: f32) -> Option<Finding> {
    if picture.cover.covered(lost_detail) {
        return Some(Finding::seen());
    }
    if picture.dark {
        return Some(Finding::not_looked(NotLooked::Blind));
    }
    // Before there is a reference, a picture with some structure says nothing about what was lost.
    picture.cover.lost.is_some().then(Finding::not_seen)
}
