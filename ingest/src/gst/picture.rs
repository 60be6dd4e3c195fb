//! Decoders' buffers as [`Picture`]s: I420 and NV12 share the decoder's bytes, other layouts are converted here.

use std::sync::Arc;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::{VideoFormat, VideoFrameExt, video_frame::Readable};
use xueliang_base::picture::{Picture, PixelFormat, Plane};

use super::decode::Feed;

type Frame = gst_video::VideoFrame<Readable>;

/// One plane of a mapped frame, kept alive by whoever holds its bytes.
struct Shared {
    frame: Arc<Frame>,
    plane: u32,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.frame.plane_data(self.plane).unwrap_or_default()
    }
}

/// The picture of a buffer.
pub(super) fn of(buffer: gst::Buffer, info: &gst_video::VideoInfo, from: &Feed) -> Result<Picture, String> {
    let frame =
        Frame::from_buffer_readable(buffer, info).map_err(|_| "its memory cannot be read".to_owned())?;
    let frame = Arc::new(frame);
    let format = frame.format();
    let (format, planes) = match format {
        VideoFormat::I420 => (PixelFormat::I420, (0..3).map(|n| shared(&frame, n)).collect()),
        VideoFormat::Nv12 => (PixelFormat::Nv12, (0..2).map(|n| shared(&frame, n)).collect()),
        other => (PixelFormat::I420, convert(&frame, other)?),
    };
    Ok(Picture {
        width: frame.width(),
        height: frame.height(),
        format,
        full_range: info.colorimetry().range() == gst_video::VideoColorRange::Range0_255,
        planes,
        unit_seq: from.seq,
        arrival: from.arrival,
        arrival_wall: from.arrival_wall,
        camera_time: from.camera_time,
    })
}

fn shared(frame: &Arc<Frame>, plane: u32) -> Plane {
    let stride = stride(frame, plane);
    Plane { data: Bytes::from_owner(Shared { frame: Arc::clone(frame), plane }), stride }
}

fn stride(frame: &Frame, plane: u32) -> usize {
    frame.plane_stride().get(plane as usize).and_then(|stride| usize::try_from(*stride).ok()).unwrap_or(0)
}

/// Reads one component of a frame as 8 bits.
struct Component<'a> {
    data: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
    /// Bytes a sample.
    bytes: usize,
    /// Bits above 8.
    shift: u32,
}

impl<'a> Component<'a> {
    fn of(frame: &'a Frame, n: u32) -> Option<Self> {
        let depth = frame.format_info().depth().get(n as usize).copied()?;
        let shift = depth.checked_sub(8)?;
        let (width, height) = (frame.comp_width(n), frame.comp_height(n));
        let data = frame.plane_data(n).ok()?;
        Some(Self {
            data,
            stride: stride(frame, n),
            width: usize::try_from(width).ok()?,
            height: usize::try_from(height).ok()?,
            bytes: if shift > 0 { 2 } else { 1 },
            shift,
        })
    }
    fn at(&self, x: usize, y: usize) -> u32 {
        let at = y.min(self.height - 1) * self.stride + x.min(self.width - 1) * self.bytes;
        let low = u32::from(self.data.get(at).copied().unwrap_or(0));
        if self.bytes == 1 {
            return low;
        }
        let high = u32::from(self.data.get(at + 1).copied().unwrap_or(0));
        ((high << 8) | low) >> self.shift
    }
    /// Scaled down to `width` by `height` by the mean of the samples that fall together.
    fn reduced(&self, width: usize, height: usize) -> Plane {
        let (dx, dy) = (self.width.div_ceil(width).clamp(1, 2), self.height.div_ceil(height).clamp(1, 2));
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let mut sum = 0;
                for j in 0..dy {
                    for i in 0..dx {
                        sum += self.at(x * dx + i, y * dy + j);
                    }
                }
                let n = u32::try_from(dx * dy).unwrap_or(1);
                data.push(u8::try_from((sum + n / 2) / n).unwrap_or(u8::MAX));
            }
        }
        Plane { data: data.into(), stride: width }
    }
}

/// Planar YUV of any sampling and depth, and grey, as I420.
fn convert(frame: &Frame, format: VideoFormat) -> Result<Vec<Plane>, String> {
    use VideoFormat as F;
    let planar = matches!(
        format,
        F::Y42b | F::Y444 | F::I42010le | F::I42210le | F::Y44410le | F::I42012le | F::I42212le | F::Y44412le
    );
    let unsupported =
        || format!("its pixel format {format} is not read here: set the camera to 8 bits and 4:2:0");
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    if width == 0 || height == 0 {
        return Err("it has no size".to_owned());
    }
    if format == F::Gray8 {
        let luma = Component::of(frame, 0).ok_or_else(unsupported)?.reduced(width, height);
        let grey = Plane { data: vec![128; half_width * half_height].into(), stride: half_width };
        return Ok(vec![luma, grey.clone(), grey]);
    }
    if !planar {
        return Err(unsupported());
    }
    let part = |n, width, height| {
        Ok::<_, String>(Component::of(frame, n).ok_or_else(unsupported)?.reduced(width, height))
    };
    Ok(vec![part(0, width, height)?, part(1, half_width, half_height)?, part(2, half_width, half_height)?])
}
