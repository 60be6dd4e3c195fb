//! What a picture says about the camera itself: dark, covered, frozen, of another view. Every rule asks this first.
//!
//! The reference view is learned from the first five good looks, a second or more apart: the median of each cell, so
//! that passers-by leave no trace. Beside the reference stands its *recent* form, which follows the light while the view
//! matches; a look matches if either does. Nothing tells whether the camera looked the right way while it was learned.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    config::{Camera, Condition},
    id::RuleId,
    look::{Sight, Thumbnail},
    time::Mono,
};

use super::{PictureTroubles, Reference};
use crate::rules::{
    covered::{Cover, CoverState},
    dark,
    moved::Edges,
};

/// Used where the camera has no rule that says otherwise.
const DARK_LUMA: f32 = 20.0;
const LOST_DETAIL: f32 = 0.8;
const MIN_MATCH: f32 = 0.25;
/// Looks whose median is the reference, and the least time between them.
const LEARN_LOOKS: usize = 5;
const LEARN_EVERY: Duration = Duration::from_secs(1);
/// A view is another one after so many looks in a row, over at least this time: a bus passes in less.
const MOVED_LOOKS: u32 = 3;
const MOVED_AFTER: Duration = Duration::from_secs(10);
/// Matching looks after which it is the old one again.
const BACK_LOOKS: u32 = 2;
/// How often, and at least how well matched, the recent form is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(30);
const RENEW_MARGIN: f32 = 0.1;

/// Whether zones mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum View {
    /// The reference, or no reference yet.
    #[default]
    Known,
    /// It did not match lately, not for long enough to be sure.
    Doubtful,
    /// Another one.
    Moved,
}

impl View {
    pub(crate) fn moved(self) -> bool {
        self == View::Moved
    }
    pub(crate) fn doubtful(self) -> bool {
        self != View::Known
    }
}

/// What one picture says about the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PictureState {
    pub(crate) dark: bool,
    pub(crate) cover: CoverState,
    /// Dark, overexposed or uniform: nothing to compare.
    pub(crate) featureless: bool,
    /// The scene cannot be seen; absence cannot be told.
    pub(crate) blind: bool,
    /// The picture before, to the last bit; or a rule says the camera is frozen.
    pub(crate) frozen: bool,
    /// With the reference; `None` where either has no edges, the picture is blind, or there is no reference.
    pub(crate) similarity: Option<f32>,
    pub(crate) view: View,
}

/// The camera's own state.
#[derive(Debug, Clone)]
pub(crate) struct Lens {
    dark_luma: f32,
    lost_detail: f32,
    min_match: f32,
    view_number: u32,
    learning: Vec<(Mono, Vec<u8>, f32)>,
    reference: Option<Reference>,
    edges: Vec<Edges>,
    renewed: Option<Mono>,
    cover: Cover,
    last: Option<(Mono, u64)>,
    view: View,
    mismatched: Option<(Mono, u32)>,
    matched: u32,
}

