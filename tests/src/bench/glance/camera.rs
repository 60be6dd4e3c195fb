//! A camera that shows footage over and over, with a hazard and weather laid over it, and the looks that its glances and its
//! floors bring about.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};
use xueliang_base::{
    gate::{Cause, GateCounts, WakeReason},
    geometry::Rect,
    look::Thumbnail,
    time::Mono,
};
use xueliang_ingest::glance::{Glance, Glimpse, State, Watch};

use super::hazard::Hazard;

/// Thumbnails of a clip, with what is in it.
#[derive(Debug, Clone, Default)]
pub struct Footage {
    /// When each is shown, from the first on, and its cells.
    pub pictures: Vec<(Duration, Vec<u8>)>,
    /// What is in each, where that is known.
    pub truth: Option<Vec<Vec<Rect>>>,
}

impl Footage {
    /// How long one showing takes.
    pub fn length(&self) -> Duration {
        let [.., (before, _), (last, _)] = &self.pictures[..] else { return Duration::from_secs(1) };
        *last + (*last - *before)
    }
    /// The picture that is on show then.
    pub fn shown(&self, at: Duration) -> usize {
        let into =
            at - self.length() * u32::try_from(at.as_nanos() / self.length().as_nanos().max(1)).unwrap_or(0);
        self.pictures.partition_point(|(when, _)| *when <= into).saturating_sub(1)
    }
    /// What is in a picture.
    pub fn truth(&self, picture: usize) -> &[Rect] {
        self.truth.as_ref().map_or(&[], |truth| &truth[picture])
    }
}

/// What looks find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Looks {
    /// There are none.
    Never,
    /// They find what is there, but for a share that they overlook.
    Finding(f64),
    /// They find what the footage holds, and never the hazard: no model sees it.
    BlindToHazard,
}

/// What is to be shown and done.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The footage.
    pub footage: &'a Footage,
    /// What is laid over it.
    pub hazard: Option<Hazard>,
    /// Swing of the light, as a share, over two minutes.
    pub clouds: f32,
    /// Standard deviation of the noise of a cell, in luma steps, beyond what the footage has.
    pub noise: f32,
    /// From glance to glance.
    pub every: Duration,
    /// For so long.
    pub length: Duration,
    /// What counts.
    pub watch: Watch,
    /// What looks find.
    pub looks: Looks,
}

/// One glance of a run.
#[derive(Debug, Clone)]
pub struct Step {
    /// When.
    pub at: Duration,
    /// At which picture of the footage.
    pub picture: usize,
    /// What it saw.
    pub glimpse: Glimpse,
    /// Mean luma steps by which the hazard differs from what it hides, where it is.
    pub contrast: f32,
}

/// A run.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Its glances.
    pub steps: Vec<Step>,
    /// What looks held against them.
    pub counts: GateCounts,
}

/// From a floor to the next.
const FLOOR: Duration = Duration::from_secs(30);
/// A wake for what moves brings a look about at once; one for what stays is worth no more looks than this.
const PATIENT: Duration = Duration::from_secs(8);
const HASTY: Duration = Duration::from_secs(1);

impl Plan<'_> {
    /// Plays it.
    pub fn run(self) -> Run {
        let mut random = SmallRng::seed_from_u64(7);
        let mut glance = Glance::new(self.watch.clone());
        let mut run = Run::default();
        let mut looked = Duration::ZERO;
        let mut at = Duration::ZERO;
        while at < self.length {
            let picture = self.footage.shown(at);
            let (thumbnail, contrast) = self.render(at, picture, &mut random);
            let now = Mono(1).plus(at);
            let Some(glimpse) = glance.see(now, &thumbnail) else { break };
            run.counts.said(glimpse.said());
            let since = at - looked;
            let woken = match (&glimpse.change, glimpse.state) {
                (None, State::Known | State::Flipped) => false,
                (Some(change), _) if change.reason >= WakeReason::Staying => since >= PATIENT,
                _ => since >= HASTY,
            };
            if self.looks != Looks::Never && (since >= FLOOR || woken) {
                looked = at;
                let found = self.found(at, picture, contrast, &mut random);
                let cause = if since >= FLOOR { Cause::Floor } else { Cause::Wake };
                run.counts.looked(cause, !found.is_empty());
                glance.teach(now, &thumbnail, &found);
            }
            run.steps.push(Step { at, picture, glimpse, contrast });
            at += self.every;
        }
        run
    }
    fn found(&self, at: Duration, picture: usize, contrast: f32, random: &mut SmallRng) -> Vec<Rect> {
        let overlooked = if let Looks::Finding(overlooked) = self.looks { overlooked } else { 0.0 };
        let mut found: Vec<Rect> = self.footage.truth(picture).to_vec();
        if let (Some(hazard), true) = (&self.hazard, self.looks != Looks::BlindToHazard) {
            found.extend((contrast >= super::VISIBLE).then(|| hazard.bounds(at)).flatten());
        }
        found.retain(|_| !random.random_bool(overlooked));
        found
    }
    fn render(&self, at: Duration, picture: usize, random: &mut SmallRng) -> (Thumbnail, f32) {
        let cells = &self.footage.pictures[picture].1;
        let swing = (at.as_secs_f32() / 120.0 * std::f32::consts::TAU).sin();
        let gain = 1.0 + self.clouds * swing;
        let plain: Vec<f32> = cells.iter().map(|cell| f32::from(*cell) * gain).collect();
        let (mut shown, mut contrast) = (plain.clone(), 0.0);
        if let Some(hazard) = &self.hazard {
            contrast = hazard.lay_over(at, &mut shown);
        }
        if self.noise > 0.0 {
            for cell in &mut shown {
                // Twelve even numbers sum to a normal one.
                let normal: f32 = (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
                *cell += normal * self.noise;
            }
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
        let cells: Vec<u8> = shown.iter().map(|cell| (cell + 0.5).clamp(0.0, 255.0) as u8).collect();
        (Thumbnail::new(cells.into()).expect("it was made of a thumbnail's cells"), contrast)
    }
}
