//! `manifest.toml`: what a model takes and gives.
//!
//! ```toml
//! schema = 1
//! name = "centernet-mobilenetv3"
//! version = "1"
//! family = "centernet"          # yolox, ssd, centernet or classifier
//! licence = "MIT"               # SPDX
//! origin = "where it comes from, for people"
//! sha256 = "…"                  # of model.onnx
//! [input]
//! name = "images"
//! layout = "nchw"               # or nhwc
//! type = "f32"                  # or u8
//! width = 416
//! height = 416
//! colour = "rgb"                # or bgr
//! fit = "letterbox"             # at the top left, the rest is `pad`; or stretch
//! pad = 114
//! mean = [0.0, 0.0, 0.0]        # on 0..255, by channel in the order of `colour`
//! std = [1.0, 1.0, 1.0]
//! [output]                      # by family, see [`Output`]
//! detections = "detections"
//! most = 100                    # centernet: rows of the list, only where model.onnx leaves that axis open
//! [threshold]
//! score = 0.35
//! nms_iou = 0.45                # without effect for classifiers
//! [tiles]                       # classifiers only
//! columns = 4
//! rows = 3
//! overlap = 0.2                 # share of a tile's side
//! frame = true                  # the whole frame as well
//! [[class]]                     # every index of the output, from 0
//! index = 0
//! name = "person"
//! meaning = "person"            # a word of `Meaning`, or ignored
//! ```

use std::cell::RefCell;

use xueliang_base::{detection::Meaning, id::ModelName};

use super::reader::Section;

mod parse;

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its name.
    pub name: ModelName,
    /// Its version.
    pub version: String,
    /// SPDX expression.
    pub licence: String,
    /// Where it comes from, for people.
    pub origin: String,
    /// SHA-256 of `model.onnx`, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// What it takes.
    pub input: Input,
    /// What it gives.
    pub output: Output,
    /// What counts as a detection.
    pub threshold: Threshold,
    /// How a classifier's picture is cut; `Some` for classifiers only.
    pub tiles: Option<Tiles>,
    /// The classes, by index without gaps.
    pub classes: Vec<Class>,
}

/// How a model's output is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Anchor-free grid of three strides.
    Yolox,
    /// Scores and boxes of anchors, decoded in the graph.
    Ssd,
    /// A list of boxes, decoded in the graph.
    CenterNet,
    /// One score a class for a whole picture or tile.
    Classifier,
}

/// Order of the input's axes after the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Channels, rows, columns.
    Nchw,
    /// Rows, columns, channels.
    Nhwc,
}

/// Type of the input's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floats.
    F32,
    /// Bytes, not normalised.
    U8,
}

/// Order of the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// How a picture is brought to the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Keeping its shape, at the top left.
    Letterbox {
        /// Value of the rest, before normalisation.
        pad: u8,
    },
    /// Filling the input, whatever the shape.
    Stretch,
}

/// What a model takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Name of the tensor.
    pub name: String,
    /// Order of axes.
    pub layout: Layout,
    /// Type of values.
    pub element: ElementType,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Order of channels.
    pub colour: Colour,
    /// How the picture is fitted.
    pub fit: Fit,
    /// Subtracted from 0..=255, by channel.
    pub mean: [f32; 3],
    /// Divided by after that, by channel.
    pub std: [f32; 3],
}

/// What a model gives: names of tensors and how to read them.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// `predictions` [1, anchors, 5 + classes]: x, y, log w, log h, objectness, scores; strides 8, 16, 32.
    Yolox {
        /// Name of the tensor.
        predictions: String,
    },
    /// `scores` [1, anchors, first_class + classes] and `boxes` [1, anchors, 4] or [1, anchors, 1, 4]: ymin, xmin,
    /// ymax, xmax as shares of the input.
    Ssd {
        /// Name of the scores.
        scores: String,
        /// Name of the boxes.
        boxes: String,
        /// Leading columns of the scores that are no class (background).
        first_class: usize,
    },
    /// `detections` [1, n, 6]: x1, y1, x2, y2 in pixels of the input, score, class.
    CenterNet {
        /// Name of the tensor.
        detections: String,
        /// Rows of the list, where the file does not say it.
        most: Option<u32>,
    },
    /// `logit` [1, classes].
    Classifier {
        /// Name of the tensor.
        logit: String,
        /// From logit to probability.
        activation: Activation,
    },
}

/// From logit to probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Each class by itself; `negated` when the model gives the probability of the class being absent.
    Sigmoid {
        /// Whether 1 less the sigmoid is the probability (`positive = "negated"`).
        negated: bool,
    },
    /// One class out of all.
    Softmax,
}

/// What counts as a detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Least score.
    pub score: f32,
    /// Boxes of one meaning that overlap more than this are one; `None` where the model never doubles.
    pub nms_iou: Option<f32>,
}

/// How a classifier's picture is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tiles {
    /// Tiles across.
    pub columns: u32,
    /// Tiles down.
    pub rows: u32,
    /// Share of a tile's side by which it grows, half on each side.
    pub overlap: f32,
    /// Whether the whole picture is looked at as well.
    pub frame: bool,
}

/// One class of a model's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The model's word for it.
    pub name: String,
    /// Ours; `None` where it is ignored.
    pub meaning: Option<Meaning>,
}

impl Output {
    /// The family this output belongs to.
    pub fn family(&self) -> Family {
        match self {
            Output::Yolox { .. } => Family::Yolox,
            Output::Ssd { .. } => Family::Ssd,
            Output::CenterNet { .. } => Family::CenterNet,
            Output::Classifier { .. } => Family::Classifier,
        }
    }
    /// Names of its tensors, in the order that [`crate::output::decode`] takes them.
    pub fn tensors(&self) -> Vec<&str> {
        match self {
            Output::Yolox { predictions } => vec![predictions],
            Output::Ssd { scores, boxes, .. } => vec![scores, boxes],
            Output::CenterNet { detections, .. } => vec![detections],
            Output::Classifier { logit, .. } => vec![logit],
        }
    }
}

impl Manifest {
    /// Parses `manifest.toml`. An error lists all faults.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let table: toml::Table = toml::from_str(text).map_err(|e| vec![format!("is not TOML: {e}")])?;
        let faults = RefCell::new(Vec::new());
        let manifest = parse::read(Section::root(table, &faults));
        let faults = faults.into_inner();
        match manifest {
            Some(manifest) if faults.is_empty() => Ok(manifest),
            _ => Err(faults),
        }
    }
    /// What the model can see, sorted, each once.
    pub fn meanings(&self) -> Vec<Meaning> {
        let mut meanings: Vec<_> = self.classes.iter().filter_map(|class| class.meaning).collect();
        meanings.sort_unstable();
        meanings.dedup();
        meanings
    }
}
