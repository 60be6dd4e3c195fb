//! From a decoded picture to a model's input tensor.
//!
//! The planes are scaled first, each to the size that the picture takes in the model's input, and only that many pixels are
//! then converted to colours. This is several times cheaper than converting the full picture.

use fast_image_resize::{
    FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedCroppedImage, TypedImage, TypedImageRef},
    pixels::{InnerPixel, U8, U8x2},
};
use xueliang_base::{
    geometry::{Point, Rect},
    picture::Picture,
};

use crate::model::{Colour, ElementType, Fit, Input, Layout};

pub(crate) mod colour;
pub(crate) mod planes;

use self::{
    colour::Matrix,
    planes::{Chroma, Planes, Samples},
};

/// A part of a picture in whole pixels. Its left and top are even, so that the chroma planes are cut at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PixelRect {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl PixelRect {
    fn of(part: Rect, picture: &Picture) -> Self {
        let part = part.clamped();
        let side = |from: f32, to: f32, length: u32| {
            let start = ((from * length as f32) as u32).min(length - 1) & !1;
            let end = ((to * length as f32).ceil() as u32).clamp(start + 1, length);
            (start, end - start)
        };
        let (x, width) = side(part.x0, part.x1, picture.width);
        let (y, height) = side(part.y0, part.y1, picture.height);
        Self { x, y, width, height }
    }
    fn halved(self) -> Self {
        Self { x: self.x / 2, y: self.y / 2, width: self.width.div_ceil(2), height: self.height.div_ceil(2) }
    }
}

/// The Y, U and V of a part of a picture, all at one size, without padding. Buffers are kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct Scaled {
    resizer: Resizer,
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    luma: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    pairs: Vec<u8>,
    repacked: Vec<u8>,
}

/// Two by two samples, as most models were trained with.
pub(crate) const QUICK: ResizeAlg = ResizeAlg::Interpolation(FilterType::Bilinear);
/// Every sample counts: no false patterns in pictures for people.
pub(crate) const SMOOTH: ResizeAlg = ResizeAlg::Convolution(FilterType::Bilinear);

impl Scaled {
    fn take(
        &mut self,
        planes: &Planes<'_>,
        part: PixelRect,
        (width, height): (u32, u32),
        algorithm: ResizeAlg,
    ) -> Result<(), String> {
        let (w, h) = (width as usize, height as usize);
        (self.width, self.height) = (w, h);
        for plane in [&mut self.luma, &mut self.u, &mut self.v] {
            plane.resize(w * h, 0);
        }
        let options = ResizeOptions::new().resize_alg(algorithm).use_alpha(false);
        let mut scale =
            Scale { resizer: &mut self.resizer, repacked: &mut self.repacked, options, width, height };
        scale.run::<U8>(&planes.luma, part, &mut self.luma)?;
        match &planes.chroma {
            Chroma::Planar(u, v) => {
                scale.run::<U8>(u, part.halved(), &mut self.u)?;
                scale.run::<U8>(v, part.halved(), &mut self.v)?;
            }
            Chroma::Interleaved(uv) => {
                self.pairs.resize(w * h * 2, 0);
                scale.run::<U8x2>(uv, part.halved(), &mut self.pairs)?;
                for ((pair, u), v) in self.pairs.chunks_exact(2).zip(&mut self.u).zip(&mut self.v) {
                    (*u, *v) = (pair[0], pair[1]);
                }
            }
        }
        Ok(())
    }
    /// Takes a whole picture at another size.
    pub(crate) fn whole(&mut self, picture: &Picture, size: (u32, u32)) -> Result<(), String> {
        self.take(&Planes::of(picture)?, PixelRect::of(Rect::FULL, picture), size, SMOOTH)
    }
    /// One row of Y, U and V.
    pub(crate) fn row(&self, y: usize) -> [&[u8]; 3] {
        let range = y * self.width..(y + 1) * self.width;
        [&self.luma[range.clone()], &self.u[range.clone()], &self.v[range]]
    }
}

/// One plane's scaling.
struct Scale<'a> {
    resizer: &'a mut Resizer,
    repacked: &'a mut Vec<u8>,
    options: ResizeOptions,
    width: u32,
    height: u32,
}

