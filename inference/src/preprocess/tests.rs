//! Pictures for the tests of this crate's pixel half, and the tests of `preprocess`.

use bytes::Bytes;
use xueliang_base::{
    picture::{PixelFormat, Plane},
    time::{Mono, Wall},
};

use super::*;

/// An I420 picture from a function of x and y to Y, U and V.
pub(crate) fn picture(width: u32, height: u32, at: impl Fn(u32, u32) -> [u8; 3]) -> Picture {
    let plane = |c: usize, step: u32| {
        let (w, h) = (width.div_ceil(step), height.div_ceil(step));
        let data: Vec<u8> = (0..h)
            .flat_map(|y| (0..w).map(move |x| (x, y)))
            .map(|(x, y)| at(x * step, y * step)[c])
            .collect();
        Plane { data: Bytes::from(data), stride: w as usize }
    };
    Picture {
        width,
        height,
        format: PixelFormat::I420,
        full_range: false,
        planes: vec![plane(0, 1), plane(1, 2), plane(2, 2)],
        unit_seq: 0,
        arrival: Mono(0),
        arrival_wall: Wall(0),
        camera_time: None,
    }
}

/// A picture of one colour.
pub(crate) fn flat(width: u32, height: u32, yuv: [u8; 3]) -> Picture {
    picture(width, height, |_, _| yuv)
}

/// The same picture as NV12, with rows padded by `gap` bytes.
fn as_nv12(picture: &Picture, gap: usize) -> Picture {
    let padded = |rows: Vec<Vec<u8>>| {
        let stride = rows[0].len() + gap;
        let data: Vec<u8> = rows.into_iter().flat_map(|row| row.into_iter().chain(vec![77; gap])).collect();
        Plane { data: Bytes::from(data), stride }
    };
    let rows =
        |plane: &Plane| -> Vec<Vec<u8>> { plane.data.chunks(plane.stride).map(<[u8]>::to_vec).collect() };
    let pairs = rows(&picture.planes[1])
        .into_iter()
        .zip(rows(&picture.planes[2]))
        .map(|(u, v)| u.into_iter().zip(v).flat_map(|(u, v)| [u, v]).collect())
        .collect();
    Picture {
        format: PixelFormat::Nv12,
        planes: vec![padded(rows(&picture.planes[0])), padded(pairs)],
        ..picture.clone()
    }
}

