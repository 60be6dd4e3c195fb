//! Checked views of a picture's planes: everything that touches pixels goes through here, so that a decoder's odd
//! strides or short buffers end as an error and never as a panic.

use xueliang_base::picture::{Picture, PixelFormat, Plane};

/// Largest width or height taken, in pixels.
const SIDE_MAX: u32 = 16_384;

/// One rectangular grid of samples of one or two bytes each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Samples<'a> {
    data: &'a [u8],
    /// Bytes from one row to the next.
    pub(crate) stride: usize,
    /// Bytes of a row that count.
    pub(crate) row_bytes: usize,
    /// Rows.
    pub(crate) rows: usize,
}

impl<'a> Samples<'a> {
    fn of(plane: &'a Plane, row_bytes: usize, rows: usize, name: &str) -> Result<Self, String> {
        if plane.stride < row_bytes {
            return Err(format!(
                "the {name} plane's stride is {}, rows need {row_bytes} bytes",
                plane.stride
            ));
        }
        let least = plane.stride * (rows - 1) + row_bytes;
        if plane.data.len() < least {
            return Err(format!("the {name} plane has {} bytes, {least} are needed", plane.data.len()));
        }
        Ok(Self { data: &plane.data, stride: plane.stride, row_bytes, rows })
    }
    /// The bytes of one row.
    pub(crate) fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..][..self.row_bytes]
    }
    /// All rows with their padding, where the last row has its padding too.
    pub(crate) fn padded(&self) -> Option<&'a [u8]> {
        self.data.get(..self.stride * self.rows)
    }
}

/// Where the colour is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chroma<'a> {
    /// U and V apart.
    Planar(Samples<'a>, Samples<'a>),
    /// Pairs of U and V.
    Interleaved(Samples<'a>),
}

/// A picture whose planes were found to hold what its format says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planes<'a> {
    /// Luma.
    pub(crate) luma: Samples<'a>,
    /// Colour.
    pub(crate) chroma: Chroma<'a>,
}

impl<'a> Planes<'a> {
    /// Checks the picture.
    pub(crate) fn of(picture: &'a Picture) -> Result<Self, String> {
        let (width, height) = (picture.width, picture.height);
        if width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX {
            return Err(format!("a picture of {width}x{height} pixels; sides of 1 to {SIDE_MAX} are taken"));
        }
        let (w, h) = (width as usize, height as usize);
        let (chroma_w, chroma_h) = (w.div_ceil(2), h.div_ceil(2));
        match (picture.format, picture.planes.as_slice()) {
            (PixelFormat::I420, [y, u, v]) => Ok(Self {
                luma: Samples::of(y, w, h, "Y")?,
                chroma: Chroma::Planar(
                    Samples::of(u, chroma_w, chroma_h, "U")?,
                    Samples::of(v, chroma_w, chroma_h, "V")?,
                ),
            }),
            (PixelFormat::Nv12, [y, uv]) => Ok(Self {
                luma: Samples::of(y, w, h, "Y")?,
                chroma: Chroma::Interleaved(Samples::of(uv, chroma_w * 2, chroma_h, "UV")?),
            }),
            (format, planes) => Err(format!("{format:?} with {} planes", planes.len())),
        }
    }
}