impl Scale<'_> {
    fn run<P: InnerPixel + PixelTrait>(
        &mut self,
        source: &Samples<'_>,
        part: PixelRect,
        into: &mut [u8],
    ) -> Result<(), String> {
        // The library reads rows without gaps, so the padding counts as columns and the part leaves them out.
        let aligned = source.stride.is_multiple_of(P::size());
        let (bytes, stride) = match source.padded() {
            Some(bytes) if aligned => (bytes, source.stride),
            _ => {
                self.repacked.clear();
                (0..source.rows).for_each(|y| self.repacked.extend_from_slice(source.row(y)));
                (self.repacked.as_slice(), source.row_bytes)
            }
        };
        let columns = u32::try_from(stride / P::size()).map_err(|_| "a stride beyond 32 bits".to_owned())?;
        let rows = u32::try_from(source.rows).map_err(|_| "rows beyond 32 bits".to_owned())?;
        let view = TypedImageRef::<P>::from_buffer(columns, rows, bytes).map_err(|e| e.to_string())?;
        let view = TypedCroppedImage::new(view, part.x, part.y, part.width, part.height)
            .map_err(|e| e.to_string())?;
        let mut target =
            TypedImage::<P>::from_buffer(self.width, self.height, into).map_err(|e| e.to_string())?;
        self.resizer.resize_typed(&view, &mut target, &self.options).map_err(|e| e.to_string())
    }
}

/// The values of an input tensor of batch 1.
#[derive(Debug)]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Bytes.
    U8(Vec<u8>),
}

/// Which part of the picture lies where in the model's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// The part of the picture.
    pub part: Rect,
    /// Columns of the input that it covers, from the left edge.
    pub width: u32,
    /// Rows of the input that it covers, from the top edge.
    pub height: u32,
}

impl Placed {
    /// From pixels of the model's input to shares of the picture.
    pub fn point(&self, x: f32, y: f32) -> Point {
        Point::new(
            self.part.x0 + x / self.width as f32 * self.part.width(),
            self.part.y0 + y / self.height as f32 * self.part.height(),
        )
    }
    /// From pixels of the model's input to a rectangle of the picture; `None` where nothing of it lies inside.
    pub fn rect(&self, x0: f32, y0: f32, x1: f32, y1: f32) -> Option<Rect> {
        if !(x0.is_finite() && y0.is_finite() && x1.is_finite() && y1.is_finite()) {
            return None;
        }
        let (a, b) = (self.point(x0, y0), self.point(x1, y1));
        let rect = Rect::new(a.x, a.y, b.x, b.y).clamped();
        (rect.width() > 0.0 && rect.height() > 0.0).then_some(rect)
    }
}

/// Fills one model's input tensor again and again. Nothing is allocated after the first picture of a size.
#[derive(Debug)]
pub struct Preprocessor {
    input: Input,
    scaled: Scaled,
    rgb: [Vec<f32>; 3],
    bytes: [Vec<u8>; 3],
    values: Values,
    covered: Option<(u32, u32)>,
}