fn input(width: u32, height: u32) -> Input {
    Input {
        name: "images".into(),
        layout: Layout::Nchw,
        element: ElementType::F32,
        width,
        height,
        colour: Colour::Rgb,
        fit: Fit::Letterbox { pad: 114 },
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

fn floats(p: &Preprocessor) -> &[f32] {
    match p.values() {
        Values::F32(values) => values,
        Values::U8(_) => panic!("bytes"),
    }
}

fn ramp(x: u32, y: u32) -> [u8; 3] {
    [(16 + (x * 3 + y) % 200) as u8, (64 + x % 100) as u8, (64 + y % 100) as u8]
}

#[test]
fn a_letterbox_lies_at_the_top_left_and_its_rest_is_padding() {
    let mut p = Preprocessor::new(&input(32, 32));
    let placed = p.fill(&flat(64, 36, [235, 128, 128]), Rect::FULL).unwrap();
    assert_eq!((placed.width, placed.height), (32, 18));
    assert_eq!(p.shape(), [1, 3, 32, 32]);
    for (i, value) in floats(&p).iter().enumerate() {
        let y = i / 32 % 32;
        let expected = if y < 18 { 255.0 } else { 114.0 };
        assert!((value - expected).abs() < 0.01, "row {y}: {value}");
    }
    // A box over the lower right quarter of the covered part is that quarter of the picture.
    let rect = placed.rect(16.0, 9.0, 32.0, 30.0).unwrap();
    assert_eq!(rect, Rect::new(0.5, 0.5, 1.0, 1.0));
    assert_eq!(placed.rect(0.0, 20.0, 5.0, 30.0), None);
    assert_eq!(placed.rect(f32::NAN, 0.0, 5.0, 30.0), None);
}

#[test]
fn the_padding_is_renewed_when_the_shape_of_pictures_changes() {
    let mut p = Preprocessor::new(&input(32, 32));
    p.fill(&flat(64, 64, [235, 128, 128]), Rect::FULL).unwrap();
    p.fill(&flat(64, 32, [16, 128, 128]), Rect::FULL).unwrap();
    assert!(floats(&p)[31 * 32..32 * 32].iter().all(|v| *v == 114.0));
}

#[test]
fn layouts_orders_and_types_hold_the_same_colours() {
    let source = picture(48, 48, ramp);
    let mut base = input(24, 24);
    base.fit = Fit::Stretch;
    let mut p = Preprocessor::new(&base);
    p.fill(&source, Rect::FULL).unwrap();
    let planar = floats(&p).to_vec();

    let mut nhwc = Preprocessor::new(&Input { layout: Layout::Nhwc, colour: Colour::Bgr, ..base.clone() });
    nhwc.fill(&source, Rect::FULL).unwrap();
    let mut bytes = Preprocessor::new(&Input { element: ElementType::U8, ..base.clone() });
    bytes.fill(&source, Rect::FULL).unwrap();
    let mut bytes_nhwc =
        Preprocessor::new(&Input { element: ElementType::U8, layout: Layout::Nhwc, ..base.clone() });
    bytes_nhwc.fill(&source, Rect::FULL).unwrap();
    let scaled = Input { mean: [10.0, 20.0, 30.0], std: [2.0, 4.0, 8.0], ..base };
    let mut normal = Preprocessor::new(&scaled);
    normal.fill(&source, Rect::FULL).unwrap();
    let (Values::U8(planar_bytes), Values::U8(pixel_bytes)) = (bytes.values(), bytes_nhwc.values()) else {
        panic!("floats");
    };
    for i in 0..24 * 24 {
        for c in 0..3 {
            let value = planar[c * 576 + i];
            assert_eq!(floats(&nhwc)[i * 3 + 2 - c], value);
            assert_eq!(planar_bytes[c * 576 + i], value.round_ties_even() as u8);
            assert_eq!(pixel_bytes[i * 3 + c], value.round_ties_even() as u8);
            let expected = (value - scaled.mean[c]) / scaled.std[c];
            assert!((floats(&normal)[c * 576 + i] - expected).abs() < 1e-4);
        }
    }
}

#[test]
fn nv12_padding_and_odd_strides_do_not_change_the_tensor() {
    for (width, height) in [(64, 48), (63, 47), (1, 1), (3, 200)] {
        let source = picture(width, height, ramp);
        let mut p = Preprocessor::new(&input(32, 32));
        p.fill(&source, Rect::FULL).unwrap();
        let plain = floats(&p).to_vec();
        for gap in [0, 1, 16] {
            let mut other = as_nv12(&source, gap);
            p.fill(&other, Rect::FULL).unwrap();
            assert_eq!(floats(&p), plain, "{width}x{height}, gap {gap}");
            // Decoders may leave out the padding of the last row.
            let short = other.planes[1].data.len() - gap;
            other.planes[1].data.truncate(short);
            p.fill(&other, Rect::FULL).unwrap();
            assert_eq!(floats(&p), plain, "{width}x{height}, gap {gap}, short");
        }
    }
}

#[test]
fn a_part_of_the_picture_is_what_the_tensor_holds() {
    let halves = picture(64, 64, |x, _| if x < 32 { [16, 128, 128] } else { [235, 128, 128] });
    let mut p = Preprocessor::new(&Input { fit: Fit::Stretch, ..input(8, 8) });
    let placed = p.fill(&halves, Rect::new(0.5, 0.25, 1.0, 0.75)).unwrap();
    assert_eq!(placed.part, Rect::new(0.5, 0.25, 1.0, 0.75));
    assert!(floats(&p).iter().all(|v| (*v - 255.0).abs() < 0.01));
    assert_eq!(placed.rect(0.0, 0.0, 8.0, 8.0), Some(Rect::new(0.5, 0.25, 1.0, 0.75)));
}

#[test]
fn a_picture_that_is_not_what_it_says_is_an_error() {
    let mut p = Preprocessor::new(&input(32, 32));
    let good = flat(64, 48, [100, 128, 128]);
    let mut bad = good.clone();
    bad.width = 0;
    assert!(p.fill(&bad, Rect::FULL).unwrap_err().contains("0x48"));
    let mut bad = good.clone();
    bad.planes.pop();
    assert!(p.fill(&bad, Rect::FULL).unwrap_err().contains("2 planes"));
    let mut bad = good.clone();
    bad.height = 4_000;
    assert!(p.fill(&bad, Rect::FULL).unwrap_err().contains("bytes"));
    let mut bad = good;
    bad.planes[0].stride = 10;
    assert!(p.fill(&bad, Rect::FULL).unwrap_err().contains("stride"));
}
