//! From the sections of `manifest.toml` to a [`Manifest`].

use xueliang_base::detection::Meaning;

use super::{
    Activation, Class, Colour, ElementType, Family, Fit, Input, Layout, Manifest, Output, Threshold, Tiles,
};
use crate::model::{identity, reader::Section};

/// Reads a whole manifest; `None` where something needed is missing. Faults are noted in the sections.
pub(super) fn read(mut root: Section<'_>) -> Option<Manifest> {
    if root.whole("schema", 0, u32::MAX).is_some_and(|schema| schema != 1) {
        root.fault("schema", "only 1 is known to this version");
    }
    let name = root.text("name").and_then(|text| match text.parse() {
        Ok(name) => Some(name),
        Err(e) => {
            root.fault("name", e);
            None
        }
    });
    let version = root.text("version");
    let families = [
        ("yolox", Family::Yolox),
        ("ssd", Family::Ssd),
        ("centernet", Family::CenterNet),
        ("classifier", Family::Classifier),
    ];
    let family = root.choice("family", &families);
    let (licence, origin) = (root.text("licence"), root.text("origin"));
    let sha256 = root.text("sha256");
    if let Some(sum) = &sha256
        && (sum.len() != 64 || !sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    {
        root.fault("sha256", "must be 64 lower-case hexadecimal digits (sha256sum model.onnx)");
    }
    let input = root.table("input").and_then(read_input);
    let output = root.table("output").zip(family).and_then(|(section, family)| read_output(section, family));
    let threshold = root.table("threshold").and_then(|section| read_threshold(section, family));
    let tiles = root.table_if_any("tiles").map(read_tiles);
    let wants_tiles = family == Some(Family::Classifier);
    if family.is_some() && wants_tiles != tiles.is_some() {
        root.fault(
            "tiles",
            if wants_tiles { "is missing; a classifier needs it" } else { "is for classifiers only" },
        );
    }
    let classes = read_classes(&mut root);
    root.finish();
    Some(Manifest {
        name: name?,
        version: version?,
        licence: licence?,
        origin: origin?,
        sha256: sha256?,
        input: input?,
        output: output?,
        threshold: threshold?,
        tiles: tiles.flatten(),
        classes,
    })
}

fn read_input(mut s: Section<'_>) -> Option<Input> {
    let name = s.text("name");
    let layout = s.choice("layout", &[("nchw", Layout::Nchw), ("nhwc", Layout::Nhwc)]);
    let element = s.choice("type", &[("f32", ElementType::F32), ("u8", ElementType::U8)]);
    let (width, height) = (s.whole("width", 16, 4096), s.whole("height", 16, 4096));
    let colour = s.choice("colour", &[("rgb", Colour::Rgb), ("bgr", Colour::Bgr)]);
    let letterbox = s.choice("fit", &[("letterbox", true), ("stretch", false)]);
    if letterbox == Some(false) && s.has("pad") {
        s.fault("pad", "is for fit = \"letterbox\" only");
    }
    let pad = u8::try_from(s.whole_or("pad", 0, 255, 114)).unwrap_or(114);
    if element == Some(ElementType::U8) && (s.has("mean") || s.has("std")) {
        s.fault("mean", "and std are for type = \"f32\" only");
    }
    let (mean, std) = (s.triple_or("mean", [0.0; 3]), s.triple_or("std", [1.0; 3]));
    if std.iter().any(|v| *v <= 0.0) {
        s.fault("std", "must be above 0");
    }
    s.finish();
    let fit = if letterbox? { Fit::Letterbox { pad } } else { Fit::Stretch };
    Some(Input {
        name: name?,
        layout: layout?,
        element: element?,
        width: width?,
        height: height?,
        colour: colour?,
        fit,
        mean,
        std,
    })
}

fn read_output(mut s: Section<'_>, family: Family) -> Option<Output> {
    let output = match family {
        Family::Yolox => s.text("predictions").map(|predictions| Output::Yolox { predictions }),
        Family::Ssd => {
            let (scores, boxes) = (s.text("scores"), s.text("boxes"));
            let first_class = s.whole_or("first_class", 0, 16, 0) as usize;
            scores.zip(boxes).map(|(scores, boxes)| Output::Ssd { scores, boxes, first_class })
        }
        Family::CenterNet => {
            let most = s.has("most").then(|| s.whole("most", 1, 100_000)).flatten();
            s.text("detections").map(|detections| Output::CenterNet { detections, most })
        }
        Family::Classifier => {
            let logit = s.text("logit");
            let sigmoid = s.choice("activation", &[("sigmoid", true), ("softmax", false)]);
            let positive = s.text_if_any("positive");
            if positive.as_deref().is_some_and(|word| word != "negated")
                || (positive.is_some() && sigmoid == Some(false))
            {
                s.fault("positive", "may only be \"negated\", and only with activation = \"sigmoid\"");
            }
            let activation = match sigmoid {
                Some(true) => Some(Activation::Sigmoid { negated: positive.is_some() }),
                Some(false) => Some(Activation::Softmax),
                None => None,
            };
            logit.zip(activation).map(|(logit, activation)| Output::Classifier { logit, activation })
        }
    };
    s.finish();
    output
}

fn read_threshold(mut s: Section<'_>, family: Option<Family>) -> Option<Threshold> {
    let score = s.share("score");
    let nms_iou = match family {
        Some(Family::Yolox | Family::Ssd) => s.share("nms_iou"),
        Some(Family::CenterNet) | None => s.share_if_any("nms_iou"),
        // Tiles are no boxes: neighbours that overlap are not doubles.
        Some(Family::Classifier) => {
            s.share_if_any("nms_iou");
            None
        }
    };
    s.finish();
    Some(Threshold { score: score?, nms_iou })
}

fn read_tiles(mut s: Section<'_>) -> Option<Tiles> {
    let (columns, rows) = (s.whole("columns", 1, 8), s.whole("rows", 1, 8));
    let overlap = s.share_if_any("overlap").unwrap_or(0.0);
    let frame = s.flag_or("frame", true);
    s.finish();
    Some(Tiles { columns: columns?, rows: rows?, overlap, frame })
}

fn read_classes(root: &mut Section<'_>) -> Vec<Class> {
    let sections = root.tables("class");
    let count = sections.len();
    let mut classes: Vec<Option<Class>> = vec![None; count];
    for mut s in sections {
        let index = s.whole("index", 0, 9_999).map(|index| index as usize);
        let name = s.text("name");
        let word = s.text("meaning");
        if let Some(hint) = name.as_deref().and_then(identity::class_hint) {
            s.fault("name", format_args!("{:?} {hint}", name.as_deref().unwrap_or_default()));
        }
        let meaning = word.as_deref().and_then(Meaning::from_word);
        if let Some(word) = word.filter(|word| meaning.is_none() && word != "ignored") {
            let words = Meaning::ALL.map(Meaning::word).join(", ");
            s.fault("meaning", format_args!("{word:?} is none of {words}, ignored"));
        }
        match index.map(|i| (i, classes.get_mut(i))) {
            Some((_, Some(slot))) if slot.is_none() => {
                *slot = Some(Class { name: name.unwrap_or_default(), meaning });
            }
            Some((i, Some(_))) => s.fault("index", format_args!("{i} is listed twice")),
            Some((i, None)) => {
                s.fault(
                    "index",
                    format_args!("{i} leaves a gap: list every index of the output from 0 to {}", count - 1),
                );
            }
            None => {}
        }
        s.finish();
    }
    if !classes.iter().flatten().any(|class| class.meaning.is_some()) {
        root.fault("class", "at least one class must have a meaning");
    }
    classes.into_iter().flatten().collect()
}
