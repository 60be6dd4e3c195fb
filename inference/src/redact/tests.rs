//! What is left of a picture after redaction.

use proptest::prelude::*;

use super::*;
use crate::preprocess::tests::{flat, picture};

/// A picture full of detail everywhere.
fn noisy(width: u32, height: u32) -> Picture {
    picture(width, height, |x, y| {
        let n =
            (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)).wrapping_mul(3_266_489_917) >> 24;
        [16 + (n % 220) as u8, 64 + (n % 128) as u8, 64 + (n / 2) as u8]
    })
}

fn spec(regions: Vec<Rect>) -> RedactSpec {
    RedactSpec { regions, zone: None, max_width: 960, quality: 80 }
}

fn seen(meaning: Meaning, rect: Rect) -> Detection {
    Detection { meaning, score: 0.1, rect }
}

/// Whether the chosen pixels of every coarse block (of `block` pixels) are all the same.
fn blocky(canvas: &Canvas, block: usize, chosen: impl Fn(usize, usize) -> bool) -> bool {
    let mut first = std::collections::HashMap::new();
    let cells = (0..canvas.height()).flat_map(|y| (0..canvas.width()).map(move |x| (x, y)));
    cells.filter(|(x, y)| chosen(*x, *y)).all(|(x, y)| {
        *first.entry((x / block, y / block)).or_insert_with(|| canvas.pixel(x, y)) == canvas.pixel(x, y)
    })
}

fn within(rect: Rect, canvas: &Canvas) -> impl Fn(usize, usize) -> bool {
    // One line's thickness around it is the frame.
    let (w, h) = (canvas.width() as f32, canvas.height() as f32);
    move |x, y| {
        let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
        x > rect.x0 * w - 4.0 && x < rect.x1 * w + 4.0 && y > rect.y0 * h - 4.0 && y < rect.y1 * h + 4.0
    }
}

#[test]
fn outside_the_regions_no_detail_is_left_and_inside_it_is() {
    let region = Rect::new(0.31, 0.27, 0.63, 0.71);
    let canvas = compose(&noisy(960, 540), &[], &spec(vec![region])).unwrap();
    let block = 960 / BLOCKS;
    assert!(blocky(&canvas, block, |x, y| !within(region, &canvas)(x, y)));
    assert!(!blocky(&canvas, block, |x, y| within(region, &canvas)(x, y)));
    // Colour survives as the mean of its block.
    let plain = compose(&flat(960, 540, [120, 100, 150]), &[], &spec(vec![])).unwrap();
    let middle = plain.pixel(480, 270);
    assert!(
        middle[0].abs_diff(121) < 3 && middle[1].abs_diff(96) < 3 && middle[2].abs_diff(153) < 3,
        "{middle:?}"
    );
}

#[test]
fn a_zone_is_clear_and_its_outline_is_drawn() {
    let zone = Polygon::try_from(vec![[0.2, 0.2], [0.6, 0.3], [0.4, 0.9]]).unwrap();
    let spec = RedactSpec { zone: Some(zone.clone()), ..spec(vec![]) };
    let canvas = compose(&noisy(960, 540), &[], &spec).unwrap();
    assert_eq!(
        canvas.pixel((0.2 * 959.0f32).round() as usize, (0.2 * 539.0f32).round() as usize),
        ZONE_COLOUR
    );
    let inside = Rect::new(0.38, 0.4, 0.44, 0.6);
    assert!(!blocky(&canvas, 20, |x, y| within(inside, &canvas)(x, y)));
    let bounds = zone.bounds();
    assert!(blocky(&canvas, 20, |x, y| !within(bounds, &canvas)(x, y)));
}

#[test]
fn heads_small_persons_and_plates_are_blocky_inside_a_region() {
    let low = [
        seen(Meaning::Person, Rect::new(0.10, 0.20, 0.20, 0.80)),
        seen(Meaning::Person, Rect::new(0.30, 0.40, 0.33, 0.50)),
        seen(Meaning::Person, Rect::new(0.40, 0.70, 0.60, 0.85)),
        seen(Meaning::Vehicle, Rect::new(0.70, 0.40, 0.90, 0.80)),
    ];
    let canvas = compose(&noisy(960, 540), &low, &spec(vec![Rect::FULL])).unwrap();
    let flat_within = |x0, y0, x1, y1| {
        let rect: Rect = Rect::new(x0, y0, x1, y1);
        blocky(&canvas, 20, move |x, y| {
            let (x, y) = (x as f32 / 960.0, y as f32 / 540.0);
            x > rect.x0 && x < rect.x1 && y > rect.y0 && y < rect.y1
        })
    };
    // The top 35 % of the standing person, wider and higher than the box; his legs stay clear.
    assert!(flat_within(0.09, 0.15, 0.21, 0.41));
    assert!(!flat_within(0.10, 0.55, 0.20, 0.80));
    // A head is at most 4 blocks across: its blocks are larger than the coarse ones.
    assert!(flat_within(0.30, 0.40, 0.33, 0.50), "a small person is pixelated whole");
    assert!(flat_within(0.40, 0.70, 0.60, 0.85), "a lying person is pixelated whole");
    assert!(flat_within(0.70, 0.60, 0.90, 0.80), "the lower half of a vehicle");
    assert!(!flat_within(0.72, 0.42, 0.88, 0.52), "its upper half stays clear");
}