impl Preprocessor {
    /// For a model's input.
    pub fn new(input: &Input) -> Self {
        let count = 3 * input.width as usize * input.height as usize;
        let values = match input.element {
            ElementType::F32 => Values::F32(vec![0.0; count]),
            ElementType::U8 => Values::U8(vec![0; count]),
        };
        let row = vec![0.0; input.width as usize];
        Self {
            input: input.clone(),
            scaled: Scaled::default(),
            rgb: [row.clone(), row.clone(), row],
            bytes: Default::default(),
            values,
            covered: None,
        }
    }
    /// The tensor's shape, batch first.
    pub fn shape(&self) -> [usize; 4] {
        let (w, h) = (self.input.width as usize, self.input.height as usize);
        match self.input.layout {
            Layout::Nchw => [1, 3, h, w],
            Layout::Nhwc => [1, h, w, 3],
        }
    }
    /// The tensor's values.
    pub fn values(&self) -> &Values {
        &self.values
    }
    /// Fills the tensor with a part of a picture. The message of an error says what is wrong with the picture.
    pub fn fill(&mut self, picture: &Picture, part: Rect) -> Result<Placed, String> {
        let planes = Planes::of(picture)?;
        let pixels = PixelRect::of(part, picture);
        let (width, height) = self.size_of(pixels);
        self.scaled.take(&planes, pixels, (width, height), QUICK)?;
        if self.covered != Some((width, height)) {
            self.pad();
            self.covered = Some((width, height));
        }
        let matrix = Matrix::of(picture);
        for y in 0..height as usize {
            let [r, g, b] = &mut self.rgb;
            matrix.row(self.scaled.row(y), [r, g, b]);
            self.store(y, width as usize);
        }
        let (across, down) = (picture.width as f32, picture.height as f32);
        let part = Rect {
            x0: pixels.x as f32 / across,
            y0: pixels.y as f32 / down,
            x1: (pixels.x + pixels.width) as f32 / across,
            y1: (pixels.y + pixels.height) as f32 / down,
        };
        Ok(Placed { part, width, height })
    }
    /// The size that a part of a picture takes in the input: letterboxed pictures lie at the top left.
    fn size_of(&self, part: PixelRect) -> (u32, u32) {
        let (width, height) = (self.input.width, self.input.height);
        match self.input.fit {
            Fit::Stretch => (width, height),
            Fit::Letterbox { .. } => {
                let (across, down) =
                    (f64::from(width) / f64::from(part.width), f64::from(height) / f64::from(part.height));
                let ratio = across.min(down);
                let side = |length: u32, most: u32| ((f64::from(length) * ratio) as u32).clamp(1, most);
                (side(part.width, width), side(part.height, height))
            }
        }
    }
    fn pad(&mut self) {
        let Fit::Letterbox { pad } = self.input.fit else { return };
        for y in 0..self.input.height as usize {
            self.rgb.iter_mut().for_each(|plane| plane.fill(f32::from(pad)));
            self.store(y, self.input.width as usize);
        }
    }
    /// Writes the first columns of the converted row into the tensor.
    fn store(&mut self, y: usize, columns: usize) {
        let (w, h) = (self.input.width as usize, self.input.height as usize);
        let [r, g, b] = &mut self.rgb;
        let (r, g, b) = (&mut r[..columns], &mut g[..columns], &mut b[..columns]);
        let planes = match self.input.colour {
            Colour::Rgb => [r, g, b],
            Colour::Bgr => [b, g, r],
        };
        let place = match self.input.layout {
            Layout::Nchw => Place::Planes { start: y * w, apart: w * h },
            Layout::Nhwc => Place::Pixels { start: y * w * 3 },
        };
        match &mut self.values {
            Values::F32(out) => {
                let (mean, std) = (self.input.mean, self.input.std);
                let [a, b, c] = planes;
                for (plane, (mean, std)) in
                    [&mut *a, &mut *b, &mut *c].into_iter().zip(mean.into_iter().zip(std))
                {
                    let scale = 1.0 / std;
                    plane.iter_mut().for_each(|v| *v = (*v - mean) * scale);
                }
                place.write(out, [a, b, c]);
            }
            Values::U8(out) => {
                for (bytes, plane) in self.bytes.iter_mut().zip(&planes) {
                    bytes.clear();
                    bytes.extend(plane.iter().map(|v| rounded(*v)));
                }
                let [a, b, c] = &self.bytes;
                place.write(out, [a, b, c]);
            }
        }
    }
}

/// Where a row of the picture lies in the tensor.
#[derive(Clone, Copy)]
enum Place {
    /// In three planes, `apart` values from one to the next.
    Planes { start: usize, apart: usize },
    /// Value by value of each pixel.
    Pixels { start: usize },
}

impl Place {
    fn write<T: Copy>(self, out: &mut [T], planes: [&[T]; 3]) {
        match self {
            Place::Planes { start, apart } => {
                for (c, plane) in planes.into_iter().enumerate() {
                    out[start + c * apart..][..plane.len()].copy_from_slice(plane);
                }
            }
            Place::Pixels { start } => {
                let [a, b, c] = planes;
                let pixels = out[start..].chunks_exact_mut(3);
                for (((pixel, a), b), c) in pixels.zip(a).zip(b).zip(c) {
                    (pixel[0], pixel[1], pixel[2]) = (*a, *b, *c);
                }
            }
        }
    }
}

/// To the nearest byte; the value lies in 0..=255. Adding 2^23 leaves the rounded value in the lowest bits, which vector
/// instructions do eight times faster than a saturating conversion.
fn rounded(value: f32) -> u8 {
    (value + 8_388_608.0).to_bits() as u8
}

#[cfg(test)]
pub(crate) mod tests;
