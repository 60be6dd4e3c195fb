//! From YUV to RGB.
//!
//! Cameras rarely say which matrix they used, so it follows the custom of encoders: BT.709 from 720 rows on, BT.601
//! below. The range is the picture's own.

use xueliang_base::picture::Picture;

/// Rows from which a picture is taken to be BT.709.
const BT709_ROWS: u32 = 720;

/// `r = y_gain·Y + r_v·V + r_0` and so on, for bytes as they lie in the planes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Matrix {
    y_gain: f32,
    r_v: f32,
    r_0: f32,
    g_u: f32,
    g_v: f32,
    g_0: f32,
    b_u: f32,
    b_0: f32,
}

impl Matrix {
    /// The matrix of a picture.
    pub(crate) fn of(picture: &Picture) -> Self {
        // ITU-R BT.709-6 item 3.2 and BT.601-7 item 2.5.1: the share of red and blue in luma.
        let (kr, kb) = if picture.height >= BT709_ROWS { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let kg = 1.0 - kr - kb;
        let (y_gain, black, c_gain) =
            if picture.full_range { (1.0, 0.0, 1.0) } else { (255.0 / 219.0, 16.0, 255.0 / 224.0) };
        let r_v = 2.0 * (1.0 - kr) * c_gain;
        let b_u = 2.0 * (1.0 - kb) * c_gain;
        let g_u = -kb * b_u / kg;
        let g_v = -kr * r_v / kg;
        let offset = |u: f32, v: f32| -y_gain * black - 128.0 * (u + v);
        Self {
            y_gain,
            r_v,
            r_0: offset(0.0, r_v),
            g_u,
            g_v,
            g_0: offset(g_u, g_v),
            b_u,
            b_0: offset(b_u, 0.0),
        }
    }
    /// Converts one row: 0..=255, not rounded. All slices have the same length.
    pub(crate) fn row(&self, yuv: [&[u8]; 3], rgb: [&mut [f32]; 3]) {
        let ([y, u, v], [r, g, b]) = (yuv, rgb);
        convert(*self, y, u, v, r, g, b);
    }
}

/// A function of its own with a parameter a slice: only then does the compiler know that they do not overlap, which it must
/// to use vector instructions.
fn convert(m: Matrix, y: &[u8], u: &[u8], v: &[u8], r: &mut [f32], g: &mut [f32], b: &mut [f32]) {
    let n = y.len();
    let (u, v) = (&u[..n], &v[..n]);
    let (r, g, b) = (&mut r[..n], &mut g[..n], &mut b[..n]);
    for i in 0..n {
        let luma = m.y_gain * f32::from(y[i]);
        let (cb, cr) = (f32::from(u[i]), f32::from(v[i]));
        r[i] = byte(luma + m.r_v * cr + m.r_0);
        g[i] = byte(luma + m.g_u * cb + m.g_v * cr + m.g_0);
        b[i] = byte(luma + m.b_u * cb + m.b_0);
    }
}

/// Into the range of a byte.
fn byte(value: f32) -> f32 {
    value.clamp(0.0, 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::tests::flat;

    fn rgb(picture: &Picture, yuv: [u8; 3]) -> [i32; 3] {
        let [mut r, mut g, mut b] = [[0.0]; 3];
        Matrix::of(picture).row([&yuv[..1], &yuv[1..2], &yuv[2..]], [&mut r, &mut g, &mut b]);
        [r[0].round() as i32, g[0].round() as i32, b[0].round() as i32]
    }

    #[test]
    fn known_colours_come_out_of_both_matrices_and_ranges() {
        let mut sd = flat(64, 64, [0, 0, 0]);
        // The 75 % colour bars' red and the ends of the grey scale, limited range, BT.601.
        assert_eq!(rgb(&sd, [16, 128, 128]), [0, 0, 0]);
        assert_eq!(rgb(&sd, [235, 128, 128]), [255, 255, 255]);
        assert_eq!(rgb(&sd, [81, 90, 240]), [254, 0, 0]);
        let hd = flat(1280, 720, [0, 0, 0]);
        assert_eq!(rgb(&hd, [63, 102, 240]), [255, 1, 0]);
        sd.full_range = true;
        assert_eq!(rgb(&sd, [255, 128, 128]), [255, 255, 255]);
        assert_eq!(rgb(&sd, [76, 85, 255]), [254, 0, 0]);
    }
}