impl Lens {
    pub(crate) fn new(camera: &Camera, reference: Option<Reference>) -> Self {
        let mut lens = Self {
            dark_luma: DARK_LUMA,
            lost_detail: LOST_DETAIL,
            min_match: MIN_MATCH,
            view_number: camera.view,
            learning: Vec::new(),
            reference: None,
            edges: Vec::new(),
            renewed: None,
            cover: Cover::default(),
            last: None,
            view: View::Known,
            mismatched: None,
            matched: 0,
        };
        for rule in &camera.rules {
            match rule.condition {
                Condition::Dark { max_luma } => lens.dark_luma = max_luma,
                Condition::Covered { lost_detail } => lens.lost_detail = lost_detail,
                Condition::Moved { min_match } => lens.min_match = min_match,
                _ => {}
            }
        }
        // Zones drawn on another view than the stored one belong to what is seen from now on.
        if let Some(reference) = reference.filter(|reference| reference.view == camera.view) {
            lens.adopt(reference);
        }
        lens
    }
    pub(crate) fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }
    /// What that state says is wrong.
    pub(crate) fn troubles(&self, picture: &PictureState) -> PictureTroubles {
        PictureTroubles {
            dark: picture.dark,
            covered: picture.cover.covered(self.lost_detail),
            frozen: picture.frozen,
            view_moved: picture.view.moved(),
        }
    }
    /// Keeps what rules know of the bare ground beside the reference, once there is one.
    pub(crate) fn keep_grounds(&mut self, grounds: BTreeMap<RuleId, Thumbnail>) {
        if let Some(reference) = &mut self.reference {
            reference.grounds = grounds;
        }
    }
    fn adopt(&mut self, reference: Reference) {
        self.cover.learn(reference.detail);
        self.edges = std::iter::once(&reference.thumbnail)
            .chain(&reference.recent)
            .map(|thumbnail| Edges::of(thumbnail.cells()))
            .collect();
        self.reference = Some(reference);
    }
    /// `frozen_rule`: whether a rule has found the camera frozen. `None` for a picture not later than the last.
    pub(crate) fn step(&mut self, sight: &Sight, frozen_rule: bool) -> Option<PictureState> {
        let (at, scene) = (sight.arrival, &sight.scene);
        if self.last.is_some_and(|(last, _)| at <= last) {
            return None;
        }
        let dark = dark::is_dark(scene, self.dark_luma);
        let cover = self.cover.step(at, scene, dark, self.lost_detail);
        let featureless = dark || dark::is_bright(scene) || cover.uniform;
        let blind = featureless || cover.covered(self.lost_detail);
        let same = self.last.is_some_and(|(_, checksum)| checksum == scene.checksum);
        let frozen = !featureless && (same || frozen_rule);
        self.last = Some((at, scene.checksum));
        let mut state =
            PictureState { dark, cover, featureless, blind, frozen, similarity: None, view: self.view };
        if blind || same {
            return Some(state);
        }
        if self.reference.is_none() {
            self.learn(at, &scene.thumbnail, scene.detail);
            return Some(state);
        }
        let edges = Edges::of(scene.thumbnail.cells());
        state.similarity =
            self.edges.iter().filter_map(|reference| reference.similarity(&edges)).max_by(f32::total_cmp);
        if let Some(similarity) = state.similarity {
            self.debounce(at, similarity);
            self.renew(at, similarity, &scene.thumbnail, edges);
        }
        state.view = self.view;
        Some(state)
    }
    fn debounce(&mut self, at: Mono, similarity: f32) {
        if similarity >= self.min_match {
            self.matched += 1;
            self.mismatched = None;
            if self.view != View::Moved || self.matched >= BACK_LOOKS {
                self.view = View::Known;
            }
            return;
        }
        self.matched = 0;
        let (since, looks) = self.mismatched.unwrap_or((at, 0));
        self.mismatched = Some((since, looks + 1));
        if self.view == View::Moved {
            return;
        }
        let sure = looks + 1 >= MOVED_LOOKS && at.since(since) >= MOVED_AFTER;
        self.view = if sure { View::Moved } else { View::Doubtful };
    }
    /// Follows dusk and snow: the recent form moves a quarter of the way to what is seen.
    fn renew(&mut self, at: Mono, similarity: f32, thumbnail: &Thumbnail, edges: Edges) {
        let due = self.renewed.is_none_or(|last| at.since(last) >= RENEW_EVERY);
        if !due || similarity < self.min_match + RENEW_MARGIN {
            return;
        }
        let Some(reference) = &mut self.reference else { return };
        self.renewed = Some(at);
        let Some(recent) = &reference.recent else {
            reference.recent = Some(thumbnail.clone());
            self.edges.push(edges);
            return;
        };
        let mixed: Vec<u8> = recent
            .cells()
            .iter()
            .zip(thumbnail.cells().iter())
            .map(|(old, new)| {
                // Rounded towards the new value, or small differences would stay for ever.
                let (old, new) = (i16::from(*old), i16::from(*new));
                let step = (new - old) / 4 + (new - old).signum();
                let next = if (new - old).abs() <= 1 { new } else { old + step };
                u8::try_from(next.clamp(0, 255)).unwrap_or(u8::MAX)
            })
            .collect();
        self.edges.truncate(1);
        self.edges.push(Edges::of(&mixed));
        reference.recent = Thumbnail::new(mixed.into());
    }
    fn learn(&mut self, at: Mono, thumbnail: &Thumbnail, detail: f32) {
        if self.learning.last().is_some_and(|(last, ..)| at.since(*last) < LEARN_EVERY) {
            return;
        }
        self.learning.push((at, thumbnail.cells().to_vec(), detail));
        if self.learning.len() < LEARN_LOOKS {
            return;
        }
        let learning = std::mem::take(&mut self.learning);
        let cells: Vec<u8> = (0..Thumbnail::WIDTH * Thumbnail::HEIGHT)
            .map(|i| {
                let mut values: Vec<u8> = learning.iter().map(|(_, cells, _)| cells[i]).collect();
                values.sort_unstable();
                values[LEARN_LOOKS / 2]
            })
            .collect();
        let mut details: Vec<f32> = learning.iter().map(|(.., detail)| *detail).collect();
        details.sort_by(f32::total_cmp);
        let Some(thumbnail) = Thumbnail::new(cells.into()) else { return };
        let detail = details[LEARN_LOOKS / 2];
        self.adopt(Reference {
            thumbnail,
            detail,
            view: self.view_number,
            recent: None,
            grounds: BTreeMap::new(),
        });
    }
}