#[test]
fn a_large_head_has_as_few_blocks_as_a_small_one() {
    let canvas = compose(&noisy(960, 540), &[], &spec(vec![])).unwrap();
    for height in [0.3, 0.5, 0.9] {
        let person = seen(Meaning::Person, Rect::new(0.3, 0.05, 0.3 + height * 0.3, 0.05 + height));
        let hide = hidden(&person, &canvas, 20).unwrap();
        assert!(hide.area.longer_side().div_ceil(hide.block) <= 4);
        assert_eq!(hide.block % 20, 0);
    }
}

#[test]
fn persons_outside_the_regions_lose_even_the_coarse_pixels_of_their_heads() {
    let close = seen(Meaning::Person, Rect::new(0.5, 0.0, 0.9, 1.0));
    let canvas = compose(&noisy(960, 540), &[close], &spec(vec![Rect::new(0.0, 0.0, 0.1, 0.1)])).unwrap();
    let hide = hidden(&close, &canvas, 20).unwrap();
    assert!(hide.block > 40);
    let a = hide.area;
    assert!(blocky(&canvas, hide.block, |x, y| (a.x0..a.x1).contains(&x) && (a.y0..a.y1).contains(&y)));
}

#[test]
fn what_cannot_be_redacted_gives_no_picture() {
    let good = noisy(320, 180);
    let error = |picture: &Picture, low: &[Detection], spec: &RedactSpec| {
        let error = still(picture, low, spec).unwrap_err();
        assert!(matches!(error, Error::Redact(_)));
        error.to_string()
    };
    assert!(error(&good, &[], &spec(vec![Rect::new(1.2, 0.0, 1.5, 0.4)])).contains("outside the picture"));
    let nan = Rect { x0: f32::NAN, ..Rect::FULL };
    assert!(error(&good, &[], &spec(vec![nan])).contains("outside the picture"));
    assert!(error(&good, &[seen(Meaning::Person, nan)], &spec(vec![])).contains("finite"));
    assert!(error(&good, &[], &RedactSpec { quality: 0, ..spec(vec![]) }).contains("quality"));
    assert!(error(&good, &[], &RedactSpec { max_width: 8, ..spec(vec![]) }).contains("width"));
    let mut empty = good.clone();
    empty.height = 0;
    assert!(error(&empty, &[], &spec(vec![])).contains("320x0"));
    let mut short = good;
    short.planes[1].data.truncate(5);
    assert!(error(&short, &[], &spec(vec![])).contains("U plane"));
}

#[test]
fn the_result_is_a_jpeg_of_the_size_asked_for() {
    for (width, height, expected) in [(1280, 720, (640, 360)), (333, 211, (333, 211)), (1, 1, (1, 1))] {
        let spec = RedactSpec { max_width: 640, ..spec(vec![Rect::FULL]) };
        let bytes = still(&noisy(width, height), &[], &spec).unwrap();
        let mut decoder = zune_jpeg::JpegDecoder::new(zune_jpeg::zune_core::bytestream::ZCursor::new(&bytes));
        decoder.decode().unwrap();
        assert_eq!(decoder.dimensions(), Some(expected));
    }
    assert!(coarse(&noisy(1280, 720)).unwrap().starts_with(&[0xff, 0xd8]));
}

proptest! {
    #[test]
    fn any_size_and_boxes_end_in_a_picture_without_detail_outside(
        (width, height) in (1u32..200, 1u32..200),
        regions in prop::collection::vec(prop::array::uniform4(0.0f32..1.0), 0..3),
        persons in prop::collection::vec(prop::array::uniform4(-0.2f32..1.2), 0..4),
    ) {
        let rect = |[a, b, c, d]: [f32; 4]| Rect::new(a, b, c, d);
        let regions: Vec<_> = regions.into_iter().map(rect).filter(|r| r.area() > 0.0).collect();
        let low: Vec<_> = persons.into_iter().map(|p| seen(Meaning::Person, rect(p))).collect();
        let canvas = compose(&noisy(width, height), &low, &spec(regions.clone())).unwrap();
        let outside = |x: usize, y: usize| !regions.iter().any(|r| within(*r, &canvas)(x, y));
        prop_assert!(blocky(&canvas, BLOCK_MIN, outside));
        prop_assert!(canvas.jpeg(80).is_ok());
    }
}

#[test]
fn without_eyes_for_persons_and_plates_or_with_a_full_list_there_is_no_picture() {
    use crate::session::fake::{FakeDetector, Step};
    let picture = flat(64, 64, [16, 128, 128]);
    let person = seen(Meaning::Person, Rect::new(0.1, 0.1, 0.2, 0.5));
    let of = |detectors: Vec<FakeDetector>| {
        let mut boxed: Vec<Box<dyn Detector>> = detectors.into_iter().map(|d| Box::new(d) as _).collect();
        look(&mut boxed, &picture)
    };
    let all = |step: Step| FakeDetector::new("all", [step]);
    let refused = |detectors: Vec<FakeDetector>| of(detectors).unwrap_err().to_string();
    let some = Detection { score: 0.13, ..person };
    assert_eq!(of(vec![all(Step::See(vec![some]))]).unwrap(), [some]);
    assert!(refused(Vec::new()).contains("\"person\""));
    let persons = || FakeDetector::seeing("persons", vec![some]).knowing(&[Meaning::Person]);
    let vehicles = || FakeDetector::seeing("vehicles", Vec::new()).knowing(&[Meaning::Vehicle]);
    assert!(refused(vec![persons()]).contains("\"vehicle\""));
    assert!(refused(vec![vehicles()]).contains("\"person\""));
    assert_eq!(of(vec![vehicles(), persons()]).unwrap(), [some]);
    assert!(refused(vec![all(Step::Full(vec![some]))]).contains("heads may be missing"));
    assert!(of(vec![all(Step::Fail)]).is_err());
}
